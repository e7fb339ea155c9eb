# Documents.

cat >"$work/doc.yaml" <<'DOC'
schemaVersion: '2.2'
description: Say hello
parameters:
  who: {type: String, default: world, allowedPattern: '^[a-z]+$'}
mainSteps:
  - action: aws:runShellScript
    name: hello
    inputs: {runCommand: ['echo hello {{ who }}']}
DOC
sed 's/hello {{/hi {{/' "$work/doc.yaml" >"$work/doc2.yaml"
gives 'Hello.*Creating|Hello.*Active' ssm create-document --name Hello --document-type Command --document-format YAML --content "file://$work/doc.yaml" --tags Key=a,Value=b --query 'DocumentDescription.[Name,Status]'
refuses DocumentAlreadyExists ssm create-document --name Hello --document-type Command --document-format YAML --content "file://$work/doc.yaml"
refuses InvalidDocumentContent ssm create-document --name Bad --document-type Command --document-format YAML --content 'schemaVersion: "2.2"'
refuses InvalidDocumentContent ssm create-document --name Bad --document-type Automation --document-format YAML --content '{"schemaVersion":"0.3","mainSteps":[{"name":"a","action":"aws:noSuch","inputs":{}}]}'
gives 'hello \{\{ who' ssm get-document --name Hello --query Content
gives '^2' ssm update-document --name Hello --document-format YAML --document-version '$LATEST' --content "file://$work/doc2.yaml" --query DocumentDescription.DocumentVersion
refuses DuplicateDocumentContent ssm update-document --name Hello --document-format YAML --document-version '$LATEST' --content "file://$work/doc2.yaml"
gives '^1' ssm describe-document --name Hello --query Document.DefaultVersion
gives '2' ssm update-document-default-version --name Hello --document-version 2 --query Description.DefaultVersion
gives 'hi \{\{ who' ssm get-document --name Hello --query Content
gives '2.*1|1.*2' ssm list-document-versions --name Hello --query 'DocumentVersions[].DocumentVersion'
gives 'Hello' ssm list-documents --filters Key=Owner,Values=Self --query 'DocumentIdentifiers[].Name'
gives 'AWS-RunShellScript' ssm list-documents --filters Key=Name,Values=AWS-RunShell --query 'DocumentIdentifiers[].Name'
gives '' ssm modify-document-permission --name Hello --permission-type Share --account-ids-to-add 210987654321
gives '210987654321' ssm describe-document-permission --name Hello --permission-type Share --query AccountIds
gives '' ssm modify-document-permission --name Hello --permission-type Share --account-ids-to-remove 210987654321
gives 'b' ssm list-tags-for-resource --resource-type Document --resource-id Hello --query 'TagList[].Value'
refuses InvalidDocument ssm get-document --name NoSuchDocument
refuses InvalidDocumentVersion ssm get-document --name Hello --document-version 9
gives '' ssm delete-document --name Hello
refuses InvalidDocument ssm describe-document --name Hello

# Runbooks: what is wrong with the content, reviews, and the documents of AWS.

book="$work/book.yaml"
cat >"$book" <<'END'
schemaVersion: "0.3"
description: look at a node
parameters:
  Node: {type: String}
mainSteps:
- name: look
  action: aws:runCommand
  inputs: {DocumentName: AWS-RunShellScript, InstanceIds: ["{{ Node }}"], Parameters: {commands: [uptime]}}
END
sed 's/uptime/date/' "$book" >"$work/book2.yaml"
sed 's/aws:runCommand/aws:runComand/' "$book" >"$work/unknown.yaml"
{ cat "$book"; echo '  nextStep: gone'; } >"$work/missing.yaml"
{ cat "$book"; echo '  nextStep: look'; } >"$work/cycle.yaml"
new="ssm create-document --document-type Automation --document-format YAML"

gives 'Active' $new --name Look --content "file://$book" --version-name first --tags Key=Team,Value=ops --query DocumentDescription.Status
refuses DocumentAlreadyExists $new --name Look --content "file://$book"
refuses ValidationException $new --name AWS-Look --content "file://$book"
refuses InvalidDocumentSchemaVersion ssm create-document --name Bad --document-format YAML --content "file://$book"
for bad in unknown missing cycle; do
	refuses InvalidDocumentContent $new --name Bad --content "file://$work/$bad.yaml"
done
if ! cli $new --name Bad --content "file://$work/unknown.yaml" 2>&1 | grep -q 'line 7: step "look": mainSteps\[0\].action: unknown action'; then
	fail "$new" "line and step of the unknown action" "something else"
fi
gives '^2.1$' ssm update-document --name Look --document-version '$LATEST' --document-format YAML --content "file://$work/book2.yaml" --query 'join(`/`,[DocumentDescription.LatestVersion,DocumentDescription.DefaultVersion])'
refuses DuplicateDocumentContent ssm update-document --name Look --document-version '$LATEST' --document-format YAML --content "file://$work/book2.yaml"
refuses InvalidDocumentVersion ssm update-document --name Look --document-version 1 --document-format YAML --content "file://$book"
gives 'uptime' ssm get-document --name Look --query Content
gives 'date' ssm get-document --name Look --document-version '$LATEST' --query Content
gives '"commands"' ssm get-document --name Look --version-name first --document-format JSON --query Content
gives '^2' ssm update-document-default-version --name Look --document-version 2 --query Description.DefaultVersion
gives 'True.*False' ssm list-document-versions --name Look --query 'DocumentVersions[].IsDefaultVersion'
gives '[0-9a-f]{64}' ssm describe-document --name arn:aws:ssm:us-east-1:123456789012:document/Look --query Document.Hash
gives 'Look' ssm list-documents --filters Key=tag:Team,Values=ops --query 'DocumentIdentifiers[].Name'
refuses InvalidFilterKey ssm list-documents --filters Key=Colour,Values=red

gives '' ssm modify-document-permission --name Look --permission-type Share --account-ids-to-add 210987654321
refuses InvalidDocumentOperation ssm delete-document --name Look
gives '' ssm modify-document-permission --name Look --permission-type Share --account-ids-to-remove 210987654321
gives '' ssm update-document-metadata --name Look --document-reviews 'Action=SendForReview,Comment=[{Type=Comment,Content=please}]'
gives 'PENDING' ssm list-document-metadata-history --name Look --metadata DocumentReviews --query 'Metadata.ReviewerResponse[].ReviewStatus'

gives 'Amazon' ssm describe-document --name AWS-RunShellScript --query Document.Owner
refuses InvalidDocumentOperation ssm delete-document --name AWS-RunShellScript
refuses InvalidDocument ssm get-document --name SSM-SessionManagerRunShell
refuses InvalidDocumentOperation ssm delete-document --name Look --document-version 2
gives '' ssm delete-document --name Look
refuses InvalidDocument ssm describe-document --name Look
