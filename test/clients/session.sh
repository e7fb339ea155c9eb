# Sessions, as far as they go without the stock plugin: in its place stands a script
# that says what the CLI gave it. The node is that of node.sh. And locks.

mkdir -p "$work/bin"
cat >"$work/bin/session-manager-plugin" <<'PLUGIN'
#!/bin/sh
case $1 in
--version) echo 1.3.0.0 ;;
AWS_SSM_START_SESSION_RESPONSE) echo "$AWS_SSM_START_SESSION_RESPONSE" ;;
*) echo "$1" ;;
esac
PLUGIN
chmod 755 "$work/bin/session-manager-plugin"
# started ARGS... is the id of a session that was started.
started() { PATH="$work/bin:$PATH" cli ssm start-session --target "$node" --document-name AWS-StartPortForwardingSession "$@" | sed -n 's/.*"SessionId": *"\([^"]*\)".*/\1/p'; }
wb() { "$root/bin/watchbill" "$@" 2>&1; }
# says WANT ARGS...: watchbill with these arguments says WANT, an extended regular
# expression; nothing when that is empty.
says() {
	want=$1
	shift
	got=$(wb "$@") || true
	if { [ -z "$want" ] && [ -z "$got" ]; } || { [ -n "$want" ] && printf '%s' "$got" | tr '\n' ' ' | grep -Eq -- "$want"; }; then
		passed=$((passed + 1))
	else
		fail "watchbill $*" "${want:-nothing}" "$got"
	fi
}

gives 'connected' ssm get-connection-status --target "$node" --query Status
gives 'notconnected' ssm get-connection-status --target mi-00000000000000000 --query Status
export PATH="$work/bin:$PATH"
gives '"StreamUrl": *"wss://.*/v1/data-channel/admin-[0-9a-f]{17}\?role=publish_subscribe"' ssm start-session --target "$node" --document-name AWS-StartPortForwardingSession --reason 'look at it'
first=$(cli ssm describe-sessions --state Active --query 'Sessions[0].SessionId')
gives "$node.*look at it.*Standard|Standard.*$node.*look at it|.*look at it" ssm describe-sessions --state Active --filters "key=SessionId,value=$first"
gives "$first" ssm describe-sessions --state Active --filters "key=Target,value=$node" key=Owner,value=arn:aws:iam::123456789012:user/admin --query 'Sessions[].SessionId'
gives '[0-9a-f]{64}.*wss://|wss://.*[0-9a-f]{64}' ssm resume-session --session-id "$first"
says "$first.*look at it" sessions
gives "$first" ssm terminate-session --session-id "$first"
gives "$first" ssm terminate-session --session-id "$first"
terminated() { cli ssm describe-sessions --state History --filters "key=SessionId,value=$first" --query 'Sessions[].Status' | grep -q Terminated; }
await "the end of the session" terminated
gives '^None' ssm resume-session --session-id "$first" --query TokenValue
refuses TargetNotConnected ssm start-session --target mi-00000000000000000
refuses InvalidDocument ssm start-session --target "$node" --document-name AWS-RunShellScript
refuses InvalidDocument ssm start-session --target "$node" --document-name NoSuchDocument
refuses ValidationException ssm start-session --target "$node" --document-name AWS-StartPortForwardingSession --parameters portNumber=99999
refuses ValidationException ssm start-session --target "$node" --document-name AWS-StartPortForwardingSessionToRemoteHost --parameters host=0xa9fea9fe,portNumber=80
refuses DoesNotExistException ssm resume-session --session-id admin-00000000000000000
refuses InvalidNextToken ssm describe-sessions --state Active --no-paginate --next-token x

second=$(started)
lock=$(wb lock add node "$node" --reason 'reported stolen' --for 1h)
locked() { cli ssm describe-sessions --state History --filters "key=SessionId,value=$second" --query 'Sessions[].Details' | grep -q 'ended by a lock'; }
await "the lock's end of the session" locked
refuses AccessDeniedException ssm start-session --target "$node" --document-name AWS-StartPortForwardingSession
refuses AccessDeniedException ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters commands=id
says "$lock *ManagedInstance.*reported stolen" lock list
says 'cannot lock yourself' lock add user admin --reason no
says 'ConflictException' lock add node "$node" --reason again
says '' lock remove "$lock" --reason found
says 'DoesNotExistException' lock remove "$lock" --reason again
command=$(cli ssm send-command --document-name AWS-RunShellScript --instance-ids "$node" --parameters commands=id --query Command.CommandId)
ended "$command"
gives '^Success' ssm get-command-invocation --command-id "$command" --instance-id "$node" --query Status
says 'RecordingNotAvailable' replay "$second"
