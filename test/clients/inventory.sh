# Inventory and compliance of a node, sent and read back.

set -- $(cli ssm create-activation --iam-role watchbill-node --registration-limit 1 --query '[ActivationId,ActivationCode]')
rack=$("$root/bin/watchbill" agent register --hub "$AWS_ENDPOINT_URL" --ca "$AWS_CA_BUNDLE" --activation-id "$1" --activation-code "$2" --state "$work/rack")
item='TypeName=Custom:RackInfo,SchemaVersion=1.0,CaptureTime=2026-11-22T10:00:00Z,ContentHash=h1'
refuses ItemContentMismatchException ssm put-inventory --instance-id "$rack" --items "$item"
gives '' ssm put-inventory --instance-id "$rack" --items "$item,Content=[{RackLocation=Bay B/Row C}]"
gives '' ssm put-inventory --instance-id "$rack" --items "$item"
gives 'Bay B/Row C' ssm list-inventory-entries --instance-id "$rack" --type-name Custom:RackInfo --query 'Entries[].RackLocation'
gives "$rack" ssm get-inventory --filters 'Key=Custom:RackInfo.RackLocation,Values=Bay,Type=BeginWith' --query 'Entities[].Id'
gives '1' ssm get-inventory --aggregators Expression=Custom:RackInfo.RackLocation --query 'Entities[].Data.*[].Content[].Count'
gives 'RackLocation' ssm get-inventory-schema --type-name Custom:RackInfo --query 'Schemas[].Attributes[].Name'
gives 'AWS:Application' ssm get-inventory-schema --query 'Schemas[].TypeName'
refuses InvalidTypeNameException ssm list-inventory-entries --instance-id "$rack" --type-name AWS:Nothing
deletion=$(cli ssm delete-inventory --type-name Custom:RackInfo --schema-delete-option DeleteSchema --query DeletionId)
gives 'Complete' ssm describe-inventory-deletions --deletion-id "$deletion" --query 'InventoryDeletions[].LastStatus'
gives '^0$' ssm list-inventory-entries --instance-id "$rack" --type-name Custom:RackInfo --query 'length(Entries)'

compliance() {
	cli ssm put-compliance-items --resource-id "$rack" --resource-type ManagedInstance --compliance-type Custom:Baseline \
		--execution-summary ExecutionTime=1700000000 --items "$@"
}
compliance Id=a,Title=a,Severity=HIGH,Status=NON_COMPLIANT Id=b,Title=b,Severity=LOW,Status=COMPLIANT
gives 'a' ssm list-compliance-items --resource-ids "$rack" --filters Key=Status,Values=NON_COMPLIANT,Type=EQUAL --query 'ComplianceItems[].Id'
gives 'Custom:Baseline.*1' ssm list-compliance-summaries --query 'ComplianceSummaryItems[].[ComplianceType,NonCompliantSummary.NonCompliantCount]'
gives 'NON_COMPLIANT.*HIGH' ssm list-resource-compliance-summaries --query 'ResourceComplianceSummaryItems[].[Status,OverallSeverity]'
refuses InvalidResourceId ssm put-compliance-items --resource-id mi-00000000000000000 --resource-type ManagedInstance --compliance-type Custom:Baseline --execution-summary ExecutionTime=1700000000 --items Id=a,Severity=LOW,Status=COMPLIANT
