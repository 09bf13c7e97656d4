package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// mailJob is a row of the application's queue. It names the invitation and holds no link.
type mailJob struct {
	ID             int64 `bun:",pk,autoincrement"`
	OrganizationID string
	InvitationID   string
}

// enqueueMail serves as Config.OnEvents. It adds a job for every link to be mailed, committed with the invitation.
func enqueueMail(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
	var jobs []mailJob
	for _, e := range events {
		if e.Notify {
			jobs = append(jobs, mailJob{OrganizationID: e.Invitation.OrganizationID, InvitationID: e.Invitation.ID})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := bunstore.DB(tx).NewInsert().Model(&jobs).Exec(ctx)
	return err
}

// noMembers is the Directory of an organization without members. Creating an invitation without an inviter needs only
// this method; the quickstart of package invitation has a complete Directory.
type noMembers struct{ invitation.Directory }

func (noMembers) MemberEmails(context.Context, storage.Storage, string, []string) ([]string, error) {
	return nil, nil
}

// The application's mail worker. Config.OnEvents inserts its jobs in the transaction of the invitation. The worker
// mails only invitations that are still pending when it runs.
func Example_mail() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	sqldb, err := sql.Open("sqlite", ":memory:")
	must(err)
	sqldb.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	db := bun.NewDB(sqldb, sqlitedialect.New())
	defer func() { _ = db.Close() }()
	must(db.ResetModel(ctx, (*mailJob)(nil)))
	store, err := bunstore.New(db, nil)
	must(err)
	must(store.Migrate(ctx))
	svc, err := invitation.NewService(store, noMembers{}, &invitation.Config{
		TicketKeys: [][]byte{[]byte("an example's key, of 32 bytes or more")}, // use a random, secret key in production
		AcceptURL:  "https://app.acme.example/join",
		OnEvents:   enqueueMail,
	})
	must(err)

	invs, err := svc.CreateBulk(ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "Bob@Example.com", Role: invitation.RoleMember},
		{EmailAddress: "carol@example.com", Role: invitation.RoleMember},
		{EmailAddress: "dave@example.com", Role: invitation.RoleMember, Silent: true},
		{EmailAddress: "erin@example.com", Role: invitation.RoleMember},
	})
	must(err)
	_, err = svc.Revoke(ctx, "acme", invs[1].ID, invitation.RevokeParams{})
	must(err)

	work := func(job mailJob) error {
		link, err := svc.Link(ctx, job.OrganizationID, job.InvitationID)
		if errors.Is(err, invitation.ErrNotPending) || errors.Is(err, invitation.ErrForbidden) {
			return nil // no longer pending: nothing to mail
		}
		if err != nil {
			return err
		}
		inv, err := svc.Get(ctx, job.OrganizationID, job.InvitationID)
		if err != nil {
			return err
		}
		to, err := invitation.CanonicalEmail(inv.EmailAddress) // the address that the link proves, in canonical form
		if err != nil {
			return err
		}
		address, _, _ := strings.Cut(link, "=")
		fmt.Println("to", to+":", "open", address+"=…")
		return nil
	}
	var jobs []mailJob
	must(db.NewSelect().Model(&jobs).Order("id").Scan(ctx))
	fmt.Println("jobs:", len(jobs))
	for _, job := range jobs {
		must(work(job))
	}
	// Output:
	// jobs: 3
	// to bob@example.com: open https://app.acme.example/join?invitation_ticket=…
	// to erin@example.com: open https://app.acme.example/join?invitation_ticket=…
}
