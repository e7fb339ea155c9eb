package lock_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/lock"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/platform/task/tasktest"
)

const account = "123456789012"

var (
	scope      = db.Scope{Account: account, Region: "us-east-1"}
	migrations = []db.Migrations{task.Migrations, journal.Migrations, lock.Migrations}
	ada        = identity.Caller{ARN: "arn:aws:iam::123456789012:user/ada", Account: account, Kind: identity.User, AccessKeyID: "AKIAADA"}
)

func newService(t *testing.T, d *db.DB) (*lock.Service, *task.Engine) {
	e := tasktest.New(t, d)
	return lock.New(d, e, journaltest.New(t, d), slog.New(slog.DiscardHandler)), e
}

func as(c identity.Caller) context.Context {
	return identity.With(db.WithScope(context.Background(), scope), c)
}

func create(t *testing.T, s *lock.Service, kind watchbill.LockTargetType, target string) (*watchbill.CreateLockOutput, error) {
	t.Helper()
	return s.CreateLock(as(ada), &watchbill.CreateLockInput{TargetType: kind, Target: &target, Reason: new("stolen laptop")})
}

func code(err error) string {
	if c, ok := err.(interface{ ErrorCode() string }); ok {
		return c.ErrorCode()
	}
	return ""
}

func TestNames(t *testing.T) {
	t.Parallel()
	user, role := lock.Lock{Account: account, Kind: lock.User, Target: "bob"}, lock.Lock{Account: account, Kind: lock.Role, Target: "ops"}
	key := lock.Lock{Account: account, Kind: lock.AccessKey, Target: "AKIABOB"}
	asRole := "arn:aws:sts::123456789012:assumed-role/ops/bob"
	for name, c := range map[string]struct {
		lock *lock.Lock
		who  lock.Principal
		want bool
	}{
		"a user":                       {&user, lock.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/bob"}, true},
		"a user with a path":           {&user, lock.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/dev/bob"}, true},
		"another user":                 {&user, lock.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/bobby"}, false},
		"a user of another account":    {&user, lock.Principal{Account: "210987654321", ARN: "arn:aws:iam::210987654321:user/bob"}, false},
		"a session named as the user":  {&user, lock.Principal{Account: account, ARN: asRole}, false},
		"a role that the user took on": {&user, lock.Principal{Account: account, ARN: asRole, Source: "arn:aws:iam::123456789012:user/bob"}, true},
		"a session of the role":        {&role, lock.Principal{Account: account, ARN: asRole}, true},
		"a session of another role":    {&role, lock.Principal{Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/opsx/ops"}, false},
		"the key":                      {&key, lock.Principal{Account: account, ARN: asRole, AccessKey: "AKIABOB"}, true},
		"another key":                  {&key, lock.Principal{Account: account, ARN: asRole, AccessKey: "AKIABOB2"}, false},
		"nobody":                       {&user, lock.Principal{Account: account}, false},
	} {
		if got := c.lock.Names(c.who); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s, _ := newService(t, d)
		for _, self := range []struct {
			kind   watchbill.LockTargetType
			target string
		}{
			{watchbill.LockTargetTypeUser, "ada"}, {watchbill.LockTargetTypeUser, ada.ARN}, {watchbill.LockTargetTypeAccessKey, "AKIAADA"},
		} {
			if _, err := create(t, s, self.kind, self.target); code(err) != "ValidationException" {
				t.Errorf("locking oneself by %s: %v", self.target, err)
			}
		}
		if _, err := s.CreateLock(as(ada), &watchbill.CreateLockInput{TargetType: "User", Target: new("x"), Reason: new("r"), ExpiresAt: new(time.Unix(1, 0))}); code(err) != "ValidationException" {
			t.Errorf("an end in the past: %v", err)
		}
		out, err := create(t, s, watchbill.LockTargetTypeUser, "arn:aws:iam::123456789012:user/bob")
		if err != nil || *out.Lock.Target != "bob" || *out.Lock.CreatedBy != ada.ARN {
			t.Fatalf("%+v %v", out, err)
		}
		if _, err := create(t, s, watchbill.LockTargetTypeUser, "bob"); code(err) != "ConflictException" {
			t.Errorf("a second lock: %v", err)
		}
		if _, err := create(t, s, watchbill.LockTargetTypeDocument, "AWS-RunShellScript"); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]bool{
			"arn:aws:ssm:us-east-1::document/AWS-RunShellScript":                             true,
			"arn:aws:ssm:us-east-1:123456789012:document/AWS-RunShellScript":                 true,
			"arn:aws:ssm:us-east-1:123456789012:automation-definition/AWS-RunShellScript:$L": true,
			"arn:aws:ssm:eu-west-1::document/AWS-RunShellScript":                             false,
			"arn:aws:ssm:us-east-1:123456789012:managed-instance/AWS-RunShellScript":         false,
			"*": false,
		} {
			if got := s.ARN(account, name); got != want {
				t.Errorf("%s is locked: %t", name, got)
			}
		}
		other, _ := newService(t, d) // another hub, which looked just now
		if err := other.Load(t.Context()); err != nil || !other.Locked(lock.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/bob"}) {
			t.Errorf("another hub knows nothing of it: %v", err)
		}
		list, err := s.ListLocks(as(ada), &watchbill.ListLocksInput{MaxResults: new(int32(1))})
		if err != nil || len(list.Locks) != 1 || list.NextToken == nil {
			t.Fatalf("%+v %v", list, err)
		}
		rest, err := s.ListLocks(as(ada), &watchbill.ListLocksInput{NextToken: list.NextToken})
		if err != nil || len(rest.Locks) != 1 || rest.NextToken != nil || rest.Locks[0].TargetType != watchbill.LockTargetTypeDocument {
			t.Errorf("%+v %v", rest, err)
		}
		for want, reason := range []string{"", "DoesNotExistException"} {
			_, err := s.DeleteLock(as(ada), &watchbill.DeleteLockInput{LockId: out.Lock.LockId, Reason: new("found again")})
			if code(err) != reason {
				t.Errorf("deletion %d: %v", want, err)
			}
		}
		if s.Locked(lock.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/bob"}) {
			t.Error("still locked")
		}
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newService(t, dbtest.SQLite(t, migrations...))
		tasktest.Start(t, e)
		bob := lock.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/bob"}
		_, err := s.CreateLock(as(ada), &watchbill.CreateLockInput{TargetType: "User", Target: new("bob"), Reason: new("r"), ExpiresAt: new(time.Now().Add(time.Hour))})
		if err != nil || !s.Locked(bob) {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		list, err := s.ListLocks(as(ada), &watchbill.ListLocksInput{})
		if err != nil || len(list.Locks) != 0 || s.Locked(bob) {
			t.Errorf("after the end: %+v %t %v", list, s.Locked(bob), err)
		}
	})
}

// TestOtherHub: a lock made on one hub counts on the others, which are told.
func TestOtherHub(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, migrations, func(t *testing.T, d *db.DB) {
		s, _ := newService(t, d)
		other, _ := newService(t, d)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- other.Run(ctx) }()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		if _, err := create(t, s, watchbill.LockTargetTypeUser, "bob"); err != nil {
			t.Fatal(err)
		}
		tick, deadline := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
		defer tick.Stop()
		for !other.Locked(lock.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/bob"}) {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatal("the other hub does not know of it")
			}
		}
	})
}
