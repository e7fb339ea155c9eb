# Contacts, engagements, OpsItems, incidents and alarms in.

contacts="ssm-contacts"
incidents="ssm-incidents"
gives 'replication-set' $incidents create-replication-set --regions '{"us-east-1":{}}' --query arn
set_arn=$(cli $incidents list-replication-sets --query 'replicationSetArns[0]')
active() { cli $incidents get-replication-set --arn "$set_arn" --query replicationSet.status | grep -q ACTIVE; }
await "the replication set" active

ana=$(cli $contacts create-contact --alias ana --display-name Ana --type PERSONAL --plan '{"Stages":[]}' --query ContactArn)
gives 'contact/ana' $contacts get-contact --contact-id "$ana" --query ContactArn
refuses ConflictException $contacts create-contact --alias ana --display-name Other --type PERSONAL --plan '{"Stages":[]}'
channel=$(cli $contacts create-contact-channel --contact-id "$ana" --name inbox --type EMAIL --delivery-address SimpleAddress=ana@inbox.local --query ContactChannelArn)
gives 'NOT_ACTIVATED' $contacts get-contact-channel --contact-channel-id "$channel" --query ActivationStatus
refuses ValidationException $contacts activate-contact-channel --contact-channel-id "$channel" --activation-code 000000

# inbox FIELD prints a field of Ana's newest message.
inbox() {
	curl -sf --cacert "$AWS_CA_BUNDLE" -H 'Accept: application/json' "$AWS_ENDPOINT_URL/inbox/?address=ana@inbox.local" |
		python3 -c "import json,sys; m=json.load(sys.stdin)['messages']; m.sort(key=lambda x: x['at']); print(m[-1].get('$1',''))"
}
code() { inbox code | grep -q .; }
await "the activation code" code
gives '' $contacts activate-contact-channel --contact-channel-id "$channel" --activation-code "$(inbox code)"
gives 'ACTIVATED' $contacts get-contact-channel --contact-channel-id "$channel" --query ActivationStatus
gives '' $contacts update-contact --contact-id "$ana" --plan "{\"Stages\":[{\"DurationInMinutes\":5,\"Targets\":[{\"ChannelTargetInfo\":{\"ContactChannelId\":\"$channel\",\"RetryIntervalInMinutes\":5}}]}]}"
plan=$(cli $contacts create-contact --alias oncall --display-name 'On call' --type ESCALATION --plan "{\"Stages\":[{\"DurationInMinutes\":5,\"Targets\":[{\"ContactTargetInfo\":{\"ContactId\":\"$ana\",\"IsEssential\":true}}]}]}" --query ContactArn)
gives 'ESCALATION' $contacts list-contacts --type ESCALATION --query 'Contacts[].Type'
gives 'inbox' $contacts list-contact-channels --contact-id "$ana" --query 'ContactChannels[].Name'

engagement=$(cli $contacts start-engagement --contact-id "$plan" --sender tests --subject 'A test' --content 'Please answer' --query EngagementArn)
paged() { inbox subject | grep -q 'A test'; }
await "the page" paged
page=$(cli $contacts list-pages-by-contact --contact-id "$ana" --query 'Pages[0].PageArn')
gives 'A test' $contacts describe-page --page-id "$page" --query Subject
refuses ValidationException $contacts accept-page --page-id "$page" --accept-type READ --accept-code 000000
gives '' $contacts accept-page --page-id "$page" --accept-type READ --accept-code "$(inbox code)"
gives 'READ' $contacts list-page-receipts --page-id "$page" --query 'Receipts[].ReceiptType'
gives 'ana' $contacts list-page-resolutions --page-id "$page" --query 'PageResolutions[].ContactArn'
gives "$engagement" $contacts list-engagements --query 'Engagements[].EngagementArn'
gives 'tests' $contacts describe-engagement --engagement-id "$engagement" --query Sender
gives '' $contacts stop-engagement --engagement-id "$engagement" --reason 'test over'

item=$(cli ssm create-ops-item --title 'Disk fills' --source tests --description 'by 2% an hour' --operational-data '{"/aws/dedup":{"Value":"{\"dedupString\":\"disk\"}","Type":"SearchableString"}}' --query OpsItemId)
refuses OpsItemAlreadyExistsException ssm create-ops-item --title 'Disk fills' --source tests --description again --operational-data '{"/aws/dedup":{"Value":"{\"dedupString\":\"disk\"}","Type":"SearchableString"}}'
gives 'Disk fills' ssm get-ops-item --ops-item-id "$item" --query OpsItem.Title
gives "$item" ssm describe-ops-items --ops-item-filters Key=Title,Values='Disk fills',Operator=Contains --query 'OpsItemSummaries[].OpsItemId'
gives '' ssm update-ops-item --ops-item-id "$item" --status Resolved
gives 'Resolved' ssm get-ops-item --ops-item-id "$item" --query OpsItem.Status

response=$(cli $incidents create-response-plan --name web --incident-template title=Web,impact=3,dedupeString=web --engagements "$plan" --query arn)
gives 'web' $incidents get-response-plan --arn "$response" --query name
gives 'web' $incidents list-response-plans --query 'responsePlanSummaries[].name'
record=$(cli $incidents start-incident --response-plan-arn "$response" --query incidentRecordArn)
gives "$record" $incidents start-incident --response-plan-arn "$response" --query incidentRecordArn
gives 'OPEN' $incidents get-incident-record --arn "$record" --query incidentRecord.status
gives "$record" $incidents list-incident-records --query 'incidentRecordSummaries[].arn'
event=$(cli $incidents create-timeline-event --incident-record-arn "$record" --event-time 2026-01-01T10:00:00Z --event-type 'Custom Event' --event-data '"Impact confirmed"' --query eventId)
gives 'Impact confirmed' $incidents get-timeline-event --incident-record-arn "$record" --event-id "$event" --query event.eventData
gives '' $incidents update-timeline-event --incident-record-arn "$record" --event-id "$event" --event-data '"Impact: a third of requests"'
gives 'SSM Incident Trigger' $incidents list-timeline-events --incident-record-arn "$record" --query 'eventSummaries[].eventType'
gives '' $incidents delete-timeline-event --incident-record-arn "$record" --event-id "$event"
gives '' $incidents update-related-items --incident-record-arn "$record" --related-items-update '{"itemToAdd":{"title":"dashboard","identifier":{"type":"OTHER","value":{"url":"https://grafana.example.org/d/1"}}}}'
gives 'dashboard' $incidents list-related-items --incident-record-arn "$record" --query 'relatedItems[].title'
gives '' $incidents tag-resource --resource-arn "$response" --tags team=web
gives 'web' $incidents list-tags-for-resource --resource-arn "$response" --query tags.team
gives '' $incidents untag-resource --resource-arn "$response" --tag-keys team
gives '' $incidents update-response-plan --arn "$response" --incident-template-title 'Web is down'
gives '' $incidents update-incident-record --arn "$record" --status RESOLVED
gives 'RESOLVED' $incidents get-incident-record --arn "$record" --query incidentRecord.status

key=clients-test-key-of-32-characters
cat >"$work/hub/intake.yaml" <<INTAKE
integrations:
  - name: am
    kind: alertmanager
    key: $key
    rules: [{match: {service: web}, response_plan: "$response"}]
  - name: cw
    kind: cloudwatch
    key: $key-cw
    rules: [{match: {alarmname: ~.*}, response_plan: "$response"}]
INTAKE
chmod 600 "$work/hub/intake.yaml"
alert='{"version":"4","groupKey":"g","status":"firing","receiver":"w","groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"","alerts":[{"status":"firing","labels":{"alertname":"WebDown","service":"web"},"annotations":{"summary":"web is down"},"startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"abcd"}]}'
post() { curl -sf --cacert "$AWS_CA_BUNDLE" -d "$alert" "$AWS_ENDPOINT_URL/intake/alertmanager/$key"; }
await "the intake file" post
gives 'web is down' $incidents list-incident-records --query 'incidentRecordSummaries[].title'

gives '' $incidents delete-incident-record --arn "$record"
refuses ResourceNotFoundException $incidents get-incident-record --arn "$record"
gives '' $contacts deactivate-contact-channel --contact-channel-id "$channel"
gives '' $contacts delete-contact-channel --contact-channel-id "$channel"
