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

// Server is a server process and its children, which can be killed, frozen and restarted. It ends with the test.
type Server struct {
	// Port is the port that the server listens on, on 127.0.0.1.
	Port int

	dir     string // the server's own; removed with the test
	user    string // the account it runs as if root starts it
	program string
	args    []string
	quit    syscall.Signal                  // makes it stop without waiting for its clients
	ready   func(ctx context.Context) error // returns nil if it answers

	process *os.Process // nil while it is not running
	ended   chan struct{}
}

// startLimit is how long a server may take to answer.
const startLimit = time.Minute

// need returns the path of a program. It ends the test if the program is not installed.
func need(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	found = append(found, "/usr/sbin/"+name)
	for _, path := range slices.Backward(found) { // the newest version first
		if _, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	missing(t, name+" is not installed")
	return ""
}

// missing ends a test that needs something that is not installed.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and CI=true skips nothing", what)
	}
	t.Skipf("%s: install it to run this test", what)
}

// folder creates a folder that belongs to the account and is removed with the test. Other accounts could not enter a
// folder from t.TempDir.
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

// credential returns the credential with which root runs a program as the account. It returns nil for other users, who
// run the program under their own account.
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

// command returns a command that runs a program as the account, in dir.
func command(t testing.TB, account, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	// The kernel kills the program when this process ends, however it ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, account), Pdeathsig: syscall.SIGKILL}
	return cmd
}

// execute runs a program and waits for it.
func execute(t testing.TB, account, dir, program string, args ...string) {
	t.Helper()
	if out, err := command(t, account, dir, program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// freePort returns a free port.
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
		t.Fatalf("%s is already running", s.program)
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
			t.Fatalf("%s ended: %v\n%s", s.program, err, s.tail())
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %v\n%s", s.program, err, s.tail())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// tail returns the end of the server's log.
func (s *Server) tail() string {
	b, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}

// Kill ends the server and all its children without warning, as if its machine were lost.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	all := s.Freeze(t) // so that none of them starts another process
	for _, p := range all {
		_ = syscall.Kill(p, syscall.SIGKILL)
	}
	s.wait(t, all)
}

// Stop shuts the server down, which ends its sessions.
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

// Freeze pauses the server's processes, as if the machine were suspended: connections stay open, but get no answers. It
// returns the process ids.
func (s *Server) Freeze(t testing.TB) []int {
	t.Helper()
	if s.process == nil {
		t.Fatalf("%s is not running", s.program)
	}
	_ = syscall.Kill(s.process.Pid, syscall.SIGSTOP) // first, because it starts the others
	all := s.family(t)
	for _, p := range all {
		_ = syscall.Kill(p, syscall.SIGSTOP)
	}
	return all
}

// Thaw resumes a frozen server.
func (s *Server) Thaw(t testing.TB) {
	t.Helper()
	for _, p := range s.family(t) {
		_ = syscall.Kill(p, syscall.SIGCONT)
	}
}

// family returns the ids of the server's process and its children.
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

// parent returns the parent of a process, and false if the process has ended.
func parent(pid int) (int, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The format is "pid (name) state ppid …". The name may contain anything, including parentheses.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	p, err := strconv.Atoi(fields[1])
	return p, err == nil
}

// begin starts the server for the first time, and registers a cleanup that kills it.
func (s *Server) begin(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if s.process != nil {
			s.Kill(t)
		}
	})
	s.Start(t)
}
