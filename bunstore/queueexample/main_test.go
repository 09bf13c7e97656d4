package queueexample_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// server is the environment variable that has the address of a PostgreSQL server, as a URL.
const server = "ORGINVITE_POSTGRES"

// TestMain gives Example a schema of its own. Without a server it skips Example, as needsServer does for tests.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	address := os.Getenv(server)
	switch {
	case os.Getenv(victim) != "": // the child process of TestWorkerKilled, which runs no example and ends without dropping
		return m.Run()
	case address == "" && os.Getenv("CI") == "true":
		fmt.Fprintf(os.Stderr, "%s is not set, and CI=true skips nothing: set it to the address of a server\n", server)
		return 1
	case address == "":
		fmt.Fprintf(os.Stderr, "Example is skipped: set %s to the address of a server to run it\n", server)
		if err := flag.Set("test.skip", "^Example$"); err != nil { // a -skip on the command line replaces it
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}
	schema, drop, err := newSchema(address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the schema of Example:", err)
		return 1
	}
	defer func() {
		if err := drop(); err != nil {
			fmt.Fprintln(os.Stderr, "the schema of Example:", err)
		}
	}()
	if err := os.Setenv("DATABASE_URL", schema); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// needsServer returns the address of a new, empty schema, which is dropped when the test ends. Without a server it
// skips the test.
func needsServer(t *testing.T) (address string) {
	t.Helper()
	if os.Getenv(server) == "" {
		t.Skipf("set %s to the address of a server to run this test", server)
	}
	address, drop, err := newSchema(os.Getenv(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return address
}

// newSchema creates a schema and returns an address whose search_path is that schema alone. Call drop to remove it.
func newSchema(server string) (address string, drop func() error, err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	name := "t_" + strings.ToLower(rand.Text())
	settings := u.Query()
	settings.Set("search_path", name)
	u.RawQuery = strings.ReplaceAll(settings.Encode(), "+", "%20") // only HTML forms read + as a space
	return u.String(), func() error { return execute(server, "DROP SCHEMA "+name+" CASCADE") },
		execute(server, "CREATE SCHEMA "+name)
}

// execute runs a statement on a connection of its own.
func execute(server, statement string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}
