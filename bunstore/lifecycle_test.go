package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// Several processes sweep at once: each lapsed invitation is expired, and reported, exactly once.
func TestServiceSweepers(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		ps := make([]invitation.CreateParams, 700)
		for i := range ps {
			ps[i] = invitation.CreateParams{
				EmailAddress: fmt.Sprintf("p%d@example.com", i), Role: member, ExpiresIn: time.Duration(i+1) * time.Second,
			}
		}
		_, err := s.svc.CreateBulk(s.ctx, "acme", ps)
		s.is.NoErr(err)
		s.clock.Advance(time.Hour)
		var mu sync.Mutex
		told := map[string]bool{}
		// OnEvents may be called again if the engine aborted a transaction; only committed events count.
		svc := s.with(invitation.Config{
			OnEvents: func(_ context.Context, _ storage.Storage, events []invitation.Event) error {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					told[e.Invitation.ID] = true
				}
				return nil
			},
		})
		total := 0
		var calls []func()
		for range 3 {
			calls = append(calls, func() {
				n, err := svc.ExpireDue(s.ctx, 100000)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total += n
			})
		}
		together(calls...)
		for total < len(ps) { // a sweep that meets rows of another one leaves them to it
			n, err := svc.ExpireDue(s.ctx, 100000)
			s.is.NoErr(err)
			s.is.True(n > 0)
			total += n
		}
		s.is.Equal(total, len(ps)) // none counted twice
		s.is.Equal(len(told), len(ps))
		page, err := s.svc.List(s.ctx, "acme", invitation.ListParams{
			Statuses: []invitation.Status{invitation.StatusExpired}, Limit: 1,
		})
		s.is.NoErr(err)
		s.is.Equal(page.TotalCount, len(ps))
		r, err := s.store.Get(s.ctx, page.Data[0].ID)
		s.is.NoErr(err)
		s.is.Equal(r.Version, int64(2)) // written once
	})
}

// Deletion, off-boarding and erasure on real tables.
func TestServiceMaintenance(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		s.setRole("other", "u0", admin)
		first := s.invite("u1@example.com", member)
		_, err := s.svc.Revoke(s.ctx, "acme", first.ID, invitation.RevokeParams{})
		s.is.NoErr(err)
		s.invite("U1@example.com", member)
		s.invite("u2@example.com", member)
		for _, email := range []string{"u1@example.com", "u3@example.com"} {
			_, err := s.svc.Create(s.ctx, "other", invitation.CreateParams{
				EmailAddress: email, Role: member, InviterUserID: "u0",
			})
			s.is.NoErr(err)
		}
		s.clock.Advance(time.Hour)
		s.svc = s.with(invitation.Config{MaxPending: 100}) // with locks
		n, err := s.svc.RevokeAll(s.ctx, invitation.RevokeAllParams{EmailAddresses: []string{"u1@example.com"}})
		s.is.NoErr(err)
		s.is.Equal(n, 2) // in both organizations
		n, err = s.svc.Purge(s.ctx, s.clock.Now(), 10)
		s.is.NoErr(err)
		s.is.Equal(n, 1) // the one revoked an hour ago
		n, err = s.svc.EraseEmail(s.ctx, "U1@EXAMPLE.com")
		s.is.NoErr(err)
		s.is.Equal(n, 2)
		n, err = s.svc.DeleteOrganization(s.ctx, "acme")
		s.is.NoErr(err)
		s.is.Equal(n, 1)
		left, err := s.store.Count(s.ctx, storage.Filter{})
		s.is.NoErr(err)
		s.is.Equal(left, 1) // u3 in other
	})
}

// In a host's transaction that has already read, the number of seats is exact, or the transaction is aborted. With
// LockOrganization first, the number is exact.
func TestServiceSeatsInTheHostsTransaction(t *testing.T) {
	onLibraries(t, engines.All(), func(t *testing.T, e engines.Engine, lib library) {
		db := e.Open(t)
		const limit, guests = 4, 10
		h := build(t, db, invitation.Config{})
		s := &stage{
			people: inSQL{h, t.Context()}, t: t, is: h.is, ctx: t.Context(), clock: h.clock, store: h.store, dir: h.host,
			svc: h.svc,
		}
		svc := s.with(invitation.Config{Seats: s.seats(limit)})
		var invs []invitation.Invitation
		for i := range guests {
			invs = append(invs, h.invite(t, fmt.Sprintf("u%d@example.com", i)))
		}
		come := func(lock bool) {
			var calls []func()
			for i := range guests {
				calls = append(calls, func() {
					for range 200 { // the host retries aborted transactions
						err := lib.runInTx(t.Context(), t, db, nil, func(ctx context.Context, tx hostTx) error {
							svc := svc.WithStorage(tx.join(h.store))
							if lock {
								if err := svc.LockOrganization(ctx, "acme"); err != nil {
									return err
								}
							}
							if _, err := tx.NewSelect().Model((*hostMember)(nil)).Count(ctx); err != nil {
								return err
							}
							_, err := svc.Accept(ctx, accept(invs[i], fmt.Sprintf("u%d", i)))
							return err
						})
						if err == nil || errors.Is(err, invitation.ErrQuotaExceeded) || errors.Is(err, context.Canceled) {
							return
						}
					}
				})
			}
			together(calls...)
		}
		come(false)
		s.is.True(len(s.roles("acme")) <= limit) // never more
		come(true)
		s.is.Equal(len(s.roles("acme")), limit)
	})
}
