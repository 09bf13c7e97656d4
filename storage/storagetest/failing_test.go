package storagetest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// failing are uses of the suite that fail. TestFailing runs each of them in a process of its own.
var failing = map[string]struct {
	run func(t *testing.T)
	// output has texts that the process must print, and unwanted those that it must not.
	output, unwanted []string
}{
	"a store that ignores ctx ends the suite": {
		run: func(t *testing.T) {
			patience = 200 * time.Millisecond
			Run(t, func(*testing.T) storage.Storage { return newLockStore(flaws{hangs: true}) }, Only(Writes, Values))
		},
		output: []string{
			`--- FAIL: TestFailing/in_this_process/writes/Insert_stores_Version_1`,
			"the store hangs: for 200ms, none of these calls has returned:", `Get("a"), called`,
			"the store still hangs, although ctx was cancelled", `hangs since "writes/Insert stores Version 1`,
		},
		unwanted: []string{"Update_adds_1", "values"},
	},
	"a store that waits too long is named in each case": {
		run: func(t *testing.T) {
			patience = 200 * time.Millisecond
			Run(t, func(*testing.T) storage.Storage { return newLockStore(flaws{waits: true}) }, Only(Values))
		},
		output: []string{
			"values/integers_come_back_in_full", "values/metadata_comes_back_byte_for_byte", `Get("000000"), called`,
		},
		unwanted: []string{"still hangs", "no further case"},
	},
	"a store that panics is named": {
		run: func(t *testing.T) {
			Run(t, func(*testing.T) storage.Storage { return struct{ storage.Storage }{} }, Only(State))
		},
		output: []string{"state/a_pending_record_counts_as_expired", "panic: runtime error", "state/only_pending_lapses"},
	},
	"a Host without Names": {
		run: func(t *testing.T) {
			RunJoined(t, func(*testing.T) Host {
				h := newLockStore(flaws{}).host()
				h.Names = nil
				return h
			}, Only(Joining))
		},
		output: []string{"a field of the Host is not set"},
	},
	"a HostTx without Commit": {
		run: func(t *testing.T) {
			RunJoined(t, func(*testing.T) Host {
				h := newLockStore(flaws{}).host()
				h.Begin = func(context.Context) (HostTx, error) {
					return HostTx{
						Join:     func() storage.Storage { return h.Storage },
						Rollback: func() error { return errors.New("unused") },
					}, nil
				}
				return h
			}, Only(Joining))
		},
		output: []string{"Begin: a field of the HostTx is not set"},
	},
	"RunJoined with Waiting alone": {
		run:    func(t *testing.T) { RunJoined(t, func(*testing.T) Host { return Host{} }, Only(Waiting)) },
		output: []string{"leave no group to run"},
	},
}

func TestFailing(t *testing.T) {
	const variable = "STORAGETEST_FAILING"
	if name := os.Getenv(variable); name != "" {
		t.Run("in this process", failing[name].run)
		return
	}
	for name, c := range failing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFailing$", "-test.v")
			child.Env = append(os.Environ(), variable+"="+name)
			out, err := child.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
				t.Errorf("the process ended with %v, want a failure", err)
			}
			if regexp.MustCompile(`(?m)^panic: `).Match(out) {
				t.Error("the process panicked")
			}
			for _, text := range c.output {
				if !strings.Contains(string(out), text) {
					t.Errorf("the output lacks %q", text)
				}
			}
			for _, text := range c.unwanted {
				if strings.Contains(string(out), text) {
					t.Errorf("the output has %q", text)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

// What a goroutine reports after its trial has ended is dropped, because the test may be over.
func TestLateReport(t *testing.T) {
	r := &recorder{TB: t}
	var late *trial
	try(r, time.Minute, func(t *trial) { late = t })
	ended := make(chan bool, 1)
	go func() {
		returned := false
		defer func() { ended <- returned }()
		late.Errorf("late")
		returned = true
	}()
	if <-ended || r.text() != "" {
		t.Errorf("a late report was not dropped: %q", r.text())
	}
}

// A transaction that is aborted again and again is retried within bounds.
func TestPersist(t *testing.T) {
	if patience != time.Minute {
		t.Fatal("patience is changed in this process")
	}
	patience = 20 * time.Millisecond
	defer func() { patience = time.Minute }()
	err := transact(t.Context(), newLockStore(flaws{}), func(context.Context, storage.Storage) error {
		return storage.ErrAborted
	})
	if !errors.Is(err, storage.ErrAborted) || !strings.Contains(err.Error(), "times in 10ms") {
		t.Errorf("error %v; want one that counts the tries", err)
	}
}
