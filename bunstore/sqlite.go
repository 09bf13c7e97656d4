package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/storage"
)

// sqlite keeps times as INTEGER microseconds and has one writer at a time, so that whoever has the write lock
// decides on what is stored and needs to lock no rows. Its text compares and sorts byte for byte by itself.
type sqlite struct {
	t tables

	takeLock, insertInto, updateOne, updateMany string
}

func newSQLite(t tables) *sqlite {
	t = t.named(`"`)
	var set strings.Builder
	for _, c := range columns[1 : len(columns)-1] {
		set.WriteString(c + " = v." + c + ", ")
	}
	names := strings.Join(columns[:], ", ")
	return &sqlite{
		t:          t,
		takeLock:   "UPDATE " + t.locks + " SET n = n WHERE 0",
		insertInto: "INSERT INTO " + t.invitations + " (" + names + ") VALUES ?",
		updateOne:  "UPDATE " + t.invitations + " SET ?, version = version + 1 WHERE id = ? AND version = ?",
		updateMany: "WITH v (" + names + ") AS (VALUES ?) UPDATE " + t.invitations + " AS t SET " + set.String() +
			"version = v.version + 1 FROM v WHERE t.id = v.id AND t.version = v.version",
	}
}

func (e *sqlite) name() dialect.Name { return dialect.SQLite }

func (e *sqlite) tables() tables { return e.t }

// The tables and indexes. STRICT, because a column of SQLite otherwise takes values of any type.
func (e *sqlite) migrations() []Migration {
	const first = "0001_create"
	index := func(name, columns string) string {
		create, target := "CREATE INDEX ", `"`+e.t.prefix+baseName+`"`
		if name == indexSlot {
			create = "CREATE UNIQUE INDEX "
		}
		full := `"` + e.t.prefix + name + `"`
		if e.t.schema != "" {
			full = `"` + e.t.schema + `".` + full
		}
		return create + full + " ON " + target + " " + columns
	}
	return []Migration{{ID: first, SQL: []string{
		e.createMigrations(),
		"CREATE TABLE " + e.t.locks + " (k TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL) STRICT",
		"CREATE TABLE " + e.t.invitations + ` (
	id TEXT NOT NULL PRIMARY KEY,
	organization_id TEXT NOT NULL,
	organization_domain_id TEXT NOT NULL,
	email_address TEXT NOT NULL,
	email_key TEXT NOT NULL,
	pending_key TEXT,
	role TEXT NOT NULL,
	status TEXT NOT NULL,
	public_metadata TEXT NOT NULL,
	private_metadata TEXT NOT NULL,
	inviter_user_id TEXT NOT NULL,
	redirect_url TEXT NOT NULL,
	generation INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	sent_at INTEGER NOT NULL,
	resolved_at INTEGER,
	resolved_by TEXT NOT NULL,
	version INTEGER NOT NULL
) STRICT`,
		index(indexSlot, "(organization_id, pending_key)"),
		// The last columns of an index are there so that counting and searching by a part of the address need
		// nothing else. There is none on (organization_id, status, expires_at): SQLite would take it for the
		// page of expired ones, and sort.
		index(indexOrg, "(organization_id, created_at, id, organization_domain_id, email_key)"),
		index(indexOrgStatus,
			"(organization_id, status, created_at, id, expires_at, organization_domain_id, email_key)"),
		index(indexEmail, "(email_key, status, created_at, id, expires_at)"),
		index(indexCreated, "(created_at, id)"),
		index(indexStatus, "(status, created_at, id, expires_at)"),
		index(indexDue, "(status, expires_at, id)"),
		"INSERT INTO " + e.t.migrations + " (id) VALUES ('" + first + "')",
	}}}
}

func (e *sqlite) createMigrations() string {
	return "CREATE TABLE IF NOT EXISTS " + e.t.migrations + " (id TEXT NOT NULL PRIMARY KEY) STRICT"
}

func (e *sqlite) startMigrating(ctx context.Context, h handle) error {
	if _, err := h.ExecContext(ctx, e.createMigrations()); err != nil {
		return err
	}
	// Where the table was there already, this is what takes the write lock.
	_, err := h.ExecContext(ctx, "UPDATE "+e.t.migrations+" SET id = id WHERE 0")
	return err
}

func (e *sqlite) objects(ctx context.Context, h handle) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT name FROM ")
	if e.t.schema != "" {
		q.add(`"` + e.t.schema + `".`)
	}
	q.add("sqlite_master WHERE type IN ('table', 'index')")
	found := map[string]bool{}
	var name string
	err := q.each(ctx, h, []any{&name}, func() { found[name] = true })
	return found, err
}

func (e *sqlite) commitsDDL() bool { return false }

func (e *sqlite) sound(context.Context, handle) error { return nil }

func (e *sqlite) safe(context.Context, handle) error { return nil }

func (e *sqlite) txOptions() *sql.TxOptions { return nil }

// begin takes the write lock with the first statement: a transaction that reads before it writes is refused to write
// when somebody else has written meanwhile, whatever busy_timeout says.
func (e *sqlite) begin(ctx context.Context, h handle) error {
	_, err := h.ExecContext(ctx, e.takeLock)
	return err
}

// intact tries to begin one, which SQLite refuses inside a transaction. A write of the host's that was interrupted has
// rolled back the whole of it.
func (e *sqlite) intact(ctx context.Context, h handle, watched bool) (bool, error) {
	tx, ok := h.(bun.Tx)
	if watched || !ok {
		return true, nil
	}
	_, err := tx.Tx.ExecContext(ctx, "BEGIN") // past the host's query hooks
	switch {
	case err != nil && strings.Contains(err.Error(), "within a transaction"):
		return true, nil
	case err != nil:
		return false, err
	}
	_, err = tx.Tx.ExecContext(ctx, "ROLLBACK")
	return false, err
}

func (e *sqlite) noSavepoint(err error) bool {
	return strings.Contains(text(err), "no such savepoint: orginvite_")
}

func (e *sqlite) end(context.Context, bun.Tx, bun.Conn) (bool, error) { return true, nil }

// statementContext of a write is never cancelled: sqlite3_interrupt in a writing statement rolls the whole transaction
// back, and the statements after it would commit one by one.
func (e *sqlite) statementContext(ctx context.Context, write bool) (context.Context, func() bool) {
	if write {
		ctx = context.WithoutCancel(ctx)
	}
	return ctx, func() bool { return false }
}

func (e *sqlite) watches() bool { return true }

func (e *sqlite) endsAlone() bool { return false }

func (e *sqlite) lock(ctx context.Context, h handle, _ string, own bool) error {
	if own {
		return nil
	}
	return e.begin(ctx, h)
}

func (e *sqlite) forUpdate(ctx context.Context, h handle, _ []string, own bool) (string, error) {
	return "", e.lock(ctx, h, "", own)
}

func (e *sqlite) mixesSnapshots() bool { return false }

func (e *sqlite) current() string { return "" }

// Result codes of SQLite that mean something here, https://www.sqlite.org/rescode.html. The lowest 8 bits are the
// primary code.
const (
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteNoMem      = 7
	sqliteReadOnly   = 8
	sqliteInterrupt  = 9
	sqliteIOErr      = 10
	sqliteCorrupt    = 11
	sqliteFull       = 13
	sqliteCantOpen   = 14
	sqliteConstraint = 19
	sqliteNotADB     = 26
)

// code returns the primary result code in err's chain, 0 where there is none. The host's own errors may well have a
// method Code that means something else, so the text has to agree.
func (e *sqlite) code(err error) int {
	var c interface {
		error
		Code() int
	}
	text := ""
	code := 0
	if errors.As(err, &c) {
		text, code = c.Error(), c.Code()&0xff
	} else if err != nil {
		text = err.Error()
	}
	switch {
	case (code == sqliteBusy || code == 0) && strings.Contains(text, "database is locked"):
		return sqliteBusy
	case (code == sqliteLocked || code == 0) && strings.Contains(text, "table is locked"):
		return sqliteLocked
	case (code == sqliteConstraint || code == 0) && strings.Contains(text, "UNIQUE constraint failed"):
		return sqliteConstraint
	case code == sqliteInterrupt && strings.Contains(text, "interrupt"),
		code == sqliteNoMem && strings.Contains(text, "out of memory"),
		code == sqliteIOErr && strings.Contains(text, "disk I/O error"):
		return code
	case (code == sqliteFull || code == 0) && strings.Contains(text, "database or disk is full"):
		return sqliteFull
	case (code == sqliteReadOnly || code == 0) && strings.Contains(text, "attempt to write a readonly database"):
		return sqliteReadOnly
	case (code == sqliteCantOpen || code == 0) && strings.Contains(text, "unable to open database file"):
		return sqliteCantOpen
	case (code == sqliteCorrupt || code == 0) && strings.Contains(text, "database disk image is malformed"):
		return sqliteCorrupt
	case (code == sqliteNotADB || code == 0) && strings.Contains(text, "file is not a database"):
		return sqliteNotADB
	}
	return 0
}

func (e *sqlite) class(err error) class {
	switch e.code(err) {
	case sqliteBusy, sqliteLocked:
		return aborted
	case sqliteFull, sqliteReadOnly, sqliteCantOpen: // of a full disk SQLite may have rolled back by itself
		return unavailable
	case sqliteNoMem, sqliteIOErr, sqliteCorrupt, sqliteNotADB: // likewise
		return gone
	}
	return plain
}

// refused: SQLite runs in this process, so that a code is its own answer. After an I/O error what it has written may
// still be found when the file is opened again.
func (e *sqlite) refused(err error) bool {
	if strings.Contains(text(err), "no transaction is active") { // whatever has ended it
		return false
	}
	switch e.code(err) {
	case sqliteIOErr, sqliteCorrupt:
		return false
	case 0:
		var c interface {
			error
			Code() int
		}
		return errors.As(err, &c) || strings.Contains(text(err), "constraint failed")
	}
	return true
}

func (e *sqlite) remedy(err error) string {
	switch e.code(err) {
	case sqliteFull:
		return "the disk is full, or max_page_count is reached: free space or raise it"
	case sqliteReadOnly:
		return "the file or its folder may not be written: give the process the right to, and open it without mode=ro"
	case sqliteCantOpen:
		return "the file cannot be opened: create its folder, and give the process the right to write there"
	case sqliteCorrupt, sqliteNotADB:
		return "the file is damaged or is not a database: run PRAGMA integrity_check, and restore a backup"
	}
	return ""
}

// keeps asks: drivers roll back what they could not commit, and a database in memory goes with its connection.
func (e *sqlite) keeps(ctx context.Context, conn bun.Conn) bool {
	_, err := conn.Conn.ExecContext(ctx, "ROLLBACK")
	return err == nil || strings.Contains(err.Error(), "no transaction is active")
}

func (e *sqlite) warning(any) string { return "" }

func (e *sqlite) breach(err error) bool { return e.code(err) == sqliteConstraint }

func (e *sqlite) insert(ctx context.Context, h handle, records []storage.Record) (bool, error) {
	_, err := h.ExecContext(ctx, e.insertInto, recordRows(e, records))
	if e.breach(err) {
		return false, nil // a refused statement undoes itself, no more
	}
	return true, err
}

func (e *sqlite) update(ctx context.Context, h handle, records []storage.Record) (int64, error) {
	q := statement{}
	if len(records) == 1 {
		r := &records[0]
		q.add(e.updateOne, assignments(e, r), r.ID, r.Version)
	} else {
		q.add(e.updateMany, recordRows(e, records))
	}
	return q.exec(ctx, h)
}

func (e *sqlite) holders(q *statement, slots []slot) {
	// CROSS JOIN keeps the order: each slot is looked up in the unique index.
	q.add("WITH v (o, k) AS (VALUES ?) SELECT t.id, t.organization_id, t.pending_key FROM v CROSS JOIN "+
		e.t.invitations+" AS t ON t.organization_id = v.o AND t.pending_key = v.k", slotRows(slots))
}

func (e *sqlite) time(b []byte, t time.Time) []byte { return strconv.AppendInt(b, micros(t), 10) }

// micros is t in microseconds since 1970, cut. Instants no column can hold, which only filters have, are the last ones
// that it can.
func micros(t time.Time) int64 {
	const most = math.MaxInt64 / 1_000_000
	switch s := t.Unix(); {
	case s >= most:
		return math.MaxInt64
	case s <= -most:
		return math.MinInt64
	}
	return t.UnixMicro()
}

func (e *sqlite) after(q *statement, terms []term) { seek(q, terms) }

func (e *sqlite) pick(search, []part, []string, []term, bool) string { return "" }

func (e *sqlite) joinPage(int) string { return "" }

func (e *sqlite) contains(q *statement, text string) {
	q.add("instr(email_key, ?) > 0", text) // LIKE would fold case
}

func (e *sqlite) expires(seek bool) string {
	if seek {
		return "expires_at"
	}
	return "+expires_at"
}

func (e *sqlite) limit(q *statement, limit, offset int) {
	switch {
	case limit > 0:
		q.add(" LIMIT ?", limit)
	case offset > 0:
		q.add(" LIMIT -1")
	}
	if offset > 0 {
		q.add(" OFFSET ?", offset)
	}
}

func (e *sqlite) row() row {
	r := &sqliteRow{}
	r.into = []any{
		&r.r.ID, &r.r.OrganizationID, &r.r.OrganizationDomainID, &r.r.EmailAddress, &r.r.EmailKey, &r.r.Role, &r.r.Status,
		&r.r.PublicMetadata, &r.r.PrivateMetadata, &r.r.InviterUserID, &r.r.RedirectURL, &r.r.Generation,
		&r.created, &r.updated, &r.expires, &r.sent, &r.resolved, &r.r.ResolvedBy, &r.r.Version,
	}
	return r
}

type sqliteRow struct {
	into                            []any
	r                               storage.Record
	created, updated, expires, sent int64
	resolved                        sql.Null[int64]
}

func (r *sqliteRow) dest() []any { return r.into }

func (r *sqliteRow) record() storage.Record {
	out := r.r // Scan has made new texts and metadata
	out.CreatedAt, out.UpdatedAt = instantOf(r.created), instantOf(r.updated)
	out.ExpiresAt, out.SentAt = instantOf(r.expires), instantOf(r.sent)
	if r.resolved.Valid {
		out.ResolvedAt = instantOf(r.resolved.V)
	}
	return out
}

func instantOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
