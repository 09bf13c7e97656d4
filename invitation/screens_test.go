package invitation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

// These tests combine what a page needs with roles that manage their own invitations, and with limits over time.

// A user who manages their own invitations sees, counts and invites as if no other invitations existed.
func TestScreensOfOwnInvitations(t *testing.T) {
	w, bobs, anns := selling(t, invitation.Config{})
	bob := w.svc.As("bob")
	counts, err := bob.Counts(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(counts[invitation.StatusPending], 1)
	for inviter, want := range map[string]int{"bob": 1, "ann": 0} {
		counts, err = bob.Counts(w.ctx, "acme", invitation.ListParams{InviterUserID: inviter})
		w.is.NoErr(err)
		w.is.Equal(counts[invitation.StatusPending], want)
		page, err := bob.List(w.ctx, "acme", invitation.ListParams{InviterUserID: inviter})
		w.is.NoErr(err)
		w.is.Equal(len(page.Data), want)
	}
	roles, err := bob.Grantable(w.ctx, "acme", "")
	w.is.NoErr(err)
	w.is.Equal(keysOf(roles), []invitation.Role{invitation.RoleMember})

	own, others := entry(bobs.EmailAddress, invitation.RoleMember, ""), entry(anns.EmailAddress, invitation.RoleMember, "")
	own.Replace, others.Replace = true, true
	w.is.NoErr(bob.CanInvite(w.ctx, "acme", own))
	w.is.True(errors.Is(bob.CanInvite(w.ctx, "acme", others), invitation.ErrDuplicate)) // it is not his to replace
	admin := entry("new@example.com", invitation.RoleAdmin, "")
	w.is.True(errors.Is(bob.CanInvite(w.ctx, "acme", admin), invitation.ErrForbidden))
	results, err := bob.CreateEach(w.ctx, "acme", []invitation.CreateParams{own, others, admin})
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{
		bobs.EmailAddress, "organization_invitation_not_unique email_address", "not_an_admin_in_organization role",
	})
	w.is.Equal(w.get(anns).Status, invitation.StatusPending)
}

// Limits over time are used up in the order of the items, and CanInvite says when they are.
func TestCreateEachWithinSendLimits(t *testing.T) {
	for _, per := range []invitation.SendScope{invitation.PerOrganization, invitation.PerInviter} {
		w := setup(t, &invitation.Config{SendLimits: []invitation.SendLimit{{Per: per, Max: 3, Within: time.Hour}}})
		w.invite("old@example.com")
		ps := []invitation.CreateParams{
			entry("z@example.com", invitation.RoleMember, "ann"), entry("old@example.com", invitation.RoleMember, "ann"),
			entry("y@example.com", invitation.RoleMember, "ann"), entry("a@example.com", invitation.RoleMember, "ann"),
		}
		w.is.NoErr(w.svc.CanInvite(w.ctx, "acme", ps[0]))
		results, err := w.svc.CreateEach(w.ctx, "acme", ps)
		w.is.NoErr(err)
		w.is.Equal(outcome(results), []string{
			"z@example.com", "organization_invitation_not_unique email_address", "y@example.com", "too_many_requests",
		})
		refused := w.svc.CanInvite(w.ctx, "acme", ps[3])
		w.is.True(errors.Is(refused, invitation.ErrTooSoon))
		w.is.Equal(refused.Error(), results[3].Err.Error()) // both say how long to wait
		w.is.True(strings.Contains(refused.Error(), "try again in"))
		w.clock.Advance(time.Hour)
		w.is.NoErr(w.svc.CanInvite(w.ctx, "acme", ps[3]))
	}
}
