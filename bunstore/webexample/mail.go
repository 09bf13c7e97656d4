package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// mailJob is a row of the outbox: an invitation to mail.
type mailJob struct {
	ID                           int64 `bun:",pk,autoincrement"`
	OrganizationID, InvitationID string
}

// enqueueMail serves as Config.OnEvents: the jobs are committed with the invitations, or not at all.
func enqueueMail(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
	for _, e := range events {
		if !e.Notify {
			continue
		}
		job := mailJob{OrganizationID: e.Invitation.OrganizationID, InvitationID: e.Invitation.ID}
		if _, err := bunstore.DB(tx).NewInsert().Model(&job).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mailUntil works the outbox until ctx ends.
func (a *app) mailUntil(ctx context.Context) {
	for ; ctx.Err() == nil; time.Sleep(time.Second / 2) {
		if err := a.mailAll(ctx); err != nil && ctx.Err() == nil {
			log.Print(err)
		}
	}
}

// mailAll mails what is in the outbox. A job that fails stays. If the process dies before it deletes the job, the
// invitation is mailed twice.
func (a *app) mailAll(ctx context.Context) error {
	var jobs []mailJob
	err := a.db.NewSelect().Model(&jobs).Order("id").Scan(ctx)
	for _, job := range jobs {
		failed := a.mailInvitation(ctx, job)
		if failed == nil {
			_, failed = a.db.NewDelete().Model(&job).WherePK().Exec(ctx)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// mailInvitation makes the link at the last moment. It mails it to the address that it proves, in canonical form.
func (a *app) mailInvitation(ctx context.Context, job mailJob) error {
	link, err := a.svc.Link(ctx, job.OrganizationID, job.InvitationID)
	if errors.Is(err, invitation.ErrNotPending) || errors.Is(err, invitation.ErrForbidden) ||
		errors.Is(err, invitation.ErrNotFound) {
		return nil // revoked, expired or deleted since: there is nothing to mail
	} else if err != nil {
		return err
	}
	inv, err := a.svc.Get(ctx, job.OrganizationID, job.InvitationID)
	if err != nil {
		return err
	}
	to, err := invitation.CanonicalEmail(inv.EmailAddress)
	if err != nil {
		return err
	}
	return a.send(ctx, to, "Invitation as "+inv.RoleName, link)
}

// mail is a mail that was sent. While you develop, all mail is at /mail.
type mail struct {
	ID                int64 `bun:",pk,autoincrement"`
	To, Subject, Link string
	SentAt            int64
}

// send stands in for your mail provider.
func (a *app) send(ctx context.Context, to, subject, link string) error {
	m := mail{To: to, Subject: subject, Link: link, SentAt: a.clock.Now().Unix()}
	_, err := a.db.NewInsert().Model(&m).Exec(ctx)
	return err
}

func (a *app) showMail(w http.ResponseWriter, r *http.Request) error {
	var mails []mail
	if err := a.db.NewSelect().Model(&mails).Order("id DESC").Limit(100).Scan(r.Context()); err != nil {
		return err
	}
	return a.render(w, r, http.StatusOK, "mail", mails)
}
