package fleet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// The pauses before a node connects again, as our node program draws them.
const (
	firstWait = time.Second
	maxWait   = 30 * time.Second
)

// key is shared by all nodes: making one takes long, and the hub does not mind.
var key = func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}()

// Node is one of them.
type Node struct {
	fleet       *Fleet
	id          string
	fingerprint string
	credentials sigv4.Credentials
}

func (f *Fleet) register(ctx context.Context, a activation) (*Node, error) {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	n := &Node{fleet: f, fingerprint: uuid.NewString()}
	in := map[string]string{
		"ActivationId": a.ID, "ActivationCode": a.Code, "Fingerprint": n.fingerprint,
		"PublicKey": base64.StdEncoding.EncodeToString(der), "PublicKeyType": "Rsa",
	}
	var out struct {
		ID string `json:"InstanceId"`
	}
	if err := f.call(ctx, sigv4.Credentials{}, "RegisterManagedInstance", in, &out); err != nil {
		return nil, err
	}
	n.id = out.ID
	return n, n.authenticate(ctx)
}

// authenticate takes role credentials, signed with the key as the stock agent does.
func (n *Node) authenticate(ctx context.Context) error {
	body := []byte(`{"Fingerprint":"` + n.fingerprint + `"}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.fleet.config.URL+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonSSM.RequestManagedInstanceRoleToken")
	r.Header.Set("X-Amz-Date", now.Format(sigv4.TimeFormat))
	headers := []string{"content-type", "host", "x-amz-date", "x-amz-target"}
	scope := sigv4.Scope{AccessKeyID: n.id, Date: now.Format("20060102"), Region: n.fleet.config.Region, Service: "ssm"}
	text, err := (&sigv4.Signature{Scope: scope, Time: now, Headers: headers}).StringToSign(r, body)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(text))
	value, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/ssm/aws4_request, SignedHeaders=%s, Signature=%s",
		n.id, scope.Date, scope.Region, strings.Join(headers, ";"), base64.StdEncoding.EncodeToString(value)))
	var out struct {
		AccessKeyID                   string `json:"AccessKeyId"`
		SecretAccessKey, SessionToken string
	}
	err = n.fleet.do(r, "RequestManagedInstanceRoleToken", http.StatusOK, func(b []byte) error { return json.Unmarshal(b, &out) })
	n.credentials = sigv4.Credentials{AccessKeyID: out.AccessKeyID, SecretAccessKey: out.SecretAccessKey, SessionToken: out.SessionToken}
	return err
}

// keep connects again and again; up gets a value at the first success.
func (n *Node) keep(ctx context.Context, up chan<- struct{}) {
	for limit := firstWait; ctx.Err() == nil; limit = min(2*limit, maxWait) {
		pause := mathrand.N(limit)
		c, err := n.connect(ctx)
		if l, ok := errors.AsType[*later](err); ok {
			pause = l.after + mathrand.N(max(l.after/4, time.Second))
		}
		if err == nil {
			limit = firstWait / 2 // doubled below
			n.fleet.open.Add(1)
			select {
			case up <- struct{}{}:
			default:
			}
			n.serve(ctx, c)
			n.fleet.open.Add(-1)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (n *Node) connect(ctx context.Context) (*websocket.Conn, error) {
	path := "/v1/control-channel/" + n.id
	ask := mgs.ChannelRequest{MessageSchemaVersion: mgs.MessageSchemaVersion, RequestID: uuid.NewString()}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.fleet.config.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if err := sigv4.Sign(r, body, n.credentials, "ssmmessages", n.fleet.config.Region, time.Now()); err != nil {
		return nil, err
	}
	var token string
	if err := n.fleet.do(r, "CreateControlChannel", http.StatusCreated, func(b []byte) (err error) { token, err = mgs.UnmarshalToken(b); return err }); err != nil {
		return nil, err
	}
	c, err := n.dial(ctx, path+"?role=subscribe&stream=input")
	if err != nil {
		return nil, err
	}
	return c, c.WriteJSON(mgs.OpenControlChannel{
		MessageSchemaVersion: mgs.MessageSchemaVersion, RequestID: ask.RequestID, TokenValue: token,
		AgentVersion: "1.0.0", PlatformType: "linux", AgentName: mgs.OwnAgent,
	})
}

func (n *Node) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.fleet.config.URL+path, nil)
	if err != nil {
		return nil, err
	}
	if err := sigv4.Sign(r, nil, n.credentials, "ssmmessages", n.fleet.config.Region, time.Now()); err != nil {
		return nil, err
	}
	d := websocket.Dialer{TLSClientConfig: n.fleet.tls.Clone(), HandshakeTimeout: time.Minute, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10}
	c, answer, err := d.DialContext(ctx, "wss"+strings.TrimPrefix(n.fleet.config.URL, "https")+path, r.Header)
	if answer != nil {
		_ = answer.Body.Close()
	}
	return c, err
}

// serve answers until the connection ends. Reading alone answers the hub's pings.
func (n *Node) serve(ctx context.Context, c *websocket.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer func() { _ = c.Close() }()
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			return
		}
		m, err := mgs.Unmarshal(b)
		if err != nil || m.Type != mgs.TypeAgentJob {
			continue
		}
		if err := n.answer(c, m); err != nil {
			return
		}
	}
}

// answer acknowledges a job and reports its success.
func (n *Node) answer(c *websocket.Conn, m *mgs.Message) error {
	var job mgs.AgentJob
	if err := mgs.Decode(m.Payload, &job); err != nil {
		return err
	}
	now := mgs.FormatTime(time.Now())
	ack := mgs.AgentJobAck{JobID: job.JobID, AcknowledgedMessageID: m.ID.String(), CreatedDate: now, StatusCode: mgs.AckOK, ErrorMessage: "Successful"}
	if err := send(c, mgs.TypeAgentJobAck, ack); err != nil {
		return err
	}
	content, err := json.Marshal(mgs.ReplyContent{
		AdditionalInfo: mgs.AdditionalInfo{Agent: mgs.AgentInfo{Lang: "en-US", Name: mgs.OwnAgent, OS: "linux", OSVer: "1", Version: "1.0.0"}, DateTime: now},
		DocumentStatus: "Success",
		RuntimeStatus:  map[string]mgs.StepStatus{"runShellScript": {Status: "Success", Name: "aws:runShellScript", StartDateTime: now, EndDateTime: now}},
	})
	if err != nil {
		return err
	}
	n.fleet.answers.Add(1)
	return send(c, mgs.TypeAgentJobReply, mgs.AgentJobReply{SchemaVersion: 1, JobID: job.JobID, Topic: mgs.TopicSendCommand, Content: string(content)})
}

func send(c *websocket.Conn, kind string, payload any) error {
	m, err := mgs.Encode(kind, payload)
	if err != nil {
		return err
	}
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	return c.WriteMessage(websocket.BinaryMessage, b)
}
