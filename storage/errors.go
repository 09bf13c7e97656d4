package storage

import (
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

	// ErrAborted: the engine gave the transaction up (a deadlock, a serialization failure, a lock it would not
	// wait for any longer). Roll back; the same transaction may be run again. Every further statement on the
	// transaction is refused with ErrAborted too.
	ErrAborted = errors.New("storage: transaction aborted, it may be run again")

	// ErrOutcomeUnknown: the connection was lost while committing. The transaction may have been committed or
	// not; read before trying again.
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
