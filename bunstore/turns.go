package bunstore

import "context"

// turns lets calls take turns on a connection, a transaction on it, or a nested one. An open nested transaction has the
// turn of the one around it, so that every statement runs in the transaction it was meant for.
type turns struct {
	outer  *turns
	tx     *txState      // nil: a connection, no transaction
	turn   chan struct{} // full while somebody has the turn
	closed bool          // set by the one that has the turn; those inside are closed by then
	failed error         // makes the transaction, or the nested one, unusable until it is rolled back
}

func newTurns(outer *turns, tx *txState) *turns {
	return &turns{outer: outer, tx: tx, turn: make(chan struct{}, 1)}
}

// close makes every later call an error. It waits for one that a goroutine of fn's has left behind.
func (t *turns) close() {
	t.turn <- struct{}{}
	t.closed = true
	<-t.turn
}

// usable returns why the transaction cannot be used, nil where it can. Only the one that has the turn may ask.
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

// turnsKey is where the context of fn says which transaction it is in. It tells a goroutine that has to wait for its
// turn from one that would wait for itself.
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
