//go:build linux

package servers

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Galera is a cluster of three MariaDB servers. Its nodes are numbered from 1.
type Galera struct {
	script string
	dir    string
	base   int // ORGINVITE_GALERA_PORT
}

// NewGalera starts a cluster. script is the path of galera.sh.
func NewGalera(t testing.TB, script string) *Galera {
	t.Helper()
	g := &Galera{script: script, dir: folder(t, "mysql"), base: galeraPorts(t)}
	t.Cleanup(func() {
		for n := 1; n <= 3; n++ {
			_ = g.command("kill", n).Run() // a node may already be dead
		}
	})
	g.run(t, "up")
	return g
}

// galeraPorts returns a value for ORGINVITE_GALERA_PORT for which all ports of the cluster are free. They are below the
// range from which the system chooses ports for connections.
func galeraPorts(t testing.TB) int {
	t.Helper()
	for base := 20310; base < 30000; base += 20 {
		free := true
		for _, group := range [...]int{0, 1250, 1260, 1270} {
			for n := 1; n <= 3 && free; n++ {
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+group+n))
				if free = err == nil; free {
					_ = l.Close()
				}
			}
		}
		if free {
			return base
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// notInstalled is the exit status of galera.sh if a program or library of the cluster is not installed.
const notInstalled = 3

func (g *Galera) command(verb string, nodes ...int) *exec.Cmd {
	args := []string{verb, g.dir}
	for _, n := range nodes {
		args = append(args, strconv.Itoa(n))
	}
	cmd := exec.Command(g.script, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("ORGINVITE_GALERA_PORT=%d", g.base))
	return cmd
}

func (g *Galera) run(t testing.TB, verb string, nodes ...int) {
	t.Helper()
	out, err := g.command(verb, nodes...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == notInstalled {
		missing(t, strings.TrimSpace(string(out)))
	}
	if err != nil {
		t.Fatalf("galera.sh %s %v: %v\n%s", verb, nodes, err, out)
	}
}

// Kill ends a node without warning.
func (g *Galera) Kill(t testing.TB, node int) { t.Helper(); g.run(t, "kill", node) }

// Start starts a node that was killed, and returns when it has caught up.
func (g *Galera) Start(t testing.TB, node int) { t.Helper(); g.run(t, "start", node) }

// Freeze pauses a node.
func (g *Galera) Freeze(t testing.TB, node int) { t.Helper(); g.run(t, "freeze", node) }

// Thaw resumes a frozen node.
func (g *Galera) Thaw(t testing.TB, node int) { t.Helper(); g.run(t, "thaw", node) }

// DSN creates a database and returns its address on all nodes.
func (g *Galera) DSN(t testing.TB, database string) string {
	t.Helper()
	db, err := sql.Open("mysql", mariaDSN(g.base+1, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("CREATE DATABASE " + database + " CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	var nodes []string
	for n := 1; n <= 3; n++ {
		dsn := mariaDSN(g.base+n, database) + "&wsrep_sync_wait=1"
		nodes = append(nodes, dsn)
		there, err := sql.Open("mysql", dsn)
		if err != nil {
			t.Fatal(err)
		}
		// A node that was thawed recently may apply the CREATE later than the first node.
		for until := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if err = there.Ping(); err == nil {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("node %d: %v", n, err)
			}
		}
		_ = there.Close()
	}
	return strings.Join(nodes, ",")
}
