package bunstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// Several calls with the same addresses, in different orders: each address is invited exactly once, by one of them, and
// the others are told. None of them fails. With a limit, exactly as many are invited as there is room for.
func TestServiceCreateEachConcurrently(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		const calls, addresses, room = 4, 12, 7
		s.setRole("other", "ann", admin)
		for organization, limit := range map[string]int{"acme": 0, "other": room} { // 0 is no limit
			svc := s.with(invitation.Config{MaxPending: limit})
			var ps []invitation.CreateParams
			for i := range addresses {
				ps = append(ps, invitation.CreateParams{
					EmailAddress: fmt.Sprintf("p%d-%d@example.org", limit, i), Role: member, InviterUserID: "ann",
				})
			}
			ps = append(ps, invitation.CreateParams{EmailAddress: "ann@example.com", Role: member}) // a member
			var mu sync.Mutex
			invited := map[string]int{}
			var all []func()
			for n := range calls {
				own := slices.Clone(ps)
				if n%2 > 0 {
					slices.Reverse(own)
				}
				all = append(all, func() {
					results, err := svc.CreateEach(s.ctx, organization, own)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					for i, r := range results {
						switch {
						case r.Err == nil:
							invited[own[i].EmailAddress]++
						case own[i].EmailAddress == "ann@example.com":
							if !errors.Is(r.Err, invitation.ErrAlreadyMember) {
								t.Errorf("a member: %v", r.Err)
							}
						case !errors.Is(r.Err, invitation.ErrDuplicate) && !errors.Is(r.Err, invitation.ErrQuotaExceeded):
							t.Error(r.Err)
						}
					}
				})
			}
			together(all...)
			want := addresses
			if limit > 0 {
				want = room
			}
			s.is.Equal(len(invited), want)
			for email, n := range invited {
				if n != 1 {
					t.Errorf("%s is invited %d times", email, n)
				}
			}
			counts, err := svc.Counts(s.ctx, organization, invitation.ListParams{})
			s.is.NoErr(err)
			s.is.Equal(counts[invitation.StatusPending], want)
		}
	})
}

// In the host's transaction, what CreateEach has skipped leaves nothing behind, and the rest is the host's to commit.
func TestServiceCreateEachInATransaction(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		s.invite("u1@example.com", member)
		ps := []invitation.CreateParams{
			{EmailAddress: "u1@example.com", Role: member}, {EmailAddress: "u2@example.com", Role: member},
			{EmailAddress: "ann@example.com", Role: member}, {EmailAddress: "u3@example.com", Role: member},
		}
		undo := errors.New("undo")
		for _, end := range []error{undo, nil} {
			err := s.store.RunInTx(s.ctx, func(ctx context.Context, tx storage.Storage) error {
				svc := s.svc.WithStorage(tx)
				results, err := svc.CreateEach(ctx, "acme", ps)
				if err != nil {
					return err
				}
				s.is.True(errors.Is(results[0].Err, invitation.ErrDuplicate))
				s.is.NoErr(results[1].Err)
				s.is.True(errors.Is(results[2].Err, invitation.ErrAlreadyMember))
				s.is.NoErr(results[3].Err)
				counts, err := svc.Counts(ctx, "acme", invitation.ListParams{})
				if err != nil {
					return err
				}
				s.is.Equal(counts[invitation.StatusPending], 3)
				return end
			})
			s.is.True(errors.Is(err, end))
		}
		n, err := s.store.Count(s.ctx, storage.Filter{})
		s.is.NoErr(err)
		s.is.Equal(n, 3)
	})
}
