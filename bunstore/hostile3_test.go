package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

func some(t *testing.T, fn func(t *testing.T, name string, e engines.Engine)) {
	t.Helper()
	for _, name := range []string{"sqlite", "sqlite-memory", "postgres", "postgres-pgdriver", "mariadb"} {
		t.Run(name, func(t *testing.T) { fn(t, name, engines.Named(t, name)) })
	}
}

// K2: AllowEmail makes an *Error of a unique index that refused.
func TestHostileAllowEmailOwnError(t *testing.T) {
	some(t, func(t *testing.T, _ string, e engines.Engine) {
		h := build(t, e.Open(t), invitation.Config{})
		_, err := h.db.ExecContext(t.Context(), "CREATE TABLE once (k INT PRIMARY KEY)")
		h.is.NoErr(err)
		_, err = h.db.ExecContext(t.Context(), "INSERT INTO once VALUES (1)")
		h.is.NoErr(err)
		svc := h.hook(t, invitation.Config{AllowEmail: func(ctx context.Context, tx storage.Storage, _, _ string) error {
			if _, err := bunstore.DB(tx).ExecContext(ctx, "INSERT INTO once VALUES (1)"); err != nil {
				return &invitation.Error{Status: 403, Code: "own", Message: "own"}
			}
			return nil
		}}, func(context.Context, storage.Storage, string) error { return nil })
		_, err = svc.Create(t.Context(), "acme", invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember})
		var own *invitation.Error
		if !errors.As(err, &own) || own.Code != "own" {
			t.Errorf("want the *Error, got %d %v", invitation.HTTPStatus(err), err)
		}
	})
}

// K7: AllowEmail asks another service, which cannot be reached.
func TestHostileOtherServiceDown(t *testing.T) {
	some(t, func(t *testing.T, _ string, e engines.Engine) {
		h := build(t, e.Open(t), invitation.Config{})
		svc := h.hook(t, invitation.Config{AllowEmail: func(context.Context, storage.Storage, string, string) error {
			_, err := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
			return fmt.Errorf("reputation service: %w", err)
		}}, func(context.Context, storage.Storage, string) error { return nil })
		err := h.db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			_, err := svc.WithStorage(h.store.WithTx(tx)).Create(t.Context(), "acme",
				invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember})
			if errors.Is(err, invitation.ErrUnavailable) {
				t.Errorf("the database is well: %v %d", err, invitation.HTTPStatus(err))
			}
			return nil
		})
		if err != nil {
			t.Errorf("and the host's transaction is gone: %v", err)
		}
	})
}

// K11: OnEvents calls a function of the host's that takes a bun.Tx and uses WithTx, as README's sign-up does.
func TestHostileNestedWithTx(t *testing.T) {
	some(t, func(t *testing.T, _ string, e engines.Engine) {
		for _, fails := range []bool{false, true} {
			for _, in := range []bool{false, true} {
				t.Run(fmt.Sprint(fails, in), func(t *testing.T) {
					h := build(t, e.Open(t), invitation.Config{})
					var svc *invitation.Service
					svc = h.hook(t, invitation.Config{OnEvents: func(ctx context.Context, tx storage.Storage, ev []invitation.Event) error {
						if ev[0].Invitation.EmailAddress != "u1@example.com" {
							return nil
						}
						email := "u2@example.com"
						if fails {
							email = "u1@example.com"
						}
						_, err := svc.WithStorage(h.store.WithTx(bunstore.DB(tx).(bun.Tx))).Create(ctx, "acme",
							invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember})
						if fails && errors.Is(err, invitation.ErrDuplicate) {
							return nil
						}
						return err
					}}, func(context.Context, storage.Storage, string) error { return nil })
					p := invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember}
					var err error
					if in {
						err = h.db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
							_, err := svc.WithStorage(h.store.WithTx(tx)).Create(ctx, "acme", p)
							return err
						})
					} else {
						_, err = svc.Create(t.Context(), "acme", p)
					}
					if err != nil {
						t.Error(err)
					}
					n := count(t, h.store)
					want := 2
					if fails {
						want = 1
					}
					if err == nil && n != want || err != nil && n != 0 {
						t.Errorf("%v and %d records", err, n)
					}
				})
			}
		}
	})
}

// K17: a callback leaves rows open.
func TestHostileRowsLeftOpen(t *testing.T) {
	some(t, func(t *testing.T, _ string, e engines.Engine) {
		for _, method := range []string{"MemberEmails", "AllowEmail", "Join", "OnEvents"} {
			t.Run(method, func(t *testing.T) {
				h := build(t, e.Open(t), invitation.Config{})
				inv := h.invite(t, "u1@example.com")
				open := func(ctx context.Context, tx storage.Storage, called string) error {
					if called != method {
						return nil
					}
					rows, err := bunstore.DB(tx).QueryContext(ctx, "SELECT id FROM host_users")
					if err != nil {
						return err
					}
					rows.Next()
					return nil
				}
				svc := h.hook(t, invitation.Config{
					AllowEmail: func(ctx context.Context, tx storage.Storage, _, _ string) error { return open(ctx, tx, "AllowEmail") },
					OnEvents:   func(ctx context.Context, tx storage.Storage, _ []invitation.Event) error { return open(ctx, tx, "OnEvents") },
				}, open)
				done := make(chan error, 1)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				go func() {
					var err error
					if method == "Join" {
						_, err = svc.Accept(ctx, accept(inv, "u1"))
					} else {
						_, err = svc.Create(ctx, "acme", invitation.CreateParams{EmailAddress: "u2@example.com", Role: invitation.RoleMember})
					}
					done <- err
				}()
				var err error
				select {
				case err = <-done:
				case <-time.After(15 * time.Second):
					t.Fatal("hangs")
				}
				if d := time.Since(began); d > 8*time.Second {
					t.Errorf("took %v", d)
				}
				var changed bool
				if method == "Join" {
					changed = h.members(t) == 2
				} else {
					changed = count(t, h.store) == 2
				}
				t.Log(changed, err)
				if (err == nil) != changed && !errors.Is(err, storage.ErrOutcomeUnknown) {
					t.Errorf("%v, changed %v", err, changed)
				}
				if h.db.Stats().InUse != 0 {
					t.Error("leak")
				}
				for range 12 {
					if _, err := h.svc.List(t.Context(), "acme", invitation.ListParams{}); err != nil {
						t.Error("afterwards", err)
					}
				}
			})
		}
	})
}

type looped struct{ storage.Storage }

func (l *looped) Unwrap() storage.Storage { return l }

type nilled struct{ storage.Storage }

func (nilled) Unwrap() storage.Storage { return nil }

type typedNil struct{ storage.Storage }

func (typedNil) Unwrap() storage.Storage { return (*bunstore.Store)(nil) }

// K9: Classify and DB through odd wrappers.
func TestHostileClassify(t *testing.T) {
	e := errors.New("x")
	for name, s := range map[string]storage.Storage{"nil": nil, "nilled": nilled{}, "typed nil": typedNil{}, "loop": &looped{},
		"nil store": (*bunstore.Store)(nil)} {
		t.Run(name, func(t *testing.T) {
			done := make(chan string, 1)
			go func() {
				defer func() {
					if p := recover(); p != nil {
						done <- fmt.Sprint("panic: ", p)
					}
				}()
				if storage.Classify(context.Background(), s, e) != e || storage.Classify(context.Background(), s, nil) != nil {
					done <- "another error"
				}
				if bunstore.DB(s) != nil {
					done <- "a handle"
				}
				done <- ""
			}()
			select {
			case got := <-done:
				if got != "" {
					t.Error(got)
				}
			case <-time.After(2 * time.Second):
				t.Error("does not return")
			}
		})
	}
}
