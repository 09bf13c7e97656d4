package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
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

// hooked is a Directory that calls a function before each of its methods, and fails with the error it returns.
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

// hook is the service with before called in every callback. The callbacks of cfg are its own.
func (h *house) hook(t testing.TB, cfg invitation.Config,
	before func(ctx context.Context, tx storage.Storage, method string) error) *invitation.Service {
	t.Helper()
	cfg.Clock, cfg.ResendAfter = h.clock, -1
	cfg.TicketKeys, cfg.AcceptURL = [][]byte{make([]byte, 32)}, "https://app.example.com/join"
	svc, err := invitation.NewService(h.store, hooked{h.host, before}, &cfg)
	h.is.NoErr(err)
	return svc
}

// slow runs a statement that takes longer than its context. A server goes on with it for a while.
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

// A context that ends in a callback of the host's is the error of the operation, on every engine, in a transaction of
// the service's and of the host's; nothing was changed.
func TestContextEndsInCallback(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		address := e.New(t)
		deadlinesOnly := strings.HasSuffix(e.Name, "pgdriver")
		if deadlinesOnly { // and this timeout of its own
			address = with(t, address, "read_timeout", "1s")
		}
		db := e.Connect(t, address)
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
				for _, inner := range []bool{false, true} { // the caller's context, or one of the callback's own
					if inner && deadlinesOnly {
						continue // this driver says i/o timeout, and nobody but the callback knows why
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
						Seats: func(ctx context.Context, tx storage.Storage, _ string) (int, int, error) {
							return 0, 0, before(ctx, tx, "Seats")
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
					err := call(caller, svc)
					h.is.True(errors.Is(err, want[name])) // of the service's transaction
					h.is.True(!errors.Is(err, storage.ErrOutcomeUnknown))
					h.is.Equal(invitation.HTTPStatus(err), http.StatusInternalServerError)
					cancel()

					caller, cancel = context.WithCancel(t.Context())
					if !inner {
						caller, cancel = end(t.Context())
					}
					tx, err := db.BeginTx(t.Context(), nil)
					h.is.NoErr(err)
					err = call(caller, svc.WithStorage(h.store.WithTx(tx)))
					h.is.True(errors.Is(err, want[name])) // of the host's
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

// An address whose owner is just joining by another invitation is not invited beside that, whenever the other operation
// gets in between.
func TestCreateBesideJoiningMember(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Single || strings.Contains(e.Name, "one-connection") {
			t.Skip("nobody else can write")
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
				// Another request, on another connection. It may have to wait for the first, and then does not get through.
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
				AllowEmail: func(ctx context.Context, tx storage.Storage, _, _ string) error {
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
			h.is.Equal(page.TotalCount == 1, !member) // one of the two, never both
		}
	})
}

// In a host's transaction that has read, what others have done since is not told in two ways: the call is aborted, or
// all of it is seen.
func TestOldSnapshotOfHost(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		if e.Variable == "" {
			t.Skip("a transaction that has read does not get to write, see TestOldSnapshot")
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
				tx, err := h.db.BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
				h.is.NoErr(err)
				_, err = tx.NewSelect().Model((*hostMember)(nil)).Count(t.Context()) // the snapshot
				h.is.NoErr(err)
				accepted, err := h.svc.Accept(t.Context(), accept(inv, email))
				h.is.NoErr(err)

				svc := h.svc.WithStorage(h.store.WithTx(tx))
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
