// Package bunstore stores invitations in SQL, through [github.com/uptrace/bun]. It works on your own bun.DB, and inside
// your own transactions:
//
//	db := bun.NewDB(sqldb, sqlitedialect.New())
//	store, err := bunstore.New(db, nil)
//	…
//	err = store.Migrate(ctx)
//	…
//	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
//		_, err := service.WithStorage(store.WithTx(tx)).Create(ctx, organizationID, params)
//		return err
//	})
//
// Your transactions may also be those of database/sql, of a library on it, or of pgx: see "Your own transactions".
//
// The package imports no dialect and no driver; your bun.DB brings both. The database enforces every rule, however many
// processes write. In this documentation the host is your application.
//
// # SQLite
//
// SQLite is supported from 3.37 on. It serves one machine, with one writer at a time and readers beside it. Open a file
// with modernc.org/sqlite like this:
//
//	file:app.db?_pragma=journal_mode(WAL)&_pragma=busy_timeout(500)&_txlock=immediate
//
// WAL lets readers work beside the writer. busy_timeout lets writers wait for each other. SQLite ignores a context
// while it waits in busy_timeout, so a long timeout delays cancellation. _txlock=immediate is for your own
// transactions: a transaction that reads first and writes later may otherwise end with [storage.ErrAborted]. A Store
// needs none of these settings. Its own transactions take the write lock with their first statement, and the Store
// retries them while somebody else holds the lock.
//
// # PostgreSQL
//
// PostgreSQL 15 is tested, through pgx and through lib/pq. Open it with pgx's stdlib and bun's pgdialect like this:
//
//	postgres://app@db:5432/app?default_query_exec_mode=simple_protocol
//
// bun writes arguments into the text of a statement. pgx's default mode prepares each distinct text, which is slower
// and takes memory on the server. That mode works and is tested too.
//
// A Store refuses a connection with standard_conforming_strings off, or with a client_encoding other than UTF8. It
// checks this before its first statement.
//
// The Store's own transactions are READ COMMITTED. A host's transaction may be REPEATABLE READ or SERIALIZABLE. There
// Lock, ForUpdate and writes return [storage.ErrAborted] if they meet a change that the snapshot does not show. If a
// statement fails in a nested transaction, every further call in it returns an error until it is rolled back.
//
// If a context ends, a statement in a transaction may run for another quarter of a second. If the statement is then
// still waiting for a lock, pgx closes the connection. The whole transaction is lost with [storage.ErrAborted]. With
// pgx's CancelRequestContextWatcherHandler, only the nested transaction in which the context ended is lost.
//
// lib/pq closes the connection too. It waits for an answer without a limit, so on a network that loses packets a call
// may hang. If a context ends a statement of yours, errors.Is does not find the context's error in its error. It
// begins transactions READ WRITE, whatever default_transaction_read_only is. bun's pgdriver should work, but
// it is not tested. PostgreSQL keeps waiting for a lock after its client has gone, unless
// client_connection_check_interval is set.
//
// A list that filters by role, inviter, expiry or a part of the address may read all invitations of the organization.
// In large organizations, an index of your own makes the search for a part of the address fast. It needs the extensions
// pg_trgm and btree_gin:
//
//	CREATE INDEX ON organization_invitations USING gin (organization_id, email_key gin_trgm_ops)
//
// # MariaDB
//
// MariaDB 10.11 is tested, at REPEATABLE READ and READ COMMITTED. The Store's own transactions are READ COMMITTED. The
// SQL should work on MySQL 8, which is not tested. Open MariaDB with go-sql-driver/mysql and bun's mysqldialect like
// this:
//
//	app@tcp(db:3306)/app?parseTime=true&readTimeout=30s
//
// Add &tx_isolation=%27READ-COMMITTED%27 to save one round trip in each transaction of the Store, because the driver
// then does not have to set the level each time. On MySQL 8 the name is transaction_isolation. Never change the level
// of such a connection yourself.
//
// This driver runs COMMIT and ROLLBACK without a context. Without readTimeout they hang on a network that loses
// packets. Set readTimeout longer than your slowest statement. [Store.Check] logs a warning if it is missing; Migrate
// does not.
//
// parseTime, clientFoundRows and interpolateParams may have any value. Before its first statement, a Store refuses
// connection settings that would corrupt values, and says what to change:
//
//   - a sql_mode that is not strict, or that has NO_BACKSLASH_ESCAPES
//   - a character set other than utf8mb4
//   - a loc other than UTC
//   - autocommit=0
//
// If a context ends while a statement waits for a lock, the driver closes the connection. The whole transaction is
// lost. Every further call on the transaction returns [storage.ErrAborted] along with the context's error, and so does
// its RunInTx. The server notices the lost connection only when the wait ends, so keep innodb_lock_wait_timeout short.
//
// The Store rolls back an aborted transaction at once, even if the host began it. Otherwise the server would commit
// each further statement separately. In a host's REPEATABLE READ transaction, a locking read returns
// [storage.ErrAborted] if the row is newer than the snapshot, as on PostgreSQL.
//
// On MariaDB, creating a table commits the open transaction. So call [Store.Migrate] outside a transaction.
//
// # Galera
//
// Galera 26.4 is tested with three nodes and writers on all of them. The tests also kill a node in the middle of a
// bulk. You may write on any node. Nodes do not wait for each other's locks: of two conflicting transactions, the one
// that commits last is aborted. The Store retries its own transactions. A transaction of yours may fail at COMMIT with
// error 1213. Retry it.
//
//   - A refusal may rest on data of two different moments. Galera checks for conflicts only at COMMIT, and a refused
//     operation is rolled back.
//   - A read that must see what another node has just committed needs wsrep_sync_wait=1 in the DSN.
//   - If a node is lost during COMMIT, the result is [storage.ErrOutcomeUnknown].
//   - MariaDB has a bug (MDEV-22021): COMMIT may send rows to the other nodes that ROLLBACK TO SAVEPOINT has undone.
//     The nodes then differ, and may leave the cluster. It happens on a server without log_bin, if nothing has been
//     written on the connection yet and the transaction has read before the savepoint. The Store is safe: before its
//     first savepoint in a transaction it writes a row and deletes it. Do so too, in a table of yours, before
//     savepoints of your own, such as bun's nested RunInTx.
//   - In the tests, a transaction once waited until innodb_lock_wait_timeout for a lock that nobody held. Keep that
//     timeout at a few seconds. The Store then retries its own transaction, which it does for up to 10 seconds.
//   - An ALTER ends the open transactions of other nodes. Apply new migrations in a quiet hour.
//   - Check rows.Err in your callbacks, because bun's Scan into plain variables does not check it.
//
// # Read replicas
//
// Create a second store on the replica's bun.DB, without Migrate. Use it for reads that may be slightly old:
//
//	page, err := svc.WithStorage(replica).List(ctx, organizationID, invitation.ListParams{})
//
// On a replica, Preview may call a fresh link invalid. Link and Get may miss a new invitation. A list may be old. Keep
// on the primary: every write, Preview for the page behind the link, Link for the mail worker, and what users see right
// after their own change. A write on a replica returns [storage.ErrUnavailable]. The Store retries a read that the
// replica cancels because of a recovery conflict.
//
// Streaming replicas of PostgreSQL are tested. Replicas of MariaDB are not tested. TiDB, CockroachDB and YugabyteDB are
// not tested either.
//
// # Speed
//
// bun writes the arguments of a statement into its text, and so the engine parses and plans each text anew. On
// PostgreSQL and SQLite, with [Config].BindArguments, the Store prepares statements on the pool, and the driver binds
// the arguments. That works with every driver and DSN above. The README has figures. On MariaDB the gain was small, and
// a prepared statement would write to the wrong database after a USE. So BindArguments has no effect there.
//
// A statement runs as text first. The Store prepares it after that call, and database/sql prepares it once on each
// other connection that runs it. These statements stay text:
//
//   - those without arguments, and those with a list of several values, such as the INSERT of CreateBulk
//   - lists and counts, except of given ids or pending slots. PostgreSQL may plan a prepared statement for an average
//     organization, and that plan is slow for a large one
//   - those of a Store on a bun.Conn or bun.Tx, and of a transaction from another pool
//   - new ones in a transaction of yours, as long as the pool has no idle connection to prepare them on
//   - any further ones, once 250 have been prepared, which a Store does not need in practice
//
// Do not set BindArguments in these cases:
//
//   - Query hooks of bun must see every statement. They do not see prepared ones; the driver's tracing does.
//   - A pooler gives each transaction another connection to the server, and does not keep track of prepared statements.
//     An example is PgBouncer before 1.21 with pool_mode=transaction.
//   - The program calls New again and again, for example for each request. Each Store prepares for itself.
//
// If a prepared statement no longer exists, or no longer fits a changed table, it runs as text again. In a transaction
// the result is then [storage.ErrAborted], and the Store retries its own.
//
// In a transaction of package pgxtx the Store gives the arguments to pgx, whether BindArguments is set or not. The
// first two kinds above stay text there too. pgx prepares the statements or not, as its mode says. There bun's hooks
// see them, with placeholders.
//
// # Your own tables
//
// Columns of ids must compare byte for byte. On MariaDB they need the collation utf8mb4_nopad_bin, on MySQL 8
// utf8mb4_0900_bin. MariaDB's default collation treats "acme", "ACME" and "acme " as one organization, and utf8mb4_bin
// treats the first and the last as one. To the library they are three, so limits could be exceeded and invitations
// hidden.
//
// The table of memberships needs a unique key on organization and user.
//
// # Your own transactions
//
// [Store.WithTx] returns the Store inside a bun.Tx of yours, and [Store.WithSQLTx] inside a *sql.Tx. Package
// [github.com/orginvite/orginvite/bunstore/pgxtx] does so for a pgx.Tx. The Store then uses no other connection. Your
// Directory gets the handle of your library from [DB], [SQL] or pgxtx.Tx. The directory bunstore/hostexamples has whole
// applications on GORM, sqlx, sqlc, ent and bun.
//
// On PostgreSQL and MariaDB, begin your transaction READ COMMITTED, or call the library before your first read.
// Otherwise the call may need a row that others have changed since your snapshot, or a lock that others have held since
// then. It then returns [storage.ErrAborted]. The library cannot detect such changes in your own tables. A Directory
// reads your tables in the same snapshot, so Create does not see a user who has joined since.
//
// Code that uses the handle from [DB] or [SQL] must return the errors of its statements, and leave COMMIT and ROLLBACK
// to whoever began the transaction. An engine may abort a transaction and then commit each further statement
// separately. So once the host has called DB or SQL, the Store checks that the transaction is still open, before it
// writes and before COMMIT. If the transaction has ended, the Store returns an error. If the Store knows that the host
// has only read since the previous check, the error is ErrAborted. Otherwise it is ErrOutcomeUnknown.
//
// The check runs one statement in these cases, and otherwise none:
//
//   - in a Galera cluster
//   - on MariaDB and SQLite, in a transaction that the host has begun
//   - on MariaDB and SQLite, after the host has called SQL
//   - on MariaDB and SQLite, after a statement of the host has failed
//   - with lib/pq, before COMMIT
//
// The Store does not see these statements of yours: those that you run without calling DB or SQL, prepared ones, and
// those on the sql.Tx inside a bun.Tx. On MariaDB, return the errors of such statements and roll
// back. After a deadlock, the server commits each further statement separately.
//
// # Migrations
//
// [Store.Migrate] creates the tables. Call it at every start, from any number of processes. With a migration tool of
// your own, take the statements from [Migrations], and call [Store.Check] at the start. [Config] sets the schema of the
// tables and a prefix for their names.
//
// # Outcomes
//
// An outermost RunInTx, and a write outside a transaction, return nil only if the database has confirmed COMMIT. They
// return [storage.ErrOutcomeUnknown] if COMMIT failed without a refusal by the database: the answer was lost, or came
// from a proxy or from a server that was shutting down. Any other error means that nothing was written.
//
// [storage.ErrUnavailable] means that the database cannot do the operation now. [storage.ErrAborted] means that the
// same transaction may succeed when it is retried. The Store retries its own transactions, after deadlocks and the
// like, for up to about 10 seconds. If the connection is lost at BEGIN, the Store retries on another one for up to
// about 10 seconds and then returns ErrUnavailable. If it is lost later, but before COMMIT, the error is ErrAborted and
// the Store does not retry.
//
// BEGIN, SAVEPOINT, RELEASE, COMMIT and ROLLBACK may run for up to 2 seconds after the caller's context has ended,
// because a COMMIT that is cut short has an unknown outcome. go-sql-driver and lib/pq run COMMIT and ROLLBACK without
// a context: there the driver's read timeout is the limit. On PostgreSQL and MariaDB, any other statement in a
// transaction may run for up to 250 milliseconds after the context has ended. SQLite never interrupts a write.
//
// The Store closes a connection whose COMMIT or ROLLBACK failed, because its transaction may still be open. This
// includes the host's own connection if the Store was created from a bun.Conn.
//
// A proxy or a cluster may recover later than the database behind it. After a failed login PgBouncer waits 15 seconds
// before it tries again, unless server_login_retry is shorter.
//
// # Running the tests
//
// In a checkout, go test ./... runs a short version of the reliability tests, without kills and without the soak. These
// commands run more:
//
//	go test ./bunstore -size=middle -timeout=30m -parallel=4    # as CI does
//	go test ./bunstore -size=full -timeout=0                    # with kills; the README has the figures
//	go test ./bunstore -run TestSoak -soak=10m -timeout=0       # 10 minutes on each engine
//
// Tests skip servers that are not installed or configured. ORGINVITE_POSTGRES is the URL of a server of yours.
// ORGINVITE_MARIADB and ORGINVITE_GALERA are DSNs, with commas between the nodes of a cluster.
// bunstore/internal/engines/galera.sh up DIR starts a cluster. Tests kill servers that they started themselves in
// temporary directories. If you set ORGINVITE_GALERA_DIR to DIR, they also kill a node of that cluster. They kill no
// other server.
//
// The tests use PostgreSQL with three driver settings. They also run in host transactions at READ COMMITTED, REPEATABLE
// READ and SERIALIZABLE.
package bunstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// Config sets the names of the tables, and how arguments are sent. With the zero value the tables are
// organization_invitations, organization_invitation_locks and organization_invitation_migrations, in the default
// schema.
type Config struct {
	// TablePrefix comes before the name of every table and index. It consists of lower case letters, digits and
	// underscores. It has at most 29 bytes, so that every name stays within 63 bytes. Defaults to no prefix.
	TablePrefix string

	// Schema is the schema of the tables. It consists of lower case letters, digits and underscores, and has at most 63
	// bytes. Migrate does not create it. On MariaDB it names a database. On SQLite it names an attached database, which
	// every connection of the pool has to attach. Defaults to the schema of the connection.
	Schema string

	// BindArguments makes a Store on a *bun.DB prepare its statements, once on each connection, and give their arguments
	// to the driver. Without it, the Store writes the arguments into the text of each statement, as bun does. Query hooks
	// of bun do not see the prepared statements. Lists are not prepared. On MariaDB it has no effect. The section "Speed"
	// of the package comment says more. Defaults to false.
	BindArguments bool
}

// Store is a [storage.Storage] in SQL. It is safe for concurrent use. A Store on one connection (bun.Conn) or in one
// transaction (bun.Tx) runs its calls one at a time, because a connection can run only one statement at a time.
type Store struct {
	db    bun.IDB // *bun.DB, bun.Conn or bun.Tx
	e     *engine
	safe  *atomic.Bool      // the engine has found the connections safe
	turns *storagekit.Turns // nil on a *bun.DB
	tx    *txState          // nil outside a transaction
	err   error             // every call returns it; set if WithTx was given an unusable transaction

	prepared *prepared // nil without BindArguments
}

var _ storage.Storage = (*Store)(nil)

// New returns a Store that works on db: a *bun.DB, a bun.Conn or a bun.Tx. cfg may be nil. New runs no statement; see
// [Store.Migrate] and [Store.Check].
//
// New refuses a nil db, a dialect that it does not support, and an invalid Config.
func New(db bun.IDB, cfg *Config) (*Store, error) {
	name, ok := dialectOf(db)
	if !ok {
		return nil, errors.New("bunstore: db is nil")
	}
	e, err := newEngine(name, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{e: e, safe: new(atomic.Bool)}
	switch db := db.(type) {
	case *bun.DB:
		s.db = db
		if cfg != nil && cfg.BindArguments && e.prepares {
			s.prepared = newPrepared(db.DB)
		}
	case bun.Conn:
		s.db, s.turns = db, storagekit.NewTurns(nil)
	case *bun.Conn:
		s.db, s.turns = *db, storagekit.NewTurns(nil)
	case bun.Tx:
		return s.within(db, newTxState(e, db)), nil
	case *bun.Tx:
		return s.within(*db, newTxState(e, *db)), nil
	default:
		return nil, fmt.Errorf("bunstore: db is a %T, not a *bun.DB, bun.Conn or bun.Tx", db)
	}
	return s, nil
}

// WithTx returns the same store inside tx, a transaction of the host's. The returned Store's writes are committed or
// rolled back with tx. Its RunInTx begins a nested transaction (a savepoint) of tx and never retries fn. Once a call
// has returned [storage.ErrAborted], the returned Store refuses all further calls: roll tx back. Only this Store
// remembers the error, so use one Store per transaction.
//
// If tx is not a transaction, or is one of another dialect, every call on the returned Store returns an error that says
// so.
func (s *Store) WithTx(tx bun.Tx) *Store {
	c := s.within(tx, newTxState(s.e, tx))
	switch name, ok := dialectOf(tx); {
	case !ok:
		c.db, c.err = nil, errors.New("WithTx was given no transaction")
	case name != s.e.dialect:
		c.db, c.err = nil, fmt.Errorf("WithTx was given a transaction on %v, the store is for %v",
			name, s.e.dialect)
	}
	return c
}

// DB returns the bun handle that tx works on. It is a bun.Tx inside a transaction, otherwise a *bun.DB or a bun.Conn.
// Inside a transaction of package pgxtx it is a bun.Conn. Statements that the host runs on the handle belong to the
// transaction of tx. DB finds the Store as [storage.As] does. It returns nil for a Storage of another package.
func DB(tx storage.Storage) bun.IDB {
	s := storeOf(tx)
	if s == nil {
		return nil
	}
	if s.inTx() {
		s.tx.host.lend()
	}
	return s.db
}

// storeOf returns the Store that tx is or wraps, or nil if there is none.
func storeOf(tx storage.Storage) *Store {
	s, _ := storage.As[*Store](tx)
	return s
}

// dialectOf is the name of db's dialect; ok is false for every form of nil handle.
func dialectOf(db bun.IDB) (name dialect.Name, ok bool) {
	// bun's handles are structs around pointers that are not exported: a zero one shows only by its panic.
	defer func() {
		if recover() != nil {
			name, ok = dialect.Invalid, false
		}
	}()
	switch tx := db.(type) {
	case bun.Tx:
		ok = tx.Tx != nil
	case bun.Conn:
		ok = tx.Conn != nil
	default:
		ok = db != nil
	}
	return db.Dialect().Name(), ok
}

// inTx reports whether s works in a transaction, its own or the host's.
func (s *Store) inTx() bool { return s.tx != nil }

// Get implements [storage.Storage].
func (s *Store) Get(ctx context.Context, id string) (storage.Record, error) {
	var r storage.Record
	err := s.read(ctx, "get", func(ctx context.Context, db querier) error {
		if !storage.ValidText(id) {
			return storage.ErrNotFound
		}
		row, found := newScanned(), false
		err := each(ctx, db, s.e.get, []any{literal(id)}, row.dest, func() { r, found = row.record, true })
		if err == nil && !found {
			return storage.ErrNotFound
		}
		return err
	})
	return r, err
}
