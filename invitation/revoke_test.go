package invitation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

func TestRevoke(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	w.events = nil
	got, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusRevoked)
	w.is.Equal(got.ResolvedBy, "ann")
	w.is.Equal(got.ResolvedAt, noon.Add(time.Hour))
	w.is.Equal(got.Terms, inv.Terms) // what was shown has not changed
	w.is.Equal(got, w.get(inv))
	w.is.Equal(w.events, []invitation.Event{{Type: invitation.EventRevoked, At: noon.Add(time.Hour), ActorID: "ann", Invitation: got}})
	w.invite("carl@example.com") // the address is free again
}

func TestRevokeRefusesInOrder(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	step := func(svc *invitation.Service, org, id, user string, sentinel error, want ...refusal) {
		t.Helper()
		w.refuses(sentinel, want, func() error {
			_, err := svc.Revoke(w.ctx, org, id, invitation.RevokeParams{RequestingUserID: user})
			return err
		})
	}
	step(w.svc.As(""), "", "", "", invitation.ErrForbidden, refusal{401, "not_allowed_access", "user_id"})
	step(w.svc, "", strings.Repeat("i", 65), "\x00", invitation.ErrInvalid, refusal{422, "form_param_missing", "organization_id"},
		refusal{422, "form_param_exceeds_allowed_size", "invitation_id"}, refusal{422, "form_param_format_invalid", "requesting_user_id"})
	step(w.svc, "other", inv.ID, "carl", invitation.ErrNotMember, refusal{403, "not_a_member_in_organization", "requesting_user_id"})
	step(w.svc, "acme", inv.ID, "bob", invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", "requesting_user_id"})
	step(w.svc, "other", inv.ID, "zoe", invitation.ErrNotFound, refusal{404, "resource_not_found", "invitation_id"}) // C6
	step(w.svc, "acme", "orginv_missing", "ann", invitation.ErrNotFound, refusal{404, "resource_not_found", "invitation_id"})
	w.clock.Set(inv.ExpiresAt)
	step(w.svc, "acme", inv.ID, "ann", invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
	w.clock.Set(noon)
	_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err) // the back end needs no member
	step(w.svc, "acme", inv.ID, "ann", invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
	other := w.invite("dora@example.com")
	w.is.NoErr(w.accept(byIDs(other, "dora")))
	step(w.svc, "acme", other.ID, "ann", invitation.ErrNotPending, refusal{404, "organization_invitation_not_pending", ""})
}

// A manager may revoke an invitation into a role that they may not grant.
func TestRevokeNeedsNoGrant(t *testing.T) {
	roles, err := invitation.NewRoles(invitation.RoleDefinition{Key: invitation.RoleAdmin}, invitation.RoleDefinition{Key: "org:clerk", Manages: true})
	if err != nil {
		t.Fatal(err)
	}
	w := setup(t, &invitation.Config{Roles: roles})
	w.host.AddMember("acme", "bob", "org:clerk")
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "carl@example.com", Role: invitation.RoleAdmin})
	w.is.NoErr(err)
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "dora@example.com", Role: invitation.RoleAdmin, InviterUserID: "bob"})
	w.is.True(errors.Is(err, invitation.ErrForbidden))
	_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "bob"})
	w.is.NoErr(err)
}
