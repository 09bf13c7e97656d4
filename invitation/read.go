package invitation

import (
	"context"
	"errors"

	"github.com/orginvite/orginvite/storage"
)

// Get returns an invitation of an organization. Through [Service.As] the user's role must manage. It writes nothing.
//
// It refuses: [ErrInvalid] ids; [ErrNotMember] or [ErrForbidden]; [ErrNotFound], also for an invitation of another
// organization.
func (s *Service) Get(ctx context.Context, organizationID, invitationID string) (Invitation, error) {
	r, _, err := s.read(ctx, organizationID, invitationID)
	if err != nil {
		return Invitation{}, s.failedRead(ctx, "get", err)
	}
	return s.view(r, s.now()), nil
}

// Preview returns the invitation a ticket is for, for the page behind the link, with its Organization. It never
// writes, because mail scanners open links too. Pass the Terms it returns on to Accept.
//
// It refuses what Accept would refuse, except for reasons that lie in the user: [ErrInvalidTicket], [ErrExpired],
// [ErrAccepted], [ErrRevoked], [ErrNotPending], [ErrForbidden], [ErrQuotaExceeded]. Through [Service.As] an invitation
// to somebody else is [ErrNotInvitee].
//
// With ErrExpired, ErrAccepted, ErrRevoked, ErrNotPending and ErrNotInvitee it returns the invitation too, without its
// private metadata, so that the page can say whom to ask for a new one, or lead to the organization. A ticket that a
// newer one has made void shows nothing.
func (s *Service) Preview(ctx context.Context, ticket string) (Invitation, error) {
	inv, err := s.preview(ctx, ticket)
	return inv, s.failedRead(ctx, "preview", err)
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
	if !c.means(found) {
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
		if err := s.authorizeJoin(ctx, found[0]); err != nil {
			return Invitation{}, err
		}
	}
	invs := s.views(found, now)
	if err := s.fillOrganizations(ctx, invs); err != nil {
		return Invitation{}, err
	}
	if err != nil {
		invs[0].PrivateMetadata = Metadata{}
	}
	return invs[0], err
}

// Link returns the current acceptance link of a pending invitation. It voids no other link and writes nothing; it
// is what the worker calls that mails an invitation. The link leads to the invitation's redirect URL if
// Config.AllowRedirect still allows it, and to Config.AcceptURL otherwise.
//
// A link is a secret between the back end and the mailbox. Through [Service.As] it is [ErrForbidden], unless
// Config.ManagersSeeLinks, which says what that gives away, is set; then the user's role must manage and be one that
// may grant the invitation's.
//
// It refuses: [ErrInvalid] parameters, and without Config.TicketKeys; [ErrNotMember] or [ErrForbidden];
// [ErrNotFound]; [ErrNotPending], of a lapsed one too; ErrForbidden where Accept would refuse the link, because the
// inviter may no longer grant the role or nobody knows it.
func (s *Service) Link(ctx context.Context, organizationID, invitationID string) (string, error) {
	link, err := s.currentLink(ctx, organizationID, invitationID)
	return link, s.failedRead(ctx, "link", err)
}

func (s *Service) currentLink(ctx context.Context, organizationID, invitationID string) (string, error) {
	if err := s.checkReady(); err != nil {
		return "", err
	}
	if !s.seesLinks() {
		return "", problemNotAllowed.about("", "links go to the invited address alone; resend the invitation to mail it again")
	}
	r, role, err := s.read(ctx, organizationID, invitationID)
	if err != nil {
		return "", err
	}
	if len(s.cfg.keys) == 0 {
		return "", problemMissing.about("TicketKeys", "without keys there are no links; set Config.TicketKeys")
	}
	if status := Status(r.EffectiveStatus(s.now())); status != StatusPending {
		return "", problemNotPending.about("", "the invitation is "+printable(string(status), maxPrinted)+" and has no link")
	}
	if s.actor != nil && !s.cfg.Roles.grants(role, Role(r.Role)) {
		return "", problemNotAdmin.about("", "your role may not grant the role of this invitation")
	}
	if err := s.authorizeInviter(ctx, r); err != nil {
		return "", err
	}
	return s.link(r), nil
}

// read reads an invitation of an organization for whom the Service acts as, and returns their role.
func (s *Service) read(ctx context.Context, organizationID, invitationID string) (storage.Record, Role, error) {
	if err := s.checkReady(); err != nil {
		return storage.Record{}, "", err
	}
	if err := checkIDs(organizationID, invitationID).err(); err != nil {
		return storage.Record{}, "", err
	}
	role, err := s.requireReader(ctx, organizationID)
	if err != nil {
		return storage.Record{}, "", err
	}
	r, err := s.store.Get(ctx, invitationID)
	if errors.Is(err, ErrNotFound) || err == nil && r.OrganizationID != organizationID {
		return storage.Record{}, "", noInvitation()
	}
	return r, role, err
}
