//go:build linux

package servers

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// PgBouncer is a connection pool in front of a PostgreSQL server.
type PgBouncer struct{ *Server }

// NewPgBouncer starts PgBouncer in front of server. Mode is its pool_mode: session or transaction.
func NewPgBouncer(t testing.TB, server *Postgres, mode string) *PgBouncer {
	t.Helper()
	const account = "postgres"
	s := &Server{
		user: account, program: need(t, "pgbouncer"), dir: folder(t, account), Port: freePort(t), quit: syscall.SIGTERM,
	}
	// server_login_retry: by default PgBouncer retries an unavailable server only after 15 seconds.
	settings := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = 10
server_login_retry = 1
`, server.Port, s.Port, mode)
	file := filepath.Join(s.dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	s.args = []string{file}
	s.ready = func(ctx context.Context) error {
		return ping(ctx, "pgx", postgresURL(s.Port, "postgres", simpleProtocol))
	}
	b := &PgBouncer{s}
	b.begin(t)
	return b
}

var simpleProtocol = url.Values{"default_query_exec_mode": {"simple_protocol"}}

// URL returns the address of a database through PgBouncer.
func (b *PgBouncer) URL(database string, parameters url.Values) string {
	return postgresURL(b.Port, database, parameters)
}
