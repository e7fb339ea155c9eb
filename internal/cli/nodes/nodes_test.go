package nodes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/cli/hub"
	"github.com/watchbill/watchbill/internal/wire/client"
)

// answers is a hub with fixed answers by operation, in pages.
func answers(t *testing.T, pages map[string][]string) *client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
		list := pages[op]
		if len(list) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"AccessDeniedException"}`))
			return
		}
		pages[op] = list[1:]
		_, _ = w.Write([]byte(list[0]))
	}))
	t.Cleanup(s.Close)
	c, err := (&hub.Environment{Endpoint: s.URL, Region: "r"}).Client()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestList(t *testing.T) {
	t.Parallel()
	c := answers(t, map[string][]string{
		"DescribeInstanceInformation": {
			`{"InstanceInformationList":[{"InstanceId":"mi-1","Name":"web","PingStatus":"Online","LastPingDateTime":1700000000,"AgentVersion":"1.0","PlatformName":"Debian","PlatformVersion":"12"}],"NextToken":"x"}`,
			`{"InstanceInformationList":[{"InstanceId":"mi-2","ComputerName":"db\u001b[2J","PingStatus":"ConnectionLost","PlatformType":"Linux"}]}`,
		},
		"GetInventory": {
			`{"Entities":[{"Id":"mi-1","Data":{"AWS:InstanceInformation":{"Content":[{"AgentType":"watchbill-agent"}]}}},{"Id":"mi-9","Data":{}}]}`,
			`{"Entities":[{"Id":"mi-1","Data":{"AWS:Tag":{"Content":[{"Key":"Role","Value":"web"}]}}}]}`,
		},
	})
	list, err := List(t.Context(), c, []string{"tag:Role=web"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Write(&out, list, time.Unix(1700000090, 0)); err != nil {
		t.Fatal(err)
	}
	want := "ID    NAME   PLATFORM   AGENT                STATUS          LAST SEEN  TAGS\n" +
		"mi-1  web    Debian 12  watchbill-agent 1.0  Online          1m ago     Role=web\n" +
		"mi-2  db[2J  Linux      agent                ConnectionLost  -          -\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestListWithoutInventory(t *testing.T) {
	t.Parallel()
	c := answers(t, map[string][]string{"DescribeInstanceInformation": {`{"InstanceInformationList":[{"InstanceId":"mi-1","PingStatus":"Online"}]}`}})
	if list, err := List(t.Context(), c, nil); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := List(t.Context(), c, []string{"Role"}); err == nil {
		t.Error("a filter without a value was taken")
	}
}

const testCA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

// The scripts are run by sh, in a root of their own, with commands that only tell.
func TestInstallScripts(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	for name, c := range map[string]struct {
		install Install
		config  string // the agent's configuration, "" for none
		ran     string
	}{
		"address": {
			Install{Agent: StockAgent, Hub: "https://hub:8443/x", Region: "eu-1", CA: []byte(testCA)},
			`{"Agent":{"Region":"eu-1"},"Identity":{"ConsumptionOrder":["OnPrem"]},"Profile":{"ShareCreds":false},"Ssm":{"Endpoint":"https://hub:8443"},"Mds":{"Endpoint":"https://hub:8443"},"Mgs":{"Endpoint":"https://hub:8443"},"S3":{"Endpoint":"https://hub:8443"},"Kms":{"Endpoint":"https://hub:8443"}}`,
			"amazon-ssm-agent -register -y -id I -code C -region eu-1",
		},
		"domain": {
			Install{Agent: StockAgent, ServiceDomain: "hub.example", Region: "eu-1"},
			`{"Agent":{"Region":"eu-1","ServiceDomain":"hub.example"},"Identity":{"ConsumptionOrder":["OnPrem"]},"Profile":{"ShareCreds":false}}`,
			"amazon-ssm-agent -register -y -id I -code C -region eu-1",
		},
		"own": {
			Install{Agent: OwnAgent, Hub: "https://hub:8443", Region: "eu-1", CA: []byte(testCA)},
			"",
			"watchbill agent register --hub https://hub:8443 --ca ROOT/etc/watchbill/hub-ca.pem --region eu-1 --state ROOT/var/lib/watchbill --activation-id I --activation-code C",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			ran := run(t, sh, root, c.install)
			if !strings.Contains(ran, strings.ReplaceAll(c.ran, "ROOT", root)+"\n") {
				t.Errorf("ran %q", ran)
			}
			if c.config == "" {
				return
			}
			text, err := os.ReadFile(filepath.Join(root, "etc/amazon/ssm/amazon-ssm-agent.json"))
			var got, want any
			if err != nil || json.Unmarshal(text, &got) != nil || json.Unmarshal([]byte(c.config), &want) != nil {
				t.Fatalf("%s, %v", text, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// run runs a script with its absolute paths below root and gives the commands it ran.
func run(t *testing.T, sh, root string, c Install) string {
	t.Helper()
	var script strings.Builder
	if err := c.Write(&script); err != nil {
		t.Fatal(err)
	}
	text := script.String()
	for _, dir := range []string{"/etc/", "/var/"} {
		text = strings.ReplaceAll(text, dir, root+dir)
	}
	bin := filepath.Join(root, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"systemctl", "amazon-ssm-agent", "watchbill"} {
		tell := "#!/bin/sh\necho \"" + name + " $*\" >>" + root + "/ran\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(tell), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), sh)
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "ACTIVATION_ID=I", "ACTIVATION_CODE=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ran, err := os.ReadFile(filepath.Join(root, "ran"))
	if err != nil {
		t.Fatal(err)
	}
	return string(ran)
}

func TestInstallIsRefused(t *testing.T) {
	t.Parallel()
	good := Install{Agent: StockAgent, Hub: "https://hub", Region: "eu-1"}
	for name, change := range map[string]func(*Install){
		"agent":  func(c *Install) { c.Agent = "other" },
		"http":   func(c *Install) { c.Hub = "http://hub" },
		"host":   func(c *Install) { c.Hub = "https://hub'; id '" },
		"region": func(c *Install) { c.Region = "eu 1" },
		"domain": func(c *Install) { c.ServiceDomain = "a b" },
		"ca":     func(c *Install) { c.CA = []byte("END-OF-FILE\nreboot\n") },
	} {
		c := good
		change(&c)
		var out strings.Builder
		if err := c.Write(&out); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, out.String())
		}
	}
}
