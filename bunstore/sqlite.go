package bunstore

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// sqlite keeps times as INTEGER microseconds. It has one writer at a time, so the holder of the write lock does not
// need to lock rows. Text compares and sorts byte for byte by default.
type sqlite struct{ defaults }

func newSQLite(t tables) *engine {
	t = t.quoted(`"`)
	e := &engine{tables: t, statements: newStatements(t), facts: facts{
		prepares:        true,
		dialect:         dialect.SQLite,
		failureMayEndTx: true,
		rewritesIndexes: true,
		// STRICT, because a column of SQLite otherwise takes values of any type.
		types:          [...]string{textKind: "TEXT", jsonKind: "TEXT", integerKind: "INTEGER", timeKind: "INTEGER"},
		tableOptions:   " STRICT",
		indexSchema:    true,
		time:           func(b []byte, t time.Time) []byte { return strconv.AppendInt(b, t.UnixMicro(), 10) },
		rows:           recordRows,
		unindexed:      "+",
		seeksRowValues: true,
		noLimit:        " LIMIT -1",
		identity:       "SELECT sqlite_version()",
	}}
	// The first statement takes the write lock. Otherwise a transaction that reads first could not write if somebody
	// else has written meanwhile, regardless of busy_timeout.
	e.begin = "UPDATE " + t.locks + " SET n = n WHERE 0"
	e.updateSeveral = "WITH v (" + writtenColumns + ") AS (VALUES ?) UPDATE " + t.invitations + " AS t SET " +
		e.setFrom("") + "version = v.version + 1 FROM v WHERE t.id = v.id AND t.version = v.version"
	// CROSS JOIN keeps the order of the tables, so each slot is looked up in the unique index.
	e.holders = "WITH v (o, k) AS (VALUES ?) SELECT t.id, t.organization_id, t.pending_key FROM v CROSS JOIN " +
		t.invitations + " AS t ON t.organization_id = v.o AND t.pending_key = v.k"
	special := &sqlite{defaults{e}}
	e.catalog, e.transactions, e.writes, e.errors = special, special, special, special
	return e
}

func (e *sqlite) startMigrating(ctx context.Context, db querier) error {
	if _, err := db.ExecContext(ctx, e.createMigrations()); err != nil {
		return err
	}
	// If the table already existed, this statement takes the write lock.
	_, err := db.ExecContext(ctx, "UPDATE "+e.migrations+" SET id = id WHERE 0")
	return err
}

func (e *sqlite) objects(ctx context.Context, db querier) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT name FROM ")
	if e.schema != "" {
		q.add(`"` + e.schema + `".`)
	}
	q.add("sqlite_master WHERE type IN ('table', 'index')")
	found := map[string]bool{}
	var name string
	err := q.each(ctx, db, []any{&name}, func() { found[name] = true })
	return found, err
}

// ready reports whether the driver begins with the write lock: modernc.org/sqlite and go-sqlite3 with _txlock. Their
// settings are not exported.
func (e *sqlite) ready(conn any) bool {
	v := reflect.Indirect(reflect.ValueOf(conn))
	if v.Kind() != reflect.Struct {
		return false
	}
	for _, name := range []string{"beginMode", "txlock"} { // "immediate" and "BEGIN IMMEDIATE"
		if f := v.FieldByName(name); f.Kind() == reflect.String {
			mode := strings.ToLower(f.String())
			return strings.HasSuffix(mode, "immediate") || strings.HasSuffix(mode, "exclusive")
		}
	}
	return false
}

// open tries to begin a transaction, which SQLite refuses inside a transaction. If a write of the host was interrupted,
// SQLite has rolled back the whole transaction.
func (e *sqlite) open(ctx context.Context, db querier) (bool, error) {
	tx, ok := db.(bun.Tx)
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

// reusable tries a ROLLBACK. Drivers roll back a transaction that they could not commit, and closing the connection
// would lose a database in memory.
func (e *sqlite) reusable(ctx context.Context, conn bun.Conn) bool {
	_, err := conn.Conn.ExecContext(ctx, "ROLLBACK")
	return err == nil || strings.Contains(err.Error(), "no transaction is active")
}

// sqliteVerdicts maps the result codes that matter, in their lowest 8 bits, to verdicts. See
// https://www.sqlite.org/rescode.html. The text must match too, because an error of the host may have a method Code
// with another meaning. If uncoded is set the text alone is enough, for drivers without that method.
var sqliteVerdicts = []struct {
	code    int
	text    string
	uncoded bool
	verdict
}{
	{5, "database is locked", true, verdict{class: aborted}},
	{6, "table is locked", true, verdict{class: aborted}},
	{19, "UNIQUE constraint failed", true, verdict{breach: true}},
	// SQLite may have rolled back by itself after those that follow.
	{7, "out of memory", false, verdict{class: ended}},
	// What the transaction has written may be there when the file is opened again.
	{10, "disk I/O error", false, verdict{class: ended, uncertain: true}},
	{13, "database or disk is full", true, verdict{class: unavailable,
		remedy: "the disk is full, or max_page_count is reached: free space or raise it"}},
	{8, "attempt to write a readonly database", true, verdict{class: unavailable,
		remedy: "the file or its folder may not be written: give the process the right to, and open it without mode=ro"}},
	{14, "unable to open database file", true, verdict{class: unavailable,
		remedy: "the file cannot be opened: create its folder, and give the process the right to write there"}},
	{11, "database disk image is malformed", true, verdict{class: ended, uncertain: true, remedy: sqliteDamaged}},
	{26, "file is not a database", true, verdict{class: ended, remedy: sqliteDamaged}},
}

const sqliteDamaged = "the file is damaged or is not a database: run PRAGMA integrity_check, and restore a backup"

// judge uses the result code. SQLite runs in this process, so a code is always its own answer.
func (e *sqlite) judge(err error) verdict {
	v := verdict{uncertain: true}
	var coded interface {
		error
		Code() int
	}
	text, code := err.Error(), 0
	if errors.As(err, &coded) {
		text, code = coded.Error(), coded.Code()&0xff
		v = verdict{}
	}
	if strings.Contains(err.Error(), "constraint failed") {
		v = verdict{}
	}
	for _, known := range sqliteVerdicts {
		if (code == known.code || code == 0 && known.uncoded) && strings.Contains(text, known.text) {
			v = known.verdict
			break
		}
	}
	if strings.Contains(err.Error(), "no transaction is active") { // unknown how it has ended
		v.uncertain = true
	}
	v.noSavepoint = strings.Contains(err.Error(), "no such savepoint: orginvite_")
	return v
}
