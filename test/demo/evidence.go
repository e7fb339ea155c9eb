package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/cli/timeline"
)

// wanted are words that the timeline must hold, in this order.
var wanted = []string{"Alarm", "Incident created", "paged", "acknowledged", "approv", "Runbook", "resolved"}

// evidence prints the timeline and checks that nothing of the story is missing.
func (s *stage) evidence(ctx context.Context) error {
	var lines []string
	err := s.await(ctx, "the whole story in the timeline", func() (ok bool, err error) {
		lines, err = timeline.Lines(ctx, s.admin, s.incident, time.Local)
		return missing(lines) == "", err
	})
	if err != nil {
		return fmt.Errorf("%w: %q is missing in\n%s", err, missing(lines), strings.Join(lines, "\n"))
	}
	fmt.Printf("\nTimeline of %s\n\n", s.incident)
	for _, l := range lines {
		fmt.Println("  " + l)
	}
	out, err := exec.CommandContext(ctx, s.binary, "audit", "verify", "--data", s.hubDir()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the journal does not verify: %s", out)
	}
	fmt.Printf("\nJournal: %s", out)
	return nil
}

func missing(lines []string) string {
	all := strings.ToLower(strings.Join(lines, "\n"))
	for _, w := range wanted {
		if !strings.Contains(all, strings.ToLower(w)) {
			return w
		}
	}
	return ""
}

func (s *stage) farewell() {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	rel := func(p string) string { return strings.TrimPrefix(strings.TrimPrefix(p, dir), "/") }
	fmt.Printf(`
Everything is still running. Paste:

  eval "$(%[1]s env --data %[2]s)"
  aws ssm-incidents list-incident-records
  aws ssm-incidents list-timeline-events --incident-record-arn %[3]s
  aws ssm get-automation-execution --automation-execution-id %[4]s
  aws ssm send-command --document-name AWS-RunShellScript --targets Key=tag:Service,Values=orders --parameters commands=uptime
  aws ssm list-command-invocations --details

The inbox of Ana and Bo: %[5]s/inbox/    Stop: kill $(cat %[6]s/pids)
`, rel(s.binary), rel(s.hubDir()), s.incident, s.execution, s.url, rel(s.dir))
}
