package setting

import (
	"regexp"
	"slices"
	"strings"
)

// The ids of the settings.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_UpdateServiceSetting.html
const (
	AppManager            = "/ssm/appmanager/appmanager-enabled"
	ScriptLogDestination  = "/ssm/automation/customer-script-log-destination"
	ScriptLogGroup        = "/ssm/automation/customer-script-log-group-name"
	AdaptiveConcurrency   = "/ssm/automation/enable-adaptive-concurrency"
	PublicSharing         = "/ssm/documents/console/public-sharing-permission"
	ActivationTier        = "/ssm/managed-instance/activation-tier"
	DefaultManagementRole = "/ssm/managed-instance/default-ec2-instance-management-role"
	OpsInsights           = "/ssm/opsinsights/opscenter"
	DefaultParameterTier  = "/ssm/parameter-store/default-parameter-tier"
	HighThroughput        = "/ssm/parameter-store/high-throughput-enabled"
)

// kind is what a setting can hold.
type kind struct {
	initial string
	values  []string       // one of them, when there is no form
	form    *regexp.Regexp // otherwise
}

var (
	logGroup = regexp.MustCompile(`^[A-Za-z0-9._/#-]{1,512}$`)
	roleName = regexp.MustCompile(`^([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$`)
)

// kinds is every setting there is.
//
// Assumption: an unset log destination and log group read as "None", since a
// value has at least one character.
var kinds = map[string]kind{
	AppManager:            {initial: "False", values: []string{"True", "False"}},
	ScriptLogDestination:  {initial: "None", values: []string{"CloudWatch"}},
	ScriptLogGroup:        {initial: "None", form: logGroup},
	AdaptiveConcurrency:   {initial: "False", values: []string{"True", "False"}},
	PublicSharing:         {initial: "Enable", values: []string{"Enable", "Disable"}},
	ActivationTier:        {initial: "standard", values: []string{"standard", "advanced"}},
	DefaultManagementRole: {initial: "$None", form: roleName},
	OpsInsights:           {initial: "Disabled", values: []string{"Enabled", "Disabled"}},
	DefaultParameterTier:  {initial: "Standard", values: []string{"Standard", "Advanced", "Intelligent-Tiering"}},
	HighThroughput:        {initial: "false", values: []string{"true", "false"}},
}

func (k kind) accepts(value string) bool {
	if value == k.initial {
		return true
	}
	if k.form != nil {
		return k.form.MatchString(value)
	}
	return slices.Contains(k.values, value)
}

// rule says what a setting accepts.
func (k kind) rule() string {
	if k.form != nil {
		return "a text of the form " + k.form.String()
	}
	return "one of " + strings.Join(k.values, ", ")
}
