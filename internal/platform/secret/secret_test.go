package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/secret"
)

func TestNothingPrintsTheText(t *testing.T) {
	const canary = "canary-7f3a"
	s := secret.New(canary)
	box := struct{ S secret.String }{s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "box", box)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "box", box)
	j, err := json.Marshal(box)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %x %v %+v %#v", s, s, s, s, s, s, box, box, box) + log.String() + string(j)
	if strings.Contains(all, canary) || strings.Contains(all, fmt.Sprintf("%x", canary)) {
		t.Fatal(all)
	}
	if s.Reveal() != canary || s.Empty() {
		t.Fatal("Reveal lost the text")
	}
}
