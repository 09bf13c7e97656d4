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
	"github.com/orginvite/orginvite/storage/storagekit"
)

var (
	errNoTx  = errors.New("only inside a transaction")
	errEnded = errors.New("the transaction has ended while the host had its handle: return the errors of statements, " +
		"rows.Err included, and leave COMMIT and ROLLBACK to whoever began it")
	errOldSnapshot = errors.New("the transaction's snapshot is older than what others have committed since: " +
		"make this call before the transaction's first read, or begin it READ COMMITTED")
	errRowGone = errors.New("the conflicting row is gone; retry the transaction")
)

// class says what an error means for its transaction.
type class int

const (
	plain       class = iota // only the statement failed; the transaction goes on
	unusable                 // the transaction, or the nested one, does nothing until it is rolled back
	aborted                  // the same transaction may be retried
	notReady                 // may be retried too, but the server now refuses everything, even ROLLBACK
	unavailable              // the server cannot do it now; nothing was written; an immediate retry does not help
	ended                    // the transaction is over; a retry does not help
	lost                     // the connection is lost
)

// verdict is what an error means.
type verdict struct {
	class  class
	remedy string // what to do about it, or ""
	// breach: a unique index has refused the statement.
	breach bool
	// uncertain: if COMMIT returns this error, the transaction may have been committed nevertheless. The error is not
	// the database's own answer, or the server says with it that it is stopping.
	uncertain bool
	// noSavepoint: a savepoint of ours no longer exists.
	noSavepoint bool
	// unprepared: a prepared statement no longer exists, or no longer fits the tables.
	unprepared bool
}

// endsTx reports whether the transaction is over.
func (v verdict) endsTx() bool { return v.class != plain && v.class != unusable }

// judge returns the verdict on err, the error of one of the Store's own statements. It considers errors of the engine,
// of database/sql and of the network. The verdict on nil is the zero value.
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

// judgeReturned returns the verdict on err, which a function of the host has returned. Such a function may also call
// other services, or quote a user's text. So only an error that a driver has made counts.
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

// networkClass returns the class of an error of the network, or plain for any other error.
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

// explain judges err, the error of one of the Store's own statements, and returns it as verdict.explain does.
func (s *Store) explain(ctx context.Context, err error) error { return s.judge(err).explain(ctx, err) }

// explain adds the verdict v to err. If v ends the transaction, explain returns err as a failure, otherwise unchanged.
// If ctx has ended, its error is added to the chain.
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
	over := storagekit.ContextError(ctx)
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

// joined returns err with over in its chain. over is the error of a context that has ended, or nil.
func joined(over, err error) error {
	if over == nil || errors.Is(err, over) {
		return err
	}
	return fmt.Errorf("%w: %w", over, err)
}

// made reports whether a driver has made err itself. It does not look at what err wraps.
func made(err error) bool {
	switch err.(type) {
	case interface{ SQLState() string }, interface{ Field(k byte) string }, interface{ Code() int }:
		return true // pgx and lib/pq, pgdriver, SQLite
	}
	switch err.Error() {
	case "conn closed", "invalid connection": // pgx, go-sql-driver
		return true
	}
	if strings.HasPrefix(err.Error(), "ValidateConnect failed: ") { // pgx, if none of several servers is suitable
		return true
	}
	v := reflect.Indirect(reflect.ValueOf(err))
	return v.Kind() == reflect.Struct && v.Type().Name() == "MySQLError"
}

// fromDriver reports whether a driver has made err or something that it wraps.
func fromDriver(err error) bool {
	for e := range chain(err) {
		if made(e) {
			return true
		}
	}
	return false
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

// Classify adds [storage.ErrAborted] or [storage.ErrUnavailable] to an error that the host got from the driver on the
// handle of [DB]. The host can then treat it like an error of the Store. Classify implements [storage.Classifier].
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

// wrap adds the name of the operation to err.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bunstore: %s: %w", op, err)
}
