package invitation_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

const sales = invitation.Role("org:sales")

// salesRoles returns the default roles and one whose members manage what they sent: they may invite members.
func salesRoles(t testing.TB) *invitation.Roles {
	t.Helper()
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: invitation.RoleAdmin, Name: "Admin", Manages: true,
			Grants: []invitation.Role{invitation.RoleAdmin, sales, invitation.RoleMember}},
		invitation.RoleDefinition{Key: sales, Name: "Sales", ManagesOwn: true,
			Grants: []invitation.Role{invitation.RoleMember}},
		invitation.RoleDefinition{Key: invitation.RoleMember, Name: "Member"})
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

// selling returns a world in which bob manages his own invitations. He sent bobs; ann sent anns.
func selling(t *testing.T, cfg invitation.Config) (w *world, bobs, anns invitation.Invitation) {
	t.Helper()
	cfg.Roles = salesRoles(t)
	if cfg.ResendAfter == 0 {
		cfg.ResendAfter = -1
	}
	w = setup(t, &cfg)
	w.host.AddMember("acme", "bob", sales)
	anns = w.invite("carl@example.com")
	w.clock.Advance(time.Minute)
	bobs, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dora@example.com", Role: invitation.RoleMember, InviterUserID: "bob",
	})
	w.is.NoErr(err)
	return w, bobs, anns
}

// A user who manages their own invitations does with them what a manager does with all.
func TestManagesOwn(t *testing.T) {
	w, inv, _ := selling(t, invitation.Config{ManagersSeeLinks: true})
	bob := w.svc.As("bob")
	got, err := bob.Get(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	w.is.Equal(got.InviterUserID, "bob")
	_, err = bob.Link(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	_, err = bob.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	_, err = bob.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{PublicMetadata: mustMetadata(t, `{"team":"x"}`)})
	w.is.NoErr(err)
	inv, err = bob.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dora@example.com", Role: invitation.RoleMember, Replace: true,
	})
	w.is.NoErr(err) // he may replace his own
	_, err = bob.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	inv, err = bob.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "dora@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	w.is.NoErr(w.accept(byTicket(t, inv, "dora"))) // and his authority is enough at acceptance
	n, err := bob.RevokeAll(w.ctx, invitation.RevokeAllParams{OrganizationID: "acme", InviterUserID: "bob"})
	w.is.NoErr(err)
	w.is.Equal(n, 0) // nothing of his is pending any more
}

// Lists of such a user have their own invitations alone, in every page, order and total.
func TestManagesOwnLists(t *testing.T) {
	w, first, _ := selling(t, invitation.Config{})
	var want []string
	for _, email := range []string{"a@example.com", "b@example.com", "c@example.com"} {
		for _, inviter := range []string{"bob", "ann", ""} {
			w.clock.Advance(time.Minute)
			inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: inviter + email, Role: invitation.RoleMember, InviterUserID: inviter,
			})
			w.is.NoErr(err)
			if inviter == "bob" {
				want = append([]string{inv.ID}, want...)
			}
		}
	}
	want = append(want, first.ID)
	bob := w.svc.As("bob")
	var listed []string
	for p := (invitation.ListParams{Limit: 3}); ; {
		page, err := bob.List(w.ctx, "acme", p)
		w.is.NoErr(err)
		w.is.Equal(page.TotalCount, 4)
		for _, inv := range page.Data {
			listed = append(listed, inv.ID)
		}
		if p.Cursor = page.NextCursor; p.Cursor == "" {
			break
		}
	}
	w.is.Equal(listed, want)
	var each []string
	for inv, err := range bob.Each(w.ctx, "acme", invitation.ListParams{}) {
		w.is.NoErr(err)
		each = append(each, inv.ID)
	}
	w.is.Equal(each, want)
	counts, err := bob.Counts(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(counts[invitation.StatusPending], 4)
	counts, err = bob.Counts(w.ctx, "acme", invitation.ListParams{InviterUserID: "ann"})
	w.is.NoErr(err)
	w.is.Equal(counts[invitation.StatusPending], 0) // a filter cannot widen what he sees
	anns, err := bob.List(w.ctx, "acme", invitation.ListParams{InviterUserID: "ann"})
	w.is.NoErr(err)
	w.is.Equal(anns.TotalCount, 0)
	own, err := bob.List(w.ctx, "acme", invitation.ListParams{InviterUserID: "bob"})
	w.is.NoErr(err)
	w.is.Equal(own.TotalCount, 4)
	page, err := bob.ListPending(w.ctx, "acme", 10, 0)
	w.is.NoErr(err)
	w.is.Equal(page.TotalCount, 4)
	all, err := w.svc.List(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(all.TotalCount, 11) // the back end sees all of them
	all, err = w.svc.As("ann").List(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(all.TotalCount, 11) // as does a manager
}

// A manager who resends an invitation takes it over.
func TestManagesOwnNoMore(t *testing.T) {
	w, inv, _ := selling(t, invitation.Config{})
	_, err := w.resend(inv, "ann")
	w.is.NoErr(err)
	_, err = w.svc.As("bob").Get(w.ctx, "acme", inv.ID)
	w.is.True(errors.Is(err, invitation.ErrNotFound))
}

// Bob may invite members alone. He invites an admin, or makes an admin of an invitation: his own, or ann's.
func threatOwnCeiling(t *testing.T, _ *world) {
	w, bobs, anns := selling(t, invitation.Config{})
	bob := w.svc.As("bob")
	notAdmin := func(param string) []refusal { return []refusal{{403, "not_an_admin_in_organization", param}} }
	for _, role := range []invitation.Role{invitation.RoleAdmin, sales} { // nor his own role, which he does not list
		w.refuses(invitation.ErrForbidden, notAdmin("role"), func() error {
			_, err := bob.Create(w.ctx, "acme", invitation.CreateParams{EmailAddress: "x@example.com", Role: role})
			return err
		})
		w.refuses(invitation.ErrForbidden, notAdmin("[1].role"), func() error {
			_, err := bob.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
				{EmailAddress: "x@example.com", Role: invitation.RoleMember}, {EmailAddress: "y@example.com", Role: role}})
			return err
		})
		w.refuses(invitation.ErrForbidden, notAdmin("role"), func() error {
			_, err := bob.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "dora@example.com", Role: role, Replace: true,
			})
			return err
		})
		w.refuses(invitation.ErrForbidden, notAdmin(""), func() error {
			_, err := bob.Update(w.ctx, "acme", bobs.ID, invitation.UpdateParams{Role: role})
			return err
		})
		w.refuses(invitation.ErrForbidden, notAdmin(""), func() error {
			_, err := bob.Resend(w.ctx, "acme", bobs.ID, invitation.ResendParams{Role: role})
			return err
		})
		w.refuses(invitation.ErrNotFound, []refusal{{404, "resource_not_found", "invitation_id"}}, func() error {
			_, err := bob.Update(w.ctx, "acme", anns.ID, invitation.UpdateParams{Role: role})
			return err
		})
	}
	// An admin made bob's invitation one for an admin, and ann is its inviter now: it is no longer his.
	_, err := w.svc.Update(w.ctx, "acme", bobs.ID, invitation.UpdateParams{
		Role: invitation.RoleAdmin, RequestingUserID: "ann",
	})
	w.is.NoErr(err)
	w.refuses(invitation.ErrNotFound, []refusal{{404, "resource_not_found", "invitation_id"}}, func() error {
		_, err := bob.Resend(w.ctx, "acme", bobs.ID, invitation.ResendParams{})
		return err
	})
	// The back end gave it a role that bob may not grant, and left bob the inviter.
	again, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "e@example.com", Role: invitation.RoleMember, InviterUserID: "bob",
	})
	w.is.NoErr(err)
	w.refuses(invitation.ErrForbidden, []refusal{{403, "not_allowed_access", ""}}, func() error {
		_, err := w.svc.Update(w.ctx, "acme", again.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
		return err
	})
}

// Bob reaches ann's invitation on another way: without As but named as the requesting user, by replacing it, by
// RevokeAll, or after it has expired.
func threatOwnSecondPath(t *testing.T, _ *world) {
	w, bobs, anns := selling(t, invitation.Config{})
	notFound := []refusal{{404, "resource_not_found", "invitation_id"}}
	for _, expired := range []bool{false, true} {
		if expired {
			w.clock.Set(anns.ExpiresAt)
		}
		w.refuses(invitation.ErrNotFound, notFound, func() error { _, err := w.resend(anns, "bob"); return err })
		w.refuses(invitation.ErrNotFound, notFound, func() error {
			_, err := w.svc.Update(w.ctx, "acme", anns.ID, invitation.UpdateParams{RequestingUserID: "bob"})
			return err
		})
		w.refuses(invitation.ErrNotFound, notFound, func() error {
			_, err := w.svc.Revoke(w.ctx, "acme", anns.ID, invitation.RevokeParams{RequestingUserID: "bob"})
			return err
		})
		if expired {
			break
		}
		for _, svc := range []*invitation.Service{w.svc, w.svc.As("bob")} {
			p := invitation.CreateParams{
				EmailAddress: "Carl@example.com", Role: invitation.RoleMember, InviterUserID: "bob", Replace: true,
			}
			for _, call := range []func() error{
				func() error { _, err := svc.Create(w.ctx, "acme", p); return err },
				func() error { return svc.CanInvite(w.ctx, "acme", p) },
				func() error {
					results, err := svc.CreateEach(w.ctx, "acme", []invitation.CreateParams{p})
					w.is.NoErr(err)
					return results[0].Err
				},
			} {
				w.refuses(invitation.ErrDuplicate, []refusal{
					{400, "organization_invitation_not_unique", "email_address"},
				}, call)
			}
			w.refuses(invitation.ErrDuplicate, []refusal{{400, "duplicate_record", "[1].email_address"}}, func() error {
				_, err := svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
					{EmailAddress: "dora@example.com", Role: invitation.RoleMember, InviterUserID: "bob", Replace: true},
					{EmailAddress: "carl@example.com", Role: invitation.RoleMember, InviterUserID: "bob", Replace: true},
				})
				return err
			})
		}
		for _, p := range []invitation.RevokeAllParams{
			{OrganizationID: "acme", InviterUserID: "ann"},
			{OrganizationID: "acme", InviterUserID: "ann", EmailAddresses: []string{"carl@example.com"}},
			{OrganizationID: "acme", EmailAddresses: []string{"carl@example.com"}, RequestingUserID: "bob"},
		} {
			p.RequestingUserID = "bob"
			n, err := w.svc.RevokeAll(w.ctx, p)
			w.is.NoErr(err)
			w.is.Equal(n, 0)
		}
	}
	w.is.Equal(w.get(anns).Status, invitation.StatusExpired) // nobody revoked it
	w.clock.Set(anns.ExpiresAt.Add(-time.Second))
	n, err := w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{
		OrganizationID: "acme", EmailAddresses: []string{"carl@example.com", "dora@example.com"}, RequestingUserID: "bob",
	})
	w.is.NoErr(err)
	w.is.Equal(n, 1) // his own
	w.is.Equal(w.get(bobs).Status, invitation.StatusRevoked)
	w.is.Equal(w.get(anns).Status, invitation.StatusPending)
}

// An operation about one invitation shows or changes ann's for bob. It must answer as if it did not exist.
func threatOwnSibling(t *testing.T, _ *world) {
	w, bobs, anns := selling(t, invitation.Config{ManagersSeeLinks: true})
	bob := w.svc.As("bob")
	missing := anns
	missing.ID = "missing"
	for name, call := range operations(w, bob, anns) {
		before := w.stored()
		err := call()
		switch name {
		case "Get", "Link", "Resend", "Update", "Revoke":
			if !errors.Is(err, invitation.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			as := operations(w, bob, missing)[name]()
			w.is.Equal(err.Error(), as.Error()) // nor can he tell that it is there
		case "List", "ListPending", "Each", "RevokeAll":
			w.is.NoErr(err) // TestManagesOwnLists and C15 test what they find
		case "Create", "CreateBulk":
			w.is.NoErr(err)
			continue
		case "Preview", "Accept", "Decline", "ListForUser", "LockOrganization":
			continue // not for managers
		default: // for the back end alone
			if !errors.Is(err, invitation.ErrForbidden) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.is.Equal(w.stored(), before)
	}
	w.host.AddMember("acme", "bob", invitation.RoleMember) // demoted: his own are closed to him too
	for name, call := range operations(w, bob, bobs) {
		switch name {
		case "Preview", "Accept", "Decline", "ListForUser", "LockOrganization":
			continue
		}
		if err := call(); !errors.Is(err, invitation.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An error tells a user who manages only their own invitations nothing about the number of the others.
func TestManagesOwnQuota(t *testing.T) {
	var told []string
	for _, others := range []int{3, 5} {
		w := setup(t, nil)
		for i := range others {
			w.invite(fmt.Sprintf("other%d@example.com", i))
		}
		w.host.AddMember("acme", "carl", "lead")
		svc := w.service(w.host, &invitation.Config{Roles: leadsAndGuests(t), MaxPending: 3})
		err := svc.As("carl").CanInvite(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "a@example.com", Role: invitation.RoleMember})
		if !errors.Is(err, invitation.ErrQuotaExceeded) {
			t.Fatal(err)
		}
		told = append(told, string(invitation.ErrorBody(err)))
	}
	if told[0] != told[1] {
		t.Errorf("carl, who has sent nothing, learns how many invitations others have sent:\n%s\n%s", told[0], told[1])
	}
}
