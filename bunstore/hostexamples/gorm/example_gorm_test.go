package gorm_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	"github.com/glebarez/sqlite"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The models of the application. An email was verified at sign-up, and is in the form of invitation.CanonicalEmail.
type account struct {
	ID    string `gorm:"primaryKey;size:191"`
	Email string `gorm:"uniqueIndex;size:320"`
}

type membership struct {
	OrganizationID string          `gorm:"primaryKey;size:191"`
	UserID         string          `gorm:"primaryKey;size:191"`
	Role           invitation.Role `gorm:"size:191"`
}

// directory answers from these models.
type directory struct{ db *gorm.DB }

// in returns a handle of GORM on the transaction that the service works in.
func (d directory) in(ctx context.Context, tx storage.Storage) *gorm.DB {
	db := d.db.WithContext(ctx)
	db.Statement.ConnPool = bunstore.SQL(tx)
	return db
}

func (d directory) Role(ctx context.Context, tx storage.Storage, org, userID string) (invitation.Role, error) {
	var m membership
	found := d.in(ctx, tx).Limit(1).Find(&m, "organization_id = ? AND user_id = ?", org, userID)
	if found.Error == nil && found.RowsAffected == 0 {
		return "", invitation.ErrNotMember
	}
	return m.Role, found.Error
}

func (d directory) MemberEmails(
	ctx context.Context, tx storage.Storage, org string, emails []string,
) ([]string, error) {
	var found []string
	err := d.in(ctx, tx).Model(&account{}).Joins("JOIN memberships AS m ON m.user_id = accounts.id").
		Where("m.organization_id = ? AND LOWER(email) IN ?", org, emails).Pluck("email", &found).Error
	return found, err
}

func (d directory) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	var a account
	found := d.in(ctx, tx).Limit(1).Find(&a, "id = ?", userID)
	if found.Error == nil && found.RowsAffected == 0 {
		return nil, invitation.ErrNotFound
	}
	return []string{a.Email}, found.Error
}

func (d directory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	added := d.in(ctx, tx).Clauses(clause.OnConflict{DoNothing: true}).
		Create(&membership{m.OrganizationID, m.UserID, m.Role})
	if added.Error == nil && added.RowsAffected == 0 {
		return invitation.ErrAlreadyMember
	}
	return added.Error
}

// app is the application.
type app struct {
	db    *gorm.DB
	store *bunstore.Store
	svc   *invitation.Service
}

// open creates the tables. The store gets the connection pool of GORM; the application uses bun nowhere else.
func open(ctx context.Context, db *gorm.DB, dialect schema.Dialect) (*app, error) {
	if err := db.WithContext(ctx).AutoMigrate(&account{}, &membership{}); err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	store, err := bunstore.New(bun.NewDB(pool, dialect), nil)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	svc, err := invitation.NewService(store, directory{db}, nil)
	return &app{db, store, svc}, err
}

// signUp founds an organization and invites Bob into it, in one transaction of GORM. The library joins it with
// WithSQLTx. If GORM runs with PrepareStmt, the *sql.Tx is the field Tx of a *gorm.PreparedStmtTX.
func (a *app) signUp(ctx context.Context, organization string, founder account, paid bool) error {
	return a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		svc := a.svc.WithStorage(a.store.WithSQLTx(tx.Statement.ConnPool.(*sql.Tx)))
		if err := tx.Create(&founder).Error; err != nil {
			return err
		}
		if err := tx.Create(&membership{organization, founder.ID, invitation.RoleAdmin}).Error; err != nil {
			return err
		}
		_, err := svc.Create(ctx, organization, invitation.CreateParams{
			EmailAddress:  "bob@example.com",
			Role:          invitation.RoleMember,
			InviterUserID: founder.ID,
		})
		if err == nil && !paid {
			err = errors.New("the card was declined")
		}
		return err
	})
}

// An account, a membership and an invitation are committed together, or not at all.
func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	db, err := gorm.Open(sqlite.Open(":memory:"), &gorm.Config{})
	must(err)
	pool, err := db.DB()
	must(err)
	defer func() { _ = pool.Close() }()
	pool.SetMaxOpenConns(1) // each connection to :memory: opens its own database
	a, err := open(ctx, db, sqlitedialect.New())
	must(err)

	for _, paid := range []bool{false, true} {
		fmt.Println("error:", a.signUp(ctx, "acme", account{"ann", "ann@acme.example"}, paid))
		for _, table := range []string{"accounts", "memberships", "organization_invitations"} {
			var n int64
			must(db.Table(table).Count(&n).Error)
			fmt.Println(" ", table, n)
		}
	}
	// Output:
	// error: the card was declined
	//   accounts 0
	//   memberships 0
	//   organization_invitations 0
	// error: <nil>
	//   accounts 1
	//   memberships 1
	//   organization_invitations 1
}
