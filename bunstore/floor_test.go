package bunstore_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// floor is what a good engineer writes by hand for one database: prepared statements of database/sql on the same
// tables, with as few of them as the guarantees of the service allow. The benchmarks compare the service with it.
type floor struct {
	db      *sql.DB
	dialect dialect.Name

	insert, member, memberRole, current, join, accept, revoke, resend *sql.Stmt
	get, page, next, count, addresses, ofUser                         *sql.Stmt
	bulk, bulkMembers                                                 *sql.Stmt // of bulkCalls rows
}

// floorColumns are the columns of an invitation, in the order of floorRow.
const floorColumns = "id, organization_id, organization_domain_id, email_address, email_key, role, status, " +
	"public_metadata, private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, " +
	"sent_at, resolved_at, resolved_by, version"

// floorRow is a row of invitations.
type floorRow struct {
	id, organization, domain, address, key, role, status, public, private, inviter, redirect string
	generation, version                                                                      int64
	created, updated, expires, sent, resolved                                                floorTime
	resolvedBy                                                                               string
}

// floorTime is a nullable time: in microseconds on SQLite, of the driver's on the others.
type floorTime struct{ time.Time }

func (i *floorTime) Scan(src any) error {
	switch v := src.(type) {
	case int64:
		i.Time = time.UnixMicro(v)
	case time.Time:
		i.Time = v
	}
	return nil
}

func (r *floorRow) dest() []any {
	return []any{&r.id, &r.organization, &r.domain, &r.address, &r.key, &r.role, &r.status, &r.public, &r.private,
		&r.inviter, &r.redirect, &r.generation, &r.created, &r.updated, &r.expires, &r.sent, &r.resolved, &r.resolvedBy,
		&r.version}
}

func newFloor(b *testing.B, db *bun.DB) *floor {
	b.Helper()
	f := &floor{db: db.DB, dialect: db.Dialect().Name()}
	const table = "organization_invitations"
	insert := "INSERT INTO " + table + " (" + floorColumns + ", pending_key) VALUES "
	values := "(?, ?, '', ?, ?, ?, 'pending', '{}', '{}', ?, '', 1, ?, ?, ?, ?, NULL, '', 1, ?)"
	ignore, ignored, forUpdate, seek := "", " ON CONFLICT DO NOTHING", "", "(created_at, id) < (?, ?)"
	byStatus := ""
	switch f.dialect {
	case dialect.PG:
		forUpdate = " FOR UPDATE"
	case dialect.MySQL:
		ignore, ignored, forUpdate = "IGNORE ", "", " FOR UPDATE"
		byStatus = " FORCE INDEX (organization_invitations_org_state)"
		seek = "created_at <= ? AND (created_at < ? OR id < ?)"
	}
	members := "SELECT u.email FROM host_users AS u JOIN host_members AS m ON m.user_id = u.id " +
		"WHERE m.organization_id = ? AND u.email IN (?"
	pending := byStatus +
		" WHERE organization_id = ? AND organization_domain_id = '' AND status = 'pending' AND expires_at > ?"
	end := " ORDER BY created_at DESC, id DESC LIMIT ?"
	write := "UPDATE " + table + " SET updated_at = ?, version = version + 1, "
	resolved := "pending_key = NULL, resolved_at = ?, resolved_by = ? WHERE id = ? AND version = ?"
	for stmt, text := range map[**sql.Stmt]string{
		&f.insert:     insert + values,
		&f.bulk:       insert + values + strings.Repeat(", "+values, bulkSizeOfBenchmark-1),
		&f.member:     members + ")",
		&f.memberRole: "SELECT role FROM host_members WHERE organization_id = ? AND user_id = ?",
		&f.bulkMembers: members + strings.Repeat(", ?", bulkSizeOfBenchmark-1) +
			")",
		&f.current: "SELECT " + floorColumns + ", EXISTS (SELECT 1 FROM host_users AS u WHERE u.id = ? AND " +
			"u.email = i.email_key) FROM " + table + " AS i WHERE id = ? AND organization_id = ?" + forUpdate,
		&f.join: "INSERT " + ignore + "INTO host_members (organization_id, user_id, role, metadata) VALUES (?, ?, ?, ?)" +
			ignored,
		&f.accept:    write + "status = 'accepted', " + resolved,
		&f.revoke:    write + "status = 'revoked', " + resolved,
		&f.resend:    write + "expires_at = ?, sent_at = ?, generation = generation + 1 WHERE id = ? AND version = ?",
		&f.get:       "SELECT " + floorColumns + " FROM " + table + " WHERE id = ? AND organization_id = ?",
		&f.page:      "SELECT " + floorColumns + " FROM " + table + pending + end,
		&f.next:      "SELECT " + floorColumns + " FROM " + table + pending + " AND " + seek + end,
		&f.count:     "SELECT count(*) FROM " + table + pending,
		&f.addresses: "SELECT email FROM host_users WHERE id = ?",
		&f.ofUser: "SELECT " + floorColumns + " FROM " + table +
			" WHERE email_key = ? AND status = 'pending' AND expires_at > ?" + end,
	} {
		if f.dialect == dialect.PG {
			for n := 1; strings.Contains(text, "?"); n++ {
				text = strings.Replace(text, "?", fmt.Sprint("$", n), 1)
			}
		}
		var err error
		if *stmt, err = f.db.PrepareContext(b.Context(), text); err != nil {
			b.Fatal(err, text)
		}
		b.Cleanup(func() { _ = (*stmt).Close() })
	}
	return f
}

// at returns a time as an argument.
func (f *floor) at(t time.Time) any {
	if f.dialect == dialect.SQLite {
		return t.UnixMicro()
	}
	return t
}

// inTx runs fn in a transaction.
func (f *floor) inTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// one runs a statement that has to write one row.
func (f *floor) one(ctx context.Context, tx *sql.Tx, stmt *sql.Stmt, args ...any) error {
	res, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return cmp.Or(err, errFloor)
	}
	return nil
}

var errFloor = errors.New("refused by the floor")

// values returns the arguments of a row to insert.
func (f *floor) values(args []any, s target, email string) []any {
	now := time.Now().UTC()
	at := f.at(now)
	return append(args, "orginv_"+ulid.Make().String(), s.organization, email, email, "org:member", s.inviter, at, at,
		f.at(now.Add(720*time.Hour)), at, email)
}

// create relies on the unique index, and then looks for a member, as the service does.
func (f *floor) create(ctx context.Context, s target) error {
	return f.inTx(ctx, func(tx *sql.Tx) error {
		if s.inviter != "" {
			var role string
			err := tx.StmtContext(ctx, f.memberRole).QueryRowContext(ctx, s.organization, s.inviter).Scan(&role)
			if err != nil || role != "org:admin" {
				return cmp.Or(err, errFloor)
			}
		}
		if err := f.one(ctx, tx, f.insert, f.values(nil, s, s.email)...); err != nil {
			return err
		}
		var email string
		err := tx.StmtContext(ctx, f.member).QueryRowContext(ctx, s.organization, s.email).Scan(&email)
		if !errors.Is(err, sql.ErrNoRows) {
			return cmp.Or(err, errFloor)
		}
		return nil
	})
}

func (f *floor) createBulk(ctx context.Context, s target) error {
	args := make([]any, 0, 11*len(s.emails))
	wanted := []any{s.organization}
	for _, email := range s.emails {
		args, wanted = f.values(args, s, email), append(wanted, email)
	}
	return f.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.StmtContext(ctx, f.bulk).ExecContext(ctx, args...); err != nil {
			return err
		}
		var email string
		err := tx.StmtContext(ctx, f.bulkMembers).QueryRowContext(ctx, wanted...).Scan(&email)
		if !errors.Is(err, sql.ErrNoRows) {
			return cmp.Or(err, errFloor)
		}
		return nil
	})
}

// lock reads an invitation that has to be pending, and locks it.
func (f *floor) lock(ctx context.Context, tx *sql.Tx, s target, now time.Time) (r floorRow, invited bool, err error) {
	dest := append(r.dest(), &invited)
	err = tx.StmtContext(ctx, f.current).QueryRowContext(ctx, s.email, s.id, s.organization).Scan(dest...)
	if err == nil && (r.status != storage.Pending || !now.Before(r.expires.Time)) {
		err = errFloor
	}
	return r, invited, err
}

func (f *floor) acceptOne(ctx context.Context, s target) error {
	return f.inTx(ctx, func(tx *sql.Tx) error {
		now := time.Now().UTC()
		r, invited, err := f.lock(ctx, tx, s, now)
		if err != nil || !invited {
			return cmp.Or(err, errFloor)
		}
		_, err = tx.StmtContext(ctx, f.join).ExecContext(ctx, r.organization, s.email, r.role, r.public)
		if err != nil {
			return err
		}
		return f.one(ctx, tx, f.accept, f.at(now), f.at(now), s.email, r.id, r.version)
	})
}

func (f *floor) revokeOne(ctx context.Context, s target) error {
	return f.inTx(ctx, func(tx *sql.Tx) error {
		now := time.Now().UTC()
		r, _, err := f.lock(ctx, tx, s, now)
		if err != nil {
			return err
		}
		return f.one(ctx, tx, f.revoke, f.at(now), f.at(now), "", r.id, r.version)
	})
}

func (f *floor) resendOne(ctx context.Context, s target) error {
	return f.inTx(ctx, func(tx *sql.Tx) error {
		now := time.Now().UTC()
		r, _, err := f.lock(ctx, tx, s, now)
		if err != nil {
			return err
		}
		return f.one(ctx, tx, f.resend, f.at(now), f.at(now.Add(720*time.Hour)), f.at(now), r.id, r.version)
	})
}

// read returns the rows of a SELECT.
func (f *floor) read(ctx context.Context, stmt *sql.Stmt, args ...any) ([]floorRow, error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []floorRow
	var r floorRow
	dest := r.dest()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func (f *floor) getOne(ctx context.Context, s target) error {
	var r floorRow
	return f.get.QueryRowContext(ctx, s.id, s.organization).Scan(r.dest()...)
}

// list reads a page of pending invitations, and counts them if total is set.
func (f *floor) list(ctx context.Context, s target, limit int, total bool) error {
	now := f.at(time.Now().UTC())
	rows, err := f.read(ctx, f.page, s.organization, now, limit+1)
	if err != nil || len(rows) == 0 {
		return cmp.Or(err, errFloor)
	}
	if total {
		var n int
		return f.count.QueryRowContext(ctx, s.organization, now).Scan(&n)
	}
	return nil
}

// after reads the page after the position of s.
func (f *floor) after(ctx context.Context, s target) error {
	args := []any{s.organization, f.at(time.Now().UTC()), f.at(s.created), s.id, 11}
	if f.dialect == dialect.MySQL {
		args = []any{s.organization, f.at(time.Now().UTC()), s.created, s.created, s.id, 11}
	}
	rows, err := f.read(ctx, f.next, args...)
	if err == nil && len(rows) == 0 {
		err = errFloor
	}
	return err
}

func (f *floor) listForUser(ctx context.Context, s target) error {
	var email string
	if err := f.addresses.QueryRowContext(ctx, s.email).Scan(&email); err != nil {
		return err
	}
	rows, err := f.read(ctx, f.ofUser, email, f.at(time.Now().UTC()), 11)
	if err == nil && len(rows) == 0 {
		err = errFloor
	}
	return err
}

// benchHost is the Directory of the benchmarks. It asks what the floor asks, through bun. A user's id is their address.
type benchHost struct{}

func column(ctx context.Context, tx storage.Storage, text string, args ...any) ([]string, error) {
	rows, err := bunstore.DB(tx).QueryContext(ctx, text, args...)
	return firstColumn(rows, err)
}

// firstColumn reads rows of one text each. err is the error of the query.
func firstColumn(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

func (benchHost) Role(ctx context.Context, tx storage.Storage, organization, user string) (invitation.Role, error) {
	roles, err := column(ctx, tx, "SELECT role FROM host_members WHERE organization_id = ? AND user_id = ?",
		organization, user)
	if err != nil || len(roles) == 0 {
		return "", cmp.Or(err, invitation.ErrNotMember)
	}
	return invitation.Role(roles[0]), nil
}

func (benchHost) MemberEmails(ctx context.Context, tx storage.Storage, organization string, emails []string) (
	[]string, error) {
	return column(ctx, tx, "SELECT u.email FROM host_users AS u JOIN host_members AS m ON m.user_id = u.id "+
		"WHERE m.organization_id = ? AND u.email IN (?)", organization, bunList(emails))
}

func (benchHost) VerifiedEmails(ctx context.Context, tx storage.Storage, user string) ([]string, error) {
	return column(ctx, tx, "SELECT email FROM host_users WHERE id = ?", user)
}

func (benchHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	text := "INSERT INTO host_members (organization_id, user_id, role, metadata) VALUES (?, ?, ?, '{}') " +
		"ON CONFLICT DO NOTHING"
	db := bunstore.DB(tx)
	if db.Dialect().Name() == dialect.MySQL {
		text = "INSERT IGNORE INTO host_members (organization_id, user_id, role, metadata) VALUES (?, ?, ?, '{}')"
	}
	_, err := db.ExecContext(ctx, text, m.OrganizationID, m.UserID, string(m.Role))
	return err
}

// preparedHost is benchHost with the prepared statements of a floor on the same pool.
type preparedHost struct {
	benchHost
	*floor
}

func (h preparedHost) column(ctx context.Context, tx storage.Storage, stmt *sql.Stmt, args ...any) ([]string, error) {
	if tx, ok := bunstore.SQL(tx).(*sql.Tx); ok {
		stmt = tx.StmtContext(ctx, stmt)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return firstColumn(rows, err)
}

func (h preparedHost) Role(ctx context.Context, tx storage.Storage, organization, user string) (
	invitation.Role, error) {
	roles, err := h.column(ctx, tx, h.memberRole, organization, user)
	if err != nil || len(roles) == 0 {
		return "", cmp.Or(err, invitation.ErrNotMember)
	}
	return invitation.Role(roles[0]), nil
}

func (h preparedHost) MemberEmails(ctx context.Context, tx storage.Storage, organization string, emails []string) (
	[]string, error) {
	if len(emails) > 1 {
		return h.benchHost.MemberEmails(ctx, tx, organization, emails)
	}
	return h.column(ctx, tx, h.member, organization, emails[0])
}

func (h preparedHost) VerifiedEmails(ctx context.Context, tx storage.Storage, user string) ([]string, error) {
	return h.column(ctx, tx, h.addresses, user)
}

func (h preparedHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	_, err := bunstore.SQL(tx).(*sql.Tx).StmtContext(ctx, h.join).ExecContext(ctx, m.OrganizationID, m.UserID,
		string(m.Role), "{}")
	return err
}
