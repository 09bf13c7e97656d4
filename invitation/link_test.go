package invitation_test

import (
	"errors"
	"testing"

	"github.com/orginvite/orginvite/invitation"
)

// Link returns no link that Accept would refuse, so that a worker never mails one.
func TestNoDeadLinks(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	link := func(svc *invitation.Service) error { _, err := svc.Link(w.ctx, "acme", inv.ID); return err }
	denied := []refusal{{403, "not_allowed_access", ""}}
	for name, lose := range map[string]func() *invitation.Service{
		"the inviter is gone": func() *invitation.Service { w.host.RemoveMember("acme", "ann"); return w.svc },
		"the inviter was demoted": func() *invitation.Service {
			w.host.AddMember("acme", "ann", invitation.RoleMember)
			return w.svc
		},
		"the role is gone": func() *invitation.Service {
			roles, err := invitation.NewRoles(invitation.RoleDefinition{
				Key: invitation.RoleAdmin, Manages: true, Grants: []invitation.Role{invitation.RoleAdmin},
			})
			w.is.NoErr(err)
			return w.service(w.host, &invitation.Config{Roles: roles, IgnoreInviterAuthority: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.host.AddMember("acme", "ann", invitation.RoleAdmin)
			w.is.NoErr(link(w.svc))
			svc := lose()
			w.refuses(invitation.ErrForbidden, denied, func() error { return link(svc) })
		})
	}
	w.host.RemoveMember("acme", "ann")
	w.is.NoErr(link(w.service(w.host, &invitation.Config{IgnoreInviterAuthority: true})))
	boom := errors.New("boom")
	err := link(w.service(&failing{Host: w.host, role: boom}, nil))
	w.is.True(errors.Is(err, boom) && !errors.Is(err, invitation.ErrForbidden))
}

// What Link says to a program.
func TestLinkRefuses(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	for name, tt := range map[string]struct {
		svc      *invitation.Service
		org, id  string
		sentinel error
		want     []refusal
	}{
		"no ids": {w.svc, "", "", invitation.ErrInvalid, []refusal{
			{422, "form_param_missing", "organization_id"}, {422, "form_param_missing", "invitation_id"},
		}},
		"no such id": {w.svc, "acme", "missing", invitation.ErrNotFound, []refusal{
			{404, "resource_not_found", "invitation_id"},
		}},
		"a manager": {w.svc.As("ann"), "acme", inv.ID, invitation.ErrForbidden, []refusal{{403, "not_allowed_access", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(tt.sentinel, tt.want, func() error { _, err := tt.svc.Link(w.ctx, tt.org, tt.id); return err })
		})
	}
	w.clock.Set(inv.ExpiresAt)
	w.refuses(invitation.ErrNotPending, []refusal{{404, "organization_invitation_not_pending", ""}}, func() error {
		_, err := w.svc.Link(w.ctx, "acme", inv.ID)
		return err
	})
}

// Link gives nobody a link into a role they could not grant (C08).
func TestLinkHasACeiling(t *testing.T) {
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{
			Key: invitation.RoleAdmin, Manages: true, Grants: []invitation.Role{invitation.RoleAdmin, invitation.RoleMember},
		},
		invitation.RoleDefinition{Key: "org:lead", Manages: true, Grants: []invitation.Role{invitation.RoleMember}},
		invitation.RoleDefinition{Key: invitation.RoleMember})
	if err != nil {
		t.Fatal(err)
	}
	w := setup(t, &invitation.Config{Roles: roles, ManagersSeeLinks: true})
	w.host.AddMember("acme", "bob", "org:lead")
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleAdmin,
	})
	w.is.NoErr(err)
	w.refuses(invitation.ErrForbidden, []refusal{{403, "not_an_admin_in_organization", ""}}, func() error {
		_, err := w.svc.As("bob").Link(w.ctx, "acme", inv.ID)
		return err
	})
	link, err := w.svc.As("ann").Link(w.ctx, "acme", inv.ID)
	w.is.NoErr(err)
	w.is.Equal(link, inv.URL)
	member := w.invite("dora@example.com")
	_, err = w.svc.As("bob").Link(w.ctx, "acme", member.ID)
	w.is.NoErr(err)
}
