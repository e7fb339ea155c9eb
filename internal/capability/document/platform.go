package document

import (
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

var (
	everywhere = []ssm.PlatformType{ssm.PlatformTypeWindows, ssm.PlatformTypeLinux, ssm.PlatformTypeMacOS}
	unix       = everywhere[1:]
	windows    = everywhere[:1]
)

// pluginPlatforms are the plugins that not every platform has.
// amazon-ssm-agent, agent/framework/runpluginutil (3.3).
var pluginPlatforms = map[string][]ssm.PlatformType{
	"aws:runShellScript": unix,
	"aws:psModule":       windows,
	"aws:applications":   windows,
	"aws:cloudWatch":     windows,
	"aws:updateAgent":    windows,
}

// platforms are the operating systems that some step of a document runs on; a
// document that does not run on nodes has none.
func platforms(doc *ssmdoc.Document, documentType ssm.DocumentType) []ssm.PlatformType {
	switch documentType {
	case ssm.DocumentTypeAutomation, ssm.DocumentTypeAutomationChangeTemplate, ssm.DocumentTypeSession:
		return everywhere
	case ssm.DocumentTypeCommand, ssm.DocumentTypePolicy:
	default:
		return nil
	}
	var out []ssm.PlatformType
	for _, p := range everywhere {
		if slices.ContainsFunc(doc.MainSteps, func(s ssmdoc.Step) bool { return runsOn(&s, p) }) {
			out = append(out, p)
		}
	}
	return out
}

func runsOn(s *ssmdoc.Step, p ssm.PlatformType) bool {
	if only, some := pluginPlatforms[s.Action]; some && !slices.Contains(only, p) {
		return false
	}
	pair := s.Precondition.Get("StringEquals")
	if pair == nil || len(pair.Items) != 2 {
		return true
	}
	a, b := pair.Items[0].Str(), pair.Items[1].Str()
	if b == "platformType" {
		a, b = b, a
	}
	if a != "platformType" || strings.Contains(b, "{{") {
		return true
	}
	return strings.EqualFold(b, string(p))
}
