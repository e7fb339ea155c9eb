package story

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// canaries are secrets that must be found nowhere, by what they are.
type canaries map[string]string

func (c canaries) fresh(what string) string {
	c[what] = "canary-" + rand.Text()
	return c[what]
}

// forms are the ways in which a secret could be written: plain, escaped, in hex,
// and in base64 from each of the three places that it could begin at.
func forms(secret string) map[string][]byte {
	out := map[string][]byte{
		"plain": []byte(secret), "escaped": []byte(url.QueryEscape(secret)),
		"hex": []byte(hex.EncodeToString([]byte(secret))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(secret)))),
	}
	for at := range 3 {
		// Of the text from here on, whole groups of three bytes are the same wherever it stands.
		tail := []byte(secret)[at:]
		tail = tail[:len(tail)/3*3]
		out["base64, from "+string(rune('0'+at))] = []byte(base64.RawStdEncoding.EncodeToString(tail))
		out["base64url, from "+string(rune('0'+at))] = []byte(base64.RawURLEncoding.EncodeToString(tail))
	}
	return out
}

// revealing is a runbook that reads a secret and hands it on.
const revealing = `{"schemaVersion":"0.3","mainSteps":[
	{"name":"read","action":"aws:executeAwsApi","inputs":{"Service":"ssm","Api":"GetParameter","Name":"/canary/secret","WithDecryption":true},"outputs":[{"Name":"Value","Selector":"$.Parameter.Value","Type":"String"}]},
	{"name":"write","action":"aws:executeAwsApi","inputs":{"Service":"ssm","Api":"PutParameter","Name":"/canary/copy","Type":"SecureString","Value":"{{ read.Value }}"}}]}`

// tell makes the hub handle secrets of every kind.
func (c canaries) tell(t *testing.T, h *hubtest.Hub) {
	c["admin's secret key"] = hubtest.Admin.SecretAccessKey
	c["user's secret key"] = userKey("observer").SecretAccessKey
	c.parameters(t, h)
	c.sessions(t, h)
	c.nodes(t, h)
	c.pages(t, h)
	c.mistakes(t, h)
}

func (c canaries) parameters(t *testing.T, h *hubtest.Hub) {
	name, value := new("/canary/secret"), c.fresh("parameter")
	h.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: name, Type: ssm.ParameterTypeSecureString, Value: new(c.fresh("first version"))}, nil)
	h.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: name, Type: ssm.ParameterTypeSecureString, Value: &value, Overwrite: new(true)}, nil)
	var got ssm.GetParameterOutput
	h.Must(t, "ssm", "GetParameter", &ssm.GetParameterInput{Name: name, WithDecryption: new(true)}, &got)
	if *got.Parameter.Value != value {
		t.Errorf("the parameter is %q", *got.Parameter.Value)
	}
	h.Must(t, "ssm", "GetParameter", &ssm.GetParameterInput{Name: name}, &got)
	if strings.Contains(*got.Parameter.Value, "canary") {
		t.Error("a secret is answered in plain to who did not ask for it")
	}
	h.Must(t, "ssm", "GetParameterHistory", &ssm.GetParameterHistoryInput{Name: name, WithDecryption: new(true)}, nil)
	h.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{Name: new("Revealing"), Content: new(revealing), DocumentType: ssm.DocumentTypeAutomation, DocumentFormat: ssm.DocumentFormatJson}, nil)
	var run ssm.StartAutomationExecutionOutput
	h.Must(t, "ssm", "StartAutomationExecution", &ssm.StartAutomationExecutionInput{DocumentName: new("Revealing")}, &run)
	if err := hubtest.Await(20*time.Second, "the runbook's end", func() (bool, error) {
		var out ssm.GetAutomationExecutionOutput
		h.Must(t, "ssm", "GetAutomationExecution", &ssm.GetAutomationExecutionInput{AutomationExecutionId: run.AutomationExecutionId}, &out)
		status := out.AutomationExecution.AutomationExecutionStatus
		if status == ssm.AutomationExecutionStatusFailed {
			t.Fatalf("the runbook failed: %s", *out.AutomationExecution.FailureMessage)
		}
		return status == ssm.AutomationExecutionStatusSuccess, nil
	}); err != nil {
		t.Fatal(err)
	}
	h.Must(t, "ssm", "GetParameter", &ssm.GetParameterInput{Name: new("/canary/copy"), WithDecryption: new(true)}, &got)
	if *got.Parameter.Value != value {
		t.Errorf("the copy is %q", *got.Parameter.Value)
	}
}

func (c canaries) sessions(t *testing.T, h *hubtest.Hub) {
	var token sts.GetSessionTokenOutput
	h.Must(t, "sts", "GetSessionToken", &sts.GetSessionTokenInput{}, &token)
	c["session's secret key"], c["session token"] = *token.Credentials.SecretAccessKey, *token.Credentials.SessionToken
	creds := sigv4.Credentials{AccessKeyID: *token.Credentials.AccessKeyId, SecretAccessKey: c["session's secret key"], SessionToken: c["session token"]}
	if err := h.Client(t, creds).Call(t.Context(), "ssm", "DescribeParameters", nil, nil); err != nil {
		t.Error(err)
	}
	var role sts.AssumeRoleOutput
	h.Must(t, "sts", "AssumeRole", &sts.AssumeRoleInput{RoleArn: new("arn:aws:iam::123456789012:role/auditor"), RoleSessionName: new("look")}, &role)
	c["role's secret key"], c["role's session token"] = *role.Credentials.SecretAccessKey, *role.Credentials.SessionToken
}

func (c canaries) nodes(t *testing.T, h *hubtest.Hub) {
	id, code := h.Activate(t, 2)
	c["activation code"] = code
	if _, a := h.TryRegister(t, id, code, "print-1"); a.Status != http.StatusOK {
		t.Errorf("%+v", a)
	}
	if _, a := h.TryRegister(t, id, code+"x", "print-2"); a.Status == http.StatusOK {
		t.Errorf("%+v", a)
	}
	n := h.Register(t)
	c["node's secret key"], c["node's session token"] = n.Credentials.SecretAccessKey, n.Credentials.SessionToken
	var health any
	if err := h.Client(t, n.Credentials).Call(t.Context(), "ssm", "UpdateInstanceInformation", map[string]string{"InstanceId": n.ID, "AgentVersion": "1"}, &health); err != nil {
		t.Error(err)
	}
}

func (c canaries) pages(t *testing.T, h *hubtest.Hub) {
	arn, code, err := hubtest.Person(h.Call(t), h.Inbox(t), "ann")
	if err != nil {
		t.Fatal(err)
	}
	c["channel's activation code"] = code
	for _, way := range []string{"code", "link"} {
		h.Must(t, "ssm-contacts", "StartEngagement", &contacts.StartEngagementInput{ContactId: &arn, Sender: new("test"), Subject: new(way), Content: new("come")}, nil)
		var link, accept string
		if err := hubtest.Await(10*time.Second, "a page", func() (bool, error) {
			m, err := h.Inbox(t)("ann@inbox.local")
			if len(m) == 0 || m[0].Subject != way {
				return false, err
			}
			link, accept = m[0].Link, m[0].Code
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		c["page's code, "+way], c["page's link, "+way] = accept, link[strings.LastIndex(link, "/")+1:]
		if way == "code" {
			var pages contacts.ListPagesByContactOutput
			h.Must(t, "ssm-contacts", "ListPagesByContact", &contacts.ListPagesByContactInput{ContactId: &arn}, &pages)
			h.Must(t, "ssm-contacts", "AcceptPage", &contacts.AcceptPageInput{PageId: pages.Pages[0].PageArn, AcceptType: contacts.AcceptTypeRead, AcceptCode: &accept}, nil)
			continue
		}
		if status, body := h.Post(t, strings.TrimPrefix(link, h.URL)); status != http.StatusOK {
			t.Errorf("the link: %d %s", status, body)
		}
	}
}

// mistakes send secrets in requests that fail in each of the ways.
func (c canaries) mistakes(t *testing.T, h *hubtest.Hub) {
	body := func(members map[string]any) string {
		b, _ := json.Marshal(members)
		return string(b)
	}
	secret := func(what string, more map[string]any) string {
		m := map[string]any{"Name": "/canary/m", "Type": "SecureString", "Value": c.fresh(what)}
		for k, v := range more {
			m[k] = v
		}
		return body(m)
	}
	observer := put(secret("value of who may not", nil))
	observer.Credentials = userKey("observer")
	forged := put(secret("value of a bad signature", nil))
	forged.Credentials.SecretAccessKey = c.fresh("wrong secret key")
	for _, q := range []hubtest.Request{
		observer, forged,
		put(secret("value that breaks the pattern", map[string]any{"AllowedPattern": "^[0-9]+$"})),
		put(secret("value with an unknown member", map[string]any{"Other": 1})),
		put(secret("value of a wrong type", map[string]any{"Type": "Secret"})),
		put(body(map[string]any{"Name": "/canary/m", "Type": "SecureString", "Value": map[string]string{"x": c.fresh("value in a structure")}})),
		put(`{"Name":"/canary/m","Type":"SecureString","Value":"` + c.fresh("value cut off")),
		put(body(map[string]any{"Name": "/canary/m", "Type": "SecureString", "Value": c.fresh("value too long") + strings.Repeat("x", 9000)})),
		hubtest.JSON("AmazonSSM.PutSecret", secret("value of an unknown operation", nil)),
	} {
		if a := h.Send(t, q); a.Status/100 != 4 || strings.Contains(a.Body, "canary-") {
			t.Errorf("%+v", a)
		}
	}
}

// No secret is found in the store, the log, the metrics or the journal, in whatever
// form, neither while the hub runs nor after its end.
func TestNoSecretIsFound(t *testing.T) {
	hubtest.Each(t, identityFiles(), func(t *testing.T, h *hubtest.Hub) {
		c := canaries{}
		c.tell(t, h)
		c.search(t, h, map[string][]byte{})
	})
}

// search looks for the secrets in places and in all that the hub keeps and tells.
func (c canaries) search(t *testing.T, h *hubtest.Hub, places map[string][]byte) {
	t.Helper()
	control := "control-" + rand.Text() // no secret: it has to be found
	h.Must(t, "ssm", "PutParameter", &ssm.PutParameterInput{Name: new("/canary/control"), Type: ssm.ParameterTypeString, Value: &control}, nil)
	_, metrics := h.Get(t, "/metrics")
	places["metrics"] = []byte(metrics)
	c.gather(t, h, places, "running: ")
	h.End(t)
	c.gather(t, h, places, "ended: ")
	places["log"] = []byte(h.Log.String())
	if !bytes.Contains(places["running: tables"], []byte(control)) {
		t.Error("what is no secret is not found either: the search does not work")
	}
	size := 0
	for place, text := range places {
		size += len(text)
		for what, secret := range c {
			c.seek(t, place, text, what, secret)
		}
	}
	t.Logf("%d secrets looked for in %d bytes of %d places", len(c), size, len(places))
}

func (c canaries) seek(t *testing.T, place string, text []byte, what, secret string) {
	t.Helper()
	if len(secret) < 6 {
		t.Fatalf("the %s is %q", what, secret)
	}
	for form, b := range forms(secret) {
		if i := find(text, b); i >= 0 && len(b) >= 6 {
			t.Errorf("%s: the %s, %s: %.200q", place, what, form, text[max(0, i-80):min(len(text), i+20)])
		}
	}
}

// find is where b stands in text, -1 when it does not. A short number, such as a code
// of six digits, counts only by itself: within a time in microseconds it is chance.
func find(text, b []byte) int {
	if len(b) > 8 || len(bytes.Trim(b, "0123456789")) > 0 {
		return bytes.Index(text, b)
	}
	at := regexp.MustCompile(`(?:^|[^0-9])(` + string(b) + `)(?:$|[^0-9])`).FindSubmatchIndex(text)
	if at == nil {
		return -1
	}
	return at[2]
}

// gather reads all that is kept: every file but those that are made to hold a
// secret, and every table of a store without files.
func (c canaries) gather(t *testing.T, h *hubtest.Hub, places map[string][]byte, when string) {
	t.Helper()
	err := filepath.WalkDir(h.Data, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(h.Data, path)
		if err != nil || d.IsDir() || name == "credentials" || strings.HasPrefix(name, "keys/") {
			return err
		}
		text, err := os.ReadFile(path)
		places[when+name] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	places[when+"tables"] = []byte(strings.Join(hubtest.OpenStore(t, h.Store).Everything(), "\n"))
}
