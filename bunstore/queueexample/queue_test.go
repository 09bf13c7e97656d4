package queueexample_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/matryer/is"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/pgxtx"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// start opens the application on a database. The test may close the application before the test ends.
func start(t *testing.T, address string, now clock.Clock) *app {
	t.Helper()
	a, err := open(t.Context(), address, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.close() })
	return a
}

// fresh opens the application on a new schema, with an organization acme and its admin ann.
func fresh(t *testing.T, address string, now clock.Clock) *app {
	t.Helper()
	a := start(t, address, now)
	a.exec(t, "INSERT INTO accounts VALUES ('ann', 'ann@acme.example')")
	a.exec(t, "INSERT INTO memberships VALUES ('acme', 'ann', $1)", invitation.RoleAdmin)
	return a
}

func (a *app) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := a.pool.Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// bob is the user that the tests invite.
var bob = invitation.CreateParams{EmailAddress: "bob@example.com", Role: invitation.RoleMember, InviterUserID: "ann"}

func (a *app) invite(t *testing.T, p invitation.CreateParams) invitation.Invitation {
	t.Helper()
	inv, err := a.svc.Create(t.Context(), "acme", p)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// joining is a store that works in transactions of the application.
type joining struct {
	*bunstore.Store
	pool *pgxpool.Pool
}

func (j joining) Unwrap() storage.Storage { return j.Store }

func (j joining) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) error { return fn(ctx, pgxtx.WithTx(j.Store, tx)) })
}

// The directory of the example passes the test suite for directories, in transactions of the store and of the
// application.
func TestDirectory(t *testing.T) {
	for name, storageOf := range map[string]func(*app) storage.Storage{
		"store":       func(a *app) storage.Storage { return a.store },
		"application": func(a *app) storage.Storage { return joining{a.store, a.pool} },
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, needsServer(t), clock.System())
			invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
				a.exec(t, "TRUNCATE accounts, memberships, organization_invitations")
				return invitationtest.DirectoryHost{
					Directory: directory{},
					Storage:   storageOf(a),
					AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
						if len(verified) != 1 {
							return "", errors.ErrUnsupported
						}
						_, err := a.pool.Exec(ctx, "INSERT INTO accounts VALUES ($1, $2)", id, verified[0])
						return id, err
					},
					AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
						_, err := a.pool.Exec(ctx, "INSERT INTO memberships VALUES ($1, $2, $3)", organizationID, userID, role)
						return err
					},
				}
			})
		})
	}
}

// querier is a pool or a transaction of pgx.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// count returns the number of rows in a table, which may be followed by a condition.
func count(t *testing.T, db querier, from string) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// atOnce is the retry policy of the tests: River retries as soon as it can.
type atOnce struct{}

func (atOnce) NextRetry(*rivertype.JobRow) time.Time { return time.Now() }

// newMailer returns a client with short intervals.
func (a *app) newMailer(send func(context.Context, mail) error) (*river.Client[pgx.Tx], error) {
	return river.NewClient(riverpgxv5.New(a.pool), &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}},
		Workers:           a.workers(send),
		Logger:            slog.New(slog.DiscardHandler), // the tests make workers fail
		RetryPolicy:       atOnce{},
		FetchCooldown:     10 * time.Millisecond,
		FetchPollInterval: 10 * time.Millisecond,
		TestOnly:          true,
	})
}

// work runs a mailer until it has completed n jobs, and returns them.
func (a *app) work(t *testing.T, n int, send func(context.Context, mail) error) []*rivertype.JobRow {
	t.Helper()
	return a.finish(t, n, river.EventKindJobCompleted, send)
}

// finish runs a mailer until n jobs have ended with this event, and returns them.
func (a *app) finish(
	t *testing.T, n int, end river.EventKind, send func(context.Context, mail) error,
) []*rivertype.JobRow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := a.newMailer(send)
	if err != nil {
		t.Fatal(err)
	}
	done, unsubscribe := client.Subscribe(end)
	defer unsubscribe()
	if err := client.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Stop(ctx); err != nil {
			t.Error(err)
		}
		if left := count(t, a.pool, "river_job WHERE state NOT IN ('completed', 'cancelled')"); left != 0 {
			t.Errorf("%d jobs are left, want none", left)
		}
	}()
	var jobs []*rivertype.JobRow
	for range n {
		select {
		case e := <-done:
			jobs = append(jobs, e.Job)
		case <-ctx.Done():
			t.Fatalf("%d of %d jobs ended", len(jobs), n)
		}
	}
	return jobs
}

// ticketIn returns the ticket of a link.
func ticketIn(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("invitation_ticket") == "" {
		t.Fatalf("%q has no ticket: %v", link, err)
	}
	return u.Query().Get("invitation_ticket")
}

func TestMailedOnce(t *testing.T) {
	is := is.New(t)
	a := fresh(t, needsServer(t), clock.System())
	inv := a.invite(t, bob)
	silent := bob
	silent.EmailAddress, silent.Silent = "carol@example.com", true
	a.invite(t, silent)

	var out outbox
	jobs := a.work(t, 1, out.send)
	is.Equal(jobs[0].Attempt, 1)
	is.Equal(len(out.sent), 1)
	is.Equal(out.sent[0].To, "bob@example.com")
	preview, err := a.svc.Preview(t.Context(), ticketIn(t, out.sent[0].Link))
	is.NoErr(err) // the mailed link is valid
	is.Equal(preview.ID, inv.ID)

	// A process that starts later mails only the new invitation.
	later := bob
	later.EmailAddress = "dave@example.com"
	a.invite(t, later)
	var next outbox
	a.work(t, 1, next.send)
	is.Equal(len(next.sent), 1)
	is.Equal(next.sent[0].To, "dave@example.com")
	is.Equal(count(t, a.pool, "river_job"), 2)
}

// TestResent resends an invitation before or after its first link was mailed. Only links that are valid at the time are
// mailed, each of them once.
func TestResent(t *testing.T) {
	for name, mailedFirst := range map[string]bool{"before it was mailed": false, "after it was mailed": true} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
			a := fresh(t, needsServer(t), now)
			first := a.invite(t, bob)
			var out outbox
			var want []string
			jobs := 2
			if mailedFirst {
				a.work(t, 1, out.send)
				want = append(want, first.URL)
				jobs--
			}
			now.Advance(time.Hour)
			second, err := a.svc.Resend(t.Context(), "acme", first.ID, invitation.ResendParams{})
			is.NoErr(err)
			is.True(second.URL != first.URL)
			want = append(want, second.URL)
			is.Equal(count(t, a.pool, "river_job"), 2)

			a.work(t, jobs, out.send)
			var mailed []string
			for _, m := range out.sent {
				mailed = append(mailed, m.Link)
			}
			is.Equal(mailed, want)
		})
	}
}

// TestRoleChanged changes the role after the link was mailed. That makes the mailed link invalid, so the new one is
// mailed.
func TestRoleChanged(t *testing.T) {
	is := is.New(t)
	now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	a := fresh(t, needsServer(t), now)
	inv := a.invite(t, bob)
	var out outbox
	a.work(t, 1, out.send)

	now.Advance(time.Hour)
	updated, err := a.svc.Update(t.Context(), "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
	is.NoErr(err)
	_, err = a.svc.Preview(t.Context(), ticketIn(t, out.sent[0].Link))
	is.True(errors.Is(err, invitation.ErrInvalidTicket))
	a.work(t, 1, out.send)
	is.Equal(len(out.sent), 2)
	is.Equal(out.sent[1].Link, updated.URL)

	// A change of the private metadata is not mailed.
	note, err := invitation.NewMetadata(map[string]any{"crm": 4711})
	is.NoErr(err)
	_, err = a.svc.Update(t.Context(), "acme", inv.ID, invitation.UpdateParams{PrivateMetadata: note})
	is.NoErr(err)
	is.Equal(count(t, a.pool, "river_job"), 2)
}

// TestInviterDemoted demotes the inviter before the mail is sent. No mail is sent, because its link would be refused,
// and the job is not retried.
func TestInviterDemoted(t *testing.T) {
	is := is.New(t)
	a := fresh(t, needsServer(t), clock.System())
	a.invite(t, bob)
	a.exec(t, "UPDATE memberships SET role = $1 WHERE user_id = 'ann'", invitation.RoleMember)
	var out outbox
	a.finish(t, 1, river.EventKindJobCancelled, out.send)
	is.Equal(len(out.sent), 0)
}

// TestRolledBack rolls back or commits a transaction of the application: the account, the membership, the invitation
// and the job are all there, or none of them is.
func TestRolledBack(t *testing.T) {
	tables := []string{"accounts", "memberships", "organization_invitations", "river_job"}
	failure := errors.New("the card was declined")
	for name, settings := range map[string]string{
		"default":             "",
		"simple protocol":     "&default_query_exec_mode=simple_protocol",
		"with one connection": "&pool_max_conns=1", // any second one would be waited for until the test times out
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			address := needsServer(t)
			a := start(t, address+settings, clock.System())
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for rows, want := range []error{failure, nil} {
				err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
					if _, err := a.found(ctx, tx, "acme", "ann", "ann@acme.example", bob); err != nil {
						return err
					}
					for _, table := range tables {
						is.Equal(count(t, tx, table), 1)
					}
					return want
				})
				is.Equal(err, want)
				for _, table := range tables {
					is.Equal(count(t, a.pool, table), rows)
				}
			}
			var out outbox
			start(t, address, clock.System()).work(t, 1, out.send) // River needs more than one connection
			is.Equal(len(out.sent), 1)
		})
	}
}

// TestSavepoint rolls back an invitation to a savepoint of the application, and its job with it. The rest is committed.
func TestSavepoint(t *testing.T) {
	is := is.New(t)
	a := fresh(t, needsServer(t), clock.System())
	failure := errors.New("not this one")
	err := pgx.BeginFunc(t.Context(), a.pool, func(tx pgx.Tx) error {
		if _, err := a.svc.WithStorage(pgxtx.WithTx(a.store, tx)).Create(t.Context(), "acme", bob); err != nil {
			return err
		}
		err := pgx.BeginFunc(t.Context(), tx, func(tx pgx.Tx) error {
			carol := bob
			carol.EmailAddress = "carol@example.com"
			_, err := a.svc.WithStorage(pgxtx.WithTx(a.store, tx)).Create(t.Context(), "acme", carol)
			is.NoErr(err)
			is.Equal(count(t, tx, "river_job"), 2)
			return failure
		})
		is.Equal(err, failure)
		return nil
	})
	is.NoErr(err)
	is.Equal(count(t, a.pool, "organization_invitations"), 1)
	var out outbox
	a.work(t, 1, out.send)
	is.Equal(len(out.sent), 1)
	is.Equal(out.sent[0].To, "bob@example.com")
}

// TestSignedUp creates the account of an invited user and accepts, in one transaction of the application.
func TestSignedUp(t *testing.T) {
	is := is.New(t)
	a := fresh(t, needsServer(t), clock.System())
	inv := a.invite(t, bob)
	failure := errors.New("the form was incomplete")
	for _, want := range []error{failure, nil} {
		err := pgx.BeginFunc(t.Context(), a.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "INSERT INTO accounts VALUES ('bob', 'bob@example.com')"); err != nil {
				return err
			}
			svc := a.svc.WithStorage(pgxtx.WithTx(a.store, tx))
			p := invitation.AcceptParams{Ticket: ticketIn(t, inv.URL), UserID: "bob"}
			if _, err := svc.Accept(t.Context(), p); err != nil {
				return err
			}
			return want
		})
		is.Equal(err, want)
		rows, status := 2, invitation.StatusAccepted
		if want != nil {
			rows, status = 1, invitation.StatusPending
		}
		is.Equal(count(t, a.pool, "accounts"), rows) // ann's is the first
		is.Equal(count(t, a.pool, "memberships"), rows)
		got, err := a.svc.Get(t.Context(), "acme", inv.ID)
		is.NoErr(err)
		is.Equal(got.Status, status)
	}
	var out outbox
	a.work(t, 1, out.send)
	is.Equal(len(out.sent), 0) // accepted before the worker ran
}

// TestNotEnqueued makes River fail. An invitation whose job cannot be inserted is not created, even if the application
// ignores the error and commits.
func TestNotEnqueued(t *testing.T) {
	is := is.New(t)
	a := fresh(t, needsServer(t), clock.System())
	a.exec(t, "ALTER TABLE river_job RENAME TO elsewhere")
	_, err := a.svc.Create(t.Context(), "acme", bob)
	is.True(err != nil)
	err = pgx.BeginFunc(t.Context(), a.pool, func(tx pgx.Tx) error {
		_, err := a.svc.WithStorage(pgxtx.WithTx(a.store, tx)).Create(t.Context(), "acme", bob)
		is.True(err != nil)
		_, err = tx.Exec(t.Context(), "INSERT INTO accounts VALUES ('bob', 'bob@example.com')")
		return err
	})
	is.NoErr(err)
	is.Equal(count(t, a.pool, "accounts"), 2) // ann's and bob's
	is.Equal(count(t, a.pool, "organization_invitations"), 0)
}

// TestNotCommitted makes COMMIT fail, in a transaction of the store and in one of the application. The job was inserted
// in that transaction, so it is not committed either.
func TestNotCommitted(t *testing.T) {
	is := is.New(t)
	a := fresh(t, needsServer(t), clock.System())
	a.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`)
	a.exec(t, `CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON river_job
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	_, err := a.svc.Create(t.Context(), "acme", bob)
	is.True(err != nil)
	err = pgx.BeginFunc(t.Context(), a.pool, func(tx pgx.Tx) error {
		_, err := a.svc.WithStorage(pgxtx.WithTx(a.store, tx)).Create(t.Context(), "acme", bob)
		is.NoErr(err) // only COMMIT fails
		return err
	})
	is.True(err != nil)
	is.Equal(count(t, a.pool, "organization_invitations"), 0)
	is.Equal(count(t, a.pool, "river_job"), 0)
}

// nobody is the Directory of an organization without members. It needs no transaction.
type nobody struct{ invitation.Directory }

func (nobody) MemberEmails(context.Context, storage.Storage, string, []string) ([]string, error) {
	return nil, nil
}

// TestNoPgx creates invitations in transactions that are not of pgx, or not known as such. OnEvents cannot insert a job
// there. It returns an error that says why, and so there is no invitation without a job.
func TestNoPgx(t *testing.T) {
	is := is.New(t)
	jobs, err := river.NewClient(riverpgxv5.New(nil), &river.Config{Logger: logger})
	is.NoErr(err)
	mailed := invitation.CreateParams{EmailAddress: "carol@example.com", Role: invitation.RoleMember}
	silent := mailed
	silent.Silent = true
	refused := func(t *testing.T, store storage.Storage, remedy string) {
		t.Helper()
		is := is.New(t)
		svc, err := invitation.NewService(store, nobody{}, &invitation.Config{OnEvents: enqueueMail(jobs)})
		is.NoErr(err)
		_, err = svc.Create(t.Context(), "acme", mailed)
		is.True(err != nil)
		is.True(strings.Contains(err.Error(), remedy))
		page, err := svc.List(t.Context(), "acme", invitation.ListParams{})
		is.NoErr(err)
		is.Equal(page.TotalCount, 0)
		_, err = svc.Create(t.Context(), "acme", silent)
		is.NoErr(err) // it needs no job
	}
	t.Run("another store", func(t *testing.T) {
		refused(t, memstore.New(), "pgxtx.WithTx")
	})
	t.Run("a transaction of bun", func(t *testing.T) {
		is := is.New(t)
		a := start(t, needsServer(t), clock.System())
		is.NoErr(a.db.RunInTx(t.Context(), nil, func(_ context.Context, tx bun.Tx) error {
			refused(t, a.store.WithTx(tx), "begun with bun")
			return nil // commits
		}))
		is.Equal(count(t, a.pool, "organization_invitations"), 1) // the silent one
		is.Equal(count(t, a.pool, "river_job"), 0)
	})
}

// TestDiesBeforeSend simulates a process that ends after the commit and before any worker has run.
func TestDiesBeforeSend(t *testing.T) {
	is := is.New(t)
	address := needsServer(t)
	before := fresh(t, address, clock.System())
	before.invite(t, bob)
	is.NoErr(before.close())

	after := start(t, address, clock.System())
	var out outbox
	jobs := after.work(t, 1, out.send)
	is.Equal(jobs[0].Attempt, 1)
	is.Equal(len(out.sent), 1)
	is.Equal(out.sent[0].To, "bob@example.com")
}

// TestWorkerFails makes the first attempt fail, before or after the provider got the mail.
func TestWorkerFails(t *testing.T) {
	for name, first := range map[string]func(context.Context, *outbox, mail) error{
		"with an error before it sent": func(context.Context, *outbox, mail) error {
			return errors.New("no route to the provider")
		},
		"with a panic before it sent": func(context.Context, *outbox, mail) error {
			panic("crash")
		},
		"with an error after it sent": func(ctx context.Context, out *outbox, m mail) error {
			return errors.Join(out.send(ctx, m), errors.New("no answer from the provider"))
		},
		"with a panic after it sent": func(ctx context.Context, out *outbox, m mail) error {
			_ = out.send(ctx, m)
			panic("crash")
		},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			a := fresh(t, needsServer(t), clock.System())
			inv := a.invite(t, bob)
			var out outbox
			tries := 0 // of the one job, which run one after another
			jobs := a.work(t, 1, func(ctx context.Context, m mail) error {
				if tries++; tries == 1 {
					return first(ctx, &out, m)
				}
				return out.send(ctx, m)
			})
			is.Equal(tries, 2)
			is.Equal(jobs[0].Attempt, 2)
			is.Equal(len(out.sent), 1)
			is.True(!strings.Contains(a.row(t), ticketIn(t, inv.URL))) // nor in the stored errors and traces
		})
	}
}

// victim is the environment variable by which TestWorkerKilled tells its child process which database to work on.
const victim = "QUEUEEXAMPLE_VICTIM"

// TestWorkerKilled ends a real process while its worker is running. River considers a job stuck after an hour.
func TestWorkerKilled(t *testing.T) {
	is := is.New(t)
	if address := os.Getenv(victim); address != "" {
		start(t, address, clock.System()).work(t, 1, func(context.Context, mail) error {
			os.Exit(42)
			return nil
		})
	}
	address := needsServer(t)
	a := fresh(t, address, clock.System())
	a.invite(t, bob)
	self, err := os.Executable()
	is.NoErr(err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestWorkerKilled$")
	child.Env = append(os.Environ(), victim+"="+address)
	output, err := child.CombinedOutput()
	if status, ok := errors.AsType[*exec.ExitError](err); !ok || status.ExitCode() != 42 {
		t.Fatalf("%v\n%s", err, output)
	}

	// Pretend that the hour has passed, and that the dead process no longer holds the lease on River's maintenance.
	var state string
	is.NoErr(a.pool.QueryRow(t.Context(), "SELECT state FROM river_job").Scan(&state))
	is.Equal(state, "running")
	a.exec(t, "UPDATE river_job SET attempted_at = '2001-01-01T00:00:00Z'")
	a.exec(t, "DELETE FROM river_leader")

	var out outbox
	jobs := a.work(t, 1, out.send)
	is.Equal(jobs[0].Attempt, 2)
	is.Equal(len(out.sent), 1)
}

// TestNothingToMail resolves, expires or deletes the invitation before the worker runs.
func TestNothingToMail(t *testing.T) {
	for name, meanwhile := range map[string]func(*app, *clock.Fake, invitation.Invitation) error{
		"revoked": func(a *app, _ *clock.Fake, inv invitation.Invitation) error {
			_, err := a.svc.Revoke(t.Context(), "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
			return err
		},
		"expired": func(_ *app, now *clock.Fake, inv invitation.Invitation) error {
			now.Set(inv.ExpiresAt)
			return nil
		},
		"deleted": func(a *app, _ *clock.Fake, inv invitation.Invitation) error {
			_, err := a.svc.EraseEmail(t.Context(), inv.EmailAddress)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
			a := fresh(t, needsServer(t), now)
			is.NoErr(meanwhile(a, now, a.invite(t, bob)))
			var out outbox
			jobs := a.work(t, 1, out.send)
			is.Equal(jobs[0].Attempt, 1) // completed, not retried
			is.Equal(len(out.sent), 0)
		})
	}
}

func TestJobHoldsNoTicket(t *testing.T) {
	is := is.New(t)
	a := fresh(t, needsServer(t), clock.System())
	inv := a.invite(t, bob)
	var text string
	is.NoErr(a.pool.QueryRow(t.Context(), "SELECT args::text FROM river_job").Scan(&text))
	var args map[string]string
	is.NoErr(json.Unmarshal([]byte(text), &args))
	is.Equal(args, map[string]string{"organization_id": "acme", "invitation_id": inv.ID})

	for _, worked := range []bool{false, true} {
		if worked {
			a.work(t, 1, new(outbox).send)
		}
		row := a.row(t)
		is.True(strings.Contains(row, inv.ID)) // the row is readable
		for _, secret := range []string{ticketIn(t, inv.URL), "invitation_ticket", "https:", "bob@example.com"} {
			is.True(!strings.Contains(row, secret))
		}
	}
}

// row returns all columns of the one job in River's table, as JSON.
func (a *app) row(t *testing.T) (all string) {
	t.Helper()
	if err := a.pool.QueryRow(t.Context(), "SELECT to_jsonb(river_job)::text FROM river_job").Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}
