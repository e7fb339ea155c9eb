package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Config is what the command line gives.
type Config struct {
	Data    string   // directory of everything the hub keeps in files
	Listen  string   // host:port of the TLS listener
	DevHTTP string   // host:port of a plain listener, loopback only; "" for none
	DB      string   // postgres://…; "" for SQLite in Data
	Blobs   string   // file:///…, s3://… or mem://; "" for a directory in Data
	Account string   // 12 digits
	Regions []string // the first is home
	Names   []string // further names in the certificate
	// ServiceDomain has the names of the services in it, as ssm.REGION.DOMAIN and
	// BUCKET.s3.REGION.DOMAIN; "" for none.
	ServiceDomain string
	// PublicURL is where people reach the hub, for the links in pages; "" for the
	// address of the listener. Hubs on one store need it: a link outlives its hub.
	PublicURL string
	// Advertise is where the other hubs on the same store reach this one; "" for the
	// address of the listener.
	Advertise string
	// AdminKey fixes the first administrator's key, as ID:SECRET; "" makes one up.
	AdminKey string
	// StageUnit is what one minute of an escalation plan lasts; for drills.
	NodeKeyAge time.Duration // age at which a node is told to make a new key, 0 for never
	StageUnit  time.Duration
	// AllowPrivate lets outbound connections reach this machine and private networks.
	AllowPrivate []string
	Version      string
	// Connections are the most that the ports hold, in all and of one address, which
	// this machine's own are not bound by; 0 for no limit.
	Connections, AddressConnections int

	networks []netip.Prefix // AllowPrivate, read
}

// Defaults of the command line.
const (
	DefaultListen  = "127.0.0.1:8443"
	DefaultAccount = "123456789012"
	DefaultRegion  = "us-east-1"
)

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	domainForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)
)

// check fills in defaults and refuses what cannot work, naming the flag.
func (c *Config) check() error {
	if c.Data == "" {
		return errors.New("--data: name a directory")
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	c.Data = data
	if !accountForm.MatchString(c.Account) {
		return fmt.Errorf("--account %q: an account has 12 digits", c.Account)
	}
	if len(c.Regions) == 0 {
		return errors.New("--region: name at least one region")
	}
	for _, r := range c.Regions {
		if !regionForm.MatchString(r) {
			return fmt.Errorf("--region %q: not in the form of us-east-1", r)
		}
	}
	if c.Connections < 0 || c.AddressConnections < 0 {
		return errors.New("--max-connections, --max-address-connections: write a number, or 0 for no limit")
	}
	if c.StageUnit == 0 {
		c.StageUnit = time.Minute
	}
	if c.AdminKey != "" && !strings.Contains(c.AdminKey, ":") {
		return errors.New("--admin-key: write ID:SECRET")
	}
	if c.ServiceDomain = strings.ToLower(strings.Trim(c.ServiceDomain, ".")); c.ServiceDomain != "" && !domainName(c.ServiceDomain) {
		return fmt.Errorf("--service-domain %q: write a domain as hub.example.com", c.ServiceDomain)
	}
	if c.networks, err = parseNetworks(c.AllowPrivate); err != nil {
		return err
	}
	if u, err := url.Parse(c.Advertise); err != nil || c.Advertise != "" && (u.Host == "" || u.Scheme != "https") {
		return fmt.Errorf("--advertise %q: write it as https://hub-1.example.com:8443", c.Advertise)
	}
	if u, err := url.Parse(c.PublicURL); err != nil || c.PublicURL != "" && (u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("--public-url %q: write it as https://hub.example.com", c.PublicURL)
	}
	return c.checkDevHTTP()
}

func (c *Config) checkDevHTTP() error {
	if c.DevHTTP == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.DevHTTP)
	if err != nil {
		return fmt.Errorf("--dev-http: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--dev-http %s: plain HTTP is served on a loopback address only", c.DevHTTP)
	}
	return nil
}

// dbURL is the store's address.
func (c *Config) dbURL() string {
	if c.DB != "" {
		return c.DB
	}
	return "sqlite:" + filepath.Join(c.Data, "watchbill.db")
}

// blobsURL is the address of the bytes that are too many for the store.
func (c *Config) blobsURL() string {
	if c.Blobs != "" {
		return c.Blobs
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(c.Data, "blobs"))}).String()
}

// HomeRegion is the first region.
func (c *Config) HomeRegion() string { return c.Regions[0] }

// names are the further names in the certificate.
func (c *Config) names() []string {
	if u, err := url.Parse(c.Advertise); err == nil && u.Hostname() != "" {
		return append([]string{u.Hostname()}, c.Names...)
	}
	return c.Names
}
