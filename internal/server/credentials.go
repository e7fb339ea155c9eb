package server

import (
	"fmt"
	"net"
	"path/filepath"

	"github.com/watchbill/watchbill/internal/platform/file"
)

const (
	credentialsFile = "credentials"
	endpointFile    = "endpoint"
)

// writeCredentials keeps a key in the form that AWS clients read.
func writeCredentials(dir, id, secret string) error {
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
	return file.Write(filepath.Join(dir, credentialsFile), []byte(text), 0o600)
}

// reachable is the address that clients on this machine use.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
