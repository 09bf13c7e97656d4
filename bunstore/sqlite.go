package bunstore

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// sqlite keeps times as INTEGER microseconds and has one writer at a time, so that whoever has the write lock
// decides on what is stored and needs to lock no rows. Its text compares and sorts byte for byte by itself.
type sqlite struct{ defaults }

func newSQLite(t tables) *engine {
	t = t.quoted(`"`)
	e := &engine{tables: t, statements: newStatements(t), facts: facts{
		dialect:         dialect.SQLite,
		failureMayEndTx: true,
		// STRICT, because a column of SQLite otherwise takes values of any type.
		types:          [...]string{textKind: "TEXT", jsonKind: "TEXT", integerKind: "INTEGER", timeKind: "INTEGER"},
		tableOptions:   " STRICT",
		indexSchema:    true,
		time:           func(b []byte, t time.Time) []byte { return strconv.AppendInt(b, micros(t), 10) },
		rows:           recordRows,
		hidden:         "+",
		seeksRowValues: true,
		noLimit:        " LIMIT -1",
	}}
	// The first statement takes the write lock: a transaction that reads before it writes is refused to write when
	// somebody else has written meanwhile, whatever busy_timeout says.
	e.begin = "UPDATE " + t.locks + " SET n = n WHERE 0"
	e.updateSeveral = "WITH v (" + writtenColumns + ") AS (VALUES ?) UPDATE " + t.invitations + " AS t SET " +
		setFrom("", "") + "version = v.version + 1 FROM v WHERE t.id = v.id AND t.version = v.version"
	// CROSS JOIN keeps the order: each slot is looked up in the unique index.
	e.holders = "WITH v (o, k) AS (VALUES ?) SELECT t.id, t.organization_id, t.pending_key FROM v CROSS JOIN " +
		t.invitations + " AS t ON t.organization_id = v.o AND t.pending_key = v.k"
	special := &sqlite{defaults{e}}
	e.catalog, e.transactions, e.writes, e.errors = special, special, special, special
	return e
}

func (e *sqlite) startMigrating(ctx context.Context, h querier) error {
	if _, err := h.ExecContext(ctx, e.createMigrations()); err != nil {
		return err
	}
	// Where the table was there already, this is what takes the write lock.
	_, err := h.ExecContext(ctx, "UPDATE "+e.migrations+" SET id = id WHERE 0")
	return err
}

func (e *sqlite) objects(ctx context.Context, h querier) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT name FROM ")
	if e.schema != "" {
		q.add(`"` + e.schema + `".`)
	}
	q.add("sqlite_master WHERE type IN ('table', 'index')")
	found := map[string]bool{}
	var name string
	err := q.each(ctx, h, []any{&name}, func() { found[name] = true })
	return found, err
}

// open tries to begin a transaction, which SQLite refuses inside one. A write of the host's that was interrupted has
// rolled back the whole of it.
func (e *sqlite) open(ctx context.Context, q querier) (bool, error) {
	tx, ok := q.(bun.Tx)
	if !ok {
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

// reusable asks: drivers roll back what they could not commit, and a database in memory goes with its connection.
func (e *sqlite) reusable(ctx context.Context, conn bun.Conn) bool {
	_, err := conn.Conn.ExecContext(ctx, "ROLLBACK")
	return err == nil || strings.Contains(err.Error(), "no transaction is active")
}

func (e *sqlite) breach(err error) bool { return e.code(err) == sqliteConstraint }

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
