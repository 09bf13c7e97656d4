//go:build linux

package servers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a server process with its children, which can be killed, frozen and started again. It ends with the test.
type Server struct {
	// Port is where it listens, on 127.0.0.1.
	Port int

	dir     string // its own; goes with the test
	user    string // the account it runs as where root starts it
	program string
	args    []string
	quit    syscall.Signal                  // asks it to stop without waiting for its clients
	ready   func(ctx context.Context) error // whether it answers

	process *os.Process // nil while it does not run
	ended   chan struct{}
}

// startLimit is how long a server may take to answer.
const startLimit = time.Minute

// need returns the path of a server's program. Without it there is no test.
func need(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	found = append(found, "/usr/sbin/"+name)
	for _, path := range slices.Backward(found) { // the newest version's
		if _, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	missing(t, name+" is not installed")
	return ""
}

// missing ends a test for which something is not installed.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and CI=true leaves nothing out", what)
	}
	t.Skipf("%s: install it to run this", what)
}

// folder makes a folder that belongs to the account, and goes with the test. Those of t.TempDir are closed to other
// accounts.
func folder(t testing.TB, account string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "orginvite-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if c := credential(t, account); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// credential is what makes root run a program as the account; nil for anybody else, who runs it as themselves.
func credential(t testing.TB, account string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// command is a program as the account, in dir.
func command(t testing.TB, account, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	// The kernel ends it with this process, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, account), Pdeathsig: syscall.SIGKILL}
	return cmd
}

// execute runs a program to its end.
func execute(t testing.TB, account, dir, program string, args ...string) {
	t.Helper()
	if out, err := command(t, account, dir, program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// freePort returns a port nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// Start starts the server and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if s.process != nil {
		t.Fatalf("%s runs already", s.program)
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, s.user, s.dir, s.program, s.args...)
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	_ = log.Close()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.process, s.ended = cmd.Process, ended
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		if err = s.ready(ctx); err == nil {
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended: %v\n%s", s.program, err, s.tail())
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %v\n%s", s.program, err, s.tail())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// tail is the end of the server's log.
func (s *Server) tail() string {
	b, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// Kill ends the server and all its children without a warning, as the loss of its machine does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	all := s.Freeze(t) // so that none starts another
	for _, p := range all {
		_ = syscall.Kill(p, syscall.SIGKILL)
	}
	s.wait(t, all)
}

// Stop asks the server to stop, which ends its sessions.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	all := s.family(t)
	if err := s.process.Signal(s.quit); err != nil {
		t.Fatal(err)
	}
	s.wait(t, all)
}

// wait returns when the server and these processes have ended.
func (s *Server) wait(t testing.TB, all []int) {
	t.Helper()
	limit := time.After(startLimit)
	select {
	case <-s.ended:
	case <-limit:
		t.Fatalf("%s does not end\n%s", s.program, s.tail())
	}
	for slices.ContainsFunc(all, func(p int) bool { _, ok := parent(p); return ok }) {
		select {
		case <-time.After(time.Millisecond):
		case <-limit:
			t.Fatalf("children of %s do not end\n%s", s.program, s.tail())
		}
	}
	s.process = nil
}

// Freeze stops the server's processes where they are, as a machine does that swaps or is suspended: its connections
// stay open, and nobody answers. It returns the processes.
func (s *Server) Freeze(t testing.TB) []int {
	t.Helper()
	if s.process == nil {
		t.Fatalf("%s does not run", s.program)
	}
	_ = syscall.Kill(s.process.Pid, syscall.SIGSTOP) // first: it makes the others
	all := s.family(t)
	for _, p := range all {
		_ = syscall.Kill(p, syscall.SIGSTOP)
	}
	return all
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw(t testing.TB) {
	t.Helper()
	for _, p := range s.family(t) {
		_ = syscall.Kill(p, syscall.SIGCONT)
	}
}

// family is the server's process and its children.
func (s *Server) family(t testing.TB) []int {
	all := []int{s.process.Pid}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := parent(pid); ok && p == s.process.Pid {
			all = append(all, pid)
		}
	}
	return all
}

// parent returns the parent of a process, unless it has ended.
func parent(pid int) (int, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// "pid (name) state ppid …", and the name may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	p, err := strconv.Atoi(fields[1])
	return p, err == nil
}

// begin starts the server for the first time, and has it killed when the test ends.
func (s *Server) begin(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if s.process != nil {
			s.Kill(t)
		}
	})
	s.Start(t)
}
