package invitation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/orginvite/orginvite/storage"
)

// AcceptParams names an invitation and the user who accepts it. The invitation is named by Ticket, or by OrganizationID
// and InvitationID. If both are set, they must name the same invitation.
//
// AcceptParams contains a ticket, so %v and slog print none of its values. There is one exception: if AcceptParams are
// in an unexported field of a struct, fmt calls no methods on them and prints the values.
type AcceptParams struct {
	Ticket         string `json:"-"`                                         // the ticket from the acceptance link
	OrganizationID string `wire:"organization_id" validate:"bytes=128,text"` // required without a ticket
	InvitationID   string `wire:"invitation_id" validate:"bytes=64,text"`    // required without a ticket
	UserID         string `wire:"user_id" validate:"bytes=128,text"`         // the user who accepts; required

	// Terms are the [Invitation.Terms] that the user was shown. If they have changed, Accept returns [ErrChanged].
	// Empty Terms are not compared.
	Terms string
}

// DeclineParams names an invitation and the user who declines it, like [AcceptParams]. With a ticket, the trusted back
// end may leave UserID empty.
type DeclineParams AcceptParams

// Format prints only the name of the type, because the params contain a ticket.
func (p AcceptParams) Format(f fmt.State, _ rune) { concealed(f, "invitation.AcceptParams") }

// LogValue logs only the name of the type, because the params contain a ticket.
func (p AcceptParams) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(p)) }

// MarshalJSON returns only the name of the type, because the params contain a ticket and a JSON log handler calls
// MarshalJSON.
func (p AcceptParams) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(p)) }

// Format prints only the name of the type, because the params contain a ticket.
func (p DeclineParams) Format(f fmt.State, _ rune) { concealed(f, "invitation.DeclineParams") }

// LogValue logs only the name of the type, because the params contain a ticket.
func (p DeclineParams) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(p)) }

// MarshalJSON returns only the name of the type, because the params contain a ticket and a JSON log handler calls
// MarshalJSON.
func (p DeclineParams) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(p)) }

// Accept makes the invited user a member. It calls [Directory.Join] and resolves the invitation in one transaction.
//
// One of the user's verified addresses must be the address of the invitation, even if the user has a ticket. With
// Config.TicketProvesEmail the ticket alone is enough. A user who is already a member keeps their role, and Join is not
// called. Accept is idempotent: as long as the user is still a member, accepting again returns the same invitation,
// whatever Terms says.
//
// Accept returns these errors, in this order of precedence, and then changes nothing:
//
//   - [ErrInvalid]: parameters are invalid.
//   - [ErrInvalidTicket]: the ticket is forged, void or unknown, or the ids name a different invitation.
//   - [ErrNotFound]: the user does not exist.
//   - [ErrNotInvitee]: none of the user's verified addresses is the address of the invitation. Ids that name no
//     invitation return this error too.
//   - [ErrExpired], [ErrAccepted], [ErrRevoked] or [ErrNotPending]: the invitation is not pending.
//   - [ErrChanged]: Terms are not the current ones.
//   - [ErrForbidden]: the inviter may no longer grant the role (unless Config.IgnoreInviterAuthority is set), or the
//     role no longer exists.
//   - ErrForbidden: Config.AllowEmail refuses the address.
//   - [ErrQuotaExceeded]: no seat is free.
//   - An error of Join.
func (s *Service) Accept(ctx context.Context, p AcceptParams) (Invitation, error) {
	inv, err := s.answer(ctx, p, EventAccepted)
	return inv, s.wrap(ctx, "accept", err)
}

// Decline declines a pending or expired invitation for the invited user. If a user declines, the same proof is required
// as for Accept. Decline is idempotent: if the same user declines again, it returns the same invitation, whatever Terms
// says.
//
// The trusted back end may decline with a ticket and without a user, so that a person invited by mistake does not need
// an account. ResolvedBy is then "". Through [Service.As] the signed-in user declines.
//
// Decline returns the errors of Accept up to [ErrChanged], in the same order. There are two differences: an expired
// invitation is declined, and for an accepted or revoked invitation, or one that somebody else declined, Decline
// returns [ErrNotPending].
func (s *Service) Decline(ctx context.Context, p DeclineParams) (Invitation, error) {
	inv, err := s.answer(ctx, AcceptParams(p), EventDeclined)
	return inv, s.wrap(ctx, "decline", err)
}

// answer implements Accept and Decline.
func (s *Service) answer(ctx context.Context, p AcceptParams, event EventType) (Invitation, error) {
	if err := s.checkReady(); err != nil {
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
	err = s.inOrganization(ctx, c.organizationID, func(ctx context.Context, w *work) error {
		answered, err = w.answer(ctx, c, p, event)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	return answered, nil
}

// addressed returns the invitation that p names: what its verified ticket says, or its ids with generation 0.
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

// answer accepts or declines the invitation that named names.
func (w *work) answer(ctx context.Context, named claims, p AcceptParams, event EventType) (Invitation, error) {
	found, err := w.lockRecords(ctx, storage.Filter{OrganizationID: named.organizationID}, named.invitationID)
	if err != nil {
		return Invitation{}, err
	}
	if p.Ticket != "" && !named.isCurrent(found) {
		return Invitation{}, invalidTicket()
	}
	if err := w.requireInvitee(ctx, p, found); err != nil {
		return Invitation{}, err
	}
	r, now := found[0], w.now() // after waiting for all locks
	if done, err := w.answered(ctx, r, p.UserID, event); err != nil || done {
		return w.view(r, now), err
	}
	c, err := move(r, Event{Type: event, At: now, ActorID: p.UserID, UserID: p.UserID})
	if err != nil {
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
	return w.saveOne(ctx, c)
}

// isCurrent reports whether found is the one invitation that the ticket names, in the generation that it names.
func (c claims) isCurrent(found []storage.Record) bool {
	return len(found) == 1 && found[0].Generation == c.generation
}

// answered reports whether this user has given this answer before; the operation then repeats it. A user who accepted
// and was removed since must be invited again.
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
