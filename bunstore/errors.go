package bunstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/orginvite/orginvite/storage"
)

var (
	errFinished = errors.New("the transaction's function has returned, its handle is of no use any more")
	errOuter    = errors.New("a level of this transaction is open: use the Storage its function was given")
	errNoTx     = errors.New("only inside a transaction")
)

// class is what an error of the engine means for the transaction it happened in.
type class int

const (
	plain   class = iota // nothing: the statement failed, no more
	aborted              // given up; the same transaction may be run again
	gone                 // given up, and running it again would not help
	lost                 // the connection is
)

// failure is an error after which a transaction is of no use any more.
type failure struct {
	kind  error // ErrAborted, ErrOutcomeUnknown, or nil
	cause error
	again bool // running it again may help
}

func (f *failure) Error() string {
	if f.kind == nil {
		return f.cause.Error()
	}
	return fmt.Sprintf("%v: %v", f.kind, f.cause)
}

func (f *failure) Unwrap() []error {
	if f.kind == nil {
		return []error{f.cause}
	}
	return []error{f.kind, f.cause}
}

// failed gives an error of a statement its meaning. Errors the caller knows already come back as they are.
func (s *Store) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	done := ctx.Err()
	if done != nil && !errors.Is(err, done) {
		// Whatever the engine calls it: it happened to somebody who does not wait any more.
		err = fmt.Errorf("%w: %w", done, err)
	}
	switch s.class(err) {
	case aborted:
		return &failure{kind: storage.ErrAborted, cause: err, again: done == nil}
	case lost:
		return &failure{kind: storage.ErrAborted, cause: err}
	case gone:
		return &failure{cause: err}
	}
	return err
}

// class adds to what the engine knows what database/sql knows.
func (s *Store) class(err error) class {
	if errors.Is(err, driver.ErrBadConn) {
		return lost
	}
	return s.e.class(err)
}

// wrap says which operation it was, once.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bunstore: %s: %w", op, err)
}
