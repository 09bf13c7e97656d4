package storagetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/orginvite/orginvite/storage"
)

// flaws are the ways in which a lockStore can break the contract.
type flaws struct {
	noLocks        bool // Lock does nothing
	firstKeyOnly   bool // Lock does nothing if the transaction holds a key already
	emptyKeyIsFree bool // Lock of the empty key does nothing
	keysPerHandle  bool // keys are held for one handle only
	losesLocks     bool // the locks of a nested transaction are freed, but the transaction believes that it has them
	noDetection    bool // transactions that wait for each other wait forever
	anyOrder       bool // a call locks in the order of its arguments
	readsLock      bool // Get in a transaction locks
	readsWait      bool // reads outside a transaction wait for locks

	plainDeadlock  bool // the error of a deadlock is not ErrAborted
	forgetsAbort   bool // after ErrAborted, the transaction goes on
	quietAbort     bool // RunInTx returns nil although the transaction was aborted
	commitsNothing bool // after a call that was cancelled, RunInTx writes nothing and returns nil
	racedFails     bool // a refusal after a wait makes the transaction unusable

	retriesAll    bool // an outermost function is called again after any error
	retriesNested bool // a nested function is called again after ErrAborted
	busy          bool // the calls of a transaction do not take turns
	sharesNested  bool // calls on the outer transaction work in the nested one that is open

	swaps    bool // records of one Update may swap their slots
	anyAfter bool // an After is not validated
	anyTime  bool // the times of a Record are not validated
	anyText  bool // EmailContains finds bytes inside a character
	roundsUp bool // times of a query are rounded up to the microsecond
	stored   bool // CountByStatus counts statuses as they are stored

	mostListed, mostCounted, longestList int // 0 is no limit

	waits bool // Get waits until its ctx ends
	hangs bool // Get never returns

	usableAfterEnd bool // a handle of a transaction that has ended still works
	keepsNames     bool // a nested transaction that is rolled back keeps what the application wrote
}

// Each flaw makes the case about its rule fail.
func TestFlaws(t *testing.T) {
	const (
		held        = "waiting/a lock is held until the transaction ends, and waiting for it honours ctx"
		keys        = "waiting/every key that a transaction has locked is held, the empty one too"
		again       = "waiting/a lock taken again after its nested transaction was rolled back is held"
		crossing    = "waiting/two transactions that take the same in opposite orders both end"
		aborted     = "waiting/an aborted transaction stays aborted, also if fn ignores the error"
		nestedAbort = "waiting/an abort in a nested transaction aborts the outer one"
		cancelled   = "waiting/a wait that is cancelled does not make RunInTx claim what it did not write"
		nestedClaim = "waiting/a wait that is cancelled does not make a nested RunInTx claim what it did not write"
		refusal     = "waiting/a refusal after a wait leaves the transaction usable"
		nestRefusal = "waiting/a refusal after a wait leaves a nested transaction usable, and the outer one"
		inFlight    = "transactions/a call cancelled in flight does not make RunInTx claim what it did not write"
		unlimited   = "pages/Limit 0 is no limit"
		longLists   = "filters/long lists are answered in full"
		many        = "writes/many records in one call"
		moves       = "writes/a slot is held by whoever holds it before the Update"
		invalid     = "transactions/invalid arguments are refused, and the transaction stays usable"
		before      = "filters/ResolvedBefore counts to the microsecond and leaves out what is not resolved"
		ended       = "joining/a joined store is unusable once the application's transaction has ended"
	)
	most := manyRecords()
	for _, c := range []struct {
		flaws flaws
		fails string // the case that must fail
		says  string // part of its message
	}{
		{flaws{noLocks: true}, held, "Lock while another"},
		{flaws{noLocks: true}, "joining/locks are held until the application's transaction ends", "Lock"},
		{flaws{firstKeyOnly: true}, keys, `Lock("a")`},
		{flaws{firstKeyOnly: true}, "locks/read, change and write under a lock loses nothing", "Lock after another key"},
		{flaws{emptyKeyIsFree: true}, keys, `Lock("")`},
		{flaws{emptyKeyIsFree: true}, "locks/read, change and write under a lock loses nothing", "Lock of the empty key"},
		{flaws{keysPerHandle: true}, "handles/a lock is held until the transaction ends, for both handles", "Lock while"},
		{flaws{keysPerHandle: true}, "handles/every key that a transaction has locked is held for both handles", "Lock("},
		{flaws{losesLocks: true}, again, "Lock taken again"},
		{flaws{noDetection: true}, crossing, `in a transaction: Lock("a"), called`},
		{flaws{plainDeadlock: true}, crossing, "Lock in opposite orders: deadlock; want"},
		{flaws{plainDeadlock: true}, aborted, "deadlock"},
		{flaws{plainDeadlock: true}, "joining/ErrAborted stays, and the application can roll back", "deadlock"},
		{flaws{anyOrder: true, plainDeadlock: true},
			"concurrency/of concurrent Inserts of the same addresses in any order exactly one wins", "deadlock"},
		{flaws{forgetsAbort: true}, aborted, "Get of the transaction after"},
		{flaws{forgetsAbort: true}, nestedAbort, "Get of the nested transaction after"},
		{flaws{forgetsAbort: true}, "joining/ErrAborted stays, and the application can roll back", "Get of the joined store"},
		{flaws{quietAbort: true}, aborted, "RunInTx returned nil, although"},
		{flaws{commitsNothing: true}, inFlight, "RunInTx returned nil, but 0 of its 1"},
		{flaws{commitsNothing: true}, cancelled, "RunInTx returned nil, but 0 of its"},
		{flaws{commitsNothing: true}, nestedClaim, "RunInTx returned nil, but 0 of its"},
		{flaws{racedFails: true}, refusal, "after the refusal: a statement has failed"},
		{flaws{racedFails: true}, nestRefusal, "a statement has failed"},
		{flaws{readsLock: true}, "waiting/Get, List and Count do not lock", "has read it by Get: not done"},
		{flaws{readsWait: true}, "waiting/Get, List and Count do not wait for locks", "beside a transaction"},
		{flaws{retriesAll: true}, "transactions/RunInTx calls fn again only after ErrAborted", "was called 4 times"},
		{flaws{retriesNested: true}, "nesting/a nested RunInTx calls fn once", "was called 2 times"},
		{flaws{retriesNested: true}, "joining/RunInTx never calls its function again", "was called 2 times"},
		{flaws{busy: true}, "concurrency/the goroutines of a transaction share it", "busy"},
		{flaws{busy: true}, "nesting/other goroutines use the outer transaction while a nested one is open", "busy"},
		{flaws{sharesNested: true},
			"nesting/other goroutines use the outer transaction while a nested one is open", "the store contains"},
		{flaws{swaps: true}, moves, "a swap: got no error"},
		{flaws{anyAfter: true}, "pages/a query that cannot be answered is an error", "after"},
		{flaws{anyTime: true}, "values/what no record may hold is refused, and nothing of the call written", "CreatedAt"},
		{flaws{anyTime: true}, invalid, "Insert: got no error"},
		{flaws{anyText: true}, "filters/text no record can have matches nothing", "EmailContains"},
		{flaws{roundsUp: true}, before, "ResolvedBefore"},
		{flaws{roundsUp: true}, "pages/After counts to the microsecond", "after"},
		{flaws{stored: true}, "counts/every record is counted under its effective status", `"expired", want 4`},
		{flaws{stored: true}, "counts/a status of the Filter leaves the others out", `"expired", want 2`},
		{flaws{stored: true}, "counts/random counts are what Filter.Match and EffectiveStatus say", "CountByStatus"},
		{flaws{stored: true}, "filters/random roles and ranges find what Filter.Match says", "CountByStatus"},
		{flaws{mostListed: most - 1}, unlimited, fmt.Sprintf("returns %d records", most-1)},
		{flaws{mostListed: 1000}, unlimited, "returns 1000 records"},
		{flaws{mostCounted: most - 1}, unlimited, fmt.Sprintf("Count = %d", most-1)},
		{flaws{longestList: most - 1}, longLists, fmt.Sprintf("want %d", most)},
		{flaws{longestList: most / 2}, longLists, fmt.Sprintf("want %d", most)},
		{flaws{longestList: most - 1}, many, fmt.Sprintf("of the %d wanted", most)},
		{flaws{waits: true}, "values/integers come back in full", `Get("000000"), called`},
		{flaws{hangs: true}, "values/integers come back in full", "still hangs"},
		{flaws{usableAfterEnd: true}, "transactions/a handle is of no use once its fn has returned", "got no error"},
		{flaws{usableAfterEnd: true}, ended, "Get after the application's Commit"},
		{flaws{keepsNames: true},
			"joining/a nested transaction that fails undoes what the application wrote in it", "undone"},
	} {
		t.Run(fmt.Sprintf("%s/%s", setFlaws(c.flaws), c.fails), func(t *testing.T) {
			t.Parallel()
			store := newLockStore(c.flaws)
			got := failures(t, c.fails, store, store.host())
			if !strings.Contains(got, c.says) {
				t.Errorf("the case reports %q; want something with %q", got, c.says)
			}
		})
	}
}

// A host whose store has not really joined, or whose handle is not found behind a wrapper, fails.
func TestFlawsOfHosts(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(s *lockStore, h *Host)
		fails string
		says  string
	}{
		{"the joined store has a transaction of its own", func(s *lockStore, h *Host) {
			h.Begin = func(context.Context) (HostTx, error) {
				tx := s.begin()
				return HostTx{
					Join:     func() storage.Storage { return s },
					Commit:   func() error { tx.close(); return tx.commit() },
					Rollback: func() error { tx.close(); return tx.rollBack() },
				}, nil
			}
		}, "joining/the application's Rollback undoes its writes and the store's", "the store contains"},
		{"every joined store has a transaction of its own", func(s *lockStore, h *Host) {
			begin := h.Begin
			h.Begin = func(ctx context.Context) (HostTx, error) {
				tx, err := begin(ctx)
				tx.Join = func() storage.Storage { return s.begin() }
				return tx, err
			}
		}, "joining/stores that have joined the same transaction share it", "the store contains"},
		{"the handle is not looked for in wrappers", func(_ *lockStore, h *Host) {
			write := h.Write
			h.Write = func(ctx context.Context, s storage.Storage, name string) error {
				if w, ok := s.(interface{ Unwrap() storage.Storage }); ok {
					s = w.Unwrap() // the suite wraps it once
				}
				if _, ok := s.(interface{ Unwrap() storage.Storage }); ok {
					return fmt.Errorf("no handle in a %T", s)
				}
				return write(ctx, s, name)
			}
		}, "joining/the store sees what the application has written before, and wrappers are looked through", "no handle"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := newLockStore(flaws{})
			h := store.host()
			c.spoil(store, &h)
			if got := failures(t, c.fails, store, h); !strings.Contains(got, c.says) {
				t.Errorf("the case reports %q; want something with %q", got, c.says)
			}
		})
	}
}

// setFlaws names the flaws that are set.
func setFlaws(f flaws) string {
	var set []string
	for _, word := range strings.Fields(strings.Trim(fmt.Sprintf("%+v", f), "{}")) {
		if name, value, _ := strings.Cut(word, ":"); value != "false" && value != "0" {
			set = append(set, strings.TrimSuffix(name+" "+value, " true"))
		}
	}
	return strings.Join(set, ", ")
}

// failures runs the case with this name, given as group/case, and returns what it reports.
func failures(t *testing.T, name string, s *lockStore, h Host) string {
	t.Helper()
	for _, g := range groups {
		for _, c := range g.cases {
			if string(g.name)+"/"+c.name != name {
				continue
			}
			r, patience := &recorder{TB: t}, patience
			if f := s.flaws; f.noDetection || f.readsLock || f.readsWait || f.waits || f.hangs {
				patience = 2 * time.Second // the case waits until its patience ends
			}
			try(r, patience, func(t *trial) {
				switch {
				case c.joins != nil:
					c.joined(t, h.watched(t))
				case c.handles:
					c.alone(t, s, secondHandle(nil, s))
				default:
					c.alone(t, s, nil)
				}
			})
			return r.text()
		}
	}
	t.Fatalf("there is no case %q", name)
	return ""
}

// A recorder keeps what a case reports instead of failing the test.
type recorder struct {
	testing.TB
	mu      sync.Mutex
	reports []string
}

func (r *recorder) add(report string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, report)
}

func (r *recorder) Error(args ...any)                 { r.add(fmt.Sprintln(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.add(fmt.Sprintf(format, args...)) }

func (r *recorder) Failed() bool { return r.text() != "" }

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.reports, "\n")
}

// A message about thousands of records stays readable.
func TestShortened(t *testing.T) {
	if got := shortened("a\n"); got != "a" {
		t.Errorf("got %q", got)
	}
	got := shortened("begin" + strings.Repeat("é", 50_000) + "end")
	if !strings.HasPrefix(got, "begin") || !strings.HasSuffix(got, "end") || len(got) > 5000 || !utf8.ValidString(got) ||
		!strings.Contains(got, "(96008 bytes left out)") {
		t.Errorf("got %d bytes: %.20q … %q", len(got), got, got[len(got)-20:])
	}
}
