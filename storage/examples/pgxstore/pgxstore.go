// Package pgxstore is an example of a storage.Storage: a whole store on PostgreSQL with native pgx, without
// database/sql. It shows which rules a database keeps by itself (a partial unique index for the pending slot, row locks
// for versions, a row for each lock key), what package storagekit adds, and how a store joins a pgx.Tx of the
// application and lends its own.
package pgxstore

import (
	"cmp"
	"context"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// Schema creates the tables and indexes that are missing, in one Exec. Several processes may do so at once.
//
//go:embed schema.sql
var Schema string

const (
	columns = `id, organization_id, organization_domain_id, email_address, email_key, role, status, public_metadata,
		private_metadata, inviter_user_id, redirect_url, generation, created_at, updated_at, expires_at, sent_at,
		resolved_at, resolved_by, version`
	values    = "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18"
	insertSQL = "INSERT INTO invitation_records (" + columns + ") VALUES (" + values + ", 1)"
	updateSQL = "UPDATE invitation_records SET (" + columns + ") = (" + values + ", version + 1) WHERE id = $1"
	selectSQL = "SELECT " + columns + " FROM invitation_records WHERE "

	// Calls that lock several rows do so in the order of the ids, so that they do not deadlock.
	lockedIDs = "SELECT id FROM invitation_records WHERE id = ANY($1) ORDER BY id FOR UPDATE"
	lockedSQL = selectSQL + "id = ANY($1) ORDER BY id FOR UPDATE"
	deleteSQL = "DELETE FROM invitation_records WHERE id IN (" + lockedIDs + ")"

	// storedSQL looks up each slot by itself: a join may keep a plan that was made for an empty table.
	storedSQL = selectSQL + `id = ANY($1)
		UNION ALL SELECT holder.* FROM unnest($2::text[], $3::text[]) AS slot (organization, key), LATERAL (` +
		selectSQL + "organization_id = organization AND email_key = key AND status = 'pending' LIMIT 1) AS holder"

	// lockSQL changes the row. So PostgreSQL refuses a later holder with an older snapshot, unlike with an advisory lock.
	lockSQL = `INSERT INTO invitation_locks AS l (key, turn) VALUES ($1, 1)
		ON CONFLICT (key) DO UPDATE SET turn = l.turn + 1`
)

var (
	errEnded = fmt.Errorf("pgxstore: a statement has ended the transaction: %w", storage.ErrOutcomeUnknown)
	errNoTx  = errors.New("pgxstore: a lock outside a transaction")
)

// Store is a storage.Storage on PostgreSQL. It also implements storage.Classifier.
type Store struct {
	pool  *pgxpool.Pool     // nil inside a transaction
	tx    pgx.Tx            // nil outside
	turns *storagekit.Turns // nil outside
}

// New returns a store on the tables that the connections of pool find by their search_path. By default, pgx closes the
// connection of a cancelled call, which ends the whole transaction. With pgconn.CancelRequestContextWatcherHandler in
// the configuration of pool, it ends only a nested one.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// WithTx returns the store inside tx, which the application has begun and ends. If tx is REPEATABLE READ or
// SERIALIZABLE, a conflict with a newer commit is ErrAborted, and ForUpdate sees no records that are newer than tx.
func (s *Store) WithTx(tx pgx.Tx) *Store { return &Store{tx: tx, turns: storagekit.NewTurns(nil)} }

// Tx returns the transaction that s works in, or nil outside a transaction. It looks through wrappers. Do not
// commit the result or roll it back: whoever began it does so.
func Tx(s storage.Storage) pgx.Tx {
	if s, ok := storage.As[*Store](s); ok && s.tx != nil {
		return s.tx
	}
	return nil
}

// Get implements storage.Storage.
func (s *Store) Get(ctx context.Context, id string) (storage.Record, error) {
	records, err := s.List(ctx, storage.Query{Filter: storage.Filter{IDs: []string{id}}})
	if err != nil || len(records) == 0 {
		return storage.Record{}, cmp.Or(err, storage.ErrNotFound)
	}
	return records[0], nil
}

// List implements storage.Storage.
func (s *Store) List(ctx context.Context, query storage.Query) ([]storage.Record, error) {
	if err := query.Validate(); err != nil {
		return nil, err
	}
	q := statement{sql: selectSQL + "true"}
	if query.ForUpdate {
		if s.tx == nil {
			return nil, errNoTx
		}
		// The conditions are about the rows as they are when they are locked.
		q = statement{"WITH invitation_records AS (" + lockedSQL + ") " + q.sql, []any{storagekit.Texts(query.IDs)}}
	}
	q.where(query.Filter)
	q.page(query)
	return collect(ctx, s, q, toRecord)
}

// Count implements storage.Storage.
func (s *Store) Count(ctx context.Context, filter storage.Filter) (int, error) {
	q := statement{sql: "SELECT count(*) FROM invitation_records WHERE true"}
	q.where(filter)
	n, err := collect(ctx, s, q, pgx.RowTo[int])
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// collect returns the rows of q. Outside a transaction it asks again if a connection of the pool was lost.
func collect[T any](ctx context.Context, s *Store, q statement, scan pgx.RowToFunc[T]) (list []T, err error) {
	read := func(rows pgx.Rows, _ error) error { // CollectRows returns the error of Query too
		list, err = pgx.CollectRows(rows, scan)
		return classify(ctx, err)
	}
	if s.turns != nil {
		err = s.write(ctx, func(tx pgx.Tx) error { return read(tx.Query(ctx, q.sql, q.args...)) })
	} else {
		err = storagekit.Retry(ctx, aborted, func() error { return read(s.pool.Query(ctx, q.sql, q.args...)) })
	}
	return list, err
}

// Insert implements storage.Storage.
func (s *Store) Insert(ctx context.Context, records ...storage.Record) error {
	return s.store(ctx, insertSQL, records, storagekit.InsertRefusal)
}

// Update implements storage.Storage.
func (s *Store) Update(ctx context.Context, records ...storage.Record) error {
	return s.store(ctx, updateSQL, records, storagekit.UpdateRefusal)
}

// store writes records with a statement for each, all or none. It looks for a reason to refuse them while it has locked
// those that are stored. A slot may be taken after that. Then the next attempt of the transaction finds the reason.
func (s *Store) store(ctx context.Context, sql string, records []storage.Record,
	refusal func([]storage.Record, storagekit.Stored) error) error {
	if err := storagekit.Validate(records); err != nil || len(records) == 0 {
		return err
	}
	return s.write(ctx, func(tx pgx.Tx) error {
		var ids, organizations, keys []string
		batch := new(pgx.Batch)
		for _, r := range slices.SortedFunc(slices.Values(records), storagekit.CompareSlots) {
			ids, organizations, keys = append(ids, r.ID), append(organizations, r.OrganizationID), append(keys, r.EmailKey)
			r = r.Stored()
			batch.Queue(sql, fields(&r)[:18]...) // without the version
		}
		if _, err := tx.Exec(ctx, lockedIDs, ids); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, storedSQL, ids, organizations, keys)
		stored, err := pgx.CollectRows(rows, toRecord)
		if err := cmp.Or(err, refusal(records, storagekit.StoredIn(stored))); err != nil {
			return err
		}
		err = tx.SendBatch(ctx, batch).Close()
		if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Code == "23505" { // unique_violation
			err = fmt.Errorf("%w: %w", storage.ErrAborted, err)
		}
		return err
	})
}

// Delete implements storage.Storage.
func (s *Store) Delete(ctx context.Context, ids ...string) (n int, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, deleteSQL, storagekit.Texts(ids))
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}

// Lock implements storage.Storage. A rollback to a savepoint releases the key.
func (s *Store) Lock(ctx context.Context, key string) error {
	if err := storagekit.ValidateKey(key); err != nil {
		return err
	}
	if s.tx == nil {
		return errNoTx
	}
	return s.turns.Do(ctx, func() error { return s.exec(lockSQL, key)(ctx) })
}

// write calls fn in the transaction, or in a new one.
func (s *Store) write(ctx context.Context, fn func(tx pgx.Tx) error) error {
	if s.turns == nil {
		return s.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return tx.(*Store).write(ctx, fn) })
	}
	return s.turns.Do(ctx, func() error { return classify(ctx, fn(s.tx)) })
}

// RunInTx implements storage.Storage. In READ COMMITTED, whatever the default of the database is, each statement sees
// the commits for which the one before has waited.
func (s *Store) RunInTx(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) error {
	if s.turns != nil {
		return s.nested(ctx, fn)
	}
	var cause error // of an abort: fn may return an ErrAborted that is not of this transaction
	return storagekit.Retry(ctx, func(error) bool { return aborted(cause) }, func() error {
		tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
		if err != nil {
			cause = classify(ctx, err)
			return cause
		}
		inner := s.WithTx(tx)
		err = inner.run(ctx, fn, inner.commit, tx.Rollback)
		cause = inner.turns.Aborted()
		return err
	})
}

// nested runs fn behind a savepoint. If a name occurs twice, PostgreSQL takes the innermost.
func (s *Store) nested(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error) (err error) {
	failed := s.turns.Do(ctx, func() error {
		inner := &Store{tx: s.tx, turns: s.turns.Nested()}
		if err := inner.exec("SAVEPOINT nested")(ctx); err != nil {
			return err
		}
		err = inner.run(ctx, fn, inner.exec("RELEASE nested"), inner.exec("ROLLBACK TO nested; RELEASE nested"))
		return nil
	})
	return cmp.Or(failed, err)
}

// exec returns a function that runs a statement in the transaction.
func (s *Store) exec(sql string, args ...any) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.tx.Exec(ctx, sql, args...)
		return classify(ctx, err)
	}
}

// run calls fn, and then commit or rollBack. In between it looks at what statements of the application have done.
func (s *Store) run(ctx context.Context, fn func(ctx context.Context, tx storage.Storage) error,
	commit, rollBack func(context.Context) error) error {
	return s.turns.Run(ctx, func(ctx context.Context) error {
		err := fn(ctx, s)
		_ = s.turns.Do(context.WithoutCancel(ctx), func() error { // Run returns what Do and Abort remember
			switch s.tx.Conn().PgConn().TxStatus() {
			case 'I': // a COMMIT or ROLLBACK
				s.turns.Abort(errEnded)
			case 'E': // a statement that failed
				return classify(ctx, err)
			}
			return nil
		})
		return err
	}, commit, rollBack)
}

// commit ends an outermost transaction, and finds out what an error means.
func (s *Store) commit(ctx context.Context) error {
	err := s.tx.Commit(ctx)
	server, answered := errors.AsType[*pgconn.PgError](err)
	refused := answered && server.SeverityUnlocalized == "ERROR" || errors.Is(err, pgx.ErrTxCommitRollback)
	if err != nil && !refused && !pgconn.SafeToRetry(err) { // something was sent
		return fmt.Errorf("%w: %w", storage.ErrOutcomeUnknown, err)
	}
	if err = classify(ctx, err); err != nil {
		s.turns.Abort(err)
	}
	return err
}

// Classify implements storage.Classifier.
func (s *Store) Classify(ctx context.Context, err error) error { return classify(ctx, err) }

func aborted(err error) bool { return errors.Is(err, storage.ErrAborted) }

// classify adds to the chain of an error of the database what storage wants to know.
func classify(ctx context.Context, err error) error {
	var kind error
	server, answered := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // also a net.Error
		return err
	case errors.As(err, new(*pgconn.ConnectError)):
		kind = storage.ErrUnavailable
	case answered:
		kind = cmp.Or(kinds[server.Code], kinds[server.Code[:min(2, len(server.Code))]])
	case errors.Is(err, pgconn.ErrConnClosed), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(net.Error)):
		kind = storage.ErrAborted // connection lost
	default:
		return err
	}
	for _, cause := range []error{kind, ctx.Err()} {
		if cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	return err
}

// kinds has the SQLSTATE codes, and the classes of codes, that storage distinguishes. After the end of a connection,
// the next attempt finds out whether the database is available.
var kinds = map[string]error{
	"40": storage.ErrAborted, "55P03": storage.ErrAborted, // deadlock or serialization failure, lock timeout
	"25P03": storage.ErrAborted, "25P04": storage.ErrAborted, // connection ended by a timeout
	"57P01": storage.ErrAborted, "57P02": storage.ErrAborted, // connection ended by an administrator or a crash
	"57P03": storage.ErrUnavailable, "25006": storage.ErrUnavailable, // starting or stopping, read-only
	"08": storage.ErrUnavailable, "53": storage.ErrUnavailable, "58030": storage.ErrUnavailable, // full, I/O error
}

// fields returns pointers to the fields of r in the order of columns. Rows are scanned into them, and they are the
// arguments of a statement. A zero ResolvedAt is NULL in the table.
func fields(r *storage.Record) []any {
	return []any{&r.ID, &r.OrganizationID, &r.OrganizationDomainID, &r.EmailAddress, &r.EmailKey, &r.Role, &r.Status,
		&r.PublicMetadata, &r.PrivateMetadata, &r.InviterUserID, &r.RedirectURL, &r.Generation, &r.CreatedAt,
		&r.UpdatedAt, &r.ExpiresAt, &r.SentAt, (*zeronull.Timestamptz)(&r.ResolvedAt), &r.ResolvedBy, &r.Version}
}

// toRecord scans a row of columns. Stored makes its times UTC.
func toRecord(row pgx.CollectableRow) (r storage.Record, err error) {
	err = row.Scan(fields(&r)...)
	return r.Stored(), err
}

// statement is an SQL text and its arguments.
type statement struct {
	sql  string
	args []any
}

// add adds a clause, if wanted. Each ? in it stands for one of args.
func (q *statement) add(wanted bool, clause string, args ...any) {
	if !wanted {
		return
	}
	for _, arg := range args {
		q.args = append(q.args, arg)
		clause = strings.Replace(clause, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	q.sql += clause
}

// where adds the conditions of filter.
func (q *statement) where(filter storage.Filter) {
	f, possible := storagekit.NewSearch(filter)
	q.add(!possible, " AND false")
	q.add(f.IDs != nil, " AND id = ANY(?)", f.IDs)
	q.add(f.OrganizationID != "", " AND organization_id = ?", f.OrganizationID)
	q.add(f.EmailKeys != nil, " AND email_key = ANY(?)", f.EmailKeys)
	q.add(f.EmailContains != "", " AND strpos(email_key, ?) > 0", f.EmailContains)
	q.add(f.Roles != nil, " AND role = ANY(?)", f.Roles)
	q.add(f.InviterUserID != "", " AND inviter_user_id = ?", f.InviterUserID)
	q.add(f.Direct, " AND organization_domain_id = ''")
	q.add(!f.ResolvedBefore.IsZero(), " AND resolved_at < ?", f.ResolvedBefore)
	q.add(!f.SentAfter.IsZero(), " AND sent_at > ?", f.SentAfter)
	q.add(!f.CreatedFrom.IsZero(), " AND created_at >= ?", f.CreatedFrom)
	q.add(!f.CreatedBefore.IsZero(), " AND created_at < ?", f.CreatedBefore)
	q.add(!f.ExpiresFrom.IsZero(), " AND expires_at >= ?", f.ExpiresFrom)
	q.add(!f.ExpiresBefore.IsZero(), " AND expires_at < ?", f.ExpiresBefore)
	for i, c := range f.Conditions {
		q.add(i == 0, " AND (false")
		q.add(true, " OR status = ?", c.Status)
		q.add(c.Expiry == storagekit.NotExpired, " AND expires_at > ?", f.Now)
		q.add(c.Expiry == storagekit.Expired, " AND expires_at <= ?", f.Now)
		q.add(i == len(f.Conditions)-1, ")")
	}
}

var names = map[storage.Field]string{storage.FieldCreatedAt: "created_at", storage.FieldExpiresAt: "expires_at",
	storage.FieldEmailAddress: "email_key", storagekit.FieldID: "id"}

// page adds the order, and what selects one page in it. The condition for After begins with a simple bound on the first
// field, from which an index can start: a >= x AND (a > x OR true AND b >= y AND (b > y OR true AND false)).
func (q *statement) page(query storage.Query) {
	var order []string
	for _, term := range storagekit.Terms(query) {
		name, direction, than := names[term.Field], " ASC", ">"
		if term.Descending {
			direction, than = " DESC", "<"
		}
		order = append(order, name+direction)
		after := fmt.Sprintf(" AND %[1]s %[2]s= ? AND (%[1]s %[2]s ? OR true", name, than)
		q.add(query.After != nil, after, term.Value, term.Value)
	}
	q.add(query.After != nil, " AND false"+strings.Repeat(")", len(order)))
	q.add(true, " ORDER BY "+strings.Join(order, ", "))
	q.add(query.Limit > 0, " LIMIT ?", query.Limit)
	q.add(query.Offset > 0, " OFFSET ?", query.Offset)
}
