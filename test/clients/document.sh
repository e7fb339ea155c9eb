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
