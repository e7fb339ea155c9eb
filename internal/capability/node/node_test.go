package node_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/node/nodetest"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
)

var (
	scope      = db.Scope{Account: "123456789012", Region: "us-east-1"}
	migrations = []db.Migrations{task.Migrations, journal.Migrations, mailbox.Migrations, tagging.Migrations, node.Migrations}
)

type fixture struct {
	*node.Service
	t   *testing.T
	ctx context.Context
}

func newFixture(t *testing.T, d *db.DB) fixture {
	s := node.New(node.Service{
		DB: d, Tasks: tasktest.New(t, d), Journal: journaltest.New(t, d), Mailbox: &mailbox.Mailbox{DB: d},
		Mint: func(_ context.Context, id string, ttl time.Duration) (node.Credentials, error) {
			return node.Credentials{AccessKeyID: "key-of-" + id, Expires: time.Now().Add(ttl)}, nil
		},
	})
	return fixture{s, t, db.WithScope(t.Context(), scope)}
}

func each(t *testing.T, f func(t *testing.T, x fixture)) {
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) { f(t, newFixture(t, d)) })
}

func inBubble(t *testing.T, f func(t *testing.T, x fixture)) {
	synctest.Test(t, func(t *testing.T) { f(t, newFixture(t, dbtest.SQLite(t, migrations...))) })
}

func (x fixture) activate(limit int32) (id, code string) {
	x.t.Helper()
	out, err := x.CreateActivation(x.ctx, &ssm.CreateActivationInput{IamRole: new("NodeRole"), RegistrationLimit: &limit, DefaultInstanceName: new("web")})
	if err != nil {
		x.t.Fatal(err)
	}
	return *out.ActivationId, *out.ActivationCode
}

func (x fixture) registerAs(id, code, fingerprint string) (string, error) {
	return x.Register(x.t.Context(), node.Registration{ActivationID: id, ActivationCode: code, Fingerprint: fingerprint, PublicKey: nodetest.PublicKey(), PublicKeyType: "Rsa"})
}

// register makes a node that has reported once.
func (x fixture) register(fingerprint string) string {
	x.t.Helper()
	id, code := x.activate(1)
	n, err := x.registerAs(id, code, fingerprint)
	if err != nil {
		x.t.Fatal(err)
	}
	x.must(x.Report(x.ctx, n, node.Report{AgentVersion: "1.0", PlatformType: "linux", ComputerName: fingerprint + ".local"}))
	return n
}

func (x fixture) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x fixture) wantCode(err error, code string) {
	x.t.Helper()
	c, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err)
	if !ok || c.ErrorCode() != code {
		x.t.Errorf("error %v, want %s", err, code)
	}
}

func (x fixture) describe(filters ...ssm.InstanceInformationStringFilter) (ids []string) {
	x.t.Helper()
	out, err := x.DescribeInstanceInformation(x.ctx, &ssm.DescribeInstanceInformationInput{Filters: filters})
	x.must(err)
	for _, i := range out.InstanceInformationList {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

func TestActivationLife(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id, code := x.activate(3)
		if len(id) != 36 || len(code) < 20 {
			t.Errorf("activation %q, code %q: the stock agent refuses them", id, code)
		}
		if _, err := x.registerAs(id, code, "f"); err != nil {
			t.Fatal(err)
		}
		out, err := x.DescribeActivations(x.ctx, &ssm.DescribeActivationsInput{
			Filters: []ssm.DescribeActivationsFilter{{FilterKey: ssm.DescribeActivationsFilterKeysIamRole, FilterValues: []string{"NodeRole"}}},
		})
		x.must(err)
		if len(out.ActivationList) != 1 || *out.ActivationList[0].RegistrationsCount != 1 || *out.ActivationList[0].Expired {
			t.Errorf("activations %+v", out.ActivationList)
		}
		_, err = x.DeleteActivation(x.ctx, &ssm.DeleteActivationInput{ActivationId: &id})
		x.must(err)
		_, err = x.DeleteActivation(x.ctx, &ssm.DeleteActivationInput{ActivationId: &id})
		x.wantCode(err, "InvalidActivationId")
		_, err = x.registerAs(id, code, "g")
		x.wantCode(err, "InvalidActivation")
	})
}

func TestActivationCodeIsNotStored(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		_, code := x.activate(1)
		x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
			var row string
			err := tx.QueryRow("select code_hash || spec || iam_role from node_activation").Scan(&row)
			if strings.Contains(row, code) {
				t.Error("the code is in the row")
			}
			return err
		}))
	})
}

func TestRegisterRefuses(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id, code := x.activate(1)
		good := node.Registration{ActivationID: id, ActivationCode: code, Fingerprint: "f", PublicKey: nodetest.PublicKey(), PublicKeyType: "Rsa"}
		for name, c := range map[string]struct {
			edit func(*node.Registration)
			code string
		}{
			"wrong code":      {func(r *node.Registration) { r.ActivationCode += "x" }, "InvalidActivation"},
			"no code":         {func(r *node.Registration) { r.ActivationCode = "" }, "InvalidActivation"},
			"unknown id":      {func(r *node.Registration) { r.ActivationID = "x" }, "InvalidActivation"},
			"no key":          {func(r *node.Registration) { r.PublicKey = "" }, "InvalidPublicKey"},
			"small key":       {func(r *node.Registration) { r.PublicKey = nodetest.NewKey(1024) }, "InvalidPublicKey"},
			"other key type":  {func(r *node.Registration) { r.PublicKeyType = "Ed25519" }, "InvalidPublicKey"},
			"no fingerprint":  {func(r *node.Registration) { r.Fingerprint = "" }, "ValidationException"},
			"key is not DER":  {func(r *node.Registration) { r.PublicKey = "AAAA" }, "InvalidPublicKey"},
			"key not base 64": {func(r *node.Registration) { r.PublicKey = "%%" }, "InvalidPublicKey"},
		} {
			r := good
			c.edit(&r)
			n, err := x.Register(t.Context(), r)
			if err == nil {
				t.Errorf("%s: registered %s", name, n)
			}
			x.wantCode(err, c.code)
		}
		if _, err := x.Register(t.Context(), good); err != nil {
			t.Errorf("the refused ones used up the activation: %v", err)
		}
		_, err := x.registerAs(id, code, "g")
		x.wantCode(err, "RegistrationLimitExceeded")
	})
}

func TestRegisterAgainIsTheSameNode(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id, code := x.activate(1)
		first, err := x.registerAs(id, code, "f")
		x.must(err)
		if !regexp.MustCompile(`^mi-[0-9a-f]{17}$`).MatchString(first) {
			t.Errorf("node id %q", first)
		}
		again, err := x.registerAs(id, code, "f")
		x.must(err)
		if again != first {
			t.Errorf("registered again as %s, was %s", again, first)
		}
	})
}

func TestLimitIsExactUnderRaces(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		const limit, machines = 5, 20
		id, code := x.activate(limit)
		results := make(chan error, machines)
		for i := range machines {
			go func() {
				_, err := x.registerAs(id, code, string(rune('a'+i)))
				results <- err
			}()
		}
		good := 0
		for range machines {
			if err := <-results; err == nil {
				good++
			} else {
				x.wantCode(err, "RegistrationLimitExceeded")
			}
		}
		if good != limit {
			t.Errorf("%d of %d machines registered, the limit is %d", good, machines, limit)
		}
	})
}

func TestActivationExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		id, code := x.activate(2)
		<-time.After(24*time.Hour - time.Second)
		_, err := x.registerAs(id, code, "f")
		x.must(err)
		<-time.After(time.Second)
		_, err = x.registerAs(id, code, "g")
		x.wantCode(err, "ActivationExpired")
		for _, at := range []time.Time{time.Now(), time.Now().Add(31 * 24 * time.Hour)} {
			_, err := x.CreateActivation(x.ctx, &ssm.CreateActivationInput{IamRole: new("r"), ExpirationDate: &at})
			x.wantCode(err, "InvalidParameters")
		}
	})
}

func TestTokenAndKeyRotation(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.register("f")
		n, err := x.Lookup(t.Context(), id)
		x.must(err)
		_, err = x.Token(x.ctx, n, "other")
		x.wantCode(err, "MachineFingerprintDoesNotMatch")
		c, err := x.Token(x.ctx, n, "f")
		x.must(err)
		if c.AccessKeyID != "key-of-"+id || time.Until(c.Expires) > time.Hour {
			t.Errorf("credentials %+v", c)
		}
		fresh := nodetest.NewKey(2048)
		x.must(x.RotateKey(x.ctx, n, fresh, "Rsa"))
		x.wantCode(x.RotateKey(x.ctx, n, nodetest.NewKey(2048), "Rsa"), "AccessDeniedException")
		after, err := x.Lookup(t.Context(), id)
		x.must(err)
		if after.PublicKey != fresh {
			t.Error("the second rotation with the old key won")
		}
	})
}

func TestDescribeInstanceInformation(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		a, b := x.register("a"), x.register("b")
		if a > b {
			a, b = b, a
		}
		x.must(x.Connected(x.ctx, a, "c1"))
		filter := func(key string, values ...string) ssm.InstanceInformationStringFilter {
			return ssm.InstanceInformationStringFilter{Key: &key, Values: values}
		}
		for _, c := range []struct {
			filter ssm.InstanceInformationStringFilter
			want   []string
		}{
			{filter("InstanceIds", a, b), []string{a, b}},
			{filter("InstanceIds", "mi-x"), nil},
			{filter("PingStatus", "Online"), []string{a}},
			{filter("PingStatus", "ConnectionLost"), []string{b}},
			{filter("PingStatus", "ConnectionLost", "Online"), []string{a, b}},
			{filter("PlatformTypes", "Linux"), []string{a, b}},
			{filter("PlatformTypes", "Windows"), nil},
			{filter("ResourceType", "ManagedInstance"), []string{a, b}},
			{filter("ResourceType", "EC2Instance"), nil},
			{filter("IamRole", "NodeRole"), []string{a, b}},
		} {
			if diff := cmp.Diff(c.want, x.describe(c.filter)); diff != "" {
				t.Errorf("%s %v (-want +got):\n%s", *c.filter.Key, c.filter.Values, diff)
			}
		}
		for key, code := range map[string]string{"Bad": "InvalidFilterKey", "PingStatus": "InvalidInstanceInformationFilterValue"} {
			_, err := x.DescribeInstanceInformation(x.ctx, &ssm.DescribeInstanceInformationInput{Filters: []ssm.InstanceInformationStringFilter{filter(key, "x")}})
			x.wantCode(err, code)
		}
		one, err := x.DescribeInstanceInformation(x.ctx, &ssm.DescribeInstanceInformationInput{MaxResults: new(int32(1))})
		x.must(err)
		two, err := x.DescribeInstanceInformation(x.ctx, &ssm.DescribeInstanceInformationInput{NextToken: one.NextToken})
		x.must(err)
		if *one.InstanceInformationList[0].InstanceId != a || *two.InstanceInformationList[0].InstanceId != b || two.NextToken != nil {
			t.Errorf("pages %+v, %+v", one, two)
		}
	})
}

func TestNewestConnectionWins(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.register("a")
		online := ssm.InstanceInformationStringFilter{Key: new("PingStatus"), Values: []string{"Online"}}
		status := func(id string, want ssm.ConnectionStatus) {
			t.Helper()
			out, err := x.GetConnectionStatus(x.ctx, &ssm.GetConnectionStatusInput{Target: &id})
			x.must(err)
			if out.Status != want {
				t.Errorf("%s is %s, want %s", id, out.Status, want)
			}
		}
		status(id, ssm.ConnectionStatusNotconnected)
		status("mi-0", ssm.ConnectionStatusNotconnected)
		x.must(x.Connected(x.ctx, id, "c1"))
		status(id, ssm.ConnectionStatusConnected)
		x.must(x.Connected(x.ctx, id, "c2"))
		x.must(x.Disconnected(x.ctx, id, "c1"))
		for connection, want := range map[string]bool{"c1": false, "c2": true} {
			if holds, err := x.Holds(x.ctx, id, connection); err != nil || holds != want {
				t.Errorf("Holds(%s) = %v, %v", connection, holds, err)
			}
		}
		if got := x.describe(online); len(got) != 1 {
			t.Errorf("online %v after the old connection ended", got)
		}
		x.must(x.Disconnected(x.ctx, id, "c2"))
		if got := x.describe(online); len(got) != 0 {
			t.Errorf("online %v after the last connection ended", got)
		}
	})
}

func TestConnectionOfADeadHubIsFound(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		x.must(x.Start(x.ctx))
		dead, alive := x.register("a"), x.register("b")
		x.must(x.Connected(x.ctx, dead, "c1"))
		x.must(x.Connected(x.ctx, alive, "c2"))
		for range 6 {
			<-time.After(node.PingEvery)
			x.must(x.Seen(x.ctx, []string{"c2"}))
			x.must(x.Tasks.RunDue(x.ctx))
		}
		got := x.describe(ssm.InstanceInformationStringFilter{Key: new("PingStatus"), Values: []string{"Online"}})
		if diff := cmp.Diff([]string{alive}, got); diff != "" {
			t.Errorf("online (-want +got):\n%s", diff)
		}
		x.wantFacts(dead, "node.registered", "node.online", "node.offline")
	})
}

func (x fixture) wantFacts(id string, want ...string) {
	x.t.Helper()
	x.must(x.Journal.Dispatch(x.ctx))
	x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
		rows, err := x.Journal.About(tx, []string{id}, 0, 100)
		var kinds []string
		for _, r := range rows {
			kinds = append(kinds, r.Kind)
		}
		if diff := cmp.Diff(want, kinds); diff != "" {
			x.t.Errorf("facts of %s (-want +got):\n%s", id, diff)
		}
		return err
	}))
}

func TestDeregister(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		id := x.register("a")
		x.must(x.Connected(x.ctx, id, "c1"))
		_, err := x.UpdateManagedInstanceRole(x.ctx, &ssm.UpdateManagedInstanceRoleInput{InstanceId: &id, IamRole: new("Other")})
		x.must(err)
		_, err = x.DeregisterManagedInstance(x.ctx, &ssm.DeregisterManagedInstanceInput{InstanceId: &id})
		x.must(err)
		_, err = x.DeregisterManagedInstance(x.ctx, &ssm.DeregisterManagedInstanceInput{InstanceId: &id})
		x.wantCode(err, "InvalidInstanceId")
		_, err = x.UpdateManagedInstanceRole(x.ctx, &ssm.UpdateManagedInstanceRoleInput{InstanceId: &id, IamRole: new("Other")})
		x.wantCode(err, "InvalidInstanceId")
		x.wantCode(x.Report(x.ctx, id, node.Report{}), "InvalidInstanceId")
		x.wantCode(x.Connected(x.ctx, id, "c2"), "InvalidInstanceId")
		if _, err := x.Lookup(t.Context(), id); !node.IsUnknown(err) {
			t.Errorf("Lookup: %v", err)
		}
		if holds, err := x.Holds(x.ctx, id, "c1"); err != nil || holds {
			t.Errorf("the channel of a node that is gone: %v, %v", holds, err)
		}
	})
}

func TestTags(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		out, err := x.CreateActivation(x.ctx, &ssm.CreateActivationInput{IamRole: new("r"), Tags: []ssm.Tag{{Key: new("Environment"), Value: new("prod")}}})
		x.must(err)
		tag, err := x.registerAs(*out.ActivationId, *out.ActivationCode, "t")
		x.must(err)
		x.must(x.Report(x.ctx, tag, node.Report{}))
		x.register("plain")
		for key, want := range map[string][]string{"tag:Environment": {tag}, "tag-key": {tag}, "tag:Other": nil} {
			value := map[string]string{"tag-key": "Environment"}[key]
			if value == "" {
				value = "prod"
			}
			if diff := cmp.Diff(want, x.describe(ssm.InstanceInformationStringFilter{Key: &key, Values: []string{value}})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", key, diff)
			}
		}
		match := func(targets ...ssm.Target) (ids []string) {
			x.must(x.DB.View(x.ctx, func(tx *db.Tx) error {
				nodes, err := x.Match(tx, targets)
				for _, n := range nodes {
					ids = append(ids, n.ID)
				}
				return err
			}))
			return ids
		}
		prod := ssm.Target{Key: new("tag:Environment"), Values: []string{"prod", "stage"}}
		if diff := cmp.Diff([]string{tag}, match(prod)); diff != "" {
			t.Errorf("by tag (-want +got):\n%s", diff)
		}
		if got := match(prod, ssm.Target{Key: new("InstanceIds"), Values: []string{"mi-0"}}); len(got) != 0 {
			t.Errorf("both targets match %v", got)
		}
		if got := match(ssm.Target{Key: new("InstanceIds"), Values: []string{"*"}}); len(got) != 2 {
			t.Errorf("all of them: %v", got)
		}
	})
}
