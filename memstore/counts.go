package memstore

import (
	"context"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

var (
	_ storage.StatusCounter = (*Store)(nil)
	_ storage.StatusCounter = (*txStorage)(nil)
)

// CountByStatus implements [storage.StatusCounter].
func (s *Store) CountByStatus(ctx context.Context, f storage.Filter) (map[string]int, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	return s.current.Load().countByStatus(f), nil
}

// CountByStatus implements [storage.StatusCounter].
func (tx *txStorage) CountByStatus(ctx context.Context, f storage.Filter) (counts map[string]int, err error) {
	err = tx.do(ctx, func(s *state) error {
		counts = s.countByStatus(f)
		return nil
	})
	return counts, err
}

func (s *state) countByStatus(f storage.Filter) map[string]int {
	f.Now = storage.Instant(f.Now)
	counts := map[string]int{}
	groups, ok := s.countable(f)
	if !ok {
		s.each(s.plan(f, ""), func(r *row) { counts[r.EffectiveStatus(f.Now)]++ })
		return counts
	}
	for _, g := range groups {
		all := s.size(g, f)
		if g.status != storage.Pending {
			counts[g.status] += all
			continue
		}
		// f may select both sides of f.Now, or one of them.
		lapsed := f
		lapsed.Statuses = []string{storage.Expired}
		expired := 0
		if effective(f, storage.Expired) {
			expired = s.size(g, lapsed)
		}
		counts[storage.Expired] += expired
		counts[storage.Pending] += all - expired
	}
	return counts
}

// effective reports whether f selects an effective status.
func effective(f storage.Filter, status string) bool {
	return f.Statuses == nil || slices.Contains(f.Statuses, status)
}
