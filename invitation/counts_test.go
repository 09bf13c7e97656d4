package invitation_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// slowCounts counts what is asked of a storage that is no storage.StatusCounter.
type slowCounts struct {
	storage.Storage
	counted *int
}

func (s slowCounts) Count(ctx context.Context, f storage.Filter) (int, error) {
	*s.counted++
	return s.Storage.Count(ctx, f)
}

func TestCounts(t *testing.T) {
	w := populate(t)
	all := map[invitation.Status]int{"pending": 2, "accepted": 1, "revoked": 1, "expired": 1, "declined": 0}
	none := map[invitation.Status]int{"pending": 0, "accepted": 0, "revoked": 0, "expired": 0, "declined": 0}
	asked := 0
	for name, store := range map[string]storage.Storage{
		"a counter":             w.host.Storage(),
		"a counter, wrapped":    hooked{Storage: w.host.Storage()},
		"not a counter":         slowCounts{w.host.Storage(), &asked},
		"not a counter, inside": hooked{Storage: slowCounts{w.host.Storage(), &asked}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			asked = 0
			svc := w.svc.WithStorage(store)
			counts := func(svc *invitation.Service, org string, p invitation.ListParams) map[invitation.Status]int {
				t.Helper()
				got, err := svc.Counts(w.ctx, org, p)
				w.is.NoErr(err)
				return got
			}
			w.is.Equal(counts(svc, "acme", invitation.ListParams{}), all) // without the domain-generated one
			w.is.Equal(asked > 0, strings.HasPrefix(name, "not"))
			w.is.Equal(counts(svc.As("ann"), "acme", invitation.ListParams{}), all)
			w.is.Equal(counts(svc, "acme", invitation.ListParams{
				SkipTotal: true, OrderBy: []invitation.Order{{Field: invitation.OrderExpiresAt}},
			}), all)
			w.is.Equal(counts(svc, "nowhere", invitation.ListParams{}), none)
			w.is.Equal(counts(svc, "acme", invitation.ListParams{Query: "EXAMPLE.com"}),
				map[invitation.Status]int{"pending": 1, "accepted": 1, "revoked": 0, "expired": 0, "declined": 0})
			w.is.Equal(counts(svc, "acme", invitation.ListParams{EmailAddress: "Flo@C.example"}),
				map[invitation.Status]int{"pending": 0, "accepted": 0, "revoked": 0, "expired": 1, "declined": 0})
		})
	}

	undo := errors.New("undo")
	err := w.host.Storage().RunInTx(w.ctx, func(ctx context.Context, tx storage.Storage) error {
		svc := w.svc.WithStorage(tx)
		_, err := svc.Revoke(ctx, "acme", "i1", invitation.RevokeParams{})
		w.is.NoErr(err)
		got, err := svc.Counts(ctx, "acme", invitation.ListParams{})
		w.is.NoErr(err)
		w.is.Equal(got["revoked"], 2) // it sees the transaction
		w.is.Equal(got["pending"], 1)
		return undo
	})
	w.is.True(errors.Is(err, undo))
}

func TestCountsRefuse(t *testing.T) {
	w := populate(t)
	value := func(param string) refusal { return refusal{422, "form_param_value_invalid", param} }
	for name, tt := range map[string]struct {
		svc      *invitation.Service
		p        invitation.ListParams
		sentinel error
		want     []refusal
	}{
		"a status": {w.svc, invitation.ListParams{Statuses: []invitation.Status{"pending"}}, invitation.ErrInvalid,
			[]refusal{value("status")}},
		"a page": {w.svc, invitation.ListParams{Limit: 10, Offset: 10}, invitation.ErrInvalid,
			[]refusal{value("limit"), value("offset")}},
		"before the list": {w.svc, invitation.ListParams{Offset: -1}, invitation.ErrInvalid, []refusal{value("offset")}},
		"a cursor":        {w.svc, invitation.ListParams{Cursor: "AAAA"}, invitation.ErrInvalid, []refusal{value("cursor")}},
		"all at once": {w.svc, invitation.ListParams{
			Limit: -1, EmailAddress: "x", OrderBy: []invitation.Order{{Field: "role"}},
		}, invitation.ErrInvalid, []refusal{
			value("limit"), value("order_by"), {422, "form_param_format_invalid", "email_address"}}},
		"a member": {w.svc.As("bob"), invitation.ListParams{}, invitation.ErrForbidden,
			[]refusal{{403, "not_an_admin_in_organization", "user_id"}}},
		"a stranger": {w.svc.As("zoe"), invitation.ListParams{}, invitation.ErrNotMember,
			[]refusal{{403, "not_a_member_in_organization", "user_id"}}},
		"nobody": {w.svc.As(""), invitation.ListParams{}, invitation.ErrForbidden,
			[]refusal{{401, "not_allowed_access", "user_id"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(tt.sentinel, tt.want, func() error {
				counts, err := tt.svc.Counts(w.ctx, "acme", tt.p)
				w.is.Equal(len(counts), 0)
				return err
			})
		})
	}
	boom := errors.New("boom")
	for _, store := range []storage.Storage{brokenCount{w.host.Storage(), boom}, brokenCounter{brokenCount{err: boom}}} {
		_, err := w.svc.WithStorage(store).Counts(w.ctx, "acme", invitation.ListParams{})
		w.is.True(errors.Is(err, boom) && strings.HasPrefix(err.Error(), "invitation: counts: "))
	}
}

// brokenCount is a store that cannot count. brokenCounter is one that cannot count by status.
type (
	brokenCount struct {
		storage.Storage
		err error
	}
	brokenCounter struct{ brokenCount }
)

func (s brokenCount) Count(context.Context, storage.Filter) (int, error) { return 0, s.err }
func (s brokenCounter) CountByStatus(context.Context, storage.Filter) (map[string]int, error) {
	return map[string]int{"pending": 1}, s.err
}
