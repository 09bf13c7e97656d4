package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// A Host is an application whose transactions a store can join. The application keeps names, in a table of its own in
// the same database. All fields are required.
type Host struct {
	// Storage is the store, outside any transaction.
	Storage storage.Storage

	// Begin begins a transaction of the application. The transaction may end when ctx does.
	Begin func(ctx context.Context) (HostTx, error)

	// Write adds a name to the application's table, and Names returns all of them in any order. They use the database
	// handle that s lends, such as mystore.DB(s). s is Storage, a store that Join has returned, or the tx that one of
	// them gave to a function. It may be wrapped.
	Write func(ctx context.Context, s storage.Storage, name string) error
	Names func(ctx context.Context, s storage.Storage) ([]string, error)
}

// A HostTx is a transaction that the application has begun.
type HostTx struct {
	// Join returns the store inside the transaction, such as store.WithTx(tx). It may be called several times.
	Join func() storage.Storage

	// Commit and Rollback end the transaction.
	Commit, Rollback func() error
}

// RunJoined tests stores that can work inside a transaction of the application. open returns an application with an
// empty store and no names; each case calls it once and with its own t. For a store on database/sql, a test is:
//
//	func TestJoined(t *testing.T) {
//		storagetest.RunJoined(t, func(t *testing.T) storagetest.Host {
//			db := emptyDatabase(t) // with a table names (name TEXT)
//			store := mystore.New(db)
//			return storagetest.Host{
//				Storage: store,
//				Begin: func(ctx context.Context) (storagetest.HostTx, error) {
//					tx, err := db.BeginTx(ctx, nil)
//					if err != nil {
//						return storagetest.HostTx{}, err
//					}
//					join := func() storage.Storage { return store.WithTx(tx) }
//					return storagetest.HostTx{Join: join, Commit: tx.Commit, Rollback: tx.Rollback}, nil
//				},
//				Write: func(ctx context.Context, s storage.Storage, name string) error {
//					_, err := mystore.DB(s).ExecContext(ctx, "INSERT INTO names VALUES (?)", name)
//					return err
//				},
//				Names: func(ctx context.Context, s storage.Storage) ([]string, error) {
//					return scanNames(mystore.DB(s).QueryContext(ctx, "SELECT name FROM names"))
//				},
//			}
//		})
//	}
//
// RunJoined runs the group [Joining]. It also runs the groups about single calls, [Transactions] and [Nesting], each
// case inside a transaction of the application that is rolled back at the end. Without(Waiting) leaves out the cases of
// Joining in which transactions wait for each other.
func RunJoined(t *testing.T, open func(t *testing.T) Host, opts ...Option) {
	t.Helper()
	r := newRunner(t, opts, func(g group) bool {
		return g.twice || g.name == Transactions || g.name == Nesting || g.name == Waiting || g.name == Joining
	})
	// Waiting counts only for the cases of Joining that need it.
	r.groups = slices.DeleteFunc(r.groups, func(g group) bool { return g.name == Waiting })
	if len(r.groups) == 0 {
		t.Fatalf("storagetest: %v", errNoGroup)
	}
	for _, g := range r.groups {
		cases := slices.DeleteFunc(slices.Clone(g.cases), func(c testCase) bool { return c.outermost })
		r.run(t, string(g.name), cases, func(t *testing.T, c testCase) bool {
			h := open(t)
			if h.Storage == nil || h.Begin == nil || h.Write == nil || h.Names == nil {
				t.Fatal("a field of the Host is not set")
			}
			return try(t, patience, func(t *trial) { c.joined(t, h.watched(t)) })
		})
	}
}

// joined runs c in a transaction of the application, which is rolled back, or lets c begin transactions itself.
func (c testCase) joined(t *trial, h Host) {
	if c.joins != nil {
		c.joins(t, h)
		return
	}
	tx := h.begin(t)
	c.test(t, tx.Join())
	end(t, "Rollback", tx.Rollback)
	holds(t, h.Storage)
}

// watched returns h with all calls noted in t.
func (h Host) watched(t *trial) Host {
	given := h
	h.Storage = t.watched(given.Storage)
	h.Begin = func(ctx context.Context) (HostTx, error) {
		defer t.calls.begin(func() string { return "Begin of the application's transaction" })()
		tx, err := given.Begin(ctx)
		if err != nil {
			return HostTx{}, err
		}
		if tx.Join == nil || tx.Commit == nil || tx.Rollback == nil {
			return HostTx{}, errors.New("a field of the HostTx is not set")
		}
		note := func(what string, f func() error) func() error {
			return func() error {
				defer t.calls.begin(func() string { return what + " of the application's transaction" })()
				return f()
			}
		}
		return HostTx{
			Join: func() storage.Storage {
				return watched{Storage: tx.Join(), calls: t.calls, tx: "in the application's transaction: "}
			},
			Commit:   note("Commit", tx.Commit),
			Rollback: note("Rollback", tx.Rollback),
		}, nil
	}
	h.Write = func(ctx context.Context, s storage.Storage, name string) error {
		defer t.calls.begin(func() string { return fmt.Sprintf("Write(%q)", name) })()
		return given.Write(ctx, s, name)
	}
	h.Names = func(ctx context.Context, s storage.Storage) ([]string, error) {
		defer t.calls.begin(func() string { return "Names" })()
		return given.Names(ctx, s)
	}
	return h
}

// begin begins a transaction of the application. It is rolled back at the end of the test, if it has not ended by then.
func (h Host) begin(t *trial) HostTx {
	t.Helper()
	tx, err := h.Begin(t.Context())
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	t.Cleanup(func() {
		ended := make(chan struct{})
		go func() { _ = tx.Rollback(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(t.patience): // of a store that hangs
		}
	})
	return tx
}

func (h Host) write(t *trial, s storage.Storage, name string) {
	t.Helper()
	if err := h.Write(t.Context(), s, name); err != nil {
		t.Fatalf("Write(%q): %v", name, err)
	}
}

// named expects the application's table to have exactly these names.
func (h Host) named(t *trial, s storage.Storage, want ...string) {
	t.Helper()
	got, err := h.Names(t.Context(), s)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Names returns %q, %v; want %q", got, err, want)
	}
}

var joiningCases = []testCase{
	{name: "the application's Commit keeps its writes and the store's", joins: joinCommits},
	{name: "the application's Rollback undoes its writes and the store's", joins: joinRollsBack},
	{name: "the store sees what the application has written before, and wrappers are looked through", joins: joinLends},
	{name: "a nested transaction that fails undoes what the application wrote in it", joins: joinNested},
	{name: "the application's transaction stays usable after refusals and failed functions", joins: joinRefusals},
	{name: "RunInTx never calls its function again", joins: joinRunsOnce},
	{name: "stores that have joined the same transaction share it", joins: joinTwice},
	{name: "a joined store is unusable once the application's transaction has ended", joins: joinEnds},
	{name: "a ctx cancelled before a call is an error, and the transaction can be rolled back", joins: joinCancelled},
	{name: "nobody else sees what the application has not committed", joins: joinHides},
	{name: "locks are held until the application's transaction ends", joins: joinLocks, needs: Waiting},
	{name: "ErrAborted stays, and the application can roll back", joins: joinAborted, needs: Waiting},
}

// end ends a transaction of the application.
func end(t *trial, what string, f func() error) {
	t.Helper()
	if err := f(); err != nil {
		t.Fatalf("%s of the application's transaction: %v", what, err)
	}
}

func joinCommits(t *trial, h Host) {
	tx := h.begin(t)
	s := tx.Join()
	h.write(t, s, "a")
	seed(t, s, record("a"))
	insertInTx(t, s, record("b"))
	holds(t, s, record("a"), record("b"))
	h.named(t, s, "a")
	end(t, "Commit", tx.Commit)
	holds(t, h.Storage, record("a"), record("b"))
	h.named(t, h.Storage, "a")
}

func joinRollsBack(t *trial, h Host) {
	seed(t, h.Storage, record("kept"))
	h.write(t, h.Storage, "kept")
	tx := h.begin(t)
	s := tx.Join()
	h.write(t, s, "a")
	seed(t, s, record("a"))
	update(t, s, record("kept", role("x")))
	insertInTx(t, s, record("b"))
	end(t, "Rollback", tx.Rollback)
	holds(t, h.Storage, record("kept"))
	h.named(t, h.Storage, "kept")
}

// embedding is a wrapper as the documentation of package storage describes it.
type embedding struct{ storage.Storage }

func (w embedding) Unwrap() storage.Storage { return w.Storage }

func joinLends(t *trial, h Host) {
	err := transact(t.Context(), embedding{h.Storage}, func(ctx context.Context, tx storage.Storage) error {
		if err := h.Write(ctx, embedding{embedding{tx}}, "outermost"); err != nil {
			return err
		}
		return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
			return h.Write(ctx, embedding{tx}, "nested")
		})
	})
	if err != nil {
		t.Errorf("RunInTx: %v", err)
	}
	h.named(t, embedding{h.Storage}, "nested", "outermost")
	tx := h.begin(t)
	h.write(t, embedding{tx.Join()}, "joined")
	h.named(t, embedding{embedding{tx.Join()}}, "joined", "nested", "outermost")
	end(t, "Rollback", tx.Rollback)
	h.named(t, h.Storage, "nested", "outermost")
}

// What the application writes belongs to the innermost transaction, as what the store writes does.
func joinNested(t *trial, h Host) {
	within := func(s storage.Storage) error {
		ctx := t.Context()
		if err := errors.Join(h.Write(ctx, s, "before"), s.Insert(ctx, record("before"))); err != nil {
			return err
		}
		for _, end := range ends {
			inner, cancel := context.WithCancel(ctx)
			defer cancel()
			panics(func() {
				_ = s.RunInTx(inner, func(_ context.Context, nested storage.Storage) error {
					h.write(t, nested, "undone")
					seed(t, nested, record("undone"))
					err := nested.RunInTx(ctx, func(ctx context.Context, deep storage.Storage) error {
						return h.Write(ctx, deep, "undone with the outer one")
					})
					if err != nil {
						t.Errorf("RunInTx: %v", err)
					}
					h.named(t, nested, "before", "undone", "undone with the outer one")
					if end.cancel {
						cancel()
					}
					if end.panics {
						panic(&end)
					}
					return errHost
				})
			})
			h.named(t, s, "before")
			byID(t, s, storage.Filter{}, "before")
		}
		err := s.RunInTx(ctx, func(ctx context.Context, nested storage.Storage) error {
			return errors.Join(h.Write(ctx, nested, "kept"), nested.Insert(ctx, record("kept")))
		})
		return errors.Join(err, h.Write(ctx, s, "last"))
	}
	tx := h.begin(t)
	if err := within(tx.Join()); err != nil {
		t.Fatalf("in the application's transaction: %v", err)
	}
	h.named(t, tx.Join(), "before", "kept", "last")
	end(t, "Rollback", tx.Rollback)
	h.named(t, h.Storage)
	// The store's own transactions lend their handle in the same way.
	err := transact(t.Context(), h.Storage, func(_ context.Context, tx storage.Storage) error { return within(tx) })
	if err != nil {
		t.Fatalf("in the store's transaction: %v", err)
	}
	h.named(t, h.Storage, "before", "kept", "last")
	byID(t, h.Storage, storage.Filter{}, "before", "kept")
}

func joinRefusals(t *trial, h Host) {
	seed(t, h.Storage, record("a"))
	tx := h.begin(t)
	s, ctx := tx.Join(), t.Context()
	h.write(t, s, "first")
	for i := range 2 {
		missing(t, s, "none")
		refused(t, "Update", s.Update(ctx, record("a", version(9))), storage.ErrConflict)
		taken(t, "Insert", s.Insert(ctx, record("b"), record("a")), 1)
		taken(t, "Insert", s.Insert(ctx, record("b", to(record("a").EmailKey))), 0)
		refused(t, "Insert of an invalid record", s.Insert(ctx, record("b", role("\xff"))), nil)
		refused(t, "Lock of an invalid key", s.Lock(ctx, "\x00"), nil)
		refused(t, "RunInTx", s.RunInTx(ctx, func(ctx context.Context, nested storage.Storage) error {
			seed(t, nested, record("b"))
			return nested.Insert(ctx, record("a"))
		}), storage.ErrExists)
		refused(t, "RunInTx", s.RunInTx(ctx, func(context.Context, storage.Storage) error { return errHost }), errHost)
		h.write(t, s, fmt.Sprint("later-", i))
		holds(t, s, record("a"))
	}
	update(t, s, record("a", role("x")))
	end(t, "Commit", tx.Commit)
	holds(t, h.Storage, record("a", role("x"), version(2)))
	h.named(t, h.Storage, "first", "later-0", "later-1")
}

func joinRunsOnce(t *trial, h Host) {
	tx := h.begin(t)
	s := tx.Join()
	for _, want := range []error{errHost, storage.ErrAborted, fmt.Errorf("wrapped: %w", storage.ErrAborted)} {
		runs := 0
		refused(t, "RunInTx", s.RunInTx(t.Context(), func(context.Context, storage.Storage) error {
			runs++
			return want
		}), want)
		if runs != 1 {
			t.Errorf("the function, which returns %q, was called %d times", want, runs)
		}
	}
	end(t, "Rollback", tx.Rollback)
}

func joinTwice(t *trial, h Host) {
	tx := h.begin(t)
	first, second := tx.Join(), tx.Join()
	seed(t, first, record("a"))
	holds(t, second, record("a"))
	update(t, second, record("a", role("x")))
	taken(t, "Insert", second.Insert(t.Context(), record("b", to(record("a").EmailKey))), 0)
	holds(t, first, record("a", role("x"), version(2)))
	for _, s := range []storage.Storage{first, second} {
		if err := s.Lock(t.Context(), "key"); err != nil {
			t.Errorf("Lock: %v", err)
		}
		finds(t, s, storage.Query{Filter: storage.Filter{IDs: []string{"a"}}, ForUpdate: true}, "a")
		refused(t, "RunInTx", s.RunInTx(t.Context(), func(_ context.Context, nested storage.Storage) error {
			seed(t, nested, record("undone"))
			return errHost
		}), errHost)
	}
	insertInTx(t, second, record("b"))
	holds(t, first, record("a", role("x"), version(2)), record("b"))
	end(t, "Commit", tx.Commit)
	holds(t, h.Storage, record("a", role("x"), version(2)), record("b"))
}

func joinEnds(t *trial, h Host) {
	seed(t, h.Storage, record("a"), record("b"))
	for _, how := range []string{"Commit", "Rollback"} {
		tx := h.begin(t)
		used, unused := tx.Join(), tx.Join()
		holds(t, used, record("a"), record("b"))
		if how == "Commit" {
			end(t, how, tx.Commit)
		} else {
			end(t, how, tx.Rollback)
		}
		for _, s := range []storage.Storage{used, unused, tx.Join()} {
			for name, call := range calls(s) {
				refused(t, name+" after the application's "+how, call(t.Context()), nil)
			}
		}
		holds(t, h.Storage, record("a"), record("b"))
	}
}

func joinCancelled(t *trial, h Host) {
	seed(t, h.Storage, record("a"), record("b"))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name := range calls(h.Storage) {
		tx := h.begin(t)
		s := tx.Join()
		seed(t, s, record("e"))
		refused(t, name, calls(s)[name](cancelled), nil)
		end(t, "Rollback", tx.Rollback)
	}
	// A nested transaction that was cancelled can be rolled back alone.
	tx := h.begin(t)
	s := tx.Join()
	seed(t, s, record("c"))
	inner, cancel := context.WithCancel(t.Context())
	err := s.RunInTx(inner, func(_ context.Context, nested storage.Storage) error {
		seed(t, nested, record("d"))
		cancel()
		return inner.Err()
	})
	refused(t, "RunInTx", err, context.Canceled)
	holds(t, s, record("a"), record("b"), record("c"))
	end(t, "Commit", tx.Commit)
	holds(t, h.Storage, record("a"), record("b"), record("c"))
}

func joinHides(t *trial, h Host) {
	seed(t, h.Storage, record("a"))
	tx := h.begin(t)
	s := tx.Join()
	seed(t, s, record("b"))
	update(t, s, record("a", role("x")))
	insertInTx(t, s, record("c"))
	h.write(t, s, "b")
	// The store may have to wait for the transaction.
	if err, _ := aside(t, glance, func(ctx context.Context) error {
		records, err := h.Storage.List(ctx, storage.Query{})
		if err == nil && (len(records) != 1 || records[0].Version != 1) {
			t.Errorf("beside the application's transaction, List returns %q", ids(records))
		}
		return err
	}); err == nil {
		same(t, get(t, h.Storage, "a"), record("a").Stored())
	}
	end(t, "Commit", tx.Commit)
	holds(t, h.Storage, record("a", role("x"), version(2)), record("b"), record("c"))
}

func joinLocks(t *trial, h Host) {
	seed(t, h.Storage, record("a"))
	for _, way := range slices.Concat(locks, nestedLocks) {
		for _, how := range []string{"Commit", "Rollback"} {
			tx := h.begin(t)
			err := func() error { _, err := way.read(t.Context(), tx.Join(), "a"); return err }()
			if err != nil {
				if !errors.Is(err, storage.ErrAborted) {
					t.Errorf("%s in the application's transaction: %v", way.name, err)
				}
				end(t, "Rollback", tx.Rollback)
				continue
			}
			read := lockedRead(lockKey)
			if way.rows {
				read = forUpdate
			}
			isLocked(t, h.Storage, way.name+", which the application's transaction holds", "a", read)
			if how == "Commit" {
				end(t, how, tx.Commit)
			} else {
				end(t, how, tx.Rollback)
			}
			commit(t, h.Storage, func(ctx context.Context, tx storage.Storage) error {
				_, err := read(ctx, tx, "a")
				return err
			})
		}
	}
}

// Two transactions of the application wait for each other, if the store lets both run. The store does not retry the one
// that it aborts.
func joinAborted(t *trial, h Host) {
	seed(t, h.Storage, record("a"), record("b"))
	arrive := meeting(2)
	together(t, 2, func(ctx context.Context, i int) {
		order := []string{"a", "b"}
		if i == 1 {
			order = []string{"b", "a"}
		}
		// A store that runs one transaction at a time does not even begin the second one.
		tx, err := h.Begin(ctx)
		if err != nil {
			t.Errorf("Begin: %v", err)
			return
		}
		defer func() { _ = tx.Rollback() }()
		s := tx.Join()
		take := func(id string) error {
			r, err := forUpdate(ctx, s, id)
			if err != nil {
				return err
			}
			return s.Update(ctx, edit(r, role(fmt.Sprint(i))))
		}
		err = take(order[0])
		if err == nil {
			arrive()
			err = take(order[1])
		}
		switch {
		case errors.Is(err, storage.ErrAborted):
			staysAborted(t, "of the joined store", s)
			_ = tx.Rollback() // the database may have done so already
		case err != nil:
			t.Errorf("a deadlock of two transactions of the application: %v; want %v", err, storage.ErrAborted)
		default:
			if err := tx.Commit(); err != nil {
				t.Errorf("Commit: %v", err)
			}
		}
	})
	a, b := get(t, h.Storage, "a"), get(t, h.Storage, "b")
	if a.Role != b.Role || a.Version != b.Version {
		t.Errorf("an aborted transaction is partly there: roles %q and %q", a.Role, b.Role)
	}
	byID(t, h.Storage, storage.Filter{}, "a", "b")
	insertInTx(t, h.Storage, record("c"))
}
