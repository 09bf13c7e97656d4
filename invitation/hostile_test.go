package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

var errInside = errors.New("inside")

func own(code string) error { return &invitation.Error{Status: 418, Code: code, Message: code} }

type fakeDir struct {
	role    func(user string) (invitation.Role, error)
	members []string
	merr    error
	n       int
}

func (d *fakeDir) Role(_ context.Context, _ storage.Storage, _, u string) (invitation.Role, error) {
	return d.role(u)
}
func (d *fakeDir) MemberEmails(_ context.Context, _ storage.Storage, _ string, emails []string) ([]string, error) {
	return d.members, d.merr
}
func (d *fakeDir) VerifiedEmails(context.Context, storage.Storage, string) ([]string, error) {
	return nil, nil
}
func (d *fakeDir) Join(context.Context, storage.Storage, invitation.Membership) error { return nil }

func kind(err error) string {
	if err == nil {
		return "ok"
	}
	var e *invitation.Error
	if errors.As(err, &e) && e.Status == 418 {
		return "own:" + e.Code
	}
	for n, s := range map[string]error{"invalid": invitation.ErrInvalid, "notmember": invitation.ErrNotMember,
		"forbidden": invitation.ErrForbidden, "notfound": invitation.ErrNotFound, "member": invitation.ErrAlreadyMember,
		"dup": invitation.ErrDuplicate, "soon": invitation.ErrTooSoon, "quota": invitation.ErrQuotaExceeded, "notpending": invitation.ErrNotPending} {
		if errors.Is(err, s) && errors.As(err, &e) {
			return n
		}
	}
	if errors.Is(err, errInside) {
		return "inside"
	}
	return "other: " + err.Error()
}

func TestHostileCreateOrder(t *testing.T) {
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "admin", Manages: true, Grants: []invitation.Role{"admin", "lead", "member"}},
		invitation.RoleDefinition{Key: "lead", Manages: true, Grants: []invitation.Role{"member"}},
		invitation.RoleDefinition{Key: "member"})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	ctx := context.Background()
	bad, n, accepted := 0, 0, map[string]int{}
	for n = 0; n < 150000 && bad < 15; n++ {
		pick := func(weights ...int) int { // mostly 0
			if rnd.IntN(2) == 0 {
				return 0
			}
			return rnd.IntN(weights[0])
		}
		op := []string{"create", "bulk", "resend"}[rnd.IntN(3)]
		noAs, badParam := pick(8) == 1, pick(6) == 1
		actor := pick(7) // 0 none 1 ok 2 notmember 3 nonmanager 4 inside 5 own 6 notfound
		org := pick(4)   // 0 ok 1 notfound 2 inside 3 own
		ceiling := pick(2) == 1
		allow := make([]int, 3) // 0 ok 1 forbidden 2 inside 3 own 4 notfound 5 wrapped forbidden
		member, held, replace, soon := make([]bool, 3), make([]int, 3), make([]bool, 3), make([]bool, 3)
		for i := range 3 {
			allow[i], member[i], held[i], replace[i], soon[i] = pick(6), pick(2) == 1, pick(3), pick(2) == 1, pick(2) == 1
		}
		seats := pick(4) // 0 ok 1 exceeded 2 inside 3 own
		maxPending := pick(2) == 1
		state := rnd.IntN(4) // resend: 0 pending 1 lapsed 2 revoked 3 missing

		items := 1
		if op == "bulk" {
			items = 1 + rnd.IntN(3)
		}
		if op == "resend" {
			items = 1
			replace[0] = false
		}
		store := memstore.New()
		fc := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		admin := &fakeDir{role: func(string) (invitation.Role, error) { return "admin", nil }}
		setup, err := invitation.NewService(store, admin, &invitation.Config{Roles: roles, Clock: fc, ResendAfter: -1})
		if err != nil {
			t.Fatal(err)
		}
		emails := []string{"a@example.com", "b@example.com", "c@example.com"}
		must := func(inv invitation.Invitation, err error) invitation.Invitation {
			if err != nil {
				t.Fatal(err)
			}
			return inv
		}
		var target invitation.Invitation
		rolewanted := invitation.Role("member")
		acting := actor != 0
		if ceiling {
			rolewanted = "lead"
		}
		live := make([]bool, 3)
		resoon := false
		if op == "resend" {
			target = must(setup.Create(ctx, "acme", invitation.CreateParams{EmailAddress: emails[0], Role: rolewanted, ExpiresIn: time.Hour * 24}))
			switch state {
			case 1:
				fc.Advance(25 * time.Hour)
				if held[0] == 2 { // another one holds the slot
					must(setup.Create(ctx, "acme", invitation.CreateParams{EmailAddress: emails[0], Role: "member", ExpiresIn: time.Hour * 24 * 300}))
					live[0] = true
				} else if held[0] == 1 { // another one that lapsed
					must(setup.Create(ctx, "acme", invitation.CreateParams{EmailAddress: emails[0], Role: "member", ExpiresIn: time.Hour}))
					fc.Advance(25 * time.Hour)
				}
			case 2:
				must(setup.Revoke(ctx, "acme", target.ID, invitation.RevokeParams{}))
			}
			fc.Advance(time.Hour)
			if soon[0] {
				resoon = true // ResendAfter longer than a whole week
			}
		} else {
			for i := range items {
				switch held[i] {
				case 1:
					must(setup.Create(ctx, "acme", invitation.CreateParams{EmailAddress: emails[i], Role: "member", ExpiresIn: time.Hour}))
				}
			}
			fc.Advance(2 * time.Hour)
			for i := range items {
				if held[i] == 2 && !soon[i] {
					must(setup.Create(ctx, "acme", invitation.CreateParams{EmailAddress: emails[i], Role: "member"}))
					live[i] = true
				}
			}
			fc.Advance(2 * time.Hour)
			for i := range items {
				if held[i] == 2 && soon[i] {
					must(setup.Create(ctx, "acme", invitation.CreateParams{EmailAddress: emails[i], Role: "member"}))
					live[i] = true
				}
			}
		}
		before, _ := store.List(ctx, storage.Query{})
		d := &fakeDir{}
		d.role = func(u string) (invitation.Role, error) {
			if u != "actor" {
				return "admin", nil
			}
			switch actor {
			case 2:
				return "", invitation.ErrNotMember
			case 3:
				return "member", nil
			case 4:
				return "", errInside
			case 5:
				return "", own("role")
			case 6:
				return "", invitation.ErrNotFound
			}
			return "lead", nil
		}
		for i := range items {
			if member[i] {
				d.members = append(d.members, emails[i])
			}
		}
		d.merr = []error{nil, invitation.ErrNotFound, errInside, own("members")}[org]
		cfg := &invitation.Config{Roles: roles, Clock: fc, ResendAfter: time.Minute * 30}
		if resoon {
			cfg.ResendAfter = 10000 * time.Hour
		}
		cfg.AllowEmail = func(_ context.Context, _ storage.Storage, _, email string) error {
			for i := range emails {
				if emails[i] == email {
					return []error{nil, invitation.ErrForbidden, errInside, own("allow"), invitation.ErrNotFound, fmt.Errorf("x: %w", invitation.ErrForbidden)}[allow[i]]
				}
			}
			return nil
		}
		cfg.Seats = func(context.Context, storage.Storage, string) (int, int, error) {
			switch seats {
			case 1:
				return 5, 4, nil
			case 2:
				return 0, 0, errInside
			case 3:
				return 0, 0, own("seats")
			}
			return 0, 0, nil
		}
		pendingNow := 0
		for _, r := range before {
			if r.EffectiveStatus(fc.Now()) == "pending" {
				pendingNow++
			}
		}
		if maxPending {
			cfg.MaxPending = 1
		}
		svc, err := invitation.NewService(store, d, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if noAs {
			svc = svc.As("")
		}
		user := ""
		if acting {
			user = "actor"
		}
		if badParam {
			user = "a\x00"
		}
		// the oracle
		want := func() string {
			if noAs {
				return "forbidden"
			}
			if badParam {
				return "invalid"
			}
			if s := []string{"", "", "notmember", "forbidden", "inside", "own:role", "notfound"}[actor]; s != "" {
				return s
			}
			if op == "resend" {
				if state == 3 {
					return "notfound"
				}
				if state == 2 {
					return "notpending"
				}
			}
			invites := op != "resend" || state == 1
			if invites && org != 0 {
				return []string{"", "notfound", "inside", "own:members"}[org]
			}
			if ceiling && acting {
				return "forbidden"
			}
			if invites {
				shown := ""
				for i := range items {
					switch allow[i] {
					case 2, 4:
						return "insideOrNotfound" // an internal error goes at once
					case 1, 5:
						if shown == "" {
							shown = "forbidden"
						}
					case 3:
						if shown == "" {
							shown = "own:allow"
						}
					}
				}
				if shown != "" {
					return shown
				}
				for i := range items {
					if member[i] {
						return "member"
					}
				}
				for i := range items {
					if live[i] && !replace[i] {
						return "dup"
					}
				}
			}
			more := items
			for i := range items {
				if op != "resend" && live[i] && replace[i] {
					more--
					if soon[i] && false {
						return "soon"
					}
				}
			}
			if op == "resend" {
				if resoon {
					return "soon"
				}
			} else {
				for i := range items {
					if live[i] && replace[i] && fc.Now().Sub(lastSent(before, emails[i])) < cfg.ResendAfter {
						return "soon"
					}
				}
			}
			if invites {
				if maxPending && pendingNow+more > 1 {
					return "quota"
				}
				if s := []string{"", "quota", "inside", "own:seats"}[seats]; s != "" {
					return s
				}
			}
			return "ok"
		}()
		var got error
		var back []invitation.Invitation
		switch op {
		case "resend":
			id := target.ID
			if state == 3 {
				id = "missing"
			}
			var inv invitation.Invitation
			inv, got = svc.Resend(ctx, "acme", id, invitation.ResendParams{RequestingUserID: user})
			back = append(back, inv)
		default:
			var ps []invitation.CreateParams
			for i := range items {
				ps = append(ps, invitation.CreateParams{EmailAddress: emails[i], Role: rolewanted, InviterUserID: user, Replace: replace[i]})
			}
			if op == "create" {
				var inv invitation.Invitation
				inv, got = svc.Create(ctx, "acme", ps[0])
				back = append(back, inv)
			} else {
				back, got = svc.CreateBulk(ctx, "acme", ps)
			}
		}
		_ = back
		k := kind(got)
		accepted[k]++
		match := k == want || want == "inside" && org == 2 && strings.HasPrefix(k, "other: ") && invitation.HTTPStatus(got) == 500 || want == "insideOrNotfound" && (k == "inside" || k == "notfound" || k[0:5] == "other")
		after, _ := store.List(ctx, storage.Query{})
		if got != nil && fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%v changed something", got)
		}
		_ = invitation.ErrorBody(got)
		if !match {
			bad++
			t.Errorf("%s items %d actor %d org %d ceiling %v allow %v member %v live %v replace %v soon %v seats %d max %v state %d held %v: want %s got %s (%v)",
				op, items, actor, org, ceiling, allow, member, live, replace, soon, seats, maxPending, state, held, want, k, got)
		}
	}
	t.Log(n, accepted)
}

func lastSent(rs []storage.Record, email string) time.Time {
	for _, r := range rs {
		if r.EmailKey == email && r.Status == "pending" {
			return r.SentAt
		}
	}
	return time.Time{}
}
