// Package storagekit has what stores on a database have in common. It is for authors of a [storage.Storage]. Each part
// can be used without the others:
//
//   - [NewSearch] and [Terms] turn a filter and an order into conditions that a database can evaluate. [Page] sorts in
//     Go, for a database that cannot. [Texts] cleans a list of texts.
//   - [Validate] and [ValidateKey] check arguments.
//   - [InsertRefusal] and [UpdateRefusal] return the error with which a write must be refused.
//   - [Retry] retries a transaction that the database has aborted.
//   - [Turns] is the frame of a transaction: one call at a time, and a RunInTx that returns nil only after a commit.
//   - [Outlive] is for statements that must not be cut short, and [ContextError] for drivers with timers of their own.
//
// The stores of this project, and the two stores in storage/examples, are built with it. The package imports only the
// standard library and package storage.
package storagekit

import (
	"fmt"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// Validate returns an error for the first of records that [storage.Record.Validate] refuses. The error has the index of
// that record.
func Validate(records []storage.Record) error {
	for i, r := range records {
		if err := r.Validate(); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
	}
	return nil
}

// ValidateKey returns an error for a key that [storage.Storage].Lock refuses: one of more than [storage.MaxReference]
// bytes, and one that [storage.ValidText] does not accept.
func ValidateKey(key string) error {
	if len(key) > storage.MaxReference || !storage.ValidText(key) {
		return fmt.Errorf("key of Lock is longer than %d bytes, not valid UTF-8, or holds a NUL", storage.MaxReference)
	}
	return nil
}

// Texts returns the texts of list that [storage.ValidText] accepts, each once, in their order. It is nil only for nil.
func Texts(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, 0, len(list))
	if len(list) <= 8 { // no map for the usual short lists
		for _, s := range list {
			if storage.ValidText(s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out
	}
	seen := make(map[string]struct{}, len(list))
	for _, s := range list {
		if _, again := seen[s]; !again && storage.ValidText(s) {
			seen[s] = struct{}{}
			out = append(out, s)
		}
	}
	return out
}
