package queueexample_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// start opens the application on a file. The test may close the application before the test ends.
func start(t *testing.T, file string, now clock.Clock) *app {
	t.Helper()
	a, err := open(t.Context(), file, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.db.Close() })
	return a
}

// fresh opens the application on a new file.
func fresh(t *testing.T) *app {
	t.Helper()
	return start(t, filepath.Join(t.TempDir(), "app.db"), clock.System())
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

// The directory of the example passes the test suite for directories.
func TestDirectory(t *testing.T) {
	invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
		a := fresh(t)
		return invitationtest.DirectoryHost{
			Directory: directory{},
			Storage:   a.store,
			AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
				if len(verified) != 1 {
					return "", errors.ErrUnsupported
				}
				_, err := a.db.NewInsert().Model(&user{id, verified[0]}).Exec(ctx)
				return id, err
			},
			AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
				_, err := a.db.NewInsert().Model(&membership{organizationID, userID, role}).Exec(ctx)
				return err
			},
		}
	})
}

func count(t *testing.T, db bun.IDB, table string) int {
	t.Helper()
	n, err := db.NewSelect().Table(table).Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// atOnce is the retry policy of the tests: River retries as soon as it can.
type atOnce struct{}

func (atOnce) NextRetry(*rivertype.JobRow) time.Time { return time.Now() }

// newMailer returns a client with short intervals.
func (a *app) newMailer(send func(context.Context, mail) error) (*river.Client[*sql.Tx], error) {
	return river.NewClient(riversqlite.New(a.db.DB), &river.Config{
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
		left, err := a.db.NewSelect().Table("river_job").Where("state NOT IN ('completed', 'cancelled')").Count(ctx)
		if err != nil || left != 0 {
			t.Errorf("%d jobs are left, error %v; want none", left, err)
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
	a := fresh(t)
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
	is.Equal(count(t, a.db, "river_job"), 2)
}

// TestResent resends an invitation before or after its first link was mailed. Only links that are valid at the time are
// mailed, each of them once.
func TestResent(t *testing.T) {
	for name, mailedFirst := range map[string]bool{"before it was mailed": false, "after it was mailed": true} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
			a := start(t, filepath.Join(t.TempDir(), "app.db"), now)
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
			is.Equal(count(t, a.db, "river_job"), 2)

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
	a := start(t, filepath.Join(t.TempDir(), "app.db"), now)
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
	is.Equal(count(t, a.db, "river_job"), 2)
}

// TestInviterDemoted demotes the inviter before the mail is sent. No mail is sent, because its link would be refused,
// and the job is not retried.
func TestInviterDemoted(t *testing.T) {
	is := is.New(t)
	a := fresh(t)
	a.invite(t, bob)
	_, err := a.db.ExecContext(t.Context(), "UPDATE memberships SET role = 'org:member' WHERE user_id = 'ann'")
	is.NoErr(err)
	var out outbox
	a.finish(t, 1, river.EventKindJobCancelled, out.send)
	is.Equal(len(out.sent), 0)
}

func TestRolledBack(t *testing.T) {
	is := is.New(t)
	a := fresh(t)
	failure := errors.New("the card was declined")
	for _, want := range []error{failure, nil} {
		err := a.db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			if _, err := a.svc.WithStorage(a.store.WithTx(tx)).Create(ctx, "acme", bob); err != nil {
				return err
			}
			is.Equal(count(t, tx, "river_job"), 1) // the job is in the transaction
			return want
		})
		is.Equal(err, want)
		rows := 1
		if want != nil {
			rows = 0
		}
		is.Equal(count(t, a.db, "organization_invitations"), rows)
		is.Equal(count(t, a.db, "river_job"), rows)
	}
	var out outbox
	a.work(t, 1, out.send)
	is.Equal(len(out.sent), 1)
}

// TestNotEnqueued makes River fail. An invitation whose job cannot be inserted is not created.
func TestNotEnqueued(t *testing.T) {
	is := is.New(t)
	a := fresh(t)
	_, err := a.db.ExecContext(t.Context(), "ALTER TABLE river_job RENAME TO elsewhere")
	is.NoErr(err)
	_, err = a.svc.Create(t.Context(), "acme", bob)
	is.True(err != nil)
	is.Equal(count(t, a.db, "organization_invitations"), 0)
}

// TestDiesBeforeSend simulates a process that ends after the commit and before any worker has run.
func TestDiesBeforeSend(t *testing.T) {
	is := is.New(t)
	file := filepath.Join(t.TempDir(), "app.db")
	before := start(t, file, clock.System())
	before.invite(t, bob)
	is.NoErr(before.db.Close())

	after := start(t, file, clock.System())
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
			a := fresh(t)
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

// victim is the environment variable by which TestWorkerKilled tells its child process which file to work on.
const victim = "QUEUEEXAMPLE_VICTIM"

// TestWorkerKilled ends a real process while its worker is running. River considers a job stuck after an hour.
func TestWorkerKilled(t *testing.T) {
	is := is.New(t)
	if file := os.Getenv(victim); file != "" {
		start(t, file, clock.System()).work(t, 1, func(context.Context, mail) error {
			os.Exit(42)
			return nil
		})
	}
	file := filepath.Join(t.TempDir(), "app.db")
	a := start(t, file, clock.System())
	a.invite(t, bob)
	self, err := os.Executable()
	is.NoErr(err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestWorkerKilled$")
	child.Env = append(os.Environ(), victim+"="+file)
	output, err := child.CombinedOutput()
	if status, ok := errors.AsType[*exec.ExitError](err); !ok || status.ExitCode() != 42 {
		t.Fatalf("%v\n%s", err, output)
	}

	// Pretend that the hour has passed, and that the dead process no longer holds the lease on River's maintenance.
	var state string
	is.NoErr(a.db.NewSelect().Table("river_job").Column("state").Scan(t.Context(), &state))
	is.Equal(state, "running")
	for _, passed := range []string{
		"UPDATE river_job SET attempted_at = '2001-01-01T00:00:00Z'",
		"DELETE FROM river_leader",
	} {
		_, err := a.db.ExecContext(t.Context(), passed)
		is.NoErr(err)
	}

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
			a := start(t, filepath.Join(t.TempDir(), "app.db"), now)
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
	a := fresh(t)
	inv := a.invite(t, bob)
	var args string
	is.NoErr(a.db.NewSelect().Table("river_job").ColumnExpr("json(args)").Scan(t.Context(), &args))
	is.Equal(args, fmt.Sprintf(`{"organization_id":"acme","invitation_id":%q}`, inv.ID))

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

// row returns all columns of the one job in River's table.
func (a *app) row(t *testing.T) string {
	t.Helper()
	row := map[string]any{}
	if err := a.db.NewSelect().Table("river_job").Scan(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for column, value := range row {
		if b, ok := value.([]byte); ok {
			value = string(b)
		}
		fmt.Fprintln(&all, column, value)
	}
	return all.String()
}
