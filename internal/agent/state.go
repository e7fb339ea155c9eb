package agent

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/watchbill/watchbill/internal/agent/durable"
)

// Version is the version that the node reports, in AWS's form of four numbers.
// The program sets it before it does anything else.
var Version = "1.0.0.0"

var versionForm = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+){0,3})$`)

// SetVersion takes the version of the build, when it is one to four numbers,
// with a v or without.
func SetVersion(build string) {
	m := versionForm.FindStringSubmatch(build)
	if m == nil {
		return
	}
	Version = m[1] + strings.Repeat(".0", 3-strings.Count(m[1], "."))
}

// ErrNotRegistered says that a state directory holds no registration.
var ErrNotRegistered = errors.New("this node is not registered: run `watchbill agent register` first")

// state is the file state.json in the state directory. A registration that was
// begun and not answered has no InstanceID.
type state struct {
	InstanceID   string `json:"instanceId,omitzero"`
	Region       string `json:"region,omitzero"`
	Hub          string `json:"hub"`
	CA           string `json:"ca,omitzero"` // PEM
	ActivationID string `json:"activationId"`
	Fingerprint  string `json:"fingerprint"`
	Key          string `json:"key"`              // PEM, PKCS #8
	NextKey      string `json:"nextKey,omitzero"` // a rotation was begun

	ReleaseKeys []string `json:"releaseKeys,omitzero"` // that updates of the program are signed with
}

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// readState reads a state directory. Error: fs.ErrNotExist without a file.
func readState(dir string) (*state, error) {
	b, err := os.ReadFile(statePath(dir))
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", statePath(dir), err)
	}
	return s, nil
}

// registered reads the state of a node that has its id.
func registered(dir string) (*state, error) {
	s, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRegistered)
	}
	if err != nil {
		return nil, err
	}
	if s.InstanceID == "" {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRegistered)
	}
	return s, nil
}

func (s *state) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(statePath(dir), append(b, '\n'))
}

func encodeKey(key *rsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func decodeKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the node's key is damaged: no PEM block")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the node's key is damaged: %w", err)
	}
	rsaKey, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the node's key is not an RSA key")
	}
	return rsaKey, nil
}
