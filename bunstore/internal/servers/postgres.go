//go:build linux

package servers

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

// Postgres is a PostgreSQL server.
type Postgres struct{ *Server }

// NewPostgres creates and starts a PostgreSQL server. Settings are written as name=value.
func NewPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	initdb := need(t, "initdb")
	p := &Postgres{newPostgres(t, settings)}
	execute(t, p.user, p.dir, initdb, "--pgdata="+p.data(), "--username=postgres", "--auth=trust", "--encoding=UTF8",
		"--no-locale", "--no-sync")
	p.begin(t)
	return p
}

// Replica creates and starts a streaming replica of p. It does not inherit the settings passed to NewPostgres for p.
func (p *Postgres) Replica(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	backup := need(t, "pg_basebackup")
	r := &Postgres{newPostgres(t, settings)}
	execute(t, r.user, r.dir, backup, "--pgdata="+r.data(), "--host=127.0.0.1", fmt.Sprintf("--port=%d", p.Port),
		"--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	r.begin(t)
	return r
}

func newPostgres(t testing.TB, settings []string) *Server {
	t.Helper()
	const account = "postgres"
	s := &Server{
		user: account, program: need(t, "postgres"), dir: folder(t, account), Port: freePort(t), quit: syscall.SIGINT,
	}
	s.args = []string{"-D", filepath.Join(s.dir, "data"), "-c", "listen_addresses=127.0.0.1",
		"-c", "port=" + strconv.Itoa(s.Port), "-c", "unix_socket_directories="}
	for _, setting := range settings {
		s.args = append(s.args, "-c", setting)
	}
	s.ready = func(ctx context.Context) error { return ping(ctx, "pgx", postgresURL(s.Port, "postgres", nil)) }
	return s
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// URL returns the address of a database.
func (p *Postgres) URL(database string, parameters url.Values) string {
	return postgresURL(p.Port, database, parameters)
}

func postgresURL(port int, database string, parameters url.Values) string {
	all := url.Values{"sslmode": {"disable"}}
	for name, values := range parameters {
		all[name] = values
	}
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?%s", port, database, all.Encode())
}

// Exec executes a statement on a database of the server, on a new connection.
func (p *Postgres) Exec(t testing.TB, database, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", p.URL(database, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Promote makes a replica the primary, and returns when it accepts writes.
func (p *Postgres) Promote(t testing.TB) {
	t.Helper()
	p.Exec(t, "postgres", "SELECT pg_promote()")
}

// ping returns an error unless the server answers.
func ping(ctx context.Context, driver, address string) error {
	db, err := sql.Open(driver, address)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(ctx)
}
