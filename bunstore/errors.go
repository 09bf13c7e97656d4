package bunstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

var (
	errFinished = errors.New("the transaction's function has returned, its handle is of no use any more")
	errOuter    = errors.New("a level of this transaction is open: use the Storage its function was given")
	errNoTx     = errors.New("only inside a transaction")
	errGone     = errors.New("the transaction has ended while the host had its handle: return the errors of statements, " +
		"rows.Err included, and leave COMMIT and ROLLBACK to whoever began it")
	errSpoiled = errors.New("a statement has failed, and nothing more is done until this level is rolled back")
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
	if remedy := s.e.errors.remedy(err); remedy != "" && c != plain {
		err = fmt.Errorf("%s: %w", remedy, err)
	}
	over := done(ctx)
	err = joined(over, err)
	switch c {
	case aborted:
		return &failure{kind: storage.ErrAborted, cause: err, again: over == nil}
	case unready:
		return &failure{kind: storage.ErrUnavailable, cause: err, again: over == nil}
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

// done returns the error of a context that has ended. One whose deadline has passed has, though its timer may be late:
// a driver with timers of its own can be faster.
func done(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// ended returns the error of a context that has ended: of ctx, or of the one, perhaps shorter, that err says ended.
func ended(ctx context.Context, err error) error {
	if over := done(ctx); over != nil {
		return over
	}
	for _, over := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, over) {
			return over
		}
	}
	return nil
}

// class is what err, of a statement of ours, means: to what the engine knows it adds what database/sql and the network
// know.
func (s *Store) class(err error) class {
	c := s.e.errors.class(err)
	if n := networkClass(err); n == lost || c == plain {
		return n
	}
	return c
}

// networkClass is what err means where the network is what has failed.
func networkClass(err error) class {
	var network *net.OpError
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, net.ErrClosed):
		return lost
	case !errors.As(err, &network):
		return plain
	case network.Op == "dial": // nothing has been sent
		return unavailable
	}
	return lost
}

// hostsClass is what err means that a function of the host's has returned, which may well talk to others than the
// database, and quote what its user has written. Only an error that a driver has made counts.
func (s *Store) hostsClass(err error) class {
	if errors.Is(err, driver.ErrBadConn) {
		return lost
	}
	for e := range chain(err) {
		if made(e) {
			return s.e.errors.class(e)
		}
	}
	return plain
}

// made reports whether a driver has made err itself, and not only what it wraps.
func made(err error) bool {
	switch err.(type) {
	case interface{ SQLState() string }, interface{ Field(k byte) string }, interface{ Code() int }:
		return true // pgx and lib/pq, pgdriver, SQLite
	}
	switch err.Error() {
	case "conn closed", "invalid connection": // pgx, go-sql-driver
		return true
	}
	if strings.HasPrefix(err.Error(), "ValidateConnect failed: ") { // pgx, where no server of several will do
		return true
	}
	v := reflect.Indirect(reflect.ValueOf(err))
	return v.Kind() == reflect.Struct && v.Type().Name() == "MySQLError"
}

// Classify adds [storage.ErrAborted] or [storage.ErrUnavailable] to an error that a host got from the driver, on the
// handle of [DB], so that it means what an error of the Store means. It implements [storage.Classifier].
func (s *Store) Classify(ctx context.Context, err error) error {
	if s == nil || s.err != nil {
		return err
	}
	c := s.hostsClass(err)
	if c == plain && !s.inTx() { // in a transaction the connection is there
		c = networkClass(err)
	}
	switch {
	case c == plain:
		return err
	case c == spoiled && s.inTx(): // it does nothing more until it is rolled back
		return &failure{kind: storage.ErrAborted, cause: err}
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
