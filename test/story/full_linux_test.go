package story

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/test/hubtest"
)

// smallDisk is a directory on a disk of a few megabytes.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("a small disk can only be mounted by root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill writes a file that takes all the room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, size := range []int{1 << 16, 1 << 10, 1} {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
}

// fuller puts parameters of 4 KB until one is refused, and gives how many went well
// and the refusal.
func fuller(t *testing.T, h *hubtest.Hub, prefix string) (n int, err error) {
	t.Helper()
	for n = range 2000 {
		err = h.Call(t)("ssm", "PutParameter", &ssm.PutParameterInput{
			Name: new(fmt.Sprintf("/%s/%d", prefix, n)), Type: ssm.ParameterTypeString, Value: new(strings.Repeat("x", 4096)),
		}, nil)
		if err != nil {
			return n, err
		}
	}
	t.Fatal("the disk does not get full")
	return n, nil
}

// A full disk: changes are refused with a clear error, reads go on, and once there
// is room everything goes on without anybody's help.
func TestDiskFull(t *testing.T) {
	h := &hubtest.Hub{Data: smallDisk(t, 24), Log: &hubtest.Log{}}
	h.Store = "sqlite:" + filepath.Join(h.Data, "watchbill.db")
	hubtest.WriteFiles(t, h.Data, identityFiles())
	h.Begin(t, "")
	t.Cleanup(func() { h.End(t) })
	h.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: new("/before/secret"), Type: ssm.ParameterTypeSecureString, Value: new("s")}, nil)
	const resting = `{"schemaVersion":"0.3","mainSteps":[{"name":"rest","action":"aws:sleep","inputs":{"Duration":"PT1S"}},
		{"name":"mark","action":"aws:executeAwsApi","inputs":{"Service":"ssm","Api":"PutParameter","Name":"/mark/{{ automation:EXECUTION_ID }}","Type":"String","Value":"v"}}]}`
	h.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{Name: new("Resting"), Content: new(resting), DocumentType: ssm.DocumentTypeAutomation, DocumentFormat: ssm.DocumentFormatJson}, nil)
	ballast := filepath.Join(h.Data, "ballast")
	for round := range 3 {
		var run ssm.StartAutomationExecutionOutput
		h.Must(t, "ssm", "StartAutomationExecution", &ssm.StartAutomationExecutionInput{DocumentName: new("Resting")}, &run)
		fill(t, ballast)
		prefix := fmt.Sprintf("round-%d", round)
		n, err := fuller(t, h, prefix)
		checkFull(t, err)
		t.Logf("%d puts after the disk was full; then %v", n, err)
		logged := strings.Count(h.Log.String(), "\n")
		readsGoOn(t, h, prefix)
		if lines := strings.Count(h.Log.String(), "\n") - logged; lines > 50 {
			t.Errorf("the log grew by %d lines while the disk was full: %s", lines, h.Log.String()[len(h.Log.String())-1200:])
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		recovers(t, h)
		succeeds(t, h, *run.AutomationExecutionId)
		for i := range n {
			h.Must(t, "ssm", "GetParameter", &ssm.GetParameterInput{Name: new(fmt.Sprintf("/%s/%d", prefix, i))}, nil)
		}
	}
	h.End(t)
	h.Begin(t, "")
	h.Must(t, "ssm", "GetParameter", &ssm.GetParameterInput{Name: new("/before/secret"), WithDecryption: new(true)}, nil)
}

func checkFull(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != http.StatusServiceUnavailable || e.Code != "ServiceUnavailableException" || !strings.Contains(e.Message, "disk is full") {
		t.Fatalf("got %v, want a 503 ServiceUnavailableException that says that the disk is full", err)
	}
}

// readsGoOn reads, changes and fails, as callers would while the disk is full.
func readsGoOn(t *testing.T, h *hubtest.Hub, prefix string) {
	t.Helper()
	call := h.Call(t)
	for range 10000 {
		if err := call("ssm", "GetParameter", &ssm.GetParameterInput{Name: new("/before/secret")}, nil); err != nil {
			t.Fatalf("a read while the disk is full: %v", err)
		}
	}
	for range 10 {
		_, err := fuller(t, h, prefix+"-more")
		checkFull(t, err)
	}
	if err := call("ssm", "DescribeParameters", nil, nil); err != nil {
		t.Errorf("a list while the disk is full: %v", err)
	}
	if a := h.Send(t, hubtest.Request{Request: put(good).Request, Service: "ssm"}); a.Code != "MissingAuthenticationTokenException" {
		t.Errorf("%+v", a)
	}
	if err := h.Client(t, userKey("observer")).Call(t.Context(), "ssm", "DeleteParameter", &ssm.DeleteParameterInput{Name: new("/before/secret")}, nil); client.Code(err) != "AccessDeniedException" {
		t.Errorf("%v", err)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200} {
		if status, body := h.Get(t, path); status != want {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
}

// recovers waits until changes are taken again.
func recovers(t *testing.T, h *hubtest.Hub) {
	t.Helper()
	began := time.Now()
	err := hubtest.Await(10*time.Second, "recovery", func() (bool, error) {
		err := h.Call(t)("ssm", "PutParameter", &ssm.PutParameterInput{Name: new("/after"), Type: ssm.ParameterTypeString, Value: new("v"), Overwrite: new(true)}, nil)
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("changes are taken again after %v", time.Since(began).Round(time.Millisecond))
}

// succeeds waits for the end of a run that the full disk held up.
func succeeds(t *testing.T, h *hubtest.Hub, id string) {
	t.Helper()
	var out ssm.GetAutomationExecutionOutput
	err := hubtest.Await(30*time.Second, "the end of a run", func() (bool, error) {
		h.Must(t, "ssm", "GetAutomationExecution", &ssm.GetAutomationExecutionInput{AutomationExecutionId: &id}, &out)
		return out.AutomationExecution.AutomationExecutionStatus == ssm.AutomationExecutionStatusSuccess, nil
	})
	if err != nil {
		t.Errorf("%v: it is %s", err, out.AutomationExecution.AutomationExecutionStatus)
	}
}
