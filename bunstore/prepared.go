package bunstore

import (
	"context"
	"database/sql"
	"reflect"
	"sync"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// prepared are the statements with bound arguments that have been prepared on a pool. database/sql prepares each of
// them once on each connection that runs it.
//
// A statement first runs as text, and is prepared after the call. Preparing it during the call could wait forever for a
// second connection. Without an idle connection in the pool it waits for a later call.
type prepared struct {
	pool *sql.DB

	mu     sync.Mutex
	byText map[string]*preparation
	wanted []string // statements to prepare after the call
}

// preparation is a statement that is prepared, or is to be.
type preparation struct {
	stmt     *sql.Stmt // nil if it runs as text
	failures int
}

const (
	// maxPrepared bounds the statements. A Store has about thirty, and on SQLite one for each set of columns that an
	// UPDATE changes.
	maxPrepared = 250
	// maxFailures is how often preparing a statement may fail before it stays text.
	maxFailures = 3
	// prepareWait bounds the time to prepare. In a transaction of the host's it is shorter, because that transaction may
	// hold the lock for which the server waits.
	prepareWait, prepareWaitInTx = time.Second, 50 * time.Millisecond
)

func newPrepared(pool *sql.DB) *prepared {
	return &prepared{pool: pool, byText: map[string]*preparation{}}
}

// has reports whether tx is a transaction of the pool.
func (p *prepared) has(tx *sql.Tx) bool {
	pool, known := poolOf(tx)
	return known && pool == reflect.ValueOf(p.pool).Pointer()
}

// statement returns a statement, or nil if it runs as text.
func (p *prepared) statement(text string) *sql.Stmt {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, known := p.byText[text]; known {
		return one.stmt
	}
	if len(p.byText) >= maxPrepared {
		return nil
	}
	p.byText[text] = &preparation{}
	p.wanted = append(p.wanted, text)
	return nil
}

// forget makes a statement run as text again, and be prepared again later. The server no longer knows it, or can no
// longer run it after the schema has changed.
func (p *prepared) forget(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.byText[text]; one.stmt != nil {
		_ = one.stmt.Close() // once no transaction uses it
		one.stmt = nil
		p.wanted = append(p.wanted, text)
	}
}

// take returns the statements to prepare.
func (p *prepared) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := p.wanted
	p.wanted = nil
	return texts
}

// prepare prepares what has run as text, within wait. What fails goes on as text.
func (p *prepared) prepare(ctx context.Context, wait time.Duration) {
	texts := p.take()
	if len(texts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait)
	defer cancel()
	for _, text := range texts {
		stmt, err := p.pool.PrepareContext(ctx, text)
		p.mu.Lock()
		one := p.byText[text]
		one.stmt = stmt
		if err != nil {
			if one.failures++; one.failures < maxFailures {
				p.wanted = append(p.wanted, text)
			}
		}
		p.mu.Unlock()
	}
}

// prepareWanted prepares the statements that are to be prepared, if s binds arguments and a connection is idle.
func (s *Store) prepareWanted(ctx context.Context) {
	switch {
	case s.prepared == nil, s.inTx() && s.tx.own, s.prepared.pool.Stats().Idle == 0:
	case s.inTx():
		s.prepared.prepare(ctx, prepareWaitInTx)
	default:
		s.prepared.prepare(ctx, prepareWait)
	}
}

// onPool is a runner for a Store on a pool, or in a transaction of it.
type onPool struct {
	*Store
	tx *sql.Tx // nil outside a transaction
}

func (r onPool) statement(ctx context.Context, text string) *sql.Stmt {
	stmt := r.prepared.statement(text)
	if stmt == nil || r.tx == nil {
		return stmt
	}
	// database/sql keeps each statement of a transaction until its end.
	state := r.Store.tx
	if used := state.prepared[stmt]; used != nil {
		return used
	}
	if state.prepared == nil {
		state.prepared = map[*sql.Stmt]*sql.Stmt{}
	}
	used := r.tx.StmtContext(ctx, stmt)
	state.prepared[stmt] = used
	return used
}

// explain returns err, the error of a prepared statement. If the statement can no longer run, explain forgets it. Then
// a transaction is aborted, and outside of one the statement runs again as text.
func (r onPool) explain(text string, err error) (again bool, _ error) {
	switch {
	case err == nil || !r.judge(err).unprepared:
		return false, err
	case r.tx == nil:
		r.prepared.forget(text)
		return true, nil
	}
	r.prepared.forget(text)
	return false, &failure{kind: storage.ErrAborted, cause: err, retry: r.Store.tx.own}
}

func (r onPool) exec(ctx context.Context, text string, args []any) (res sql.Result, ok bool, err error) {
	stmt := r.statement(ctx, text)
	if stmt == nil {
		return nil, false, nil
	}
	res, err = stmt.ExecContext(ctx, args...)
	again, err := r.explain(text, err)
	return res, !again, err
}

func (r onPool) query(ctx context.Context, text string, args []any) (rows *sql.Rows, ok bool, err error) {
	stmt := r.statement(ctx, text)
	if stmt == nil {
		return nil, false, nil
	}
	rows, err = stmt.QueryContext(ctx, args...)
	again, err := r.explain(text, err)
	return rows, !again, err
}
