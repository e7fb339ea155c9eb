# Runbooks: signals, approvals by another person, a role, a command on the node.

cat >"$work/hub/identity.yaml" <<'YAML'
users:
  - name: grace
    policies: [AdministratorAccess]
    access_keys: [{id: AKIAGRACEGRACEGRACE1, secret_file: grace.key}]
roles:
  - name: runbook
    policies: [AdministratorAccess]
    trust:
      Version: 2012-10-17
      Statement: [{Effect: Allow, Action: sts:AssumeRole, Principal: {Service: ssm.amazonaws.com}}]
YAML
printf 'gracesecretgracesecretgracesecretgracese' >"$work/hub/grace.key"
chmod 600 "$work/hub/grace.key"
grace() { AWS_ACCESS_KEY_ID=AKIAGRACEGRACEGRACE1 AWS_SECRET_ACCESS_KEY=$(cat "$work/hub/grace.key") cli "$@"; }
await "grace's key" grace sts get-caller-identity

cat >"$work/runbook.yaml" <<'YAML'
schemaVersion: "0.3"
assumeRole: "{{ AutomationAssumeRole }}"
parameters:
  AutomationAssumeRole: {type: String, default: "arn:aws:iam::123456789012:role/runbook"}
  InstanceId: {type: String}
  Service: {type: String, default: "{{ssm:/runbook/service}}"}
outputs: [diagnose.Output, keep.Version]
mainSteps:
  - name: diagnose
    action: aws:runCommand
    inputs:
      DocumentName: AWS-RunShellScript
      InstanceIds: ["{{ InstanceId }}"]
      Parameters: {commands: ["echo {{ Service }} is down"]}
  - name: isItDown
    action: aws:branch
    inputs:
      Choices: [{NextStep: ask, Variable: "{{ diagnose.Output }}", Contains: is down}]
      Default: keep
  - name: ask
    action: aws:approve
    inputs: {Approvers: [grace], Message: "Restart {{ Service }}?"}
  - {name: settle, action: "aws:sleep", inputs: {Duration: PT1S}}
  - name: keep
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: PutParameter, Name: /runbook/last, Value: "{{ automation:EXECUTION_ID }}", Type: String, Overwrite: true}
    outputs: [{Name: Version, Selector: $.Version, Type: Integer}]
  - {name: hold, action: "aws:pause", isEnd: true}
YAML
gives '' ssm put-parameter --name /runbook/service --value shop --type String
gives Active ssm create-document --name Runbook --document-type Automation --document-format YAML --content "file://$work/runbook.yaml" --query DocumentDescription.Status
refuses InvalidAutomationExecutionParametersException ssm start-automation-execution --document-name Runbook
refuses AutomationDefinitionNotFoundException ssm start-automation-execution --document-name NoSuchRunbook
token=33333333-3333-3333-3333-333333333333
run=$(cli ssm start-automation-execution --document-name Runbook --parameters "InstanceId=$node" --client-token $token --tags Key=service,Value=shop --query AutomationExecutionId)
gives "$run" ssm start-automation-execution --document-name Runbook --parameters "InstanceId=$node" --client-token $token --tags Key=service,Value=shop
refuses IdempotentParameterMismatch ssm start-automation-execution --document-name Runbook --parameters "InstanceId=$node,Service=x" --client-token $token
at() { cli ssm get-automation-execution --automation-execution-id "$run" --query 'AutomationExecution.[CurrentStepName,AutomationExecutionStatus]' | grep -q "^$1	$2"; }
await "the approval" at ask Waiting
refuses InvalidAutomationSignalException ssm send-automation-signal --automation-execution-id "$run" --signal-type Approve
refuses InvalidAutomationSignalException ssm send-automation-signal --automation-execution-id "$run" --signal-type Resume
await "grace's approval" grace ssm send-automation-signal --automation-execution-id "$run" --signal-type Approve --payload Comment=go
await "the pause" at hold Waiting
gives "$run" ssm describe-automation-executions --filters Key=ExecutionStatus,Values=Waiting --query 'AutomationExecutionMetadataList[].AutomationExecutionId'
gives "$run" ssm describe-automation-executions --filters Key=TagKey,Values=service --query 'AutomationExecutionMetadataList[].AutomationExecutionId'
gives "$run" ssm get-parameter --name /runbook/last --query Parameter.Value
gives 'diagnose.Success.*hold.Waiting' ssm describe-automation-step-executions --automation-execution-id "$run" --query 'StepExecutions[].[StepName,StepStatus]'
refuses AutomationStepNotFoundException ssm send-automation-signal --automation-execution-id "$run" --signal-type Resume --payload StepName=none
gives '' ssm send-automation-signal --automation-execution-id "$run" --signal-type Resume
gives 'Success.*shop is down' ssm get-automation-execution --automation-execution-id "$run" --query 'AutomationExecution.[AutomationExecutionStatus,Outputs."diagnose.Output"[0]]'
refuses InvalidAutomationStatusUpdateException ssm stop-automation-execution --automation-execution-id "$run"
refuses AutomationExecutionNotFoundException ssm get-automation-execution --automation-execution-id 00000000-0000-0000-0000-000000000000
run=$(cli ssm start-automation-execution --document-name Runbook --parameters "InstanceId=$node" --query AutomationExecutionId)
gives '' ssm stop-automation-execution --automation-execution-id "$run" --type Cancel
gives Cancelled ssm get-automation-execution --automation-execution-id "$run" --query AutomationExecution.AutomationExecutionStatus
preview=$(cli ssm start-execution-preview --document-name Runbook --query ExecutionPreviewId)
gives Success ssm get-execution-preview --execution-preview-id "$preview" --query Status
