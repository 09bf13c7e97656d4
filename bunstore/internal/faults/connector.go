package faults

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"time"
)

// Wrap returns a connector that asks decide before every call to c's driver. Its connections keep the optional
// interfaces of the driver's connections.
func Wrap(c driver.Connector, decide func(Call) Fault) driver.Connector {
	return &connector{under: c, decide: decide}
}

type connector struct {
	under  driver.Connector
	decide func(Call) Fault
}

func (c *connector) Driver() driver.Driver { return c.under.Driver() }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	opened := &conn{decide: c.decide, stmts: map[*stmt]bool{}}
	err := opened.call(ctx, Call{Connect, string(Connect)}, func(bool) (err error) {
		opened.under, err = c.under.Connect(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if under, ok := opened.under.(interface{ Conn() net.Conn }); ok {
		return &netConn{opened, under}, nil
	}
	return opened, nil
}

// conn is a connection. database/sql makes its calls one at a time.
type conn struct {
	under  driver.Conn
	decide func(Call) Fault
	stmts  map[*stmt]bool // the open prepared statements
	tx     driver.Tx      // the last transaction
	dead   error          // the error of every call once the connection has been dropped
	abort  error          // the error with which the rows of the current call end
}

// netConn is a connection of a driver that exposes its network connection, as pgdriver does.
type netConn struct {
	*conn
	shows interface{ Conn() net.Conn }
}

func (c *netConn) Conn() net.Conn { return c.shows.Conn() }

// call injects the fault that decide returns, and calls run to pass the call on. lost tells run that its answer will be
// lost.
func (c *conn) call(ctx context.Context, call Call, run func(lost bool) error) error {
	if c.dead != nil {
		return c.dead
	}
	switch f := c.decide(call); f.Kind {
	case Fail:
		return f.Err
	case Abort:
		if call.Op == Commit || call.Op == Rollback {
			_ = c.tx.Rollback()
		}
		return f.Err
	case Drop:
		c.drop(f.Err)
		return f.Err
	case DropAfter:
		_ = run(true)
		c.drop(f.Err)
		return f.Err
	case AbortRows:
		c.abort = f.Err
	case Delay:
		pause := time.NewTimer(f.Pause)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	case Cancel:
		f.Cancel()
	case CancelDuring:
		go f.Cancel()
	case CancelAfter:
		defer f.Cancel()
	}
	return run(false)
}

// drop closes the connection, which rolls back its transaction. Like database/sql it closes the prepared statements
// first: SQLite keeps a connection, its transaction and its locks while one of them is open.
func (c *conn) drop(err error) {
	c.dead = err
	for s := range c.stmts {
		_ = s.Stmt.Close()
	}
	if c.under != nil { // nil: it was never opened
		_ = c.under.Close()
	}
}

// Close closes the connection unless it has been dropped.
func (c *conn) Close() error {
	if c.dead != nil {
		return nil
	}
	return c.under.Close()
}

// Unwrap returns the driver's own connection.
func (c *conn) Unwrap() driver.Conn { return c.under }

func (c *conn) Begin() (driver.Tx, error) { return c.BeginTx(context.Background(), driver.TxOptions{}) }

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	under, ok := c.under.(driver.ConnBeginTx)
	if !ok {
		return nil, errors.New("faults: the driver has no BeginTx")
	}
	t := &tx{c: c, ctx: ctx}
	err := c.call(ctx, Call{Begin, string(Begin)}, func(bool) (err error) {
		t.under, err = under.BeginTx(ctx, opts)
		c.tx = t.under
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (
	result driver.Result, err error) {
	under, ok := c.under.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	err = c.call(ctx, Call{Exec, query}, func(bool) (err error) {
		result, err = under.ExecContext(ctx, query, args)
		return err
	})
	return result, err
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	under, ok := c.under.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return c.query(ctx, query, func() (driver.Rows, error) { return under.QueryContext(ctx, query, args) })
}

// query runs a statement that returns rows. If they will be lost, it reads them all, because the statement has its full
// effect only then.
func (c *conn) query(ctx context.Context, query string, run func() (driver.Rows, error)) (rows driver.Rows, err error) {
	err = c.call(ctx, Call{Query, query}, func(lost bool) (err error) {
		rows, err = run()
		if err == nil && lost {
			for row := make([]driver.Value, len(rows.Columns())); rows.Next(row) == nil; {
			}
			err = rows.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if abort := c.abort; abort != nil {
		c.abort = nil
		return &abortedRows{rows, c, abort, false}, nil
	}
	return rows, nil
}

// abortedRows are rows whose transaction is rolled back after the first one.
type abortedRows struct {
	driver.Rows
	c    *conn
	err  error
	read bool
}

func (r *abortedRows) Next(row []driver.Value) error {
	if !r.read {
		r.read = true
		return r.Rows.Next(row)
	}
	return r.abort()
}

// Close ends a read after the first row.
func (r *abortedRows) Close() error { return r.abort() }

func (r *abortedRows) abort() error {
	if err := r.Rows.Close(); err != nil {
		return err
	}
	if r.read {
		r.read = false
		if _, err := r.c.under.(driver.ExecerContext).ExecContext(context.Background(), "ROLLBACK", nil); err != nil {
			return err
		}
	}
	return r.err
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s := &stmt{c: c, query: query}
	err := c.call(ctx, Call{Prepare, query}, func(bool) (err error) {
		if s.Stmt, err = c.prepare(ctx, query); err == nil {
			c.stmts[s] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *conn) prepare(ctx context.Context, query string) (driver.Stmt, error) {
	if under, ok := c.under.(driver.ConnPrepareContext); ok {
		return under.PrepareContext(ctx, query)
	}
	return c.under.Prepare(query)
}

func (c *conn) Ping(ctx context.Context) error {
	if c.dead != nil {
		return driver.ErrBadConn
	}
	if under, ok := c.under.(driver.Pinger); ok {
		return under.Ping(ctx)
	}
	return nil
}

func (c *conn) ResetSession(ctx context.Context) error {
	if c.dead != nil {
		return driver.ErrBadConn
	}
	if under, ok := c.under.(driver.SessionResetter); ok {
		return under.ResetSession(ctx)
	}
	return nil
}

func (c *conn) IsValid() bool {
	if c.dead != nil {
		return false
	}
	under, ok := c.under.(driver.Validator)
	return !ok || under.IsValid()
}

func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if under, ok := c.under.(driver.NamedValueChecker); ok {
		return under.CheckNamedValue(v)
	}
	return driver.ErrSkip // database/sql then converts the value as if there were no such method
}

// stmt is a prepared statement.
type stmt struct {
	driver.Stmt
	c     *conn
	query string
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (result driver.Result, err error) {
	under, ok := s.Stmt.(driver.StmtExecContext)
	if !ok {
		return nil, errors.New("faults: the driver's statements have no ExecContext")
	}
	err = s.c.call(ctx, Call{Exec, s.query}, func(bool) (err error) {
		result, err = under.ExecContext(ctx, args)
		return err
	})
	return result, err
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	under, ok := s.Stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.New("faults: the driver's statements have no QueryContext")
	}
	return s.c.query(ctx, s.query, func() (driver.Rows, error) { return under.QueryContext(ctx, args) })
}

func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if under, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return under.CheckNamedValue(v)
	}
	return s.c.CheckNamedValue(v)
}

func (s *stmt) Close() error {
	if s.c.dead != nil { // dropping the connection closed the statement
		return nil
	}
	delete(s.c.stmts, s)
	return s.Stmt.Close()
}

// tx is a transaction. Commit and Rollback have no context, so the one of BeginTx limits their Delay.
type tx struct {
	c     *conn
	ctx   context.Context
	under driver.Tx
}

func (t *tx) Commit() error { return t.end(Commit, t.under.Commit) }

func (t *tx) Rollback() error { return t.end(Rollback, t.under.Rollback) }

func (t *tx) end(op Op, run func() error) error {
	return t.c.call(t.ctx, Call{op, string(op)}, func(bool) error { return run() })
}
