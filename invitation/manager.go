package invitation

import "github.com/orginvite/orginvite/storage"

// manager is a user who manages invitations of an organization. The zero value is the trusted back end.
type manager struct {
	userID string
	role   Role
	own    bool // manages only the invitations that this user sent, see RoleDefinition.ManagesOwn
}

// covers reports whether m manages r. For m, any other invitation does not exist.
func (m manager) covers(r storage.Record) bool { return !m.own || r.InviterUserID == m.userID }

// narrow returns f without the invitations that m does not manage.
func (m manager) narrow(f storage.Filter) storage.Filter {
	switch {
	case !m.own:
	case f.InviterUserID == "" || f.InviterUserID == m.userID:
		f.InviterUserID = m.userID
	default: // somebody else's
		f.IDs = []string{}
	}
	return f
}
