package inventory

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// network are the interfaces that have an address and are not this machine's
// own.
func (k *Collector) network() ([]Entry, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []Entry
	gateways, servers := k.gateways(), k.nameServers()
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil || len(addresses) == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		e := Entry{"Name": i.Name, "MacAddress": i.HardwareAddr.String(), "Gateway": gateways[i.Name], "DNSServer": servers}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				e.address(n)
			}
		}
		out = append(out, application(e))
	}
	return out, nil
}

func (e Entry) address(n *net.IPNet) {
	name := "IPV6"
	if n.IP.To4() != nil {
		name = "IPV4"
		e["SubnetMask"] = joined(e["SubnetMask"], net.IP(n.Mask).String())
	}
	e[name] = joined(e[name], n.IP.String())
}

func joined(list, one string) string {
	if list == "" {
		return one
	}
	return list + "," + one
}

// gateways are the default routes of IPv4, by interface.
func (k *Collector) gateways() map[string]string {
	out := map[string]string{}
	b, _ := os.ReadFile(k.path("proc/net/route"))
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[1] != "00000000" {
			continue
		}
		if raw, err := hex.DecodeString(f[2]); err == nil && len(raw) == 4 {
			ip := make(net.IP, 4)
			binary.BigEndian.PutUint32(ip, binary.LittleEndian.Uint32(raw))
			out[f[0]] = ip.String()
		}
	}
	return out
}

func (k *Collector) nameServers() string {
	b, _ := os.ReadFile(k.path("etc/resolv.conf"))
	list := ""
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			list = joined(list, f[1])
		}
	}
	return list
}

// details are the processor and the kernel.
func (k *Collector) details() []Entry {
	cpu := k.cpu()
	release, _ := os.ReadFile(k.path("proc/sys/kernel/osrelease"))
	return []Entry{application(Entry{
		"CPUModel": cpu.model, "CPUSpeedMHz": cpu.mhz, "CPUs": strconv.Itoa(runtime.NumCPU()),
		"CPUSockets": count(len(cpu.sockets)), "CPUCores": count(len(cpu.cores)),
		"CPUHyperThreadEnabled": fmt.Sprint(len(cpu.cores) > 0 && cpu.threads > len(cpu.cores)),
		"KernelVersion":         strings.TrimSpace(string(release)),
	})}
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

type cpu struct {
	model, mhz     string
	threads        int
	sockets, cores map[string]bool
}

// cpu reads the processors that Linux lists.
func (k *Collector) cpu() cpu {
	c := cpu{sockets: map[string]bool{}, cores: map[string]bool{}}
	list, _ := stanzas(k.path("proc/cpuinfo"), func(line string) (string, string, bool) {
		name, value, ok := strings.Cut(line, ":")
		return strings.TrimSpace(name), strings.TrimSpace(value), ok
	})
	for _, p := range list {
		if p["processor"] == "" {
			continue
		}
		c.threads++
		c.model, c.mhz = p["model name"], strings.Split(p["cpu MHz"], ".")[0]
		if p["physical id"] != "" {
			c.sockets[p["physical id"]] = true
			c.cores[p["physical id"]+"/"+p["core id"]] = true
		}
	}
	return c
}
