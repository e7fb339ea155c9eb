package contact_test

import (
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

// A wrong code is counted in a transaction that is kept: its repetition must not
// look as if the channel had been activated.
func TestWrongCodeRepeated(t *testing.T) {
	dbtest.Each(t, append([]db.Migrations{audit.Migrations}, schema...), func(t *testing.T, d *db.DB) {
		f := setUp(t, d)
		sealer, err := seal.OpenFile(filepath.Join(t.TempDir(), "k"))
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		a := audit.New(audit.Service{
			DB: d, Journal: f.Journal, Tasks: f.Tasks, Sealer: sealer, Log: log,
			Classify: func(string, string, any) audit.Class { return audit.Mutation },
		})
		client := wiretest.NewConfig(t, wire.Config{Bindings: []wire.Binding{contacts.BindActivateContactChannel(f.ActivateContactChannel)}, Around: a.Around, Logger: log})
		channel := f.channel(t, f.person(t, "ann"), "ann@example.com")
		activate := func(code string) error {
			ctx := wire.WithInvocationID(f.ctx, "invocation of "+code)
			_, err := client.Router.Call(ctx, "ssm-contacts", "ActivateContactChannel", []byte(`{"ContactChannelId":"`+channel+`","ActivationCode":"`+code+`"}`))
			return err
		}
		right := f.mail["ann@example.com"][0]
		wrong := "000000"
		if right == wrong {
			wrong = "000001"
		}
		if err := activate(wrong); err == nil || fault.Of(err).ErrorCode() != "ValidationException" {
			t.Fatalf("a wrong code: %v", err)
		}
		if err := activate(wrong); err == nil || fault.Of(err).ErrorCode() != "ConflictException" {
			t.Fatalf("the same attempt again: %v", err)
		}
		for range 2 {
			if err := activate(right); err != nil {
				t.Fatal(err)
			}
		}
	})
}
