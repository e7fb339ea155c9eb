// Package dbtest opens stores for tests: every store test runs on both engines.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// PostgresVariable names the environment variable with the address of the
// PostgreSQL server that tests use.
const PostgresVariable = "WATCHBILL_TEST_POSTGRES"

// Each runs f on a fresh SQLite file and on a fresh PostgreSQL schema, both
// migrated. Without a PostgreSQL server it says so and runs on SQLite alone.
func Each(t *testing.T, all []db.Migrations, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t, all...)) })
	t.Run("postgres", func(t *testing.T) {
		if os.Getenv(PostgresVariable) == "" {
			t.Skipf("%s is not set: this test ran on SQLite only", PostgresVariable)
		}
		f(t, Postgres(t, all...))
	})
}

// SQLite opens a fresh file that ends with the test.
func SQLite(t testing.TB, all ...db.Migrations) *db.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), all)
}

// Postgres opens a fresh schema on the test server; it is dropped with the test.
func Postgres(t testing.TB, all ...db.Migrations) *db.DB {
	t.Helper()
	return open(t, PostgresURL(t), all)
}

// PostgresURL makes a fresh schema and returns an address that works in it.
func PostgresURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv(PostgresVariable)
	admin, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	schema := "t" + strings.ToLower(rand.Text())
	if _, err := admin.Exec("create schema " + schema); err != nil {
		t.Fatalf("PostgreSQL at $%s: %v", PostgresVariable, err)
	}
	t.Cleanup(func() {
		_, _ = admin.Exec(fmt.Sprintf("drop schema %s cascade", schema))
		_ = admin.Close()
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func open(t testing.TB, address string, all []db.Migrations) *db.DB {
	t.Helper()
	ctx := context.Background()
	d, err := db.Open(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := d.Migrate(ctx, all); err != nil {
		t.Fatal(err)
	}
	return d
}
