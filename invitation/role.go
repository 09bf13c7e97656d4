package invitation

import (
	"fmt"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// Role is the key of a role that a member has in an organization, such as "org:admin". At most 64 bytes.
type Role string

// The keys of [DefaultRoles], as in Clerk's API.
const (
	RoleAdmin  Role = "org:admin"  // manages invitations and grants both roles
	RoleMember Role = "org:member" // does not manage invitations
)

// RoleDefinition defines a role, and what members with the role may do with invitations.
type RoleDefinition struct {
	Key  Role   // unique
	Name string // for people, such as "Member"; "" means the key

	// Manages lets members with the role create, list, resend, update and revoke invitations.
	Manages bool

	// Grants are the roles that members with the role may invite others into. The list is complete: nothing is implied,
	// not even the role itself. Grants require Manages.
	Grants []Role
}

// Roles is the set of roles of an application. Create one with [NewRoles]. It is immutable and safe for concurrent use.
// [NewService] refuses the zero value.
type Roles struct {
	defs map[Role]RoleDefinition
}

// NewRoles returns a set of roles. The error is an [*Error] or [Errors] that wraps [ErrInvalid] and names the
// definition. NewRoles refuses:
//
//   - no definitions
//   - a key that is empty, too long, or defined twice
//   - Grants without Manages
//   - a grant of a role that is not defined
//   - a definition that grants role B but not every role that B grants, since otherwise a member could invite a second
//     address of their own as B, and grant the missing roles with the account of that address
func NewRoles(defs ...RoleDefinition) (*Roles, error) {
	var errs Errors
	if len(defs) == 0 {
		errs = append(errs, problemMissing.about("Roles", "is empty; define at least one role"))
	}
	r := &Roles{defs: make(map[Role]RoleDefinition, len(defs))}
	for i, d := range defs {
		key := fmt.Sprintf("[%d].Key", i)
		if e := checkText(key, string(d.Key), storage.MaxRole); e != nil {
			errs = append(errs, e)
			continue
		}
		if _, twice := r.defs[d.Key]; twice {
			errs = append(errs, problemValue.about(key, fmt.Sprintf("is %s, which is defined twice; drop one", quoted(d.Key))))
			continue
		}
		d.Grants = slices.Clone(d.Grants)
		r.defs[d.Key] = d
	}
	for i, d := range defs {
		errs = append(errs, r.checkGrants(fmt.Sprintf("[%d].Grants", i), d)...)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return r, nil
}

// checkGrants checks the Grants of a definition against the other definitions.
func (r *Roles) checkGrants(param string, d RoleDefinition) Errors {
	var errs Errors
	refuse := func(format string, args ...any) {
		errs = append(errs, problemValue.about(param, fmt.Sprintf(format, args...)))
	}
	if len(d.Grants) > 0 && !d.Manages {
		refuse("is of %s, which does not manage; set Manages or drop Grants", quoted(d.Key))
	}
	for _, g := range d.Grants {
		granted, ok := r.defs[g]
		if !ok {
			refuse("(of %s) has %s, which is not defined; define it or drop it", quoted(d.Key), quoted(g))
			continue
		}
		for _, further := range granted.Grants {
			if !slices.Contains(d.Grants, further) {
				refuse("(of %s) has %s, which grants %s and so exceeds its granter; let %[1]s grant %[3]s too",
					quoted(d.Key), quoted(g), quoted(further))
			}
		}
	}
	return errs
}

// DefaultRoles returns the default roles of Clerk's API: an admin, who manages invitations and grants both roles, and a
// member.
func DefaultRoles() *Roles {
	roles, _ := NewRoles( // never an error, as a test shows
		RoleDefinition{Key: RoleAdmin, Name: "Admin", Manages: true, Grants: []Role{RoleAdmin, RoleMember}},
		RoleDefinition{Key: RoleMember, Name: "Member"})
	return roles
}

// LegacyRoles returns the roles that older Clerk instances use: admin, basic_member and guest_member. Only admin
// manages invitations, and it grants all three roles.
func LegacyRoles() *Roles {
	roles, _ := NewRoles(
		RoleDefinition{Key: "admin", Name: "Admin", Manages: true, Grants: []Role{"admin", "basic_member", "guest_member"}},
		RoleDefinition{Key: "basic_member", Name: "Member"},
		RoleDefinition{Key: "guest_member", Name: "Guest"})
	return roles
}

func (r *Roles) knows(key Role) bool {
	_, ok := r.defs[key]
	return ok
}

func (r *Roles) manages(key Role) bool { return r.defs[key].Manages }

func (r *Roles) grants(granter, granted Role) bool {
	return r.manages(granter) && slices.Contains(r.defs[granter].Grants, granted)
}

// name returns the display name of a role, or its key if it has none or no longer exists.
func (r *Roles) name(key Role) string {
	if name := r.defs[key].Name; name != "" {
		return name
	}
	return string(key)
}
