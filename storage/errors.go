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

	// ErrAborted: the database aborted the transaction, after a deadlock, a serialization failure or a lock timeout. Or
	// an open connection was lost before COMMIT, perhaps because the server is stopping. Nothing was written. Every
	// further call on the transaction returns ErrAborted too, and so does its RunInTx, even if its function ignored the
	// error. Roll the transaction back; it may be retried.
	ErrAborted = errors.New("storage: transaction aborted, it may be retried")

	// ErrUnavailable: the database cannot be reached, refuses a new connection, perhaps because it is starting or
	// stopping, or is full or read-only. Nothing was written. Try again later.
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
// pending slot. For Insert, held(r) must report whether a stored record has the id of r, or holds the pending slot that
// r needs. For Update, held(r) must report whether a stored record with another id holds that slot.
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
// [ErrAborted] or [ErrUnavailable] to the chain of an error that the host got from the database on that handle. To such
// an error it also adds the error of ctx if ctx has ended. It returns nil for nil, and every other error unchanged.
// Classify does not make the transaction unusable: the error that the function of RunInTx returns does so.
type Classifier interface {
	Classify(ctx context.Context, err error) error
}

// Classify calls the [Classifier] that [As] finds in s. If there is none, Classify returns err unchanged.
func Classify(ctx context.Context, s Storage, err error) error {
	if c, ok := As[Classifier](s); ok {
		return c.Classify(ctx, err)
	}
	return err
}
