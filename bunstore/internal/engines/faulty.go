package engines

import (
	"context"
	"database/sql/driver"
	"errors"
)

// connector opens connections of a driver that ask fault before every statement.
type connector struct {
	driver.Connector
	fault func(statement string) error
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	under, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{under: under, fault: c.fault}, nil
}

type conn struct {
	under driver.Conn
	fault func(statement string) error
}

func (c *conn) Close() error { return c.under.Close() }

func (c *conn) Begin() (driver.Tx, error) { return c.BeginTx(context.Background(), driver.TxOptions{}) }

func (c *conn) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("engines: not prepared for")
}

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.fault("BEGIN"); err != nil {
		return nil, err
	}
	under, err := c.under.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &tx{under: under, fault: c.fault}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.fault(query); err != nil {
		return nil, err
	}
	return c.under.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.fault(query); err != nil {
		return nil, err
	}
	return c.under.(driver.QueryerContext).QueryContext(ctx, query, args)
}

type tx struct {
	under driver.Tx
	fault func(statement string) error
}

func (t *tx) Commit() error {
	if err := t.fault("COMMIT"); err != nil {
		_ = t.under.Rollback()
		return err
	}
	return t.under.Commit()
}

func (t *tx) Rollback() error {
	// Even a rollback that is to fail must leave the connection without a transaction: it goes back to the pool.
	err := t.fault("ROLLBACK")
	return errors.Join(err, t.under.Rollback())
}
