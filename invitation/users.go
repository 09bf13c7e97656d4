package invitation

import (
	"context"
	"slices"
)

// User describes a user of the host, as the inviter of an invitation.
type User struct {
	ID                  string // the id of the user
	FirstName, LastName string // may be empty
	Identifier          string // what identifies the user to others, such as an e-mail address
	ImageURL            string // may be empty
	HasImage            bool   // whether the user has an image of their own
}

// fillInviters sets the Inviter of the invitations if the host returns it.
func (s *Service) fillInviters(ctx context.Context, invs []Invitation) error {
	if s.cfg.Users == nil {
		return nil
	}
	var ids []string
	for _, inv := range invs {
		if inv.InviterUserID != "" {
			ids = append(ids, inv.InviterUserID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	users, err := s.cfg.Users(ctx, s.store, slices.Compact(ids))
	if err != nil {
		return callback("Config.Users", err)
	}
	for i := range invs {
		if u, ok := users[invs[i].InviterUserID]; ok && invs[i].InviterUserID != "" {
			u.ID = invs[i].InviterUserID
			invs[i].Inviter = &u
		}
	}
	return nil
}
