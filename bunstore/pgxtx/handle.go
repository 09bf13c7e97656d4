package pgxtx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/orginvite/orginvite/bunstore/internal/bridge"
)

var (
	errNotOurs = errors.New("pgxtx: the transaction belongs to the store: leave COMMIT and ROLLBACK to it, " +
		"and return an error to roll back")
	errNoTx     = errors.New("pgxtx: only inside a transaction")
	errNoResult = errors.New("pgxtx: the batch has no more results")
)

// handle is a pgx.Tx on the connection that a Store has. database/sql may use that connection at any moment, to roll
// back when a context ends. So everything is done while run holds it, and no result is left on it.
type handle struct {
	run bridge.Run
}

var _ pgx.Tx = (*handle)(nil)

// on calls fn with the connection.
func (h *handle) on(ctx context.Context, fn func(*pgx.Conn) error) error {
	return h.run(ctx, func(c any) error {
		p, ok := c.(interface{ Conn() *pgx.Conn }) // *stdlib.Conn
		if !ok {
			return fmt.Errorf("pgxtx: the store's driver is not pgx's stdlib: its connection is a %T", c)
		}
		return fn(p.Conn())
	})
}

func (h *handle) Exec(ctx context.Context, query string, args ...any) (tag pgconn.CommandTag, err error) {
	err = h.on(ctx, func(c *pgx.Conn) (err error) {
		tag, err = c.Exec(ctx, query, args...)
		return err
	})
	return tag, err
}

func (h *handle) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	var all *result
	err := h.on(ctx, func(c *pgx.Conn) error {
		r, err := c.Query(ctx, query, args...)
		all = read(c, r, err)
		return all.err
	})
	if all == nil {
		all = &result{err: err}
	}
	return all, err
}

func (h *handle) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	r, _ := h.Query(ctx, query, args...)
	return row{r}
}

func (h *handle) Prepare(ctx context.Context, name, query string) (sd *pgconn.StatementDescription, err error) {
	err = h.on(ctx, func(c *pgx.Conn) (err error) {
		sd, err = c.Prepare(ctx, name, query)
		return err
	})
	return sd, err
}

// CopyFrom holds the connection while it reads from, so from must not use the handle.
func (h *handle) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string,
	from pgx.CopyFromSource) (n int64, err error) {
	err = h.on(ctx, func(c *pgx.Conn) (err error) {
		n, err = c.CopyFrom(ctx, table, columns, from)
		return err
	})
	return n, err
}

// SendBatch reads all results at once.
func (h *handle) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if pgx.FailedBatchResults(b, errNotOurs).Tx() != nil { // b begins a transaction
		return pgx.FailedBatchResults(b, errNotOurs)
	}
	all := &batch{queued: b.QueuedQueries}
	err := h.on(ctx, func(c *pgx.Conn) error {
		// Without the callbacks of b, which must run later, because they may use the handle.
		plain := &pgx.Batch{}
		for _, q := range b.QueuedQueries {
			plain.Queue(q.SQL, q.Arguments...)
		}
		results := c.SendBatch(ctx, plain)
		for range plain.Len() {
			r, err := results.Query()
			one := read(c, r, err)
			if all.results = append(all.results, one); one.err != nil {
				break
			}
		}
		return results.Close()
	})
	if err != nil && !slices.ContainsFunc(all.results, func(r *result) bool { return r.err != nil }) {
		return pgx.FailedBatchResults(b, err)
	}
	return all
}

// LargeObjects returns large objects that work on the connection. It needs a round trip, because only a transaction
// that pgx itself has begun has them. This one begins with nothing. If that fails, the methods of the large objects
// return pgx.ErrTxClosed.
func (h *handle) LargeObjects() pgx.LargeObjects {
	ended := &pgx.Batch{}
	ended.BeginTx(pgx.TxOptions{})
	objects := pgx.FailedBatchResults(ended, errNoTx).Tx().LargeObjects()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = h.on(ctx, func(c *pgx.Conn) error {
		if c.PgConn().TxStatus() == 'I' {
			return errNoTx
		}
		tx, err := c.BeginTx(ctx, pgx.TxOptions{BeginQuery: "-- nothing"})
		if err == nil {
			objects = tx.LargeObjects()
		}
		return err
	})
	return objects
}

// Conn returns the connection. Outside a transaction it returns nil, because there each call may use another one.
func (h *handle) Conn() (conn *pgx.Conn) {
	_ = h.on(context.Background(), func(c *pgx.Conn) error {
		if c.PgConn().TxStatus() != 'I' {
			conn = c
		}
		return nil
	})
	return conn
}

func (h *handle) Commit(context.Context) error   { return errNotOurs }
func (h *handle) Rollback(context.Context) error { return errNotOurs }

var savepoints atomic.Uint64

// Begin begins a savepoint.
func (h *handle) Begin(ctx context.Context) (pgx.Tx, error) {
	n := &nested{handle: h, name: "pgxtx_" + strconv.FormatUint(savepoints.Add(1), 10)}
	err := h.on(ctx, func(c *pgx.Conn) error {
		if c.PgConn().TxStatus() == 'I' {
			return errNoTx
		}
		_, err := c.Exec(ctx, "SAVEPOINT "+n.name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// nested is a savepoint on a handle.
type nested struct {
	*handle
	name   string
	closed atomic.Bool
}

func (n *nested) Commit(ctx context.Context) error { return n.end(ctx, "RELEASE SAVEPOINT "+n.name) }

func (n *nested) Rollback(ctx context.Context) error {
	return n.end(ctx, "ROLLBACK TO SAVEPOINT "+n.name+"; RELEASE SAVEPOINT "+n.name)
}

func (n *nested) end(ctx context.Context, query string) error {
	if n.closed.Swap(true) {
		return pgx.ErrTxClosed
	}
	_, err := n.Exec(ctx, query)
	return err
}

// result is a pgx.Rows that has been read.
type result struct {
	fields []pgconn.FieldDescription
	rows   [][][]byte
	next   int // after the current row
	tag    pgconn.CommandTag
	types  *pgtype.Map
	err    error
	closed bool
}

// read reads and closes r. err is the error with which pgx has returned it.
func read(c *pgx.Conn, r pgx.Rows, err error) *result {
	if err != nil {
		return &result{err: err, closed: true}
	}
	all := &result{}
	for r.Next() {
		raw := r.RawValues()
		one := make([][]byte, len(raw))
		for i, v := range raw {
			one[i] = slices.Clone(v) // nil stays nil, which is NULL
		}
		all.rows = append(all.rows, one)
	}
	r.Close()
	if all.err = r.Err(); all.err != nil {
		all.closed, all.rows = true, nil
		return all
	}
	all.fields, all.tag = slices.Clone(r.FieldDescriptions()), r.CommandTag()
	if len(all.rows) > 0 {
		all.types = c.TypeMap().Copy() // the connection's own is for its holder
	}
	return all
}

func (r *result) Close()                                       { r.closed = true }
func (r *result) Err() error                                   { return r.err }
func (r *result) CommandTag() pgconn.CommandTag                { return r.tag }
func (r *result) FieldDescriptions() []pgconn.FieldDescription { return r.fields }
func (r *result) Conn() *pgx.Conn                              { return nil }
func (r *result) TypeMap() *pgtype.Map                         { return r.types }

func (r *result) Next() bool {
	if r.closed || r.next >= len(r.rows) {
		r.closed = true
		return false
	}
	r.next++
	return true
}

// current returns the row that Next has prepared.
func (r *result) current() ([][]byte, error) {
	switch {
	case r.err != nil:
		return nil, r.err
	case r.closed || r.next == 0:
		return nil, errors.New("pgxtx: Scan or Values without a row: call Next, and see that it returns true")
	}
	return r.rows[r.next-1], nil
}

func (r *result) RawValues() [][]byte {
	raw, _ := r.current()
	return raw
}

func (r *result) Scan(dest ...any) error {
	raw, err := r.current()
	if err != nil {
		return err
	}
	if len(dest) == 1 {
		if d, ok := dest[0].(pgx.RowScanner); ok {
			return d.ScanRow(r)
		}
	}
	if err := pgx.ScanRow(r.types, r.fields, raw, dest...); err != nil {
		r.closed, r.err = true, err // as in pgx
		return err
	}
	return nil
}

func (r *result) Values() ([]any, error) {
	raw, err := r.current()
	if err != nil {
		return nil, err
	}
	list := make([]any, len(raw))
	for i, v := range raw {
		f := r.fields[i]
		t, known := r.types.TypeForOID(f.DataTypeOID)
		switch {
		case v == nil:
		case known:
			if list[i], err = t.Codec.DecodeValue(r.types, f.DataTypeOID, f.Format, v); err != nil {
				r.closed, r.err = true, err
				return nil, err
			}
		case f.Format == pgx.TextFormatCode:
			list[i] = string(v)
		default:
			list[i] = v
		}
	}
	return list, nil
}

// row is the first row of a result.
type row struct{ rows pgx.Rows }

func (r row) Scan(dest ...any) error {
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	return r.rows.Scan(dest...)
}

// batch is a pgx.BatchResults that has been read.
type batch struct {
	queued  []*pgx.QueuedQuery
	results []*result
	next    int
	closed  bool
	err     error // of a callback or a result
}

func (b *batch) Query() (pgx.Rows, error) {
	if b.closed || b.next >= len(b.results) {
		err := b.err
		if err == nil {
			err = errNoResult
		}
		return &result{err: err, closed: true}, err
	}
	r := b.results[b.next]
	b.next++
	if b.err == nil {
		b.err = r.err
	}
	return r, r.err
}

func (b *batch) Exec() (pgconn.CommandTag, error) {
	r, err := b.Query()
	return r.CommandTag(), err
}

func (b *batch) QueryRow() pgx.Row {
	r, _ := b.Query()
	return row{r}
}

func (b *batch) Close() error {
	for !b.closed && b.err == nil && b.next < len(b.queued) {
		if fn := b.queued[b.next].Fn; fn == nil {
			_, _ = b.Exec()
		} else if err := fn(b); err != nil && b.err == nil {
			b.err = err
		}
	}
	b.closed = true
	return b.err
}

// Tx returns nil, because no batch begins a transaction here.
func (b *batch) Tx() pgx.Tx { return nil }
