package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The errors of a [Storage]. Match them with [errors.Is]. A store may wrap them; it keeps the cause in the chain.
var (
	// ErrNotFound: no record has this id.
	ErrNotFound = errors.New("storage: not found")

	// ErrConflict: the record was changed since it was read, or was passed twice to one Update. Read it again.
	ErrConflict = errors.New("storage: changed by somebody else")

	// ErrExists: the id or the pending slot is taken. It is always returned as an [*ExistsError].
	ErrExists = errors.New("storage: id or pending slot already taken")

	// ErrAborted: the database aborted the transaction, or the connection was lost before COMMIT. Causes are a
	// deadlock, a serialization failure and a lock timeout. Nothing was written. Every further statement on the
	// transaction returns ErrAborted too. Roll the transaction back; it may be retried.
	ErrAborted = errors.New("storage: transaction aborted, it may be retried")

	// ErrUnavailable: the database cannot be reached, is starting or stopping, is full or read-only, or refuses
	// connections. Nothing was written. Try again later.
	ErrUnavailable = errors.New("storage: database unavailable, nothing was written")

	// ErrOutcomeUnknown: the transaction may or may not have been committed. COMMIT failed but was not refused by the
	// database, or the transaction ended unnoticed. Read the records before trying again.
	ErrOutcomeUnknown = errors.New("storage: connection lost while committing, outcome unknown")
)

// ExistsError reports which arguments were refused with [ErrExists].
type ExistsError struct {
	// Indexes are the positions of the refused arguments, in ascending order.
	Indexes []int
}

// Error names the positions of the refused arguments.
func (e *ExistsError) Error() string {
	return fmt.Sprintf("%v: records %s", ErrExists, strings.Trim(fmt.Sprint(e.Indexes), "[]"))
}

// Unwrap returns [ErrExists].
func (e *ExistsError) Unwrap() error { return ErrExists }

// Taken defines in Go when a store returns [ErrExists]. Every store must agree with it. It returns the [*ExistsError]
// of the records that one Insert or Update must refuse, or nil if it refuses none. Taken goes through the records in
// order. It refuses a record if held returns true for it, or if a record that it has let through has the same id or
// pending slot. held(r) must report whether a stored record has the id of r, or holds the pending slot that r needs. It
// must ignore the stored records that the call replaces.
func Taken(records []Record, held func(Record) bool) error {
	type slot struct{ organizationID, emailKey string }
	var refused []int
	ids, slots := make(map[string]bool, len(records)), make(map[slot]bool, len(records))
	for i, r := range records {
		at, pending := slot{r.OrganizationID, r.EmailKey}, r.Status == Pending
		if ids[r.ID] || pending && slots[at] || held(r) {
			refused = append(refused, i)
			continue
		}
		ids[r.ID] = true
		if pending {
			slots[at] = true
		}
	}
	if refused == nil {
		return nil
	}
	return &ExistsError{Indexes: refused}
}

// Classifier is an optional interface of a [Storage] that lends its database handle to the host. Classify adds
// [ErrAborted] or [ErrUnavailable] to the chain of an error that the host got from the database on that handle. If ctx
// has ended, Classify also adds the error of ctx. A nil error and every other error are returned unchanged.
type Classifier interface {
	Classify(ctx context.Context, err error) error
}

// Classify calls the [Classifier] of s, or of the Storage that s wraps. A wrapper has a method Unwrap() Storage. If
// there is no Classifier, Classify returns err unchanged.
func Classify(ctx context.Context, s Storage, err error) error {
	for range maxWrappers {
		switch t := s.(type) {
		case Classifier:
			return t.Classify(ctx, err)
		case interface{ Unwrap() Storage }:
			s = t.Unwrap()
		default:
			return err
		}
	}
	return err
}

// maxWrappers bounds the search through wrappers, because a wrapper may contain itself.
const maxWrappers = 100
