package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// uses returns all operations that use an invitation to carl, with the name that AllowEmail gets.
func uses(w *world, inv invitation.Invitation) map[invitation.Operation][]func() error {
	return map[invitation.Operation][]func() error{
		invitation.OperationResend: {func() error {
			_, err := w.svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
			return err
		}, func() error {
			_, err := w.svc.As("ann").Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{})
			return err
		}},
		invitation.OperationUpdate: {func() error {
			_, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
			return err
		}, func() error {
			_, err := w.svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
				RequestingUserID: "ann", PublicMetadata: mustMetadata(w.t, `{"team":"x"}`),
			})
			return err
		}},
		invitation.OperationLink: {func() error { _, err := w.svc.Link(w.ctx, "acme", inv.ID); return err }},
		invitation.OperationPreview: {
			func() error { _, err := w.svc.Preview(w.ctx, ticketOf(w.t, inv)); return err },
			func() error { _, err := w.svc.As("carl").Preview(w.ctx, ticketOf(w.t, inv)); return err },
		},
		invitation.OperationAccept: {
			func() error { return w.accept(byTicket(w.t, inv, "carl")) },
			func() error { return w.accept(byIDs(inv, "carl")) },
		},
	}
}

// A rule that becomes stricter stops the invitations that are already sent, wherever they would be used. They can
// still be seen, revoked and declined.
func TestAllowEmailStopsWhatIsSent(t *testing.T) {
	w := setup(t, nil)
	inv, doras := w.invite("Carl@Example.com"), w.invite("dora@example.com")
	w.clock.Advance(time.Hour)
	var asked []invitation.AllowEmailRequest
	w.svc = w.service(w.host, &invitation.Config{
		AllowEmail: func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
			asked = append(asked, r)
			return fmt.Errorf("acme is switched off: %w", invitation.ErrForbidden)
		},
	})
	for operation, calls := range uses(w, inv) {
		param := ""
		if operation == invitation.OperationResend { // as for an expired one, and in Create
			param = "email_address"
		}
		for _, call := range calls {
			asked = nil
			w.refuses(invitation.ErrForbidden, []refusal{{403, "not_allowed_access", param}}, call)
			w.is.Equal(asked, []invitation.AllowEmailRequest{{
				Operation: operation, OrganizationID: "acme", EmailAddress: "carl@example.com",
			}})
		}
	}
	asked = nil
	w.get(inv)
	_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	_, err = w.svc.Decline(w.ctx, invitation.DeclineParams(byTicket(t, doras, "dora")))
	w.is.NoErr(err)
	w.is.Equal(len(asked), 0)
}

// CanInvite and CreateEach ask as Create does.
func TestAllowEmailBeforeCreating(t *testing.T) {
	w := setup(t, nil)
	var asked []invitation.Operation
	w.svc = w.service(w.host, &invitation.Config{
		AllowEmail: func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
			asked = append(asked, r.Operation)
			return invitation.ErrForbidden
		},
	})
	p := with(func(*invitation.CreateParams) {})
	for _, call := range []func() error{
		func() error { _, err := w.svc.Create(w.ctx, "acme", p); return err },
		func() error { return w.svc.CanInvite(w.ctx, "acme", p) },
		func() error {
			results, err := w.svc.CreateEach(w.ctx, "acme", []invitation.CreateParams{p})
			w.is.NoErr(err)
			return results[0].Err
		},
	} {
		asked = nil
		w.is.True(errors.Is(call(), invitation.ErrForbidden))
		w.is.Equal(asked, []invitation.Operation{invitation.OperationCreate})
	}
}

// A user who is already a member accepts whatever the rules for addresses say, because they join nothing.
func TestAllowEmailIsNotAskedForMembers(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.svc = w.service(w.host, &invitation.Config{
		AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error {
			return invitation.ErrForbidden
		},
	})
	w.host.AddMember("acme", "carl", invitation.RoleMember)
	w.is.NoErr(w.accept(byTicket(t, inv, "carl")))
}

// An *Error of AllowEmail is returned as it is, and any other error is internal, in every operation.
func TestErrorsOfAllowEmail(t *testing.T) {
	w := setup(t, &invitation.Config{ResendAfter: -1})
	inv := w.invite("carl@example.com")
	var says error
	w.svc = w.service(w.host, &invitation.Config{
		ResendAfter: -1,
		AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error {
			return says
		},
	})
	for operation, calls := range uses(w, inv) {
		for _, call := range calls {
			says = &invitation.Error{Status: 402, Code: "payment_required", Message: "Pay", LongMessage: "pay first"}
			w.refuses(says, []refusal{{402, "payment_required", ""}}, call)
			says = errors.New("boom")
			w.refuses(says, nil, call)
		}
		if operation == invitation.OperationLink {
			says = nil
			w.is.NoErr(calls[0]())
		}
	}
}

// AllowEmail decides before the limits do: the caller learns what no waiting will change.
func TestAllowEmailPrecedesLimits(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.svc = w.service(w.host, &invitation.Config{
		Seats: w.host.Seats(1),
		AllowEmail: func(context.Context, storage.Storage, invitation.AllowEmailRequest) error {
			return invitation.ErrForbidden
		},
	})
	for _, calls := range uses(w, inv) {
		for _, call := range calls { // neither too soon nor without a seat
			w.is.True(errors.Is(call(), invitation.ErrForbidden))
		}
	}
}
