package faults

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// recorder is a driver that records its calls.
type recorder struct {
	done   []string
	closed int
	ctx    error // of the context of the last call
}

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return &recorded{r}, nil }
func (r *recorder) Driver() driver.Driver                        { return nil }

type recorded struct{ r *recorder }

func (c *recorded) Begin() (driver.Tx, error) { return nil, errors.New("not called") }
func (c *recorded) Prepare(query string) (driver.Stmt, error) {
	return &recordedStmt{r: c.r, query: query}, nil
}

func (c *recorded) Close() error { c.r.closed++; c.r.done = append(c.r.done, "CLOSE"); return nil }

func (c *recorded) ExecContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	c.r.done, c.r.ctx = append(c.r.done, query), ctx.Err()
	return driver.RowsAffected(0), nil
}

func (c *recorded) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	c.r.done = append(c.r.done, "BEGIN")
	return c, nil
}

func (c *recorded) Commit() error   { c.r.done = append(c.r.done, "COMMIT"); return nil }
func (c *recorded) Rollback() error { c.r.done = append(c.r.done, "ROLLBACK"); return nil }

type recordedStmt struct {
	driver.Stmt
	r     *recorder
	query string
}

func (s *recordedStmt) NumInput() int { return 0 }

func (s *recordedStmt) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	s.r.done = append(s.r.done, s.query)
	return driver.RowsAffected(0), nil
}

func (s *recordedStmt) Close() error { s.r.done = append(s.r.done, "CLOSE "+s.query); return nil }

func TestConnector(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		kind         Kind
		exec, commit string // the driver's calls if the fault is at the statement, or at the commit
		closed       int
		passed       bool
	}{
		{kind: None, exec: "BEGIN a COMMIT", commit: "BEGIN a COMMIT", passed: true},
		{kind: Fail, exec: "BEGIN ROLLBACK", commit: "BEGIN a"},
		{kind: Abort, exec: "BEGIN ROLLBACK", commit: "BEGIN a ROLLBACK"},
		{kind: Drop, exec: "BEGIN", commit: "BEGIN a", closed: 1},
		{kind: DropAfter, exec: "BEGIN a", commit: "BEGIN a COMMIT", closed: 1},
		{kind: Delay, exec: "BEGIN a COMMIT", commit: "BEGIN a COMMIT", passed: true},
		{kind: CancelAfter, exec: "BEGIN a COMMIT", commit: "BEGIN a COMMIT", passed: true},
	} {
		for n, want := range map[int]string{3: c.exec, 4: c.commit} { // 1 is CONNECT, 2 is BEGIN
			t.Run(c.kind.String(), func(t *testing.T) {
				is := is.New(t)
				r, p := &recorder{}, &Plan{}
				db := sql.OpenDB(Wrap(r, p.Decide))
				defer func() { _ = db.Close() }()
				cancelled := 0
				p.Set(n, Fault{Kind: c.kind, Err: refused, Pause: time.Millisecond, Cancel: func() { cancelled++ }}, nil)
				tx, err := db.BeginTx(t.Context(), nil)
				is.NoErr(err)
				if _, err = tx.ExecContext(t.Context(), "a"); err == nil {
					err = tx.Commit()
				} else {
					_ = tx.Rollback()
				}
				is.Equal(strings.TrimSuffix(strings.Join(r.done, " "), " CLOSE"), want)
				is.Equal(err == nil, c.passed)
				is.True(c.passed || errors.Is(err, refused))
				is.Equal(r.closed, c.closed) // connections that the fault closed
				is.Equal(db.Stats().OpenConnections, 1-c.closed)
				is.Equal(cancelled == 1, c.kind == CancelAfter)
				_, hit := p.Hit()
				is.True(hit)
				_, err = db.ExecContext(t.Context(), "b") // the pool still works
				is.NoErr(err)
			})
		}
	}
}

// A dropped connection closes its prepared statements first, and only once.
func TestConnectorDropsStatements(t *testing.T) {
	for _, kind := range []Kind{Drop, DropAfter} {
		t.Run(kind.String(), func(t *testing.T) {
			is := is.New(t)
			r, p := &recorder{}, &Plan{}
			db := sql.OpenDB(Wrap(r, p.Decide))
			defer func() { _ = db.Close() }()
			closed, err := db.PrepareContext(t.Context(), "a")
			is.NoErr(err)
			is.NoErr(closed.Close())
			stmt, err := db.PrepareContext(t.Context(), "b")
			is.NoErr(err)
			p.Set(1, Fault{Kind: kind, Err: errors.New("lost")}, nil)
			_, err = db.ExecContext(t.Context(), "c")
			is.True(err != nil)
			is.NoErr(stmt.Close())
			want := map[Kind]string{Drop: "CLOSE a, CLOSE b, CLOSE", DropAfter: "CLOSE a, c, CLOSE b, CLOSE"}
			is.Equal(strings.Join(r.done, ", "), want[kind])
		})
	}
}

// Cancel cancels the context before the call, and Delay ends when its context does.
func TestConnectorCancels(t *testing.T) {
	is := is.New(t)
	r, p := &recorder{}, &Plan{}
	db := sql.OpenDB(Wrap(r, p.Decide))
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	p.Set(2, Fault{Kind: Cancel, Cancel: cancel}, nil)
	_, err := db.ExecContext(ctx, "a")
	is.NoErr(err)
	is.Equal(r.ctx, context.Canceled)
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	p.Set(1, Fault{Kind: Delay, Pause: time.Hour}, nil)
	_, err = db.ExecContext(ctx, "a")
	is.NoErr(err)
	is.Equal(r.ctx, context.DeadlineExceeded)
}

// echo starts a server that answers each line. got receives the lines, and "closed" for each closed connection.
func echo(t *testing.T) (address string, got chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	got = make(chan string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for in := bufio.NewReader(conn); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						got <- "closed"
						return
					}
					got <- strings.TrimSpace(line)
					_, _ = io.WriteString(conn, "answer to "+line)
				}
			}()
		}
	}()
	return listener.Addr().String(), got
}

func TestProxy(t *testing.T) {
	for _, c := range []struct {
		do     Cut
		server string // what the server receives after the first request
		ends   bool   // whether the client sees the connection end; otherwise it waits
	}{
		{CutBefore, "closed", true},
		{CutAfter, "Commit", true},
		{Silence, "", false},
		{SilenceAfter, "Commit", false},
	} {
		for _, with := range []string{"", "COMMIT"} {
			t.Run(c.do.String()+" "+with, func(t *testing.T) {
				is := is.New(t)
				address, got := echo(t)
				p, err := NewProxy(address)
				is.NoErr(err)
				defer p.Close()
				conn, err := net.Dial("tcp", p.Addr())
				is.NoErr(err)
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				n := 2
				if with != "" {
					n = 1
				}
				p.Set(n, c.do, with)
				_, err = io.WriteString(conn, "begin\n")
				is.NoErr(err)
				line, err := in.ReadString('\n')
				is.NoErr(err)
				is.Equal(line, "answer to begin\n")
				is.Equal(<-got, "begin")
				is.True(!p.Hit())
				_, err = io.WriteString(conn, "Commit\n")
				is.NoErr(err)
				if c.server != "" {
					is.Equal(<-got, c.server)
				}
				<-p.Met()
				wait := 50 * time.Millisecond
				if c.ends {
					wait = 10 * time.Second
				}
				is.NoErr(conn.SetReadDeadline(time.Now().Add(wait)))
				_, err = in.ReadString('\n')
				var late net.Error
				is.Equal(errors.As(err, &late) && late.Timeout(), !c.ends)

				p.Heal()
				if !c.ends {
					is.Equal(<-got, "closed") // Heal closed the silenced connection
				}
				again, err := net.Dial("tcp", p.Addr())
				is.NoErr(err)
				defer func() { _ = again.Close() }()
				_, err = io.WriteString(again, "begin\n")
				is.NoErr(err)
				line, err = bufio.NewReader(again).ReadString('\n')
				is.NoErr(err)
				is.Equal(line, "answer to begin\n") // the next request passes
			})
		}
	}
}
