package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/storage"
)

// postgres keeps times as timestamptz and every text with COLLATE "C", so that it compares and sorts byte for byte.
// Metadata is text too, because jsonb rewrites what it is given.
type postgres struct{ defaults }

func newPostgres(t tables) *engine {
	t = t.quoted(`"`)
	const text = `text COLLATE "C"`
	e := &engine{tables: t, statements: newStatements(t), facts: facts{
		dialect:  dialect.PG,
		prepares: true,
		// Set regardless of the server's default, so that each statement sees what was committed before it. With one
		// snapshot for the transaction, Lock would get the lock but not show what its last holder has written.
		isolation:      sql.LevelReadCommitted,
		cutLosesConn:   true,
		rowLock:        " FOR UPDATE",
		locksAsSorted:  true,
		types:          [...]string{textKind: text, jsonKind: text, integerKind: "bigint", timeKind: "timestamptz"},
		time:           postgresTime,
		castTime:       "::timestamptz", // a literal in a list of rows is text
		rows:           recordRows,
		sharesValues:   true,
		likeIsBinary:   true, // by the collation
		seeksRowValues: true,
		wideOnly:       "id > ''",
		// At an Offset of 80,000 rows a page takes 10 instead of 19 ms. It saves more if the rows are scattered. A page
		// near the beginning is slower with the join.
		joinPage: " JOIN ",
		joinFrom: 1000,
	}}
	// A key is locked by writing its row. A transaction with an older snapshot is then refused with 40001. This is a
	// host's transaction that is REPEATABLE READ or SERIALIZABLE and has already read. With an advisory lock it would
	// continue with old data.
	e.lockKey = "INSERT INTO " + t.locks + " AS l (k, n) VALUES (?, 1) ON CONFLICT (k) DO UPDATE SET n = l.n + 1"
	// An error from a unique index would abort the transaction. ON CONFLICT avoids the error.
	e.insert += " ON CONFLICT DO NOTHING RETURNING id"
	e.updateSeveral = "UPDATE " + t.invitations + " AS t SET " +
		e.setFrom("") + "version = t.version + 1 FROM (VALUES ?) AS v (" + writtenColumns +
		") WHERE t.id = v.id AND t.version = v.version"
	e.holders = "SELECT t.id, t.organization_id, t.pending_key FROM (VALUES ?) AS v (o, k) JOIN " + t.invitations +
		" AS t ON t.organization_id = v.o AND t.pending_key = v.k"
	special := &postgres{defaults{e}}
	e.catalog, e.transactions, e.writes, e.errors = special, special, special, special
	return e
}

// startMigrating takes an advisory lock first, because one of two concurrent CREATE TABLE IF NOT EXISTS fails.
func (e *postgres) startMigrating(ctx context.Context, db querier) error {
	const key = 0x6f7267696e766974 // "orginvit"
	if _, err := db.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", int64(key)); err != nil {
		return err
	}
	return e.defaults.startMigrating(ctx, db)
}

func (e *postgres) objects(ctx context.Context, db querier) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace " +
		"WHERE c.relkind IN ('r', 'p', 'i', 'I') AND ")
	if e.schema != "" {
		q.add("n.nspname = ?", e.schema)
	} else {
		q.add("pg_catalog.pg_table_is_visible(c.oid)") // found without a schema in front of its name
	}
	found := map[string]bool{}
	var name string
	err := q.each(ctx, db, []any{&name}, func() { found[name] = true })
	return found, err
}

// sound refuses columns that do not compare byte for byte, and the invalid index that a failed CREATE INDEX
// CONCURRENTLY leaves.
func (e *postgres) sound(ctx context.Context, db querier) error {
	encoding, err := e.show(ctx, db, "server_encoding")
	if err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s, which cannot keep every address; create one with "+
			"ENCODING 'UTF8'", encoding)
	}
	q := statement{}
	q.add("SELECT c.relname || '.' || a.attname FROM pg_catalog.pg_attribute AS a "+
		"JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid "+
		"JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation "+
		"WHERE a.attrelid IN (?::regclass, ?::regclass, ?::regclass) AND NOT a.attisdropped "+
		"AND o.collname NOT IN ('C', 'POSIX') ORDER BY 1", e.invitations, e.locks, e.migrations)
	var name string
	var wrong []string
	if err := q.each(ctx, db, []any{&name}, func() { wrong = append(wrong, name) }); err != nil {
		return err
	}
	if wrong != nil {
		return fmt.Errorf(`the collation of %s is not "C", so that addresses do not compare byte for byte; `+
			`ALTER TABLE … ALTER COLUMN … TYPE text COLLATE "C"`, strings.Join(wrong, ", "))
	}
	q = statement{}
	q.add("SELECT c.relname FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid "+
		"WHERE i.indrelid = ?::regclass AND (NOT i.indisvalid OR c.relname = ? AND NOT i.indisunique) ORDER BY 1",
		e.invitations, e.prefix+indexSlot)
	if err := q.each(ctx, db, []any{&name}, func() { wrong = append(wrong, name) }); err != nil {
		return err
	}
	if wrong != nil {
		return fmt.Errorf("the index %s is invalid or not unique: drop it, and create it again with its statement "+
			"from Migrations", strings.Join(wrong, ", "))
	}
	return nil
}

// safe checks the settings on which literals depend. With standard_conforming_strings off, a backslash in a literal is
// an escape. In some encodings, a quote can be half of a character. SHOW takes no snapshot, so a Lock after it still
// gets a new one.
func (e *postgres) safe(ctx context.Context, db querier) error {
	for _, s := range []struct{ name, want string }{{"standard_conforming_strings", "on"}, {"client_encoding", "UTF8"}} {
		got, err := e.show(ctx, db, s.name)
		if err != nil {
			return err
		}
		if got != s.want {
			return fmt.Errorf("%s is %s on this connection, with which values written into SQL are not safe: set it to "+
				"%s, in the DSN or with ALTER ROLE or ALTER DATABASE … SET %s = '%s'", s.name, got, s.want, s.name, s.want)
		}
	}
	return nil
}

func (e *postgres) show(ctx context.Context, db querier, setting string) (value string, err error) {
	err = each(ctx, db, "SHOW "+setting, nil, []any{&value}, func() {})
	return value, err
}

// openAtCommit finds out whether a statement of the host has failed, or has ended the transaction, and the host has
// ignored it. COMMIT would then roll back or do nothing, and not every driver reports that. pgx knows the status
// without a query.
func (e *postgres) openAtCommit(ctx context.Context, tx bun.Tx, conn bun.Conn) (bool, error) {
	status := byte(0)
	err := conn.Raw(func(c any) error {
		status = pgxStatus(c)
		return nil
	})
	if err != nil || status != 0 {
		return status != 'I', err // COMMIT reports a failed transaction
	}
	_, err = tx.ExecContext(ctx, "SAVEPOINT orginvite_end")
	if err != nil && e.state(err) == postgresNoTx {
		return false, nil
	}
	return true, err
}

// pgxStatus returns the transaction status that the server sent last on a connection of pgx: 'I' outside a transaction.
// It returns 0 for any other driver.
func pgxStatus(conn any) byte {
	v := ofPgx(conn, "Conn", "PgConn", "TxStatus")
	if v.Kind() != reflect.Uint8 {
		return 0
	}
	return byte(v.Uint())
}

// ofPgx calls methods of a connection of pgx, each on the result of the one before it. It returns the zero Value for
// any other driver. Package pgx is not imported here.
func ofPgx(conn any, methods ...string) reflect.Value {
	v := reflect.ValueOf(conn)
	for _, name := range methods {
		if !v.IsValid() {
			return v
		}
		m := v.MethodByName(name)
		if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
			return reflect.Value{}
		}
		v = m.Call(nil)[0]
	}
	return v
}

// insert learns from RETURNING which records were written. If some were not, it deletes the others again.
func (e *postgres) insert(ctx context.Context, db querier, records []storage.Record) (bool, error) {
	var written []string
	var id string
	source := []any{insertSource(&e.facts, records)}
	err := each(ctx, db, e.statements.insert, source, []any{&id}, func() { written = append(written, id) })
	if err != nil || len(written) == len(records) {
		return true, err
	}
	if len(written) > 0 {
		_, err = db.ExecContext(ctx, e.deleteByID, texts(written))
	}
	return false, err
}

// update may violate the unique index, which would abort the transaction. So it uses a savepoint, unless each record
// already holds the slot that it needs.
func (e *postgres) update(ctx context.Context, db querier, records []storage.Record, old *storage.Record) (
	int64, error) {
	takesSlot := func(r storage.Record) bool {
		return r.Status == storage.Pending && (old == nil || old.Status != storage.Pending ||
			old.OrganizationID != r.OrganizationID || old.EmailKey != r.EmailKey)
	}
	if !slices.ContainsFunc(records, takesSlot) {
		return e.defaults.update(ctx, db, records, old)
	}
	const name = "orginvite_update"
	if _, err := db.ExecContext(ctx, "SAVEPOINT "+name); err != nil {
		return 0, err
	}
	n, breach := e.defaults.update(ctx, db, records, old)
	if breach != nil {
		if !e.judge(breach).breach {
			return 0, breach
		}
		if _, err := db.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+name); err != nil {
			return 0, err
		}
	}
	if _, err := db.ExecContext(ctx, "RELEASE SAVEPOINT "+name); err != nil {
		return 0, err
	}
	return n, breach
}

// postgresTime truncates to the microsecond.
func postgresTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "'2006-01-02 15:04:05.999999+00'")
}

// state returns the SQLSTATE in the chain of err, or "" if there is none. err is not nil. See
// https://www.postgresql.org/docs/current/errcodes-appendix.html.
func (e *postgres) state(err error) string {
	var pgx interface{ SQLState() string } // and lib/pq
	if errors.As(err, &pgx) {
		return pgx.SQLState()
	}
	var pgdriver interface{ Field(k byte) string }
	if errors.As(err, &pgdriver) {
		return pgdriver.Field('C')
	}
	if _, after, ok := strings.Cut(err.Error(), "SQLSTATE"); ok && len(after) > 5 {
		return after[1:6] // behind a blank or =
	}
	return ""
}

// postgresVerdicts maps prefixes of SQLSTATEs to verdicts. The first prefix that matches counts.
var postgresVerdicts = []struct {
	state string
	verdict
}{
	{"40001", verdict{class: aborted}}, // serialization failure
	{"40P01", verdict{class: aborted}}, // deadlock
	{"55P03", verdict{class: aborted}}, // lock not available
	{"23505", verdict{class: unusable, breach: true}},
	{"26000", verdict{class: unusable, unprepared: true}}, // no such prepared statement; DISCARD ALL drops them
	{"3B001", verdict{class: unusable, noSavepoint: true}},
	{postgresNoTx, verdict{class: unusable, noSavepoint: true}},

	{"25006", verdict{class: unavailable, remedy: postgresReadOnly}},
	{"57P03", verdict{class: unavailable, uncertain: true,
		remedy: "the server is starting up or shutting down: try again later"}},
	{"53300", verdict{class: unavailable,
		remedy: "the server has no connection left: lower MaxOpenConns, raise max_connections, or use a pooler"}},
	{"53100", verdict{class: unavailable, remedy: "the server's disk is full: free space"}},
	{"53", verdict{class: unavailable}}, // out of connections, memory or disk

	{"25P03", verdict{class: lost}}, // sessions the server has ended
	{"25P04", verdict{class: lost}},
	// These come from a failing server or connection, and do not tell whether COMMIT succeeded.
	{"57P", verdict{class: lost, uncertain: true}},
	{"08", verdict{class: lost, uncertain: true}},     // of a proxy's connection too
	{"58", verdict{class: unusable, uncertain: true}}, // of the system
	{"XX", verdict{class: unusable, uncertain: true}}, // internal, a PANIC too
	{"", verdict{class: unusable}},                    // any other
}

const (
	postgresNoTx     = "25P01" // only inside a transaction
	postgresReadOnly = "the server is read-only, as a replica is: connect to the primary"
)

// judge uses the SQLSTATE, which is the answer of the server or of a proxy. Without one it uses the texts of pgx's own
// errors.
func (e *postgres) judge(err error) verdict {
	state := e.state(err)
	if state == "0A000" && strings.Contains(err.Error(), "cached plan must not change result type") {
		return verdict{class: unusable, unprepared: true}
	}
	if state != "" {
		for _, v := range postgresVerdicts {
			if strings.HasPrefix(state, v.state) {
				return v.verdict
			}
		}
	}
	for err := range chain(err) {
		switch text := err.Error(); {
		case text == "conn closed", strings.HasPrefix(text, "write failed: "):
			return verdict{class: lost, uncertain: true}
		case strings.HasPrefix(text, "ValidateConnect failed: ") && strings.Contains(text, "read only connection"),
			text == "session is read-only", text == "server is in hot standby mode": // lib/pq
			return verdict{class: unavailable, uncertain: true, remedy: postgresReadOnly}
		case strings.HasPrefix(text, "ValidateConnect failed: "), text == "session is not read-only",
			text == "server is not in hot standby mode":
			return verdict{class: unavailable, uncertain: true}
		case text == "commit unexpectedly resulted in rollback":
			return verdict{}
		}
	}
	return verdict{uncertain: true}
}
