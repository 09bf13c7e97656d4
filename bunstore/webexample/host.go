package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"net/url"
	"path/filepath"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

//go:embed schema.sql
var schema string

// Rows of the application's tables. schema.sql explains them.
type (
	user         struct{ ID, Email string }
	organization struct{ ID, Name string }
	member       struct {
		OrganizationID, UserID string
		Role                   invitation.Role
	}
)

// roles: a team lead invites members, and sees only their own invitations.
var roles = []invitation.RoleDefinition{
	{Key: "org:admin", Name: "Admin", Manages: true, Grants: []invitation.Role{"org:admin", "org:lead", "org:member"}},
	{Key: "org:lead", Name: "Team lead", ManagesOwn: true, Grants: []invitation.Role{"org:member"}},
	{Key: "org:member", Name: "Member"},
}

// app is the application. Its handlers are methods.
type app struct {
	db    *bun.DB
	store *bunstore.Store
	svc   *invitation.Service // trusts its caller, so handlers use as(r)
	base  string              // where people reach the application, such as http://localhost:8080
	clock clock.Clock
}

func newApp(ctx context.Context, path, base string, key []byte, clk clock.Clock) (*app, error) {
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()+
		"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	a := &app{db: bun.NewDB(pool, sqlitedialect.New()), base: base, clock: clk}
	if _, err = pool.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	if a.store, err = bunstore.New(a.db, nil); err != nil {
		return nil, err
	}
	if err = a.store.Migrate(ctx); err != nil {
		return nil, err
	}
	defined, err := invitation.NewRoles(roles...)
	if err != nil {
		return nil, err
	}
	a.svc, err = invitation.NewService(a.store, directory{}, &invitation.Config{
		TicketKeys:    [][]byte{key},
		AcceptURL:     base + "/join",
		Roles:         defined,
		ExpiresIn:     7 * 24 * time.Hour,
		SendLimits:    []invitation.SendLimit{{Per: invitation.PerInviter, Max: 200, Within: 24 * time.Hour}},
		Users:         inviters,
		Organizations: organizations,
		OnEvents:      enqueueMail,
		Clock:         clk,
	})
	return a, err
}

// directory answers the library's questions, in its transaction.
type directory struct{}

func (directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	var m member
	err := bunstore.DB(tx).NewSelect().Model(&m).Where("organization_id = ? AND user_id = ?", org, userID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		err = invitation.ErrNotMember
	}
	return m.Role, err
}

func (directory) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) ([]string, error) {
	known, err := bunstore.DB(tx).NewSelect().Model((*organization)(nil)).Where("id = ?", org).Exists(ctx)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, invitation.ErrNotFound
	}
	var found []string
	err = bunstore.DB(tx).NewSelect().Model((*user)(nil)).Column("email").Join("JOIN members AS m ON m.user_id = id").
		Where("m.organization_id = ? AND email IN ?", org, bun.Tuple(emails)).Scan(ctx, &found)
	return found, err
}

func (directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	var u user
	err := bunstore.DB(tx).NewSelect().Model(&u).Where("id = ?", userID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, invitation.ErrNotFound
	}
	return []string{u.Email}, err
}

func (directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	res, err := bunstore.DB(tx).NewInsert().Model(&member{m.OrganizationID, m.UserID, m.Role}).
		On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return invitation.ErrAlreadyMember
}

// inviters serves as Config.Users.
func inviters(ctx context.Context, tx storage.Storage, ids []string) (map[string]invitation.User, error) {
	var users []user
	err := bunstore.DB(tx).NewSelect().Model(&users).Where("id IN ?", bun.Tuple(ids)).Scan(ctx)
	found := map[string]invitation.User{}
	for _, u := range users {
		found[u.ID] = invitation.User{Identifier: u.Email}
	}
	return found, err
}

// organizations serves as Config.Organizations.
func organizations(ctx context.Context, tx storage.Storage, ids []string) (map[string]invitation.Organization, error) {
	var orgs []organization
	err := bunstore.DB(tx).NewSelect().Model(&orgs).Where("id IN ?", bun.Tuple(ids)).Scan(ctx)
	found := map[string]invitation.Organization{}
	for _, o := range orgs {
		found[o.ID] = invitation.Organization{Name: o.Name}
	}
	return found, err
}
