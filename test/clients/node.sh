# Activations, nodes and commands, on our own agent.

set -- $(cli ssm create-activation --iam-role watchbill-node --registration-limit 1 --tags Key=Service,Value=orders --query '[ActivationId,ActivationCode]')
activation=$1
gives "$activation" ssm describe-activations --query 'ActivationList[].ActivationId'
node=$("$root/bin/watchbill" agent register --hub "$AWS_ENDPOINT_URL" --ca "$AWS_CA_BUNDLE" --activation-id "$1" --activation-code "$2" --state "$work/node")
if "$root/bin/watchbill" agent register --hub "$AWS_ENDPOINT_URL" --ca "$AWS_CA_BUNDLE" --activation-id "$1" --activation-code "$2" --state "$work/node2" >"$work/second.log" 2>&1; then
	fail "agent register" "a refusal over the activation's limit" "$(cat "$work/second.log")"
fi
"$root/bin/watchbill" agent run --state "$work/node" >"$work/agent.log" 2>&1 &
pids="$pids $!"
online() { cli ssm describe-instance-information --filters "Key=InstanceIds,Values=$node" --query 'InstanceInformationList[].PingStatus' | grep -q Online; }
await "the node" online
gives "$node.*Linux" ssm describe-instance-information --query 'InstanceInformationList[].[InstanceId,PlatformType]'
gives 'orders' ssm list-tags-for-resource --resource-type ManagedInstance --resource-id "$node" --query 'TagList[].Value'

# ended COMMAND waits until the command is over on the node.
over() { cli ssm get-command-invocation --command-id "$1" --instance-id "$node" --query Status | grep -Eq 'Success|Failed|Cancelled|TimedOut'; }
ended() { await "command $1" over "$1"; }

command=$(cli ssm send-command --document-name AWS-RunShellScript --targets Key=tag:Service,Values=orders --parameters 'commands=["echo out","echo err >&2","exit 7"]' --comment 'by tag' --query Command.CommandId)
ended "$command"
gives '^Failed	7	out' ssm get-command-invocation --command-id "$command" --instance-id "$node" --query '[Status,ResponseCode,StandardOutputContent]'
gives 'err' ssm get-command-invocation --command-id "$command" --instance-id "$node" --query StandardErrorContent
gives 'by tag' ssm list-commands --command-id "$command" --query 'Commands[].Comment'
gives 'Failed' ssm list-command-invocations --command-id "$command" --details --query 'CommandInvocations[].CommandPlugins[].Status'
command=$(cli ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters commands=id --query Command.CommandId)
ended "$command"
gives '^Success	0' ssm get-command-invocation --command-id "$command" --instance-id "$node" --query '[Status,ResponseCode]'
command=$(cli ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters 'commands=sleep 60' --query Command.CommandId)
running() { cli ssm get-command-invocation --command-id "$command" --instance-id "$node" --query Status | grep -q InProgress; }
await "the command to run" running
gives '' ssm cancel-command --command-id "$command"
ended "$command"
gives 'Cancelled' ssm get-command-invocation --command-id "$command" --instance-id "$node" --query Status
refuses InvalidDocument ssm send-command --document-name NoSuchDocument --instance-ids "$node"
refuses InvalidInstanceId ssm send-command --document-name AWS-RunShellScript --instance-ids mi-00000000000000000 --parameters commands=id
refuses InvalidCommandId ssm cancel-command --command-id 00000000-0000-0000-0000-000000000000
refuses InvocationDoesNotExist ssm get-command-invocation --command-id "$command" --instance-id mi-00000000000000000
gives '' ssm delete-activation --activation-id "$activation"
