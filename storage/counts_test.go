package storage_test

import (
	"context"
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
)

// slowCounter counts one status at a time, and keeps what it was asked for. quickCounter is a storage.StatusCounter.
type (
	slowCounter struct {
		storage.Storage
		asked *[]storage.Filter
		err   error
	}
	quickCounter struct{ slowCounter }
	outside      struct{ storage.Storage }
)

func (s slowCounter) Count(_ context.Context, f storage.Filter) (int, error) {
	*s.asked = append(*s.asked, f)
	return len(f.Statuses[0]), s.err
}

func (s quickCounter) CountByStatus(_ context.Context, f storage.Filter) (map[string]int, error) {
	*s.asked = append(*s.asked, f)
	return map[string]int{"accepted": 3, "unknown": 4}, s.err
}

func (s outside) Unwrap() storage.Storage { return s.Storage }

// itself is a wrapper that has itself inside.
type itself struct{ slowCounter }

func (s itself) Unwrap() storage.Storage { return s }

// CountByStatus asks the store, or the store that it wraps. Without a StatusCounter it counts the statuses one by one.
func TestCountByStatus(t *testing.T) {
	is := is.New(t)
	var asked []storage.Filter
	slow := slowCounter{asked: &asked}
	f := storage.Filter{OrganizationID: "o", Now: noon}
	one := func(status string) storage.Filter {
		f := f
		f.Statuses = []string{status}
		return f
	}
	quick := map[string]int{"accepted": 3, "pending": 0}
	each := map[string]int{"accepted": len("accepted"), "pending": len("pending")}
	for _, c := range []struct {
		s     storage.Storage
		want  map[string]int
		asked []storage.Filter
	}{
		{quickCounter{slow}, quick, []storage.Filter{f}},
		{outside{outside{quickCounter{slow}}}, quick, []storage.Filter{f}},
		{slow, each, []storage.Filter{one("pending"), one("accepted")}},
		{itself{slow}, each, []storage.Filter{one("pending"), one("accepted")}},
	} {
		asked = nil
		got, err := storage.CountByStatus(t.Context(), c.s, f, "pending", "accepted")
		is.NoErr(err)
		is.Equal(got, c.want)
		is.Equal(asked, c.asked)
	}
	asked = nil
	got, err := storage.CountByStatus(t.Context(), slow, one("accepted"), "pending", "accepted")
	is.NoErr(err)
	is.Equal(got, map[string]int{"accepted": len("accepted"), "pending": 0}) // the filter leaves out the others
	is.Equal(asked, []storage.Filter{one("accepted")})

	slow.err = errors.New("boom")
	for _, s := range []storage.Storage{slow, quickCounter{slow}} {
		got, err := storage.CountByStatus(t.Context(), s, f, "pending")
		is.Equal(got, nil)
		is.Equal(err, slow.err)
	}
}

// countsTo is a storage.BoundedCounter. It returns its bound.
type countsTo struct{ slowCounter }

func (s countsTo) CountUpTo(_ context.Context, f storage.Filter, most int) (int, error) {
	*s.asked = append(*s.asked, f)
	return most, s.err
}

// CountUpTo asks the store, or the store that it wraps. Without a BoundedCounter it counts all, and stays in the bound.
func TestCountUpTo(t *testing.T) {
	is := is.New(t)
	var asked []storage.Filter
	slow := slowCounter{asked: &asked}
	f := storage.Filter{Statuses: []string{"seven__"}} // slowCounter counts its letters
	for _, c := range []struct {
		s          storage.Storage
		most, want int
	}{
		{slow, 8, 7},
		{slow, 7, 7},
		{slow, 6, 6},
		{countsTo{slow}, 9, 9},
		{outside{countsTo{slow}}, 9, 9},
	} {
		asked = nil
		got, err := storage.CountUpTo(t.Context(), c.s, f, c.most)
		is.NoErr(err)
		is.Equal(got, c.want)
		is.Equal(asked, []storage.Filter{f})
	}
	slow.err = errors.New("boom")
	for _, s := range []storage.Storage{slow, countsTo{slow}} {
		_, err := storage.CountUpTo(t.Context(), s, f, 1)
		is.Equal(err, slow.err)
	}
}
