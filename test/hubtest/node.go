package hubtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// Node is a node played by the test.
type Node struct {
	ID          string
	Credentials sigv4.Credentials

	key         *rsa.PrivateKey
	fingerprint string
}

// Activate makes an activation as the administrator.
func (h *Hub) Activate(t testing.TB, limit int32) (id, code string) {
	t.Helper()
	var out ssm.CreateActivationOutput
	h.Must(t, "ssm", "CreateActivation", &ssm.CreateActivationInput{IamRole: new("watchbill-node"), RegistrationLimit: &limit}, &out)
	return *out.ActivationId, *out.ActivationCode
}

// nodeKey is shared by all nodes of a test run: making one takes long.
var nodeKey = func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}()

// TryRegister registers a node.
func (h *Hub) TryRegister(t testing.TB, activation, code, fingerprint string) (*Node, Answer) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&nodeKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(map[string]string{
		"ActivationId": activation, "ActivationCode": code, "Fingerprint": fingerprint,
		"PublicKey": base64.StdEncoding.EncodeToString(der), "PublicKeyType": "Rsa",
	})
	if err != nil {
		t.Fatal(err)
	}
	q := JSON("AmazonSSM.RegisterManagedInstance", string(in))
	q.Credentials = sigv4.Credentials{}
	a := h.Send(t, q)
	var out struct {
		InstanceID string `json:"InstanceId"`
	}
	_ = json.Unmarshal([]byte(a.Body), &out)
	return &Node{ID: out.InstanceID, key: nodeKey, fingerprint: fingerprint}, a
}

// Register makes a node with credentials of its own.
func (h *Hub) Register(t testing.TB) *Node {
	t.Helper()
	id, secret := h.Activate(t, 1)
	n, a := h.TryRegister(t, id, secret, rand.Text())
	if a.Status != http.StatusOK {
		t.Fatalf("RegisterManagedInstance: %+v", a)
	}
	h.authenticate(t, n)
	return n
}

func (h *Hub) authenticate(t testing.TB, n *Node) {
	t.Helper()
	q := JSON("AmazonSSM.RequestManagedInstanceRoleToken", `{"Fingerprint":"`+n.fingerprint+`"}`)
	q.Credentials = sigv4.Credentials{}
	q.Header.Set("Authorization", n.sign(t, h, q))
	a := h.Send(t, q)
	var out struct {
		AccessKeyID                   string `json:"AccessKeyId"`
		SecretAccessKey, SessionToken string
	}
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil || a.Status != http.StatusOK {
		t.Fatalf("RequestManagedInstanceRoleToken: %+v", a)
	}
	n.Credentials = sigv4.Credentials{AccessKeyID: out.AccessKeyID, SecretAccessKey: out.SecretAccessKey, SessionToken: out.SessionToken}
}

// sign signs with the node's key, as the stock agent does.
func (n *Node) sign(t testing.TB, h *Hub, q Request) string {
	t.Helper()
	now := time.Now().UTC()
	q.Header.Set("X-Amz-Date", now.Format(sigv4.TimeFormat))
	r, err := http.NewRequest(q.Method, h.URL+q.Path, strings.NewReader(string(q.Body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = q.Header
	headers := []string{"content-type", "host", "x-amz-date", "x-amz-target"}
	scope := sigv4.Scope{AccessKeyID: n.ID, Date: now.Format("20060102"), Region: Region, Service: "ssm"}
	text, err := (&sigv4.Signature{Scope: scope, Time: now, Headers: headers}).StringToSign(r, q.Body)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(text))
	value, err := rsa.SignPSS(rand.Reader, n.key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/ssm/aws4_request, SignedHeaders=%s, Signature=%s",
		n.ID, scope.Date, Region, strings.Join(headers, ";"), base64.StdEncoding.EncodeToString(value))
}
