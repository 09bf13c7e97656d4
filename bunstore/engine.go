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

// engine is what a Store knows of its database: facts, the statements that follow from them, and four seams of
// behaviour. Each engine has a file, which says what is special there.
type engine struct {
	facts
	tables
	statements

	catalog      catalog
	transactions transactions
	writes       writes
	errors       errorReader
}

// facts are what differs between databases and can be said without running anything.
type facts struct {
	dialect dialect.Name

	// isolation is what our own transactions begin with.
	isolation sql.IsolationLevel
	// commitsDDL: a CREATE commits the transaction it is in. Each step of a migration can be repeated instead.
	commitsDDL bool
	// abortEndsTx: a transaction that the engine has aborted is over, and statements after it would commit one by one.
	abortEndsTx bool
	// failureMayEndTx: a statement that fails may end the transaction without further notice, so that those of the host
	// in a transaction of ours are watched.
	failureMayEndTx bool
	// cutLosesConn: the driver closes the connection where a context ends while a statement runs. Elsewhere a write that
	// is cut short rolls its transaction back, and is never cut short.
	cutLosesConn bool
	// mixesSnapshots: in one transaction a current read may show a row that other reads do not show yet. Other engines
	// refuse such a read.
	mixesSnapshots bool

	// rowLock ends a SELECT that is a current read and locks its rows. It is empty where one writer excludes all others.
	rowLock string
	// locksAsSorted: rows are locked in the order of the SELECT, not in that of their ids.
	locksAsSorted bool
	// currentRead ends a SELECT that has to see what a unique index has refused, whatever the transaction's snapshot.
	currentRead string

	types        [timeKind + 1]string // of columns; %d is the longest text
	nullType     string               // what the type of a column ends with that may be NULL
	tableOptions string               // what CREATE TABLE ends with
	insertAgain  string               // what ends an INSERT that may be repeated, where CREATE commits
	indexSchema  bool                 // CREATE INDEX has the schema before the index's name, not before the table's

	// time appends a literal, as the columns keep it.
	time func(b []byte, t time.Time) []byte
	// rows writes the rows of an UPDATE of several records.
	rows func(f *facts, records []storage.Record) appender
	// likeIsBinary: LIKE compares byte for byte. An index on trigrams can serve it.
	likeIsBinary bool
	// unindexed comes before a column that no index may be chosen for.
	unindexed string
	// seeksRowValues: an index is searched by (a, b) > (?, ?).
	seeksRowValues bool
	// joinPage joins the ids of a page with their records, from the offset joinFrom on, where that is faster than
	// carrying records along. It is empty where it never is.
	joinPage string
	joinFrom int
	// noLimit is the LIMIT of an OFFSET without one.
	noLimit string
}

// statements are texts that are always the same, for one Config.
type statements struct {
	read, get     string // SELECT the readColumns: of all, of the id that is the argument
	byID          string // the table invitations, where its rows are to be found by id and in that order
	deleteByID    string // DELETE of the ids that are the argument
	insert        string // of rows
	updateOne     string // of assignments, an id and a version
	updateSeveral string // of rows
	holders       string // SELECT id, organization_id, pending_key of those of the slots in the argument that are held
	begin         string // the first statement of a transaction of ours; "" for none
	lockKey       string // locks a key in a transaction of ours; "" where begin has locked everything
}

// catalog reads what exists: tables, indexes, and the settings of a connection. It may query the engine's own tables and
// variables, and create the table of migrations. It touches no invitation.
type catalog interface {
	// startMigrating makes the migrations table and keeps other processes out until the transaction ends.
	startMigrating(ctx context.Context, db querier) error
	// objects are the names of the tables and indexes that exist, of any owner.
	objects(ctx context.Context, db querier) (map[string]bool, error)
	// sound refuses tables that exist but would break a rule.
	sound(ctx context.Context, db querier) error
	// safe refuses connections that would corrupt values. It is asked before a Store's first statement.
	safe(ctx context.Context, db querier) error
	// warning says what about the driver's connection may surprise, "" where nothing does.
	warning(conn any) string
}

// transactions looks after the transaction on a connection. It may run statements there that ask for its state or write
// the row of a lock. It touches no invitation, and ends no transaction but one that it has begun itself, or that failed
// to end.
type transactions interface {
	// lockJoined locks a key in a transaction of the host's, whose snapshot may be older than the lock.
	lockJoined(ctx context.Context, db querier, key string) error
	// trustsHook: what bun's hooks tell of the host's statements is enough to know that the transaction is still open.
	trustsHook() bool
	// open reports whether the transaction on db is still open, after the host has had its handle.
	open(ctx context.Context, db querier) (bool, error)
	// openAtCommit reports the same of a transaction of ours that is about to be committed, or why it cannot be.
	openAtCommit(ctx context.Context, tx bun.Tx, conn bun.Conn) (bool, error)
	// reusable reports whether a connection on which BEGIN, COMMIT or ROLLBACK has failed is without a transaction and
	// may go back to the pool.
	reusable(ctx context.Context, conn bun.Conn) bool
}

// writes are the statements whose form is more than a text. They run on db and nowhere else, and touch no other table
// than invitations.
type writes interface {
	// insert stores records no two of which collide, in one statement. Where a stored one is in the way it writes
	// nothing, leaves the transaction usable and returns false.
	insert(ctx context.Context, db querier, records []storage.Record) (bool, error)
	// update writes records whose version is the stored one, in one statement, and returns how many those were.
	// The caller has released the slots of several records. A breach is an error that leaves the transaction usable.
	update(ctx context.Context, db querier, records []storage.Record) (int64, error)
	// indexHint follows the name of the table, so that a page, or a branch of one, is read from the index that has
	// its order.
	indexHint(p page) string
}

// errorReader gives the verdict on an error of the engine or its drivers, which is not nil. It looks at nothing else.
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

// newStatements has the texts that are the same on every engine.
func newStatements(t tables) statements {
	read := "SELECT " + readColumns + " FROM " + t.invitations
	return statements{
		read:       read,
		get:        read + " WHERE id = ?",
		byID:       t.invitations,
		deleteByID: "DELETE FROM " + t.invitations + " WHERE id IN (?)",
		insert:     "INSERT INTO " + t.invitations + " (" + writtenColumns + ") VALUES ?",
		updateOne:  "UPDATE " + t.invitations + " SET ?, version = version + 1 WHERE id = ? AND version = ?",
	}
}

// setFrom is the SET list that takes every value from v, but version. cast is what makes a time of a literal there.
func setFrom(target, cast string) string {
	var set strings.Builder
	for _, c := range setColumns {
		set.WriteString(target + c.name + " = v." + c.name)
		if c.kind == timeKind {
			set.WriteString(cast)
		}
		set.WriteString(", ")
	}
	return set.String()
}

// defaults is what most engines do. An engine embeds it and replaces what is special there.
type defaults struct{ *engine }

func (d defaults) startMigrating(ctx context.Context, db querier) error {
	_, err := db.ExecContext(ctx, d.createMigrations())
	return err
}

func (d defaults) sound(context.Context, querier) error { return nil }

func (d defaults) safe(context.Context, querier) error { return nil }

func (d defaults) warning(any) string { return "" }

func (d defaults) lockJoined(ctx context.Context, db querier, key string) error {
	if err := d.takeWriteLock(ctx, db); err != nil {
		return err
	}
	return d.lock(ctx, db, key)
}

func (d defaults) trustsHook() bool { return true }

func (d defaults) open(context.Context, querier) (bool, error) { return true, nil }

func (d defaults) openAtCommit(context.Context, bun.Tx, bun.Conn) (bool, error) { return true, nil }

// reusable: no. The server may be in a transaction that only closing the connection ends for certain.
func (d defaults) reusable(context.Context, bun.Conn) bool { return false }

func (d defaults) insert(ctx context.Context, db querier, records []storage.Record) (bool, error) {
	_, err := db.ExecContext(ctx, d.statements.insert, recordRows(&d.facts, records))
	if err != nil && d.errors.judge(err).breach {
		return false, nil // a refused statement undoes itself, no more
	}
	return true, err
}

func (d defaults) update(ctx context.Context, db querier, records []storage.Record) (int64, error) {
	st := statement{}
	if len(records) == 1 {
		r := &records[0]
		st.add(d.updateOne, assignments(&d.facts, r), r.ID, r.Version)
	} else {
		st.add(d.updateSeveral, d.rows(&d.facts, records))
	}
	return st.exec(ctx, db)
}

func (d defaults) indexHint(page) string { return "" }

// txOptions are what a transaction of ours begins with.
func (e *engine) txOptions() *sql.TxOptions {
	if e.isolation == sql.LevelDefault {
		return nil
	}
	return &sql.TxOptions{Isolation: e.isolation}
}

// takeWriteLock runs the first statement of a transaction, where the engine has one.
func (e *engine) takeWriteLock(ctx context.Context, db querier) error {
	if e.begin == "" {
		return nil
	}
	_, err := db.ExecContext(ctx, e.begin)
	return err
}

// lock locks a key in a transaction of ours.
func (e *engine) lock(ctx context.Context, db querier, key string) error {
	if e.lockKey == "" {
		return nil
	}
	_, err := db.ExecContext(ctx, e.lockKey, literal(key))
	return err
}
