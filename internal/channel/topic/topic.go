// Package topic publishes notifications where topics lead: a file of the hub's
// operator names an address or a file for the ARN of each topic. An address gets
// them by POST in the form in which SNS delivers to HTTPS, unsigned; a file gets a
// line of JSON each. A message may come more than once, with the same MessageId.
//
//	topics:
//	  arn:aws:sns:us-east-1:123456789012:ops: https://hooks.example.com/ssm
//	  arn:aws:sns:us-east-1:123456789012:log: file:///var/log/watchbill/ssm.jsonl
package topic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/capability/command"
)

// Topics leads from the ARNs of topics to where they go.
type Topics struct {
	path   string
	client *http.Client
}

// Open makes topics of the file at path, which is read anew for each message; a
// missing file has none. Client goes out by the hub's policy.
func Open(path string, client *http.Client) *Topics { return &Topics{path: path, client: client} }

// read is the address of each topic.
func (t *Topics) read() (map[string]string, error) {
	b, err := os.ReadFile(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file struct {
		Topics map[string]string `yaml:"topics"`
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", filepath.Base(t.path), err)
	}
	return file.Topics, nil
}

// notification is a message as SNS delivers it.
type notification struct {
	Type      string
	MessageID string `json:"MessageId"`
	TopicArn  string
	Message   string
	Timestamp string
}

// Publish delivers a message. Error: command.ErrNoTopic for a topic that leads
// nowhere; others may pass.
func (t *Topics) Publish(ctx context.Context, topicARN, messageID string, message []byte) error {
	all, err := t.read()
	if err != nil {
		return err
	}
	address, ok := all[topicARN]
	if !ok {
		return fmt.Errorf("%w: %s is not in %s", command.ErrNoTopic, topicARN, filepath.Base(t.path))
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%s: the address of %s cannot be read", filepath.Base(t.path), topicARN)
	}
	n := notification{Type: "Notification", MessageID: messageID, TopicArn: topicARN, Message: string(message), Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "file":
		return appendLine(u.Path, body)
	case "https", "http":
		return t.post(ctx, address, &n, body)
	}
	return fmt.Errorf("%s: %s goes to a %s address, not to https or file", filepath.Base(t.path), topicARN, u.Scheme)
}

func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// post sends a notification. Errors do not show the address, which may hold a
// secret.
func (t *Topics) post(ctx context.Context, address string, n *notification, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("topic: the address cannot be used")
	}
	req.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	req.Header.Set("X-Amz-Sns-Message-Type", n.Type)
	req.Header.Set("X-Amz-Sns-Message-Id", n.MessageID)
	req.Header.Set("X-Amz-Sns-Topic-Arn", n.TopicArn)
	res, err := t.client.Do(req)
	if err != nil {
		return fmt.Errorf("topic: %s", strings.ReplaceAll(err.Error(), address, "the address"))
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("topic: answered %s", res.Status)
	}
	return nil
}
