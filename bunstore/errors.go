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
	plain       class = iota // nothing: the statement failed, no more
	spoiled                  // nothing will be done any more until the level, or the transaction, is rolled back
	aborted                  // the same transaction may be retried
	unready                  // likewise, by a server that does nothing now, ROLLBACK included
	unavailable              // the server cannot do it now; nothing was written, and a retry at once would not help
	gone                     // the transaction is over, and retrying it would not help
	lost                     // the connection is
)

// ends reports whether the transaction is over.
func (c class) ends() bool { return c != plain && c != spoiled }

// failure is an error after which a transaction is of no use any more.
type failure struct {
	kind  error // ErrAborted, ErrUnavailable, ErrOutcomeUnknown, or nil
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
	return s.classed(ctx, err, s.class(err))
}

// classed is err, of class c, with its meaning. Where ctx is done its error is in the chain too: whatever the engine
// calls it, it happened to somebody who does not wait any more.
func (s *Store) classed(ctx context.Context, err error, c class) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	if remedy := s.e.remedy(err); remedy != "" && c != plain {
		err = fmt.Errorf("%s: %w", remedy, err)
	}
	err = joined(ctx.Err(), err)
	switch c {
	case aborted:
		return &failure{kind: storage.ErrAborted, cause: err, again: ctx.Err() == nil}
	case unready:
		return &failure{kind: storage.ErrUnavailable, cause: err, again: ctx.Err() == nil}
	case unavailable:
		return &failure{kind: storage.ErrUnavailable, cause: err}
	case lost:
		return &failure{kind: storage.ErrAborted, cause: err}
	case gone:
		return &failure{cause: err}
	}
	return err
}

// joined is err with the error of a context that has ended, nil where none has, in its chain.
func joined(ended, err error) error {
	if ended == nil || errors.Is(err, ended) {
		return err
	}
	return fmt.Errorf("%w: %w", ended, err)
}

// ended returns the error of a context that has ended: of ctx, or of the one, perhaps shorter, that err says ended.
func ended(ctx context.Context, err error) error {
	switch done := ctx.Err(); {
	case done != nil:
		return done
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return nil
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
	return s.hostsClass(err)
}

// hostsClass is what err means that a function of the host's has returned, which may well talk to others than the
// database.
func (s *Store) hostsClass(err error) class {
	var network *net.OpError
	if errors.Is(err, driver.ErrBadConn) {
		return lost
	}
	c := s.e.class(err)
	if c == plain && errors.As(err, &network) && network.Op == "dial" {
		return unavailable
	}
	return c
}

// Classify gives an error the meaning that the Store's own errors have: a host that has read by itself on [DB], outside
// a transaction, got it from the driver. It implements [storage.Classifier].
func (s *Store) Classify(ctx context.Context, err error) error {
	c := s.class(err)
	if c == plain {
		return err
	}
	return s.classed(ctx, err, c)
}

// text is err's, "" for nil.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// wrap says which operation it was, once.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bunstore: %s: %w", op, err)
}
