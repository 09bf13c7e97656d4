package bunstore

import (
	"context"
	"slices"
	"strings"

	"github.com/orginvite/orginvite/storage"
	"github.com/orginvite/orginvite/storage/storagekit"
)

// search is a filter made ready for SQL.
type search struct {
	storagekit.Search
	byExpiry bool // sorted by expires_at, or not sorted: an index on expires_at may be used
}

// bySlot reports whether w names pending slots. Their unique index then finds the records, at most one for each.
func (w search) bySlot() bool {
	return w.IDs == nil && w.OrganizationID != "" && w.EmailKeys != nil &&
		slices.Equal(w.Conditions, []storagekit.Condition{{Status: storage.Pending}})
}

// where writes the conditions of w.
func (e *engine) where(q *statement, w search) {
	sep := " WHERE "
	and := func(sql string, args ...any) {
		q.add(sep)
		q.add(sql, args...)
		sep = " AND "
	}
	in := func(column string, list []string) {
		switch {
		case list == nil:
		case len(list) == 1:
			and(column+" = ?", list[0])
		default:
			and(column+" IN (?)", texts(list))
		}
	}
	if e.wideOnly != "" && w.OrganizationID == "" && w.EmailKeys == nil && w.IDs == nil {
		and(e.wideOnly)
	} else {
		and("1 = 1")
	}
	in("id", w.IDs)
	if w.OrganizationID != "" {
		and("organization_id = ?", w.OrganizationID)
	}
	if w.bySlot() {
		in("pending_key", w.EmailKeys) // of pending records only
	} else {
		in("email_key", w.EmailKeys)
	}
	if w.InviterUserID != "" {
		and("inviter_user_id = ?", w.InviterUserID)
	}
	in("role", w.Roles)
	e.whereRanges(and, w)
	if w.Direct {
		and("organization_domain_id = ''")
	}
	if !w.ResolvedBefore.IsZero() {
		and("resolved_at < ?", e.instant(w.ResolvedBefore))
	}
	if !w.SentAfter.IsZero() {
		and("sent_at > ?", e.instant(w.SentAfter))
	}
	if w.EmailContains != "" {
		if e.likeIsBinary {
			and("email_key LIKE ?", "%"+likeEscaper.Replace(w.EmailContains)+"%")
		} else {
			and("instr(email_key, ?) > 0", w.EmailContains)
		}
	}
	e.whereStatus(q, w)
	if w.IDs == nil && !w.bySlot() {
		q.add("?", planned)
	}
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// whereStatus writes the conditions on the status.
func (e *engine) whereStatus(q *statement, w search) {
	if w.Conditions == nil || w.bySlot() {
		return
	}
	list, column := w.Conditions, "expires_at"
	if !w.byExpiry {
		column = e.unindexed + column
	}
	now := e.instant(w.Now)
	if len(list) == 1 {
		q.add(" AND status = ?", list[0].Status)
		switch list[0].Expiry {
		case storagekit.NotExpired:
			q.add(" AND "+column+" > ?", now)
		case storagekit.Expired:
			q.add(" AND "+column+" <= ?", now)
		}
		return
	}
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Status
	}
	q.add(" AND status IN (?)", texts(names))
	for _, c := range list {
		switch c.Expiry {
		case storagekit.NotExpired:
			q.add(" AND (status <> ? OR "+column+" > ?)", storage.Pending, now)
		case storagekit.Expired:
			q.add(" AND (status <> ? OR "+column+" <= ?)", storage.Pending, now)
		}
	}
}

// Count implements [storage.Storage], in one statement.
func (s *Store) Count(ctx context.Context, f storage.Filter) (int, error) { return s.count(ctx, f, 0) }

var _ storage.BoundedCounter = (*Store)(nil)

// CountUpTo implements [storage.BoundedCounter], in one statement.
func (s *Store) CountUpTo(ctx context.Context, f storage.Filter, most int) (int, error) {
	return s.count(ctx, f, most)
}

// count counts up to most records; 0 is no limit.
func (s *Store) count(ctx context.Context, f storage.Filter, most int) (int, error) {
	var n int
	err := s.read(ctx, "count", func(ctx context.Context, db querier) error {
		found, ok := storagekit.NewSearch(f)
		if !ok {
			return nil
		}
		// The index on expires_at is used only for a count without organization and addresses. Those have their own
		// indexes.
		w := search{found, f.OrganizationID == "" && f.EmailKeys == nil}
		q := statement{}
		q.add("SELECT count(*) FROM ")
		if most > 0 {
			q.add("(SELECT 1 FROM ")
		}
		q.add(s.e.invitations)
		q.add(s.e.countHint(w))
		s.e.where(&q, w)
		if most > 0 {
			q.add(" LIMIT ?) AS c", most)
		}
		return q.each(ctx, db, []any{&n}, func() {})
	})
	return n, err
}

// countHint returns what is written after the name of the table to make the engine count in an index.
func (e *engine) countHint(w search) string {
	return e.writes.indexHint(page{search: w, terms: []storagekit.Term{{Field: storage.FieldCreatedAt}}})
}
