package bunstore_test

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"go.uber.org/goleak"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/internal/faults"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// Faults below the driver and below database/sql. Whatever fails, and wherever it fails, the state is the one before
// the operation or the one after it. The operation says which of the two, or that it does not know.

// hostEvent is a row that OnEvents writes.
type hostEvent struct {
	bun.BaseModel    `bun:"table:host_events"`
	ID               string `bun:",pk"` // random: only the rest is compared
	Type, Invitation string
}

// operation is one of the service's operations, run on the arena's state.
type operation struct {
	name string
	run  func(ctx context.Context, a *arena, svc *invitation.Service) error
	// batches: it works in several transactions. Those already committed stay committed if a later one fails. The
	// count it returns covers them.
	batches bool
	// uncounted, if set, is the operation's first step, which is not counted.
	uncounted func(ctx context.Context, svc *invitation.Service) error
}

func operations() []operation {
	one := func(_ any, err error) error { return err }
	create := func(email string, replace bool) func(context.Context, *arena, *invitation.Service) error {
		return func(ctx context.Context, _ *arena, svc *invitation.Service) error {
			return one(svc.Create(ctx, "acme", invitation.CreateParams{
				EmailAddress: email, Role: invitation.RoleMember, InviterUserID: "ann", Replace: replace}))
		}
	}
	resend := func(id string) func(context.Context, *arena, *invitation.Service) error {
		return func(ctx context.Context, _ *arena, svc *invitation.Service) error {
			return one(svc.Resend(ctx, "acme", id, invitation.ResendParams{RequestingUserID: "ann"}))
		}
	}
	expireDue := func(ctx context.Context, svc *invitation.Service) error { return one(svc.ExpireDue(ctx, 100)) }
	counted := func(a *arena, n int, err error) error { a.count = n; return err }
	plain := func(fn func(context.Context, *invitation.Service) error) func(
		context.Context, *arena, *invitation.Service) error {
		return func(ctx context.Context, _ *arena, svc *invitation.Service) error { return fn(ctx, svc) }
	}
	return []operation{
		{name: "Create", run: create("u10@example.com", false)},
		{name: "Create, Replace", run: create("u1@example.com", true)},
		{name: "Create over a lapsed one", run: create("u3@example.com", false)},
		{name: "Create of a duplicate", run: create("u1@example.com", false)}, // is refused, and rolls back
		{name: "CreateBulk", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			ps := make([]invitation.CreateParams, 3)
			for i := range ps {
				ps[i].EmailAddress, ps[i].Role = fmt.Sprintf("u%d@example.com", 11+i), invitation.RoleMember
			}
			return one(svc.CreateBulk(ctx, "acme", ps))
		})},
		{name: "CreateEach, one of them a duplicate", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			ps := make([]invitation.CreateParams, 3)
			for i, user := range []string{"u10", "u1", "u11"} {
				ps[i] = invitation.CreateParams{
					EmailAddress: user + "@example.com", Role: invitation.RoleMember, InviterUserID: "ann",
				}
			}
			return one(svc.CreateEach(ctx, "acme", ps))
		})},
		{name: "Accept", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.Accept(ctx, invitation.AcceptParams{
				OrganizationID: "acme", InvitationID: "pending1", UserID: "u1"}))
		})},
		{name: "Decline", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.Decline(ctx, invitation.DeclineParams{
				OrganizationID: "acme", InvitationID: "pending2", UserID: "u2"}))
		})},
		{name: "Revoke", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.Revoke(ctx, "acme", "pending1", invitation.RevokeParams{RequestingUserID: "ann"}))
		})},
		{name: "Resend", run: resend("pending1")},
		{name: "Resend of an expired one", run: resend("lapsed3")},
		{name: "Update", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			public, err := invitation.ParseMetadata([]byte(`{"a":1}`))
			if err != nil {
				return err
			}
			return one(svc.Update(ctx, "acme", "pending1", invitation.UpdateParams{
				RequestingUserID: "ann", Role: invitation.RoleAdmin, PublicMetadata: public}))
		})},
		{name: "RevokeAll", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.RevokeAll(ctx, invitation.RevokeAllParams{EmailAddresses: []string{"u1@example.com"}}))
		})},
		{name: "ExpireDue", batches: true, run: func(ctx context.Context, a *arena, svc *invitation.Service) error {
			n, err := svc.ExpireDue(ctx, 100)
			return counted(a, n, err)
		}},
		{name: "Purge", batches: true, uncounted: expireDue,
			run: func(ctx context.Context, a *arena, svc *invitation.Service) error {
				n, err := svc.Purge(ctx, a.clean.clock.Now().Add(-24*time.Hour), 100)
				return counted(a, n, err)
			}},
		{name: "Delete", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return svc.Delete(ctx, "acme", "lapsed3") // stores the expiry first
		})},
		{name: "DeleteOrganization", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.DeleteOrganization(ctx, "acme"))
		})},
		{name: "EraseEmail", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.EraseEmail(ctx, "u1@example.com"))
		})},
		{name: "List", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.List(ctx, "acme", invitation.ListParams{}))
		})},
		{name: "Counts", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.Counts(ctx, "acme", invitation.ListParams{}))
		})},
		{name: "CanInvite", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return svc.CanInvite(ctx, "acme", invitation.CreateParams{
				EmailAddress: "u10@example.com", Role: invitation.RoleMember, InviterUserID: "ann"})
		})},
		{name: "Get", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.Get(ctx, "acme", "lapsed3"))
		})},
		{name: "ListForUser", run: plain(func(ctx context.Context, svc *invitation.Service) error {
			return one(svc.ListForUser(ctx, "u1", invitation.ListParams{}))
		})},
		{name: "Preview", run: func(ctx context.Context, a *arena, svc *invitation.Service) error {
			return one(svc.Preview(ctx, a.ticket))
		}},
	}
}

// owner says whose transaction an operation runs in.
type owner int

const (
	ours     owner = iota // the service's
	hosts                 // the host's, which is rolled back if the operation fails
	hostsSQL              // the same, and a *sql.Tx
	careless              // the host's, which is committed even if the operation failed
)

func (o owner) String() string {
	return [...]string{"", " in a host's transaction", " in a host's *sql.Tx", " in a careless host's"}[o]
}

// outcome is the result of an operation without a fault.
type outcome struct {
	err    error
	after  string
	counts map[string]int // what the operation counted, by resulting state; lists every state it may leave
	calls  int
}

// arena is a database with a known state, and a handle whose connections can fail.
type arena struct {
	t      *testing.T
	e      engines.Engine
	reach  string // the address of the faulty handle
	plan   *faults.Plan
	proxy  *faults.Proxy // nil: faults come from plan
	clean  *house        // on a handle without faults
	faulty *bun.DB
	cfg    invitation.Config

	records []storage.Record
	members []hostMember
	before  string
	ticket  string
	dirty   bool
	ids     int
	count   int // of the last operation that counts

	injected, breaches int
}

// newArena builds the state: acme has two pending, two lapsed, a revoked and an accepted invitation, and beta has a
// pending one.
func newArena(t *testing.T, e engines.Engine) *arena {
	t.Helper()
	a := &arena{t: t, e: e, plan: &faults.Plan{}}
	address := e.New(t)
	a.reach = withAppName(t, e, address)
	db := e.Connect(t, address)
	createTables(t, db, (*hostEvent)(nil))
	is := is.New(t)

	seeds := []string{"revoked5", "lapsed3", "lapsed4", "pending1", "pending2", "accepted6", "beta1"}
	a.cfg = invitation.Config{
		MaxPending: 50,
		NewID: func() string {
			if a.ids++; a.ids <= len(seeds) {
				return seeds[a.ids-1]
			}
			return fmt.Sprintf("new%d", a.ids)
		},
		SendLimits: []invitation.SendLimit{{Per: invitation.PerInviter, Max: 50, Within: 48 * time.Hour}},
		Seats: func(ctx context.Context, tx storage.Storage, r invitation.SeatsRequest) (invitation.SeatsResult, error) {
			n, err := bunstore.DB(tx).NewSelect().Model((*hostMember)(nil)).
				Where("organization_id = ?", r.OrganizationID).Count(ctx)
			return invitation.SeatsResult{Members: int(n), Limit: 50}, err
		},
		OnEvents: func(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
			rows := make([]hostEvent, len(events))
			for i, event := range events {
				rows[i] = hostEvent{ID: rand.Text(), Type: string(event.Type), Invitation: event.Invitation.ID}
			}
			_, err := bunstore.DB(tx).NewInsert().Model(&rows).Exec(ctx)
			return err
		},
	}
	a.clean = build(t, db, a.cfg)
	h, ctx := a.clean, t.Context()
	now := h.clock.Now()
	h.clock.Set(now.Add(-60 * 24 * time.Hour))
	for i, user := range []string{"u5", "u3", "u4"} {
		is.Equal(h.invite(t, user+"@example.com").ID, seeds[i])
	}
	_, err := h.svc.Revoke(ctx, "acme", "revoked5", invitation.RevokeParams{})
	is.NoErr(err)
	h.clock.Set(now.Add(-2 * time.Hour))
	a.ticket = accept(h.invite(t, "u1@example.com"), "u1").Ticket
	h.invite(t, "u2@example.com")
	_, err = h.svc.Accept(ctx, accept(h.invite(t, "u6@example.com"), "u6"))
	is.NoErr(err)
	_, err = h.svc.Create(ctx, "beta",
		invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember})
	is.NoErr(err)
	h.clock.Set(now)

	a.records, err = h.store.List(ctx, storage.Query{})
	is.NoErr(err)
	is.Equal(len(a.records), len(seeds))
	is.NoErr(db.NewSelect().Model(&a.members).Scan(ctx))
	a.dirty = true
	a.reset()
	a.before = a.state()
	return a
}

// withAppName names the connections of an address, so that the server can tell them from others.
func withAppName(t *testing.T, e engines.Engine, address string) string {
	t.Helper()
	if !strings.HasPrefix(e.Name, "postgres") {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("application_name", "orginvite_"+rand.Text())
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return u.String()
}

// connect makes a new faulty handle.
func (a *arena) connect() {
	if a.faulty != nil {
		_ = a.faulty.Close()
	}
	a.faulty = a.e.Wrapped(a.t, a.reach, func(c driver.Connector) driver.Connector {
		return faults.Wrap(c, a.plan.Decide)
	})
}

// bounded limits the arena's own statements: a lock that is never released must not hang the test.
func (a *arena) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(a.t.Context(), 20*time.Second)
}

// must also is for the arena's own statements: it stops the test if err is not nil.
func (a *arena) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("%d faults injected: %v", a.injected, err)
	}
}

// reset restores the state before the operation.
func (a *arena) reset() {
	a.t.Helper()
	if !a.dirty {
		return
	}
	ctx, cancel := a.bounded()
	defer cancel()
	a.must(a.clean.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		db := bunstore.DB(tx)
		for _, table := range []string{"organization_invitations", "host_members", "host_events"} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		if _, err := db.NewInsert().Model(&a.members).Exec(ctx); err != nil {
			return err
		}
		return tx.Insert(ctx, a.records...)
	}))
	a.dirty = false
}

// state returns every row, in an order that depends neither on the ids of new invitations nor on the number of retries.
func (a *arena) state() string {
	a.t.Helper()
	ctx, cancel := a.bounded()
	defer cancel()
	var rows []string
	add := func(row any) {
		b, err := json.Marshal(row)
		a.must(err)
		rows = append(rows, string(b))
	}
	name := func(id string) string {
		if strings.HasPrefix(id, "new") {
			return "new"
		}
		return id
	}
	records, err := a.clean.store.List(ctx, storage.Query{})
	a.must(err)
	for _, r := range records {
		r.ID = name(r.ID)
		add(r)
	}
	var members []hostMember
	a.must(a.clean.db.NewSelect().Model(&members).Scan(ctx))
	for _, m := range members {
		add(m)
	}
	var events []hostEvent
	a.must(a.clean.db.NewSelect().Model(&events).Scan(ctx))
	for _, event := range events {
		add([]string{event.Type, name(event.Invitation)})
	}
	sort.Strings(rows)
	return strings.Join(rows, "\n")
}

// service returns a new service on the faulty handle, which has not used the database yet.
func (a *arena) service() (*invitation.Service, *bunstore.Store) {
	h := attach(a.t, a.faulty, a.cfg)
	return h.svc, h.store
}

// perform runs an operation and, if the host owns the transaction, ends it.
func (a *arena) perform(ctx context.Context, op operation, in owner) (err, commit error) {
	svc, store := a.service()
	if in == ours {
		return op.run(ctx, a, svc), nil
	}
	lib := withBun
	if in == hostsSQL {
		lib = withSQL
	}
	tx, err := lib.begin(ctx, a.t, a.faulty, nil)
	if err != nil {
		return err, nil
	}
	err = op.run(ctx, a, svc.WithStorage(tx.join(store)))
	if err != nil && in != careless {
		_ = tx.Rollback()
		return err, nil
	}
	return err, tx.Commit()
}

// baseline runs an operation without a fault.
func (a *arena) baseline(op operation, in owner) outcome {
	a.t.Helper()
	ctx, cancel := a.bounded()
	defer cancel()
	a.reset()
	out := outcome{counts: map[string]int{a.before: 0}}
	if op.uncounted != nil {
		a.must(op.uncounted(ctx, a.clean.svc))
		out.counts[a.state()] = 0
		a.dirty = true
		a.reset()
	}
	a.count = 0
	a.set(0, fault{}, in, nil)
	var commit error
	out.err, commit = a.perform(ctx, op, in)
	a.must(commit)
	out.calls = a.plan.Calls()
	if a.proxy != nil {
		out.calls = a.proxy.Seen()
	}
	out.after = a.state()
	if out.after != a.before {
		out.counts[out.after] = a.count
		a.dirty = true
	}
	return out
}

// fault is a way to fail.
type fault struct {
	name  string
	kind  faults.Kind
	err   error
	cut   faults.Cut    // for the proxy
	with  string        // count only requests that contain this; "" counts all
	limit time.Duration // the caller's deadline; 0: none
}

// set arms a fault for the n-th call. It does not count the host's own BEGIN, COMMIT and ROLLBACK.
func (a *arena) set(n int, f fault, in owner, cancel context.CancelFunc) {
	if a.proxy != nil {
		a.proxy.Set(n, f.cut, f.with)
		return
	}
	matches := func(faults.Call) bool { return true }
	if in != ours {
		matches = func(c faults.Call) bool { return c.Op == faults.Exec || c.Op == faults.Query }
	}
	a.plan.Set(n, faults.Fault{Kind: f.kind, Err: f.err, Pause: 30 * time.Millisecond, Cancel: cancel}, matches)
}

// hit returns the place where the fault struck.
func (a *arena) hit() (where string, ok bool) {
	if a.proxy != nil {
		return "of the network", a.proxy.Hit()
	}
	call, ok := a.plan.Hit()
	where = strings.Join(strings.Fields(call.Statement), " ")
	return where[:min(len(where), 70)], ok
}

// inject runs an operation with a fault at its n-th call, and reports whether the operation reached that call.
func (a *arena) inject(op operation, in owner, want outcome, f fault, n int) bool {
	a.t.Helper()
	a.reset()
	ctx, cancel := context.WithCancel(a.t.Context())
	if f.limit > 0 {
		ctx, cancel = context.WithTimeout(a.t.Context(), f.limit)
	}
	defer cancel()
	a.set(n, f, in, cancel)
	a.count = 0
	type result struct {
		err, commit error
		count       int
	}
	done := make(chan result, 1)
	began := time.Now()
	go func() {
		err, commit := a.perform(ctx, op, in)
		done <- result{err, commit, a.count}
	}()
	var got result
	hung := time.Duration(0)
	select {
	case got = <-done:
	case <-time.After(6 * time.Second):
		if a.proxy != nil {
			a.proxy.Heal()
		}
		select {
		case got = <-done:
		case <-time.After(time.Minute):
			a.t.Fatalf("%s%s, %s at call %d: did not return", op.name, in, f.name, n)
		}
		hung = time.Since(began)
	}
	where, hit := a.hit()
	a.set(0, fault{}, in, nil)
	if a.proxy != nil {
		a.proxy.Heal()
	}
	if !hit {
		a.dirty = true // it may have completed
		return false
	}
	a.injected++

	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if hung > 0 {
		say("returned only after %v", hung.Round(time.Millisecond))
	}
	if leaked := a.settled(); leaked != "" {
		say("%s", leaked)
		a.connect() // closes what was left open, so that nothing waits for it
	}
	state := a.state()
	a.dirty = state != a.before
	counted, known := want.counts[state]
	switch unknown := errors.Is(got.err, storage.ErrOutcomeUnknown); {
	case !known:
		say("the state is neither before nor after:\n%s", state)
	case in == ours && unknown, got.err == nil && got.commit != nil:
		// Any of these states is correct.
	case unknown:
		say("ErrOutcomeUnknown in a host's transaction, which nobody has committed")
	case got.err == nil:
		if state != want.after {
			say("nil, but the state is not the one after")
		}
	case op.batches && in != hosts && in != hostsSQL:
		if got.count != counted && (got.commit == nil || state != a.before) { // a host commits all or none
			say("%d counted, but the state says %d", got.count, counted)
		}
	case state != a.before:
		say("an error, but the state is not the one before")
	}
	switch {
	case len(wrong) > 0:
	case state != a.before || a.injected%bySize(1, 4, 1) != 0:
		ctx, stop := a.bounded()
		if n, err := a.faulty.NewSelect().Table("host_users").Count(ctx); err != nil || n == 0 {
			say("afterwards the pool does not work: %v", err)
		}
		stop()
	default: // repeating the operation now gives its faultless result
		ctx, stop := a.bounded()
		err, commit := a.perform(ctx, op, in)
		stop()
		if (err == nil) != (want.err == nil) || commit != nil {
			say("again on the same pool: %v, COMMIT: %v", err, commit)
			a.connect()
		} else if again := a.state(); again != want.after {
			say("again on the same pool: the state is another one:\n%s", again)
		}
		a.dirty = want.after != a.before
	}
	if len(wrong) > 0 {
		a.breaches++
		a.t.Errorf("%s%s, %s at call %d (%s): %v; COMMIT: %v: %s",
			op.name, in, f.name, n, where, got.err, got.commit, strings.Join(wrong, "; "))
		if a.breaches == 25 {
			a.t.Fatal("too many breaches")
		}
	}
	return true
}

// settled waits until no connection is in use and none has an open transaction. If that does not happen in time, it
// returns what is still open.
func (a *arena) settled() (leaked string) {
	ctx, cancel := a.bounded()
	defer cancel()
	for until, pause := time.Now().Add(4*time.Second), time.Millisecond; ; pause = min(2*pause, 150*time.Millisecond) {
		leaked = a.open(ctx)
		if leaked == "" || time.Now().After(until) {
			return leaked
		}
		time.Sleep(pause) // the server sends no notice when it detects that a client is gone
	}
}

// open names a connection in use or an open transaction; it returns "" if there is none.
func (a *arena) open(ctx context.Context) string {
	stats := a.faulty.Stats()
	if stats.InUse > 0 {
		return fmt.Sprintf("%d connections in use", stats.InUse)
	}
	count := func(query string, args ...any) (n int) {
		a.must(a.clean.db.NewRaw(query, args...).Scan(ctx, &n))
		return n
	}
	switch a.faulty.Dialect().Name() {
	case dialect.PG:
		u, err := url.Parse(a.reach)
		a.must(err)
		if n := count("SELECT count(*) FROM pg_stat_activity WHERE application_name = ? AND xact_start IS NOT NULL",
			u.Query().Get("application_name")); n > 0 {
			return fmt.Sprintf("%d open transactions", n)
		}
	case dialect.MySQL:
		// This reads the rows instead of the process list: listing processes crashed MariaDB 10.11 while
		// connections came and went.
		if err := a.unlocked(ctx); err != nil {
			return fmt.Sprintf("a transaction still holds rows: %v", err)
		}
		return a.pooled(ctx, func(c bun.Conn) (in bool, err error) {
			err = c.QueryRowContext(ctx, "SELECT @@in_transaction").Scan(&in)
			return in, err
		})
	case dialect.SQLite:
		return a.pooled(ctx, func(c bun.Conn) (in bool, err error) {
			if _, err := c.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
				return strings.Contains(err.Error(), "within a transaction"), err
			}
			_, err = c.ExecContext(ctx, "ROLLBACK")
			return false, err
		})
	}
	return ""
}

// unlocked fails if a transaction still locks a row of the state.
func (a *arena) unlocked(ctx context.Context) error {
	return a.clean.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		for _, table := range []string{"organization_invitations", "host_members", "host_events"} {
			if _, err := tx.ExecContext(ctx, "SELECT * FROM "+table+" FOR UPDATE NOWAIT"); err != nil {
				return err
			}
		}
		return nil
	})
}

// pooled asks each connection of the pool whether it is in a transaction. A lost connection is in none.
func (a *arena) pooled(ctx context.Context, ask func(bun.Conn) (bool, error)) string {
	for range a.faulty.Stats().Idle {
		c, err := a.faulty.Conn(ctx)
		a.must(err)
		defer func() { _ = c.Close() }() // hold all of them, so that each is asked
		if in, _ := ask(c); in {
			return "a connection went back to the pool with an open transaction"
		}
	}
	return ""
}

// run injects each fault at each call of each operation.
func (a *arena) run(list []fault, owners []owner, every func(op operation, f fault) int) {
	for i, op := range operations() {
		for _, in := range owners {
			want := a.baseline(op, in)
			for j, f := range list {
				step := every(op, f)
				if step == 0 {
					continue
				}
				for n := 1 + (i+3*j)%step; n < 300; n += step {
					if hit := a.inject(op, in, want, f, n); !hit && (f.with != "" || n > want.calls) {
						break
					}
				}
			}
		}
	}
}

// connector returns the faults between database/sql and the driver.
func connector(name dialect.Name) []fault {
	var refusal error = full
	switch name {
	case dialect.PG:
		refusal = &pgconn.PgError{Severity: "ERROR", Code: "53100", Message: "could not extend file"}
	case dialect.MySQL:
		refusal = &gomysql.MySQLError{Number: 1021, Message: "Disk full"}
	}
	lost := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	return []fault{
		{name: "refused, and not undone", kind: faults.Fail, err: refusal},
		{name: "refused", kind: faults.Abort, err: refusal},
		{name: "an odd error", kind: faults.Fail, err: errors.New("odd")},
		{name: "closed", kind: faults.Drop, err: faults.ErrClosed},
		{name: "bad connection", kind: faults.Drop, err: driver.ErrBadConn},
		{name: "answer lost, closed", kind: faults.DropAfter, err: faults.ErrClosed},
		{name: "answer lost, reset", kind: faults.DropAfter, err: lost},
		{name: "answer lost, EOF", kind: faults.DropAfter, err: io.ErrUnexpectedEOF},
		{name: "late", kind: faults.Delay, limit: 20 * time.Millisecond},
		{name: "cancelled before", kind: faults.Cancel},
		{name: "cancelled during", kind: faults.CancelDuring},
		{name: "cancelled after", kind: faults.CancelAfter},
	}
}

// sized returns the engines of the chosen size on which the faults can run.
func sized() []engines.Engine {
	names := bySize(
		[]string{"sqlite", "postgres", "mariadb"},
		[]string{"sqlite", "sqlite-one-connection", "sqlite-plain", "postgres", "postgres-bound",
			"postgres-pq", "mariadb", "galera"},
		nil)
	return slices.DeleteFunc(engines.All(), func(e engines.Engine) bool {
		return e.Single || names != nil && !slices.Contains(names, e.Name) // a memory database ends with its connection
	})
}

// eachArena runs fn on an arena of each engine, and checks that nothing of theirs is still running at the end.
func eachArena(t *testing.T, list []engines.Engine, prepare, fn func(a *arena)) {
	for _, e := range list {
		t.Run(e.Name, func(t *testing.T) {
			a := newArena(t, e)
			prepare(a)
			t.Parallel() // from here on, because all arenas have been built
			a.connect()
			began := time.Now()
			fn(a)
			a.must(a.faulty.Close())
			t.Logf("%d faults in %v, %d breaches", a.injected, time.Since(began).Round(time.Millisecond), a.breaches)
			if a.injected == 0 {
				t.Error("no fault was injected")
			}
		})
	}
	here := goleak.IgnoreCurrent()
	t.Cleanup(func() { // after all of them
		// Only the handle that drops the databases remains: it lasts as long as the process.
		admin := goleak.IgnoreTopFunction("github.com/go-sql-driver/mysql.(*mysqlConn).startWatcher.func1")
		if err := goleak.Find(here, admin); err != nil {
			t.Error(err)
		}
	})
}

// Faults between database/sql and the driver.
func TestFaults(t *testing.T) {
	owners := bySize([]owner{ours}, []owner{ours}, []owner{ours, hosts, hostsSQL, careless})
	eachArena(t, sized(), func(*arena) {}, func(a *arena) {
		every := bySize(7, 1, 1)
		a.run(connector(a.faulty.Dialect().Name()), owners, func(operation, fault) int { return every })
	})
}

// Faults between the driver and the server.
func TestFaultsOfTheNetwork(t *testing.T) {
	const limit = 300 * time.Millisecond
	list := []fault{
		{name: "cut", cut: faults.CutBefore},
		{name: "cut after", cut: faults.CutAfter},
		{name: "silence", cut: faults.Silence, limit: limit},
		{name: "silence after", cut: faults.SilenceAfter, limit: limit},
	}
	for _, f := range list {
		f.name, f.with = f.name+" at COMMIT", "commit"
		list = append(list, f)
	}
	// A silence lasts until one side notices it.
	silent := bySize(map[string]int{"Create": 9}, map[string]int{"Create": 2, "Accept": 3, "List": 2}, nil)
	servers := slices.DeleteFunc(sized(), func(e engines.Engine) bool { return e.Variable == "" || e.Name == "galera" })
	eachArena(t, servers, func(a *arena) {
		a.proxy, a.reach = a.e.Proxied(a.t, a.reach)
		a.reach = impatient(a.t, a.e, a.reach)
	}, func(a *arena) {
		owners := bySize([]owner{ours}, []owner{ours}, []owner{ours, hosts, hostsSQL})
		endured := slices.DeleteFunc(slices.Clone(list), func(f fault) bool {
			return f.limit > 0 && a.e.Name == "postgres-pq" // this driver waits for an answer without a limit
		})
		a.run(endured, owners, func(op operation, f fault) int {
			switch step, ok := silent[op.name]; {
			case f.limit > 0 && silent != nil && (!ok || f.with == ""):
				return step
			case f.with != "":
				return 1
			}
			return bySize(5, 1, 1)
		})
		a.proxy.Close() // its remaining work would be taken for ours
	})
}

// impatient sets the read timeout of drivers that ignore the context at COMMIT.
func impatient(t *testing.T, e engines.Engine, address string) string {
	t.Helper()
	switch {
	case strings.HasPrefix(e.Name, "mariadb"):
		cfg, err := gomysql.ParseDSN(address)
		if err != nil {
			t.Fatal(err)
		}
		cfg.ReadTimeout = time.Second
		return cfg.FormatDSN()
	}
	return address
}
