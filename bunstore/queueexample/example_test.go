package queueexample_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/pgxtx"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// schema creates the tables of the application. An account's email was verified at sign-up, and is in the form of
// invitation.CanonicalEmail.
const schema = `
	CREATE TABLE IF NOT EXISTS accounts (
		id    text PRIMARY KEY,
		email text NOT NULL UNIQUE
	);
	CREATE TABLE IF NOT EXISTS memberships (
		organization_id text,
		user_id         text REFERENCES accounts,
		role            text NOT NULL,
		PRIMARY KEY (organization_id, user_id)
	)`

// directory answers from these tables. pgxtx.Tx(tx) is the transaction that the service works in.
type directory struct{}

func (directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (role invitation.Role, err error) {
	err = pgxtx.Tx(tx).QueryRow(ctx,
		"SELECT role FROM memberships WHERE organization_id = $1 AND user_id = $2", org, userID).Scan(&role)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return role, err
}

func (directory) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	rows, err := pgxtx.Tx(tx).Query(ctx,
		"SELECT email FROM accounts JOIN memberships ON user_id = id WHERE organization_id = $1 AND lower(email) = ANY ($2)",
		org, emails)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	var email string
	err := pgxtx.Tx(tx).QueryRow(ctx, "SELECT email FROM accounts WHERE id = $1", userID).Scan(&email)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{email}, err
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	tag, err := pgxtx.Tx(tx).Exec(ctx, "INSERT INTO memberships VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
		m.OrganizationID, m.UserID, m.Role)
	if err == nil && tag.RowsAffected() == 0 {
		return invitation.ErrAlreadyMember
	}
	return err
}

// mailArgs are the arguments of a job. They stay in River's table for a day or more, so they have ids but no link.
type mailArgs struct {
	OrganizationID string `json:"organization_id"`
	InvitationID   string `json:"invitation_id"`
}

func (mailArgs) Kind() string { return "invitation_mail" }

// enqueueMail returns a Config.OnEvents that inserts a job for every invitation to be mailed. The job is committed with
// the invitation.
func enqueueMail(jobs *river.Client[pgx.Tx]) func(context.Context, storage.Storage, []invitation.Event) error {
	return func(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
		var params []river.InsertManyParams
		for _, e := range events {
			if e.Notify {
				params = append(params, river.InsertManyParams{Args: mailArgs{
					OrganizationID: e.Invitation.OrganizationID,
					InvitationID:   e.Invitation.ID,
				}})
			}
		}
		if len(params) == 0 {
			return nil
		}
		pgxTx := pgxtx.Tx(tx)
		if pgxTx == nil {
			return errors.New("the job of an invitation needs a transaction of pgx: use a bunstore.Store on pgx, " +
				"and in your own transaction pgxtx.WithTx")
		}
		_, err := jobs.InsertManyTx(ctx, pgxTx, params)
		return err
	}
}

// mail is a request to the mail provider.
type mail struct {
	Key      string // the provider drops a request whose key it has seen before
	To, Link string
}

// mailWorker works the jobs.
type mailWorker struct {
	river.WorkerDefaults[mailArgs]
	svc  *invitation.Service
	send func(context.Context, mail) error
}

func (w *mailWorker) Work(ctx context.Context, job *river.Job[mailArgs]) error {
	inv, err := w.svc.Get(ctx, job.Args.OrganizationID, job.Args.InvitationID)
	if errors.Is(err, invitation.ErrNotFound) {
		return nil // deleted in the meantime
	}
	if err != nil {
		return err // River retries later
	}
	link, err := w.svc.Link(ctx, inv.OrganizationID, inv.ID)
	if errors.Is(err, invitation.ErrNotPending) || errors.Is(err, invitation.ErrNotFound) {
		return nil // accepted, declined, revoked, expired or deleted in the meantime
	}
	if errors.Is(err, invitation.ErrForbidden) {
		return river.JobCancel(err) // the inviter may no longer grant the role: the link would be refused
	}
	if err != nil {
		return err
	}
	// One key for each link issued: River may work a job twice, and Resend enqueues another job with a new link.
	key := fmt.Sprintf("%s-%d", inv.ID, inv.SentAt.UnixMicro())
	to, err := invitation.CanonicalEmail(inv.EmailAddress) // the address the link is for, in canonical form
	if err != nil {
		return river.JobCancel(err)
	}
	return w.send(ctx, mail{Key: key, To: to, Link: link})
}

// outbox stands for the mail provider.
type outbox struct {
	mu   sync.Mutex
	keys map[string]bool
	sent []mail
}

func (o *outbox) send(_ context.Context, m mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.keys == nil {
		o.keys = map[string]bool{}
	}
	if !o.keys[m.Key] {
		o.keys[m.Key], o.sent = true, append(o.sent, m)
	}
	return nil
}

// app is the application.
type app struct {
	pool  *pgxpool.Pool
	db    *bun.DB // on the pool, for the store
	store *bunstore.Store
	svc   *invitation.Service
}

// open opens the application on a database, and creates its tables.
func open(ctx context.Context, url string, now clock.Clock) (_ *app, err error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	a := &app{pool: pool, db: bun.NewDB(stdlib.OpenDBFromPool(pool), pgdialect.New())}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if _, err := pool.Exec(ctx, schema); err != nil {
		return nil, err
	}

	// River's tables, in the same database.
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: logger})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	jobs, err := river.NewClient(driver, &river.Config{Logger: logger}) // without Queues, the client only inserts
	if err != nil {
		return nil, err
	}

	// Invitations, in the same database.
	if a.store, err = bunstore.New(a.db, nil); err != nil {
		return nil, err
	}
	if err := a.store.Migrate(ctx); err != nil {
		return nil, err
	}
	a.svc, err = invitation.NewService(a.store, directory{}, &invitation.Config{
		TicketKeys: [][]byte{[]byte("an example's key, of 32 bytes or more")}, // a real key is random and secret
		AcceptURL:  "https://app.acme.example/join",
		OnEvents:   enqueueMail(jobs),
		Clock:      now,
	})
	return a, err
}

func (a *app) close() error {
	err := a.db.Close() // leaves the pool open
	a.pool.Close()
	return err
}

// logger writes to the standard error; by default, River writes to the standard output.
var logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))

// workers returns the workers for the jobs. They can run in this process or in another one.
func (a *app) workers(send func(context.Context, mail) error) *river.Workers {
	workers := river.NewWorkers()
	river.AddWorker(workers, &mailWorker{svc: a.svc, send: send})
	return workers
}

// found adds an organization in tx: the account of its founder, who becomes its admin, and invitations with their jobs.
// The caller commits tx.
func (a *app) found(
	ctx context.Context, tx pgx.Tx, org, founder, email string, invited ...invitation.CreateParams,
) ([]invitation.Invitation, error) {
	if _, err := tx.Exec(ctx, "INSERT INTO accounts VALUES ($1, $2)", founder, email); err != nil {
		return nil, err
	}
	admin := invitation.RoleAdmin
	if _, err := tx.Exec(ctx, "INSERT INTO memberships VALUES ($1, $2, $3)", org, founder, admin); err != nil {
		return nil, err
	}
	return a.svc.WithStorage(pgxtx.WithTx(a.store, tx)).CreateBulk(ctx, org, invited)
}

func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	a, err := open(ctx, os.Getenv("DATABASE_URL"), clock.System())
	must(err)

	// Ann founds an organization and invites four people, all in one transaction. Erin gets no mail; Ann tells her.
	var invited []invitation.Invitation
	found := func(tx pgx.Tx) (err error) {
		invited, err = a.found(ctx, tx, "acme", "ann", "ann@acme.example",
			invitation.CreateParams{EmailAddress: "bob@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
			invitation.CreateParams{EmailAddress: "carol@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
			invitation.CreateParams{EmailAddress: "dave@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
			invitation.CreateParams{
				EmailAddress: "erin@example.com", Role: invitation.RoleMember, InviterUserID: "ann", Silent: true,
			})
		return err
	}
	queued := 0
	count := func() {
		for _, table := range []string{"accounts", "memberships", "organization_invitations", "river_job"} {
			must(a.pool.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&queued))
			fmt.Println(" ", table, queued)
		}
	}
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		return errors.Join(found(tx), errors.New("the card was declined"))
	})
	fmt.Println("error:", err)
	count()
	err = pgx.BeginFunc(ctx, a.pool, found)
	fmt.Println("error:", err)
	count()

	// She revokes one before it is mailed. This is not in a transaction of the application, so it is one of its own.
	_, err = a.svc.Revoke(ctx, "acme", invited[1].ID, invitation.RevokeParams{RequestingUserID: "ann"})
	must(err)

	// Start a worker, here only until all jobs are done.
	var out outbox
	mailer, err := river.NewClient(riverpgxv5.New(a.pool), &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1}},
		Workers: a.workers(out.send),
		Logger:  logger,
	})
	must(err)
	done, cancel := mailer.Subscribe(river.EventKindJobCompleted, river.EventKindJobFailed)
	defer cancel()
	must(mailer.Start(ctx))
	for range queued {
		<-done
	}
	must(mailer.Stop(ctx))
	for _, m := range out.sent {
		page, _, _ := strings.Cut(m.Link, "=")
		fmt.Println("to", m.To+":", "open", page+"=…")
	}
	must(a.close())

	// Output:
	// error: the card was declined
	//   accounts 0
	//   memberships 0
	//   organization_invitations 0
	//   river_job 0
	// error: <nil>
	//   accounts 1
	//   memberships 1
	//   organization_invitations 4
	//   river_job 3
	// to bob@example.com: open https://app.acme.example/join?invitation_ticket=…
	// to dave@example.com: open https://app.acme.example/join?invitation_ticket=…
}
