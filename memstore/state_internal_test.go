package memstore

import (
	"fmt"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
)

// The group of records that are gone is gone too, so that many organizations leave nothing behind.
func TestEmptyGroups(t *testing.T) {
	is := is.New(t)
	s := newState()
	for i := range 10 {
		id := fmt.Sprint(i)
		is.NoErr(s.insert([]storage.Record{{ID: id, OrganizationID: id}}))
	}
	is.Equal(s.groups.Len(), 10)
	for i := range 10 {
		s.delete([]string{fmt.Sprint(i)})
	}
	is.Equal(s.groups.Len(), 0)
}
