package bunstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/storage"
)

// engine describes a database: its facts, the statements that follow from them, and four interfaces for behaviour. Each
// engine has its own file for what is special about it.
type engine struct {
	facts
	tables
	statements

	catalog      catalog
	transactions transactions
	writes       writes
	errors       errorReader
}

// facts are the differences between databases that are known without running a statement.
type facts struct {
	dialect dialect.Name

	// isolation is the isolation level of the Store's own transactions.
	isolation sql.IsolationLevel
	// commitsDDL: a CREATE commits the transaction it is in. Each step of a migration can be repeated instead.
	commitsDDL bool
	// abortEndsTx: a transaction that the engine has aborted is over, and statements after it would commit one by one.
	abortEndsTx bool
	// failureMayEndTx: a failed statement may end the transaction unnoticed. So the Store watches the host's statements
	// in its own transactions.
	failureMayEndTx bool
	// cutLosesConn: the driver closes the connection if a context ends while a statement runs. On other engines a
	// cancelled write rolls its transaction back, so the Store never cancels a write there.
	cutLosesConn bool
	// mixesSnapshots: in one transaction, a current read may show a row that a snapshot read does not show. Other
	// engines refuse such a current read.
	mixesSnapshots bool

	// rewritesIndexes: an UPDATE rewrites the indexes of all columns it names, even if their values stay.
	rewritesIndexes bool

	// rowLock is the end of a SELECT that is a current read and locks its rows. It is empty if the engine has one
	// writer at a time.
	rowLock string
	// locksAsSorted: rows are locked in the order of the SELECT, not in that of their ids.
	locksAsSorted bool
	// currentRead is the end of a SELECT that ignores the snapshot, to see the row for which a unique index refused a
	// write.
	currentRead string

	types        [timeKind + 1]string // of columns; %d is the longest text
	nullType     string               // the end of the type of a nullable column
	tableOptions string               // the end of CREATE TABLE
	insertAgain  string               // the end of an INSERT that may be repeated; for commitsDDL
	indexSchema  bool                 // CREATE INDEX takes the schema with the index's name, not with the table's

	// time appends a time as a literal for a column.
	time func(b []byte, t time.Time) []byte
	// castTime is written behind a column of a list of rows, to make times of its literals.
	castTime string
	// rows writes the rows of an UPDATE of several records.
	rows func(f *facts, records []storage.Record) appender
	// sharesValues: an INSERT of several records is faster if it has only once what is the same in all of them.
	sharesValues bool
	// row is written before each row of that INSERT.
	row string
	// likeIsBinary: LIKE compares byte for byte. An index on trigrams can serve it.
	likeIsBinary bool
	// wideOnly is a condition that every record meets. The indexes for all organizations are partial with it, and only
	// queries of all organizations state it. So the planner cannot read the newest records of all organizations to find
	// those of one, which it would do if that one has most of the records. It is empty if the Store names the index.
	wideOnly string
	// unindexed is written before a column to keep the planner from using an index on it.
	unindexed string
	// seeksRowValues: the engine searches an index for (a, b) > (?, ?).
	seeksRowValues bool
	// joinPage is the join between the ids of a page and their records. It is used from the offset joinFrom on, where
	// it is faster than reading whole records from the start. It is empty if it is never faster.
	joinPage string
	joinFrom int
	// prepares: Config.BindArguments has an effect. On the other engines the statements would gain little, and could reach
	// another database after a USE.
	prepares bool
	// identity is a statement that reads no table and that no other engine understands. It is empty if the catalog's safe
	// runs such statements anyway.
	identity string
	// noLimit is the LIMIT clause for an OFFSET without a limit.
	noLimit string
}

// statements are the SQL texts that depend only on Config.
type statements struct {
	read, get     string // SELECT the readColumns: of all, of the id that is the argument
	byID          string // the invitations table in a FROM that finds rows by id, in id order
	deleteByID    string // DELETE of the ids that are the argument
	insert        string // of an insertSource
	updateOne     string // of assignments, an id and a version
	updateSeveral string // of rows
	holders       string // SELECT id, organization_id, pending_key of the records that hold the given slots
	begin         string // the first statement of the Store's own transaction; "" for none
	lockKey       string // locks a key in the Store's own transaction; "" if begin has locked everything
}

// catalog reads which tables and indexes exist, and the settings of a connection. It may query the engine's system
// tables and variables, and create the migrations table. It does not touch invitations.
type catalog interface {
	// startMigrating creates the migrations table, and blocks other processes that migrate until the transaction ends.
	startMigrating(ctx context.Context, db querier) error
	// objects returns the names of all existing tables and indexes, whoever owns them.
	objects(ctx context.Context, db querier) (map[string]bool, error)
	// sound returns an error if an existing table would break a rule of storage.
	sound(ctx context.Context, db querier) error
	// safe returns an error if the connection would corrupt values. It is called before the Store's first statement.
	safe(ctx context.Context, db querier) error
	// warning returns a warning about the driver's connection, or "" for none.
	warning(conn any) string
}

// transactions checks the transaction on a connection. It may run statements there that read its state or write a row
// of the locks table. It does not touch invitations. It ends a transaction only if it began that transaction itself, or
// if ending it has failed before.
type transactions interface {
	// ready reports whether a plain BEGIN on conn, a connection of the driver, does all that the Store needs: it gives the
	// isolation level of the Store's own transactions, and does what their first statement would do.
	ready(conn any) bool
	// lockJoined locks a key in the host's transaction, whose snapshot may be older than the lock.
	lockJoined(ctx context.Context, db querier, key string) error
	// beforeSavepoints is called before the first savepoint of a transaction.
	beforeSavepoints(ctx context.Context, db querier) error
	// trustsHook reports whether bun's query hooks show reliably that the transaction is still open.
	trustsHook() bool
	// open reports whether the transaction on db is still open, after the host has had its handle.
	open(ctx context.Context, db querier) (bool, error)
	// openAtCommit reports whether the Store's own transaction is still open just before its COMMIT. An error says why
	// it cannot be committed.
	openAtCommit(ctx context.Context, tx bun.Tx, conn bun.Conn) (bool, error)
	// reusable is called after BEGIN, COMMIT or ROLLBACK has failed on conn. It reports whether conn has no open
	// transaction and may go back to the pool.
	reusable(ctx context.Context, conn bun.Conn) bool
}

// writes are the statements that need code and not only a text. They run only on db, and touch only the invitations
// table.
type writes interface {
	// insert stores records in one statement. No two of them collide. If a stored record collides with one of them,
	// insert writes nothing, leaves the transaction usable and returns false.
	insert(ctx context.Context, db querier, records []storage.Record) (bool, error)
	// update writes, in one statement, the records whose version is the stored one. It returns their number. For
	// several records, the caller has released the slots. A breach is an error that leaves the transaction usable. old is
	// the stored record of a single one, or nil if it is not known.
	update(ctx context.Context, db querier, records []storage.Record, old *storage.Record) (int64, error)
	// indexHint returns what is written after the name of the table to make the engine read a page, or a branch, from
	// the index that has its order. A count has the order created_at and no limit.
	indexHint(p page) string
}

// errorReader returns the verdict on an error of the engine or its drivers. The error is not nil.
type errorReader interface {
	judge(err error) verdict
}

// newEngine picks the engine for a dialect and checks cfg.
func newEngine(name dialect.Name, cfg *Config) (*engine, error) {
	t, err := newTables(cfg)
	if err != nil {
		return nil, err
	}
	switch name {
	case dialect.SQLite:
		return newSQLite(t), nil
	case dialect.PG:
		return newPostgres(t), nil
	case dialect.MySQL:
		return newMySQL(t), nil
	default:
		return nil, fmt.Errorf("bunstore: no support for the dialect %v; there is for %v, %v and %v", name,
			dialect.SQLite, dialect.PG, dialect.MySQL)
	}
}

// newStatements returns the statements that are the same on every engine.
func newStatements(t tables) statements {
	read := "SELECT " + readColumns + " FROM " + t.invitations
	return statements{
		read:       read,
		get:        read + " WHERE id = ?",
		byID:       t.invitations,
		deleteByID: "DELETE FROM " + t.invitations + " WHERE id IN (?)",
		insert:     "INSERT INTO " + t.invitations + " (" + writtenColumns + ") ?",
		updateOne:  "UPDATE " + t.invitations + " SET version = version + 1? WHERE id = ? AND version = ?",
	}
}

// setFrom returns a SET list that takes every value except the version from v.
func (f *facts) setFrom(target string) string {
	var set strings.Builder
	for _, c := range setColumns {
		set.WriteString(target + c.name + " = " + f.of("v", c) + ", ")
	}
	return set.String()
}

// of returns the value of a column of a list of rows.
func (f *facts) of(list string, c column) string {
	if c.kind == timeKind {
		return list + "." + c.name + f.castTime
	}
	return list + "." + c.name
}

// defaults implements what most engines have in common. An engine embeds it and overrides what is special.
type defaults struct{ *engine }

func (d defaults) startMigrating(ctx context.Context, db querier) error {
	_, err := db.ExecContext(ctx, d.createMigrations())
	return err
}

func (d defaults) sound(context.Context, querier) error { return nil }

func (d defaults) safe(context.Context, querier) error { return nil }

func (d defaults) warning(any) string { return "" }

func (d defaults) ready(any) bool { return false }

func (d defaults) lockJoined(ctx context.Context, db querier, key string) error {
	if err := d.takeWriteLock(ctx, db); err != nil {
		return err
	}
	return d.lock(ctx, db, key)
}

func (d defaults) beforeSavepoints(context.Context, querier) error { return nil }

func (d defaults) trustsHook() bool { return true }

func (d defaults) open(context.Context, querier) (bool, error) { return true, nil }

func (d defaults) openAtCommit(context.Context, bun.Tx, bun.Conn) (bool, error) { return true, nil }

// reusable returns false. The server may still have a transaction open, and only closing the connection ends it for
// certain.
func (d defaults) reusable(context.Context, bun.Conn) bool { return false }

func (d defaults) insert(ctx context.Context, db querier, records []storage.Record) (bool, error) {
	_, err := db.ExecContext(ctx, d.statements.insert, insertSource(&d.facts, records))
	if err != nil && d.errors.judge(err).breach {
		return false, nil // only the statement itself was undone
	}
	return true, err
}

func (d defaults) update(ctx context.Context, db querier, records []storage.Record, old *storage.Record) (
	int64, error) {
	st := statement{}
	if len(records) == 1 {
		r := &records[0]
		if !d.rewritesIndexes {
			old = nil
		}
		st.add(d.updateOne, assignments(&d.facts, r, old), r.ID, r.Version)
	} else {
		st.add(d.updateSeveral, d.rows(&d.facts, records))
	}
	return st.exec(ctx, db)
}

func (d defaults) indexHint(page) string { return "" }

// txOptions returns the options of the Store's own transactions.
func (e *engine) txOptions() *sql.TxOptions {
	if e.isolation == sql.LevelDefault {
		return nil
	}
	return &sql.TxOptions{Isolation: e.isolation}
}

// takeWriteLock runs the first statement of a transaction, if the engine has one.
func (e *engine) takeWriteLock(ctx context.Context, db querier) error {
	if e.begin == "" {
		return nil
	}
	_, err := db.ExecContext(ctx, e.begin)
	return err
}

// lock locks a key in the Store's own transaction.
func (e *engine) lock(ctx context.Context, db querier, key string) error {
	if e.lockKey == "" {
		return nil
	}
	_, err := db.ExecContext(ctx, e.lockKey, literal(key))
	return err
}
