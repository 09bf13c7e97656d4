package bunstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// expiry is the condition of a filter on expires_at of a pending record.
type expiry int

const (
	anyExpiry  expiry = iota
	notExpired        // expires_at > Now
	expired           // expires_at <= Now
)

// part selects records of one stored status.
type part struct {
	status string
	expiry expiry
}

// parts translates the Statuses and StoredStatuses of f into conditions on the stored status. all reports that there
// are no such conditions.
func parts(f storage.Filter) (list []part, all bool) {
	if f.Statuses == nil && f.StoredStatuses == nil {
		return nil, true
	}
	wanted := func(list []string, s string) bool { return list == nil || slices.Contains(list, s) }

	stored := f.StoredStatuses
	if stored == nil {
		stored = append(slices.Clone(f.Statuses), storage.Pending) // pending may count as expired
	}
	for _, s := range distinct(stored) {
		switch {
		case s != storage.Pending:
			if wanted(f.Statuses, s) {
				list = append(list, part{status: s})
			}
		case wanted(f.Statuses, storage.Pending) && wanted(f.Statuses, storage.Expired):
			list = append(list, part{status: s})
		case wanted(f.Statuses, storage.Pending):
			list = append(list, part{status: s, expiry: notExpired})
		case wanted(f.Statuses, storage.Expired):
			list = append(list, part{status: s, expiry: expired})
		}
	}
	return list, false
}

// distinct returns the valid texts of list, each once. No record matches an invalid text, and SQL must not contain one.
func distinct(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, 0, len(list))
	if len(list) <= 8 {
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

// search is a filter made ready for SQL.
type search struct {
	storage.Filter
	parts    []part
	all      bool // any status
	byExpiry bool // sorted by expires_at, or not sorted: an index on expires_at may be used
}

// newSearch returns none if no record can match.
func newSearch(f storage.Filter) (w search, none bool) {
	for _, s := range []string{f.OrganizationID, f.EmailContains, f.InviterUserID} {
		if !storage.ValidText(s) {
			return w, true
		}
	}
	f.IDs, f.EmailKeys = distinct(f.IDs), distinct(f.EmailKeys)
	w.Filter = f
	w.parts, w.all = parts(f)
	none = f.IDs != nil && len(f.IDs) == 0 || f.EmailKeys != nil && len(f.EmailKeys) == 0 ||
		!w.all && len(w.parts) == 0
	return w, none
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
	and("1 = 1")
	in("id", w.IDs)
	if w.OrganizationID != "" {
		and("organization_id = ?", w.OrganizationID)
	}
	in("email_key", w.EmailKeys)
	if w.InviterUserID != "" {
		and("inviter_user_id = ?", w.InviterUserID)
	}
	if w.Direct {
		and("organization_domain_id = ''")
	}
	if !w.ResolvedBefore.IsZero() {
		// Times are stored in whole microseconds, so the bound is rounded up.
		and("resolved_at < ?", e.instant(ceil(w.ResolvedBefore)))
	}
	if w.EmailContains != "" {
		if e.likeIsBinary {
			and("email_key LIKE ?", "%"+likeEscaper.Replace(w.EmailContains)+"%")
		} else {
			and("instr(email_key, ?) > 0", w.EmailContains)
		}
	}
	e.whereStatus(q, w)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// whereStatus writes the condition for the parts of w. At most one part is about pending records.
func (e *engine) whereStatus(q *statement, w search) {
	if w.all {
		return
	}
	list, column := w.parts, "expires_at"
	if !w.byExpiry {
		column = e.unindexed + column
	}
	now := e.instant(w.Now)
	if len(list) == 1 {
		q.add(" AND status = ?", list[0].status)
		switch list[0].expiry {
		case notExpired:
			q.add(" AND "+column+" > ?", now)
		case expired:
			q.add(" AND "+column+" <= ?", now)
		}
		return
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.status
	}
	q.add(" AND status IN (?)", texts(names))
	for _, p := range list {
		switch p.expiry {
		case notExpired:
			q.add(" AND (status <> ? OR "+column+" > ?)", storage.Pending, now)
		case expired:
			q.add(" AND (status <> ? OR "+column+" <= ?)", storage.Pending, now)
		}
	}
}

// Count implements [storage.Storage], in one statement.
func (s *Store) Count(ctx context.Context, f storage.Filter) (int, error) {
	var n int
	err := s.read(ctx, "count", func(ctx context.Context, db querier) error {
		w, none := newSearch(f)
		if none {
			return nil
		}
		// The index on expires_at is used only for a count without organization and addresses. Those have their own
		// indexes.
		w.byExpiry = f.OrganizationID == "" && f.EmailKeys == nil
		q := statement{}
		q.add("SELECT count(*) FROM " + s.e.invitations)
		s.e.where(&q, w)
		return q.each(ctx, db, []any{&n}, func() {})
	})
	return n, err
}

// ceil rounds t up to the microsecond.
func ceil(t time.Time) time.Time {
	if floor := t.Truncate(time.Microsecond); !floor.Equal(t) {
		return floor.Add(time.Microsecond)
	}
	return t
}
