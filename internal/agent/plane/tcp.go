package plane

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/lang/address"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	wire "github.com/watchbill/watchbill/internal/wire/plane"
)

const dialTimeout = 10 * time.Second

var errDenied = errors.New("connections to this address are not allowed")

// checkAddress looks at the address that is really connected to. The hub has
// looked at the name.
func checkAddress(_, to string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(to)
	if err == nil && address.Denied(at.Addr()) {
		err = errDenied
	}
	return err
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
