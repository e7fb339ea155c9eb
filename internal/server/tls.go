package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/platform/file"
)

const (
	caFile     = "ca.pem"
	caKeyFile  = "ca.key"
	caLife     = 10 * 365 * 24 * time.Hour
	leafLife   = 90 * 24 * time.Hour
	renewAhead = 30 * 24 * time.Hour
	backdate   = time.Hour // for clients whose clock is behind
)

// authority is the hub's own certificate authority. Its key stays in the data
// directory.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// openAuthority reads the authority in dir, or makes it at the first start.
func openAuthority(dir string) (*authority, error) {
	keyPEM, err := os.ReadFile(filepath.Join(dir, caKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := file.Private(filepath.Join(dir, caKeyFile)); err != nil {
		return nil, err
	}
	certPEM, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", caFile, caKeyFile, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is not an ECDSA key", caKeyFile)
	}
	return &authority{cert: pair.Leaf, key: key, pem: certPEM}, nil
}

func makeAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template("Watchbill local CA", caLife)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	a := &authority{cert: cert, key: key, pem: encodePEM("CERTIFICATE", der)}
	if err := file.Write(filepath.Join(dir, caFile), a.pem, 0o644); err != nil {
		return nil, err
	}
	return a, file.Write(filepath.Join(dir, caKeyFile), encodePEM("EC PRIVATE KEY", keyDER), 0o600)
}

func template(name string, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-backdate), NotAfter: time.Now().Add(life),
	}
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// leaf makes a certificate for the names that the hub is reached by.
func (a *authority) leaf(names []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template("watchbill", leafLife)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, err
}

// certificates hands out the leaf and makes a new one in time.
type certificates struct {
	authority *authority
	names     []string
	now       chan *tls.Certificate // holds the one in use
}

func newCertificates(a *authority, names []string) (*certificates, error) {
	c := &certificates{authority: a, names: names, now: make(chan *tls.Certificate, 1)}
	leaf, err := a.leaf(names)
	c.now <- leaf
	return c, err
}

// reload takes the authority that is in dir now and makes a leaf of it. Connections
// that are open go on.
func (c *certificates) reload(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, caKeyFile)); err != nil {
		return err // openAuthority would make another one
	}
	a, err := openAuthority(dir)
	if err != nil {
		return err
	}
	leaf, err := a.leaf(c.names)
	if err != nil {
		return err
	}
	<-c.now
	c.authority = a
	c.now <- leaf
	return nil
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert := <-c.now
	defer func() { c.now <- cert }()
	if time.Until(cert.Leaf.NotAfter) > renewAhead {
		return cert, nil
	}
	fresh, err := c.authority.leaf(c.names)
	if err == nil {
		cert = fresh
	}
	return cert, err
}

func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true}
}

// serverNames are the names in the certificate: this machine's, the listening
// host's and those configured.
func serverNames(listen string, more []string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
		names = append(names, host)
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	names = append(names, more...)
	slices.Sort(names)
	return slices.Compact(names)
}
