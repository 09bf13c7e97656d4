package storagekit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// resolved is a status that means nothing to a store.
const resolved = "accepted"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func list(texts ...string) []string { return append([]string{}, texts...) }

func TestTexts(t *testing.T) {
	is := is.New(t)
	is.True(storagekit.Texts(nil) == nil)
	is.Equal(storagekit.Texts(list()), list())
	is.Equal(storagekit.Texts(list("\xff", "a\x00")), list())
	is.Equal(storagekit.Texts(list("b", "a", "b", "", "\xff")), list("b", "a", ""))
	var many []string // more than are compared one by one
	for i := range 20 {
		many = append(many, fmt.Sprint(i), "\xff", fmt.Sprint(i))
	}
	got := storagekit.Texts(many)
	is.Equal(len(got), 20)
	for i, s := range got {
		is.Equal(s, fmt.Sprint(i))
	}
}

func TestValidate(t *testing.T) {
	is := is.New(t)
	is.NoErr(storagekit.Validate([]storage.Record{{ID: "a"}, {ID: "b"}}))
	err := storagekit.Validate([]storage.Record{{ID: "a"}, {}})
	is.True(err != nil && strings.HasPrefix(err.Error(), "record 1: "))
}

func TestValidateKey(t *testing.T) {
	is := is.New(t)
	for _, key := range []string{"", "a", strings.Repeat("a", storage.MaxReference)} {
		is.NoErr(storagekit.ValidateKey(key))
	}
	for _, key := range []string{"\xff", "a\x00", strings.Repeat("a", storage.MaxReference+1)} {
		is.True(storagekit.ValidateKey(key) != nil)
	}
}

// meets reports whether s accepts a record. It reads what a database would read.
func meets(s storagekit.Search, r storage.Record) bool {
	f := s.Filter
	f.Statuses, f.StoredStatuses = nil, nil
	return f.Match(r) && (s.Conditions == nil || slices.ContainsFunc(s.Conditions, func(c storagekit.Condition) bool {
		return c.Status == r.Status && (c.Expiry == storagekit.AnyExpiry ||
			c.Expiry == storagekit.NotExpired == r.ExpiresAt.After(s.Now))
	}))
}

// A Search accepts what its Filter accepts, in all combinations of statuses.
func TestSearchStatuses(t *testing.T) {
	is := is.New(t)
	statuses := []string{storage.Pending, resolved, storage.Expired, "\xff"}
	subsets := [][]string{nil}
	for n := range 1 << len(statuses) {
		subset := list()
		for i, s := range statuses {
			if n>>i&1 == 1 {
				subset = append(subset, s, s)
			}
		}
		subsets = append(subsets, subset)
	}
	for _, effective := range subsets {
		for _, stored := range subsets {
			f := storage.Filter{Statuses: effective, StoredStatuses: stored, Now: noon.Add(999)}
			search, ok := storagekit.NewSearch(f)
			seen := map[string]bool{}
			for _, c := range search.Conditions {
				is.True(!seen[c.Status])
				seen[c.Status] = true
				is.True(c.Expiry == storagekit.AnyExpiry || c.Status == storage.Pending)
			}
			any := false
			for _, status := range statuses[:3] {
				for _, expires := range []time.Time{noon.Add(-time.Microsecond), noon, noon.Add(time.Microsecond)} {
					r := storage.Record{Status: status, ExpiresAt: expires}
					any = any || f.Match(r)
					is.Equal(ok && meets(search, r), f.Match(r))
				}
			}
			is.True(any || !ok) // nothing to ask where nothing can match
		}
	}
}

func TestSearch(t *testing.T) {
	is := is.New(t)
	given := storage.Filter{
		IDs: list("a", "\xff", "a"), EmailKeys: list("k", "k"), OrganizationID: "o", EmailContains: "c",
		InviterUserID: "i", Direct: true, ResolvedBefore: noon.Add(999).In(time.FixedZone("", 3600)),
		Now: time.Unix(1<<60, 0), Roles: list("r", "r", "\xff"), SentAfter: noon.Add(999),
		CreatedFrom: noon.Add(1), CreatedBefore: time.Unix(1<<60, 0), ExpiresFrom: time.Unix(-1<<60, 0),
		ExpiresBefore: noon.Add(2),
	}
	s, ok := storagekit.NewSearch(given)
	is.True(ok)
	want := given
	want.IDs, want.EmailKeys, want.ResolvedBefore, want.Now = list("a"), list("k"), noon, storage.Instant(given.Now)
	want.Roles, want.SentAfter = list("r"), noon
	want.CreatedFrom, want.CreatedBefore = noon, storage.Instant(given.CreatedBefore)
	want.ExpiresFrom, want.ExpiresBefore = time.Time{}, noon
	is.Equal(s.Filter, want)
	is.True(s.Conditions == nil)

	for _, none := range []storage.Filter{
		{IDs: list()}, {IDs: list("\xff")}, {EmailKeys: list()}, {EmailKeys: list("\x00")}, {Roles: list()},
		{OrganizationID: "\xff"}, {EmailContains: "\xff"}, {InviterUserID: "\xff"},
		{Statuses: list()}, {StoredStatuses: list()}, {StoredStatuses: list(resolved), Statuses: list("x")},
		{ResolvedBefore: time.Time{}.Add(1)}, {ResolvedBefore: time.Unix(-1<<60, 0)},
		{Roles: list()}, {Roles: list("\xff")}, {CreatedBefore: time.Time{}.Add(1)}, {ExpiresBefore: time.Time{}.Add(1)},
	} {
		_, ok := storagekit.NewSearch(none)
		is.True(!ok)
	}
}

// A record comes after a position if it does so in a term, and equals it in all terms before.
func TestTerms(t *testing.T) {
	is := is.New(t)
	is.Equal(storagekit.Terms(storage.Query{}), []storagekit.Term{
		{Field: storage.FieldCreatedAt, Descending: true}, {Field: storagekit.FieldID, Descending: true},
	})
	after := storage.Record{
		ID: "i", EmailKey: "k", EmailAddress: "other",
		CreatedAt: noon.Add(999), ExpiresAt: noon.Add(1000).In(time.FixedZone("", 60)),
	}
	q := storage.Query{After: &after, Sort: []storage.Sort{
		{Field: storage.FieldExpiresAt, Descending: true}, {Field: storage.FieldEmailAddress},
		{Field: storage.FieldExpiresAt}, {Field: storage.FieldCreatedAt},
	}}
	is.Equal(storagekit.Terms(q), []storagekit.Term{
		{Field: storage.FieldExpiresAt, Descending: true, Value: noon.Add(1000)},
		{Field: storage.FieldEmailAddress, Value: "k"},
		{Field: storage.FieldCreatedAt, Value: noon},
		{Field: storagekit.FieldID, Value: "i"},
	})
	is.Equal(len(q.Sort), 4) // it is the caller's

	// The tie-break has the direction of the last field, also of one that is left out because it was named before.
	q.Sort = []storage.Sort{{Field: storage.FieldCreatedAt}, {Field: storage.FieldCreatedAt, Descending: true}}
	terms := storagekit.Terms(q)
	is.Equal(len(terms), 2)
	is.True(!terms[0].Descending && terms[1].Descending)
	b := after
	b.ID = "h"
	is.True(q.Compare(b, after) > 0)
}

// Spare capacity of the caller's Sort is the caller's.
func TestTermsKeepSort(t *testing.T) {
	is := is.New(t)
	sorts := make([]storage.Sort, 1, 2)
	sorts[0].Field = storage.FieldCreatedAt
	storagekit.Terms(storage.Query{Sort: sorts})
	is.Equal(sorts[:2][1], storage.Sort{})
}

func TestRefusals(t *testing.T) {
	pending := func(id, key string, version int64) storage.Record {
		return storage.Record{ID: id, OrganizationID: "o", EmailKey: key, Status: storage.Pending, Version: version}
	}
	accepted := func(id, key string, version int64) storage.Record {
		r := pending(id, key, version)
		r.Status = resolved
		return r
	}
	// a and b are pending, c is not.
	versions := map[string]int64{"a": 1, "b": 2, "c": 3}
	holders := map[storagekit.Slot]string{{"o", "ka"}: "a", {"o", "kb"}: "b"}
	stored := storagekit.Stored{
		Version: func(id string) int64 { return versions[id] },
		Holder:  func(s storagekit.Slot) string { return holders[s] },
	}
	for name, c := range map[string]struct {
		insert  bool
		records []storage.Record
		want    error
		indexes []int
	}{
		"insert nothing": {insert: true},
		"insert":         {insert: true, records: []storage.Record{pending("x", "kx", 0), accepted("y", "ka", 0)}},
		"insert, ids and slots taken": {
			true, []storage.Record{accepted("c", "", 0), pending("x", "x", 0), pending("y", "ka", 0)},
			storage.ErrExists, []int{0, 2},
		},
		"insert, twice the same": {
			true, []storage.Record{pending("x", "k", 0), pending("x", "l", 0), pending("y", "k", 0)},
			storage.ErrExists, []int{1, 2},
		},
		"update nothing": {},
		"update":         {records: []storage.Record{pending("a", "ka", 1), accepted("b", "ka", 2)}},
		"update, missing": {
			false, []storage.Record{pending("a", "kb", 7), pending("x", "", 1)},
			storage.ErrNotFound, nil,
		},
		"update, stale": {false, []storage.Record{pending("a", "kb", 7)}, storage.ErrConflict, nil},
		"update, id twice": {
			false, []storage.Record{accepted("c", "", 3), accepted("c", "", 3)},
			storage.ErrConflict, nil,
		},
		"update, slot taken": {
			false, []storage.Record{accepted("a", "ka", 1), pending("c", "kb", 3)},
			storage.ErrExists, []int{1},
		},
		"update, slot released": {
			false, []storage.Record{accepted("a", "ka", 1), pending("c", "ka", 3)},
			storage.ErrExists, []int{1},
		},
		"update, slots swapped": {
			false, []storage.Record{pending("a", "kb", 1), pending("b", "ka", 2)},
			storage.ErrExists, []int{0, 1},
		},
		"update, slot wanted twice": {
			false, []storage.Record{pending("b", "k", 2), pending("c", "k", 3)},
			storage.ErrExists, []int{1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			err := storagekit.UpdateRefusal(c.records, stored)
			if c.insert {
				err = storagekit.InsertRefusal(c.records, stored)
			}
			is.True(errors.Is(err, c.want))
			if exists, ok := errors.AsType[*storage.ExistsError](err); ok || c.indexes != nil {
				is.Equal(exists.Indexes, c.indexes)
			}
		})
	}
	is := is.New(t)
	in := storagekit.StoredIn([]storage.Record{pending("a", "ka", 1), accepted("c", "kc", 3)})
	is.Equal([]int64{in.Version("a"), in.Version("c"), in.Version("ka")}, []int64{1, 3, 0})
	is.Equal(in.Holder(storagekit.Slot{OrganizationID: "o", EmailKey: "ka"}), "a")
	is.Equal(in.Holder(storagekit.Slot{OrganizationID: "o", EmailKey: "kc"}), "")
	is.Equal(storagekit.Slots([]storage.Record{accepted("c", "k", 1), pending("a", "l", 1)}),
		[]storagekit.Slot{{OrganizationID: "o", EmailKey: "l"}})
}

func TestRetry(t *testing.T) {
	is := is.New(t)
	other := errors.New("other")
	again := func(err error) bool { return errors.Is(err, storage.ErrAborted) }
	tries := 0
	is.NoErr(storagekit.Retry(t.Context(), again, func() error {
		if tries++; tries < 3 {
			return storage.ErrAborted
		}
		return nil
	}))
	is.Equal(tries, 3)
	tries = 0
	is.Equal(storagekit.Retry(t.Context(), again, func() error { tries++; return other }), other)
	is.Equal(tries, 1)
}

// A transaction that the database always aborts is repeated for about ten seconds, with pauses.
func TestRetryIsBounded(t *testing.T) {
	again := func(err error) bool { return errors.Is(err, storage.ErrAborted) }
	busy := fmt.Errorf("%w: busy", storage.ErrAborted)
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		began, tries := time.Now(), 0
		is.Equal(storagekit.Retry(t.Context(), again, func() error { tries++; return busy }), busy)
		took := time.Since(began)
		is.True(took >= 10*time.Second && took < 10*time.Second+64*time.Millisecond)
		is.True(tries > 100 && tries < 2000) // 32 ms is the mean of the pauses

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		err := storagekit.Retry(ctx, again, func() error { return busy })
		is.True(errors.Is(err, context.DeadlineExceeded))
		is.True(errors.Is(err, storage.ErrAborted))
		is.Equal(time.Since(began), time.Second)
	})
}

func TestCompareSlots(t *testing.T) {
	is := is.New(t)
	sorted := []storage.Record{
		{OrganizationID: "a", EmailKey: "a", ID: "2"}, {OrganizationID: "a", EmailKey: "b", ID: "1"},
		{OrganizationID: "a", EmailKey: "b", ID: "2"}, {OrganizationID: "b", EmailKey: "a", ID: "0"},
	}
	mixed := []storage.Record{sorted[3], sorted[2], sorted[0], sorted[1]}
	slices.SortFunc(mixed, storagekit.CompareSlots)
	is.Equal(mixed, sorted)
}

func TestPage(t *testing.T) {
	is := is.New(t)
	ids := func(q storage.Query) (ids string) {
		found := []string{"c", "a", "d", "b"}
		for _, id := range storagekit.Page(q, found, func(id string) storage.Record { return storage.Record{ID: id} }) {
			ids += id
		}
		return ids
	}
	q := storage.Query{Sort: []storage.Sort{{Field: storage.FieldCreatedAt}}}
	is.Equal(ids(q), "abcd")
	q.Offset = 1
	is.Equal(ids(q), "bcd")
	q.Limit = 2
	is.Equal(ids(q), "bc")
	q.After = &storage.Record{ID: "b"}
	is.Equal(ids(q), "d")
	q.Offset = 9
	is.Equal(ids(q), "")
	q.Offset, q.Limit, q.Sort[0].Descending = 0, 9, true
	is.Equal(ids(q), "a")
}
