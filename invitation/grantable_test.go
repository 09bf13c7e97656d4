package invitation_test

import (
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// keysOf returns the keys of roles.
func keysOf(defs []invitation.RoleDefinition) []invitation.Role {
	keys := []invitation.Role{}
	for _, d := range defs {
		keys = append(keys, d.Key)
	}
	return keys
}

func TestRolesTellTheirDefinitions(t *testing.T) {
	is := is.New(t)
	grants := []invitation.Role{"org:z", "org:a"}
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "org:z", Name: "Last"},
		invitation.RoleDefinition{Key: "org:m", Manages: true, Grants: grants},
		invitation.RoleDefinition{Key: "org:a", Name: "First"})
	is.NoErr(err)
	want := []invitation.RoleDefinition{
		{Key: "org:z", Name: "Last"},
		{Key: "org:m", Name: "org:m", Manages: true, Grants: grants},
		{Key: "org:a", Name: "First"},
	}
	is.Equal(roles.All(), want) // in the order of NewRoles, and always with a name
	for _, d := range want {
		got, ok := roles.Definition(d.Key)
		is.True(ok)
		is.Equal(got, d)
	}
	_, ok := roles.Definition("org:none")
	is.True(!ok)

	roles.All()[1].Grants[0] = "org:m"
	d, _ := roles.Definition("org:m")
	d.Grants[1] = "org:m"
	is.Equal(roles.All(), want) // nobody else can change them

	again, err := invitation.NewRoles(roles.All()...)
	is.NoErr(err)
	is.Equal(again.All(), want)
	is.Equal(len((*invitation.Roles)(nil).All()), 0)
	_, ok = (*invitation.Roles)(nil).Definition("org:m")
	is.True(!ok)
}

func TestGrantable(t *testing.T) {
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "guest", Name: "Guest"},
		invitation.RoleDefinition{Key: "owner", Manages: true, Grants: []invitation.Role{"owner", "lead", "guest", "viewer"}},
		invitation.RoleDefinition{Key: "lead", Manages: true, Grants: []invitation.Role{"guest"}},
		invitation.RoleDefinition{Key: "viewer", Manages: true})
	if err != nil {
		t.Fatal(err)
	}
	w := setup(t, &invitation.Config{Roles: roles})
	for user, role := range map[string]invitation.Role{
		"ann": "owner", "bob": "guest", "carl": "lead", "dora": "viewer", "zoe": "retired",
	} {
		w.host.AddMember("acme", user, role)
	}
	w.host.AddUser("eve", "eve@example.com")
	all := []invitation.Role{"guest", "owner", "lead", "viewer"}
	for user, want := range map[string][]invitation.Role{
		"ann": all, "": all, "carl": {"guest"}, "bob": {}, "dora": {}, "zoe": {},
	} {
		got, err := w.svc.Grantable(w.ctx, "acme", user)
		w.is.NoErr(err)
		w.is.Equal(keysOf(got), want)
		w.is.True(got != nil)
		if user == "" {
			continue // through As nobody is the back end
		}
		for _, named := range []string{"", user} {
			as, err := w.svc.As(user).Grantable(w.ctx, "acme", named)
			w.is.NoErr(err)
			w.is.Equal(as, got)
		}
	}
	got, err := w.svc.Grantable(w.ctx, "acme", "carl")
	w.is.NoErr(err)
	w.is.Equal(got, []invitation.RoleDefinition{{Key: "guest", Name: "Guest"}})

	for _, tt := range []struct {
		svc      *invitation.Service
		org      string
		user     string
		sentinel error
		want     refusal
	}{
		{w.svc, "acme", "eve", invitation.ErrNotMember, refusal{403, "not_a_member_in_organization", "user_id"}},
		{w.svc.As("carl"), "acme", "ann", invitation.ErrForbidden, refusal{403, "not_allowed_access", "user_id"}},
		{w.svc.As(""), "acme", "", invitation.ErrForbidden, refusal{401, "not_allowed_access", "user_id"}},
		{w.svc, "", "ann", invitation.ErrInvalid, refusal{422, "form_param_missing", "organization_id"}},
		{w.svc, "acme", "\x00", invitation.ErrInvalid, refusal{422, "form_param_format_invalid", "user_id"}},
	} {
		w.refuses(tt.sentinel, []refusal{tt.want}, func() error {
			roles, err := tt.svc.Grantable(w.ctx, tt.org, tt.user)
			w.is.Equal(len(roles), 0)
			return err
		})
	}

	boom := errors.New("boom")
	svc := w.service(&failing{Host: w.host, role: boom}, nil)
	_, err = svc.Grantable(w.ctx, "acme", "ann")
	w.is.True(errors.Is(err, boom) && refusals(err) == nil)
	svc = w.service(&failing{Host: w.host, role: storage.ErrNotFound}, nil)
	_, err = svc.Grantable(w.ctx, "acme", "ann")
	w.is.Equal(refusals(err), []refusal{{404, "resource_not_found", "organization_id"}})
}
