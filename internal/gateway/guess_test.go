package gateway

import (
	"net/http"
	"testing"
	"time"
)

func TestGuesses(t *testing.T) {
	var g guesses
	now := time.Now()
	one := addressOf(&http.Request{RemoteAddr: "[2001:db8::1]:7", Header: http.Header{"X-Forwarded-For": {"192.0.2.9"}}})
	same, other := addressOf(&http.Request{RemoteAddr: "[2001:db8::2]:9"}), addressOf(&http.Request{RemoteAddr: "192.0.2.1:9"})
	for range mostGuesses {
		if g.over(one, now) {
			t.Fatal("refused too early")
		}
		g.wrong(one)
	}
	if !g.over(one, now) || !g.over(same, now) || g.over(other, now) {
		t.Error("not the address is counted, or all are")
	}
	if g.over(one, now.Add(guessWindow)) {
		t.Error("refused for ever")
	}
}
