package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// L1: pgdriver, a callback forgets to close rows of which it has read all; COMMIT is then refused.
func TestHostilePgdriverOffByOne(t *testing.T) {
	for _, name := range []string{"postgres-pgdriver", "postgres"} {
		for _, where := range []string{"top", "level"} {
			for _, violate := range []bool{false, true} {
				for _, q := range []string{"SELECT id FROM host_users LIMIT 1", "SELECT id FROM host_users WHERE 1 = 0"} {
					t.Run(fmt.Sprint(name, where, violate, len(q)), func(t *testing.T) {
						h := build(t, engines.Named(t, name).Open(t), invitation.Config{})
						for _, s := range []string{"CREATE TABLE parent (id INT PRIMARY KEY)",
							"CREATE TABLE child (p INT REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"} {
							_, err := h.db.ExecContext(t.Context(), s)
							h.is.NoErr(err)
						}
						body := func(ctx context.Context, tx storage.Storage) error {
							if violate {
								if _, err := bunstore.DB(tx).ExecContext(ctx, "INSERT INTO child VALUES (1)"); err != nil {
									return err
								}
							}
							rows, err := bunstore.DB(tx).QueryContext(ctx, q)
							if err != nil {
								return err
							}
							if len(q) == len("SELECT id FROM host_users LIMIT 1") {
								rows.Next()
							}
							return nil
						}
						err := h.store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
							if err := tx.Insert(ctx, record("a")); err != nil {
								return err
							}
							if where == "level" {
								return tx.RunInTx(ctx, body)
							}
							return body(ctx, tx)
						})
						n := count(t, newStoreOn(t, h.db))
						t.Log(err, n)
						if err == nil && n != 1 || err != nil && !errors.Is(err, storage.ErrOutcomeUnknown) && n != 0 {
							t.Errorf("RunInTx said %v, %d records", err, n)
						}
						for i := range 20 {
							var got int
							if err := h.db.NewRaw("SELECT ?", i).Scan(t.Context(), &got); err != nil || got != i {
								t.Errorf("asked for %d, got %d %v", i, got, err)
							}
						}
					})
				}
			}
		}
	}
}

// L2: DDL in a callback on MariaDB commits.
func TestHostileMariaDBDDL(t *testing.T) {
	h := build(t, engines.Named(t, "mariadb").Open(t), invitation.Config{})
	svc := h.hook(t, invitation.Config{OnEvents: func(ctx context.Context, tx storage.Storage, _ []invitation.Event) error {
		_, err := bunstore.DB(tx).ExecContext(ctx, "CREATE TABLE IF NOT EXISTS jobs (n INT)")
		return err
	}}, func(context.Context, storage.Storage, string) error { return nil })
	_, err := svc.Create(t.Context(), "acme", invitation.CreateParams{EmailAddress: "u1@example.com", Role: invitation.RoleMember})
	n := count(t, h.store)
	if err != nil && !errors.Is(err, storage.ErrOutcomeUnknown) && n != 0 || err == nil && n != 1 {
		t.Errorf("%v; %d records", err, n)
	}
}

// L3: many at once on few addresses; never a pending one beside a member, and no wrong refusal.
func TestHostileStress(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres", "postgres-pgdriver", "mariadb", "galera"} {
		t.Run(name, func(t *testing.T) {
			h := build(t, engines.Named(t, name).Open(t), invitation.Config{ResendAfter: -1})
			ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
			defer cancel()
			var wg sync.WaitGroup
			var mu sync.Mutex
			odd := map[string]int{}
			for w := range 6 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					rnd := rand.New(rand.NewPCG(uint64(w), 7))
					var ids []string
					for ctx.Err() == nil {
						user := fmt.Sprintf("u%d", rnd.IntN(2))
						p := invitation.CreateParams{EmailAddress: user + "@example.com", Role: invitation.RoleMember,
							Replace: rnd.IntN(2) == 0, ExpiresIn: time.Duration(1+rnd.IntN(3)) * time.Second}
						var err error
						switch rnd.IntN(8) {
						case 0, 1:
							var inv invitation.Invitation
							if inv, err = h.svc.Create(ctx, "acme", p); err == nil {
								ids = append(ids, inv.ID)
							}
						case 2:
							q := p
							q.EmailAddress = "u" + fmt.Sprint(2+rnd.IntN(2)) + "@example.com"
							q.Replace = true
							var invs []invitation.Invitation
							invs, err = h.svc.CreateBulk(ctx, "acme", []invitation.CreateParams{q, p})
							for _, inv := range invs {
								ids = append(ids, inv.ID)
							}
						case 3, 4:
							if len(ids) > 0 {
								_, err = h.svc.Accept(ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: ids[len(ids)-1-rnd.IntN(min(3, len(ids)))], UserID: user})
							}
						case 5:
							if len(ids) > 0 {
								_, err = h.svc.Resend(ctx, "acme", ids[len(ids)-1-rnd.IntN(min(3, len(ids)))], invitation.ResendParams{ExpiresIn: 2 * time.Second})
							}
						case 6:
							h.clock.Advance(300 * time.Millisecond)
						case 7:
							// the invariant, in one statement; and the member leaves so that it goes on
							var n int
							for u := range 4 {
								err = h.db.NewRaw("SELECT count(*) FROM organization_invitations AS i JOIN host_users AS u ON u.email = i.email_key JOIN host_members AS m ON m.user_id = u.id WHERE i.organization_id = 'acme' AND i.status = 'pending' AND u.id = ?", fmt.Sprintf("u%d", u)).Scan(ctx, &n)
								if err == nil && n != 0 {
									t.Errorf("%d pending beside the member u%d", n, u)
								}
							}
							if rnd.IntN(3) == 0 {
								_, err = h.db.NewDelete().Model((*hostMember)(nil)).Where("user_id = ?", user).Exec(ctx)
							}
						}
						if err != nil && ctx.Err() == nil {
							k := fmt.Sprintf("%.70v", err)
							mu.Lock()
							odd[k]++
							mu.Unlock()
						}
					}
				}()
			}
			wg.Wait()
			for k, n := range odd {
				t.Log(n, k)
			}
			if h.db.Stats().InUse != 0 {
				t.Error("leak")
			}
		})
	}
}

// L4: contexts that end at random moments; stores on a pool, on a bun.Conn and in the host's transaction.
func TestHostileRandomCancel(t *testing.T) {
	for _, name := range []string{"sqlite", "sqlite-memory", "postgres", "postgres-pgdriver", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			db := engines.Named(t, name).Open(t)
			h := build(t, db, invitation.Config{})
			figures := map[string]int{}
			began := time.Now()
			for i := 0; time.Since(began) < 9*time.Second; i++ {
				email := fmt.Sprintf("r%d@example.com", i)
				ctx, cancel := context.WithCancel(t.Context())
				d := time.Duration(rand.IntN(6000)) * time.Microsecond
				if i%2 == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), d)
				} else {
					time.AfterFunc(d, cancel)
				}
				p := invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember, InviterUserID: "ann"}
				var err error
				how := []string{"pool", "conn", "host"}[i%3]
				switch how {
				case "pool":
					_, err = h.svc.Create(ctx, "acme", p)
				case "conn":
					conn, failed := db.Conn(t.Context())
					h.is.NoErr(failed)
					_, err = h.svc.WithStorage(newStoreOn(t, conn)).Create(ctx, "acme", p)
					_ = conn.Close()
				case "host":
					err = db.RunInTx(t.Context(), nil, func(_ context.Context, tx bun.Tx) error {
						_, err := h.svc.WithStorage(h.store.WithTx(tx)).Create(ctx, "acme", p)
						if err != nil && errors.Is(err, invitation.ErrAborted) {
							return err
						}
						if err != nil { // the level is undone, the host goes on
							figures["goes on"]++
							if _, failed := tx.NewInsert().Model(&hostUser{ID: email, Email: email}).Exec(t.Context()); failed != nil {
								t.Errorf("after %v: %v", err, failed)
							}
							return nil
						}
						return nil
					})
				}
				ended := ctx.Err() != nil
				cancel()
				n, failed := db.NewRaw("SELECT 1").Exec(t.Context())
				_, h2 := n, failed
				h.is.NoErr(h2)
				page, failed := h.svc.List(t.Context(), "acme", invitation.ListParams{EmailAddress: email})
				h.is.NoErr(failed)
				if how != "host" {
					if err == nil && page.TotalCount != 1 || err != nil && !errors.Is(err, invitation.ErrOutcomeUnknown) && page.TotalCount != 0 {
						t.Errorf("%s: %v, %d", how, err, page.TotalCount)
					}
					if err != nil && (!ended || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)) {
						t.Errorf("%s: ended %v: %v", how, ended, err)
					}
				}
				if errors.Is(err, invitation.ErrOutcomeUnknown) {
					figures[how+" unknown"]++
				} else if err != nil {
					figures[how+" err"]++
				} else {
					figures[how+" nil"]++
				}
			}
			t.Log(figures)
			if db.Stats().InUse != 0 {
				t.Error("leak")
			}
		})
	}
}
