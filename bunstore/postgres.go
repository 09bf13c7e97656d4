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
// Metadata is text too, because jsonb rewrites what it is given. Our own transactions are READ COMMITTED: each
// statement sees what was committed before it, which is what makes a lock worth having.
type postgres struct {
	t tables

	lockKey, insertInto, updateOne, updateMany string
}

func newPostgres(t tables) *postgres {
	t = t.named(`"`)
	names := strings.Join(columns[:], ", ")
	var set strings.Builder
	for _, c := range columns[1 : len(columns)-1] {
		set.WriteString(c + " = v." + c)
		if strings.HasSuffix(c, "_at") {
			set.WriteString("::timestamptz") // a literal among VALUES is text
		}
		set.WriteString(", ")
	}
	return &postgres{
		t:          t,
		lockKey:    "INSERT INTO " + t.locks + " AS l (k, n) VALUES (?, 1) ON CONFLICT (k) DO UPDATE SET n = l.n + 1",
		insertInto: "INSERT INTO " + t.invitations + " (" + names + ") VALUES ? ON CONFLICT DO NOTHING RETURNING id",
		updateOne:  "UPDATE " + t.invitations + " SET ?, version = version + 1 WHERE id = ? AND version = ?",
		updateMany: "UPDATE " + t.invitations + " AS t SET " + set.String() + "version = t.version + 1 FROM (VALUES ?) " +
			"AS v (" + names + ") WHERE t.id = v.id AND t.version = v.version",
	}
}

func (e *postgres) name() dialect.Name { return dialect.PG }

func (e *postgres) tables() tables { return e.t }

func (e *postgres) migrations() []Migration {
	const first = "0001_create"
	index := func(name, columns string) string {
		create := "CREATE INDEX "
		if name == indexSlot {
			create = "CREATE UNIQUE INDEX "
		}
		return create + `"` + e.t.prefix + name + `" ON ` + e.t.invitations + " " + columns
	}
	return []Migration{{ID: first, SQL: []string{
		e.createMigrations(),
		"CREATE TABLE " + e.t.locks + ` (k text COLLATE "C" NOT NULL PRIMARY KEY, n bigint NOT NULL)`,
		"CREATE TABLE " + e.t.invitations + ` (
	id text COLLATE "C" NOT NULL PRIMARY KEY,
	organization_id text COLLATE "C" NOT NULL,
	organization_domain_id text COLLATE "C" NOT NULL,
	email_address text COLLATE "C" NOT NULL,
	email_key text COLLATE "C" NOT NULL,
	pending_key text COLLATE "C",
	role text COLLATE "C" NOT NULL,
	status text COLLATE "C" NOT NULL,
	public_metadata text COLLATE "C" NOT NULL,
	private_metadata text COLLATE "C" NOT NULL,
	inviter_user_id text COLLATE "C" NOT NULL,
	redirect_url text COLLATE "C" NOT NULL,
	generation bigint NOT NULL,
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	sent_at timestamptz NOT NULL,
	resolved_at timestamptz,
	resolved_by text COLLATE "C" NOT NULL,
	version bigint NOT NULL
)`,
		index(indexSlot, "(organization_id, pending_key)"),
		// The last columns of an index are there so that counting and searching by a part of the address need
		// nothing else.
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

func (e *postgres) createMigrations() string {
	return "CREATE TABLE IF NOT EXISTS " + e.t.migrations + ` (id text COLLATE "C" NOT NULL PRIMARY KEY)`
}

// startMigrating takes an advisory lock first: of two who say IF NOT EXISTS at the same time one fails.
func (e *postgres) startMigrating(ctx context.Context, h handle) error {
	const key = 0x6f7267696e766974 // "orginvit"
	if _, err := h.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", int64(key)); err != nil {
		return err
	}
	_, err := h.ExecContext(ctx, e.createMigrations())
	return err
}

func (e *postgres) commitsDDL() bool { return false }

func (e *postgres) objects(ctx context.Context, h handle) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace " +
		"WHERE c.relkind IN ('r', 'p', 'i', 'I') AND ")
	if e.t.schema != "" {
		q.add("n.nspname = ?", e.t.schema)
	} else {
		q.add("pg_catalog.pg_table_is_visible(c.oid)") // what its name alone finds
	}
	found := map[string]bool{}
	var name string
	err := q.each(ctx, h, []any{&name}, func() { found[name] = true })
	return found, err
}

// sound refuses columns that compare otherwise than Go, and an index that a failed CREATE INDEX CONCURRENTLY left.
func (e *postgres) sound(ctx context.Context, h handle) error {
	encoding, err := e.show(ctx, h, "server_encoding")
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
		"AND o.collname NOT IN ('C', 'POSIX') ORDER BY 1", e.t.invitations, e.t.locks, e.t.migrations)
	var name string
	var wrong []string
	if err := q.each(ctx, h, []any{&name}, func() { wrong = append(wrong, name) }); err != nil {
		return err
	}
	if wrong != nil {
		return fmt.Errorf(`the collation of %s is not "C", so that addresses do not compare byte for byte; `+
			`ALTER TABLE … ALTER COLUMN … TYPE text COLLATE "C"`, strings.Join(wrong, ", "))
	}
	q = statement{}
	q.add("SELECT c.relname FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid "+
		"WHERE i.indrelid = ?::regclass AND (NOT i.indisvalid OR c.relname = ? AND NOT i.indisunique) ORDER BY 1",
		e.t.invitations, e.t.prefix+indexSlot)
	if err := q.each(ctx, h, []any{&name}, func() { wrong = append(wrong, name) }); err != nil {
		return err
	}
	if wrong != nil {
		return fmt.Errorf("the index %s is invalid or not unique: drop it, and create it again with its statement "+
			"from Migrations", strings.Join(wrong, ", "))
	}
	return nil
}

// safe asks what our literals depend on: with standard_conforming_strings off a backslash in one is an escape, and
// in some encodings a quote can be half of a character. SHOW takes no snapshot, so that Lock may still come first.
func (e *postgres) safe(ctx context.Context, h handle) error {
	for _, s := range []struct{ name, want string }{{"standard_conforming_strings", "on"}, {"client_encoding", "UTF8"}} {
		got, err := e.show(ctx, h, s.name)
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

func (e *postgres) show(ctx context.Context, h handle, setting string) (value string, err error) {
	err = each(ctx, h, "SHOW "+setting, nil, []any{&value}, func() {})
	return value, err
}

// txOptions: READ COMMITTED whatever the default is. In a snapshot that is taken once, Lock would give the lock and
// hide what its last holder has written.
func (e *postgres) txOptions() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

func (e *postgres) watches() bool { return false }

func (e *postgres) endsAlone() bool { return false }

func (e *postgres) begin(context.Context, handle) error { return nil }

// intact: it is. A transaction that failed does nothing more until it is rolled back, and end looks for that.
func (e *postgres) intact(context.Context, handle, bool) (bool, error) { return true, nil }

// end finds out whether a statement of the host's has failed, or has ended the transaction, and the host made nothing
// of it: COMMIT would then be a ROLLBACK, or do nothing, and not every driver says so. pgx knows by itself.
func (e *postgres) end(ctx context.Context, tx bun.Tx, conn bun.Conn) (bool, error) {
	status := byte(0)
	err := conn.Raw(func(c any) error {
		status = pgxStatus(c)
		return nil
	})
	if err != nil || status != 0 {
		return status != 'I', err // what failed, COMMIT says
	}
	_, err = tx.ExecContext(ctx, "SAVEPOINT orginvite_end")
	if e.state(err) == "25P01" { // only inside a transaction
		return false, nil
	}
	return true, err
}

// pgxStatus is the status that the server gave a connection of pgx's with its last answer: I outside of a transaction.
// It is 0 for any other driver. The package of pgx is not known here.
func pgxStatus(conn any) byte {
	v := reflect.ValueOf(conn)
	for _, name := range []string{"Conn", "PgConn", "TxStatus"} {
		m := v.MethodByName(name)
		if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
			return 0
		}
		v = m.Call(nil)[0]
	}
	if v.Kind() != reflect.Uint8 {
		return 0
	}
	return byte(v.Uint())
}

func (e *postgres) noSavepoint(err error) bool {
	state := e.state(err)
	return state == "3B001" || state == "25P01" // only inside a transaction
}

func (e *postgres) statementContext(ctx context.Context, _ bool) (context.Context, func() bool) {
	return lingering(ctx)
}

// lock writes the row, no less: a transaction with an older snapshot (the host's, if it is REPEATABLE READ or
// SERIALIZABLE and has read) is then refused with 40001, where an advisory lock would let it go on with old figures.
func (e *postgres) lock(ctx context.Context, h handle, key string, _ bool) error {
	_, err := h.ExecContext(ctx, e.lockKey, literal(key))
	return err
}

// forUpdate locks the rows ahead of a SELECT in another order, because FOR UPDATE locks in that.
func (e *postgres) forUpdate(ctx context.Context, h handle, ids []string, _ bool) (string, error) {
	if len(ids) <= 1 {
		return " FOR UPDATE", nil
	}
	q := statement{}
	q.add("SELECT id FROM "+e.t.invitations+" WHERE id IN (?) ORDER BY id FOR UPDATE", texts(ids))
	var id string
	return "", q.each(ctx, h, []any{&id}, func() {})
}

func (e *postgres) mixesSnapshots() bool { return false }

func (e *postgres) current() string { return "" }

// state is the SQLSTATE in err's chain, "" where there is none. See
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
	if err != nil {
		if _, after, ok := strings.Cut(err.Error(), "SQLSTATE"); ok && len(after) > 5 {
			return after[1:6] // behind a blank or =
		}
	}
	return ""
}

func (e *postgres) class(err error) class {
	state := e.state(err)
	switch {
	case state == "":
		return e.classOfText(err)
	case state == "40001", state == "40P01", state == "55P03": // serialization failure, deadlock, lock not available
		return aborted
	case state == "57P03", state == "25006", strings.HasPrefix(state, "53"):
		return unavailable // starting up, read-only, out of connections, memory or disk
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P"), state == "25P03", state == "25P04":
		return lost // connection failures, of a proxy's too, and sessions the server has ended
	default:
		return spoiled
	}
}

// classOfText is for errors that pgx makes itself.
func (e *postgres) classOfText(err error) class {
	if err == nil {
		return plain
	}
	for err := range chain(err) {
		switch text := err.Error(); {
		case text == "conn closed", strings.HasPrefix(text, "write failed: "):
			return lost
		case strings.HasPrefix(text, "ValidateConnect failed: "):
			return unavailable
		}
	}
	return plain
}

// refused: a SQLSTATE is the server's own answer, or a proxy's. Those of a server or a connection that fails say
// nothing about what was committed: 08 and 57P, 58 (of the system) and XX (internal, a PANIC too). Of the drivers pgx
// says that a COMMIT was answered with ROLLBACK.
func (e *postgres) refused(err error) bool {
	state := e.state(err)
	if state == "" {
		for err := range chain(err) {
			if err.Error() == "commit unexpectedly resulted in rollback" {
				return true
			}
		}
		return false
	}
	return !strings.HasPrefix(state, "08") && !strings.HasPrefix(state, "57P") &&
		!strings.HasPrefix(state, "58") && !strings.HasPrefix(state, "XX")
}

func (e *postgres) remedy(err error) string {
	switch state := e.state(err); {
	case state == "25006" || strings.Contains(text(err), "read only connection"):
		return "the server is read-only, as a replica is: connect to the primary"
	case state == "57P03":
		return "the server is starting up or shutting down: try again later"
	case state == "53300":
		return "the server has no connection left: lower MaxOpenConns, raise max_connections, or use a pooler"
	case state == "53100":
		return "the server's disk is full: free space"
	}
	return ""
}

// keeps: no. The server may be in a transaction that only closing the connection ends for certain.
func (e *postgres) keeps(context.Context, bun.Conn) bool { return false }

func (e *postgres) warning(any) string { return "" }

func (e *postgres) breach(err error) bool { return e.state(err) == "23505" }

func (e *postgres) insert(ctx context.Context, h handle, records []storage.Record) (bool, error) {
	// A unique index that refuses would be the end of the transaction: ON CONFLICT DO NOTHING asks it not to.
	var written []string
	var id string
	err := each(ctx, h, e.insertInto, []any{recordRows(e, records)}, []any{&id}, func() { written = append(written, id) })
	if err != nil || len(written) == len(records) {
		return true, err
	}
	if len(written) > 0 {
		q := statement{}
		q.add("DELETE FROM "+e.t.invitations+" WHERE id IN (?)", texts(written))
		_, err = q.exec(ctx, h)
	}
	return false, err
}

// update does run into the index. What may breach has a savepoint, where there is a transaction to keep.
func (e *postgres) update(ctx context.Context, h handle, records []storage.Record) (int64, error) {
	pending := func(r storage.Record) bool { return r.Status == storage.Pending }
	if _, inTx := h.(bun.Tx); !inTx || !slices.ContainsFunc(records, pending) {
		return e.write(ctx, h, records)
	}
	const name = "orginvite_update"
	if _, err := h.ExecContext(ctx, "SAVEPOINT "+name); err != nil {
		return 0, err
	}
	n, err := e.write(ctx, h, records)
	if err != nil && !e.breach(err) {
		return 0, err
	}
	if err != nil {
		if _, failed := h.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+name); failed != nil {
			return 0, failed
		}
	}
	if _, failed := h.ExecContext(ctx, "RELEASE SAVEPOINT "+name); failed != nil {
		return 0, failed
	}
	return n, err
}

func (e *postgres) write(ctx context.Context, h handle, records []storage.Record) (int64, error) {
	q := statement{}
	if len(records) == 1 {
		r := &records[0]
		q.add(e.updateOne, assignments(e, r), r.ID, r.Version)
	} else {
		q.add(e.updateMany, recordRows(e, records))
	}
	return q.exec(ctx, h)
}

func (e *postgres) holders(q *statement, slots []slot) {
	q.add("SELECT t.id, t.organization_id, t.pending_key FROM (VALUES ?) AS v (o, k) JOIN "+e.t.invitations+
		" AS t ON t.organization_id = v.o AND t.pending_key = v.k", slotRows(slots))
}

// time cuts to the microsecond. Instants outside of the years 1 to 9999, which only filters have, are the ends of time.
func (e *postgres) time(b []byte, t time.Time) []byte {
	t = t.UTC()
	switch year := t.Year(); {
	case year < 1:
		return append(b, "'-infinity'"...)
	case year > 9999:
		return append(b, "'infinity'"...)
	}
	return t.AppendFormat(b, "'2006-01-02 15:04:05.999999+00'")
}

func (e *postgres) pick(search, []part, []string, []term, bool) string { return "" }

// joinPage: 80,000 rows deep by Offset it takes 10 instead of 19 ms, and more where rows lie about; a page near the
// beginning is slower for it.
func (e *postgres) joinPage(offset int) string {
	if offset < 1000 {
		return ""
	}
	return " JOIN "
}

func (e *postgres) after(q *statement, terms []term) { seek(q, terms) }

// contains is written with LIKE, which an index on trigrams can serve; the collation makes it compare bytes.
func (e *postgres) contains(q *statement, text string) {
	q.add("email_key LIKE ?", "%"+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)+"%")
}

func (e *postgres) expires(bool) string { return "expires_at" }

func (e *postgres) limit(q *statement, limit, offset int) {
	if limit > 0 {
		q.add(" LIMIT ?", limit)
	}
	if offset > 0 {
		q.add(" OFFSET ?", offset)
	}
}

func (e *postgres) row() row {
	r := &timeRow{}
	r.into = []any{
		&r.r.ID, &r.r.OrganizationID, &r.r.OrganizationDomainID, &r.r.EmailAddress, &r.r.EmailKey, &r.r.Role, &r.r.Status,
		&r.r.PublicMetadata, &r.r.PrivateMetadata, &r.r.InviterUserID, &r.r.RedirectURL, &r.r.Generation,
		&r.r.CreatedAt, &r.r.UpdatedAt, &r.r.ExpiresAt, &r.r.SentAt, &r.resolved, &r.r.ResolvedBy, &r.r.Version,
	}
	return r
}

// timeRow has times as the driver knows them, in whatever zone.
type timeRow struct {
	into     []any
	r        storage.Record
	resolved sql.Null[time.Time]
}

func (r *timeRow) dest() []any { return r.into }

func (r *timeRow) record() storage.Record {
	out := r.r // Scan has made new texts and metadata
	out.CreatedAt, out.UpdatedAt = out.CreatedAt.UTC(), out.UpdatedAt.UTC()
	out.ExpiresAt, out.SentAt = out.ExpiresAt.UTC(), out.SentAt.UTC()
	if r.resolved.Valid {
		out.ResolvedAt = r.resolved.V.UTC()
	}
	return out
}
