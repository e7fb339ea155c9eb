package parameter

import (
	"regexp"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Limits on values, in bytes.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const (
	maxStandard = 4096
	maxAdvanced = 8192
	maxVersions = 100
)

const (
	defaultKey      = "alias/aws/ssm"
	dataText        = "text"
	dataImage       = "aws:ec2:image"
	dataIntegration = "aws:ssm:integration"
)

var (
	nested    = regexp.MustCompile(`(?s)\{\{.*\}\}`)
	imageForm = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

// change is a checked PutParameter: nil members were not given.
type change struct {
	name        string
	value       string
	typ         ssm.ParameterType
	overwrite   bool
	tier        ssm.ParameterTier
	defaultTier ssm.ParameterTier
	keyID       *string
	description *string
	pattern     *string
	dataType    *string
	policies    *[]policy
	actor       string
}

// newChange checks what does not depend on the parameter that may exist.
func newChange(in *ssm.PutParameterInput, s db.Scope, now time.Time) (change, error) {
	c := change{
		value: *in.Value, typ: in.Type, tier: in.Tier, overwrite: in.Overwrite != nil && *in.Overwrite, keyID: in.KeyId,
		description: in.Description, pattern: in.AllowedPattern, dataType: in.DataType, defaultTier: ssm.ParameterTierStandard,
	}
	var err error
	if c.name, err = newName(*in.Name, s); err != nil {
		return c, err
	}
	switch {
	case c.overwrite && len(in.Tags) > 0:
		return c, fault.Validation("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case c.value == "":
		return c, fault.Validation("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case nested.MatchString(c.value):
		return c, fault.Validation("Parameter value: cannot contain {{ }}; a parameter cannot refer to another.")
	}
	if in.Policies != nil {
		policies, err := parsePolicies(*in.Policies, now)
		if err != nil {
			return c, err
		}
		c.policies = &policies
	}
	return c, nil
}

// next is the version that a change makes of the newest one, nil for a new
// parameter. It does not look at the history.
func next(old *version, c change, now time.Time) (*version, error) {
	switch {
	case old == nil && c.typ == "":
		return nil, fault.Validation("A parameter type is required when you create a parameter.")
	case old != nil && !c.overwrite:
		return nil, &ssm.ParameterAlreadyExists{Message: "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."}
	case old != nil && c.typ != "" && c.typ != old.typ:
		return nil, &ssm.HierarchyTypeMismatchException{Message: "Parameter Store doesn't support changing the type of a parameter: " + c.name + " is of type " + string(old.typ) + "."}
	}
	v := &version{name: c.name, number: 1, typ: c.typ, dataType: dataText}
	if old != nil {
		*v = *old
		v.number++
		v.policies = touch(old.policies)
	}
	v.sealed, v.modified, v.modifiedBy = nil, now, c.actor
	v.value = c.value
	v.give(c)
	if err := v.setTier(old, c); err != nil {
		return nil, err
	}
	return v, v.check(c)
}

// give takes over the optional members; those not given stay as they were.
//
// Assumption: Description, AllowedPattern, DataType and KeyId stay when an
// update leaves them out; AWS states it for policies only.
func (v *version) give(c change) {
	for _, m := range []struct {
		to   *string
		from *string
	}{{&v.description, c.description}, {&v.pattern, c.pattern}, {&v.dataType, c.dataType}, {&v.keyID, c.keyID}} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	if v.typ == ssm.ParameterTypeSecureString && v.keyID == "" {
		v.keyID = defaultKey
	}
	if c.policies != nil {
		v.policies = *c.policies
	}
}

// setTier decides the tier. Advanced never goes back to Standard.
func (v *version) setTier(old *version, c change) error {
	wanted := c.tier
	if wanted == "" {
		wanted = c.defaultTier
		if old != nil && old.tier == ssm.ParameterTierAdvanced {
			wanted = ssm.ParameterTierAdvanced
		}
	}
	needsAdvanced := len(v.value) > maxStandard || len(v.policies) > 0
	if wanted == ssm.ParameterTierIntelligentTiering {
		wanted = ssm.ParameterTierStandard
		if needsAdvanced || (old != nil && old.tier == ssm.ParameterTierAdvanced) {
			wanted = ssm.ParameterTierAdvanced
		}
	}
	if old != nil && old.tier == ssm.ParameterTierAdvanced && wanted == ssm.ParameterTierStandard {
		return fault.Validation("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.")
	}
	v.tier = wanted
	return nil
}

func (v *version) check(c change) error {
	standard := v.tier == ssm.ParameterTierStandard
	switch {
	case standard && len(v.value) > maxStandard:
		return fault.Validation("Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html")
	case len(v.value) > maxAdvanced:
		return fault.Validation("Advanced tier parameters support a maximum parameter value of 8192 characters.")
	case standard && len(v.policies) > 0:
		return fault.Validation("Parameter policies are supported only for parameters of the advanced-parameter tier.")
	case c.keyID != nil && v.typ != ssm.ParameterTypeSecureString:
		return fault.Validation("KeyId is supported only for parameters of type SecureString.")
	}
	if err := v.checkData(); err != nil {
		return err
	}
	return checkPattern(v.pattern, v.value)
}

func (v *version) checkData() error {
	switch v.dataType {
	case dataText, dataIntegration:
		return nil
	case dataImage:
		if v.typ != ssm.ParameterTypeString {
			return fault.Validation("The data type aws:ec2:image is supported only for parameters of type String.")
		}
		if !imageForm.MatchString(v.value) {
			return fault.Validation("Parameter value: not an image id, which the data type aws:ec2:image requires.")
		}
		return nil
	}
	return fault.Validation("The following data type is not supported: %s (Data type names are all lowercase)", v.dataType)
}
