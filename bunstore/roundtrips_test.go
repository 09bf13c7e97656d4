package bunstore_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/internal/faults"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The number of round trips to the server for each operation that succeeds at once, including BEGIN, COMMIT and the
// host's own statements. go-sql-driver needs one more, to set a transaction's isolation before it begins, unless the
// DSN has done so.
func TestRoundTrips(t *testing.T) {
	list := []engines.Engine{
		engines.Named(t, "postgres"), engines.Named(t, "mariadb"), engines.Named(t, "mariadb-options"),
	}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		address := e.New(t)
		p, through := e.Proxied(t, address)
		h := build(t, e.Connect(t, through), invitation.Config{})
		h.svc = h.with(t, invitation.Config{ResendAfter: -1})
		create := func(email string) invitation.Invitation {
			inv, err := h.svc.Create(t.Context(), "acme", invitation.CreateParams{
				EmailAddress: email, Role: invitation.RoleMember})
			h.is.NoErr(err)
			return inv
		}
		const onPostgres, onMariaDB = 0, 1
		on := onPostgres
		if e.Name != "postgres" {
			on = onMariaDB
		}
		_, lapsed := create("u1@example.com"), create("u2@example.com")
		h.clock.Set(lapsed.ExpiresAt)
		pending := create("u3@example.com")
		for _, c := range []struct {
			name string
			want [2]int // on PostgreSQL, on MariaDB
			call func() error
		}{
			{"create", [2]int{4, 5}, func() error { create("u4@example.com"); return nil }},
			{"create by an inviter", [2]int{5, 6}, func() error { h.invite(t, "u5@example.com"); return nil }},
			{"resend", [2]int{4, 5}, func() error {
				_, err := h.svc.Resend(t.Context(), "acme", pending.ID, invitation.ResendParams{})
				return err
			}},
			{"resend of an expired one", [2]int{8, 7}, func() error {
				_, err := h.svc.Resend(t.Context(), "acme", lapsed.ID, invitation.ResendParams{})
				return err
			}},
			{"revoke", [2]int{4, 5}, func() error {
				_, err := h.svc.Revoke(t.Context(), "acme", pending.ID, invitation.RevokeParams{})
				return err
			}},
			{"accept", [2]int{9, 10}, func() error {
				_, err := h.svc.Accept(t.Context(), invitation.AcceptParams{
					OrganizationID: "acme", InvitationID: lapsed.ID, UserID: "u2"})
				return err
			}},
			{"create each of three", [2]int{7, 8}, func() error {
				_, err := h.svc.CreateEach(t.Context(), "acme", []invitation.CreateParams{
					{EmailAddress: "u6@example.com", Role: invitation.RoleMember},
					{EmailAddress: "u7@example.com", Role: invitation.RoleMember},
					{EmailAddress: "u8@example.com", Role: invitation.RoleMember},
				})
				return err
			}},
			{"create each of three, one of them a duplicate", [2]int{21, 24}, func() error {
				results, err := h.svc.CreateEach(t.Context(), "acme", []invitation.CreateParams{
					{EmailAddress: "u9@example.com", Role: invitation.RoleMember},
					{EmailAddress: "u7@example.com", Role: invitation.RoleMember},
					{EmailAddress: "u10@example.com", Role: invitation.RoleMember},
				})
				h.is.True(errors.Is(results[1].Err, invitation.ErrDuplicate))
				return err
			}},
			{"can invite", [2]int{3, 3}, func() error {
				return h.svc.CanInvite(t.Context(), "acme", invitation.CreateParams{
					EmailAddress: "u11@example.com", Role: invitation.RoleMember, InviterUserID: "ann"})
			}},
			{"counts", [2]int{1, 1}, func() error {
				_, err := h.svc.Counts(t.Context(), "acme", invitation.ListParams{})
				return err
			}},
			{"get", [2]int{1, 1}, func() error {
				_, err := h.svc.Get(t.Context(), "acme", lapsed.ID)
				return err
			}},
			{"page with total", [2]int{2, 2}, func() error {
				_, err := h.svc.List(t.Context(), "acme", invitation.ListParams{Limit: 1})
				return err
			}},
			{"page that shows the total", [2]int{1, 1}, func() error {
				_, err := h.svc.List(t.Context(), "acme", invitation.ListParams{})
				return err
			}},
		} {
			p.Set(0, faults.Pass, "")
			h.is.NoErr(c.call())
			want := c.want[on]
			if e.Name == "mariadb-options" && want > 3 { // a transaction
				want--
			}
			if got := p.Seen(); got != want {
				t.Errorf("%s: %d round trips, want %d", c.name, got, want)
			}
		}
	})
}

// A host that finds no row causes no check whether the transaction is still open.
func TestNoRowsCostNothing(t *testing.T) {
	engines.On(t, []engines.Engine{engines.Named(t, "mariadb")}, func(t *testing.T, e engines.Engine) {
		seen := &hook{}
		h := build(t, e.Open(t).WithQueryHook(seen), invitation.Config{})
		seen.statements = nil
		h.is.NoErr(h.store.RunInTx(t.Context(), func(ctx context.Context, tx storage.Storage) error {
			err := bunstore.DB(tx).NewSelect().Model(&hostUser{}).Where("id = 'nobody'").Scan(ctx)
			h.is.True(errors.Is(err, sql.ErrNoRows))
			return tx.Insert(ctx, record("a"))
		}))
		h.is.True(!slices.Contains(seen.statements, "SELECT @@in_transaction"))
	})
}
