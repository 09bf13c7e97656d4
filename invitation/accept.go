package invitation

import (
	"context"
	"encoding/json"
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
	Ticket         string `json:"-"` // from the acceptance link
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

func (w *work) answer(ctx context.Context, named claims, p AcceptParams, event EventType) (Invitation, error) {
	found, err := w.lockRecords(ctx, storage.Filter{OrganizationID: named.organizationID}, named.invitationID)
	if err != nil {
		return Invitation{}, err
	}
	if p.Ticket != "" && !named.means(found) {
		return Invitation{}, invalidTicket()
	}
	if err := w.requireInvitee(ctx, p, found); err != nil {
		return Invitation{}, err
	}
	r, now := found[0], w.now() // after every lock there was to wait for
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

// means reports whether the ticket is the current one of the invitation that was found for it.
func (c claims) means(found []storage.Record) bool {
	return len(found) == 1 && found[0].Generation == c.generation
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
