//go:build linux

package servers

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver mysql
)

// MariaDB is a MariaDB server.
type MariaDB struct{ *Server }

// NewMariaDB creates and starts a MariaDB server.
func NewMariaDB(t testing.TB) *MariaDB {
	t.Helper()
	const account = "mysql"
	install := need(t, "mariadb-install-db")
	s := &Server{
		user: account, program: need(t, "mariadbd"), dir: folder(t, account), Port: freePort(t), quit: syscall.SIGTERM,
	}
	data := filepath.Join(s.dir, "data")
	execute(t, account, s.dir, install, "--no-defaults", "--datadir="+data, "--skip-test-db",
		"--auth-root-authentication-method=normal")
	s.args = []string{"--no-defaults", "--datadir=" + data, "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", s.Port),
		"--socket=" + filepath.Join(s.dir, "socket"), "--pid-file=" + filepath.Join(s.dir, "pid")}
	s.ready = func(ctx context.Context) error { return ping(ctx, "mysql", mariaDSN(s.Port, "")) }
	m := &MariaDB{s}
	m.begin(t)
	return m
}

// DSN returns the address of a database, and creates the database if it does not exist.
func (m *MariaDB) DSN(t testing.TB, database string) string {
	t.Helper()
	db, err := sql.Open("mysql", mariaDSN(m.Port, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("CREATE DATABASE IF NOT EXISTS " + database + " CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	return mariaDSN(m.Port, database)
}

func mariaDSN(port int, database string) string {
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s?parseTime=true", port, database)
}
