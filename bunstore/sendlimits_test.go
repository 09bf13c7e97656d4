package bunstore_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

// SendLimits are exact under 24 concurrent writers, in memory and on every engine (C21): they create, replace, resend
// and change the role. Exactly as many invitations as the limit allows have a link issued in the window.
func TestSendLimitsAreExact(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		const writers, most = 24, 7
		s.setRole("acme", "u0", admin)
		users := []string{"ann", "u0"}
		limited := func(per invitation.SendScope) *invitation.Service {
			return s.with(invitation.Config{ResendAfter: -1, SendLimits: []invitation.SendLimit{
				{Per: per, Max: most, Within: time.Hour},
			}})
		}
		// race lets all writers make their call at the same time, and returns how many succeeded for each user.
		race := func(call func(i int, user string) error) (done [2]int64) {
			var calls []func()
			var sent [2]atomic.Int64
			for i := range writers {
				calls = append(calls, func() {
					switch err := call(i, users[i%2]); {
					case err == nil:
						sent[i%2].Add(1)
					case !errors.Is(err, invitation.ErrTooSoon):
						t.Errorf("writer %d: %v", i, err)
					}
				})
			}
			together(calls...)
			return [2]int64{sent[0].Load(), sent[1].Load()}
		}
		var old []invitation.Invitation
		for i := range writers {
			old = append(old, s.invite(fmt.Sprintf("old%d@example.com", i), member))
		}
		create := func(svc *invitation.Service, prefix string) func(int, string) error {
			return func(i int, user string) error {
				_, err := svc.As(user).Create(s.ctx, "acme", invitation.CreateParams{
					EmailAddress: fmt.Sprintf("%s%d@example.com", prefix, i), Role: member,
				})
				return err
			}
		}
		for name, tt := range map[string]struct {
			per  invitation.SendScope
			call func(svc *invitation.Service, i int, user string) error
		}{
			"create in one organization": {invitation.PerOrganization,
				func(svc *invitation.Service, i int, user string) error { return create(svc, "a")(i, user) }},
			"create by two inviters": {invitation.PerInviter,
				func(svc *invitation.Service, i int, user string) error { return create(svc, "b")(i, user) }},
			"replace for one address": {invitation.PerAddress,
				func(svc *invitation.Service, _ int, user string) error {
					_, err := svc.As(user).Create(s.ctx, "acme", invitation.CreateParams{
						EmailAddress: "one@example.com", Role: member, Replace: true,
					})
					return err
				}},
			"create, resend and update in one organization": {invitation.PerOrganization,
				func(svc *invitation.Service, i int, user string) (err error) {
					switch i % 3 {
					case 0:
						return create(svc, "c")(i, user)
					case 1:
						_, err = svc.As(user).Resend(s.ctx, "acme", old[i].ID, invitation.ResendParams{})
					default:
						_, err = svc.As(user).Update(s.ctx, "acme", old[i].ID, invitation.UpdateParams{Role: admin})
					}
					return err
				}},
			"resend by two users": {invitation.PerInviter,
				func(svc *invitation.Service, i int, user string) error {
					_, err := svc.As(user).Resend(s.ctx, "acme", old[i].ID, invitation.ResendParams{})
					return err
				}},
		} {
			s.clock.Advance(2 * time.Hour) // nothing counts any more
			svc := limited(tt.per)
			done := race(func(i int, user string) error { return tt.call(svc, i, user) })
			switch tt.per {
			case invitation.PerInviter:
				if done != [2]int64{most, most} {
					t.Errorf("%s: %d and %d, want %d for each", name, done[0], done[1], most)
				}
			default:
				if done[0]+done[1] != most {
					t.Errorf("%s: %d, want %d", name, done[0]+done[1], most)
				}
			}
		}
	})
}
