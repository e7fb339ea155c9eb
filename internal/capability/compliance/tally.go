package compliance

import (
	"slices"

	"github.com/watchbill/watchbill/internal/api/ssm"
)

// severities from the worst to none.
var severities = []ssm.ComplianceSeverity{
	ssm.ComplianceSeverityCritical, ssm.ComplianceSeverityHigh, ssm.ComplianceSeverityMedium, ssm.ComplianceSeverityLow,
	ssm.ComplianceSeverityInformational, ssm.ComplianceSeverityUnspecified,
}

// bySeverity counts items, indexed as severities is.
type bySeverity [6]int32

func (b bySeverity) total() (n int32) {
	for _, c := range b {
		n += c
	}
	return n
}

func (b bySeverity) project() *ssm.SeveritySummary {
	return &ssm.SeveritySummary{
		CriticalCount: new(b[0]), HighCount: new(b[1]), MediumCount: new(b[2]), LowCount: new(b[3]), InformationalCount: new(b[4]), UnspecifiedCount: new(b[5]),
	}
}

// tally counts what is in order and what is not.
type tally struct{ compliant, broken bySeverity }

func count(items []ssm.ComplianceItemEntry) (t tally) {
	for _, x := range items {
		t.add(x.Status, x.Severity, 1)
	}
	return t
}

func (t *tally) add(status ssm.ComplianceStatus, severity ssm.ComplianceSeverity, n int32) {
	i := slices.Index(severities, severity)
	if i < 0 {
		i = len(severities) - 1
	}
	if status == ssm.ComplianceStatusNonCompliant {
		t.broken[i] += n
	} else {
		t.compliant[i] += n
	}
}

func (t tally) status() ssm.ComplianceStatus {
	if t.broken.total() > 0 {
		return ssm.ComplianceStatusNonCompliant
	}
	return ssm.ComplianceStatusCompliant
}

// severity is the worst of what is not in order, UNSPECIFIED when all is.
func (t tally) severity() ssm.ComplianceSeverity {
	for i, n := range t.broken {
		if n > 0 {
			return severities[i]
		}
	}
	return ssm.ComplianceSeverityUnspecified
}

func (t tally) project() (*ssm.CompliantSummary, *ssm.NonCompliantSummary) {
	return &ssm.CompliantSummary{CompliantCount: new(t.compliant.total()), SeveritySummary: t.compliant.project()},
		&ssm.NonCompliantSummary{NonCompliantCount: new(t.broken.total()), SeveritySummary: t.broken.project()}
}
