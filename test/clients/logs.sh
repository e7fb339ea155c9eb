# Log groups, streams and events.

gives '' logs create-log-group --log-group-name /aws/ssm/tests
refuses ResourceAlreadyExistsException logs create-log-group --log-group-name /aws/ssm/tests
gives '' logs create-log-stream --log-group-name /aws/ssm/tests --log-stream-name one
refuses ResourceNotFoundException logs create-log-stream --log-group-name /none --log-stream-name one
now=$(($(date +%s) * 1000))
gives '[0-9]+' logs put-log-events --log-group-name /aws/ssm/tests --log-stream-name one --query nextSequenceToken \
	--log-events "timestamp=$((now - 2000)),message=first line" "timestamp=$((now - 1000)),message=an ERROR line" "timestamp=$now,message=last line"
gives '1' logs put-log-events --log-group-name /aws/ssm/tests --log-stream-name one --query rejectedLogEventsInfo.tooNewLogEventStartIndex \
	--log-events "timestamp=$now,message=again" "timestamp=$((now + 3 * 3600000)),message=too new"
refuses InvalidParameterException logs put-log-events --log-group-name /aws/ssm/tests --log-stream-name one \
	--log-events "timestamp=$now,message=b" "timestamp=$((now - 1)),message=a"
gives 'first line.*an ERROR line.*last line.*again' logs get-log-events --log-group-name /aws/ssm/tests --log-stream-name one --query 'events[].message'
gives 'first line' logs get-log-events --log-group-name /aws/ssm/tests --log-stream-name one --start-from-head --limit 1 --query 'events[].message'
gives 'again' logs get-log-events --log-group-name /aws/ssm/tests --log-stream-name one --limit 1 --query 'events[].message'
gives '^an ERROR line$' logs filter-log-events --log-group-name /aws/ssm/tests --filter-pattern ERROR --query 'events[].message'
gives '^an ERROR line$' logs filter-log-events --log-group-name /aws/ssm/tests --filter-pattern '"an ERROR" -first' --query 'events[].message'
refuses InvalidParameterException logs filter-log-events --log-group-name /aws/ssm/tests --filter-pattern '{ $.a = 1 }'
case $(aws --version 2>&1) in
aws-cli/1.*) echo "SKIP logs tail: this aws CLI has none" ;;
*) gives 'ERROR' logs tail /aws/ssm/tests --since 10m ;;
esac
gives 'one' logs describe-log-streams --log-group-name /aws/ssm/tests --order-by LastEventTime --descending --query 'logStreams[].logStreamName'
gives '' logs put-retention-policy --log-group-name /aws/ssm/tests --retention-in-days 7
gives '7' logs describe-log-groups --log-group-name-prefix /aws/ssm --query 'logGroups[].retentionInDays'
refuses InvalidParameterException logs put-retention-policy --log-group-name /aws/ssm/tests --retention-in-days 8
gives '' logs delete-retention-policy --log-group-name /aws/ssm/tests
gives '' logs delete-log-stream --log-group-name /aws/ssm/tests --log-stream-name one
gives '' logs delete-log-group --log-group-name /aws/ssm/tests
refuses ResourceNotFoundException logs delete-log-group --log-group-name /aws/ssm/tests
