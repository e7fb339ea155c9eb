package topic_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/channel/topic"
)

func TestPublish(t *testing.T) {
	var got []string
	answer := http.StatusOK
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("X-Amz-Sns-Message-Id")+" "+string(b))
		w.WriteHeader(answer)
	}))
	defer hook.Close()
	dir := t.TempDir()
	lines := filepath.Join(dir, "lines")
	config := filepath.Join(dir, "notify.yaml")
	text := "topics:\n  arn:web: " + hook.URL + "/secret\n  arn:file: file://" + lines + "\n  arn:odd: gopher://x\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	topics := topic.Open(config, hook.Client())
	for _, arn := range []string{"arn:web", "arn:file", "arn:file"} {
		if err := topics.Publish(t.Context(), arn, "id-1", []byte(`{"status":"Success"}`)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(lines)
	if err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("file %q, %v", b, err)
	}
	var n map[string]string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(got[0], "id-1 ")), &n); err != nil || n["MessageId"] != "id-1" || n["Message"] != `{"status":"Success"}` || n["TopicArn"] != "arn:web" {
		t.Errorf("posted %q, %v", got[0], err)
	}
	if err := topics.Publish(t.Context(), "arn:none", "id", nil); !errors.Is(err, command.ErrNoTopic) {
		t.Errorf("an unknown topic: %v", err)
	}
	if err := topics.Publish(t.Context(), "arn:odd", "id", nil); err == nil {
		t.Error("published to gopher")
	}
	answer = http.StatusInternalServerError
	if err := topics.Publish(t.Context(), "arn:web", "id", nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a refusal: %v", err)
	}
	if err := topic.Open(filepath.Join(dir, "missing"), nil).Publish(t.Context(), "arn:web", "id", nil); !errors.Is(err, command.ErrNoTopic) {
		t.Errorf("no file: %v", err)
	}
}
