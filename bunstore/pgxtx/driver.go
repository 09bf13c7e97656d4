package pgxtx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/orginvite/orginvite/bunstore/internal/bridge"
)

// connector is a driver of database/sql whose connections all work in tx. The arguments of bunstore's statements come
// with the context, see bridge.WithArguments. Those of the host's statements, through bunstore.SQL, come as usual.
type connector struct{ tx pgx.Tx }

func (c connector) Connect(context.Context) (driver.Conn, error) { return &conn{c.tx}, nil }
func (c connector) Driver() driver.Driver                        { return nil }

type conn struct{ tx pgx.Tx }

var (
	_ driver.ExecerContext     = (*conn)(nil)
	_ driver.QueryerContext    = (*conn)(nil)
	_ driver.ConnBeginTx       = (*conn)(nil)
	_ driver.NamedValueChecker = (*conn)(nil)
	_ driver.StmtExecContext   = (*stmt)(nil)
	_ driver.StmtQueryContext  = (*stmt)(nil)
)

// Close does nothing, because the connection belongs to the host.
func (c *conn) Close() error { return nil }

// CheckNamedValue accepts every value, because pgx converts more of them than database/sql does.
func (c *conn) CheckNamedValue(*driver.NamedValue) error { return nil }

// arguments returns the arguments of query.
func arguments(ctx context.Context, query string, named []driver.NamedValue) []any {
	args := bridge.Arguments(ctx, query)
	for _, v := range named {
		args = append(args, v.Value)
	}
	return args
}

func (c *conn) ExecContext(ctx context.Context, query string, named []driver.NamedValue) (driver.Result, error) {
	tag, err := c.tx.Exec(ctx, query, arguments(ctx, query, named)...)
	if err != nil {
		return nil, explained(err)
	}
	return driver.RowsAffected(tag.RowsAffected()), nil
}

func (c *conn) QueryContext(ctx context.Context, query string, named []driver.NamedValue) (driver.Rows, error) {
	if value, ok := c.setting(query); ok {
		return &rows{columns: []string{"setting"}, values: [][]driver.Value{{value}}}, nil
	}
	args := arguments(ctx, query, named)
	if len(args) == 0 {
		// As text: preparing it would take another round trip, and memory on the server.
		args = []any{pgx.QueryExecModeSimpleProtocol}
	} else {
		args = append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, args...)
	}
	result, err := c.tx.Query(ctx, query, args...)
	if err != nil {
		return nil, explained(err)
	}
	defer result.Close()
	all := &rows{}
	for result.Next() {
		row, err := values(result)
		if err != nil {
			return nil, err
		}
		all.values = append(all.values, row)
	}
	result.Close()
	if err := result.Err(); err != nil {
		return nil, explained(err)
	}
	for _, column := range result.FieldDescriptions() {
		all.columns = append(all.columns, column.Name)
	}
	return all, nil
}

// setting answers SHOW from what the server reports about the connection. A Store asks for these settings once in each
// transaction, and this saves the round trips.
func (c *conn) setting(query string) (value string, ok bool) {
	name, ok := strings.CutPrefix(query, "SHOW ")
	if connection := c.tx.Conn(); ok && connection != nil && !connection.IsClosed() {
		value = connection.PgConn().ParameterStatus(name)
	}
	return value, value != ""
}

// Prepare only keeps the text. pgx prepares a statement with arguments by itself when it first runs.
func (c *conn) Prepare(query string) (driver.Stmt, error) { return &stmt{c, query}, nil }

// Begin is not called, because there is BeginTx.
func (c *conn) Begin() (driver.Tx, error) { return c.BeginTx(context.Background(), driver.TxOptions{}) }

// BeginTx begins a savepoint.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.ReadOnly || opts.Isolation != driver.IsolationLevel(sql.LevelDefault) {
		return nil, errors.New("pgxtx: a savepoint has the isolation level of its transaction")
	}
	tx, err := c.tx.Begin(ctx)
	if err != nil {
		return nil, explained(err)
	}
	return savepoint{context.WithoutCancel(ctx), tx}, nil
}

type savepoint struct {
	ctx context.Context
	tx  pgx.Tx
}

func (s savepoint) Commit() error   { return explained(s.tx.Commit(s.ctx)) }
func (s savepoint) Rollback() error { return explained(s.tx.Rollback(s.ctx)) }

type stmt struct {
	conn  *conn
	query string
}

func (s *stmt) Close() error  { return nil }
func (s *stmt) NumInput() int { return -1 } // the server knows

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.ExecContext(ctx, s.query, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.QueryContext(ctx, s.query, args)
}

// Exec and Query are not called, because there are ExecContext and QueryContext.
func (s *stmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (s *stmt) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }

// rows are all rows of a result. They are read at once, so that the connection is free for the next statement.
type rows struct {
	columns []string
	values  [][]driver.Value
}

func (r *rows) Columns() []string { return r.columns }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(dest []driver.Value) error {
	if len(r.values) == 0 {
		return io.EOF
	}
	copy(dest, r.values[0])
	r.values = r.values[1:]
	return nil
}

// values returns the current row in the types of database/sql, the same as pgx's stdlib.
func values(r pgx.Rows) ([]driver.Value, error) {
	fields := r.FieldDescriptions()
	row := make([]driver.Value, len(fields))
	for i, raw := range r.RawValues() {
		if raw == nil {
			continue
		}
		v, err := value(r.TypeMap(), &fields[i], raw)
		if err != nil {
			return nil, fmt.Errorf("pgxtx: column %s: %w", fields[i].Name, err)
		}
		row[i] = v
	}
	return row, nil
}

func value(m *pgtype.Map, f *pgconn.FieldDescription, raw []byte) (driver.Value, error) {
	switch f.DataTypeOID {
	case pgtype.BoolOID:
		return scan[bool](m, f, raw)
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		return scan[int64](m, f, raw)
	case pgtype.Float4OID:
		d, err := scan[float32](m, f, raw)
		return float64(d), err
	case pgtype.Float8OID:
		return scan[float64](m, f, raw)
	case pgtype.ByteaOID, pgtype.JSONOID, pgtype.JSONBOID, pgtype.XMLOID:
		return scan[[]byte](m, f, raw)
	case pgtype.CIDOID, pgtype.OIDOID, pgtype.XIDOID:
		return valuer[pgtype.Uint32](m, f, raw)
	case pgtype.DateOID:
		return valuer[pgtype.Date](m, f, raw)
	case pgtype.TimestampOID:
		return valuer[pgtype.Timestamp](m, f, raw)
	case pgtype.TimestamptzOID:
		return valuer[pgtype.Timestamptz](m, f, raw)
	default:
		return scan[string](m, f, raw)
	}
}

func scan[T any](m *pgtype.Map, f *pgconn.FieldDescription, raw []byte) (v T, err error) {
	err = m.Scan(f.DataTypeOID, f.Format, raw, &v)
	return v, err
}

func valuer[T driver.Valuer](m *pgtype.Map, f *pgconn.FieldDescription, raw []byte) (driver.Value, error) {
	v, err := scan[T](m, f, raw)
	if err != nil {
		return nil, err
	}
	return v.Value()
}

// explained returns err, an error of pgx, as a Store and its callers expect it from a driver. Errors of the server and
// of the network are unchanged.
func explained(err error) error {
	switch {
	case errors.Is(err, pgx.ErrTxClosed):
		return fmt.Errorf("%w: %w", sql.ErrTxDone, err)
	case err != nil && err.Error() == "conn busy":
		return fmt.Errorf("rows of another query are open on this transaction, close them first: %w", err)
	}
	return err
}
