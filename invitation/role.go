package invitation

import (
	"fmt"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// Role is the key of a role a member has in an organization, such as "org:admin": at most 64 bytes.
type Role string

// The roles of [DefaultRoles], named as in the reference.
const (
	RoleAdmin  Role = "org:admin"
	RoleMember Role = "org:member"
)

// RoleDefinition says what a role is called and what its members may do with invitations.
type RoleDefinition struct {
	Key  Role   // unique
	Name string // for people, "Member"; "" is shown as the key

	// Manages lets members of the role invite, list and revoke.
	Manages bool

	// Grants are the roles that members of the role may invite others into: the whole list, nothing is implied,
	// not even the role itself. A role that grants must manage.
	Grants []Role
}

// Roles is the set of roles an application knows. It is immutable and safe for concurrent use. Its zero value
// knows none and is refused by [NewService].
type Roles struct {
	defs map[Role]RoleDefinition
}

// NewRoles returns the set of these roles. It refuses, naming the definition: no definition at all, a key that is
// empty, too long or given twice, a grant of a role that is not defined, Grants without Manages, and a grant of a
// role whose own Grants exceed the granter's, since by inviting oneself under another address one would gain them.
// The error is an [*Error] or [Errors] and [ErrInvalid].
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
		param := fmt.Sprintf("[%d].Grants", i)
		if len(d.Grants) > 0 && !d.Manages {
			errs = append(errs, problemValue.about(param,
				fmt.Sprintf("is of %s, which does not manage; set Manages or drop Grants", quoted(d.Key))))
		}
		for _, g := range d.Grants {
			granted, ok := r.defs[g]
			if !ok {
				errs = append(errs, problemValue.about(param,
					fmt.Sprintf("(of %s) has %s, which is not defined; define it or drop it", quoted(d.Key), quoted(g))))
				continue
			}
			for _, further := range granted.Grants {
				if !slices.Contains(d.Grants, further) {
					errs = append(errs, problemValue.about(param, fmt.Sprintf(
						"(of %s) has %s, which grants %s and so exceeds its granter; let %[1]s grant %[3]s too",
						quoted(d.Key), quoted(g), quoted(further))))
				}
			}
		}
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return r, nil
}

// DefaultRoles returns the reference's default set: an admin, who manages and grants both roles, and a member.
func DefaultRoles() *Roles {
	roles, _ := NewRoles( // satisfies what it checks, as a test shows
		RoleDefinition{Key: RoleAdmin, Name: "Admin", Manages: true, Grants: []Role{RoleAdmin, RoleMember}},
		RoleDefinition{Key: RoleMember, Name: "Member"})
	return roles
}

// LegacyRoles returns the set that older instances of the reference use: admin, who manages and grants all three,
// basic_member and guest_member.
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

// name is the display name; a role nobody knows any more is named by its key.
func (r *Roles) name(key Role) string {
	if name := r.defs[key].Name; name != "" {
		return name
	}
	return string(key)
}
