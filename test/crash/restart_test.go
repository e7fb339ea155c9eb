package crash

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// What a hub that was killed left behind runs again within a second of its start.
func TestRestartToRunning(t *testing.T) {
	l := newLab(t, 1)
	l.must(l.client.Call(t.Context(), "ssm", "CreateDocument", &ssm.CreateDocumentInput{
		Name: new("Rest"), DocumentType: ssm.DocumentTypeAutomation, DocumentFormat: ssm.DocumentFormatJson,
		Content: new(`{"schemaVersion":"0.3","mainSteps":[{"name":"rest","action":"aws:sleep","inputs":{"Duration":"PT1S"}}]}`),
	}, nil))
	best := time.Hour
	for range 3 {
		var run ssm.StartAutomationExecutionOutput
		l.call("ssm", "StartAutomationExecution", &ssm.StartAutomationExecutionInput{DocumentName: new("Rest")}, &run)
		get := func() *ssm.AutomationExecution {
			out := ssm.GetAutomationExecutionOutput{AutomationExecution: &ssm.AutomationExecution{}}
			l.call("ssm", "GetAutomationExecution", &ssm.GetAutomationExecutionInput{AutomationExecutionId: run.AutomationExecutionId}, &out)
			return out.AutomationExecution
		}
		l.must(hubtest.Await(10*time.Second, "the step", func() (bool, error) {
			e := get()
			return len(e.StepExecutions) == 1 && e.StepExecutions[0].StepStatus == ssm.AutomationExecutionStatusInProgress, nil
		}))
		l.hub.Kill()
		<-time.After(1100 * time.Millisecond) // its timer runs out while nobody is there
		began := time.Now()
		l.startHub()
		ready := <-l.hub.Ready
		l.must(hubtest.Await(20*time.Second, "the end of the run", func() (bool, error) {
			return get().AutomationExecutionStatus == ssm.AutomationExecutionStatusSuccess, nil
		}))
		took := time.Since(began)
		t.Logf("start to ready %v, to the end of what was left behind %v", ready.Round(time.Millisecond), took.Round(time.Millisecond))
		best = min(best, took)
	}
	if best > time.Second {
		t.Errorf("the best of three restarts took %v, the limit is 1 s", best)
	}
}

// SIGTERM: a request under way is answered, nodes are let go, and the hub exits 0.
func TestTerm(t *testing.T) {
	l := newLab(t, 1)
	l.must(hubtest.Await(20*time.Second, "the node", func() (bool, error) {
		var out ssm.DescribeInstanceInformationOutput
		l.call("ssm", "DescribeInstanceInformation", nil, &out)
		return len(out.InstanceInformationList) == 1 && out.InstanceInformationList[0].PingStatus == ssm.PingStatusOnline, nil
	}))
	conn := l.dial()
	defer func() { _ = conn.Close() }()
	request := l.signed("AmazonSSM.PutParameter", `{"Name":"/term","Value":"v","Type":"String"}`)
	half := len(request) - 10
	if _, err := conn.Write(request[:half]); err != nil {
		t.Fatal(err)
	}
	for range 20 { // by then the hub has begun to read it
		l.call("ssm", "DescribeParameters", nil, nil)
	}
	ended := make(chan int, 1)
	began := time.Now()
	go func() { ended <- l.hub.Term(30 * time.Second) }()
	l.must(hubtest.Await(10*time.Second, "the end of listening", func() (bool, error) {
		c, err := net.Dial("tcp", l.address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil, nil
	}))
	if _, err := conn.Write(request[half:]); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the request under way: %v", err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the request under way: %s", res.Status)
	}
	if code := <-ended; code != 0 {
		t.Errorf("the hub ended with %d", code)
	}
	t.Logf("SIGTERM to exit %v", time.Since(began).Round(time.Millisecond))
	l.startHub()
	<-l.hub.Ready
	var out ssm.GetParameterOutput
	if !l.call("ssm", "GetParameter", &ssm.GetParameterInput{Name: new("/term")}, &out) || *out.Parameter.Value != "v" {
		t.Errorf("what was answered is lost: %+v", out.Parameter)
	}
}

// dial opens a connection of its own to the hub.
func (l *lab) dial() net.Conn {
	l.t.Helper()
	pem, err := os.ReadFile(l.path("hub/ca.pem"))
	l.must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", l.address, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	l.must(err)
	return conn
}

// signed is the bytes of a request, signed by the administrator.
func (l *lab) signed(target, body string) []byte {
	l.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "https://"+l.address+"/", strings.NewReader(body))
	l.must(err)
	r.Header = http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target}, "Content-Length": {fmt.Sprint(len(body))}}
	l.must(sigv4.Sign(r, []byte(body), hubtest.Admin, "ssm", hubtest.Region, time.Now()))
	r.Header.Del("Content-Length") // the writer sets it
	var b bytes.Buffer
	l.must(r.Write(&b))
	return b.Bytes()
}
