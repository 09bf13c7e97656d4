package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What a [Storage] refuses. Match them with [errors.Is]; a store may wrap them and keeps the cause in the chain.
var (
	// ErrNotFound: no record has this id.
	ErrNotFound = errors.New("storage: not found")

	// ErrConflict: the record was changed since it was read, or came twice in one Update. Read again.
	ErrConflict = errors.New("storage: changed by somebody else")

	// ErrExists: the id or the pending slot is taken. It always comes as an [*ExistsError].
	ErrExists = errors.New("storage: id or pending slot already taken")

	// ErrAborted: the engine aborted the transaction (a deadlock, a serialization failure, a lock it would not wait
	// for any longer), or the connection was lost before COMMIT. Nothing was written. Roll back; the same transaction
	// may be retried. Every further statement on the transaction is refused with ErrAborted too.
	ErrAborted = errors.New("storage: transaction aborted, it may be retried")

	// ErrUnavailable: the database cannot do this now. It cannot be reached, is starting or
	// stopping, is full or read-only, or refuses connections. Nothing was written. Try again later.
	ErrUnavailable = errors.New("storage: database unavailable, nothing was written")

	// ErrOutcomeUnknown: COMMIT failed without a refusal by the database, or the transaction ended unnoticed. It may or
	// may not have been committed. Read before trying again.
	ErrOutcomeUnknown = errors.New("storage: connection lost while committing, outcome unknown")
)

// ExistsError is how a [Storage] returns [ErrExists].
type ExistsError struct {
	// Indexes are the positions, ascending, of the arguments that were refused.
	Indexes []int
}

// Error names the positions.
func (e *ExistsError) Error() string {
	return fmt.Sprintf("%v: records %s", ErrExists, strings.Trim(fmt.Sprint(e.Indexes), "[]"))
}

// Unwrap returns [ErrExists].
func (e *ExistsError) Unwrap() error { return ErrExists }

// Taken is the meaning of [ErrExists], in Go: the reference for every store. It returns the [*ExistsError] of the
// records that one Insert or Update must refuse, or nil if it refuses none. held reports whether a stored record that
// the call does not replace has the id or the pending slot of a record. So do the records that Taken accepted before
// it.
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

// Classifier is an optional interface of a [Storage] that lends its database handle to hosts. Classify adds
// [ErrAborted] or [ErrUnavailable] to the chain of a database error that a host got on that handle. It also adds the
// error of ctx if ctx has ended. It returns every other error, and nil, unchanged.
type Classifier interface {
	Classify(ctx context.Context, err error) error
}

// Classify calls the [Classifier] of s, or of the Storage that s wraps (method Unwrap() Storage). Without one it
// returns err unchanged.
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

// maxWrappers ends the search through wrappers, of which one may have itself inside.
const maxWrappers = 100
