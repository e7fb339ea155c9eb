# Run Command on the node of node.sh: outputs, cancel, limits, notifications, and our
# own commands exec and rollout.

watchbill="$root/bin/watchbill"

# tells WANT ARGS...: our own command succeeds and its output matches WANT.
tells() {
	want=$1
	shift
	if ! got=$("$watchbill" "$@" 2>&1); then
		fail "watchbill $*" "success" "$got"
	elif printf '%s' "$got" | tr '\n' ' ' | grep -Eq -- "$want"; then
		passed=$((passed + 1))
	else
		fail "watchbill $*" "$want" "$got"
	fi
}

# exits CODE ARGS...: our own command ends with the exit code.
exits() {
	want=$1
	shift
	code=0
	got=$("$watchbill" "$@" 2>&1) || code=$?
	if [ "$code" = "$want" ]; then
		passed=$((passed + 1))
	else
		fail "watchbill $*" "exit code $want" "$code: $got"
	fi
}

# Output is cut as on AWS; all of it is there for our own command.
command=$(cli ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters 'commands=seq 1 20000' --query Command.CommandId)
ended "$command"
gives 'output truncated--$' ssm get-command-invocation --command-id "$command" --instance-id "$node" --query StandardOutputContent
gives 'InProgress|Success' ssm list-command-invocations --filters key=ExecutionStage,value=Complete --query 'CommandInvocations[].Status'
if [ "$("$watchbill" exec --target "$node" --script 'seq 1 20000' | cksum)" = "$(seq 1 20000 | cksum)" ]; then
	passed=$((passed + 1))
else
	fail "watchbill exec" "20000 lines" "something else"
fi

# Targets and limits.
gives '^NoInstancesInTag	0' ssm send-command --document-name AWS-RunShellScript --targets Key=tag:Service,Values=none --parameters commands=id --query 'Command.[StatusDetails,TargetCount]'
refuses InvalidTarget ssm send-command --document-name AWS-RunShellScript --targets Key=color,Values=red --parameters commands=id
refuses InvalidParameters ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters 'commands=id,executionTimeout=soon'
refuses InvalidDocument ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters commands=id --document-hash 0000000000000000000000000000000000000000000000000000000000000000 --document-hash-type Sha256
refuses InvalidDocumentVersion ssm send-command --document-name AWS-RunShellScript --document-version 99 --instance-ids "$node" --parameters commands=id
refuses DuplicateInstanceId ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" "$node" --parameters commands=id

# A step that takes too long.
command=$(cli ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters 'commands=sleep 60,executionTimeout=5' --query Command.CommandId)
ended "$command"
gives '^TimedOut	ExecutionTimedOut' ssm get-command-invocation --command-id "$command" --instance-id "$node" --query '[Status,StatusDetails]'

# Notifications go where notify.yaml leads them.
topic=arn:aws:sns:us-east-1:123456789012:clients
printf 'topics:\n  %s: file://%s\n' "$topic" "$work/notices" >"$work/hub/notify.yaml"
command=$(cli ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters commands=true --service-role-arn arn:aws:iam::123456789012:role/watchbill-node \
	--notification-config "NotificationArn=$topic,NotificationEvents=Success,NotificationType=Command" --query Command.CommandId)
await "the notification" grep -q "$command" "$work/notices"

# Our own commands.
tells "it's \\\$HOME" exec --target tag:Service=orders -- echo "it's \$HOME"
exits 7 exec --target "$node" --script 'exit 7'
exits 0 exec --target all -- true
exits 1 exec --target tag:Service=none -- true
tells '"exitCode":0.*"stdout":"hi' exec --json --target "$node" -- echo hi
exits 0 exec --target all --waves 1,100% --health true -- true
exits 3 exec --target all --waves 100% --health 'exit 3' --roll-back 'echo undone' -- true
rollout=$("$watchbill" rollout list | awk 'NR == 1 { print $1 }')
tells 'Halted.*health check failed' rollout show "$rollout"
tells 'RollingBack|RolledBack' rollout rollback "$rollout" --reason 'a bad change'
rolled_back() { "$watchbill" rollout show "$rollout" | grep -q 'status *RolledBack'; }
await "the roll back" rolled_back
exits 1 rollout resume "$rollout" --reason no

# Outputs go to a bucket and a log group of the hub as well.
gives '' s3api create-bucket --bucket command-outputs
command=$(cli ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters 'commands=echo kept' --output-s3-bucket-name command-outputs --output-s3-key-prefix runs \
	--cloud-watch-output-config CloudWatchOutputEnabled=true --query Command.CommandId)
ended "$command"
uploaded() { cli s3api head-object --bucket command-outputs --key "runs/$command/$node/awsrunShellScript/0.awsrunShellScript/stdout"; }
await "the output in the bucket" uploaded
gives "s3.amazonaws.com/command-outputs/runs/$command" ssm get-command-invocation --command-id "$command" --instance-id "$node" --query StandardOutputUrl
logged() { cli logs get-log-events --log-group-name /aws/ssm/AWS-RunShellScript --log-stream-name "$command/$node/aws-runShellScript/stdout" --query 'events[].message' | grep -q kept; }
await "the output in the log group" logged
