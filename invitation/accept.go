package invitation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/orginvite/orginvite/storage"
)

// AcceptParams names an invitation, by its ticket or by both ids, and the user who accepts it. Where both are given
// they must mean the same invitation.
//
// Printed with %v or slog it conceals everything, since it holds the ticket. That fails inside an unexported field of
// another struct, where fmt calls no methods.
type AcceptParams struct {
	Ticket         string // from the acceptance link
	OrganizationID string `wire:"organization_id" validate:"bytes=128,text"`
	InvitationID   string `wire:"invitation_id" validate:"bytes=64,text"`
	UserID         string `wire:"user_id" validate:"bytes=128,text"` // required

	// Terms are the [Invitation.Terms] that were shown to the user; "" is not compared.
	Terms string
}

// DeclineParams names an invitation and the user who declines it, as [AcceptParams] does. With a ticket the trusted
// back end may leave the user out.
type DeclineParams AcceptParams

// Format conceals the ticket.
func (p AcceptParams) Format(f fmt.State, _ rune) { concealed(f, "invitation.AcceptParams") }

// LogValue conceals the ticket.
func (p AcceptParams) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(p)) }

// MarshalJSON conceals the ticket, for params that are logged inside of something else.
func (p AcceptParams) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(p)) }

// Format conceals the ticket.
func (p DeclineParams) Format(f fmt.State, _ rune) { concealed(f, "invitation.DeclineParams") }

// LogValue conceals the ticket.
func (p DeclineParams) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(p)) }

// MarshalJSON conceals the ticket, as that of AcceptParams does.
func (p DeclineParams) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(p)) }

// Accept makes the invited user a member: it calls [Directory.Join] and resolves the invitation, in one transaction.
//
// The user must own, verified, the address of the invitation, whether they come with the ticket or with the ids; with
// Config.TicketProvesEmail the ticket alone will do. Who is a member already keeps the role they have, and joins no
// second time. Accepting again returns the same invitation again, whatever Terms says, as long as the user is
// still a member.
//
// It refuses, and then changes nothing, in this order: [ErrInvalid] parameters; [ErrInvalidTicket] for a forged,
// void or unknown ticket, or one that is not of the ids beside it; [ErrNotFound] for the user; [ErrNotInvitee], by
// ids also where there is no such invitation; [ErrExpired], [ErrAccepted], [ErrRevoked] or [ErrNotPending];
// [ErrChanged] for other Terms; [ErrForbidden] where the inviter may no longer grant the role (but for
// Config.IgnoreInviterAuthority), or nobody knows the role any more; [ErrQuotaExceeded]; what Join refuses.
func (s *Service) Accept(ctx context.Context, p AcceptParams) (Invitation, error) {
	inv, err := s.answer(ctx, p, EventAccepted)
	return inv, s.failed(ctx, "accept", err)
}

// Decline turns an invitation down for the invited user. It asks for the same proof as Accept, and refuses the same
// up to Terms. Declining again returns the same invitation again.
//
// From the back end the ticket is proof enough without a user, so that somebody invited by mistake needs no account to
// say no. ResolvedBy is then "". Through [Service.As] it is the signed-in user who declines.
func (s *Service) Decline(ctx context.Context, p DeclineParams) (Invitation, error) {
	inv, err := s.answer(ctx, AcceptParams(p), EventDeclined)
	return inv, s.failed(ctx, "decline", err)
}

// answer is Accept and Decline.
func (s *Service) answer(ctx context.Context, p AcceptParams, event EventType) (Invitation, error) {
	if err := s.ready(); err != nil {
		return Invitation{}, err
	}
	var err error
	if p.UserID, err = s.subject(p.UserID); err != nil {
		return Invitation{}, err
	}
	c, err := s.addressed(p, event)
	if err != nil {
		return Invitation{}, err
	}
	var answered Invitation
	err = s.change(ctx, c.organizationID, func(ctx context.Context, w *work) error {
		answered, err = w.answer(ctx, c, p, event)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	return answered, nil
}

// addressed returns what p claims: the verified ticket, or the ids, with generation 0.
func (s *Service) addressed(p AcceptParams, event EventType) (claims, error) {
	errs := checkParams("", p)
	if p.UserID == "" && (p.Ticket == "" || event != EventDeclined) {
		errs = append(errs, problemMissing.about(paramUser, "is required and must not be empty"))
	}
	if p.Ticket == "" {
		errs = append(errs, missingIDs(p)...)
	}
	if err := errs.err(); err != nil {
		return claims{}, err
	}
	if p.Ticket == "" {
		return claims{organizationID: p.OrganizationID, invitationID: p.InvitationID}, nil
	}
	c, ok := s.cfg.keys.verify(p.Ticket)
	if !ok || p.OrganizationID != "" && p.OrganizationID != c.organizationID ||
		p.InvitationID != "" && p.InvitationID != c.invitationID {
		return claims{}, invalidTicket()
	}
	return c, nil
}

func missingIDs(p AcceptParams) Errors {
	var errs Errors
	for _, id := range [...]struct{ param, value string }{
		{paramOrganization, p.OrganizationID},
		{paramInvitation, p.InvitationID},
	} {
		if id.value == "" {
			errs = append(errs, problemMissing.about(id.param, "is required without a ticket"))
		}
	}
	return errs
}

func invalidTicket() *Error {
	return problemTicket.about("", "the link is not valid, or no longer; open the newest one, or ask for another")
}

func (w *work) answer(ctx context.Context, c claims, p AcceptParams, event EventType) (Invitation, error) {
	found, err := w.pick(ctx, storage.Filter{OrganizationID: c.organizationID}, c.invitationID)
	if err != nil {
		return Invitation{}, err
	}
	if p.Ticket != "" && !c.means(found) {
		return Invitation{}, invalidTicket()
	}
	if err := w.invitee(ctx, p, found); err != nil {
		return Invitation{}, err
	}
	r, now := found[0], w.now() // after every lock there was to wait for
	if done, err := w.answered(ctx, r, p.UserID, event); err != nil || done {
		return w.view(r, now), err
	}
	if err := resolve(&r, event, p.UserID, now); err != nil {
		return Invitation{}, err
	}
	if p.Terms != "" && p.Terms != terms(r) {
		return Invitation{}, changed()
	}
	if event == EventAccepted {
		if err := w.join(ctx, r, p.UserID); err != nil {
			return Invitation{}, err
		}
	}
	if err := w.store.Update(ctx, r); err != nil {
		return Invitation{}, err
	}
	r.Version++
	inv := w.view(r, now)
	w.note(Event{Type: event, At: now, ActorID: p.UserID, UserID: p.UserID, Invitation: inv})
	return inv, nil
}

// means reports whether the ticket is the current one of the invitation that was found for it.
func (c claims) means(found []storage.Record) bool {
	return len(found) == 1 && found[0].Generation == c.generation
}

// invitee refuses a user who does not own the invitation's address. By ids a missing invitation is refused alike.
func (s *Service) invitee(ctx context.Context, p AcceptParams, found []storage.Record) error {
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

// answered reports whether this user gave this answer before, which is then given again. Who accepted and was
// removed since has to be invited anew.
func (w *work) answered(ctx context.Context, r storage.Record, userID string, event EventType) (bool, error) {
	to, _ := StatusPending.on(event)
	if r.Status != string(to) || r.ResolvedBy != userID {
		return false, nil
	}
	if event != EventAccepted {
		return true, nil
	}
	return w.isMember(ctx, r.OrganizationID, userID)
}

func (w *work) isMember(ctx context.Context, organizationID, userID string) (bool, error) {
	_, err := w.role(ctx, organizationID, userID)
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
	if err := w.mayJoin(ctx, r); err != nil {
		return err
	}
	err = w.inLevel(ctx, "Directory.Join", func(ctx context.Context, tx storage.Storage) error {
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

// mayJoin checks what may have changed since the invitation was made: the inviter's authority, and the seats.
func (s *Service) mayJoin(ctx context.Context, r storage.Record) error {
	if err := s.authority(ctx, r); err != nil {
		return err
	}
	return s.seats(ctx, r.OrganizationID, 1)
}

// authority refuses a role that nobody knows any more, or that the inviter may not grant now.
func (s *Service) authority(ctx context.Context, r storage.Record) error {
	role := Role(r.Role)
	if !s.cfg.Roles.knows(role) {
		return problemNotAllowed.about("", "the role of this invitation no longer exists; ask for another invitation")
	}
	if r.InviterUserID != "" && !s.cfg.IgnoreInviterAuthority {
		inviter, err := s.role(ctx, r.OrganizationID, r.InviterUserID)
		if err != nil && !notMember(err) {
			return directory("Role", paramOrganization, err)
		}
		if err != nil || !s.cfg.Roles.grants(inviter, role) {
			return problemNotAllowed.about("",
				"the person who invited may no longer grant this role; ask for another invitation").because(err)
		}
	}
	return nil
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
	if err := s.ready(); err != nil {
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
		err = s.invitee(ctx, AcceptParams{Ticket: ticket, UserID: *s.actor}, found)
		if err != nil && !errors.Is(err, ErrNotInvitee) {
			return Invitation{}, err
		}
	}
	now := s.now()
	if err == nil {
		_, err = Status(found[0].EffectiveStatus(now)).on(EventAccepted)
	}
	if err == nil {
		if err := s.mayJoin(ctx, found[0]); err != nil {
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
	if err := s.ready(); err != nil {
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
	if err := s.authority(ctx, r); err != nil {
		return "", err
	}
	return s.link(r), nil
}

// read reads an invitation of an organization for whom the Service acts as, and returns their role.
func (s *Service) read(ctx context.Context, organizationID, invitationID string) (storage.Record, Role, error) {
	if err := s.ready(); err != nil {
		return storage.Record{}, "", err
	}
	if err := checkIDs(organizationID, invitationID).err(); err != nil {
		return storage.Record{}, "", err
	}
	role, err := s.reader(ctx, organizationID)
	if err != nil {
		return storage.Record{}, "", err
	}
	r, err := s.store.Get(ctx, invitationID)
	if errors.Is(err, ErrNotFound) || err == nil && r.OrganizationID != organizationID {
		return storage.Record{}, "", noInvitation()
	}
	return r, role, err
}
