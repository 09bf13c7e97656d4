package bunstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/orginvite/orginvite/storage"
)

var (
	errFinished = errors.New("the transaction's function has returned, its handle is of no use any more")
	errOuter    = errors.New("a level of this transaction is open: use the Storage its function was given")
	errNoTx     = errors.New("only inside a transaction")
	errSpoiled  = errors.New("a statement has failed, and nothing more is done until this level is rolled back")
)

// class is what an error of the engine means for the transaction it happened in.
type class int

const (
	plain   class = iota // nothing: the statement failed, no more
	spoiled              // nothing will be done any more until the level, or the transaction, is rolled back
	aborted              // given up; the same transaction may be run again
	unready              // likewise, by a server that does nothing now; what COMMIT has done nobody knows
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
	c := s.class(err)
	done := ctx.Err()
	if done != nil && !errors.Is(err, done) {
		// Whatever the engine calls it: it happened to somebody who does not wait any more.
		err = fmt.Errorf("%w: %w", done, err)
	}
	switch c {
	case aborted, unready:
		return &failure{kind: storage.ErrAborted, cause: err, again: done == nil}
	case lost:
		return &failure{kind: storage.ErrAborted, cause: err}
	case gone:
		return &failure{cause: err}
	}
	return err
}

// class is what err, of a statement of ours, means: to what the engine knows it adds what database/sql and the network
// know.
func (s *Store) class(err error) class {
	var network *net.OpError
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, net.ErrClosed):
		return lost
	case errors.As(err, &network) && network.Op != "dial": // nothing has been sent by who cannot connect
		return lost
	}
	return s.e.class(err)
}

// hostsClass is what err means that fn has returned, who may well talk to others than the database.
func (s *Store) hostsClass(err error) class {
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
