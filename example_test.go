package orginvite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// TestTour demonstrates the main operations on a SQLite file and prints the results. Run it with
//
//	go test -v -run Tour .
func TestTour(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	say := func(format string, args ...any) { fmt.Fprintf(t.Output(), format+"\n", args...) }
	date := func(at time.Time) string { return at.Format("2 Jan 2006 15:04") }
	code := func(err error) string {
		var e *invitation.Error
		is.True(errors.As(err, &e)) // a refusal has a code to show
		return e.Code
	}
	link := func(inv invitation.Invitation) string {
		address, ticket, ok := strings.Cut(inv.URL, "=")
		is.True(ok && len(ticket) > 60) // the link carries a ticket
		return address + "=" + ticket[:12] + "…"
	}

	now := clock.NewFake(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC))
	file := filepath.Join(t.TempDir(), "app.db")
	a, err := open(file, now)
	is.NoErr(err)
	defer func() { is.NoErr(a.db.Close()) }()
	db, svc := a.db, a.svc
	_, err = db.NewInsert().Model(&[]user{
		{"carol", "carol@example.com", true},
		{"dave", "dave@example.com", true},
	}).Exec(ctx)
	is.NoErr(err)
	say("An application with its own tables of users, organizations and memberships, in a SQLite file.")
	say("Ann is an admin of acme. It is %s, by a clock that the test moves.", date(now.Now()))

	say("")
	say("1. Ann invites Bob.")
	public, err := invitation.NewMetadata(map[string]any{"team": "Platform"})
	is.NoErr(err)
	private, err := invitation.NewMetadata(map[string]any{"cost_centre": 4711})
	is.NoErr(err)
	invited, err := svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:    "Bob@Example.com",
		Role:            invitation.RoleMember,
		InviterUserID:   "ann",
		PublicMetadata:  public,
		PrivateMetadata: private,
	})
	is.NoErr(err)
	is.Equal(invited.Status, invitation.StatusPending)
	is.Equal(invited.ExpiresAt, now.Now().AddDate(0, 0, 30)) // the default
	is.True(strings.HasPrefix(invited.ID, "orginv_"))
	is.True(strings.HasPrefix(invited.URL, "https://app.acme.example/join?invitation_ticket="))
	say("   invited   %s into %s as %s (%s)", invited.EmailAddress, invited.OrganizationID, invited.RoleName, invited.Role)
	say("   id        %s", invited.ID)
	say("   status    %s, until %s", invited.Status, date(invited.ExpiresAt))
	say("   link      %s", link(invited))
	var job mailJob
	is.NoErr(db.NewSelect().Model(&job).Scan(ctx))
	is.Equal(job.InvitationID, invited.ID) // the job was committed with the invitation
	say("   mail      a job in the application's own table, written in the same transaction")

	say("")
	say("2. Bob opens the link, signs in and accepts.")
	now.Advance(time.Hour)
	ticket := ticketIn(invited.URL)
	shown, err := svc.Preview(ctx, ticket)
	is.NoErr(err)
	is.Equal(shown.Organization.Name, "Acme")
	say("   the page  \"Join %s as %s\"", shown.Organization.Name, shown.RoleName)
	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticket, UserID: "carol"})
	is.True(errors.Is(err, invitation.ErrNotInvitee))
	say("   refused   Carol, with his link: %s", code(err))
	accept := invitation.AcceptParams{Ticket: ticket, UserID: "bob", Terms: shown.Terms}
	accepted, err := svc.Accept(ctx, accept)
	is.NoErr(err)
	is.Equal(accepted.Status, invitation.StatusAccepted)
	is.Equal(accepted.ResolvedBy, "bob")
	is.Equal(accepted.ResolvedAt, now.Now())
	say("   status    %s by %s, %s", accepted.Status, accepted.ResolvedBy, date(accepted.ResolvedAt))
	row := make(map[string]any)
	is.NoErr(db.NewSelect().Table("memberships").Where("user_id = 'bob'").Scan(ctx, &row))
	say("   his row   in the application's table memberships, written in the same transaction:")
	for _, column := range []struct{ name, want string }{
		{"organization_id", "acme"},
		{"user_id", "bob"},
		{"role", "org:member"},
		{"invitation_id", invited.ID},
		{"public", `{"team":"Platform"}`},
		{"private", `{"cost_centre":4711}`},
	} {
		is.Equal(row[column.name], column.want)
		say("             %-16s %v", column.name, row[column.name])
	}
	again, err := svc.Accept(ctx, accept)
	is.NoErr(err)
	is.Equal(again, accepted)                       // the same answer
	is.Equal(a.count(ctx, "memberships"), int64(2)) // and no second membership
	say("   again     accepting once more gets the same answer; acme still has %d members", a.count(ctx, "memberships"))
	_, err = svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "bob@example.com",
		Role:          invitation.RoleAdmin,
		InviterUserID: "ann",
	})
	is.True(errors.Is(err, invitation.ErrAlreadyMember))
	say("   refused   Ann, who invites him once more: %s", code(err))

	say("")
	say("3. Ann invites Carol, and takes it back.")
	invited, err = svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "carol@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann",
	})
	is.NoErr(err)
	_, err = svc.Revoke(ctx, "acme", invited.ID, invitation.RevokeParams{RequestingUserID: "bob"})
	is.True(errors.Is(err, invitation.ErrForbidden))
	say("   refused   Bob, whose role may not revoke: %s", code(err))
	revoked, err := svc.Revoke(ctx, "acme", invited.ID, invitation.RevokeParams{RequestingUserID: "ann"})
	is.NoErr(err)
	is.Equal(revoked.Status, invitation.StatusRevoked)
	is.Equal(revoked.ResolvedBy, "ann")
	say("   status    %s by %s", revoked.Status, revoked.ResolvedBy)
	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticketIn(invited.URL), UserID: "carol"})
	is.True(errors.Is(err, invitation.ErrRevoked))
	say("   refused   Carol, with the link: %s", code(err))

	say("")
	say("4. Ann invites Dave, who takes his time.")
	now.Advance(time.Hour)
	invited, err = svc.Create(ctx, "acme", invitation.CreateParams{
		EmailAddress:  "dave@example.com",
		Role:          invitation.RoleMember,
		InviterUserID: "ann",
		ExpiresIn:     7 * 24 * time.Hour,
	})
	is.NoErr(err)
	say("   status    %s, until %s", invited.Status, date(invited.ExpiresAt))
	now.Set(invited.ExpiresAt)
	expired, err := svc.Get(ctx, "acme", invited.ID)
	is.NoErr(err)
	is.Equal(expired.Status, invitation.StatusExpired)
	say("   status    %s, %s; no job had to run for that", expired.Status, date(now.Now()))
	_, err = svc.Accept(ctx, invitation.AcceptParams{Ticket: ticketIn(invited.URL), UserID: "dave"})
	is.True(errors.Is(err, invitation.ErrExpired))
	say("   refused   Dave, with the link: %s", code(err))

	say("")
	say("5. Ann invites Dave again and five more, all or none, and looks through the list.")
	now.Advance(time.Hour)
	batch := make([]invitation.CreateParams, 6)
	for i, name := range []string{"dave", "erin", "frank", "grace", "heidi", "ivan"} {
		batch[i] = invitation.CreateParams{
			EmailAddress:  name + "@example.com",
			Role:          invitation.RoleMember,
			InviterUserID: "ann",
		}
	}
	created, err := svc.CreateBulk(ctx, "acme", batch)
	is.NoErr(err)
	is.Equal(len(created), 6)
	_, err = svc.CreateBulk(ctx, "acme", batch[5:])
	is.True(errors.Is(err, invitation.ErrDuplicate))
	say("   refused   Ivan, a second time: %s", code(err))
	var listed []string
	p := invitation.ListParams{Limit: 4}
	for n := 1; ; n++ {
		page, err := svc.List(ctx, "acme", p)
		is.NoErr(err)
		is.Equal(page.TotalCount, 9) // on every page
		say("   page %d, of %d invitations in all, newest first:", n, page.TotalCount)
		for _, inv := range page.Data {
			say("             %-18s %-9s %s", inv.EmailAddress, inv.Status, date(inv.CreatedAt))
			listed = append(listed, inv.EmailAddress+" "+string(inv.Status))
		}
		if p.Cursor = page.NextCursor; p.Cursor == "" {
			break
		}
	}
	is.Equal(listed, []string{
		"ivan@example.com pending", "heidi@example.com pending", "grace@example.com pending",
		"frank@example.com pending", "erin@example.com pending", "dave@example.com pending",
		"dave@example.com expired", "carol@example.com revoked", "Bob@Example.com accepted",
	})
	totals := map[invitation.Status]int{}
	for _, status := range []invitation.Status{invitation.StatusPending, invitation.StatusAccepted,
		invitation.StatusRevoked, invitation.StatusExpired, invitation.StatusDeclined} {
		page, err := svc.List(ctx, "acme", invitation.ListParams{Limit: 1, Statuses: []invitation.Status{status}})
		is.NoErr(err)
		totals[status] = page.TotalCount
	}
	is.Equal(totals, map[invitation.Status]int{"pending": 6, "accepted": 1, "revoked": 1, "expired": 1, "declined": 0})
	say("   totals    %d pending, %d accepted, %d revoked, %d expired, %d declined", totals["pending"],
		totals["accepted"], totals["revoked"], totals["expired"], totals["declined"])

	say("")
	say("The file now holds %d invitations, %d members and %d jobs to mail a link.",
		a.count(ctx, "organization_invitations"), a.count(ctx, "memberships"), a.count(ctx, "mail_jobs"))
	is.Equal(a.count(ctx, "organization_invitations"), int64(9))
	is.Equal(a.count(ctx, "memberships"), int64(2))
	is.Equal(a.count(ctx, "mail_jobs"), int64(9))
}

// The tables of the application of the tour.
type (
	organization struct {
		ID    string `bun:",pk"`
		Name  string
		Seats int // the number it pays for; 0 means no limit
	}

	user struct {
		ID       string `bun:",pk"`
		Email    string `bun:",unique"` // in the form of invitation.CanonicalEmail
		Verified bool
	}

	membership struct {
		OrganizationID string `bun:",pk"`
		UserID         string `bun:",pk"`
		Role           invitation.Role
		InvitationID   string // "" if they did not join by an invitation
		Public         invitation.Metadata
		Private        invitation.Metadata
	}

	mailJob struct {
		ID             int64 `bun:",pk,autoincrement"`
		OrganizationID string
		InvitationID   string
	}
)

// directory answers questions about users and memberships. It uses bunstore.DB(tx), the transaction of the service, so
// it has no state of its own.
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
	db := bunstore.DB(tx)
	known, err := db.NewSelect().Model(&organization{ID: org}).WherePK().Exists(ctx)
	if err == nil && !known {
		err = invitation.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	var found []string
	err = db.NewSelect().Model((*user)(nil)).Column("email").
		Join("JOIN memberships AS m ON m.user_id = id").
		Where("m.organization_id = ? AND LOWER(email) IN ? AND verified", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	u := user{ID: userID}
	err := bunstore.DB(tx).NewSelect().Model(&u).WherePK().Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, invitation.ErrNotFound
	case err != nil || !u.Verified:
		return nil, err
	}
	return []string{u.Email}, nil
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().On("CONFLICT DO NOTHING").Model(&membership{
		OrganizationID: m.OrganizationID,
		UserID:         m.UserID,
		Role:           m.Role,
		InvitationID:   m.InvitationID,
		Public:         m.PublicMetadata,
		Private:        m.PrivateMetadata,
	}).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

// seats serves as Config.Seats.
func seats(ctx context.Context, tx storage.Storage, r invitation.SeatsRequest) (invitation.SeatsResult, error) {
	db := bunstore.DB(tx)
	o := organization{ID: r.OrganizationID}
	if err := db.NewSelect().Model(&o).WherePK().Scan(ctx); err != nil {
		return invitation.SeatsResult{}, err
	}
	n, err := db.NewSelect().Model((*membership)(nil)).Where("organization_id = ?", o.ID).Count(ctx)
	return invitation.SeatsResult{Members: int(n), Limit: o.Seats}, err
}

// organizations serves as Config.Organizations.
func organizations(ctx context.Context, tx storage.Storage, ids []string) (map[string]invitation.Organization, error) {
	var rows []organization
	err := bunstore.DB(tx).NewSelect().Model(&rows).Where("id IN ?", bun.Tuple(ids)).Scan(ctx)
	found := map[string]invitation.Organization{}
	for _, o := range rows {
		found[o.ID] = invitation.Organization{ID: o.ID, Name: o.Name}
	}
	return found, err
}

// enqueueMail serves as Config.OnEvents. It inserts a job for every link to be mailed, which is committed with the
// invitation.
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

// app is the application.
type app struct {
	db    *bun.DB
	store *bunstore.Store
	svc   *invitation.Service
}

// open opens the application on a SQLite file, with an organization acme, its admin ann, and a user bob.
func open(file string, now clock.Clock) (*app, error) {
	ctx := context.Background()
	dsn := "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(500)&_txlock=immediate"
	sqldb, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	a := &app{db: bun.NewDB(sqldb, sqlitedialect.New())}
	if err := a.db.ResetModel(ctx, (*organization)(nil), (*user)(nil), (*membership)(nil), (*mailJob)(nil)); err != nil {
		return nil, err
	}
	for _, rows := range []any{
		&organization{ID: "acme", Name: "Acme"},
		&[]user{{"ann", "ann@acme.example", true}, {"bob", "bob@example.com", true}},
		&membership{OrganizationID: "acme", UserID: "ann", Role: invitation.RoleAdmin},
	} {
		if _, err := a.db.NewInsert().Model(rows).Exec(ctx); err != nil {
			return nil, err
		}
	}

	if a.store, err = bunstore.New(a.db, nil); err != nil {
		return nil, err
	}
	if err := a.store.Migrate(ctx); err != nil {
		return nil, err
	}
	a.svc, err = invitation.NewService(a.store, directory{}, &invitation.Config{
		TicketKeys:    [][]byte{[]byte("an example's key, of 32 bytes or more")}, // a real key is random and secret
		AcceptURL:     "https://app.acme.example/join",
		Seats:         seats,
		Organizations: organizations,
		OnEvents:      enqueueMail,
		Clock:         now,
	})
	return a, err
}

// count counts the rows of a table.
func (a *app) count(ctx context.Context, table string) int64 {
	n, err := a.db.NewSelect().Table(table).Count(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

// ticketIn returns the ticket in a link, as the page that the link opens does.
func ticketIn(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		log.Fatal(err)
	}
	return u.Query().Get("invitation_ticket")
}

// TestDirectory tests the directory of the tour, as an application tests its own.
func TestDirectory(t *testing.T) {
	invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
		a, err := open(filepath.Join(t.TempDir(), "app.db"), clock.System())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.db.Close() })
		insert := func(ctx context.Context, row any) error {
			_, err := a.db.NewInsert().Model(row).Exec(ctx)
			return err
		}
		return invitationtest.DirectoryHost{
			Directory: directory{},
			Storage:   a.store,
			AddOrganization: func(ctx context.Context, id string) (string, error) {
				return id, insert(ctx, &organization{ID: id})
			},
			AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
				switch len(verified) {
				case 0:
					return id, insert(ctx, &user{id, "typed.in@example.com", false})
				case 1:
					return id, insert(ctx, &user{id, verified[0], true})
				}
				return "", errors.ErrUnsupported // users of this application have one address
			},
			AddMember: func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
				return insert(ctx, &membership{OrganizationID: organizationID, UserID: userID, Role: role})
			},
		}
	})
}
