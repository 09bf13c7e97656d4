package bunstore_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The service on a real database, with a host that keeps users and memberships in tables there.

type hostUser struct {
	bun.BaseModel `bun:"table:host_users"`
	ID            string `bun:",pk"`
	Email         string
}

type hostMember struct {
	bun.BaseModel  `bun:"table:host_members"`
	OrganizationID string `bun:",pk"`
	UserID         string `bun:",pk"`
	Role           string
	Metadata       string
}

// sqlHost is a Directory that works in the transaction it is given.
type sqlHost struct {
	afterJoin func(ctx context.Context, db bun.IDB) error // runs in Join, after the insert
}

func (h *sqlHost) Role(
	ctx context.Context, tx storage.Storage, organizationID, userID string,
) (invitation.Role, error) {
	var ms []hostMember
	err := bunstore.DB(tx).NewSelect().Model(&ms).
		Where("organization_id = ? AND user_id = ?", organizationID, userID).Scan(ctx)
	if err != nil {
		return "", err
	}
	if len(ms) == 0 {
		return "", invitation.ErrNotMember
	}
	return invitation.Role(ms[0].Role), nil
}

func (h *sqlHost) MemberEmails(
	ctx context.Context, tx storage.Storage, organizationID string, emails []string,
) ([]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*hostUser)(nil)).Column("email").
		Where("LOWER(email) IN (?)", bun.List(emails)).
		Where("id IN (SELECT user_id FROM host_members WHERE organization_id = ?)", organizationID).Scan(ctx, &found)
	return found, err
}

func (h *sqlHost) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*hostUser)(nil)).Column("email").Where("id = ?", userID).Scan(ctx, &found)
	if err == nil && len(found) == 0 {
		err = invitation.ErrNotFound
	}
	return found, err
}

func (h *sqlHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	b, err := m.PublicMetadata.MarshalJSON()
	if err != nil {
		return err
	}
	db := bunstore.DB(tx)
	res, err := db.NewInsert().Ignore().Model(&hostMember{
		OrganizationID: m.OrganizationID, UserID: m.UserID, Role: string(m.Role), Metadata: string(b),
	}).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, invitation.ErrAlreadyMember)
	}
	if h.afterJoin != nil {
		return h.afterJoin(ctx, db)
	}
	return nil
}

// house is a service on a database, with its host.
type house struct {
	is    *is.I
	db    *bun.DB
	store *bunstore.Store
	host  *sqlHost
	clock *clock.Fake
	svc   *invitation.Service
}

// build migrates the database and fills it: ann is the admin of acme, u0 to u39 are users.
func build(t testing.TB, db *bun.DB, cfg invitation.Config) *house {
	t.Helper()
	h := &house{is: is.New(t), db: db}
	ctx := t.Context()
	createTables(t, db, (*hostUser)(nil), (*hostMember)(nil))
	users := []hostUser{{ID: "ann", Email: "ann@example.com"}}
	for i := range 40 {
		users = append(users, hostUser{ID: fmt.Sprintf("u%d", i), Email: fmt.Sprintf("u%d@example.com", i)})
	}
	_, err := db.NewInsert().Model(&users).Exec(ctx)
	h.is.NoErr(err)
	_, err = db.NewInsert().Model(&hostMember{
		OrganizationID: "acme", UserID: "ann", Role: string(invitation.RoleAdmin),
	}).Exec(ctx)
	h.is.NoErr(err)
	h.store, err = bunstore.New(db, configFor(db))
	h.is.NoErr(err)
	h.is.NoErr(h.store.Migrate(ctx))
	return attach(t, db, cfg)
}

// attach creates a service on a database that has been built.
func attach(t testing.TB, db *bun.DB, cfg invitation.Config) *house {
	t.Helper()
	h := &house{
		is: is.New(t), db: db, host: &sqlHost{}, clock: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
	}
	var err error
	h.store, err = bunstore.New(db, configFor(db))
	h.is.NoErr(err)
	h.svc = h.with(t, cfg)
	return h
}

func (h *house) members(t testing.TB) int {
	t.Helper()
	n, err := h.db.NewSelect().Model((*hostMember)(nil)).Count(t.Context())
	h.is.NoErr(err)
	return int(n)
}

func (h *house) invite(t testing.TB, email string) invitation.Invitation {
	t.Helper()
	inv, err := h.svc.Create(t.Context(), "acme", invitation.CreateParams{
		EmailAddress: email, Role: invitation.RoleMember, InviterUserID: "ann",
	})
	h.is.NoErr(err)
	return inv
}

func accept(inv invitation.Invitation, user string) invitation.AcceptParams {
	u, _ := url.Parse(inv.URL)
	return invitation.AcceptParams{Ticket: u.Query().Get("invitation_ticket"), UserID: user}
}

func TestServiceMainJob(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		h := build(t, db, invitation.Config{})
		public, err := invitation.ParseMetadata([]byte(`{"z":9007199254740993,"a":"<é>"}`))
		h.is.NoErr(err)
		inv, err := h.svc.Create(t.Context(), "acme", invitation.CreateParams{
			EmailAddress: "U1@Example.com", Role: invitation.RoleMember, InviterUserID: "ann", PublicMetadata: public})
		h.is.NoErr(err)
		want := inv
		want.URL = ""
		got, err := h.svc.Get(t.Context(), "acme", inv.ID)
		h.is.NoErr(err)
		h.is.Equal(got, want) // Create returned exactly what is stored, to the microsecond
		_, err = h.svc.Create(t.Context(), "acme", invitation.CreateParams{
			EmailAddress: "u1@example.com", Role: invitation.RoleMember,
		})
		h.is.True(errors.Is(err, invitation.ErrDuplicate))

		h.clock.Advance(time.Minute)
		accepted, err := h.svc.Accept(t.Context(), accept(inv, "u1"))
		h.is.NoErr(err)
		h.is.Equal(accepted.Status, invitation.StatusAccepted)
		var m hostMember
		h.is.NoErr(db.NewSelect().Model(&m).Where("user_id = 'u1'").Scan(t.Context()))
		h.is.Equal(m.Role, string(invitation.RoleMember))
		h.is.Equal(m.Metadata, `{"z":9007199254740993,"a":"<é>"}`)
		_, err = h.svc.Create(t.Context(), "acme", invitation.CreateParams{
			EmailAddress: "u1@example.com", Role: invitation.RoleMember,
		})
		h.is.True(errors.Is(err, invitation.ErrAlreadyMember))

		lapsing := h.invite(t, "u2@example.com")
		h.clock.Set(lapsing.ExpiresAt)
		fresh := h.invite(t, "u2@example.com")
		page, err := h.svc.List(t.Context(), "acme", invitation.ListParams{})
		h.is.NoErr(err)
		h.is.Equal(page.TotalCount, 3)
		h.is.Equal(page.Data[0].ID, fresh.ID)
		h.is.Equal(page.Data[1].Status, invitation.StatusExpired)
		mine, err := h.svc.ListForUser(t.Context(), "u2", invitation.ListParams{})
		h.is.NoErr(err)
		h.is.Equal(mine.TotalCount, 1)
		all, err := h.svc.ListAll(t.Context(), invitation.ListParams{Limit: 1})
		h.is.NoErr(err)
		h.is.Equal(all.TotalCount, 3)
		all, err = h.svc.ListAll(t.Context(), invitation.ListParams{Cursor: all.NextCursor})
		h.is.NoErr(err)
		h.is.Equal(len(all.Data), 2)
		// The iterator holds no connection while it yields; otherwise, with one connection, the write would
		// wait forever.
		for one, err := range h.svc.Each(t.Context(), "acme", invitation.ListParams{
			Statuses: []invitation.Status{invitation.StatusPending},
		}) {
			h.is.NoErr(err)
			_, err = h.svc.Revoke(t.Context(), "acme", one.ID, invitation.RevokeParams{RequestingUserID: "ann"})
			h.is.NoErr(err)
		}
	})
}

// A Join that fails leaves the invitation pending and no membership, even if it has already written (C16).
func TestServiceAcceptIsAtomic(t *testing.T) {
	boom := errors.New("boom")
	for name, after := range map[string]func(context.Context, bun.IDB) error{
		"the host's error": func(context.Context, bun.IDB) error { return boom },
		"a statement's error": func(ctx context.Context, db bun.IDB) error {
			_, err := db.ExecContext(ctx, "INSERT INTO no_such_table VALUES (1)")
			return err
		},
		"a duplicate": func(ctx context.Context, db bun.IDB) error {
			_, err := db.NewInsert().Model(&hostUser{ID: "ann"}).Exec(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			engines.Each(t, func(t *testing.T, db *bun.DB) {
				h := build(t, db, invitation.Config{})
				inv := h.invite(t, "u1@example.com")
				h.host.afterJoin = after
				_, err := h.svc.Accept(t.Context(), accept(inv, "u1"))
				h.is.True(err != nil)
				var shown *invitation.Error
				h.is.True(!errors.As(err, &shown)) // an internal error, with its cause in the chain
				h.is.True(name != "the host's error" || errors.Is(err, boom))
				got, err := h.svc.Get(t.Context(), "acme", inv.ID)
				h.is.NoErr(err)
				h.is.Equal(got.Status, invitation.StatusPending)
				h.is.Equal(h.members(t), 1)
				h.host.afterJoin = nil
				_, err = h.svc.Accept(t.Context(), accept(inv, "u1"))
				h.is.NoErr(err)
				h.is.Equal(h.members(t), 2)
			})
		})
	}
}

// Join writes and then finds that the user is already a member. Its writes are rolled back; the invitation is accepted.
func TestServiceJoinOfAMember(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		h := build(t, db, invitation.Config{})
		inv := h.invite(t, "u1@example.com")
		h.host.afterJoin = func(context.Context, bun.IDB) error { return invitation.ErrAlreadyMember }
		got, err := h.svc.Accept(t.Context(), accept(inv, "u1"))
		h.is.NoErr(err)
		h.is.Equal(got.Status, invitation.StatusAccepted)
		h.is.Equal(h.members(t), 1)
	})
}

// If an event cannot be enqueued, the operation is rolled back.
func TestServiceEventsAreAtomic(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		h := build(t, db, invitation.Config{})
		inv := h.invite(t, "u1@example.com")
		svc := h.with(t, invitation.Config{
			OnEvents: func(ctx context.Context, tx storage.Storage, _ []invitation.Event) error {
				_, err := bunstore.DB(tx).ExecContext(ctx, "INSERT INTO no_such_queue VALUES (1)")
				return err
			},
		})
		_, err := svc.Accept(t.Context(), accept(inv, "u1"))
		h.is.True(err != nil)
		h.is.Equal(h.members(t), 1)
		got, err := svc.Get(t.Context(), "acme", inv.ID)
		h.is.NoErr(err)
		h.is.Equal(got.Status, invitation.StatusPending)
	})
}

// with creates the service with another configuration.
func (h *house) with(t testing.TB, cfg invitation.Config) *invitation.Service {
	t.Helper()
	cfg.Clock = h.clock
	cfg.TicketKeys, cfg.AcceptURL = [][]byte{make([]byte, 32)}, "https://app.example.com/join"
	svc, err := invitation.NewService(h.store, h.host, &cfg)
	h.is.NoErr(err)
	return svc
}

// A host's transaction that fails after our calls leaves none of our changes, even after a duplicate inside it. One
// that commits keeps all of them, including the membership.
func TestServiceInTheHostsTransaction(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		db := e.Open(t)
		levels := []sql.IsolationLevel{sql.LevelDefault}
		if db.Dialect().Name() != dialect.SQLite { // has only one
			levels = append(levels, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable)
		}
		for _, level := range levels {
			t.Run(level.String(), func(t *testing.T) { inTheHostsTransaction(t, db, lib, level) })
		}
	})
}

func inTheHostsTransaction(t *testing.T, db *bun.DB, lib library, level sql.IsolationLevel) {
	h := build(t, db, invitation.Config{MaxPending: 5})
	undo := errors.New("undo")
	var inv invitation.Invitation
	run := func(end error) error {
		return lib.runInTx(t.Context(), t, db, &sql.TxOptions{Isolation: level}, func(ctx context.Context, tx hostTx) error {
			svc := h.svc.WithStorage(tx.join(h.store))
			h.is.NoErr(svc.LockOrganization(ctx, "acme"))
			_, err := tx.NewInsert().Model(&hostUser{ID: "new", Email: "new@example.com"}).Exec(ctx)
			h.is.NoErr(err)
			p := invitation.CreateParams{EmailAddress: "new@example.com", Role: invitation.RoleMember, InviterUserID: "ann"}
			inv, err = svc.Create(ctx, "acme", p)
			h.is.NoErr(err)
			_, err = svc.Create(ctx, "acme", p)
			h.is.True(errors.Is(err, invitation.ErrDuplicate))
			_, err = svc.Accept(ctx, accept(inv, "new")) // by a user who exists only in this transaction
			h.is.NoErr(err)
			return end
		})
	}
	h.is.True(errors.Is(run(undo), undo))
	_, err := h.svc.Get(t.Context(), "acme", inv.ID)
	h.is.True(errors.Is(err, invitation.ErrNotFound))
	h.is.Equal(h.members(t), 1)
	h.is.NoErr(run(nil))
	got, err := h.svc.Get(t.Context(), "acme", inv.ID)
	h.is.NoErr(err)
	h.is.Equal(got.Status, invitation.StatusAccepted)
	h.is.Equal(h.members(t), 2)

	for _, table := range []string{"organization_invitations", "host_users", "host_members"} {
		_, err := db.ExecContext(t.Context(), "DELETE FROM "+table)
		h.is.NoErr(err)
	}
}

// atOnce calls fn n times at the same time and returns how many calls succeeded. Every other one must be a refusal.
func atOnce(t *testing.T, n int, refusal error, fn func(i int) error) int {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case !errors.Is(err, refusal):
			t.Errorf("neither done nor refused: %v", err)
		}
	}
	return done
}

func TestServiceConcurrentCreates(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		h := build(t, db, invitation.Config{})
		p := invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember, InviterUserID: "ann"}
		h.is.Equal(atOnce(t, 32, invitation.ErrDuplicate, func(int) error {
			_, err := h.svc.Create(t.Context(), "acme", p)
			return err
		}), 1) // the other 31 are duplicates
		page, err := h.svc.List(t.Context(), "acme", invitation.ListParams{})
		h.is.NoErr(err)
		h.is.Equal(page.TotalCount, 1)

		// All calls replace at once, without a pause: each time one invitation is left.
		svc := h.with(t, invitation.Config{ResendAfter: -1})
		p.Replace = true
		atOnce(t, 8, invitation.ErrDuplicate, func(int) error {
			_, err := svc.Create(t.Context(), "acme", p)
			if errors.Is(err, invitation.ErrConflict) { // another call has just replaced the same invitation
				return nil
			}
			return err
		})
		page, err = svc.List(t.Context(), "acme", invitation.ListParams{
			Statuses: []invitation.Status{invitation.StatusPending},
		})
		h.is.NoErr(err)
		h.is.Equal(page.TotalCount, 1)
	})
}

// The same from two processes, each with its own pool and service.
func TestServiceCreatesOfTwoProcesses(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Single {
			t.Skip("no other process can share the database")
		}
		address := e.New(t)
		h := build(t, e.Connect(t, address), invitation.Config{})
		children := []*child{startChild(t, e.Name, address), startChild(t, e.Name, address)}
		for _, c := range children { // both are ready
			_, err := fmt.Fprintln(c.in, "go")
			h.is.NoErr(err)
		}
		created := 0
		for _, c := range children {
			var n int
			_, err := fmt.Fscanf(c.out, "created %d, and nothing but duplicates\n", &n)
			h.is.NoErr(err)
			created += n
		}
		h.is.Equal(created, 1)
		page, err := h.svc.List(t.Context(), "acme", invitation.ListParams{})
		h.is.NoErr(err)
		h.is.Equal(page.TotalCount, 1)
	})
}

// child is another process of this test binary that runs TestChild.
type child struct {
	in  io.Writer
	out *bufio.Reader
}

// startChild returns when the child is ready.
func startChild(t *testing.T, engine, address string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "ORGINVITE_TEST_ENGINE="+engine, "ORGINVITE_TEST_ADDRESS="+address)
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
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	c := &child{in, bufio.NewReader(out)}
	if line, err := c.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the other process printed %q, %v", line, err)
	}
	return c
}

// TestChild is the body of the other processes: on a signal it runs 16 creates at once.
func TestChild(t *testing.T) {
	engine := os.Getenv("ORGINVITE_TEST_ENGINE")
	if engine == "" {
		t.Skip("no other test has started this process")
	}
	h := attach(t, engines.Named(t, engine).Connect(t, os.Getenv("ORGINVITE_TEST_ADDRESS")), invitation.Config{})
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	h.is.NoErr(err)
	p := invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember, InviterUserID: "ann"}
	n := atOnce(t, 16, invitation.ErrDuplicate, func(int) error {
		_, err := h.svc.Create(t.Context(), "acme", p)
		return err
	})
	if !t.Failed() {
		fmt.Printf("created %d, and nothing but duplicates\n", n)
	}
}

// Seats and MaxPending are exact under concurrent calls (C21).
func TestServiceConcurrentLimits(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		h := build(t, db, invitation.Config{})
		const limit = 9
		seats := func(ctx context.Context, tx storage.Storage, r invitation.SeatsRequest) (invitation.SeatsResult, error) {
			n, err := bunstore.DB(tx).NewSelect().Model((*hostMember)(nil)).
				Where("organization_id = ?", r.OrganizationID).Count(ctx)
			return invitation.SeatsResult{Members: int(n), Limit: limit}, err
		}
		var invs []invitation.Invitation
		for i := range 24 { // created without a limit
			invs = append(invs, h.invite(t, fmt.Sprintf("u%d@example.com", i)))
		}
		svc := h.with(t, invitation.Config{Seats: seats})
		h.is.Equal(atOnce(t, 24, invitation.ErrQuotaExceeded, func(i int) error {
			_, err := svc.Accept(t.Context(), accept(invs[i], fmt.Sprintf("u%d", i)))
			return err
		}), limit-1) // ann has a seat
		h.is.Equal(h.members(t), limit)

		svc = h.with(t, invitation.Config{MaxPending: 30})
		h.is.Equal(atOnce(t, 16, invitation.ErrQuotaExceeded, func(i int) error {
			_, err := svc.Create(t.Context(), "acme", invitation.CreateParams{
				EmailAddress: fmt.Sprintf("v%d@example.com", i), Role: invitation.RoleMember,
			})
			return err
		}), 30-(24-(limit-1)))
	})
}

// Accept and revoke at the same moment: the invitation is accepted exactly if there is a member (C05). Two users who
// both own the address: one membership (C04).
func TestServiceRaces(t *testing.T) {
	engines.Each(t, func(t *testing.T, db *bun.DB) {
		h := build(t, db, invitation.Config{})
		_, err := db.NewInsert().Model(&hostUser{ID: "twin", Email: "u1@example.com"}).Exec(t.Context())
		h.is.NoErr(err)
		accepted := 0
		rounds := 200
		if bunstore.Slow {
			rounds = 50
		}
		for range rounds {
			inv := h.invite(t, "u1@example.com")
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = h.svc.Accept(t.Context(), accept(inv, "u1")) })
			wg.Go(func() { _, _ = h.svc.Accept(t.Context(), accept(inv, "twin")) })
			wg.Go(func() {
				_, _ = h.svc.Revoke(t.Context(), "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
			})
			wg.Wait()
			got, err := h.svc.Get(t.Context(), "acme", inv.ID)
			h.is.NoErr(err)
			members := h.members(t) - 1
			switch got.Status {
			case invitation.StatusAccepted:
				accepted++
				h.is.Equal(members, 1)
			case invitation.StatusRevoked:
				h.is.Equal(members, 0)
			default:
				t.Fatalf("neither won: %v", got)
			}
			_, err = db.NewDelete().Model((*hostMember)(nil)).Where("user_id <> 'ann'").Exec(t.Context())
			h.is.NoErr(err)
		}
		t.Logf("accept won %d of %d", accepted, rounds)
	})
}

// Creates of an address that is taken do not abort a transaction of the host's that changes the pending invitation. On
// MariaDB a refused insert holds a lock on the pending slot.
func TestServiceCreateBesideHostsRevoke(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "postgres"), engines.Named(t, "mariadb")}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		h := build(t, e.Open(t), invitation.Config{})
		for round := range 20 {
			email := fmt.Sprintf("round%d@example.com", round)
			inv := h.invite(t, email)
			all := []func(){func() {
				err := h.db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
					_, err := h.svc.WithStorage(h.store.WithTx(tx)).Revoke(ctx, "acme", inv.ID, invitation.RevokeParams{})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}}
			for range 5 {
				all = append(all, func() {
					_, err := h.svc.Create(t.Context(), "acme", invitation.CreateParams{
						EmailAddress: email, Role: invitation.RoleMember})
					if err != nil && !errors.Is(err, invitation.ErrDuplicate) {
						t.Error(err)
					}
				})
			}
			together(all...)
		}
	})
}
