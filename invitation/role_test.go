package invitation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
)

func TestNewRolesRefuses(t *testing.T) {
	admin := invitation.RoleDefinition{
		Key: "org:admin", Manages: true, Grants: []invitation.Role{"org:admin", "org:member"},
	}
	member := invitation.RoleDefinition{Key: "org:member"}
	for name, tt := range map[string]struct {
		defs  []invitation.RoleDefinition
		param string
		say   string
	}{
		"nothing":            {nil, "Roles", "define at least one"},
		"an empty key":       {[]invitation.RoleDefinition{member, {}}, "[1].Key", "required"},
		"a long key":         {[]invitation.RoleDefinition{{Key: invitation.Role(strings.Repeat("k", 65))}}, "[0].Key", "64"},
		"control characters": {[]invitation.RoleDefinition{{Key: "org:\x00"}}, "[0].Key", "control"},
		"a key twice":        {[]invitation.RoleDefinition{member, member}, "[1].Key", "twice"},
		"an undefined grant": {[]invitation.RoleDefinition{admin}, "[0].Grants", `"org:member", which is not defined`},
		"grants without manages": {
			[]invitation.RoleDefinition{
				{Key: "org:x", Grants: []invitation.Role{"org:member"}}, member,
			}, "[0].Grants", "set Manages"},
		"both kinds of manager": {
			[]invitation.RoleDefinition{{Key: "org:x", Manages: true, ManagesOwn: true}}, "[0].ManagesOwn", "drop one",
		},
		"a grant of a role that manages more": {
			[]invitation.RoleDefinition{
				{Key: "org:x", Manages: true}, {Key: "org:y", ManagesOwn: true, Grants: []invitation.Role{"org:x"}},
			}, "[1].Grants", "manages all invitations"},
		"a seat from a guest": {
			[]invitation.RoleDefinition{
				member, {Key: "org:guest", ManagesOwn: true, Seatless: true, Grants: []invitation.Role{"org:member"}},
			}, "[1].Grants", "takes a seat"},
		"a grant above oneself": {
			[]invitation.RoleDefinition{admin, member, {Key: "org:lead", Manages: true, Grants: []invitation.Role{"org:admin"}}},
			"[2].Grants", "exceeds its granter"},
		"a manager without a seat": {
			[]invitation.RoleDefinition{{Key: "org:guest", Seatless: true, Manages: true}}, "[0].Seatless", "drop Seatless",
		},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			roles, err := invitation.NewRoles(tt.defs...)
			is.True(roles == nil)
			is.True(errors.Is(err, invitation.ErrInvalid))
			var e *invitation.Error
			is.True(errors.As(err, &e))
			is.Equal(e.Param, tt.param)
			is.True(strings.Contains(err.Error(), tt.say)) // the text says what to do
		})
	}
}

func TestNewRolesNamesEveryFailure(t *testing.T) {
	is := is.New(t)
	_, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "a", Grants: []invitation.Role{"x"}}, invitation.RoleDefinition{Key: "a"})
	var errs invitation.Errors
	is.True(errors.As(err, &errs))
	is.Equal(len(errs), 3) // twice, without Manages, not defined
}

func TestRolesAreImmutable(t *testing.T) {
	w := setup(t, nil)
	grants := []invitation.Role{"org:member"}
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "org:admin", Manages: true, Grants: grants},
		invitation.RoleDefinition{Key: "org:member"}, invitation.RoleDefinition{Key: "org:owner"})
	w.is.NoErr(err)
	grants[0] = "org:owner"
	w = setup(t, &invitation.Config{Roles: roles})
	_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "x@example.com", Role: "org:owner", InviterUserID: "ann",
	})
	w.is.True(errors.Is(err, invitation.ErrForbidden)) // later changes of the slice have no effect
}

// DefaultRoles and LegacyRoles satisfy NewRoles, and match their documentation.
func TestFixedRoles(t *testing.T) {
	is := is.New(t)
	for _, tt := range []struct {
		roles         *invitation.Roles
		admin, member invitation.Role
		granted       []invitation.Role
	}{
		{invitation.DefaultRoles(), invitation.RoleAdmin, invitation.RoleMember,
			[]invitation.Role{invitation.RoleAdmin, invitation.RoleMember}},
		{invitation.LegacyRoles(), "admin", "basic_member", []invitation.Role{"admin", "basic_member", "guest_member"}},
	} {
		w := setup(t, &invitation.Config{Roles: tt.roles})
		w.host.AddMember("acme", "ann", tt.admin)
		w.host.AddMember("acme", "bob", tt.member)
		for i, role := range tt.granted {
			inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: string(rune('a'+i)) + "@example.org", Role: role, InviterUserID: "ann"})
			is.NoErr(err) // an admin grants every role
			is.Equal(inv.RoleName, map[int]string{0: "Admin", 1: "Member", 2: "Guest"}[i])
		}
		_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "z@example.org", Role: tt.member, InviterUserID: "bob"})
		is.True(errors.Is(err, invitation.ErrForbidden)) // a member grants none
	}
}
