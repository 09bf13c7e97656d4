package bunstore

import "context"

// turns makes calls take turns on a connection, a transaction or a nested transaction. An open nested transaction holds
// the turn of its outer one, so every statement runs in the transaction it was meant for.
type turns struct {
	outer  *turns
	tx     *txState      // nil: a connection, no transaction
	turn   chan struct{} // full while somebody has the turn
	closed bool          // set by the holder of the turn; nested ones are closed before
	failed error         // makes the transaction, or the nested one, unusable until it is rolled back
}

func newTurns(outer *turns, tx *txState) *turns {
	return &turns{outer: outer, tx: tx, turn: make(chan struct{}, 1)}
}

// close makes every later call return an error. It first waits for a call that a goroutine of fn is still running.
func (t *turns) close() {
	t.turn <- struct{}{}
	t.closed = true
	<-t.turn
}

// usable returns why the transaction cannot be used, or nil if it can. Only the holder of the turn may call it.
func (t *turns) usable(ctx context.Context) error {
	if t.closed {
		return errFinished
	}
	if t.tx != nil {
		if failure := t.tx.failure(); failure != nil {
			return joined(ctx.Err(), failure)
		}
		if t.failed != nil {
			return t.failed
		}
	}
	return ctx.Err()
}

// turnsKey is the key of the turns in the context of fn. With them, enter can tell a call that has to wait for its turn
// from a call that would wait for itself.
type turnsKey struct{}

// enter acquires exclusive use of the connection, if the Store has one. If it returns nil, the caller must call leave.
func (s *Store) enter(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	if s.turns == nil {
		return ctx.Err()
	}
	select {
	case s.turns.turn <- struct{}{}:
	default:
		for t, _ := ctx.Value(turnsKey{}).(*turns); t != nil; t = t.outer {
			if t.outer == s.turns {
				return errOuter
			}
		}
		select {
		case s.turns.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := s.turns.usable(ctx)
	if err != nil {
		s.leave()
	}
	return err
}

func (s *Store) leave() {
	if s.turns != nil {
		<-s.turns.turn
	}
}
