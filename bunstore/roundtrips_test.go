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
// host's own statements. go-sql-driver needs one more, because it sets a transaction's isolation before it begins it.
// On PostgreSQL a write that a unique index may refuse has a savepoint.
func TestRoundTrips(t *testing.T) {
	both := []engines.Engine{engines.Named(t, "postgres"), engines.Named(t, "mariadb")}
	engines.On(t, both, func(t *testing.T, e engines.Engine) {
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
		if e.Name == "mariadb" {
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
			{"create", [2]int{5, 6}, func() error { create("u4@example.com"); return nil }},
			{"create by an inviter", [2]int{6, 7}, func() error { h.invite(t, "u5@example.com"); return nil }},
			{"resend", [2]int{8, 7}, func() error {
				_, err := h.svc.Resend(t.Context(), "acme", pending.ID, invitation.ResendParams{})
				return err
			}},
			{"resend of an expired one", [2]int{10, 9}, func() error {
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
			{"get", [2]int{1, 1}, func() error {
				_, err := h.svc.Get(t.Context(), "acme", lapsed.ID)
				return err
			}},
			{"page with total", [2]int{2, 2}, func() error {
				_, err := h.svc.List(t.Context(), "acme", invitation.ListParams{Limit: 1})
				return err
			}},
		} {
			p.Set(0, faults.Pass, "")
			h.is.NoErr(c.call())
			if got := p.Seen(); got != c.want[on] {
				t.Errorf("%s: %d round trips, want %d", c.name, got, c.want[on])
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
