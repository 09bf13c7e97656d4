package invitation

import (
	"context"
	"errors"

	"github.com/orginvite/orginvite/storage"
)

// requireInvitee requires that the user owns the invitation's address. By ids, a missing invitation is refused in the
// same way.
func (s *Service) requireInvitee(ctx context.Context, p AcceptParams, found []storage.Record) error {
	if p.Ticket != "" && (s.cfg.TicketProvesEmail || p.UserID == "") { // without a user, the back end declines
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

// isMember reports whether the user is a member of the organization.
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

// join makes the user a member unless they already are.
func (w *work) join(ctx context.Context, r storage.Record, userID string) error {
	member, err := w.isMember(ctx, r.OrganizationID, userID)
	if err != nil || member {
		return err
	}
	if err := w.authorizeJoin(ctx, OperationAccept, r); err != nil {
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

// authorizeJoin checks what may have changed since the invitation was created: the inviter's authority, the rules for
// addresses and the seats.
func (s *Service) authorizeJoin(ctx context.Context, operation Operation, r storage.Record) error {
	if err := s.authorizeInviter(ctx, r); err != nil {
		return err
	}
	if err := s.requireEmail(ctx, operation, "", r); err != nil {
		return err
	}
	if !s.cfg.Roles.takesSeat(Role(r.Role)) {
		return nil
	}
	return s.requireSeats(ctx, r.OrganizationID, quota{requested: 1})
}

// askMembers returns which of the drafts' addresses belong to members, or an error if the organization does not exist.
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

// requireNotMembers checks for members after the drafts have taken their pending slots. Suppose the user accepts
// another invitation to the same address at this moment. That invitation holds the slot until the user is a member, so
// this check sees one or the other. A check before the write might see neither. If it fails, the transaction rolls
// back.
func (w *work) requireNotMembers(ctx context.Context, organizationID string, drafts []draft) error {
	members, err := w.askMembers(ctx, organizationID, drafts)
	if err != nil {
		return err
	}
	return checkNotMembers(drafts, members)
}

// canonicalSet returns the canonical forms of addresses of a Directory, without the invalid ones.
func canonicalSet(addresses []string) map[string]bool {
	set := make(map[string]bool, len(addresses))
	for _, a := range addresses {
		if key, e := canonicalEmail("", a); e == nil {
			set[key] = true
		}
	}
	return set
}
