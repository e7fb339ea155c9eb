package document

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

// Every document of AWS follows the rules (ownedDocuments panics otherwise),
// has a default or a description for each parameter, and is told of in the docs.
func TestOwnedDocuments(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../../docs/documents.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range ownedDocuments() {
		if !strings.Contains(string(docs), "`"+name+"`") {
			t.Errorf("docs/documents.md does not tell of %s", name)
		}
		doc, err := ssmdoc.Parse([]byte(o.version.Content), string(o.version.Format))
		if err != nil {
			t.Fatal(err)
		}
		if doc.Root.Get("description").Str() == "" {
			t.Errorf("%s has no description", name)
		}
		for _, p := range doc.Parameters {
			if p.Description == "" {
				t.Errorf("%s: parameter %s has no description", name, p.Name)
			}
		}
		for _, ref := range ssmdoc.References(doc.Root.Any()) {
			if doc.Parameter(ref) == nil {
				t.Errorf("%s refers to %s", name, ref)
			}
		}
	}
}

func TestOwnedPlatforms(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]ssm.PlatformType{
		"AWS-RunShellScript": {"Linux", "MacOS"}, "AWS-RunPowerShellScript": {"Windows", "Linux", "MacOS"},
		"AWS-InstallApplication": {"Windows"}, "AWS-RunPatchBaseline": {"Linux"}, "AWS-StartSSHSession": {"Windows", "Linux", "MacOS"},
		"AWSIncidents-PostIncidentAnalysisTemplate": nil,
	} {
		if got := ownedVersion(name, 1).Platforms; !slices.Equal(got, want) {
			t.Errorf("%s runs on %v, want %v", name, got, want)
		}
	}
}

// A text that would leave its quotes in a script does not pass the constraints.
func TestOwnedScriptsRefuseShellSyntax(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]map[string][]string{
		"AWS-RunPatchBaseline":        {"Operation": {"Scan"}, "InstallOverrideList": {"https://x/'; id; '"}},
		"AWS-ApplyAnsiblePlaybooks":   {"SourceType": {"S3"}, "ExtraVariables": {"a=b' -e x"}},
		"AWS-StartSSHSession":         {"portNumber": {"22; id"}},
		"AWS-ConfigureAWSPackage":     {"action": {"Install"}, "name": {"a b"}},
		"AWS-GatherSoftwareInventory": {"applications": {"Maybe"}},
	} {
		doc, err := ssmdoc.Parse([]byte(ownedVersion(name, 1).Content), string(ownedVersion(name, 1).Format))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ssmdoc.BindParameters(doc, given); err == nil {
			t.Errorf("%s takes %v", name, given)
		}
	}
}
