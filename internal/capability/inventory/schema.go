package inventory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// schema is a type and its attributes.
type schema struct {
	name, version string
	attributes    string // names between blanks; a # marks a number
	aggregates    bool   // GetInventory can count by it
}

// schemas are the types of AWS. Source: the user guide's page on inventory metadata;
// the stock agent's gatherers send these attributes.
var schemas = []schema{
	{"AWS:AWSComponent", "1.0", "Name ApplicationType Publisher Version InstalledTime Architecture URL", false},
	{"AWS:Application", "1.1", "Name ApplicationType Publisher Version Release Epoch InstalledTime Architecture URL Summary PackageId", true},
	{"AWS:BillingInfo", "1.0", "BillingProductId", false},
	{"AWS:ComplianceItem", "1.0", "ComplianceType ExecutionId ExecutionType ExecutionTime Id Title Status Severity DocumentName DocumentVersion Classification PatchBaselineId PatchSeverity PatchState PatchGroup InstalledTime", true},
	{"AWS:ComplianceSummary", "1.0", "ComplianceType PatchGroup PatchBaselineId Status OverallSeverity ExecutionId ExecutionType ExecutionTime CompliantCriticalCount# CompliantHighCount# CompliantMediumCount# CompliantLowCount# CompliantInformationalCount# CompliantUnspecifiedCount# NonCompliantCriticalCount# NonCompliantHighCount# NonCompliantMediumCount# NonCompliantLowCount# NonCompliantInformationalCount# NonCompliantUnspecifiedCount#", true},
	{"AWS:File", "1.0", "Name Size Description FileVersion InstalledDate ModificationTime LastAccessTime ProductName InstalledDir ProductLanguage CompanyName ProductVersion", false},
	{"AWS:InstanceDetailedInformation", "1.0", "CPUModel CPUCores# CPUs# CPUSpeedMHz# CPUSockets# CPUHyperThreadEnabled OSServicePack", false},
	{"AWS:InstanceInformation", "1.0", "AgentType AgentVersion ComputerName InstanceId InstanceStatus IpAddress PlatformName PlatformType PlatformVersion ResourceType", true},
	{"AWS:Network", "1.0", "Name SubnetMask Gateway DHCPServer DNSServer MacAddress IPV4 IPV6", false},
	{"AWS:PatchCompliance", "1.0", "Title KBId Classification Severity State InstalledTime", true},
	{"AWS:PatchSummary", "1.0", "PatchGroup BaselineId SnapshotId OwnerInformation InstalledCount# InstalledOtherCount# InstalledPendingRebootCount# InstalledRejectedCount# NotApplicableCount# MissingCount# FailedCount# OperationType OperationStartTime OperationEndTime RebootOption", true},
	{"AWS:Process", "1.0", "Name PID ParentPID CommandLine User StartTime", false},
	{"AWS:ResourceGroup", "1.0", "Name Arn", true},
	{"AWS:Service", "1.0", "Name DisplayName ServiceType Status DependentServices ServicesDependedOn StartType", true},
	{"AWS:Tag", "1.0", "Key Value", true},
	{"AWS:WindowsRegistry", "1.0", "KeyPath ValueName ValueType Value", false},
	{"AWS:WindowsRole", "1.0", "Name DisplayName Path FeatureType DependsOn Description Installed InstalledState SubFeatures ServerComponentDescriptor Parent", true},
	{"AWS:WindowsUpdate", "1.0", "HotFixId Description InstalledTime InstalledBy", true},
}

const (
	instanceInformation = "AWS:InstanceInformation"
	tagType             = "AWS:Tag"
)

// virtual types are made from the node itself.
func virtual(name string) bool { return name == instanceInformation || name == tagType }

func (s schema) project() ssm.InventoryItemSchema {
	out := ssm.InventoryItemSchema{TypeName: new(s.name), Version: new(s.version), Attributes: []ssm.InventoryItemAttribute{}}
	for a := range strings.FieldsSeq(s.attributes) {
		kind := ssm.InventoryAttributeDataTypeString
		if number, ok := strings.CutSuffix(a, "#"); ok {
			a, kind = number, ssm.InventoryAttributeDataTypeNumber
		}
		out.Attributes = append(out.Attributes, ssm.InventoryItemAttribute{Name: new(a), DataType: kind})
	}
	return out
}

// GetInventorySchema lists the types that are known: those of AWS, and the custom ones
// that nodes have sent, whose attributes are those of their items.
func (s *Service) GetInventorySchema(ctx context.Context, in *ssm.GetInventorySchemaInput) (*ssm.GetInventorySchemaOutput, error) {
	after := ""
	if err := page.Parse(ptr.Value(in.NextToken), &after); err != nil {
		return nil, &ssm.InvalidNextToken{Message: "The specified token is not valid."}
	}
	all := slices.Clone(schemas)
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		custom, err := customSchemas(tx)
		all = append(all, custom...)
		return err
	})
	if err != nil {
		return nil, err
	}
	name := ptr.Value(in.TypeName)
	all = slices.DeleteFunc(all, func(x schema) bool {
		return x.name <= after || name != "" && x.name != name || ptr.Value(in.Aggregator) && !x.aggregates
	})
	if name != "" && len(all) == 0 && after == "" && !ptr.Value(in.Aggregator) {
		return nil, &ssm.InvalidTypeNameException{Message: "The type " + name + " does not exist."}
	}
	out := &ssm.GetInventorySchemaOutput{Schemas: []ssm.InventoryItemSchema{}}
	for i, x := range all {
		if i == page.Limit(in.MaxResults, 200) {
			out.NextToken = new(page.Token(all[i-1].name))
			break
		}
		out.Schemas = append(out.Schemas, x.project())
	}
	return out, nil
}

func customSchemas(tx *db.Tx) ([]schema, error) {
	list, err := items(tx, scoped(tx).And("type like 'Custom:%'"), true)
	if err != nil {
		return nil, err
	}
	attributes, versions := map[string]map[string]bool{}, map[string]string{}
	for _, x := range list {
		if attributes[x.Type] == nil {
			attributes[x.Type] = map[string]bool{}
		}
		if versions[x.Type] == "" || olderOrSame(versions[x.Type], x.SchemaVersion) {
			versions[x.Type] = x.SchemaVersion
		}
		for _, entry := range x.Content {
			for k := range entry {
				attributes[x.Type][k] = true
			}
		}
	}
	var out []schema
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		out = append(out, schema{name, versions[name], strings.Join(slices.Sorted(maps.Keys(attributes[name])), " "), true})
	}
	return out, nil
}
