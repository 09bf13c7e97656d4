package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

// Create, CreateBulk and Resend document the precedence of their errors. This test makes calls with several things
// wrong, and compares the error with the documentation.

var (
	errInside  = errors.New("inside") // an internal error of the host
	ownRole    = &invitation.Error{Status: http.StatusTeapot, Code: "own_role", Message: "own"}
	ownMembers = &invitation.Error{Status: http.StatusTeapot, Code: "own_members", Message: "own"}
	ownAllow   = &invitation.Error{Status: http.StatusTeapot, Code: "own_allow", Message: "own"}
	ownSeats   = &invitation.Error{Status: http.StatusTeapot, Code: "own_seats", Message: "own"}
)

// item is an address, and what is wrong with it.
type item struct {
	email         string
	allow         error // the error of AllowEmail
	member        bool
	live, replace bool // an invitation is pending; the item replaces it
	soon          bool // the pending invitation was sent recently
}

// attempt is a call, and what is wrong with it.
type attempt struct {
	op           string // create, bulk or resend
	nobody       bool   // through As("")
	badParameter bool
	acts         bool              // through a user
	roleErr      error             // the error of Role
	manages      bool              // the role manages
	mayNotGrant  bool              // the role may not grant that of the invitation
	status       invitation.Status // of the invitation to resend; "" if it does not exist
	members      error             // the error of MemberEmails
	items        []item
	seats        error
	full         bool // MaxPending is 1
	pending      int  // pending invitations before the call
}

// want returns the error that the doc comments promise.
func (a attempt) want() error {
	invites := a.op != "resend" || a.status == invitation.StatusExpired
	switch {
	case a.nobody:
		return invitation.ErrForbidden
	case a.badParameter:
		return invitation.ErrInvalid
	case a.acts && a.roleErr != nil:
		return a.roleErr
	case a.acts && !a.manages:
		return invitation.ErrForbidden
	case a.op == "resend" && a.status == "":
		return invitation.ErrNotFound
	case a.op == "resend" && a.status == invitation.StatusRevoked:
		return invitation.ErrNotPending
	case invites && a.members != nil: // either internal error may be returned; here they are equal
		return a.members
	}
	if a.acts && a.mayNotGrant {
		return invitation.ErrForbidden
	}
	var refused error
	for _, it := range a.items {
		if it.allow == errInside {
			return errInside
		}
		if refused == nil {
			refused = it.allow
		}
	}
	if refused != nil {
		return refused
	}
	more := 0
	if invites {
		for _, it := range a.items {
			if it.member {
				return invitation.ErrAlreadyMember
			}
		}
		for _, it := range a.items {
			if it.live && !it.replace {
				return invitation.ErrDuplicate
			}
			if !it.live {
				more++
			}
		}
	}
	for _, it := range a.items {
		if it.soon && (it.live || a.op == "resend") {
			return invitation.ErrTooSoon
		}
	}
	switch {
	case invites && a.full && a.pending+more > 1:
		return invitation.ErrQuotaExceeded
	case invites:
		return a.seats
	}
	return nil
}

// chance returns one of the errors, or more often nil.
func chance[T any](rnd *rand.Rand, none T, troubles ...T) T {
	if rnd.IntN(2) == 0 {
		return none
	}
	return append(troubles, none)[rnd.IntN(len(troubles)+1)]
}

func newAttempt(rnd *rand.Rand) attempt {
	a := attempt{
		op:           []string{"create", "bulk", "resend"}[rnd.IntN(3)],
		nobody:       rnd.IntN(16) == 0,
		badParameter: rnd.IntN(12) == 0,
		acts:         rnd.IntN(3) > 0,
		roleErr:      chance(rnd, nil, invitation.ErrNotMember, errInside, error(ownRole), invitation.ErrNotFound, nil, nil),
		manages:      rnd.IntN(6) > 0,
		mayNotGrant:  rnd.IntN(4) == 0,
		members:      chance(rnd, nil, invitation.ErrNotFound, errInside, error(ownMembers), nil),
		seats:        chance(rnd, nil, invitation.ErrQuotaExceeded, errInside, error(ownSeats)),
		full:         rnd.IntN(4) == 0,
	}
	n := 1
	if a.op == "bulk" {
		n += rnd.IntN(3)
	}
	for i := range n {
		it := item{
			email: fmt.Sprintf("u%d@example.com", i),
			allow: chance(rnd, nil, invitation.ErrForbidden, fmt.Errorf("x: %w", invitation.ErrForbidden), errInside,
				error(ownAllow), nil, nil),
			member: rnd.IntN(6) == 0,
			live:   rnd.IntN(3) == 0,
			soon:   rnd.IntN(3) == 0,
		}
		it.replace = a.op != "resend" && rnd.IntN(2) == 0
		a.items = append(a.items, it)
	}
	if a.op == "resend" {
		a.status = []invitation.Status{invitation.StatusPending, invitation.StatusExpired, invitation.StatusExpired,
			invitation.StatusRevoked, ""}[rnd.IntN(5)]
		a.items[0].live = a.items[0].live && a.status == invitation.StatusExpired // another invitation for the same address
	}
	return a
}

// answers is a host that answers as an attempt says.
type answers struct{ attempt }

func (h answers) Role(_ context.Context, _ storage.Storage, _, user string) (invitation.Role, error) {
	switch {
	case user != "actor":
		return "admin", nil
	case h.roleErr != nil:
		return "", h.roleErr
	case !h.manages:
		return "member", nil
	}
	return "lead", nil
}

func (h answers) MemberEmails(context.Context, storage.Storage, string, []string) (emails []string, err error) {
	for _, it := range h.items {
		if it.member {
			emails = append(emails, it.email)
		}
	}
	return emails, h.members
}

func (answers) VerifiedEmails(context.Context, storage.Storage, string) ([]string, error) {
	return nil, nil
}
func (answers) Join(context.Context, storage.Storage, invitation.Membership) error { return nil }

// make creates the earlier invitations and makes the call. It returns the error of the call, and whether it changed
// anything.
func (a *attempt) make(t *testing.T, roles *invitation.Roles) (err error, changed bool) {
	t.Helper()
	is, ctx, store := is.New(t), t.Context(), memstore.New()
	now := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	setup, err := invitation.NewService(store, answers{}, &invitation.Config{Roles: roles, Clock: now, ResendAfter: -1})
	is.NoErr(err)
	role := invitation.Role("member")
	if a.mayNotGrant {
		role = "lead"
	}
	invite := func(email string, role invitation.Role) invitation.Invitation {
		inv, err := setup.Create(ctx, "acme", invitation.CreateParams{EmailAddress: email, Role: role})
		is.NoErr(err)
		return inv
	}
	id := "missing"
	if a.op == "resend" && a.status != "" {
		inv := invite(a.items[0].email, role)
		id = inv.ID
		switch a.status {
		case invitation.StatusExpired:
			now.Set(inv.ExpiresAt)
		case invitation.StatusRevoked:
			_, err = setup.Revoke(ctx, "acme", id, invitation.RevokeParams{})
			is.NoErr(err)
		}
	}
	const pause = 1000 * time.Hour
	for _, soon := range []bool{false, true} {
		for _, it := range a.items {
			if it.live && (it.soon == soon || a.op == "resend") && (!soon || a.op != "resend") {
				invite(it.email, "member")
			}
		}
		if !soon && a.op != "resend" {
			now.Advance(2 * time.Minute)
		}
	}
	cfg := &invitation.Config{Roles: roles, Clock: now, ResendAfter: time.Minute}
	if a.op == "resend" {
		now.Advance(2 * time.Minute)
		if a.items[0].soon {
			cfg.ResendAfter = pause
		}
	}
	cfg.AllowEmail = func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
		for _, it := range a.items {
			if it.email == r.EmailAddress {
				return it.allow
			}
		}
		return nil
	}
	cfg.Seats = func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error) {
		if a.seats == invitation.ErrQuotaExceeded {
			return invitation.SeatsResult{Members: 5, Limit: 4}, nil
		}
		return invitation.SeatsResult{}, a.seats
	}
	if a.full {
		cfg.MaxPending = 1
	}
	before, err := store.List(ctx, storage.Query{})
	is.NoErr(err)
	a.pending = 0
	for _, r := range before {
		if r.EffectiveStatus(now.Now()) == storage.Pending {
			a.pending++
		}
	}
	svc, err := invitation.NewService(store, answers{*a}, cfg)
	is.NoErr(err)
	if a.nobody {
		svc = svc.As("")
	}
	user := ""
	if a.acts {
		user = "actor"
	}
	if a.badParameter {
		user = "a\x00"
	}
	var ps []invitation.CreateParams
	for _, it := range a.items {
		ps = append(ps, invitation.CreateParams{EmailAddress: it.email, Role: role, InviterUserID: user, Replace: it.replace})
	}
	switch a.op {
	case "create":
		_, err = svc.Create(ctx, "acme", ps[0])
	case "bulk":
		_, err = svc.CreateBulk(ctx, "acme", ps)
	default:
		_, err = svc.Resend(ctx, "acme", id, invitation.ResendParams{RequestingUserID: user})
	}
	after, failed := store.List(ctx, storage.Query{})
	is.NoErr(failed)
	return err, fmt.Sprint(after) != fmt.Sprint(before)
}

// name returns the code of the first error in err.
func name(err error) string {
	var e *invitation.Error
	for _, known := range []error{errInside, invitation.ErrInvalid, invitation.ErrNotMember, invitation.ErrForbidden,
		invitation.ErrNotFound, invitation.ErrNotPending, invitation.ErrAlreadyMember, invitation.ErrDuplicate,
		invitation.ErrTooSoon, invitation.ErrQuotaExceeded} {
		switch {
		case err == nil:
			return "nothing"
		case errors.As(err, &e) && e.Status == http.StatusTeapot:
			return e.Code
		case e != nil && errors.Is(e, known), e == nil && errors.Is(err, known):
			return known.Error()
		}
	}
	return err.Error()
}

func TestOrderOfRefusals(t *testing.T) {
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: "admin", Manages: true, Grants: []invitation.Role{"admin", "lead", "member"}},
		invitation.RoleDefinition{Key: "lead", Manages: true, Grants: []invitation.Role{"member"}},
		invitation.RoleDefinition{Key: "member"})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 4000 {
		a := newAttempt(rnd)
		got, changed := a.make(t, roles)
		want := a.want()
		seen[name(want)]++
		if name(got) != name(want) || changed != (want == nil) {
			t.Errorf("%+v:\nwant %v, got %s (%v), changed %v", a, want, name(got), got, changed)
		}
		if t.Failed() {
			return // the first failure is enough
		}
	}
	t.Log(seen)
	if len(seen) != 15 { // every error, and success
		t.Errorf("%d answers were met: %v", len(seen), seen)
	}
}

// counting is a host that counts the calls of MemberEmails.
type counting struct {
	failing
	asked int
}

func (h *counting) MemberEmails(ctx context.Context, tx storage.Storage, org string, emails []string) (
	[]string, error) {
	h.asked++
	return h.failing.MemberEmails(ctx, tx, org, emails)
}
