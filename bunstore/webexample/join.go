package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/invitation"
)

// home shows the visitor's organizations and invitations.
func (a *app) home(w http.ResponseWriter, r *http.Request) error {
	invited, err := a.as(r).ListForUser(r.Context(), "", invitation.ListParams{Cursor: r.FormValue("cursor")})
	if err != nil {
		return err
	}
	var orgs []organization
	if err := a.db.NewSelect().Model(&orgs).Join("JOIN members AS m ON m.organization_id = id").
		Where("m.user_id = ?", sessionOf(r).UserID).Order("name").Scan(r.Context()); err != nil {
		return err
	}
	return a.render(w, r, http.StatusOK, "home", map[string]any{"Organizations": orgs, "Invitations": invited})
}

// join is the page that the link in a mail leads to. It writes nothing, because mail scanners open links too. If the
// link is dead, or the invitation is for somebody else, the page says what to do.
func (a *app) join(w http.ResponseWriter, r *http.Request) error {
	svc, ticket := a.svc, r.FormValue(invitation.DefaultTicketParam) // the ticket is enough to look
	if sessionOf(r).UserID != "" {
		svc = a.as(r) // also says whether the invitation is for this user
	}
	inv, err := svc.Preview(r.Context(), ticket)
	page := map[string]any{"Ticket": ticket, "Invitation": inv}
	if e, ok := errors.AsType[*invitation.Error](err); ok {
		page["Dead"] = e // the page knows what to do by the code
	} else if err != nil {
		return err
	}
	return a.render(w, r, invitation.HTTPStatus(err), "join", page)
}

// answer accepts or declines the invitation of a link, or one that home shows.
func (a *app) answer(w http.ResponseWriter, r *http.Request) error {
	p := invitation.AcceptParams{
		Ticket:         r.PostFormValue("ticket"),
		OrganizationID: r.PostFormValue("organization_id"),
		InvitationID:   r.PostFormValue("invitation_id"),
		Terms:          r.PostFormValue("terms"), // as shown: they may have changed since
	}
	svc, byTicket := a.as(r), sessionOf(r).UserID == "" && p.Ticket != ""
	if r.URL.Path == "/join/accept" {
		if byTicket {
			return a.signUp(w, r, p)
		}
		inv, err := svc.Accept(r.Context(), p)
		return redirect(w, r, "/orgs/"+inv.OrganizationID+"?done=joined", err)
	}
	then := "/?done=declined"
	if byTicket {
		svc, then = a.svc, "/signin?done=declined" // to decline, the ticket is enough
	}
	_, err := svc.Decline(r.Context(), invitation.DeclineParams(p))
	return redirect(w, r, then, err)
}

// signUp creates the account and accepts, both or neither. The ticket proves the address, which is not in the form. It
// is not enough for an address that has an account: who got a forwarded link would get the account.
func (a *app) signUp(w http.ResponseWriter, r *http.Request, p invitation.AcceptParams) error {
	inv, err := a.svc.Preview(r.Context(), p.Ticket)
	if err != nil {
		return err
	}
	u := user{ID: rand.Text()}
	if u.Email, err = invitation.CanonicalEmail(inv.EmailAddress); err != nil {
		return err
	}
	err = a.db.RunInTx(r.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewInsert().Model(&u).On("CONFLICT DO NOTHING").Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, problem(http.StatusConflict, "This address has an account. Sign in to accept."))
		}
		_, err = a.svc.WithStorage(a.store.WithTx(tx)).As(u.ID).Accept(ctx, p)
		return err
	})
	if err != nil {
		return err
	}
	return a.renew(w, r, session{UserID: u.ID, Email: u.Email}, "/orgs/"+inv.OrganizationID+"?done=joined")
}
