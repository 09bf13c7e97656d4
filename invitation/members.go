package invitation

import (
	"context"
	"errors"

	"github.com/orginvite/orginvite/storage"
)

// requireInvitee refuses a user who does not own the invitation's address. By ids a missing invitation is refused alike.
func (s *Service) requireInvitee(ctx context.Context, p AcceptParams, found []storage.Record) error {
	if p.Ticket != "" && (s.cfg.TicketProvesEmail || p.UserID == "") { // without a user it is the back end that declines
		return nil
	}
	keys, err := s.verified(ctx, p.UserID)
	if err != nil {
		return err
	}
	if len(found) == 0 || !keys[found[0].EmailKey] {
		return problemNotInvitee.about("", "no verified address of this user has the invitation; "+
			"verify the address it was sent to, or sign in as its owner")
	}
	return nil
}

// verified returns the canonical forms of a user's verified addresses.
func (s *Service) verified(ctx context.Context, userID string) (map[string]bool, error) {
	addresses, err := s.dir.VerifiedEmails(ctx, s.store, userID)
	if err != nil {
		return nil, directory("VerifiedEmails", paramUser, err)
	}
	return canonicalSet(addresses), nil
}

func (w *work) isMember(ctx context.Context, organizationID, userID string) (bool, error) {
	_, err := w.askRole(ctx, organizationID, userID)
	switch {
	case notMember(err):
		return false, nil
	case err != nil:
		return false, directory("Role", paramOrganization, err)
	}
	return true, nil
}

// join makes the user a member, unless they are one.
func (w *work) join(ctx context.Context, r storage.Record, userID string) error {
	member, err := w.isMember(ctx, r.OrganizationID, userID)
	if err != nil || member {
		return err
	}
	if err := w.authorizeJoin(ctx, r); err != nil {
		return err
	}
	err = w.callBack(ctx, "Directory.Join", func(ctx context.Context, tx storage.Storage) error {
		return w.dir.Join(ctx, tx, Membership{
			OrganizationID:  r.OrganizationID,
			UserID:          userID,
			InvitationID:    r.ID,
			InviterUserID:   r.InviterUserID,
			EmailAddress:    r.EmailAddress,
			Role:            Role(r.Role),
			PublicMetadata:  storedMetadata(r.PublicMetadata),
			PrivateMetadata: storedMetadata(r.PrivateMetadata),
		})
	})
	if errors.Is(err, ErrAlreadyMember) && !shown(err) {
		return nil
	}
	return err
}

// authorizeJoin checks what may have changed since the invitation was made: the inviter's authority, and the seats.
func (s *Service) authorizeJoin(ctx context.Context, r storage.Record) error {
	if err := s.authorizeInviter(ctx, r); err != nil {
		return err
	}
	return s.requireSeats(ctx, r.OrganizationID, 1)
}

// askMembers returns which of the drafts' addresses belong to members, or that there is no such organization.
func (w *work) askMembers(ctx context.Context, organizationID string, drafts []draft) (map[string]bool, error) {
	keys := make([]string, len(drafts))
	for i, d := range drafts {
		keys[i] = d.key
	}
	members, err := w.dir.MemberEmails(ctx, w.store, organizationID, keys)
	if err != nil {
		return nil, directory("MemberEmails", paramOrganization, err)
	}
	return canonicalSet(members), nil
}

// checkNotMembers refuses the drafts whose addresses belong to members.
func checkNotMembers(drafts []draft, members map[string]bool) error {
	var errs collector
	for _, d := range drafts {
		if members[d.key] {
			errs.add(problemAlreadyMember.about(d.email(), "the address belongs to a member of this organization"))
		}
	}
	return errs.err()
}

// requireNotMembers looks at the members once the drafts hold their pending slots. A user who accepts another invitation of
// the same address at this moment has that slot until they are a member, so that they are seen here. Before the write
// they might be neither. What was written is undone with the error.
func (w *work) requireNotMembers(ctx context.Context, organizationID string, drafts []draft) error {
	members, err := w.askMembers(ctx, organizationID, drafts)
	if err != nil {
		return err
	}
	return checkNotMembers(drafts, members)
}

// canonicalSet is what a Directory returned, less what is no address.
func canonicalSet(addresses []string) map[string]bool {
	set := make(map[string]bool, len(addresses))
	for _, a := range addresses {
		if key, e := canonicalEmail("", a); e == nil {
			set[key] = true
		}
	}
	return set
}
