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

	"github.com/orginvite/orginvite/storage"
)

var (
	errFinished = errors.New("the transaction's function has returned, and its Storage can no longer be used")
	errOuter    = errors.New("a level of this transaction is open: use the Storage its function was given")
	errNoTx     = errors.New("only inside a transaction")
	errEnded    = errors.New("the transaction has ended while the host had its handle: return the errors of statements, " +
		"rows.Err included, and leave COMMIT and ROLLBACK to whoever began it")
	errUnusable = errors.New("a statement has failed, and nothing more is done until its transaction, or the nested one " +
		"it ran in, is rolled back")
	errOldSnapshot = errors.New("the transaction's snapshot is older than what others have committed since: " +
		"make this call before the transaction's first read, or begin it READ COMMITTED")
	errRowGone = errors.New("the conflicting row is gone; retry the transaction")
)

// class is what an error means for the transaction it happened in.
type class int

const (
	plain       class = iota // nothing: only the statement failed
	unusable                 // nothing more is done until the transaction, or the nested one it ran in, is rolled back
	aborted                  // the same transaction may be retried
	notReady                 // likewise, by a server that does nothing now, ROLLBACK included
	unavailable              // the server cannot do it now; nothing was written, and a retry at once would not help
	ended                    // the transaction is over, and retrying it would not help
	lost                     // the connection is
)

// verdict is what an error means.
type verdict struct {
	class  class
	remedy string // what to do about it; "" where nothing is to be said
	// breach: a unique index has refused the statement.
	breach bool
	// uncertain: as the error of a COMMIT it does not prove that nothing was committed. It is not the database's own
	// answer, or one by which a server says that it stops.
	uncertain bool
	// noSavepoint: a savepoint of ours no longer exists.
	noSavepoint bool
}

// endsTx reports whether the transaction is over.
func (v verdict) endsTx() bool { return v.class != plain && v.class != unusable }

// judge returns the verdict on err, an error of a statement of ours: what the engine knows, and what database/sql and
// the network know. The verdict on nil is the zero one.
func (s *Store) judge(err error) verdict {
	if err == nil {
		return verdict{}
	}
	v := s.e.errors.judge(err)
	if n := networkClass(err); n == lost || v.class == plain {
		v.class = n
	}
	return v
}

// judgeReturned is the verdict on err that a function of the host's has returned. The function may well talk to others
// than the database, and quote what its user has written: only an error that a driver has made counts.
func (s *Store) judgeReturned(err error) verdict {
	if errors.Is(err, driver.ErrBadConn) {
		return verdict{class: lost, uncertain: true}
	}
	for e := range chain(err) {
		if made(e) {
			return s.e.errors.judge(e)
		}
	}
	return verdict{}
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

// failure is an error that makes a transaction unusable.
type failure struct {
	kind  error // ErrAborted, ErrUnavailable, ErrOutcomeUnknown, or nil
	cause error
	retry bool // retrying the transaction may help
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

// explain judges err, an error of a statement of ours, and returns it with its meaning.
func (s *Store) explain(ctx context.Context, err error) error { return s.judge(err).explain(ctx, err) }

// explain returns err, on which v is the verdict, with its meaning: as a failure if it ends the transaction, otherwise
// unchanged. Where ctx has ended its error is in the chain too, whatever the engine calls it.
func (v verdict) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	if v.remedy != "" && v.class != plain {
		err = fmt.Errorf("%s: %w", v.remedy, err)
	}
	over := contextError(ctx)
	err = joined(over, err)
	switch v.class {
	case aborted:
		return &failure{kind: storage.ErrAborted, cause: err, retry: over == nil}
	case notReady:
		return &failure{kind: storage.ErrUnavailable, cause: err, retry: over == nil}
	case unavailable:
		return &failure{kind: storage.ErrUnavailable, cause: err}
	case lost:
		return &failure{kind: storage.ErrAborted, cause: err}
	case ended:
		return &failure{cause: err}
	}
	return err
}

// joined is err with the error of a context that has ended, nil where none has, in its chain.
func joined(over, err error) error {
	if over == nil || errors.Is(err, over) {
		return err
	}
	return fmt.Errorf("%w: %w", over, err)
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

// chain yields err and everything it wraps.
func chain(err error) func(yield func(error) bool) {
	return func(yield func(error) bool) {
		var walk func(error) bool
		walk = func(err error) bool {
			if err == nil {
				return true
			}
			if !yield(err) {
				return false
			}
			switch w := err.(type) {
			case interface{ Unwrap() error }:
				return walk(w.Unwrap())
			case interface{ Unwrap() []error }:
				for _, err := range w.Unwrap() {
					if !walk(err) {
						return false
					}
				}
			}
			return true
		}
		walk(err)
	}
}

// Classify adds [storage.ErrAborted] or [storage.ErrUnavailable] to an error that a host got from the driver, on the
// handle of [DB], so that it means what an error of the Store means. It implements [storage.Classifier].
func (s *Store) Classify(ctx context.Context, err error) error {
	if s == nil || s.err != nil {
		return err
	}
	v := s.judgeReturned(err)
	if v.class == plain && !s.inTx() { // in a transaction the connection is there
		v.class = networkClass(err)
	}
	switch {
	case v.class == plain:
		return err
	case v.class == unusable && s.inTx():
		return &failure{kind: storage.ErrAborted, cause: err}
	}
	return v.explain(ctx, err)
}

// wrap says which operation it was, once.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bunstore: %s: %w", op, err)
}
