package release

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"
)

func key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	text, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ReadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func manifest() Manifest {
	return Manifest{
		Version: "1.2.0.0", Floor: "1.0", Expires: time.Now().Add(time.Hour),
		Binaries: map[string]Binary{"linux/amd64": {File: "watchbill-linux-amd64", Size: 10, SHA256: strings.Repeat("a", 64)}},
	}
}

func TestVerify(t *testing.T) {
	mine, other := key(t), key(t)
	good, err := Sign(manifest(), other, mine)
	if err != nil {
		t.Fatal(err)
	}
	trusted := []string{"broken", PublicKey(mine)}
	if m, err := Verify(good, trusted, time.Now()); err != nil || m.Version != "1.2.0.0" {
		t.Errorf("%+v, %v", m, err)
	}
	foreign, _ := Sign(manifest(), other)
	unsigned, _ := Sign(manifest())
	for name, tt := range map[string]struct {
		text    string
		trusted []string
		after   time.Duration
		want    error
	}{
		"another key":  {string(foreign), trusted, 0, ErrSignature},
		"no signature": {string(unsigned), trusted, 0, ErrSignature},
		"no trust":     {string(good), nil, 0, ErrSignature},
		"changed":      {strings.Replace(string(good), "1.2.0.0", "1.3.0.0", 1), trusted, 0, ErrSignature},
		"frozen":       {string(good), trusted, 2 * time.Hour, ErrExpired},
		"truncated":    {string(good[:len(good)/2]), trusted, 0, nil},
	} {
		_, err := Verify([]byte(tt.text), tt.trusted, time.Now().Add(tt.after))
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"version": func(m *Manifest) { m.Version = "v1" },
		"none":    func(m *Manifest) { m.Version = "" },
		"floor":   func(m *Manifest) { m.Floor = "1.2.3.4.5" },
		"empty":   func(m *Manifest) { m.Binaries = nil },
		"key":     func(m *Manifest) { m.Keys = []string{"x"} },
		"path": func(m *Manifest) {
			m.Binaries["linux/amd64"] = Binary{File: "../x", Size: 1, SHA256: strings.Repeat("a", 64)}
		},
		"sum":      func(m *Manifest) { m.Binaries["linux/amd64"] = Binary{File: "x", Size: 1, SHA256: "a"} },
		"platform": func(m *Manifest) { m.Binaries["x"] = m.Binaries["linux/amd64"] },
	} {
		m := manifest()
		change(&m)
		if _, err := Sign(m, key(t)); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"1.0", "1.0.0.0", 0}, {"1.10", "1.9", 1}, {"1.0.0.1", "1.0.1", -1}, {"x", "0.0.0.1", -1}} {
		if got := Compare(tt.a, tt.b); got != tt.want {
			t.Errorf("Compare(%s, %s) = %d", tt.a, tt.b, got)
		}
	}
}
