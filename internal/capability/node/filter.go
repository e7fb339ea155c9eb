package node

import (
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// stringFilter selects nodes by one key: one of the values must fit.
type stringFilter struct {
	Key    string
	Values []string
}

// filterColumns are the filters that are a column each.
var filterColumns = map[string]string{
	"InstanceIds": "id", "AgentVersion": "agent_version", "PlatformTypes": "platform_type", "ActivationIds": "activation_id", "IamRole": "iam_role",
}

// informationFilters joins the two forms in which filters come; both at once
// are refused.
func informationFilters(in *ssm.DescribeInstanceInformationInput) (out []stringFilter, err error) {
	if len(in.Filters) > 0 && len(in.InstanceInformationFilterList) > 0 {
		return nil, fault.Validation("Filters and InstanceInformationFilterList cannot be used together.")
	}
	for _, x := range in.Filters {
		out = append(out, stringFilter{ptr.Value(x.Key), x.Values})
	}
	for _, x := range in.InstanceInformationFilterList {
		out = append(out, stringFilter{string(x.Key), x.ValueSet})
	}
	return out, nil
}

// apply adds the condition. Errors: InvalidFilterKey,
// InvalidInstanceInformationFilterValue.
func (x stringFilter) apply(tx *db.Tx, f *db.Filter) error {
	if column, ok := filterColumns[x.Key]; ok {
		f.In(column, x.Values)
		return nil
	}
	if tag, ok := strings.CutPrefix(x.Key, "tag:"); ok {
		tagged(tx, f, tag, x.Values)
		return nil
	}
	switch x.Key {
	case "tag-key":
		return hasTag(tx, f, x.Values)
	case "PingStatus":
		return x.ping(f)
	case "ResourceType":
		return x.constant(f, string(ssm.ResourceTypeManagedInstance), string(ssm.ResourceTypeEC2Instance))
	case "AssociationStatus", "SourceTypes", "SourceIds":
		return x.constant(f, "")
	}
	return &ssm.InvalidFilterKey{Message: "The filter key " + x.Key + " is not valid."}
}

func (x stringFilter) ping(f *db.Filter) error {
	var online []string
	for _, v := range x.Values {
		switch ssm.PingStatus(v) {
		case ssm.PingStatusOnline:
			online = append(online, "online = 1")
		case ssm.PingStatusConnectionLost:
			online = append(online, "online = 0")
		case ssm.PingStatusInactive:
			online = append(online, "1 = 0")
		default:
			return x.badValue(v)
		}
	}
	f.And("(" + strings.Join(online, " or ") + ")")
	return nil
}

// constant is a filter on something that is the same for every node.
func (x stringFilter) constant(f *db.Filter, value string, others ...string) error {
	found := false
	for _, v := range x.Values {
		found = found || v == value
		if len(others) > 0 && v != value && v != others[0] {
			return x.badValue(v)
		}
	}
	if !found {
		f.And("1 = 0")
	}
	return nil
}

func (x stringFilter) badValue(v string) error {
	return &ssm.InvalidInstanceInformationFilterValue{Message: "The value " + v + " is not valid for the filter " + x.Key + "."}
}
