package invitation_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// users is a Config.Users that knows ann and zoe, and keeps what it was asked for.
func users(asked *[]string) func(context.Context, storage.Storage, []string) (map[string]invitation.User, error) {
	return func(_ context.Context, _ storage.Storage, ids []string) (map[string]invitation.User, error) {
		*asked = append(*asked, strings.Join(ids, " "))
		return map[string]invitation.User{
			"ann": {
				FirstName: "Ann", LastName: "Lee", Identifier: "ann@example.com", ImageURL: "https://img.example.com/ann",
				HasImage: true,
			},
			"zoe": {ID: "somebody else", Identifier: "zoe"},
			"":    {ID: "nobody"},
		}, nil
	}
}

func TestInviters(t *testing.T) {
	w := setup(t, nil)
	var asked []string
	w.svc = w.service(w.host, &invitation.Config{Users: users(&asked)})
	w.host.AddMember("acme", "zoe", invitation.RoleAdmin)
	w.host.AddMember("acme", "dora", invitation.RoleAdmin)
	byAnn := w.invite("carl@example.com")
	w.is.Equal(byAnn.Inviter, nil) // only where something is read to be shown
	for _, inviter := range []string{"zoe", "dora", "ann", ""} {
		_, err := w.svc.Create(w.ctx, "acme", entry("x"+inviter+"@example.com", invitation.RoleMember, inviter))
		w.is.NoErr(err)
	}
	w.is.Equal(len(asked), 0)
	ann := &invitation.User{
		ID: "ann", FirstName: "Ann", LastName: "Lee", Identifier: "ann@example.com", ImageURL: "https://img.example.com/ann",
		HasImage: true,
	}
	want := []*invitation.User{nil, ann, nil, {ID: "zoe", Identifier: "zoe"}, ann} // dora is left out
	for _, svc := range []*invitation.Service{w.svc, w.svc.As("ann")} {
		asked = nil
		page, err := svc.List(w.ctx, "acme", invitation.ListParams{})
		w.is.NoErr(err)
		for i, inv := range page.Data {
			w.is.Equal(inv.Inviter, want[i])
		}
		w.is.Equal(asked, []string{"ann dora zoe"}) // once, each inviter once
		got, err := svc.Get(w.ctx, "acme", byAnn.ID)
		w.is.NoErr(err)
		w.is.Equal(got.Inviter, ann)
	}
	all, err := w.svc.ListAll(w.ctx, invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(all.Data[1].Inviter, ann)
	hers, err := w.svc.As("carl").ListForUser(w.ctx, "", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(hers.Data[0].Inviter, ann) // for a page that says who invites
	shown, err := w.svc.Preview(w.ctx, ticketOf(t, byAnn))
	w.is.NoErr(err)
	w.is.Equal(shown.Inviter, ann)
	shown, err = w.svc.As("bob").Preview(w.ctx, ticketOf(t, byAnn))
	w.is.True(errors.Is(err, invitation.ErrNotInvitee))
	w.is.Equal(shown.Inviter, ann)
	for _, e := range w.events {
		w.is.Equal(e.Invitation.Inviter, nil)
	}

	asked = nil
	for _, p := range []invitation.ListParams{{EmailAddress: "x@example.com"}, {Query: "nothing"}} {
		_, err = w.svc.List(w.ctx, "acme", p)
		w.is.NoErr(err)
	}
	w.is.Equal(len(asked), 0) // nobody to ask for

	boom := errors.New("boom")
	svc := w.service(w.host, &invitation.Config{
		Users: func(context.Context, storage.Storage, []string) (map[string]invitation.User, error) { return nil, boom },
	})
	for _, call := range []func() error{
		func() error { _, err := svc.List(w.ctx, "acme", invitation.ListParams{}); return err },
		func() error { _, err := svc.Get(w.ctx, "acme", byAnn.ID); return err },
		func() error { _, err := svc.Preview(w.ctx, ticketOf(t, byAnn)); return err },
	} {
		w.refuses(boom, nil, call)
		w.is.True(strings.Contains(call().Error(), "Config.Users"))
	}
}

// The inviter is in the backend view, as in Clerk's API, and in no other.
func TestInviterOnTheWire(t *testing.T) {
	w := wired(t)
	var asked []string
	w.svc = w.service(w.host, &invitation.Config{Users: users(&asked), NewID: func() string { return "orginv_1" }})
	inv := w.whole("carl@example.com")
	inv = w.get(inv)
	golden(t, "invitation_with_inviter", marshal(t, inv.Backend()))
	w.is.True(!strings.Contains(string(marshal(t, inv)), "Lee"))
	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.True(!strings.Contains(string(marshal(t, page)), "Lee"))
	w.is.True(strings.Contains(string(marshal(t, page.Backend())), `"first_name":"Ann"`))
	var read invitation.Invitation
	w.is.NoErr(json.Unmarshal(marshal(t, inv.Backend()), &read))
	w.is.Equal(read.Inviter, inv.Inviter)
	inv.Inviter = &invitation.User{ID: "u"}
	body := marshal(t, inv.Backend())
	w.is.True(strings.Contains(string(body), `"public_inviter_data":{"user_id":"u","first_name":null,"last_name":null,`+
		`"image_url":"","has_image":false,"identifier":""}`))
	w.is.NoErr(json.Unmarshal(body, &read))
	w.is.Equal(read.Inviter, inv.Inviter)
}

// Both views have sent_at and resolved_at.
func TestSentAndResolvedOnTheWire(t *testing.T) {
	w := wired(t)
	inv := w.whole("carl@example.com")
	for _, body := range [][]byte{marshal(t, inv), marshal(t, inv.Backend())} {
		w.is.True(strings.Contains(string(body), `"sent_at":1772366400123,"resolved_at":null`))
		var read invitation.Invitation
		w.is.NoErr(json.Unmarshal(body, &read))
		w.is.Equal(read.SentAt.UnixMilli(), inv.SentAt.UnixMilli())
		w.is.True(read.ResolvedAt.IsZero())
	}
	var clerks invitation.Invitation
	w.is.NoErr(json.Unmarshal([]byte(`{"id":"orginv_1"}`), &clerks))
	w.is.True(clerks.SentAt.IsZero() && clerks.ResolvedAt.IsZero()) // Clerk's own API has neither
	inv, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	for _, body := range [][]byte{marshal(t, inv), marshal(t, inv.Backend())} {
		w.is.True(strings.Contains(string(body), `"resolved_at":1772366400123`))
		var read invitation.Invitation
		w.is.NoErr(json.Unmarshal(body, &read))
		w.is.Equal(read.ResolvedAt.UnixMilli(), inv.ResolvedAt.UnixMilli())
	}
}

// A manager learns how far a limit is exceeded. The invited person does not learn how many members there are.
func TestQuotaRefusalsTellTheNumbers(t *testing.T) {
	w := setup(t, nil)
	carl := w.invite("carl@example.com")
	w.invite("dora@example.com")
	meta := func(err error) map[string]any {
		t.Helper()
		var e *invitation.Error
		w.is.True(errors.Is(err, invitation.ErrQuotaExceeded))
		w.is.True(errors.As(err, &e))
		return e.Meta
	}
	three := slices.Repeat([]invitation.CreateParams{entry("", invitation.RoleMember, "")}, 3)
	for i := range three {
		three[i].EmailAddress = string(rune('a'+i)) + "@example.com"
	}
	seats := w.service(w.host, &invitation.Config{Seats: w.host.Seats(6)})
	_, err := seats.CreateBulk(w.ctx, "acme", three)
	w.is.Equal(meta(err), map[string]any{"seats": 6, "members": 2, "pending": 2, "requested": 3})
	w.is.True(strings.HasSuffix(string(invitation.ErrorBody(err)),
		`"code":"organization_membership_quota_exceeded","meta":{"members":2,"pending":2,"requested":3,"seats":6}}]}`))
	pending := w.service(w.host, &invitation.Config{MaxPending: 4})
	_, err = pending.CreateBulk(w.ctx, "acme", three)
	w.is.Equal(meta(err), map[string]any{"max_pending": 4, "pending": 2, "requested": 3})
	own := w.service(w.host, &invitation.Config{
		Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
			return invitation.SeatsResult{}, invitation.ErrQuotaExceeded
		},
	})
	_, err = own.Create(w.ctx, "acme", three[0])
	w.is.Equal(meta(err), map[string]any{"pending": 2, "requested": 1}) // the host says nothing more
	full := w.service(w.host, &invitation.Config{Seats: w.host.Seats(2)})
	_, err = full.Accept(w.ctx, byTicket(t, carl, "carl"))
	w.is.Equal(len(meta(err)), 0)
	_, err = full.Preview(w.ctx, ticketOf(t, carl))
	w.is.Equal(len(meta(err)), 0)
}
