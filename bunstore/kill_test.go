package bunstore_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
)

// serverSize skips a test of servers at the short size.
func serverSize(t testing.TB) {
	t.Helper()
	if *size == "short" {
		t.Skip("run with -size=middle to include tests that kill servers")
	}
}

// A process is killed in the middle of its changes. Only whole changes remain, and all acknowledged ones do. Another
// process on the same database goes on.
func TestClientKilled(t *testing.T) {
	for _, name := range []string{"sqlite", "sqlite-plain", "postgres", "postgres-bound", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			if name != "sqlite" {
				serverSize(t)
			}
			is := is.New(t)
			e := engines.Named(t, name)
			address := e.New(t)
			db := e.Connect(t, address)
			buildLoad(t, db)
			j := newJournal()
			survivor := startLoad(t, loadService(t, db), "survivor", 2, j.note)
			kills := bySize(2, 4, 20)
			for i := range kills {
				c := startLoadChild(t, e.Name, address, string(rune('a'+i)), j)
				c.proceed(t, bySize[int64](60, 150, 400))
				survivor.away()
				is.NoErr(c.process.Kill())
				survivor.returned()
				is.NoErr(<-c.ended)
				survivor.settle(t)
			}
			t.Logf("%d processes killed", kills)
			survivor.finish(t, j, db, 5*time.Second)
			if name == "sqlite" {
				var ok string
				is.NoErr(db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&ok))
				is.Equal(ok, "ok")
			}
		})
	}
}

// loadChild is another process, with a load of its own until it is killed.
type loadChild struct {
	process *os.Process
	acked   atomic.Int64
	ended   chan error // receives the result of reading the output, once
}

// proceed waits until the child has had n changes acknowledged.
func (c *loadChild) proceed(t testing.TB, n int64) {
	t.Helper()
	within(t, callLimit, "the other process makes no progress", func() bool { return c.acked.Load() >= n })
}

// startLoadChild starts a process with the given prefix for the names of its workers. It records the process's output
// in j.
func startLoadChild(t testing.TB, engine, address, name string, j *journal) *loadChild {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLoadChild$")
	cmd.Env = append(os.Environ(), "ORGINVITE_LOAD_ENGINE="+engine, "ORGINVITE_LOAD_ADDRESS="+address,
		"ORGINVITE_LOAD_NAME="+name)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &loadChild{process: cmd.Process, ended: make(chan error, 1)}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		c.ended <- j.read(out, &c.acked)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-reading
		_ = in.Close()
		_ = cmd.Wait()
	})
	return c
}

// TestLoadChild is the body of the other processes: they make and report changes until they are killed.
func TestLoadChild(t *testing.T) {
	engine := os.Getenv("ORGINVITE_LOAD_ENGINE")
	if engine == "" {
		t.Skip("no other test has started this process")
	}
	db := engines.Named(t, engine).Connect(t, os.Getenv("ORGINVITE_LOAD_ADDRESS"))
	startLoad(t, loadService(t, db), os.Getenv("ORGINVITE_LOAD_NAME"), 4, func(c change) {
		line, err := json.Marshal(c)
		if err == nil {
			_, err = os.Stdout.Write(append(line, '\n')) // in one piece, and before the caller goes on
		}
		if err != nil {
			panic(err)
		}
	})
	_, _ = io.Copy(io.Discard, os.Stdin) // the child ends when its parent does
}
