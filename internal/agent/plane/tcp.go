package plane

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

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
	open := st.Header()
	host := open.Host
	if host == "" {
		host = "localhost"
	}
	d := net.Dialer{Timeout: dialTimeout, Control: checkAddress}
	conn, err := d.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(open.Port)))
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
