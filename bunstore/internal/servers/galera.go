//go:build linux

package servers

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Galera is a cluster of three MariaDB servers. Its nodes are numbered from 1.
type Galera struct {
	t      testing.TB
	script string
	dir    string
	base   int // its ports are above it
}

// NewGalera starts a cluster with galera.sh, which is at script.
func NewGalera(t testing.TB, script string) *Galera {
	t.Helper()
	need(t, "mariadbd")
	need(t, "rsync")
	g := &Galera{t: t, script: script, dir: folder(t, "mysql"), base: galeraPorts(t)}
	t.Cleanup(func() {
		for n := 1; n <= 3; n++ {
			_ = g.command("kill", n).Run() // a node may be dead already
		}
	})
	g.run("up")
	return g
}

// galeraPorts returns a number above which nobody listens on the ports of a cluster. They are below those the system
// gives to connections.
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

func (g *Galera) command(verb string, nodes ...int) *exec.Cmd {
	args := []string{verb, g.dir}
	for _, n := range nodes {
		args = append(args, strconv.Itoa(n))
	}
	cmd := exec.Command(g.script, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("ORGINVITE_GALERA_PORT=%d", g.base))
	return cmd
}

func (g *Galera) run(verb string, nodes ...int) {
	g.t.Helper()
	if out, err := g.command(verb, nodes...).CombinedOutput(); err != nil {
		g.t.Fatalf("galera.sh %s %v: %v\n%s", verb, nodes, err, out)
	}
}

// Kill ends a node without a warning.
func (g *Galera) Kill(node int) { g.t.Helper(); g.run("kill", node) }

// Start starts a node that was killed, and returns when it has caught up.
func (g *Galera) Start(node int) { g.t.Helper(); g.run("start", node) }

// Freeze stops a node where it is.
func (g *Galera) Freeze(node int) { g.t.Helper(); g.run("freeze", node) }

// Thaw lets a frozen node go on.
func (g *Galera) Thaw(node int) { g.t.Helper(); g.run("thaw", node) }

// DSN is the address of a database on all nodes, which it creates.
func (g *Galera) DSN(database string) string {
	g.t.Helper()
	db, err := sql.Open("mysql", mariaDSN(g.base+1, ""))
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("CREATE DATABASE " + database + " CHARACTER SET utf8mb4"); err != nil {
		g.t.Fatal(err)
	}
	var nodes []string
	for n := 1; n <= 3; n++ {
		nodes = append(nodes, mariaDSN(g.base+n, database)+"&wsrep_sync_wait=1")
	}
	return strings.Join(nodes, ",")
}
