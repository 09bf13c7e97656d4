package storagekit

import (
	"cmp"

	"github.com/orginvite/orginvite/storage"
)

// Slot is a pending slot: an address in an organization.
type Slot struct{ OrganizationID, EmailKey string }

// Slots returns the slots that records need: those of the records with the stored status Pending.
func Slots(records []storage.Record) []Slot {
	var slots []Slot
	for _, r := range records {
		if r.Status == storage.Pending {
			slots = append(slots, Slot{r.OrganizationID, r.EmailKey})
		}
	}
	return slots
}

// Stored looks up what is stored before a write. The functions may be called any number of times, for any id or slot of
// the write.
type Stored struct {
	Version func(id string) int64  // the version of the record with this id, or 0 if there is none
	Holder  func(slot Slot) string // the id of the record that holds the slot, or "" if it is free
}

// StoredIn returns a Stored that looks in records. These must be all stored records that have an id of the write, or
// hold a slot that it needs. Others among them, and the same record twice, do no harm. Only their ID, Version,
// OrganizationID, EmailKey and Status count.
func StoredIn(records []storage.Record) Stored {
	versions := make(map[string]int64, len(records))
	holders := make(map[Slot]string, len(records))
	for _, r := range records {
		versions[r.ID] = r.Version
		if r.Status == storage.Pending {
			holders[slotOf(r)] = r.ID
		}
	}
	return Stored{
		Version: func(id string) int64 { return versions[id] },
		Holder:  func(slot Slot) string { return holders[slot] },
	}
}

// CompareSlots orders records by the slots that they need or would need, and then by ID. Insert takes slots in this
// order: see [storage.Storage].
func CompareSlots(a, b storage.Record) int {
	return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), cmp.Compare(a.EmailKey, b.EmailKey),
		cmp.Compare(a.ID, b.ID))
}

// InsertRefusal returns the error with which Insert must refuse records, or nil: see [storage.Storage].
func InsertRefusal(records []storage.Record, stored Stored) error {
	return storage.Taken(records, func(r storage.Record) bool {
		return stored.Version(r.ID) != 0 || r.Status == storage.Pending && stored.Holder(slotOf(r)) != ""
	})
}

// UpdateRefusal returns the error with which Update must refuse records, or nil: see [storage.Storage].
func UpdateRefusal(records []storage.Record, stored Stored) error {
	seen := make(map[string]bool, len(records))
	conflict := false
	for _, r := range records {
		switch version := stored.Version(r.ID); {
		case version == 0:
			return storage.ErrNotFound
		case version != r.Version, seen[r.ID]:
			conflict = true
		}
		seen[r.ID] = true
	}
	if conflict {
		return storage.ErrConflict
	}
	return storage.Taken(records, func(r storage.Record) bool {
		if r.Status != storage.Pending {
			return false
		}
		holder := stored.Holder(slotOf(r))
		return holder != "" && holder != r.ID
	})
}

func slotOf(r storage.Record) Slot { return Slot{r.OrganizationID, r.EmailKey} }
