// Package hub finds the hub that the commands of a person talk to, and the keys
// they sign with, where the aws CLI finds them: in the environment and in the
// files of a profile.
//
// What is read: AWS_ENDPOINT_URL, AWS_REGION (else AWS_DEFAULT_REGION),
// AWS_CA_BUNDLE, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN, AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE and
// AWS_CONFIG_FILE. Of a profile: the three keys, region, endpoint_url and
// ca_bundle. Roles to assume, single sign-on and credential processes are not.
// The environment wins over the files, also where AWS_PROFILE names a profile,
// as it does for the aws CLI.
package hub
