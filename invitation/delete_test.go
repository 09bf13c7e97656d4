package invitation_test

import (
	"strings"
	"testing"

	"github.com/orginvite/orginvite/invitation"
)

// The back end deletes one invitation, whatever became of it, but not while it is pending.
func TestDelete(t *testing.T) {
	for name, resolve := range map[string]func(w *world, inv invitation.Invitation) error{
		"revoked": func(w *world, inv invitation.Invitation) error {
			_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			return err
		},
		"declined": func(w *world, inv invitation.Invitation) error {
			_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "carl")))
			return err
		},
		"accepted": func(w *world, inv invitation.Invitation) error { return w.accept(byIDs(inv, "carl")) },
		"expired": func(w *world, inv invitation.Invitation) error {
			w.clock.Set(inv.ExpiresAt)
			_, err := w.svc.ExpireDue(w.ctx, 1)
			return err
		},
		"lapsed": func(w *world, inv invitation.Invitation) error { w.clock.Set(inv.ExpiresAt); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			inv, other := w.invite("carl@example.com"), w.invite("dora@example.com")
			remove := func() error { return w.svc.Delete(w.ctx, "acme", inv.ID) }
			w.refuses(invitation.ErrPending, []refusal{{409, "organization_invitation_pending", ""}}, remove)
			w.is.NoErr(resolve(w, inv))
			w.events = nil
			w.is.NoErr(remove())
			var want []invitation.EventType
			if name == "lapsed" { // the host learns of every expiry once, as with Purge
				want = []invitation.EventType{invitation.EventExpired}
			}
			w.is.Equal(eventTypes(w.events), want)
			stored := w.stored()
			w.is.Equal(len(stored), 1)
			w.is.Equal(stored[0].ID, other.ID)
			w.refuses(invitation.ErrNotFound, []refusal{{404, "resource_not_found", "invitation_id"}}, remove)
		})
	}
}

func TestDeleteRefuses(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	remove := func(svc *invitation.Service, organizationID, invitationID string) func() error {
		return func() error { return svc.Delete(w.ctx, organizationID, invitationID) }
	}
	w.refuses(invitation.ErrForbidden, []refusal{{403, "not_allowed_access", ""}}, remove(w.svc.As("ann"), "acme", inv.ID))
	w.refuses(invitation.ErrInvalid, []refusal{
		{422, "form_param_missing", "organization_id"}, {422, "form_param_exceeds_allowed_size", "invitation_id"},
	}, remove(w.svc, "", strings.Repeat("i", 65)))
	w.refuses(invitation.ErrNotFound, []refusal{{404, "resource_not_found", "invitation_id"}},
		remove(w.svc, "other", inv.ID)) // another organization's
}
