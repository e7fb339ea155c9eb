# Keys, aliases and ciphertexts.

key=$(cli kms create-key --description "of the tests" --query KeyMetadata.KeyId)
gives '' kms create-alias --alias-name alias/tests --target-key-id "$key"
refuses AlreadyExistsException kms create-alias --alias-name alias/tests --target-key-id "$key"
gives "of the tests" kms describe-key --key-id alias/tests --query KeyMetadata.Description
gives 'alias/aws/ssm|AWS' kms describe-key --key-id alias/aws/ssm --query KeyMetadata.KeyManager
gives 'alias/tests' kms list-aliases --query 'Aliases[].AliasName'
gives "$key" kms list-keys --query 'Keys[].KeyId'

printf 'canary-plaintext' >"$work/plain"
cli kms encrypt --key-id alias/tests --plaintext "fileb://$work/plain" --encryption-context a=1 --query CiphertextBlob | base64 -d >"$work/cipher"
gives 'Y2FuYXJ5LXBsYWludGV4dA==' kms decrypt --ciphertext-blob "fileb://$work/cipher" --encryption-context a=1 --query Plaintext
refuses InvalidCiphertextException kms decrypt --ciphertext-blob "fileb://$work/cipher" --encryption-context a=2
refuses InvalidCiphertextException kms decrypt --ciphertext-blob "fileb://$work/plain"
gives "key/$key" kms generate-data-key --key-id alias/tests --number-of-bytes 64 --query KeyId
gives "key/$key" kms generate-data-key-without-plaintext --key-id alias/tests --key-spec AES_256 --query KeyId
refuses ValidationException kms generate-data-key --key-id alias/tests
refuses NotFoundException kms encrypt --key-id alias/none --plaintext aGVsbG8=
refuses UnsupportedOperationException kms create-key --key-spec RSA_2048 --key-usage SIGN_VERIFY

gives '' kms disable-key --key-id "$key"
refuses DisabledException kms decrypt --ciphertext-blob "fileb://$work/cipher" --encryption-context a=1
gives '' kms enable-key --key-id "$key"
gives 'PendingDeletion' kms schedule-key-deletion --key-id "$key" --pending-window-in-days 7 --query KeyState
refuses KMSInvalidStateException kms enable-key --key-id "$key"
gives "$key" kms cancel-key-deletion --key-id "$key" --query KeyId
gives '' kms delete-alias --alias-name alias/tests
refuses NotFoundException kms describe-key --key-id alias/tests
