package email

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/platform/egress"
	private "github.com/watchbill/watchbill/internal/platform/file"
	"github.com/watchbill/watchbill/internal/platform/secret"
)

// file is what a configuration file says. The password is in a file of its own,
// so that this one can be shown.
type file struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	From         string `yaml:"from"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password-file"` // relative to the file
	TLS          TLS    `yaml:"tls"`
}

// Open makes the channel that a file describes, as
//
//	host: mail.example.com
//	from: Watchbill <ops@example.com>
//	username: ops
//	password-file: smtp-password
//
// A file that does not exist means no mail: the channel is nil then.
func Open(path string, out egress.Policy) (engage.Channel, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var f file
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	c := Config{Host: f.Host, Port: f.Port, From: f.From, Username: f.Username, TLS: f.TLS, Out: out}
	if f.PasswordFile != "" {
		if !filepath.IsAbs(f.PasswordFile) {
			f.PasswordFile = filepath.Join(filepath.Dir(path), f.PasswordFile)
		}
		password, err := os.ReadFile(f.PasswordFile)
		if err == nil {
			err = private.Private(f.PasswordFile)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: password-file: %w", path, err)
		}
		c.Password = secret.New(strings.TrimRight(string(password), "\r\n"))
	}
	e, err := New(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}
