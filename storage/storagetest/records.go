package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// epoch is the instant from which the suite counts its times.
var epoch = time.Date(2026, time.March, 1, 12, 0, 0, 123456000, time.UTC)

// lastInstant is the last time that a record can hold. farPast and farFuture are so far away that their microseconds do
// not fit into 64 bits.
var (
	lastInstant        = time.Date(9999, time.December, 31, 23, 59, 59, 999_999_000, time.UTC)
	farPast, farFuture = time.Unix(-1<<60, 0), time.Unix(1<<60, 0)
)

// at returns the time n seconds after the epoch.
func at(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// record returns a pending record with a slot of its own, valid for a thousand seconds from the epoch.
func record(id string, with ...func(*storage.Record)) storage.Record {
	r := storage.Record{
		ID:              id,
		OrganizationID:  "org-1",
		EmailAddress:    "User." + id + "@Example.com",
		EmailKey:        "user." + id + "@example.com",
		Role:            "member",
		Status:          storage.Pending,
		PublicMetadata:  []byte(`{"public": "` + id + `"}`),
		PrivateMetadata: []byte(`{"private": "` + id + `"}`),
		InviterUserID:   "inviter-1",
		RedirectURL:     "https://example.com/join?from=" + id,
		Generation:      1,
		CreatedAt:       epoch,
		UpdatedAt:       epoch,
		ExpiresAt:       at(1000),
		SentAt:          epoch,
		Version:         1,
	}
	for _, f := range with {
		f(&r)
	}
	return r
}

func in(organization string) func(*storage.Record) {
	return func(r *storage.Record) { r.OrganizationID = organization }
}

func to(key string) func(*storage.Record) {
	return func(r *storage.Record) { r.EmailAddress, r.EmailKey = key, key }
}

func created(n int) func(*storage.Record) { return func(r *storage.Record) { r.CreatedAt = at(n) } }

func expires(n int) func(*storage.Record) { return func(r *storage.Record) { r.ExpiresAt = at(n) } }

func role(name string) func(*storage.Record) { return func(r *storage.Record) { r.Role = name } }

func version(n int64) func(*storage.Record) { return func(r *storage.Record) { r.Version = n } }

// resolved gives the record a status other than pending.
func resolved(status string) func(*storage.Record) {
	return func(r *storage.Record) { r.Status, r.ResolvedAt, r.ResolvedBy = status, at(10), "user-1" }
}

func edit(r storage.Record, with ...func(*storage.Record)) storage.Record {
	for _, f := range with {
		f(&r)
	}
	return r
}

func ids(records []storage.Record) []string {
	list := make([]string, len(records))
	for i, r := range records {
		list[i] = r.ID
	}
	return list
}

// seed inserts records one by one, so that cases about other rules pass on a store that inserts several wrongly.
func seed(t *trial, s storage.Storage, records ...storage.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.Insert(t.Context(), r); err != nil {
			t.Fatalf("Insert(%q): %v", r.ID, err)
		}
	}
}

func update(t *trial, s storage.Storage, records ...storage.Record) {
	t.Helper()
	if err := s.Update(t.Context(), records...); err != nil {
		t.Fatalf("Update(%q): %v", ids(records), err)
	}
}

func get(t *trial, s storage.Storage, id string) storage.Record {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%q): %v", id, err)
	}
	return r
}

func list(t *trial, s storage.Storage, q storage.Query) []storage.Record {
	t.Helper()
	records, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatalf("List(%s): %v", show(q), err)
	}
	return records
}

// all returns the records of the store in the order of their ids.
func all(t *trial, s storage.Storage) []storage.Record {
	t.Helper()
	records := list(t, s, storage.Query{})
	slices.SortFunc(records, func(a, b storage.Record) int { return compareIDs(a, b) })
	return records
}

// finds expects List to return the records with these ids, in this order. Count must agree, unless q selects a page or
// locks records.
func finds(t *trial, s storage.Storage, q storage.Query, want ...string) {
	t.Helper()
	if got := ids(list(t, s, q)); !slices.Equal(got, want) {
		t.Errorf("List(%s)\n got %q\nwant %q", show(q), got, want)
	}
	if q.After != nil || q.Offset != 0 || q.Limit != 0 || q.ForUpdate {
		return
	}
	if n, err := s.Count(t.Context(), q.Filter); n != len(want) || err != nil {
		t.Errorf("Count(%s) = %d, %v; want %d", show(q), n, err, len(want))
	}
}

// byID expects List and Count to find exactly the records with these ids. want is sorted.
func byID(t *trial, s storage.Storage, f storage.Filter, want ...string) {
	t.Helper()
	got := ids(list(t, s, storage.Query{Filter: f}))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("List(%s)\n got %q\nwant %q", show(storage.Query{Filter: f}), got, want)
	}
	if n, err := s.Count(t.Context(), f); n != len(want) || err != nil {
		t.Errorf("Count(%s) = %d, %v; want %d", show(storage.Query{Filter: f}), n, err, len(want))
	}
}

// holds expects the store to contain exactly these records, in the form of [storage.Record.Stored].
func holds(t *trial, s storage.Storage, want ...storage.Record) {
	t.Helper()
	got := all(t, s)
	want = slices.SortedFunc(slices.Values(want), compareIDs)
	if !slices.Equal(ids(got), ids(want)) {
		t.Fatalf("the store contains %q, want %q", ids(got), ids(want))
	}
	for i := range want {
		same(t, got[i], want[i].Stored())
		same(t, get(t, s, want[i].ID), want[i].Stored())
	}
}

// same compares two records field by field, including the zones of times, and reports the fields that differ.
func same(t *trial, got, want storage.Record) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			t.Errorf("record %q: %s is %s, want %s", want.ID, g.Type().Field(i).Name, brief(a), brief(b))
		}
	}
}

func brief(v any) string {
	if at, ok := v.(time.Time); ok {
		return fmt.Sprintf("%s (%#v)", at.Format(time.RFC3339Nano), at)
	}
	return fmt.Sprintf("%.200q", fmt.Sprintf("%s", v))
}

// refused expects an error that matches target, or any error if target is nil.
func refused(t *trial, what string, err, target error) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: got no error", what)
	case target != nil && !errors.Is(err, target):
		t.Errorf("%s: %v; want %v", what, err, target)
	}
}

// taken expects an *ExistsError with these indexes.
func taken(t *trial, what string, err error, want ...int) {
	t.Helper()
	refused(t, what, err, storage.ErrExists)
	var e *storage.ExistsError
	if !errors.As(err, &e) {
		t.Errorf("%s: %v is not an *ExistsError", what, err)
	} else if !slices.Equal(e.Indexes, want) {
		t.Errorf("%s: Indexes %v, want %v", what, e.Indexes, want)
	}
}

func missing(t *trial, s storage.Storage, id string) {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	refused(t, fmt.Sprintf("Get(%q)", id), err, storage.ErrNotFound)
	if !reflect.DeepEqual(r, storage.Record{}) {
		t.Errorf("Get(%q) returns a record along with ErrNotFound: %q", id, r.ID)
	}
}

// transact runs fn in a transaction, and retries it as long as the store returns ErrAborted, within bounds.
func transact(ctx context.Context, s storage.Storage, fn func(context.Context, storage.Storage) error) error {
	return persist(ctx, func() error { return s.RunInTx(ctx, fn) })
}

// persist calls f again as long as it returns ErrAborted, within bounds.
func persist(ctx context.Context, f func() error) error {
	for try, began := 1, time.Now(); ; try++ {
		err := f()
		switch {
		case !errors.Is(err, storage.ErrAborted) || ctx.Err() != nil:
			return err
		case time.Since(began) > patience/2:
			return fmt.Errorf("aborted %d times in %v: %w", try, patience/2, err)
		}
		time.Sleep(rand.N(min(time.Duration(try), 10) * time.Millisecond))
	}
}

// commit runs fn in a transaction, which must succeed.
func commit(t *trial, s storage.Storage, fn func(ctx context.Context, tx storage.Storage) error) {
	t.Helper()
	if err := transact(t.Context(), s, fn); err != nil {
		t.Fatalf("RunInTx: %v", err)
	}
}

// show describes a query in a failure message.
func show(q storage.Query) string {
	text := fmt.Sprintf("%+v sort %v offset %d limit %d", q.Filter, q.Order(), q.Offset, q.Limit)
	if a := q.After; a != nil {
		text += fmt.Sprintf(" after {%q %q %v %v}", a.ID, a.EmailKey, a.CreatedAt, a.ExpiresAt)
	}
	return text
}
