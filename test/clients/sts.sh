# Who calls, and signatures.

gives 'arn:aws:iam::123456789012:user/admin' sts get-caller-identity --query Arn
gives 'AKIA|ASIA|WB' sts get-session-token --query Credentials.AccessKeyId
AWS_ACCESS_KEY_ID=AKIANOBODYNOBODYNOB AWS_SECRET_ACCESS_KEY=wrong refuses SignatureDoesNotMatch sts get-caller-identity
AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1 refuses 'InvalidSignatureException|SignatureDoesNotMatch|UnrecognizedClientException' ssm describe-parameters
