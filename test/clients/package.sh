# A package of our own: the archive in a bucket of the hub, the document with its
# attachment, and the package on the agent of agent.sh.

mkdir -p "$work/package"
cat >"$work/package/install.sh" <<'SH'
echo "installs $BWS_PACKAGE_NAME $BWS_PACKAGE_VERSION"
SH
echo 'echo "removes $BWS_PACKAGE_NAME $BWS_PACKAGE_VERSION"' >"$work/package/uninstall.sh"
python3 - "$work/package" "$work/tool.zip" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[2], "w") as z:
    for name in ("install.sh", "uninstall.sh"):
        z.write(sys.argv[1] + "/" + name, name)
PY

# package VERSION SHA256 [FILE]: a manifest.
package() {
	printf '{"schemaVersion":"2.0","version":"%s","packages":{"_any":{"_any":{"_any":{"file":"%s"}}}},"files":{"%s":{"checksums":{"sha256":"%s"}}}}' "$1" "${3:-tool.zip}" "${3:-tool.zip}" "$2" >"$work/manifest.json"
}
# becomes STATUS NAME [VERSION]: the attachments of a document come to an end.
status() { cli ssm describe-document --name "$2" --document-version "${3:-1}" --query Document.Status | grep -q "$1"; }
becomes() { await "the status $1 of $2" status "$@"; }

sum=$(sha256sum "$work/tool.zip" | cut -d' ' -f1)
none=0000000000000000000000000000000000000000000000000000000000000000
gives 'make_bucket' s3 mb s3://packages
gives '' s3 cp "$work/tool.zip" s3://packages/tools/tool.zip

package 1.0.0 "$sum"
gives 'Creating.*tool.zip' ssm create-document --name Tool --document-type Package --content "file://$work/manifest.json" --version-name 1.0.0 \
	--attachments Key=S3FileUrl,Values=s3://packages/tools/tool.zip,Name=tool.zip --query 'DocumentDescription.[Status,AttachmentsInformation[].Name]'
becomes Active Tool
gives "^tool.zip	$sum	Sha256	$(wc -c <"$work/tool.zip")" ssm get-document --name Tool --query 'AttachmentsContent[].[Name,Hash,HashType,Size]'
url=$(cli ssm get-document --name Tool --query 'AttachmentsContent[0].Url')
[ "$(curl -s --cacert "$AWS_CA_BUNDLE" "$url" | sha256sum | cut -d' ' -f1)" = "$sum" ] || fail "ssm get-document" "a URL with the archive" "$url"
for other in "$url"0 "${url%%\?*}" "$(echo "$url" | sed 's/expires=1/expires=2/')" "$(echo "$url" | sed 's#/0/#/1/#')"; do
	curl -s -o /dev/null -w '%{http_code}' --cacert "$AWS_CA_BUNDLE" "$other" | grep -q 403 || fail "GET $other" 403 "an answer"
done

does 'Success.*installs Tool 1.0.0' AWS-ConfigureAWSPackage --parameters action=Install,name=Tool
does 'Success.*installed already' AWS-ConfigureAWSPackage --parameters action=Install,name=Tool,version=1.0.0

# The next version takes the archive over from the one before.
package 2.0.0 "$sum"
gives '^2	Updating' ssm update-document --name Tool --document-version '$LATEST' --version-name 2.0.0 --content "file://$work/manifest.json" \
	--attachments Key=AttachmentReference,Values=Tool/1/tool.zip,Name=tool.zip --query 'DocumentDescription.[DocumentVersion,Status]'
becomes Active Tool 2
does 'Success.*removes Tool 1.0.0.*installs Tool 2.0.0' AWS-ConfigureAWSPackage --parameters action=Install,name=Tool,version=2.0.0
gives '' ssm delete-document --name Tool --document-version 2
does 'Success.*removes Tool 2.0.0' AWS-ConfigureAWSPackage --parameters action=Uninstall,name=Tool

# What goes wrong says why.
failing() {
	becomes Failed "$1"
	gives "$2" ssm describe-document --name "$1" --query Document.StatusInformation
}
package 1.0.0 $none
gives Creating ssm create-document --name WrongSum --document-type Package --content "file://$work/manifest.json" --attachments Key=SourceUrl,Values=s3://packages/tools --query DocumentDescription.Status
failing WrongSum 'has the SHA-256'
does 'Failed' AWS-ConfigureAWSPackage --parameters action=Install,name=WrongSum
package 1.0.0 "$sum"
gives Creating ssm create-document --name Missing --document-type Package --content "file://$work/manifest.json" --attachments Key=S3FileUrl,Values=s3://packages/none,Name=tool.zip --query DocumentDescription.Status
failing Missing 'does not exist'
gives Creating ssm create-document --name Inside --document-type Package --content "file://$work/manifest.json" --attachments Key=S3FileUrl,Values=https://169.254.169.254/latest,Name=tool.zip --query DocumentDescription.Status
failing Inside 'may not go'
package 1.0.0 "$sum" ../tool.zip
refuses InvalidDocumentContent ssm create-document --name Upwards --document-type Package --content "file://$work/manifest.json" --attachments Key=S3FileUrl,Values=s3://packages/tools/tool.zip,Name=tool.zip
refuses ValidationException ssm create-document --name Upwards --document-type Package --content "file://$work/manifest.json" --attachments Key=SourceUrl,Values=s3://packages/tools
gives '' ssm delete-document --name Tool
