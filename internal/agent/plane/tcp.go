package plane

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

const dialTimeout = 10 * time.Second

// denied are the addresses of the link and of metadata services. The hub has
// looked at the name; here it is an address.
var denied = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"), netip.MustParsePrefix("168.63.129.16/32"),
}

var errDenied = errors.New("connections to this address are not allowed")

// checkAddress looks at the address that is really connected to.
func checkAddress(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, p := range denied {
		if p.Contains(ip) || ip.IsMulticast() {
			return errDenied
		}
	}
	return nil
}

// tcp connects to a host and joins the connection with the stream.
func (s *session) tcp(st *wire.Stream) {
	host, port := s.destination(st.Header())
	d := net.Dialer{Timeout: dialTimeout, Control: checkAddress}
	conn, err := d.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		s.refuse(st, err)
		return
	}
	if st.Answer(wire.Opened{}) != nil {
		_ = conn.Close()
		return
	}
	st.Join(conn)
}

// destination is what the document says, and only for a tunnel what the client
// says and the hub has allowed.
func (s *session) destination(open wire.Open) (host, port string) {
	host, _ = ssmdoc.Text(s.properties["host"])
	port, _ = ssmdoc.Text(s.properties["portNumber"])
	if kind, _ := ssmdoc.Text(s.properties["type"]); kind == "Tunnel" {
		host, port = open.Host, strconv.Itoa(open.Port)
	}
	return cmp.Or(host, "localhost"), port
}
