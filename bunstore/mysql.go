package bunstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/storage"
)

// mysql is for MariaDB, a Galera cluster of it, and MySQL. Times are DATETIME(6) in UTC, whatever zone a connection is
// in. The Store's own transactions are READ COMMITTED. In a host's REPEATABLE READ transaction, reads that decide
// something are current reads.
type mysql struct {
	defaults
	cluster atomic.Bool // safe has found a Galera cluster
}

// mysqlCollation compares, sorts and enforces uniqueness byte for byte, as Go does. Each server executes only the
// comment that is meant for it.
const mysqlCollation = "/*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */"

func newMySQL(t tables) *engine {
	t = t.quoted("`")
	e := &engine{tables: t, statements: newStatements(t), facts: facts{
		dialect:         dialect.MySQL,
		isolation:       sql.LevelReadCommitted,
		commitsDDL:      true,
		abortEndsTx:     true, // after a deadlock the server answers COMMIT as if all were well
		failureMayEndTx: true,
		cutLosesConn:    true,
		mixesSnapshots:  true,
		rowLock:         " FOR UPDATE",
		currentRead:     " LOCK IN SHARE MODE",
		// With the sizes of package storage every index fits in the 3072 bytes that InnoDB allows, at up to four bytes
		// per character. A longer index would hold only a part of its columns, and pages would have to be sorted.
		types: [...]string{
			textKind: "VARCHAR(%d)", jsonKind: "LONGTEXT", integerKind: "BIGINT", timeKind: "DATETIME(6)",
		},
		nullType:     " NULL",
		tableOptions: " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE " + mysqlCollation,
		insertAgain:  " ON DUPLICATE KEY UPDATE id = id",
		time:         mysqlTime,
		rows:         recordSelects, // both MariaDB and MySQL accept UNION ALL as a list of rows
		sharesValues: true,
		row:          "/*!80019 ROW*/", // for MySQL only
		// At an Offset of 40,000 rows a page takes 12 instead of 72 ms, and three branches take 0.8 instead of 1.9 ms.
		// Without the join, a temporary table with LONGTEXT is written to disk.
		joinPage: " STRAIGHT_JOIN ",
		noLimit:  " LIMIT 18446744073709551615", // as the manual has it
	}}
	const primary = " FORCE INDEX (PRIMARY)"
	e.byID += primary
	e.deleteByID = "DELETE t FROM " + t.invitations + " AS t" + primary + " WHERE id IN (?)"
	// A key is locked by writing its row, because Galera certifies written rows across its nodes, but not locked ones.
	e.lockKey = "INSERT INTO " + t.locks + " (k, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n + 1"
	// STRAIGHT_JOIN looks up each row of v.
	e.updateSeveral = "UPDATE (?) AS v STRAIGHT_JOIN " + t.invitations + " AS t" + primary +
		" ON t.id = v.id AND t.version = v.version SET " + e.setFrom("t.") + "t.version = v.version + 1"
	e.holders = "SELECT id, organization_id, pending_key FROM " + t.invitations + " FORCE INDEX (" + t.named(indexSlot) +
		") WHERE (organization_id, pending_key) IN (?)" + e.currentRead
	special := &mysql{defaults: defaults{e}}
	e.catalog, e.transactions, e.writes, e.errors = special, special, special, special
	return e
}

func (e *mysql) objects(ctx context.Context, db querier) (map[string]bool, error) {
	q := statement{}
	q.add("SELECT table_name FROM information_schema.tables WHERE table_schema = ")
	e.database(&q)
	q.add(" UNION SELECT index_name FROM information_schema.statistics WHERE table_name = ? AND table_schema = ",
		e.prefix+baseName)
	e.database(&q)
	found := map[string]bool{}
	var name string
	err := q.each(ctx, db, []any{&name}, func() { found[name] = true })
	return found, err
}

// database adds the name of the database the tables are in.
func (e *mysql) database(q *statement) {
	if e.schema == "" {
		q.add("DATABASE()")
		return
	}
	q.add("?", e.schema)
}

// sound refuses tables that were created or changed by hand in a way that would break a rule.
func (e *mysql) sound(ctx context.Context, db querier) error {
	const do = ": create it as its statement from Migrations does, or ALTER it so"
	for _, look := range []struct{ columns, from, where, fault string }{
		{"table_name", "tables", "engine <> 'InnoDB'", "%s is not an InnoDB table, and has no transactions"},
		{"concat(table_name, '.', column_name)", "columns",
			"collation_name NOT IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')",
			"%s does not compare byte for byte: its collation must be utf8mb4_nopad_bin, or utf8mb4_0900_bin on MySQL"},
		{"concat(index_name, ' on ', column_name)", "statistics", "sub_part IS NOT NULL",
			"index %s holds only a part of the column"},
	} {
		q := statement{}
		q.add("SELECT "+look.columns+" FROM information_schema."+look.from+" WHERE "+look.where+
			" AND table_name IN (?) AND table_schema = ", texts([]string{e.prefix + baseName, e.prefix + locksName}))
		e.database(&q)
		q.add(" ORDER BY 1 LIMIT 1")
		var name, found string
		if err := q.each(ctx, db, []any{&name}, func() { found = name }); err != nil {
			return err
		}
		if found != "" {
			return fmt.Errorf(look.fault+do, found)
		}
	}
	return nil
}

// safe runs statements that read no table, so that they begin no snapshot in a host's transaction.
func (e *mysql) safe(ctx context.Context, db querier) error {
	q := statement{}
	q.add("SELECT @@sql_mode, @@character_set_client, @@character_set_connection, @@autocommit, " +
		"CAST('2026-03-29 02:30:00' AS DATETIME(6))")
	var mode, client, connection string
	var autocommit int
	var at scannedTime
	err := q.each(ctx, db, []any{&mode, &client, &connection, &autocommit, &at}, func() {})
	if err != nil {
		return err
	}
	modes := strings.Split(mode, ",")
	switch {
	case slices.Contains(modes, "NO_BACKSLASH_ESCAPES"):
		return errors.New("sql_mode has NO_BACKSLASH_ESCAPES, with which bun's literals are not safe: " +
			"take it out of the server's sql_mode, or set sql_mode in the DSN")
	case !slices.Contains(modes, "STRICT_TRANS_TABLES") && !slices.Contains(modes, "STRICT_ALL_TABLES"):
		return errors.New("sql_mode is not strict, and values would be cut: " +
			"add STRICT_TRANS_TABLES to the server's sql_mode, or set sql_mode in the DSN")
	case client != "utf8mb4" || connection != "utf8mb4":
		return fmt.Errorf("the connection's character set is %s, not utf8mb4: set charset=utf8mb4 in the DSN, "+
			"or leave charset out", client)
	case autocommit == 0:
		return errors.New("the connection has autocommit off, and would read from an old snapshot: " +
			"leave autocommit=0 out of the DSN and the server's settings")
	case !time.Time(at).Equal(time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC)):
		return errors.New("the driver reads times in another zone than UTC: set loc=UTC in the DSN, or leave loc out")
	}
	var name, value string
	err = each(ctx, db, "SHOW VARIABLES LIKE 'wsrep_on'", nil, []any{&name, &value}, func() {})
	e.cluster.Store(value == "ON")
	return err
}

// warning is about go-sql-driver, which runs COMMIT and ROLLBACK without a context. Its settings are not exported.
func (e *mysql) warning(conn any) string {
	v := driverConfig(conn)
	if !v.IsValid() {
		return ""
	}
	if v = v.FieldByName("ReadTimeout"); v.Kind() != reflect.Int64 || v.Int() != 0 {
		return ""
	}
	return "the DSN has no readTimeout: the driver ends COMMIT and ROLLBACK with no context, so that on a network that " +
		"loses packets they hang; set readTimeout, longer than any statement takes, such as readTimeout=30s"
}

// ready reports whether the DSN of go-sql-driver sets the isolation level of the session. Otherwise the driver sets it
// before each transaction, in a round trip of its own. Its settings are not exported.
func (e *mysql) ready(conn any) bool {
	cfg := driverConfig(conn)
	if !cfg.IsValid() {
		return false
	}
	params := cfg.FieldByName("Params")
	if params.Kind() != reflect.Map {
		return false
	}
	for _, name := range []string{"tx_isolation", "transaction_isolation"} {
		if v := params.MapIndex(reflect.ValueOf(name)); v.Kind() == reflect.String {
			return strings.EqualFold(strings.Trim(v.String(), `'"`), "READ-COMMITTED")
		}
	}
	return false
}

// driverConfig returns the Config of a connection of go-sql-driver, or the zero Value.
func driverConfig(conn any) reflect.Value {
	v := reflect.Indirect(reflect.ValueOf(conn))
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	if v = reflect.Indirect(v.FieldByName("cfg")); v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v
}

// beforeSavepoints writes a row in a cluster, and deletes it again. Otherwise ROLLBACK TO SAVEPOINT may undo rows on
// this node only, and COMMIT sends them to the others. MariaDB 10.11.19 without log_bin does so if nothing has been
// written on the connection yet, and the transaction has read before the savepoint. MDEV-22021 describes the bug.
func (e *mysql) beforeSavepoints(ctx context.Context, db querier) error {
	if !e.cluster.Load() {
		return nil
	}
	key := literal("savepoint " + rand.Text()) // nobody else writes it, so it conflicts with nothing
	for _, text := range []string{"INSERT INTO %s (k, n) VALUES (?, 1)", "DELETE FROM %s WHERE k = ?"} {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(text, e.locks), key); err != nil {
			if e.judge(err).class == unavailable {
				return nil // it is read-only, so nothing can be rolled back
			}
			return err
		}
	}
	return nil
}

// trustsHook: not in a cluster. There another node may abort a transaction while a plain SELECT sends its rows, and
// bun's Scan into plain variables drops that error.
func (e *mysql) trustsHook() bool { return !e.cluster.Load() }

func (e *mysql) open(ctx context.Context, db querier) (bool, error) {
	open := 0
	err := each(ctx, db, "SELECT @@in_transaction", nil, []any{&open}, func() {})
	return open != 0, err
}

// openAtCommit reads the transaction status that the server sent last, if the driver is go-sql-driver. The host may
// have run statements without bun and ignored their errors.
func (e *mysql) openAtCommit(_ context.Context, _ bun.Tx, conn bun.Conn) (open bool, err error) {
	open = true
	err = conn.Raw(func(c any) error {
		const inTransaction = 1 // SERVER_STATUS_IN_TRANS
		v := reflect.Indirect(reflect.ValueOf(c))
		if v.Kind() != reflect.Struct {
			return nil
		}
		if v = v.FieldByName("status"); v.Kind() == reflect.Uint16 {
			open = v.Uint()&inTransaction != 0
		}
		return nil
	})
	return open, err
}

// lockJoined checks whether the snapshot is older than the lock. The host's transaction may be REPEATABLE READ and may
// already have read. The snapshot is new enough if it shows the same row for the key as a current read. n = n waits for
// the lock without writing a new version of the row.
func (e *mysql) lockJoined(ctx context.Context, db querier, key string) error {
	_, err := db.ExecContext(ctx, "INSERT INTO "+e.locks+" (k, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n",
		literal(key))
	if err != nil {
		return err
	}
	read := func(suffix string) (n int64, err error) {
		err = each(ctx, db, "SELECT n FROM "+e.locks+" WHERE k = ?"+suffix, []any{literal(key)}, []any{&n}, func() {})
		return n, err
	}
	current, err := read(" FOR UPDATE")
	if err != nil {
		return err
	}
	snapshot, err := read("")
	if err != nil {
		return err
	}
	if snapshot != current { // 0 means no row, because n is never 0 in a row
		return &failure{kind: storage.ErrAborted, cause: errOldSnapshot}
	}
	_, err = db.ExecContext(ctx, "UPDATE "+e.locks+" SET n = n + 1 WHERE k = ?", literal(key))
	return err
}

// mysqlTime truncates to the microsecond.
func mysqlTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "'2006-01-02 15:04:05.000000'")
}

// indexHint names the index, because the optimizer may choose another one to suit the filter, and then has to sort.
func (e *mysql) indexHint(p page) string {
	name := ""
	one := len(p.Conditions) == 1
	switch first := p.terms[0].Field; {
	case p.IDs != nil:
		return " FORCE INDEX (PRIMARY)" // rows are read, and locked, in the order of their ids
	case p.bySlot():
		name = indexSlot
	case p.EmailKeys != nil:
		name = indexEmail
	case first == storage.FieldCreatedAt && p.OrganizationID != "" && p.Conditions == nil:
		name = indexOrg
	case first == storage.FieldCreatedAt && p.OrganizationID != "":
		name = indexOrgStatus
	case p.limit == 0 || p.OrganizationID != "":
	case first == storage.FieldCreatedAt && one:
		name = indexStatus
	case first == storage.FieldCreatedAt && p.Conditions == nil:
		name = indexCreated
	case first == storage.FieldExpiresAt && one:
		name = indexDue
	}
	if name == "" {
		return ""
	}
	return " FORCE INDEX (" + e.named(name) + ")"
}

// mysqlVerdicts maps the error numbers that matter to their verdicts.
var mysqlVerdicts = map[int]verdict{
	1062: {breach: true},

	1020: {class: aborted}, // MariaDB's innodb_snapshot_isolation
	1205: {class: aborted}, // waited for a lock for too long
	1213: {class: aborted}, // deadlock; also what a cluster could not certify
	1568: {class: aborted}, // at BEGIN: the connection came back to the pool in a transaction
	1206: {class: ended},   // the lock table is full, which rolls the transaction back

	1040: {class: unavailable, remedy: mysqlNoneLeft},
	1203: {class: unavailable, remedy: mysqlNoneLeft},
	1226: {class: unavailable, remedy: mysqlNoneLeft}, // of a user's connections or statements
	1129: {class: unavailable, remedy: "the server blocks this host after too many failed connections: FLUSH HOSTS"},
	1290: {class: unavailable, remedy: mysqlReadOnly}, // --read-only
	1836: {class: unavailable, remedy: mysqlReadOnly}, // likewise
	1792: {class: unavailable, remedy: "the transaction is READ ONLY: begin one that may write"},
	1114: {class: unavailable, remedy: mysqlFull}, // of a table
	1021: {class: unavailable, remedy: mysqlFull},

	// A server that stops, leaves its cluster or was interrupted says nothing about what was committed.
	1047: {class: notReady, uncertain: true,
		remedy: "the node is not part of its cluster now: try another node, or later"},
	1053: {class: lost, uncertain: true}, // shutdown
	1180: {class: lost, uncertain: true}, // a node that has left the cluster in the middle of a COMMIT
	1927: {class: lost, uncertain: true}, // killed
	2006: {class: lost, uncertain: true}, // gone away
	2013: {class: lost, uncertain: true},
	1105: {uncertain: true}, // unknown
	1317: {uncertain: true}, // interrupted
}

// The remedies of several error numbers.
const (
	mysqlNoneLeft = "the server has no connection or statement left: lower MaxOpenConns, or raise its limit"
	mysqlReadOnly = "the server is read-only, as a replica is: connect to the primary"
	mysqlFull     = "the server's disk is full: free space"
)

// judge uses the error number, which is the server's own answer. Numbers from 2000 to 2999 come from clients.
func (e *mysql) judge(err error) verdict {
	n := mysqlNumber(err)
	if v, ok := mysqlVerdicts[n]; ok {
		return v
	}
	switch {
	case n == 1305 && strings.Contains(err.Error(), "SAVEPOINT orginvite_"):
		return verdict{class: aborted, noSavepoint: true} // if our savepoint is gone, the transaction is gone
	case n != 0:
		return verdict{uncertain: n/1000 == 2}
	}
	for e := range chain(err) {
		// ErrInvalidConn of go-sql-driver: the connection ended during a statement, for any reason.
		if e.Error() == "invalid connection" {
			return verdict{class: lost, uncertain: true}
		}
	}
	return verdict{uncertain: true}
}

// mysqlNumber returns the number of the server's error in the chain of err, or 0 if there is none. err is not nil. The
// driver's error type is not imported here, so the number is read from the beginning of its text. mysqlNumber also
// finds an error that is quoted in the text of another one. It takes the first quoted number, because later text may be
// a value.
func mysqlNumber(err error) int {
	for e := range chain(err) {
		if n, ok := leadingNumber(e.Error()); ok {
			return n
		}
	}
	if _, quoted, found := strings.Cut(err.Error(), ": Error "); found {
		n, _ := leadingNumber("Error " + quoted)
		return n
	}
	return 0
}

// leadingNumber reads "Error 1213 (40001): …" and "Error 1213: …".
func leadingNumber(text string) (int, bool) {
	text, ok := strings.CutPrefix(text, "Error ")
	if !ok {
		return 0, false
	}
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	rest := text[digits:]
	if !strings.HasPrefix(rest, ": ") && !strings.HasPrefix(rest, " (") {
		return 0, false
	}
	n, err := strconv.Atoi(text[:digits])
	return n, err == nil
}
