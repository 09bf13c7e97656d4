package invitation

import (
	"context"
	"errors"

	"github.com/orginvite/orginvite/storage"
)

// Get returns an invitation of an organization. It writes nothing. Through [Service.As] the user's role must manage
// invitations.
//
// Get returns these errors, in this order of precedence:
//
//   - [ErrInvalid]: an id is invalid.
//   - [ErrNotMember] or [ErrForbidden]: the user of As is not a member, or does not manage invitations.
//   - [ErrNotFound]: the organization has no such invitation.
func (s *Service) Get(ctx context.Context, organizationID, invitationID string) (Invitation, error) {
	inv, err := s.get(ctx, organizationID, invitationID)
	return inv, s.wrapRead(ctx, "get", err)
}

func (s *Service) get(ctx context.Context, organizationID, invitationID string) (Invitation, error) {
	r, _, err := s.read(ctx, organizationID, invitationID)
	if err != nil {
		return Invitation{}, err
	}
	invs := s.views([]storage.Record{r}, s.now())
	if err := s.fillInviters(ctx, invs); err != nil {
		return Invitation{}, err
	}
	return invs[0], nil
}

// Preview returns the invitation that a ticket names, with its Organization, for the page that the link leads to. It
// never writes, because mail scanners open links too. Pass the Terms of the result to Accept.
//
// Preview checks a user only if it is called through [Service.As]. It returns these errors of Accept, in this order of
// precedence:
//
//   - [ErrInvalidTicket]: the ticket is forged, void or unknown.
//   - [ErrNotFound] or [ErrNotInvitee]: through [Service.As], the user does not exist, or the invitation is for
//     somebody else.
//   - [ErrExpired], [ErrAccepted], [ErrRevoked] or [ErrNotPending]: the invitation is not pending.
//   - [ErrForbidden]: the inviter may no longer grant the role, the role no longer exists, or Config.AllowEmail refuses
//     the address.
//   - [ErrQuotaExceeded]: no seat is free.
//
// With ErrNotInvitee, ErrExpired, ErrAccepted, ErrRevoked and ErrNotPending, Preview also returns the invitation,
// without its private metadata. So the page can say whom to ask for a new invitation, or lead to the organization. With
// the other errors the invitation is zero.
func (s *Service) Preview(ctx context.Context, ticket string) (Invitation, error) {
	inv, err := s.preview(ctx, ticket)
	return inv, s.wrapRead(ctx, "preview", err)
}

func (s *Service) preview(ctx context.Context, ticket string) (Invitation, error) {
	if err := s.checkReady(); err != nil {
		return Invitation{}, err
	}
	c, ok := s.cfg.keys.verify(ticket)
	if !ok {
		return Invitation{}, invalidTicket()
	}
	found, err := s.list(ctx, storage.Query{Filter: storage.Filter{
		IDs:            []string{c.invitationID},
		OrganizationID: c.organizationID,
	}})
	if err != nil {
		return Invitation{}, err
	}
	if !c.isCurrent(found) {
		return Invitation{}, invalidTicket()
	}
	if s.actor != nil {
		err = s.requireInvitee(ctx, AcceptParams{Ticket: ticket, UserID: *s.actor}, found)
		if err != nil && !errors.Is(err, ErrNotInvitee) {
			return Invitation{}, err
		}
	}
	now := s.now()
	if err == nil {
		_, err = Status(found[0].EffectiveStatus(now)).on(EventAccepted)
	}
	if err == nil {
		if err := s.authorizeJoin(ctx, OperationPreview, found[0]); err != nil {
			return Invitation{}, err
		}
	}
	invs := s.views(found, now)
	if err := s.fillOrganizations(ctx, invs); err != nil {
		return Invitation{}, err
	}
	if err := s.fillInviters(ctx, invs); err != nil {
		return Invitation{}, err
	}
	if err != nil {
		invs[0].PrivateMetadata = Metadata{}
	}
	return invs[0], err
}

// Link returns the current acceptance link of a pending invitation. It voids no other link and writes nothing. Call it
// from the job that mails an invitation. The link leads to the invitation's redirect URL if Config.AllowRedirect still
// allows that, and otherwise to Config.AcceptURL.
//
// A link is a secret between the back end and the mailbox. Through [Service.As] Link returns [ErrForbidden] unless
// Config.ManagersSeeLinks is set. The comment of that field explains the risk.
//
// Link returns these errors, in this order of precedence:
//
//   - [ErrForbidden]: through As without Config.ManagersSeeLinks.
//   - [ErrInvalid]: an id is invalid.
//   - [ErrNotMember] or ErrForbidden: the user of As is not a member, or does not manage invitations.
//   - [ErrNotFound]: the organization has no such invitation.
//   - ErrInvalid: Config.TicketKeys is empty.
//   - [ErrNotPending]: the invitation is not pending, or has expired.
//   - ErrForbidden: the user of As may not grant the role, the inviter may no longer grant it, the role no longer
//     exists, or Config.AllowEmail refuses the address.
func (s *Service) Link(ctx context.Context, organizationID, invitationID string) (string, error) {
	link, err := s.currentLink(ctx, organizationID, invitationID)
	return link, s.wrapRead(ctx, "link", err)
}

func (s *Service) currentLink(ctx context.Context, organizationID, invitationID string) (string, error) {
	if err := s.checkReady(); err != nil {
		return "", err
	}
	if !s.seesLinks() {
		return "", problemNotAllowed.about("",
			"links go to the invited address alone; resend the invitation to mail it again")
	}
	r, by, err := s.read(ctx, organizationID, invitationID)
	if err != nil {
		return "", err
	}
	if len(s.cfg.keys) == 0 {
		return "", problemMissing.about("TicketKeys", "without keys there are no links; set Config.TicketKeys")
	}
	if status := Status(r.EffectiveStatus(s.now())); status != StatusPending {
		return "", problemNotPending.about("", "the invitation is "+printable(string(status), maxPrinted)+" and has no link")
	}
	if s.actor != nil && !s.cfg.Roles.grants(by.role, Role(r.Role)) {
		return "", problemNotAdmin.about("", "your role may not grant the role of this invitation")
	}
	if err := s.authorizeInviter(ctx, r); err != nil {
		return "", err
	}
	if err := s.requireEmail(ctx, OperationLink, "", r); err != nil {
		return "", err
	}
	return s.link(r), nil
}

// read returns an invitation of an organization that the user of As manages, and that user.
func (s *Service) read(ctx context.Context, organizationID, invitationID string) (storage.Record, manager, error) {
	if err := s.checkReady(); err != nil {
		return storage.Record{}, manager{}, err
	}
	if err := checkIDs(organizationID, invitationID).err(); err != nil {
		return storage.Record{}, manager{}, err
	}
	by, err := s.requireReader(ctx, organizationID)
	if err != nil {
		return storage.Record{}, manager{}, err
	}
	r, err := s.store.Get(ctx, invitationID)
	if errors.Is(err, ErrNotFound) || err == nil && (r.OrganizationID != organizationID || !by.covers(r)) {
		return storage.Record{}, manager{}, noInvitation()
	}
	return r, by, err
}
