package invitation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

func TestDecline(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	w.events = nil
	p := invitation.DeclineParams(byTicket(t, inv, "carl"))
	p.Terms = inv.Terms
	got, err := w.svc.Decline(w.ctx, p)
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusDeclined)
	w.is.Equal(got.ResolvedBy, "carl")
	w.is.Equal(got.ResolvedAt, noon.Add(time.Hour))
	w.is.Equal(got, w.get(inv))
	w.is.Equal(w.events, []invitation.Event{{Type: invitation.EventDeclined, At: noon.Add(time.Hour),
		ActorID: "carl", UserID: "carl", Invitation: got}})
	w.is.Equal(len(w.host.Members("acme")), 2) // nobody joined

	again, err := w.svc.Decline(w.ctx, p)
	w.is.NoErr(err)
	w.is.Equal(again, got)
	w.is.Equal(len(w.events), 1)
	w.invite("carl@example.com") // the address is free again
}

// A person invited by mistake needs no account to decline: from the back end the ticket is enough.
func TestDeclineByTicketAlone(t *testing.T) {
	w := setup(t, nil)
	inv, other := w.invite("stranger@example.com"), w.invite("dora@example.com")
	w.clock.Advance(time.Hour)
	w.events = nil
	p := invitation.DeclineParams{Ticket: ticketOf(t, inv), Terms: inv.Terms}
	got, err := w.svc.Decline(w.ctx, p)
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusDeclined)
	w.is.Equal(got.ResolvedBy, "")
	w.is.Equal(got.ResolvedAt, noon.Add(time.Hour))
	w.is.Equal(got, w.get(inv))
	w.is.Equal(w.events, []invitation.Event{{Type: invitation.EventDeclined, At: noon.Add(time.Hour), Invitation: got}})
	again, err := w.svc.Decline(w.ctx, p)
	w.is.NoErr(err)
	w.is.Equal(again, got)
	w.is.Equal(len(w.events), 1)

	decline := func(svc *invitation.Service, p invitation.DeclineParams) func() error {
		return func() error { _, err := svc.Decline(w.ctx, p); return err }
	}
	p = invitation.DeclineParams{Ticket: ticketOf(t, other)}
	w.refuses(invitation.ErrNotInvitee, []refusal{
		{403, "organization_invitation_identification_not_exist", ""},
	}, decline(w.svc.As("carl"), p))
	w.refuses(invitation.ErrInvalidTicket, []refusal{
		{400, "ticket_invalid_code", ""},
	}, decline(w.svc, invitation.DeclineParams{Ticket: "forged"}))
	w.refuses(invitation.ErrInvalidTicket, []refusal{{400, "ticket_invalid_code", ""}},
		decline(w.svc, invitation.DeclineParams{Ticket: p.Ticket, OrganizationID: "other"}))
	w.refuses(invitation.ErrInvalid, []refusal{{422, "form_param_missing", "user_id"}},
		decline(w.svc, invitation.DeclineParams(byIDs(other, "")))) // ids prove nothing
	w.refuses(invitation.ErrInvalid, []refusal{
		{
			422, "form_param_missing", "user_id",
		}, {422, "form_param_missing", "organization_id"}, {422, "form_param_missing", "invitation_id"},
	}, decline(w.svc, invitation.DeclineParams{}))
	w.refuses(invitation.ErrInvalid, []refusal{
		{422, "form_param_missing", "user_id"},
	}, func() error { return w.accept(byTicket(t, other, "")) })
	_, err = w.svc.As("dora").Decline(w.ctx, p)
	w.is.NoErr(err)
	w.is.Equal(w.get(other).ResolvedBy, "dora")
	// it has been answered otherwise
	w.refuses(invitation.ErrNotPending, []refusal{{404, "organization_invitation_not_pending", ""}}, decline(w.svc, p))
}

func TestDeclineNeedsNoAuthorityAndNoSeat(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.host.RemoveMember("acme", "ann")
	w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(1)})
	_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "dora")))
	w.is.True(errors.Is(err, invitation.ErrNotInvitee)) // but the address
	_, err = w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "carl")))
	w.is.NoErr(err)
}

// The invitee may decline an expired invitation, so that it can be cleared from their list. Whether the expiry is
// stored makes no difference, and another invitation for the address stays.
func TestDeclineExpired(t *testing.T) {
	for name, sweep := range map[string]bool{"lapsed": false, "swept": true} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			inv := w.invite("carl@example.com")
			w.clock.Set(inv.ExpiresAt.Add(time.Hour))
			if sweep {
				_, err := w.svc.ExpireDue(w.ctx, 1)
				w.is.NoErr(err)
			}
			w.events = nil
			w.refuses(invitation.ErrNotInvitee, []refusal{
				{403, "organization_invitation_identification_not_exist", ""},
			}, func() error {
				_, err := w.svc.As("dora").Decline(w.ctx, invitation.DeclineParams{Ticket: ticketOf(t, inv)})
				return err
			})
			got, err := w.svc.As("carl").Decline(w.ctx, invitation.DeclineParams{
				OrganizationID: "acme", InvitationID: inv.ID, Terms: inv.Terms,
			})
			w.is.NoErr(err)
			w.is.Equal(got.Status, invitation.StatusDeclined)
			w.is.Equal(got.ResolvedBy, "carl")
			w.is.Equal(got.ResolvedAt, inv.ExpiresAt.Add(time.Hour))
			w.is.Equal(w.get(inv).Status, invitation.StatusDeclined)
			w.is.Equal(eventTypes(w.events), []invitation.EventType{invitation.EventDeclined})
			page, err := w.svc.ListForUser(w.ctx, "carl", invitation.ListParams{
				Statuses: []invitation.Status{invitation.StatusPending, invitation.StatusExpired},
			})
			w.is.NoErr(err)
			w.is.Equal(page.TotalCount, 0) // cleared
			w.refuses(invitation.ErrNotPending, []refusal{
				{404, "organization_invitation_not_pending", ""},
			}, func() error { return w.accept(byTicket(t, inv, "carl")) })
			w.refuses(invitation.ErrNotPending, []refusal{
				{404, "organization_invitation_not_pending", ""},
			}, func() error { _, err := w.resend(inv, ""); return err })
			w.invite("carl@example.com") // the address is free
		})
	}
	w := setup(t, nil)
	lapsed := w.invite("carl@example.com")
	w.clock.Set(lapsed.ExpiresAt)
	pending := w.invite("carl@example.com")
	_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(lapsed, "carl")))
	w.is.NoErr(err)
	w.is.Equal(w.get(pending).Status, invitation.StatusPending)
}
