# The documents that our own agent runs: content from everywhere, documents in
# documents, secrets, inventory, an update of the agent itself.

# The role that the agent's activation names may read some secrets.
cat >"$work/hub/identity.yaml" <<'YAML'
policies:
  - name: agents
    document:
      Version: 2012-10-17
      Statement: [{Effect: Allow, Action: ssm:GetParameters, Resource: "arn:aws:ssm:*:*:parameter/agent/*"}]
roles:
  - name: agents
    policies: [agents]
    trust:
      Version: 2012-10-17
      Statement: [{Effect: Allow, Action: sts:AssumeRole, Principal: {Service: ssm.amazonaws.com}}]
YAML

# An agent that is a copy of its own, since it replaces its file, and a release for it.
mkdir -p "$work/hub/releases"
key=$("$root/bin/watchbill" release key "$work/release.pem")
echo "$key" >"$work/hub/releases/release.pub"
cp "$root/bin/watchbill" "$work/agent-program"
set -- $(cli ssm create-activation --iam-role agents --tags Key=Service,Value=agent --query '[ActivationId,ActivationCode]')
node=$("$work/agent-program" agent register --hub "$AWS_ENDPOINT_URL" --ca "$AWS_CA_BUNDLE" --activation-id "$1" --activation-code "$2" --state "$work/agent")
grep -q "$key" "$work/agent/state.json" || fail "agent register" "the release key in the state" "none"
"$work/agent-program" agent run --state "$work/agent" --allow-loopback >"$work/agent-own.log" 2>&1 &
pids="$pids $!"
there() { cli ssm describe-instance-information --filters "Key=InstanceIds,Values=$node" --query 'InstanceInformationList[].PingStatus' | grep -q Online; }
await "the agent" there
done_() { cli ssm get-command-invocation --command-id "$1" --instance-id "$node" --query Status | grep -Eq 'Success|Failed|Cancelled|TimedOut'; }

# does WANT DOCUMENT PARAMETERS: the status and the output of a command match.
does() {
	match=$1
	document=$2
	shift 2
	command=$(cli ssm send-command --document-name "$document" --instance-ids "$node" "$@" --query Command.CommandId)
	await "command $command" done_ "$command"
	# Several steps: their outputs are those of the list.
	gives "$match" ssm list-command-invocations --command-id "$command" --details --query 'CommandInvocations[].[Status,CommandPlugins[].Output]'
}
put() {
	gives Active ssm create-document --name "$1" --document-type Command --document-format YAML --content "file://$2" --query DocumentDescription.Status || true
}

cat >"$work/greet.yaml" <<'YAML'
schemaVersion: "2.2"
parameters: {who: {type: String, allowedPattern: "^[a-z]+$"}}
mainSteps:
  - {action: "aws:runShellScript", name: greet, inputs: {runCommand: ["echo hello {{ who }}"]}}
YAML
cat >"$work/nest.yaml" <<'YAML'
schemaVersion: "2.2"
mainSteps:
  - {action: "aws:runDocument", name: nest, inputs: {documentType: SSMDocument, documentPath: Greet, documentParameters: {who: nested}}}
  - {action: "aws:noSuchPlugin", name: odd, precondition: {StringEquals: [platformType, Windows]}, inputs: {}}
  - {action: "aws:softwareInventory", name: collect, inputs: {applications: Enabled, awsComponents: Enabled, instanceDetailedInformation: Enabled}}
YAML
sed -i '/noSuchPlugin/d' "$work/nest.yaml"
cat >"$work/fetch.yaml" <<'YAML'
schemaVersion: "2.2"
parameters: {type: {type: String}, info: {type: StringMap}, to: {type: String, default: ""}}
mainSteps:
  - {action: "aws:downloadContent", name: fetch, inputs: {sourceType: "{{ type }}", sourceInfo: "{{ info }}", destinationPath: "{{ to }}", onFailure: exit}}
  - {action: "aws:runShellScript", name: show, inputs: {onFailure: exit, runCommand: ["find . -type f | sort | xargs cat"]}}
YAML
sed -i 's/StringMap/String/' "$work/fetch.yaml"
cat >"$work/secret.yaml" <<'YAML'
schemaVersion: "2.2"
mainSteps:
  - {action: "aws:runShellScript", name: use, inputs: {runCommand: ["printf %s '{{ssm-secure:/agent/key}}' | wc -c", "echo {{ssm-secure:/agent/key}}"]}}
YAML
sed 's#/agent/key#/other/key#g' "$work/secret.yaml" >"$work/other.yaml"
put Greet "$work/greet.yaml"
put Nest "$work/nest.yaml"
put Fetch "$work/fetch.yaml"
put Secret "$work/secret.yaml"
put Other "$work/other.yaml"

does 'Success.*hello nested.*AWS:Application: [1-9]' Nest
does 'Success.*hello world' AWS-RunDocument --parameters '{"sourceType":["SSMDocument"],"sourceInfo":["{\"name\":\"Greet\"}"],"documentParameters":["{\"who\":\"world\"}"]}'
does 'Success.*greet' Fetch --parameters '{"type":["SSMDocument"],"info":["{\"name\":\"Greet\"}"]}'
does 'Failed.*leads out' Fetch --parameters '{"type":["SSMDocument"],"info":["{\"name\":\"Greet\"}"],"to":["../../out"]}'

# A web server on this machine.
mkdir -p "$work/web"
echo 'echo from the web' >"$work/web/script.sh"
python3 -u -m http.server --bind 127.0.0.1 --directory "$work/web" 0 >"$work/web.log" 2>&1 &
pids="$pids $!"
await "the web server" grep -q 'port [0-9]' "$work/web.log"
port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$work/web.log")
sum=$(sha256sum "$work/web/script.sh" | cut -d' ' -f1)
web() { printf '{"type":["HTTP"],"info":["{\\"url\\":\\"http://127.0.0.1:%s/script.sh\\",\\"allowInsecureDownload\\":true,\\"sha256\\":\\"%s\\"}"]}' "$port" "$1"; }
does 'Success.*from the web' Fetch --parameters "$(web "$sum")"
does 'Failed.*has SHA-256' Fetch --parameters "$(web 0000)"

gives '1' ssm put-parameter --name /agent/key --type SecureString --value agent-canary-17 --query Version
gives '1' ssm put-parameter --name /other/key --type SecureString --value other-canary --query Version
does 'Success.*15' Secret
does 'Success.*[*][*][*][*]' Secret
if grep -rqs agent-canary-17 "$work/agent" "$work/agent-own.log" "$work/hub"; then
	fail "ssm send-command" "no secret in any file" "$(grep -rls agent-canary-17 "$work/agent" "$work/hub")"
fi
does 'Failed.*AccessDenied' Other

# An object of the hub's own store.
gives 'make_bucket' s3 mb s3://agent-content
gives '' s3 cp "$work/web/script.sh" s3://agent-content/dir/script.sh
does 'Failed.*AccessDenied' Fetch --parameters '{"type":["S3"],"info":["{\"path\":\"s3://agent-content/dir/script.sh\"}"]}'
gives '' s3api put-bucket-tagging --bucket agent-content --tagging 'TagSet=[{Key=watchbill:nodes,Value=read}]'
does 'Success.*from the web' Fetch --parameters '{"type":["S3"],"info":["{\"path\":\"s3://agent-content/dir/script.sh\"}"]}'
does 'Success.*from the web' Fetch --parameters '{"type":["S3"],"info":["{\"path\":\"s3://agent-content/dir/\"}"]}'

# The agent's own update: the same program under another number is refused by its
# number, a bad signature by its key.
does 'Failed' AWS-UpdateSSMAgent
"$root/bin/watchbill" release sign --key "$work/release.pem" --version 9.9.9 "$work/agent-program" >"$work/hub/releases/manifest.json"
cp "$work/agent-program" "$work/hub/releases/"
does 'Failed.*the release says 9.9.9' AWS-UpdateSSMAgent
"$root/bin/watchbill" release key "$work/foreign.pem" >/dev/null
"$root/bin/watchbill" release sign --key "$work/foreign.pem" --version 9.9.9 "$work/agent-program" >"$work/hub/releases/manifest.json"
does 'Failed.*not signed' AWS-UpdateSSMAgent
if curl -sk -o /dev/null -w '%{http_code}' "$AWS_ENDPOINT_URL/agent/releases/manifest.json" | grep -qv 403; then
	fail "GET /agent/releases" "a refusal without a node's signature" "an answer"
fi
