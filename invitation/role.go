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

	// ManagesOwn lets members with the role create invitations, and list, resend, update and revoke the invitations that
	// they sent. An invitation counts as sent by its inviter. So a manager who resends it or changes its role takes it
	// over. All other invitations do not exist for them: operations return [ErrNotFound], and Replace returns
	// [ErrDuplicate]. Not together with Manages.
	ManagesOwn bool

	// Grants are the roles that members with the role may invite others into. The list is complete: nothing is implied,
	// not even the role itself. Grants require Manages or ManagesOwn.
	Grants []Role

	// Seatless says that members with the role take no seat, for example guests. Config.Seats is not called for an
	// invitation into the role, and must not count such members.
	Seatless bool
}

// Roles is the set of roles of an application. Create one with [NewRoles]. It is immutable and safe for concurrent use.
// [NewService] refuses the zero value.
type Roles struct {
	defs   map[Role]RoleDefinition
	order  []Role   // the keys, in the order of NewRoles
	seated []string // keys of the roles that take a seat, sorted; nil if all roles do
}

// NewRoles returns a set of roles. The error is an [*Error] or [Errors] that wraps [ErrInvalid] and names the
// definition. NewRoles refuses:
//
//   - no definitions
//   - a key that is empty, too long, or defined twice
//   - ManagesOwn together with Manages
//   - Grants without Manages or ManagesOwn
//   - a grant of a role that is not defined
//   - Seatless together with Manages
//   - Seatless together with a grant of a role that takes a seat: a member without a seat could give seats away
//   - ManagesOwn together with a grant of a role that Manages
//   - a grant of a role B without a grant of every role that B grants
//
// The last two rules protect the limits of a role. Without them, a member could invite a second address of their own
// into a role that may do more.
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
		r.order = append(r.order, d.Key)
	}
	for i, d := range defs {
		if d.ManagesOwn && d.Manages {
			errs = append(errs, problemValue.about(fmt.Sprintf("[%d].ManagesOwn", i),
				fmt.Sprintf("is set for %s together with Manages; drop one", quoted(d.Key))))
		}
		if d.Seatless && d.Manages {
			errs = append(errs, problemValue.about(fmt.Sprintf("[%d].Seatless", i),
				fmt.Sprintf("is set for %s, which manages invitations; drop Seatless or Manages", quoted(d.Key))))
		}
		errs = append(errs, r.checkGrants(fmt.Sprintf("[%d].Grants", i), d)...)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	r.setSeated()
	return r, nil
}

// setSeated sets the roles that take a seat.
func (r *Roles) setSeated() {
	seated := []string{} // not nil, because all roles may be Seatless
	for key, d := range r.defs {
		if !d.Seatless {
			seated = append(seated, string(key))
		}
	}
	if len(seated) < len(r.defs) {
		slices.Sort(seated)
		r.seated = seated
	}
}

// checkGrants checks the Grants of a definition against the other definitions.
func (r *Roles) checkGrants(param string, d RoleDefinition) Errors {
	var errs Errors
	refuse := func(format string, args ...any) {
		errs = append(errs, problemValue.about(param, fmt.Sprintf(format, args...)))
	}
	if len(d.Grants) > 0 && !d.Manages && !d.ManagesOwn {
		refuse("is of %s, which does not manage; set Manages or ManagesOwn, or drop Grants", quoted(d.Key))
	}
	for _, g := range d.Grants {
		granted, ok := r.defs[g]
		if !ok {
			refuse("(of %s) has %s, which is not defined; define it or drop it", quoted(d.Key), quoted(g))
			continue
		}
		if d.ManagesOwn && granted.Manages {
			refuse("(of %s) has %s, which manages all invitations and so exceeds its granter; drop it",
				quoted(d.Key), quoted(g))
		}
		if d.Seatless && !granted.Seatless {
			refuse("(of %s) has %s, which takes a seat; drop it, or drop Seatless", quoted(d.Key), quoted(g))
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

// All returns the definitions of all roles, in the order in which they were passed to [NewRoles]. A Name that was not
// given is the key.
func (r *Roles) All() []RoleDefinition {
	if r == nil {
		return nil
	}
	all := make([]RoleDefinition, len(r.order))
	for i, key := range r.order {
		all[i], _ = r.Definition(key)
	}
	return all
}

// Definition returns the definition of a role, with a Name as in All. It reports false if there is no such role.
func (r *Roles) Definition(key Role) (RoleDefinition, bool) {
	if r == nil || !r.knows(key) {
		return RoleDefinition{}, false
	}
	d := r.defs[key]
	d.Name, d.Grants = r.name(key), slices.Clone(d.Grants)
	return d, true
}

func (r *Roles) knows(key Role) bool {
	_, ok := r.defs[key]
	return ok
}

// invites reports whether members with the role manage invitations: all of them, or those that they sent.
func (r *Roles) invites(key Role) bool { return r.defs[key].Manages || r.defs[key].ManagesOwn }

func (r *Roles) grants(granter, granted Role) bool {
	return r.invites(granter) && slices.Contains(r.defs[granter].Grants, granted)
}

// takesSeat reports whether pending invitations into a role count for Config.Seats.
func (r *Roles) takesSeat(key Role) bool {
	return r.seated == nil || slices.Contains(r.seated, string(key))
}

// name returns the display name of a role, or its key if it has none or no longer exists.
func (r *Roles) name(key Role) string {
	if name := r.defs[key].Name; name != "" {
		return name
	}
	return string(key)
}
