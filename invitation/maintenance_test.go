package invitation_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// If another process has the first batch, ExpireDue continues after it.
func TestExpireDueContinuesAfterAnother(t *testing.T) {
	w := lapse(t, 700)
	taken := false
	svc := w.svc.WithStorage(overtaken{Storage: w.host.Storage(), taken: &taken})
	n, err := svc.ExpireDue(w.ctx, 100000)
	w.is.NoErr(err)
	w.is.Equal(n, 200) // the other has the first 500
}

// overtaken is a storage whose first batch another process has: List returns it, and locking finds nothing.
type overtaken struct {
	storage.Storage
	taken *bool
}

func (s overtaken) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if q.ForUpdate && !*s.taken {
		*s.taken = true
		return nil, nil
	}
	return s.Storage.List(ctx, q)
}

func (s overtaken) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, overtaken{
			tx, s.taken,
		})
	})
}

// lapse fills acme with n expired invitations, a second apart, and other with one that has not expired.
func lapse(t *testing.T, n int) *world {
	w := setup(t, nil)
	ps := make([]invitation.CreateParams, n)
	for i := range ps {
		ps[i] = invitation.CreateParams{EmailAddress: fmt.Sprintf(
			"u%d@example.com", i,
		), Role: invitation.RoleMember, ExpiresIn: time.Duration(i+1) * time.Second}
	}
	svc := w.service(w.host, &invitation.Config{MaxBulk: -1})
	_, err := svc.CreateBulk(w.ctx, "acme", ps)
	w.is.NoErr(err)
	_, err = w.svc.Create(w.ctx, "other", invitation.CreateParams{
		EmailAddress: "u@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	w.clock.Advance(time.Hour)
	w.events = nil
	return w
}

func TestExpireDue(t *testing.T) {
	w := lapse(t, 1100)
	n, err := w.svc.ExpireDue(w.ctx, 700)
	w.is.NoErr(err)
	w.is.Equal(n, 700)
	w.is.Equal(len(w.events), 700)
	w.is.Equal(w.events[0].Type, invitation.EventExpired)
	w.is.Equal(w.events[0].ActorID, "")
	for _, r := range w.stored() {
		expired := r.Status == storage.Expired
		w.is.Equal(expired, !r.ExpiresAt.After(noon.Add(700*time.Second))) // the oldest first
		if expired {
			w.is.Equal(r.ResolvedAt, r.ExpiresAt)
			w.is.Equal(r.UpdatedAt, noon)
		}
	}
	n, err = w.svc.ExpireDue(w.ctx, 100000)
	w.is.NoErr(err)
	w.is.Equal(n, 400)
	n, err = w.svc.ExpireDue(w.ctx, 1)
	w.is.NoErr(err)
	w.is.Equal(n, 0)
}

// With several processes at once, each expiry is stored and emitted exactly once.
func TestExpireDueConcurrently(t *testing.T) {
	w := lapse(t, 1500)
	var mu sync.Mutex
	told, total := map[string]int{}, 0
	svc := w.service(w.host, &invitation.Config{OnEvents: func(_ context.Context, _ storage.Storage,
		events []invitation.Event) error {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			told[e.Invitation.ID]++
		}
		return nil
	}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			n, err := svc.ExpireDue(w.ctx, 100000)
			mu.Lock()
			defer mu.Unlock()
			total += n
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.is.Equal(total, 1500)
	w.is.Equal(len(told), 1500)
	for _, n := range told {
		w.is.Equal(n, 1)
	}
}

// Earlier batches stay committed if a later one fails.
func TestExpireDueFailsBetweenBatches(t *testing.T) {
	w := lapse(t, 1000)
	boom := errors.New("boom")
	calls := 0
	svc := w.service(w.host, &invitation.Config{OnEvents: func(context.Context, storage.Storage,
		[]invitation.Event) error {
		if calls++; calls == 2 {
			return boom
		}
		return nil
	}})
	n, err := svc.ExpireDue(w.ctx, 1000)
	w.is.True(errors.Is(err, boom))
	w.is.Equal(n, 500)
	count, err := w.host.Storage().Count(w.ctx, storage.Filter{StoredStatuses: []string{storage.Expired}})
	w.is.NoErr(err)
	w.is.Equal(count, 500)
}

func TestPurge(t *testing.T) {
	w := lapse(t, 600) // all expire within the first ten minutes
	w.invite("carl@example.com")
	revoked := w.invite("dora@example.com")
	_, err := w.svc.Revoke(w.ctx, "acme", revoked.ID, invitation.RevokeParams{}) // an hour after noon
	w.is.NoErr(err)
	w.events = nil
	n, err := w.svc.Purge(w.ctx, noon.Add(100*time.Second), 1000)
	w.is.NoErr(err)
	w.is.Equal(n, 99) // those that expired before that; storing the expiry is not counted
	for _, e := range w.events {
		w.is.Equal(e.Type, invitation.EventExpired) // deleting emits no events
	}
	w.is.Equal(len(w.events), 600)
	n, err = w.svc.Purge(w.ctx, noon.Add(time.Hour), 501)
	w.is.NoErr(err)
	w.is.Equal(n, 501)
	n, err = w.svc.Purge(w.ctx, noon.Add(time.Hour), 501) // the revoked one is not earlier than that
	w.is.NoErr(err)
	w.is.Equal(n, 0)
	w.clock.Advance(time.Microsecond)
	n, err = w.svc.Purge(w.ctx, noon.Add(time.Hour+time.Microsecond), 501)
	w.is.NoErr(err)
	w.is.Equal(n, 1)
	left := w.stored()
	w.is.Equal(len(left), 2) // pending invitations stay
}

func TestDeleteOrganizationAndEraseEmail(t *testing.T) {
	for name, tt := range map[string]struct {
		call func(w *world) (int, error)
		want int
		left int
	}{
		"an organization":      {func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "acme") }, 4, 1},
		"another":              {func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "other") }, 1, 4},
		"an unknown one":       {func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "nowhere") }, 0, 5},
		"an address":           {func(w *world) (int, error) { return w.svc.EraseEmail(w.ctx, " CARL@example.com ") }, 3, 2},
		"an address of nobody": {func(w *world) (int, error) { return w.svc.EraseEmail(w.ctx, "x@example.com") }, 0, 5},
	} {
		for _, limits := range []invitation.Config{{}, {MaxPending: 100}} {
			t.Run(fmt.Sprint(name, limits.MaxPending), func(t *testing.T) {
				w := setup(t, nil)
				first := w.invite("carl@example.com")
				_, err := w.svc.Revoke(w.ctx, "acme", first.ID, invitation.RevokeParams{})
				w.is.NoErr(err)
				w.invite("Carl@example.com")
				accepted := w.invite("dora@example.com")
				w.is.NoErr(w.accept(byIDs(accepted, "dora")))
				_, err = w.svc.Create(w.ctx, "acme", invitation.CreateParams{
					EmailAddress: "dom@example.com", Role: invitation.RoleMember, OrganizationDomainID: "d",
				})
				w.is.NoErr(err)
				_, err = w.svc.Create(w.ctx, "other", invitation.CreateParams{
					EmailAddress: "carl@example.com", Role: invitation.RoleMember,
				})
				w.is.NoErr(err)
				w.svc = w.service(w.host, &limits)
				w.events = nil
				n, err := tt.call(w)
				w.is.NoErr(err)
				w.is.Equal(n, tt.want)
				w.is.Equal(len(w.stored()), tt.left)
				w.is.Equal(len(w.events), 0) // deleting emits no events
				n, err = tt.call(w)
				w.is.NoErr(err)
				w.is.Equal(n, 0)
			})
		}
	}
}

func TestMaintenanceRefuses(t *testing.T) {
	w := lapse(t, 3)
	for name, tt := range map[string]struct {
		call func() (int, error)
		want refusal
	}{
		"expire none": {func() (int, error) { return w.svc.ExpireDue(w.ctx, 0) }, refusal{
			422, "form_param_value_invalid", "limit",
		}},
		"expire -1": {func() (int, error) { return w.svc.ExpireDue(w.ctx, -1) }, refusal{
			422, "form_param_value_invalid", "limit",
		}},
		"expire too many": {func() (int, error) { return w.svc.ExpireDue(w.ctx, 100001) }, refusal{
			422, "form_param_value_invalid", "limit",
		}},
		"purge too many": {func() (int, error) { return w.svc.Purge(w.ctx, noon, 100001) }, refusal{
			422, "form_param_value_invalid", "limit",
		}},
		"purge ever": {func() (int, error) { return w.svc.Purge(w.ctx, time.Time{}, 1) }, refusal{
			422, "form_param_missing", "before",
		}},
		"purge the future": {func() (int, error) { return w.svc.Purge(w.ctx, noon.Add(time.Hour+1), 1) }, refusal{
			422, "form_param_value_invalid", "before",
		}},
		"delete of nobody": {func() (int, error) { return w.svc.DeleteOrganization(w.ctx, "") }, refusal{
			422, "form_param_missing", "organization_id",
		}},
		"delete of NUL": {func() (int, error) { return w.svc.DeleteOrganization(w.ctx, "\x00") }, refusal{
			422, "form_param_format_invalid", "organization_id",
		}},
		"erase nobody": {func() (int, error) { return w.svc.EraseEmail(w.ctx, "") }, refusal{
			422, "form_param_missing", "email_address",
		}},
		"erase a pattern": {func() (int, error) { return w.svc.EraseEmail(w.ctx, "%@example.com,") }, refusal{
			422, "form_param_format_invalid", "email_address",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(invitation.ErrInvalid, []refusal{tt.want}, func() error {
				n, err := tt.call()
				w.is.Equal(n, 0)
				return err
			})
		})
	}
}

// bounded records the size of the largest statement.
type bounded struct {
	storage.Storage
	largest *int
}

func (b bounded) Unwrap() storage.Storage { return b.Storage }

func (b bounded) note(n int) { *b.largest = max(*b.largest, n) }

func (b bounded) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return b.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, bounded{tx, b.largest})
	})
}

func (b bounded) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	found, err := b.Storage.List(ctx, q)
	b.note(max(len(found), len(q.IDs)))
	return found, err
}

func (b bounded) Update(ctx context.Context, records ...storage.Record) error {
	b.note(len(records))
	return b.Storage.Update(ctx, records...)
}

func (b bounded) Delete(ctx context.Context, ids ...string) (int, error) {
	b.note(len(ids))
	return b.Storage.Delete(ctx, ids...)
}

// retried runs each transaction twice, like an engine that aborts the first attempt.
type retried struct{ storage.Storage }

func (r retried) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	err := r.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return storage.ErrAborted
	})
	if !errors.Is(err, storage.ErrAborted) {
		return err
	}
	return r.Storage.RunInTx(ctx, fn)
}

// An organization may have any number of invitations. An operation on all of them holds 500 records and events at once,
// and is still one transaction.
func TestPagesInOneTransaction(t *testing.T) {
	const n = 1203
	for name, call := range map[string]func(w *world) (int, error){
		"RevokeAll": func(w *world) (int, error) {
			return w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{OrganizationID: "acme", InviterUserID: "ann"})
		},
		"RevokeAll, everywhere": func(w *world) (int, error) {
			return w.svc.RevokeAll(w.ctx, invitation.RevokeAllParams{InviterUserID: "ann"})
		},
		"DeleteOrganization": func(w *world) (int, error) { return w.svc.DeleteOrganization(w.ctx, "acme") },
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, &invitation.Config{MaxBulk: -1, NewID: rand.Text}) // ids without an order
			ps := make([]invitation.CreateParams, n)
			for i := range ps {
				ps[i] = invitation.CreateParams{
					EmailAddress: fmt.Sprintf("u%d@example.com", i), Role: invitation.RoleMember, InviterUserID: "ann",
				}
			}
			_, err := w.svc.CreateBulk(w.ctx, "acme", ps)
			w.is.NoErr(err)
			before := w.stored()

			var largest int
			var told []int
			boom := errors.New("boom")
			failAt := 3 // the last page
			cfg := &invitation.Config{
				Clock: w.clock, TicketKeys: [][]byte{key1}, AcceptURL: acceptURL,
				OnEvents: func(_ context.Context, _ storage.Storage, events []invitation.Event) error {
					told = append(told, len(events))
					if len(told) == failAt {
						return boom
					}
					return nil
				},
			}
			w.svc, err = invitation.NewService(bounded{w.host.Storage(), &largest}, w.host, cfg)
			w.is.NoErr(err)
			if name != "DeleteOrganization" {
				_, err = call(w)
				w.is.True(errors.Is(err, boom))
				w.is.Equal(w.stored(), before) // the first pages are rolled back too
				w.is.Equal(told, []int{500, 500, 203})
			}
			told = nil
			failAt = 0
			got, err := call(w)
			w.is.NoErr(err)
			w.is.Equal(got, n)
			w.is.Equal(largest, 500)
			page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{
				Statuses: []invitation.Status{invitation.StatusPending},
			})
			w.is.NoErr(err)
			w.is.Equal(page.TotalCount, 0)
			if name != "DeleteOrganization" {
				w.is.Equal(told, []int{500, 500, 203})
			}
		})
	}
}

// The count of an aborted attempt is dropped.
func TestCountsOfRetriedTransactions(t *testing.T) {
	w := setup(t, nil)
	svc, err := invitation.NewService(retried{w.host.Storage()}, w.host, &invitation.Config{Clock: w.clock})
	w.is.NoErr(err)
	for range 2 {
		w.invite("carl@example.com")
		w.invite("dora@example.com")
		n, err := svc.RevokeAll(w.ctx, invitation.RevokeAllParams{InviterUserID: "ann"})
		w.is.NoErr(err)
		w.is.Equal(n, 2)
	}
	n, err := svc.DeleteOrganization(w.ctx, "acme")
	w.is.NoErr(err)
	w.is.Equal(n, 4)
}
