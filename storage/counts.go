package storage

import (
	"context"
	"slices"
)

// StatusCounter is an optional interface of a [Storage]. CountByStatus counts the records that [Filter.Match] accepts,
// by their effective status at f.Now, in one pass. A status without records may be missing in the result. Like Count it
// never locks, and inside a transaction it sees what the transaction has written.
//
// A [Storage] without it works too, but counts slower: [CountByStatus] then calls Count once for each status.
type StatusCounter interface {
	CountByStatus(ctx context.Context, f Filter) (map[string]int, error)
}

// CountByStatus returns how many of the records that f selects have each of the given effective statuses at f.Now. It
// calls CountByStatus of the [StatusCounter] that [As] finds in s. Without one it calls Count of s for each status. As
// looks through wrappers, so a wrapper that changes which records are counted must have a CountByStatus of its own.
func CountByStatus(ctx context.Context, s Storage, f Filter, statuses ...string) (map[string]int, error) {
	counts := make(map[string]int, len(statuses))
	if c, ok := As[StatusCounter](s); ok {
		all, err := c.CountByStatus(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, status := range statuses {
			counts[status] = all[status]
		}
		return counts, nil
	}
	for _, status := range statuses {
		one := f
		one.Statuses = []string{status}
		counts[status] = 0
		if f.Statuses != nil && !slices.Contains(f.Statuses, status) {
			continue
		}
		n, err := s.Count(ctx, one)
		if err != nil {
			return nil, err
		}
		counts[status] = n
	}
	return counts, nil
}

// BoundedCounter is an optional interface of a [Storage]. CountUpTo is Count with a bound. Its result is never above
// the argument named most, which is positive, and it may stop counting there.
//
// A [Storage] without it works too: [CountUpTo] then counts all records.
type BoundedCounter interface {
	CountUpTo(ctx context.Context, f Filter, most int) (int, error)
}

// CountUpTo returns how many records f selects, or most if they are more. It calls CountUpTo of the
// [BoundedCounter] that [As] finds in s. Without one it calls Count of s. As looks through wrappers, so a wrapper that
// changes which records are counted must have a CountUpTo of its own.
func CountUpTo(ctx context.Context, s Storage, f Filter, most int) (int, error) {
	if c, ok := As[BoundedCounter](s); ok {
		return c.CountUpTo(ctx, f, most)
	}
	n, err := s.Count(ctx, f)
	return min(n, most), err
}
