package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/client"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// roundsVariable says how often the hub is killed.
const roundsVariable = "WATCHBILL_CRASH_ROUNDS"

const defaultRounds = 3

var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = hubtest.Build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(filepath.Dir(bin))
	os.Exit(code)
}

// lab is a hub that is killed, a node that is killed, and what was asked of them.
type lab struct {
	t        *testing.T
	dir      string
	address  string
	rand     *rand.Rand
	log      *hubtest.Log
	nodeLog  *hubtest.Log
	hub      *hubtest.Process
	agent    *hubtest.Process
	node     string
	client   *client.Client
	grace    *client.Client // approves what the administrator starts
	stop     atomic.Bool
	hubDied  atomic.Int64
	nodeDied atomic.Int64
	unknown  atomic.Int64 // steps whose outcome a person had to decide on
	unclear  atomic.Int64 // calls that were carried out and whose answer was lost
	restarts []time.Duration
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func newLab(t *testing.T, seed uint64) *lab {
	l := &lab{t: t, dir: t.TempDir(), address: hubtest.FreePort(t), rand: rand.New(rand.NewPCG(seed, 1)), log: &hubtest.Log{}, nodeLog: &hubtest.Log{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the hub's log ends:\n%s\nthe node's log ends:\n%s", tail(l.log.String()), tail(l.nodeLog.String()))
		}
	})
	grace := sigv4.Credentials{AccessKeyID: "AKIAGRACEGRACEGRACE0", SecretAccessKey: "grace-secret-grace-secret"}
	hubtest.WriteFiles(t, l.path("hub"), map[string]string{
		"grace":         grace.SecretAccessKey,
		"identity.yaml": "users:\n  - name: grace\n    policies: [WatchbillOperator]\n    access_keys: [{id: " + grace.AccessKeyID + ", secret_file: grace}]\n",
	})
	l.startHub()
	<-l.hub.Ready
	l.client, l.grace = l.as(hubtest.Admin), l.as(grace)
	l.register()
	l.startAgent()
	return l
}

// as calls the hub until it answers.
func (l *lab) as(c sigv4.Credentials) *client.Client {
	out, err := client.New(client.Config{
		Endpoint: "https://" + l.address, Region: hubtest.Region, HTTP: hubtest.HTTP(l.t, l.path("hub/ca.pem")), Models: hubtest.Models,
		Attempts: 1000, Timeout: 10 * time.Second,
		Credentials: func(context.Context) (sigv4.Credentials, error) { return c, nil },
	})
	l.must(err)
	return out
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func (l *lab) startHub() {
	l.hub = hubtest.StartProcess(l.t, l.log, bin, "server", "--data", l.path("hub"), "--listen", l.address,
		"--admin-key", hubtest.Admin.AccessKeyID+":"+hubtest.Admin.SecretAccessKey, "--stage-minute", "1s")
}

func (l *lab) startAgent() {
	l.agent = hubtest.StartProcess(l.t, l.nodeLog, bin, "agent", "run", "--state", l.path("node"))
}

func (l *lab) register() {
	var a ssm.CreateActivationOutput
	l.must(l.client.Call(l.t.Context(), "ssm", "CreateActivation", &ssm.CreateActivationInput{IamRole: new("watchbill-node")}, &a))
	out, err := exec.Command(bin, "agent", "register", "--hub", "https://"+l.address, "--ca", l.path("hub/ca.pem"),
		"--activation-id", *a.ActivationId, "--activation-code", *a.ActivationCode, "--state", l.path("node")).CombinedOutput()
	if err != nil {
		l.t.Fatalf("register: %v\n%s", err, out)
	}
	l.node = strings.TrimSpace(string(out))
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// call calls an operation until it is answered, as an SDK does: each attempt has the
// id of the first. False says that an attempt was carried out and its answer lost.
func (l *lab) call(service, operation string, in, out any) bool {
	return l.callAs(l.client, service, operation, in, out)
}

func (l *lab) callAs(who *client.Client, service, operation string, in, out any) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	err := who.Call(ctx, service, operation, in, out)
	switch client.Code(err) {
	case "":
		if err != nil {
			l.t.Errorf("%s:%s: %v", service, operation, err)
			l.stop.Store(true)
		}
		return err == nil
	case "ConflictException":
		l.unclear.Add(1)
		return false
	}
	l.t.Errorf("%s:%s: %v", service, operation, err)
	l.stop.Store(true)
	return false
}

// kill runs the rounds: each lets the hub live for a moment, kills it and starts it
// again. Every fifth round kills the node too.
func (l *lab) kill(rounds int) {
	for round := range rounds {
		life := time.Duration(80+l.rand.IntN(1500)) * time.Millisecond
		if l.rand.IntN(5) == 0 {
			life = time.Duration(l.rand.IntN(80)) * time.Millisecond // while it starts
		}
		<-time.After(life)
		l.hub.Kill()
		l.hubDied.Add(1)
		if took, ok := <-l.hub.Ready; ok {
			l.restarts = append(l.restarts, took)
		}
		if round%5 == 1 {
			l.agent.Kill()
			l.nodeDied.Add(1)
			l.startAgent()
		}
		l.startHub()
	}
	if took, ok := <-l.hub.Ready; ok {
		l.restarts = append(l.restarts, took)
	} else {
		l.t.Fatal("the hub did not come back")
	}
}

func rounds(t *testing.T) int {
	text := os.Getenv(roundsVariable)
	if text == "" {
		t.Logf("%d rounds; %s=100 runs the long loop", defaultRounds, roundsVariable)
		return defaultRounds
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, not a number of rounds", roundsVariable, text)
	}
	return n
}

// Kills at random points: nothing that was acknowledged is lost, nothing happens
// twice, and every story ends as it would have ended.
func TestKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WATCHBILL_CRASH_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("WATCHBILL_CRASH_SEED=%d", seed)
	n := rounds(t)
	l := newLab(t, seed)
	actors := []actor{
		&puts{lab: l, name: "/crash/a"}, &puts{lab: l, name: "/crash/b"}, newCommands(l), newRunbooks(l), newIncidents(l),
	}
	var working sync.WaitGroup
	for _, a := range actors {
		working.Go(func() {
			for !l.stop.Load() {
				a.act()
			}
			a.act() // once in peace
		})
	}
	l.kill(n)
	l.stop.Store(true)
	working.Wait()
	for _, a := range actors {
		t.Logf("%T: %s", a, a.check())
	}
	l.end(actors)
	slices.Sort(l.restarts)
	t.Logf("the hub died %d times, the node %d times; %d answers lost, %d outcomes unknown; start to ready %v to %v",
		l.hubDied.Load(), l.nodeDied.Load(), l.unclear.Load(), l.unknown.Load(), l.restarts[0], l.restarts[len(l.restarts)-1])
}

// actor does a thing again and again, each time to its end.
type actor interface {
	act()
	check() string          // once the hub lives
	audit(s *hubtest.Store) // once it ended
}

// end stops the hub in good order and looks into its store and its journal.
func (l *lab) end(actors []actor) {
	if code := l.agent.Term(20 * time.Second); code != 0 {
		l.t.Errorf("the node ended with %d", code)
	}
	if code := l.hub.Term(30 * time.Second); code != 0 {
		l.t.Errorf("the hub ended with %d", code)
	}
	store := hubtest.OpenStore(l.t, "sqlite:"+l.path("hub/watchbill.db"))
	for _, a := range actors {
		a.audit(store)
	}
	if rows := store.Rows("select kind, key, attempt from task_task where dead <> 0"); len(rows) > 0 {
		l.t.Errorf("tasks that were given up: %q", rows)
	}
	if rows := store.Rows("select name, position, error from journal_aside"); len(rows) > 0 {
		l.t.Errorf("facts that a subscriber could not take: %q", rows)
	}
	out, err := exec.Command(bin, "audit", "verify", "--data", l.path("hub")).CombinedOutput()
	if err != nil {
		l.t.Errorf("audit verify: %v\n%s", err, out)
	}
	l.t.Logf("audit verify: %s", strings.TrimSpace(string(out)))
}
