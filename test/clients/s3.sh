# Buckets and objects, as the aws CLI and boto3 send them.

head -c 100000 /dev/urandom >"$work/small"
head -c 20000000 /dev/urandom >"$work/large"

gives 'make_bucket' s3 mb s3://outputs
refuses BucketAlreadyOwnedByYou s3api create-bucket --bucket outputs
refuses InvalidBucketName s3api create-bucket --bucket 127.0.0.1
gives 'outputs' s3 ls
gives 'us-east-1' s3api head-bucket --bucket outputs --query BucketRegion
refuses 404 s3api head-bucket --bucket nothing-here
refuses NoSuchBucket s3 ls s3://nothing-here
gives 'None' s3api get-bucket-location --bucket outputs --query LocationConstraint
gives 'AES256' s3api get-bucket-encryption --bucket outputs
gives 'FULL_CONTROL' s3api get-bucket-acl --bucket outputs --query 'Grants[].Permission'

gives '' s3 cp "$work/small" s3://outputs/a/b/small
gives '' s3 cp "$work/large" s3://outputs/a/large
gives '' s3 cp s3://outputs/a/b/small "$work/small.back"
gives '' s3 cp s3://outputs/a/large "$work/large.back"
cmp -s "$work/small" "$work/small.back" || fail "s3 cp" "the same small file" "another"
cmp -s "$work/large" "$work/large.back" || fail "s3 cp" "the same large file" "another"
gives '100000' s3api head-object --bucket outputs --key a/b/small --query ContentLength
gives '-[0-9]+"' s3api head-object --bucket outputs --key a/large --query ETag
gives 'PRE b/.*large' s3 ls s3://outputs/a/
gives 'a/b/small.*a/large' s3api list-objects-v2 --bucket outputs --query 'Contents[].Key'
gives 'a/b/small' s3api list-objects --bucket outputs --max-keys 1 --query 'Contents[].Key'
gives 'bytes 10-19/100000' s3api get-object --bucket outputs --key a/b/small --range bytes=10-19 "$work/range" --query ContentRange
[ "$(wc -c <"$work/range")" -eq 10 ] || fail "s3api get-object --range" "10 bytes" "$(wc -c <"$work/range")"
refuses InvalidRange s3api get-object --bucket outputs --key a/b/small --range bytes=200000- "$work/range"
refuses NoSuchKey s3api get-object --bucket outputs --key none "$work/none"

for algorithm in CRC32 CRC32C CRC64NVME SHA1 SHA256; do
	if [ "$algorithm" = CRC32C ] || [ "$algorithm" = CRC64NVME ]; then
		python3 -c 'import awscrt' 2>/dev/null || { echo "SKIP $algorithm: the aws CLI has no awscrt here"; continue; }
	fi
	gives "" s3api put-object --bucket outputs --key "sums/$algorithm" --body "$work/small" --checksum-algorithm "$algorithm"
done
gives '' s3api put-object --bucket outputs --key 'odd/../key with spaces+and=signs/%2e%2e/ü' --body "$work/small"
gives '100000' s3api head-object --bucket outputs --key 'odd/../key with spaces+and=signs/%2e%2e/ü' --query ContentLength
gives 'odd/../key with' s3api list-objects-v2 --bucket outputs --prefix odd/ --query 'Contents[].Key'
refuses KeyTooLongError s3api put-object --bucket outputs --key "$(head -c 1100 /dev/zero | tr '\0' k)" --body "$work/small"
refuses BadDigest s3api put-object --bucket outputs --key bad --body "$work/small" --content-md5 AAAAAAAAAAAAAAAAAAAAAA==
refuses AccessControlListNotSupported s3api put-object --bucket outputs --key bad --body "$work/small" --acl public-read
refuses AccessDenied s3api list-objects-v2 --bucket outputs --expected-bucket-owner 210987654321
gives 'yes' s3api put-object --bucket outputs --key meta --body "$work/small" --metadata kept=yes --content-type text/plain --query "'yes'"
gives 'yes.*text/plain' s3api head-object --bucket outputs --key meta --query '[Metadata.kept,ContentType]'
refuses PreconditionFailed s3api put-object --bucket outputs --key meta --body "$work/small" --if-none-match '*'
gives '' s3 cp s3://outputs/meta s3://outputs/copy
gives 'yes' s3api head-object --bucket outputs --key copy --query Metadata.kept

# The older CLI presigns with version 2 of the signature unless it is told.
printf '[default]\ns3 =\n  signature_version = s3v4\n' >"$work/config"
url=$(AWS_CONFIG_FILE="$work/config" cli s3 presign s3://outputs/a/b/small --expires-in 60)
python3 - "$url" "$AWS_CA_BUNDLE" "$work/small" <<'PY' || fail "s3 presign" "the object" "something else"
import ssl, sys, urllib.request
url, ca, path = sys.argv[1:]
c = ssl.create_default_context(cafile=ca)
assert urllib.request.urlopen(url, context=c).read() == open(path, "rb").read()
try:
    urllib.request.urlopen(url.replace("small", "large", 1), context=c)
    sys.exit(1)
except urllib.error.HTTPError as e:
    assert e.code == 403, e
PY

gives '' s3api put-bucket-tagging --bucket outputs --tagging 'TagSet=[{Key=watchbill:nodes,Value=read}]'
gives 'watchbill:nodes.*read' s3api get-bucket-tagging --bucket outputs --query 'TagSet[].[Key,Value]'
refuses BucketNotEmpty s3api delete-bucket --bucket outputs
gives 'delete' s3 rm s3://outputs --recursive
gives 'remove_bucket' s3 rb s3://outputs
