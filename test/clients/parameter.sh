# Parameters, tags and service settings.

gives '^1' ssm put-parameter --name /app/greeting --type String --value hello --query Version
gives '^hello$' ssm get-parameter --name /app/greeting --query Parameter.Value
gives 'arn:aws:ssm:us-east-1:123456789012:parameter/app/greeting' ssm get-parameter --name /app/greeting --query Parameter.ARN
refuses ParameterAlreadyExists ssm put-parameter --name /app/greeting --type String --value again
gives '^2' ssm put-parameter --name /app/greeting --value again --overwrite --query Version
gives '^hello$' ssm get-parameter --name /app/greeting:1 --query Parameter.Value
refuses ParameterNotFound ssm get-parameter --name /app/none
refuses ParameterVersionNotFound ssm get-parameter --name /app/greeting:9
gives '^1$' ssm put-parameter --name /app/password --type SecureString --value hunter2-canary --query Version
gives '^hunter2-canary$' ssm get-parameter --name /app/password --with-decryption --query Parameter.Value
if cli ssm get-parameter --name /app/password --query Parameter.Value | grep -q canary; then
	fail "ssm get-parameter" "no plain text without decryption" "the plain text"
fi
gives '/app/greeting.*/app/password' ssm get-parameters-by-path --path /app --recursive --query 'Parameters[].Name'
gives '/app/none' ssm get-parameters --names /app/greeting /app/none --query InvalidParameters
gives 'hello.*again' ssm get-parameter-history --name /app/greeting --query 'Parameters[].Value'
gives '/app/greeting' ssm describe-parameters --parameter-filters Key=Name,Option=BeginsWith,Values=/app/g --query 'Parameters[].Name'
gives '^1' ssm label-parameter-version --name /app/greeting --parameter-version 1 --labels stable --query ParameterVersion
gives '^hello$' ssm get-parameter --name /app/greeting:stable --query Parameter.Value
gives 'stable' ssm unlabel-parameter-version --name /app/greeting --parameter-version 1 --labels stable --query RemovedLabels
refuses ValidationException ssm put-parameter --name 'bad name' --type String --value x
refuses ParameterPatternMismatchException ssm put-parameter --name /app/n --type String --value x --allowed-pattern '^[0-9]+$'

gives '' ssm add-tags-to-resource --resource-type Parameter --resource-id /app/greeting --tags Key=Environment,Value=prod
gives 'Environment.*prod' ssm list-tags-for-resource --resource-type Parameter --resource-id /app/greeting --query 'TagList[].[Key,Value]'
gives '/app/greeting' ssm describe-parameters --parameter-filters Key=tag:Environment,Values=prod --query 'Parameters[].Name'
gives '' ssm remove-tags-from-resource --resource-type Parameter --resource-id /app/greeting --tag-keys Environment
refuses InvalidResourceId ssm add-tags-to-resource --resource-type Parameter --resource-id /app/none --tags Key=a,Value=b

gives 'Standard' ssm get-service-setting --setting-id /ssm/parameter-store/default-parameter-tier --query ServiceSetting.SettingValue
gives '' ssm update-service-setting --setting-id /ssm/parameter-store/default-parameter-tier --setting-value Advanced
gives 'Advanced' ssm get-service-setting --setting-id /ssm/parameter-store/default-parameter-tier --query ServiceSetting.SettingValue
gives 'Standard' ssm reset-service-setting --setting-id /ssm/parameter-store/default-parameter-tier --query ServiceSetting.SettingValue
refuses ServiceSettingNotFound ssm get-service-setting --setting-id /ssm/none

gives '/app/greeting' ssm delete-parameters --names /app/greeting /app/none --query DeletedParameters
gives '' ssm delete-parameter --name /app/password
refuses ParameterNotFound ssm delete-parameter --name /app/password
