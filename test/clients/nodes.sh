# The nodes of a hub, as the aws CLI and as watchbill nodes show them, and what makes a
# machine one.

set -- $(cli ssm create-activation --iam-role watchbill-node --registration-limit 1 --default-instance-name bench --tags Key=Role,Value=bench --query '[ActivationId,ActivationCode]')
bench=$("$root/bin/watchbill" agent register --hub "$AWS_ENDPOINT_URL" --ca "$AWS_CA_BUNDLE" --activation-id "$1" --activation-code "$2" --state "$work/bench")
"$root/bin/watchbill" agent run --state "$work/bench" >"$work/bench.log" 2>&1 &
pids="$pids $!"
online() { "$root/bin/watchbill" nodes --filter PingStatus=Online --filter tag:Role=bench | grep -q "$bench"; }
await "the node in watchbill nodes" online
table=$("$root/bin/watchbill" nodes --filter tag:Role=bench)
case $table in
*"$bench"*bench*Online*Role=bench*) passed=$((passed + 1)) ;;
*) fail "watchbill nodes" "the node with its tag" "$table" ;;
esac
if "$root/bin/watchbill" nodes --filter tag:Role=none --json | tr -d '\n ' | grep -q '^\[\]$'; then passed=$((passed + 1)); else fail "watchbill nodes --json" "[]" ""; fi
gives "$bench" ssm describe-instance-properties --filters-with-operator Key=InstanceIds,Values="$bench",Operator=Equal --query 'InstanceProperties[].InstanceId'
gives "$bench" ssm list-nodes --filters Key=InstanceId,Values="$bench",Type=Equal --query 'Nodes[].Id'
gives 'Linux' ssm list-nodes-summary --aggregators AggregatorType=Count,TypeName=Instance,AttributeName=PlatformType --query 'Summary[].PlatformType'
refuses ResourceDataSyncNotFoundException ssm list-nodes --sync-name none
if "$root/bin/watchbill" node install-config --agent amazon-ssm-agent >"$work/install.sh" && sh -n "$work/install.sh" && grep -q '"Mgs"' "$work/install.sh"; then
	passed=$((passed + 1))
else
	fail "watchbill node install-config" "a script" "$(cat "$work/install.sh")"
fi
