package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// J1: a callback ignores that the context has ended, for longer than the grace.
func TestHostileIgnoresContext(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		for _, kind := range []string{"cancel", "deadline"} {
			for _, how := range []string{"db", "conn", "hosttx"} {
				for _, where := range []string{"top", "level"} {
					t.Run(kind+" "+how+" "+where, func(t *testing.T) {
						t.Parallel()
						db := e.Open(t)
						s := newStore(t, db)
						if err := s.Insert(t.Context(), record("before")); err != nil {
							t.Fatal(err)
						}
						ctx, cancel := context.WithCancel(t.Context())
						if kind == "deadline" {
							ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
						} else {
							time.AfterFunc(20*time.Millisecond, cancel)
						}
						defer cancel()
						on := s
						finish := func() {}
						switch how {
						case "conn":
							conn, err := db.Conn(t.Context())
							if err != nil {
								t.Fatal(err)
							}
							on = newStoreOn(t, conn)
							finish = func() { _ = conn.Close() }
						case "hosttx":
							tx, err := db.BeginTx(t.Context(), nil)
							if err != nil {
								t.Fatal(err)
							}
							on = s.WithTx(tx)
							finish = func() { _ = tx.Commit() }
						}
						var inner error
						body := func(_ context.Context, tx storage.Storage) error {
							time.Sleep(2400 * time.Millisecond)
							_, inner = bunstore.DB(tx).ExecContext(context.Background(), "UPDATE organization_invitations SET role = 'late'")
							return nil
						}
						err := on.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
							if err := tx.Insert(ctx, record("a")); err != nil {
								return err
							}
							if where == "level" {
								return tx.RunInTx(ctx, body)
							}
							return body(ctx, tx)
						})
						finish()
						if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("no context error: %v", err)
						}
						var ids []string
						rs, failed := s.List(t.Context(), storage.Query{})
						if failed != nil {
							t.Errorf("List afterwards: %v", failed)
						}
						for _, r := range rs {
							ids = append(ids, r.ID+"/"+r.Role)
						}
						if len(ids) != 1 || strings.Contains(ids[0], "late") {
							t.Errorf("RunInTx said %v, statement %v; stored: %v", err, inner, ids)
						}
						if err := s.Insert(t.Context(), record("z")); err != nil {
							t.Error("afterwards", err)
						}
						if db.Stats().InUse != 0 {
							t.Error("leak")
						}
					})
				}
			}
		}
	})
}

// J2: MariaDB at REPEATABLE READ, a snapshot that is older than a pending or lapsed holder of the slot.
func TestHostileMariaDBOldSnapshotHolder(t *testing.T) {
	for _, name := range []string{"mariadb", "postgres"} {
		for _, c := range []string{"plain", "lapsed", "replace"} {
			t.Run(name+" "+c, func(t *testing.T) {
				db := engines.Named(t, name).Open(t)
				h := build(t, db, invitation.Config{ResendAfter: -1})
				tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
				h.is.NoErr(err)
				defer func() { _ = tx.Rollback() }()
				_, err = tx.NewSelect().Model((*hostMember)(nil)).Count(t.Context()) // the snapshot
				h.is.NoErr(err)
				inv := h.invite(t, "u1@example.com")
				if c == "lapsed" {
					h.clock.Set(inv.ExpiresAt)
				}
				_, err = h.svc.WithStorage(h.store.WithTx(tx)).Create(t.Context(), "acme", invitation.CreateParams{
					EmailAddress: "u1@example.com", Role: invitation.RoleMember, Replace: c == "replace"})
				t.Log(err)
				if c != "plain" && !errors.Is(err, invitation.ErrAborted) {
					t.Errorf("got %v, want ErrAborted", err)
				}
			})
		}
	}
}

// J3: REPEATABLE READ host transaction, member joined since the snapshot by an invitation made since.
func TestHostilePendingBesideMemberOldSnapshot(t *testing.T) {
	for _, name := range []string{"mariadb", "postgres", "postgres-repeatable-read", "postgres-serializable"} {
		t.Run(name, func(t *testing.T) {
			found := false
			for _, e := range engines.All() {
				found = found || e.Name == name
			}
			if !found {
				t.Skip("no such engine")
			}
			db := engines.Named(t, name).Open(t)
			h := build(t, db, invitation.Config{ResendAfter: -1})
			tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
			h.is.NoErr(err)
			defer func() { _ = tx.Rollback() }()
			_, err = tx.NewSelect().Model((*hostMember)(nil)).Count(t.Context()) // the snapshot
			h.is.NoErr(err)
			inv := h.invite(t, "u1@example.com")
			_, err = h.svc.Accept(t.Context(), accept(inv, "u1"))
			h.is.NoErr(err)
			_, err = h.svc.WithStorage(h.store.WithTx(tx)).Create(t.Context(), "acme", invitation.CreateParams{
				EmailAddress: "u1@example.com", Role: invitation.RoleMember})
			t.Log("Create:", err)
			if err == nil {
				err = tx.Commit()
			}
			page, failed := h.svc.List(t.Context(), "acme", invitation.ListParams{
				EmailAddress: "u1@example.com", Statuses: []invitation.Status{invitation.StatusPending}})
			h.is.NoErr(failed)
			if page.TotalCount > 0 && h.members(t) == 2 {
				t.Errorf("a pending invitation beside a member, commit: %v", err)
			}
		})
	}
}

// J4: no false alarms in MariaDB's host transactions at REPEATABLE READ.
func TestHostileMariaDBFalseAlarms(t *testing.T) {
	db := engines.Named(t, "mariadb").Open(t)
	h := build(t, db, invitation.Config{ResendAfter: -1, MaxPending: 100,
		Seats: func(context.Context, storage.Storage, string) (int, int, error) { return 1, 100, nil }})
	invs := map[string]invitation.Invitation{}
	for i := range 10 {
		email := fmt.Sprintf("u%d@example.com", i)
		invs[email] = h.invite(t, email)
	}
	run := func(name string, level sql.IsolationLevel, readFirst bool, fn func(ctx context.Context, tx bun.Tx, svc *invitation.Service, s *bunstore.Store) error) {
		t.Run(name, func(t *testing.T) {
			err := db.RunInTx(t.Context(), &sql.TxOptions{Isolation: level}, func(ctx context.Context, tx bun.Tx) error {
				if readFirst {
					if _, err := tx.NewSelect().Model((*hostMember)(nil)).Count(ctx); err != nil {
						return err
					}
				}
				s := h.store.WithTx(tx)
				return fn(ctx, tx, h.svc.WithStorage(s), s)
			})
			if !errors.Is(err, errUndone) {
				t.Error(err)
			}
		})
	}
	p := func(e string) invitation.CreateParams {
		return invitation.CreateParams{EmailAddress: e, Role: invitation.RoleMember}
	}
	for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable} {
		for _, read := range []bool{false, true} {
			n := fmt.Sprint(level, read, " ")
			run(n+"create twice, accept, resend, update, revoke", level, read, func(ctx context.Context, tx bun.Tx, svc *invitation.Service, s *bunstore.Store) error {
				a, err := svc.Create(ctx, "acme", p("x1@example.com"))
				if err != nil {
					return err
				}
				if _, err = svc.Create(ctx, "acme", p("x2@example.com")); err != nil {
					return err
				}
				q := p("x1@example.com")
				q.Replace = true
				if a, err = svc.Create(ctx, "acme", q); err != nil {
					return fmt.Errorf("replace: %w", err)
				}
				if _, err = svc.Update(ctx, "acme", a.ID, invitation.UpdateParams{Role: invitation.RoleAdmin}); err != nil {
					return fmt.Errorf("update: %w", err)
				}
				if _, err = svc.Resend(ctx, "acme", a.ID, invitation.ResendParams{}); err != nil {
					return fmt.Errorf("resend: %w", err)
				}
				if _, err = svc.Revoke(ctx, "acme", a.ID, invitation.RevokeParams{}); err != nil {
					return fmt.Errorf("revoke: %w", err)
				}
				if err = svc.LockOrganization(ctx, "acme"); err != nil {
					return fmt.Errorf("lock: %w", err)
				}
				if err = svc.LockOrganization(ctx, "acme"+n); err != nil {
					return fmt.Errorf("lock: %w", err)
				}
				if err = svc.LockOrganization(ctx, "acme"+n); err != nil {
					return fmt.Errorf("lock: %w", err)
				}
				inv := invs["u3@example.com"]
				u, err := svc.Update(ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
				if err != nil {
					return err
				}
				u, err = svc.Update(ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleMember})
				if err != nil {
					return err
				}
				if _, err := svc.Accept(ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: inv.ID, UserID: "u3", Version: u.Version}); err != nil {
					return fmt.Errorf("accept: %w", err)
				}
				if _, err := svc.Accept(ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: inv.ID, UserID: "u3"}); err != nil {
					return fmt.Errorf("accept again: %w", err)
				}
				bulk := []invitation.CreateParams{p("y1@example.com"), p("y2@example.com"), p("y3@example.com")}
				if _, err = svc.CreateBulk(ctx, "acme", bulk); err != nil {
					return fmt.Errorf("bulk: %w", err)
				}
				for i := range bulk {
					bulk[i].Replace = true
				}
				if _, err = svc.CreateBulk(ctx, "acme", bulk); err != nil {
					return fmt.Errorf("bulk again: %w", err)
				}
				if _, err = svc.RevokeAll(ctx, invitation.RevokeAllParams{OrganizationID: "acme", EmailAddresses: []string{"y1@example.com", "x2@example.com"}}); err != nil {
					return fmt.Errorf("revokeall: %w", err)
				}
				if _, err = svc.Erase(ctx, "y2@example.com"); err != nil {
					return fmt.Errorf("erase: %w", err)
				}
				h.clock.Advance(time.Hour)
				if _, err = svc.ExpireDue(ctx, 100); err != nil {
					return fmt.Errorf("expiredue: %w", err)
				}
				return errUndone
			})
		}
	}
	// others commit meanwhile, on rows this transaction locked first or does not touch
	for _, locked := range []bool{true, false} {
		tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		h.is.NoErr(err)
		s := h.store.WithTx(tx)
		svc := h.svc.WithStorage(s)
		if locked {
			h.is.NoErr(svc.LockOrganization(t.Context(), "acme"))
		} else {
			_, err = tx.NewSelect().Model((*hostMember)(nil)).Count(t.Context())
			h.is.NoErr(err)
		}
		_, err = svc.Update(t.Context(), "acme", invs["u5@example.com"].ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
		h.is.NoErr(err)
		other, err := h.svc.Create(t.Context(), "other", p(fmt.Sprintf("q%v@example.com", locked)))
		_ = other
		h.is.NoErr(err)
		_, err = svc.Update(t.Context(), "acme", invs["u5@example.com"].ID, invitation.UpdateParams{Role: invitation.RoleMember})
		h.is.NoErr(err)
		_, err = svc.Create(t.Context(), "acme", p("qq@example.com"))
		h.is.NoErr(err)
		h.is.NoErr(tx.Rollback())
	}
}

var errUndone = errors.New("undone")

// J5: a user's text in an internal error of a callback is taken for the engine's word.
func TestHostileQuotedText(t *testing.T) {
	for name, org := range map[string]string{
		"sqlite": "database is locked", "postgres": "SQLSTATE 40001", "mariadb": ": Error 1213: ", "postgres-pgdriver": "SQLSTATE=40001",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, engines.Named(t, name).Open(t), invitation.Config{})
			calls := 0
			svc := h.hook(t, invitation.Config{}, func(_ context.Context, _ storage.Storage, called string) error {
				calls++
				return fmt.Errorf("no organization %q", org)
			})
			began := time.Now()
			_, err := svc.Create(t.Context(), org, invitation.CreateParams{
				EmailAddress: "u1@example.com", Role: invitation.RoleMember})
			t.Log(err)
			if errors.Is(err, invitation.ErrAborted) || time.Since(began) > time.Second {
				t.Errorf("%v after %v and %d calls: HTTP %d", err, time.Since(began), calls, invitation.HTTPStatus(err))
			}
		})
	}
}
