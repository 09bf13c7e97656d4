package bunstore

import (
	"context"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

var _ storage.StatusCounter = (*Store)(nil)

// CountByStatus implements [storage.StatusCounter], in one statement.
func (s *Store) CountByStatus(ctx context.Context, f storage.Filter) (map[string]int, error) {
	var counts map[string]int
	err := s.read(ctx, "count by status", func(ctx context.Context, db querier) error {
		counts = map[string]int{}
		found, ok := storagekit.NewSearch(f)
		if !ok {
			return nil
		}
		// Grouped by the stored status, so that an engine can read the groups in the order of an index.
		q := statement{}
		q.add("SELECT status, count(*), count(CASE WHEN expires_at <= ? THEN 1 END) FROM "+s.e.invitations,
			s.e.instant(found.Now))
		w := search{Search: found}
		byStatus := w
		if w.Conditions == nil {
			byStatus.Conditions = []storagekit.Condition{} // the index that has the status
		}
		q.add(s.e.countHint(byStatus))
		s.e.where(&q, w)
		q.add(" GROUP BY status")
		var status string
		var n, lapsed int
		return q.each(ctx, db, []any{&status, &n, &lapsed}, func() {
			if status == storage.Pending {
				counts[storage.Expired] += lapsed
				n -= lapsed
			}
			counts[status] += n
		})
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}
