package invitation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// Preview and Get change nothing, however often a mail scanner opens the link (C17).
func TestPreview(t *testing.T) {
	w := setup(t, nil)
	w.svc = w.service(w.host, &invitation.Config{Organizations: w.host.Organizations, Seats: w.host.Seats(3)})
	inv := w.invite("carl@example.com")
	before := w.stored()
	for range 3 {
		got, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
		w.is.NoErr(err)
		w.is.Equal(got.URL, "")
		w.is.Equal(got.Terms, inv.Terms)
		w.is.Equal(got.Organization.Name, "Acme")
	}
	w.is.Equal(w.stored(), before)
	w.is.Equal(len(w.events), 1)
	w.host.AddMember("acme", "dora", invitation.RoleMember)
	_, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, invitation.ErrQuotaExceeded))
	boom := errors.New("boom")
	svc := w.service(w.host, &invitation.Config{Organizations: func(context.Context, storage.Storage,
		[]string) (map[string]invitation.Organization, error) {
		return nil, boom
	}})
	_, err = svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, boom))
	unknown := w.service(&failing{Host: w.host, role: boom}, nil)
	_, err = unknown.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, boom))
}

// A current ticket shows its invitation even if it can no longer be accepted, so that the page can say whom to ask. It
// shows what a browser may see, and the inviter.
func TestPreviewResolved(t *testing.T) {
	for name, tt := range map[string]struct {
		end      func(w *world, inv invitation.Invitation)
		sentinel error
		status   invitation.Status
	}{
		"expired": {func(w *world, inv invitation.Invitation) {
			w.clock.Set(
				inv.ExpiresAt,
			)
		}, invitation.ErrExpired, invitation.StatusExpired},
		"revoked": {func(w *world, inv invitation.Invitation) {
			_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			w.is.NoErr(err)
		}, invitation.ErrRevoked, invitation.StatusRevoked},
		"accepted": {func(w *world, inv invitation.Invitation) {
			w.is.NoErr(
				w.accept(byIDs(inv, "carl")),
			)
		}, invitation.ErrAccepted, invitation.StatusAccepted},
		"declined": {func(w *world, inv invitation.Invitation) {
			_, err := w.svc.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "carl")))
			w.is.NoErr(err)
		}, invitation.ErrNotPending, invitation.StatusDeclined},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, &invitation.Config{ResendAfter: -1})
			w.svc = w.service(w.host, &invitation.Config{Organizations: w.host.Organizations, ResendAfter: -1})
			first, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) {
				p.InviterUserID, p.PublicMetadata, p.PrivateMetadata = "ann", mustMetadata(t, `{"a":1}`), mustMetadata(
					t, `{"secret":1}`,
				)
			}))
			w.is.NoErr(err)
			inv, err := w.svc.Resend(w.ctx, "acme", first.ID, invitation.ResendParams{})
			w.is.NoErr(err)
			tt.end(w, inv)
			before := w.stored()
			for _, svc := range []*invitation.Service{w.svc, w.svc.As("carl")} {
				got, err := svc.Preview(w.ctx, ticketOf(t, inv))
				w.is.True(errors.Is(err, tt.sentinel))
				want := w.get(inv)
				want.PrivateMetadata = invitation.Metadata{}
				want.Organization = &invitation.Organization{
					ID: "acme", Name: "Acme", Slug: "acme", HasImage: true, ImageURL: "https://img.example.com/a",
				}
				w.is.Equal(got, want)
				w.is.Equal(got.Status, tt.status)
				w.is.Equal(got.InviterUserID, "ann") // the page shows whom to ask
				w.is.Equal(got.URL, "")
			}
			void, err := w.svc.Preview(w.ctx, ticketOf(t, first))
			w.is.True(errors.Is(err, invitation.ErrInvalidTicket))
			w.is.Equal(void, invitation.Invitation{}) // a ticket that was replaced shows nothing
			w.is.Equal(w.stored(), before)
		})
	}
	w := setup(t, nil)
	inv, err := w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.InviterUserID = "ann" }))
	w.is.NoErr(err)
	boom := errors.New("boom")
	w.clock.Set(inv.ExpiresAt)
	svc := w.service(w.host, &invitation.Config{Organizations: func(context.Context, storage.Storage,
		[]string) (map[string]invitation.Organization, error) {
		return nil, boom
	}})
	got, err := svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, boom) && !errors.Is(err, invitation.ErrExpired))
	w.is.Equal(got, invitation.Invitation{})
}

// What is over, or somebody else's, is shown although its inviter is gone and no seat is free: that goes before it.
func TestPreviewOfWhatIsOverAsksNothingElse(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.host.RemoveMember("acme", "ann")
	w.svc = w.service(w.host, &invitation.Config{Seats: w.host.Seats(1)})
	_, err := w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, invitation.ErrForbidden))
	got, err := w.svc.As("dora").Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, invitation.ErrNotInvitee) && !errors.Is(err, invitation.ErrForbidden))
	w.is.Equal(got.ID, inv.ID)
	w.clock.Set(inv.ExpiresAt)
	got, err = w.svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.True(errors.Is(err, invitation.ErrExpired) && !errors.Is(err, invitation.ErrForbidden))
	w.is.Equal(got.ID, inv.ID)
}

// Who opens a link to somebody else's address, signed in, is told whose it is, before anything else about it.
func TestPreviewOfSomebodyElses(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.Create(
		w.ctx, "acme", with(func(p *invitation.CreateParams) { p.PrivateMetadata = mustMetadata(t, `{"secret":1}`) }),
	)
	w.is.NoErr(err)
	preview := func(svc *invitation.Service, user string) (invitation.Invitation, error) {
		return svc.As(user).Preview(w.ctx, ticketOf(t, inv))
	}
	for range 2 { // pending, and then expired
		got, err := preview(w.svc, "dora")
		w.is.True(errors.Is(err, invitation.ErrNotInvitee) && !errors.Is(err, invitation.ErrExpired))
		want := w.get(inv)
		want.PrivateMetadata = invitation.Metadata{}
		w.is.Equal(got, want)
		w.clock.Set(inv.ExpiresAt)
	}
	w.clock.Set(noon)
	got, err := preview(w.svc, "carl")
	w.is.NoErr(err)
	want := w.get(inv)
	want.PrivateMetadata = invitation.Metadata{}
	w.is.Equal(got, want)
	_, err = preview(w.service(w.host, &invitation.Config{TicketProvesEmail: true}), "dora")
	w.is.NoErr(err) // whoever holds the link can join
	got, err = preview(w.svc, "unknown")
	w.is.True(errors.Is(err, invitation.ErrNotFound))
	w.is.Equal(got, invitation.Invitation{})
	boom := errors.New("boom")
	_, err = preview(w.service(&failing{Host: w.host, verifiedEmails: boom}, nil), "carl")
	w.is.True(errors.Is(err, boom))
}
