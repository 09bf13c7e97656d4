package queueexample_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The tables of the application.
type (
	user struct {
		ID    string `bun:",pk"`
		Email string `bun:",unique"` // verified at sign-up, in the form of invitation.CanonicalEmail
	}

	membership struct {
		OrganizationID string `bun:",pk"`
		UserID         string `bun:",pk"`
		Role           invitation.Role
	}
)

// directory answers from these tables.
type directory struct{}

func (directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	m := membership{OrganizationID: org, UserID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&m).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return "", invitation.ErrNotMember
	}
	return m.Role, err
}

func (directory) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*user)(nil)).Column("email").
		Join("JOIN memberships AS m ON m.user_id = id").
		Where("m.organization_id = ? AND LOWER(email) IN ?", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	u := user{ID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&u).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{u.Email}, err
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().On("CONFLICT DO NOTHING").
		Model(&membership{m.OrganizationID, m.UserID, m.Role}).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

// mailArgs are the arguments of a job. They stay in River's table for a day or more, so they have ids but no link.
type mailArgs struct {
	OrganizationID string `json:"organization_id"`
	InvitationID   string `json:"invitation_id"`
}

func (mailArgs) Kind() string { return "invitation_mail" }

// enqueueMail returns a Config.OnEvents that inserts a job for every invitation to be mailed. The job is committed with
// the invitation.
func enqueueMail(jobs *river.Client[*sql.Tx]) func(context.Context, storage.Storage, []invitation.Event) error {
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
		sqlTx := bunstore.DB(tx).(bun.Tx).Tx // OnEvents is always called in a transaction
		_, err := jobs.InsertManyTx(ctx, sqlTx, params)
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
	db    *bun.DB
	store *bunstore.Store
	svc   *invitation.Service
}

// open opens the application on a SQLite file, with an organization acme and its admin ann.
func open(ctx context.Context, file string, now clock.Clock) (_ *app, err error) {
	// River does not retry a statement that finds the file locked, so the busy_timeout has to be long enough.
	dsn := "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate"
	sqldb, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	a := &app{db: bun.NewDB(sqldb, sqlitedialect.New())}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.db.Close())
		}
	}()
	for _, rows := range []any{
		&user{"ann", "ann@acme.example"},
		&membership{"acme", "ann", invitation.RoleAdmin},
	} {
		if _, err := a.db.NewCreateTable().IfNotExists().Model(rows).Exec(ctx); err != nil {
			return nil, err
		}
		if _, err := a.db.NewInsert().On("CONFLICT DO NOTHING").Model(rows).Exec(ctx); err != nil {
			return nil, err
		}
	}

	// River's tables, in the same database.
	driver := riversqlite.New(sqldb)
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

// logger writes to the standard error; by default, River writes to the standard output.
var logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))

// workers returns the workers for the jobs. They can run in this process or in another one.
func (a *app) workers(send func(context.Context, mail) error) *river.Workers {
	workers := river.NewWorkers()
	river.AddWorker(workers, &mailWorker{svc: a.svc, send: send})
	return workers
}

func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "orginvite")
	must(err)
	a, err := open(ctx, filepath.Join(dir, "app.db"), clock.System())
	must(err)

	// Ann invites four people. The invitations and their jobs are one transaction. Erin gets no mail; Ann tells her.
	invited, err := a.svc.CreateBulk(ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "bob@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
		{EmailAddress: "carol@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
		{EmailAddress: "dave@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
		{EmailAddress: "erin@example.com", Role: invitation.RoleMember, InviterUserID: "ann", Silent: true},
	})
	must(err)
	queued, err := a.db.NewSelect().Table("river_job").Count(ctx)
	must(err)
	fmt.Println("invitations:", len(invited), "jobs:", queued)

	// She revokes one before it is mailed.
	_, err = a.svc.Revoke(ctx, "acme", invited[1].ID, invitation.RevokeParams{RequestingUserID: "ann"})
	must(err)

	// Start a worker, here only until all jobs are done.
	var out outbox
	mailer, err := river.NewClient(riversqlite.New(a.db.DB), &river.Config{
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

	must(a.db.Close())
	must(os.RemoveAll(dir))

	// Output:
	// invitations: 4 jobs: 3
	// to bob@example.com: open https://app.acme.example/join?invitation_ticket=…
	// to dave@example.com: open https://app.acme.example/join?invitation_ticket=…
}
