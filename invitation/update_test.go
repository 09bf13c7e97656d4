package invitation_test

import (
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

// A patch that changes only white space changes nothing.
func TestUpdateOfWhiteSpace(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.PublicMetadata = mustMetadata(t, `{ "a" : 1 }`) }),
	)
	w.is.NoErr(err)
	for _, patch := range []string{`{"a":1}`, `{"x":null}`} {
		got, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{PublicMetadata: mustMetadata(t, patch)})
		w.is.NoErr(err)
		w.is.Equal(got, inv)
	}
	w.is.Equal(len(w.events), 1)
	// An object that the patch does not change keeps its bytes.
	patch := invitation.UpdateParams{
		PublicMetadata: mustMetadata(t, `{"a":1,"x":null}`), PrivateMetadata: mustMetadata(t, `{"b":2}`),
	}
	got, err := w.svc.Update(w.ctx, "acme", inv.ID, patch)
	w.is.NoErr(err)
	w.is.Equal(text(t, got.PublicMetadata), `{ "a" : 1 }`)
	w.is.Equal(text(t, got.PrivateMetadata), `{"b":2}`)
}

func TestUpdate(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "carl@example.com",
		Role: invitation.RoleMember, InviterUserID: "ann",
		PublicMetadata: mustMetadata(t, `{"z":9007199254740993,"a":1}`), PrivateMetadata: mustMetadata(t, `{"p":1}`)})
	w.is.NoErr(err)
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	w.clock.Advance(time.Hour)
	w.events = nil
	got, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		RequestingUserID: "bob", PublicMetadata: mustMetadata(
			t, `{"a":null,"b":2}`,
		), PrivateMetadata: mustMetadata(t, `{"q":2}`), Terms: inv.Terms})
	w.is.NoErr(err)
	want := inv
	want.Terms, want.UpdatedAt = got.Terms, noon.Add(time.Hour)
	want.PublicMetadata, want.PrivateMetadata = mustMetadata(
		t, `{"z":9007199254740993,"b":2}`,
	), mustMetadata(t, `{"p":1,"q":2}`)
	w.is.Equal(got, want) // metadata alone leaves inviter and link as they are
	want.URL = ""
	w.is.Equal(w.get(inv), want)
	w.is.Equal(w.events, []invitation.Event{
		{Type: invitation.EventUpdated, At: noon.Add(time.Hour), ActorID: "bob", Invitation: want},
	})

	// An update that changes nothing writes nothing.
	same, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		Role: invitation.RoleMember, PublicMetadata: mustMetadata(t, `{"b":2}`),
	})
	w.is.NoErr(err)
	w.is.Equal(same, got)
	w.is.Equal(len(w.events), 1)

	// Another role: nobody accepts what they were not shown (C07).
	w.clock.Advance(time.Hour)
	got, err = w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
		RequestingUserID: "bob", Role: invitation.RoleAdmin,
	})
	w.is.NoErr(err)
	w.is.Equal(got.Role, invitation.RoleAdmin)
	w.is.Equal(got.InviterUserID, "bob")
	w.is.Equal(got.SentAt, noon.Add(2*time.Hour))
	w.is.Equal(got.ExpiresAt, inv.ExpiresAt)
	w.refuses(invitation.ErrInvalidTicket, []refusal{
		{400, "ticket_invalid_code", ""},
	}, func() error { return w.accept(byTicket(t, inv, "carl")) })
	shown := byIDs(inv, "carl")
	shown.Terms = want.Terms
	w.refuses(invitation.ErrChanged, []refusal{
		{409, "resource_conflict", "terms"},
	}, func() error { return w.accept(shown) })
	w.is.NoErr(w.accept(byTicket(t, got, "carl")))
	w.is.Equal(w.host.Members("acme")[2].Role, invitation.RoleAdmin)
}

func TestUpdateRefusesInOrder(t *testing.T) {
	w := setup(t, &invitation.Config{Roles: ladder(t), MaxMetadata: 20})
	w.host.AddMember("acme", "ann", "org:owner")
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	admin, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleAdmin, InviterUserID: "ann",
	})
	w.is.NoErr(err)
	member, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "dora@example.com",
		Role: invitation.RoleMember, InviterUserID: "bob",
		PrivateMetadata: mustMetadata(t, `{"a":"1234567"}`)})
	w.is.NoErr(err)
	step := func(org, id string, p invitation.UpdateParams, sentinel error, want ...refusal) {
		t.Helper()
		w.refuses(sentinel, want, func() error { _, err := w.svc.Update(w.ctx, org, id, p); return err })
	}
	step("", "", invitation.UpdateParams{Role: "org:king"}, invitation.ErrInvalid, refusal{
		422, "form_param_missing", "organization_id",
	},
		refusal{422, "form_param_missing", "invitation_id"}, refusal{404, "resource_not_found", "role"})
	step("other", admin.ID, invitation.UpdateParams{RequestingUserID: "bob"}, invitation.ErrNotMember, refusal{
		403, "not_a_member_in_organization", "requesting_user_id",
	})
	step("other", admin.ID, invitation.UpdateParams{}, invitation.ErrNotFound, refusal{
		404, "resource_not_found", "invitation_id",
	})
	step("acme", admin.ID, invitation.UpdateParams{
		RequestingUserID: "bob", Role: invitation.RoleMember, Terms: "others",
	}, invitation.ErrChanged, refusal{409, "resource_conflict", "terms"})
	denied := refusal{403, "not_an_admin_in_organization", ""}
	// the old role
	step("acme", admin.ID, invitation.UpdateParams{
		RequestingUserID: "bob", Role: invitation.RoleMember,
	}, invitation.ErrForbidden, denied)
	step("acme", admin.ID, invitation.UpdateParams{
		RequestingUserID: "bob", PublicMetadata: mustMetadata(t, `{"a":1}`),
	}, invitation.ErrForbidden, denied)
	// the new role
	step("acme", member.ID, invitation.UpdateParams{
		RequestingUserID: "bob", Role: invitation.RoleAdmin,
	}, invitation.ErrForbidden, denied)
	// the inviter could not
	step("acme", member.ID, invitation.UpdateParams{Role: invitation.RoleAdmin}, invitation.ErrForbidden, refusal{
		403, "not_allowed_access", "",
	})
	step("acme", member.ID, invitation.UpdateParams{PrivateMetadata: mustMetadata(t, `{"b":123}`)}, invitation.ErrInvalid,
		refusal{422, "form_param_exceeds_allowed_size", "private_metadata"}) // the merged size counts
	step("other", "missing", invitation.UpdateParams{
		RequestingUserID: "bob", PrivateMetadata: mustMetadata(t, `{"a":null,"b":"1234567"}`),
	}, invitation.ErrInvalid,
		// so does the size of the patch, before anything is read
		refusal{422, "form_param_exceeds_allowed_size", "private_metadata"})
	_, err = w.svc.Update(w.ctx, "acme", member.ID, invitation.UpdateParams{
		PrivateMetadata: mustMetadata(t, `{"a":null,"b":12}`),
	})
	w.is.NoErr(err)
	w.clock.Set(member.ExpiresAt)
	step("acme", member.ID, invitation.UpdateParams{Terms: "others"}, invitation.ErrNotPending, refusal{
		404, "organization_invitation_not_pending", "",
	})
}
