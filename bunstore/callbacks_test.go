package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// hooked is a Directory that calls a function before each of its methods. If the function fails, the method returns its
// error.
type hooked struct {
	invitation.Directory
	before func(ctx context.Context, tx storage.Storage, method string) error
}

func (d hooked) Role(ctx context.Context, tx storage.Storage, org, user string) (invitation.Role, error) {
	if err := d.before(ctx, tx, "Role"); err != nil {
		return "", err
	}
	return d.Directory.Role(ctx, tx, org, user)
}

func (d hooked) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	if err := d.before(ctx, tx, "MemberEmails"); err != nil {
		return nil, err
	}
	return d.Directory.MemberEmails(ctx, tx, org, emails)
}

func (d hooked) VerifiedEmails(ctx context.Context, tx storage.Storage, user string) ([]string, error) {
	if err := d.before(ctx, tx, "VerifiedEmails"); err != nil {
		return nil, err
	}
	return d.Directory.VerifiedEmails(ctx, tx, user)
}

func (d hooked) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	if err := d.before(ctx, tx, "Join"); err != nil {
		return err
	}
	return d.Directory.Join(ctx, tx, m)
}

// hook returns the service with before called in every callback. The callbacks in cfg stay its own.
func (h *house) hook(t testing.TB, cfg invitation.Config,
	before func(ctx context.Context, tx storage.Storage, method string) error) *invitation.Service {
	t.Helper()
	cfg.Clock, cfg.ResendAfter = h.clock, -1
	cfg.TicketKeys, cfg.AcceptURL = [][]byte{make([]byte, 32)}, "https://app.example.com/join"
	svc, err := invitation.NewService(h.store, hooked{h.host, before}, &cfg)
	h.is.NoErr(err)
	return svc
}

// slow runs a statement that takes longer than its context allows. The server goes on with it for a while.
func slow(ctx context.Context, db bun.IDB) error {
	statement := "SELECT pg_sleep(0.2)"
	switch db.Dialect().Name() {
	case dialect.MySQL:
		statement = "SELECT SLEEP(0.2)"
	case dialect.SQLite:
		statement = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) " +
			"SELECT count(*) FROM n"
	}
	_, err := db.ExecContext(ctx, statement)
	return err
}

// When a context ends in one of the host's callbacks, the operation returns that error and changes nothing. This holds
// on every engine, in the service's transactions and in the host's.
func TestContextEndsInCallback(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		if lib != withBun && strings.Contains(e.Name, "-") {
			t.Skip("it takes long, and the setting makes no difference to the library")
		}
		db := e.Connect(t, e.New(t))
		h := build(t, db, invitation.Config{})
		inv := h.invite(t, "u1@example.com")
		ends := map[string]func(ctx context.Context) (context.Context, context.CancelFunc){
			"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				stop := time.AfterFunc(30*time.Millisecond, cancel)
				return ctx, func() { stop.Stop(); cancel() }
			},
			"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 30*time.Millisecond)
			},
		}
		want := map[string]error{"cancelled": context.Canceled, "deadline": context.DeadlineExceeded}
		for _, method := range []string{"Role", "MemberEmails", "VerifiedEmails", "Join", "Seats", "OnEvents"} {
			for name, end := range ends {
				for _, inner := range []bool{false, true} { // the context of the caller, or one that the callback makes
					if inner && e.Name == "postgres-pq" {
						continue // this driver says that the server cancelled the statement; only the callback knows why
					}
					caller, cancel := context.WithCancel(t.Context())
					if !inner {
						caller, cancel = end(t.Context())
					}
					before := func(ctx context.Context, tx storage.Storage, called string) error {
						if called != method {
							return nil
						}
						if inner {
							own, cancel := end(ctx)
							defer cancel()
							ctx = own
						}
						return slow(ctx, bunstore.DB(tx))
					}
					svc := h.hook(t, invitation.Config{
						Seats: func(ctx context.Context, tx storage.Storage, _ invitation.SeatsRequest) (
							invitation.SeatsResult, error) {
							return invitation.SeatsResult{}, before(ctx, tx, "Seats")
						},
						OnEvents: func(ctx context.Context, tx storage.Storage, _ []invitation.Event) error {
							return before(ctx, tx, "OnEvents")
						},
					}, before)
					call := func(ctx context.Context, svc *invitation.Service) error {
						if method == "VerifiedEmails" || method == "Join" {
							_, err := svc.Accept(ctx, accept(inv, "u1"))
							return err
						}
						_, err := svc.Create(ctx, "acme", invitation.CreateParams{
							EmailAddress: "u2@example.com", Role: invitation.RoleMember, InviterUserID: "ann"})
						return err
					}
					if lib == withBun {
						err := call(caller, svc)
						h.is.True(errors.Is(err, want[name])) // in the service's transaction
						h.is.True(!errors.Is(err, storage.ErrOutcomeUnknown))
						h.is.Equal(invitation.HTTPStatus(err), http.StatusInternalServerError)
						cancel()
						caller, cancel = context.WithCancel(t.Context())
						if !inner {
							caller, cancel = end(t.Context())
						}
					}
					tx, err := lib.begin(t.Context(), t, db, nil)
					h.is.NoErr(err)
					err = call(caller, svc.WithStorage(tx.join(h.store)))
					h.is.True(errors.Is(err, want[name])) // in the host's transaction
					_ = tx.Rollback()
					cancel()
				}
			}
		}
		h.is.Equal(h.members(t), 1)
		page, err := h.svc.List(t.Context(), "acme", invitation.ListParams{})
		h.is.NoErr(err)
		h.is.Equal(page.TotalCount, 1)
		h.is.Equal(page.Data[0].Status, invitation.StatusPending)
		h.is.Equal(db.Stats().InUse, 0)
	})
}

// An address is not invited while its owner is joining through another invitation, whenever the two operations overlap.
func TestCreateBesideJoiningMember(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Single || strings.Contains(e.Name, "one-connection") {
			t.Skip("the engine has a single connection")
		}
		h := build(t, e.Open(t), invitation.Config{})
		for user, c := range map[string]struct{ method, operation string }{
			"u1": {"AllowEmail", "create"}, "u2": {"MemberEmails", "create"},
			"u3": {"AllowEmail", "resend"}, "u4": {"MemberEmails", "resend"},
			"u5": {"AllowEmail", "bulk"}, "u6": {"MemberEmails", "bulk"},
		} {
			email, joins := user+"@example.com", false
			var lapsed invitation.Invitation
			if c.operation == "resend" {
				lapsed = h.invite(t, email)
				h.clock.Set(lapsed.ExpiresAt)
			}
			between := func(_ context.Context, _ storage.Storage, called string) error {
				if called != c.method || joins {
					return nil
				}
				joins = true
				// Another request, on another connection. It may have to wait for the first one, and
				// then fails.
				ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
				defer cancel()
				inv, err := h.svc.Create(ctx, "acme", invitation.CreateParams{
					EmailAddress: email, Role: invitation.RoleMember})
				if err == nil {
					_, err = h.svc.Accept(ctx, accept(inv, user))
					h.is.NoErr(err)
				}
				return nil
			}
			svc := h.hook(t, invitation.Config{
				AllowEmail: func(ctx context.Context, tx storage.Storage, _ invitation.AllowEmailRequest) error {
					return between(ctx, tx, "AllowEmail")
				},
			}, between)
			p := invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember}
			var err error
			switch c.operation {
			case "create":
				_, err = svc.Create(t.Context(), "acme", p)
			case "bulk":
				other := p
				other.EmailAddress = "x" + email
				_, err = svc.CreateBulk(t.Context(), "acme", []invitation.CreateParams{p, other})
			case "resend":
				_, err = svc.Resend(t.Context(), "acme", lapsed.ID, invitation.ResendParams{})
			}
			h.is.True(joins)
			member, failed := h.db.NewSelect().Model((*hostMember)(nil)).Where("user_id = ?", user).Exists(t.Context())
			h.is.NoErr(failed)
			if member {
				h.is.True(errors.Is(err, invitation.ErrAlreadyMember))
			} else {
				h.is.NoErr(err)
			}
			page, failed := h.svc.List(t.Context(), "acme", invitation.ListParams{
				EmailAddress: email, Statuses: []invitation.Status{invitation.StatusPending}})
			h.is.NoErr(failed)
			h.is.Equal(page.TotalCount == 1, !member) // exactly one of the two
		}
	})
}

// In a host's transaction that has already read, the call sees all of what others have committed since, or it is
// aborted. It never sees a part.
func TestOldSnapshotOfHost(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		if e.Variable == "" {
			t.Skip("a transaction that has read cannot write here, see TestOldSnapshot")
		}
		address := e.New(t)
		if e.Name == "galera" {
			address, _, _ = strings.Cut(address, ",")
		}
		h := build(t, e.Connect(t, address), invitation.Config{})
		for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead} {
			for _, user := range []string{"u1", "u2"} {
				email := strings.ToLower(strings.ReplaceAll(level.String(), " ", "")) + user + "@example.com"
				_, err := h.db.NewInsert().Model(&hostUser{ID: email, Email: email}).Exec(t.Context())
				h.is.NoErr(err)
				inv := h.invite(t, email)
				tx, err := lib.begin(t.Context(), t, h.db, &sql.TxOptions{Isolation: level})
				h.is.NoErr(err)
				_, err = tx.NewSelect().Model((*hostMember)(nil)).Count(t.Context()) // takes the snapshot
				h.is.NoErr(err)
				accepted, err := h.svc.Accept(t.Context(), accept(inv, email))
				h.is.NoErr(err)

				svc := h.svc.WithStorage(tx.join(h.store))
				if user == "u1" {
					got, err := svc.Accept(t.Context(), accept(inv, email))
					if level == sql.LevelReadCommitted {
						h.is.NoErr(err)
						h.is.Equal(got, accepted)
					} else {
						h.is.True(errors.Is(err, invitation.ErrAborted))
						h.is.True(!errors.Is(err, invitation.ErrAccepted))
					}
				} else {
					_, err := svc.Create(t.Context(), "acme", invitation.CreateParams{
						EmailAddress: email, Role: invitation.RoleMember})
					if level == sql.LevelReadCommitted {
						h.is.True(errors.Is(err, invitation.ErrAlreadyMember))
					} else {
						h.is.True(errors.Is(err, invitation.ErrAborted))
					}
				}
				_ = tx.Rollback()
			}
		}
	})
}

// Text that a host's error quotes is not the engine's own error: nothing is retried, and the error is internal.
func TestQuotedTextIsNotTheEngines(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "sqlite"), engines.Named(t, "postgres"),
		engines.Named(t, "postgres-pq"), engines.Named(t, "mariadb")}
	onLibraries(t, list, func(t *testing.T, e engines.Engine, lib library) {
		h := build(t, e.Open(t), invitation.Config{})
		for _, organization := range []string{"database is locked", "SQLSTATE 40001", "SQLSTATE=40001",
			": Error 1213: ", "invalid connection", "unexpected EOF"} {
			calls := 0
			quoted := fmt.Errorf("no organization %q", organization)
			svc := h.hook(t, invitation.Config{}, func(context.Context, storage.Storage, string) error {
				calls++
				return quoted
			})
			p := invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember}
			create := func(svc *invitation.Service) {
				t.Helper()
				calls = 0
				_, err := svc.Create(t.Context(), organization, p)
				h.is.True(errors.Is(err, quoted) && !errors.Is(err, invitation.ErrAborted))
				h.is.Equal(invitation.HTTPStatus(err), http.StatusInternalServerError)
				h.is.Equal(calls, 1)
			}
			create(svc)
			h.is.NoErr(lib.runInTx(t.Context(), t, h.db, nil, func(ctx context.Context, tx hostTx) error {
				create(svc.WithStorage(tx.join(h.store)))
				return tx.join(h.store).Lock(ctx, "k") // the host's transaction goes on
			}))
		}
	})
}

// A failure to reach another service from a callback is not a failure of the database: the database is not reported
// unavailable, and the host's transaction goes on.
func TestOtherServiceDown(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		h := build(t, e.Open(t), invitation.Config{})
		down := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		svc := h.hook(t, invitation.Config{AllowEmail: func(context.Context, storage.Storage,
			invitation.AllowEmailRequest) error {
			return fmt.Errorf("reputation service: %w", down)
		}}, func(context.Context, storage.Storage, string) error { return nil })
		p := invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember}
		create := func(svc *invitation.Service) {
			t.Helper()
			_, err := svc.Create(t.Context(), "acme", p)
			h.is.True(errors.Is(err, down))
			h.is.True(!errors.Is(err, invitation.ErrUnavailable) && !errors.Is(err, invitation.ErrAborted))
			h.is.Equal(invitation.HTTPStatus(err), http.StatusInternalServerError)
		}
		create(svc)
		h.is.NoErr(lib.runInTx(t.Context(), t, h.db, nil, func(ctx context.Context, tx hostTx) error {
			create(svc.WithStorage(tx.join(h.store)))
			return tx.join(h.store).Insert(ctx, record("a"))
		}))
		h.is.Equal(count(t, h.store), 1)
	})
}

// A callback may call the service again in the same transaction, through [bunstore.Store.WithTx]. The changes of that
// call, and its failure, affect only its nested transaction.
func TestNestedWithTxInCallback(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		h := build(t, e.Open(t), invitation.Config{})
		p := func(email string) invitation.CreateParams {
			return invitation.CreateParams{EmailAddress: email + "@example.com", Role: invitation.RoleMember}
		}
		for i, c := range []struct{ fails, hosts bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
			outer, inner := fmt.Sprint("outer", i), fmt.Sprint("inner", i)
			if c.fails {
				inner = outer // which is already pending
			}
			nested := 0
			var svc *invitation.Service
			svc = h.hook(t, invitation.Config{OnEvents: func(ctx context.Context, tx storage.Storage,
				events []invitation.Event) error {
				if nested++; nested > 1 {
					return nil
				}
				in := svc.WithStorage(lib.rejoin(h.store, tx))
				_, err := in.Create(ctx, "acme", p(inner))
				h.is.Equal(errors.Is(err, invitation.ErrDuplicate), c.fails)
				if c.fails {
					return nil
				}
				return err
			}}, func(context.Context, storage.Storage, string) error { return nil })
			before := count(t, h.store)
			var err error
			if c.hosts {
				err = lib.runInTx(t.Context(), t, h.db, nil, func(ctx context.Context, tx hostTx) error {
					_, err := svc.WithStorage(tx.join(h.store)).Create(ctx, "acme", p(outer))
					return err
				})
			} else {
				_, err = svc.Create(t.Context(), "acme", p(outer))
			}
			h.is.NoErr(err)
			more := 2
			if c.fails {
				more = 1
			}
			h.is.Equal(count(t, h.store)-before, more)
		}
	})
}

// AllowEmail may turn a failed statement into an *Error. The caller receives that error, although PostgreSQL allows no
// more reads in that transaction.
func TestAllowEmailRefusesAfterFailedStatement(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		h := build(t, e.Open(t), invitation.Config{})
		for _, statement := range []string{"CREATE TABLE once (k INT PRIMARY KEY)", "INSERT INTO once VALUES (1)"} {
			_, err := h.db.ExecContext(t.Context(), statement)
			h.is.NoErr(err)
		}
		refusal := &invitation.Error{Status: http.StatusForbidden, Code: "once", Message: "Once is enough"}
		svc := h.hook(t, invitation.Config{AllowEmail: func(ctx context.Context, tx storage.Storage,
			_ invitation.AllowEmailRequest) error {
			if _, err := bunstore.DB(tx).ExecContext(ctx, "INSERT INTO once VALUES (1)"); err != nil {
				return refusal
			}
			return nil
		}}, func(context.Context, storage.Storage, string) error { return nil })
		_, err := svc.Create(t.Context(), "acme", invitation.CreateParams{
			EmailAddress: "u1@example.com", Role: invitation.RoleMember})
		var own *invitation.Error
		h.is.True(errors.As(err, &own))
		h.is.Equal(own.Code, "once")
		h.is.Equal(invitation.HTTPStatus(err), http.StatusForbidden)
		h.is.Equal(count(t, h.store), 0)
	})
}

// The host's snapshot is older than the invitation that holds the address. The operation cannot see the invitation that
// it should expire or revoke, so the transaction is aborted and the host retries it.
func TestOldSnapshotOfHolder(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "mariadb"), engines.Named(t, "postgres")}
	onLibraries(t, list, func(t *testing.T, e engines.Engine, lib library) {
		for _, holder := range []string{"lapsed", "replaced"} {
			t.Run(holder, func(t *testing.T) {
				h := build(t, e.Open(t), invitation.Config{ResendAfter: -1})
				tx, err := lib.begin(t.Context(), t, h.db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
				h.is.NoErr(err)
				defer func() { _ = tx.Rollback() }()
				_, err = tx.NewSelect().Model((*hostMember)(nil)).Count(t.Context()) // takes the snapshot
				h.is.NoErr(err)
				inv := h.invite(t, "u1@example.com")
				if holder == "lapsed" {
					h.clock.Set(inv.ExpiresAt)
				}
				_, err = h.svc.WithStorage(tx.join(h.store)).Create(t.Context(), "acme", invitation.CreateParams{
					EmailAddress: "u1@example.com", Role: invitation.RoleMember, Replace: holder == "replaced"})
				h.is.True(errors.Is(err, invitation.ErrAborted))
			})
		}
	})
}

// A host's transaction is not aborted because of its own writes, nor because others write elsewhere meanwhile.
func TestSnapshotOfHostIsNewEnough(t *testing.T) {
	list := []engines.Engine{engines.Named(t, "mariadb"), engines.Named(t, "postgres")}
	onLibraries(t, list, func(t *testing.T, e engines.Engine, lib library) {
		h := build(t, e.Open(t), invitation.Config{ResendAfter: -1, MaxPending: 100,
			Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
				return invitation.SeatsResult{Members: 1, Limit: 100}, nil
			}})
		old, elsewhere := h.invite(t, "u3@example.com"), 0
		p := func(email string, replace bool) invitation.CreateParams {
			return invitation.CreateParams{EmailAddress: email + "@example.com", Role: invitation.RoleMember, Replace: replace}
		}
		is := h.is
		for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable} {
			for _, read := range []bool{false, true} {
				tx, err := lib.begin(t.Context(), t, h.db, &sql.TxOptions{Isolation: level})
				is.NoErr(err)
				if read {
					_, err = tx.NewSelect().Model((*hostMember)(nil)).Count(t.Context()) // takes the snapshot
					is.NoErr(err)
				}
				elsewhere++
				if level != sql.LevelSerializable {
					_, err = h.svc.Create(t.Context(), "other", p(fmt.Sprint("e", elsewhere), false))
					is.NoErr(err) // another user, in another organization
				}
				svc := h.svc.WithStorage(tx.join(h.store))
				_, err = svc.Create(t.Context(), "acme", p("x1", false))
				is.NoErr(err)
				inv, err := svc.Create(t.Context(), "acme", p("x1", true))
				is.NoErr(err)
				_, err = svc.Update(t.Context(), "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
				is.NoErr(err)
				_, err = svc.Resend(t.Context(), "acme", inv.ID, invitation.ResendParams{})
				is.NoErr(err)
				_, err = svc.Revoke(t.Context(), "acme", inv.ID, invitation.RevokeParams{})
				is.NoErr(err)
				for range 2 {
					is.NoErr(svc.LockOrganization(t.Context(), fmt.Sprint("new", elsewhere)))
					is.NoErr(svc.LockOrganization(t.Context(), "acme"))
				}
				updated, err := svc.Update(t.Context(), "acme", old.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
				is.NoErr(err)
				for range 2 { // the second call finds it accepted
					_, err = svc.Accept(t.Context(), invitation.AcceptParams{
						OrganizationID: "acme", InvitationID: old.ID, UserID: "u3", Terms: updated.Terms})
					is.NoErr(err)
				}
				for _, replace := range []bool{false, true} {
					_, err = svc.CreateBulk(t.Context(), "acme", []invitation.CreateParams{p("y1", replace), p("y2", replace)})
					is.NoErr(err)
				}
				_, err = svc.RevokeAll(t.Context(), invitation.RevokeAllParams{
					OrganizationID: "acme", EmailAddresses: []string{"y1@example.com"}})
				is.NoErr(err)
				_, err = svc.EraseEmail(t.Context(), "y2@example.com")
				is.NoErr(err)
				_, err = svc.ExpireDue(t.Context(), 100)
				is.NoErr(err)
				is.NoErr(tx.Rollback())
			}
		}
	})
}
