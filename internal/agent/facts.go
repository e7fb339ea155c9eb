package agent

import (
	"net"
	"net/url"
	"os"

	"github.com/watchbill/watchbill/internal/agent/runner"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// information is the input of UpdateInstanceInformation.
type information struct {
	InstanceID           string `json:"InstanceId"`
	AgentName            string
	AgentStatus          string
	AgentVersion         string
	ComputerName         string
	IPAddress            string
	PlatformName         string
	PlatformType         string
	PlatformVersion      string
	SSMConnectionChannel string
}

// facts is what this machine says about itself.
func facts(id string, hub *url.URL) information {
	name, version := platform()
	host, _ := os.Hostname()
	return information{
		InstanceID: id, AgentName: mgs.OwnAgent, AgentStatus: "Active", AgentVersion: Version,
		ComputerName: host, IPAddress: addressTowards(hub), PlatformName: name, PlatformType: runner.PlatformType(),
		PlatformVersion: version, SSMConnectionChannel: "ssmmessages",
	}
}

// addressTowards is the address of this machine on the way to the hub, ""
// when it cannot be found. Nothing is sent.
func addressTowards(hub *url.URL) string {
	port := hub.Port()
	if port == "" {
		port = hub.Scheme
	}
	c, err := net.Dial("udp", net.JoinHostPort(hub.Hostname(), port))
	if err != nil {
		return ""
	}
	defer c.Close()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.IP.String()
	}
	return ""
}
