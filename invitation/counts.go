package invitation

import (
	"context"
	"maps"
	"slices"

	"github.com/orginvite/orginvite/storage"
)

// Counts returns how many of an organization's invitations have each status, for the tabs of a page. It counts what
// List lists with the same filters. The result has all five statuses. A storage that is a [storage.StatusCounter], such
// as those of bunstore and memstore, counts all of them in one call. Any other storage is called once for each status.
//
// Statuses, Limit, Offset and Cursor must not be set, because they would select a part of what is counted. OrderBy,
// SkipTotal and TotalUpTo change nothing: counts are exact.
//
// Counts returns these errors, in this order of precedence:
//
//   - [ErrInvalid]: parameters are invalid, or select a status or a page. All of them are reported together.
//   - [ErrNotMember] or [ErrForbidden]: the user of [Service.As] is not a member, or does not manage invitations.
func (s *Service) Counts(ctx context.Context, organizationID string, p ListParams) (map[Status]int, error) {
	counts, err := s.counts(ctx, organizationID, p)
	return counts, s.wrapRead(ctx, "counts", err)
}

func (s *Service) counts(ctx context.Context, organizationID string, p ListParams) (map[Status]int, error) {
	parts := checkWhole(p)
	p.Statuses, p.Limit, p.Offset, p.Cursor = nil, 0, 0, "" // refused by now, whatever they are
	q, err := s.organizationListing(ctx, organizationID, p, parts)
	if err != nil {
		return nil, err
	}
	q.Now = s.now()
	var names []string
	for _, status := range slices.Sorted(maps.Keys(transitions)) {
		names = append(names, string(status))
	}
	found, err := storage.CountByStatus(ctx, s.store, q.Filter, names...)
	if err != nil {
		return nil, err
	}
	counts := make(map[Status]int, len(found))
	for status, n := range found {
		counts[Status(status)] = n
	}
	return counts, nil
}

// checkWhole refuses parameters that select a part of what Counts counts.
func checkWhole(p ListParams) Errors {
	var errs Errors
	for _, part := range []struct {
		param string
		given bool
	}{
		{"status", len(p.Statuses) > 0},
		{"limit", p.Limit != 0},
		{"offset", p.Offset != 0},
		{"cursor", p.Cursor != ""},
	} {
		if part.given {
			errs = append(errs, problemValue.about(part.param,
				"must be left out: every status is counted, and all pages"))
		}
	}
	return errs
}
