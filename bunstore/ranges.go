package bunstore

import "time"

// whereRanges writes the conditions for the ranges of w with and. A page sorted by another field must not use the index
// on expires_at, because it would then have to sort.
func (e *engine) whereRanges(and func(sql string, args ...any), w search) {
	expires := "expires_at"
	if !w.byExpiry {
		expires = e.unindexed + expires
	}
	for _, bound := range []struct {
		condition string
		at        time.Time
	}{
		{"created_at >= ?", w.CreatedFrom},
		{"created_at < ?", w.CreatedBefore},
		{expires + " >= ?", w.ExpiresFrom},
		{expires + " < ?", w.ExpiresBefore},
	} {
		if !bound.at.IsZero() {
			and(bound.condition, e.instant(bound.at))
		}
	}
}
