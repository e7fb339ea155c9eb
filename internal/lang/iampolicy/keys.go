package iampolicy

import "strings"

// Keys that requests can carry, in lower case: the global ones and those of
// ssm, ssm-incidents, ssm-contacts and sts.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
var knownKeys = set(
	"aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:CurrentTime", "aws:EpochTime",
	"aws:FederatedProvider", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent", "aws:PrincipalAccount",
	"aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths",
	"aws:PrincipalServiceName", "aws:PrincipalServiceNamesList", "aws:PrincipalType", "aws:Referer",
	"aws:RequestedRegion", "aws:ResourceAccount", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn",
	"aws:SourceIdentity", "aws:SourceIp", "aws:TagKeys", "aws:TokenIssueTime", "aws:UserAgent", "aws:userid",
	"aws:username", "aws:ViaAWSService", "aws:VpcSourceIp",
	"sts:ExternalId", "sts:RoleSessionName", "sts:SourceIdentity", "sts:TransitiveTagKeys",
	"iam:PassedToService", "iam:AssociatedResourceArn",
	"ssm:AccessRequestId", "ssm:AutoApprove", "ssm:DocumentCategories", "ssm:DocumentType", "ssm:DocumentVersion",
	"ssm:InventoryTypeName", "ssm:Overwrite", "ssm:Policies", "ssm:Recursive", "ssm:SessionDocumentAccessCheck",
	"ssm:SourceInstanceARN", "ssm:SyncType", "ec2:SourceInstanceARN",
)

var knownPrefixes = []string{"aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "ssm:resourcetag/"}

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[strings.ToLower(n)] = true
	}
	return m
}

// known reports a condition key that a request can carry.
func known(key string) bool {
	key = strings.ToLower(key)
	if knownKeys[key] {
		return true
	}
	for _, p := range knownPrefixes {
		if len(key) > len(p) && strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}
