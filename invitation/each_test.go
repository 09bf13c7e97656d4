package invitation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// entry returns the parameters of one item.
func entry(email string, role invitation.Role, inviter string) invitation.CreateParams {
	return invitation.CreateParams{EmailAddress: email, Role: role, InviterUserID: inviter}
}

// outcome returns for each result the address of the invitation, or the code and parameter of the error.
func outcome(results []invitation.CreateResult) []string {
	var out []string
	for _, r := range results {
		texts := []string{}
		for _, e := range refusals(r.Err) {
			texts = append(texts, strings.TrimSpace(e.code+" "+e.param))
		}
		out = append(out, r.Invitation.EmailAddress+strings.Join(texts, ", "))
	}
	return out
}

func TestCreateEach(t *testing.T) {
	w := setup(t, nil)
	allow := func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
		if strings.HasSuffix(r.EmailAddress, "@evil.example") {
			return invitation.ErrForbidden
		}
		return nil
	}
	w.svc = w.service(w.host, &invitation.Config{AllowEmail: allow})
	pending, fresh := w.invite("pending@example.com"), w.invite("fresh@example.com")
	w.clock.Advance(time.Hour)
	_, err := w.svc.Resend(w.ctx, "acme", fresh.ID, invitation.ResendParams{})
	w.is.NoErr(err)
	replacing := func(p invitation.CreateParams) invitation.CreateParams { p.Replace = true; return p }
	private := entry("private@example.com", invitation.RoleMember, "")
	private.PrivateMetadata = mustMetadata(t, `{"a":1}`)
	m, events := invitation.RoleMember, len(w.events)
	ps := []invitation.CreateParams{
		entry("z@example.com", m, "ann"),
		entry("Bob <bob@example.com>", m, "ann"),
		entry("x", "org:none", "ann"),
		entry("BOB@example.com", m, "ann"),
		replacing(entry("Pending@example.com", invitation.RoleAdmin, "ann")),
		entry("fresh@example.com", m, ""),
		replacing(entry("fresh@example.com", m, "ann")),
		replacing(entry("Z@example.com", m, "ann")),
		entry("eve@evil.example", m, ""),
		entry("a@example.com", m, "bob"),
		entry("a@example.com", m, "ann"),
		entry("c@example.com", m, "carl"),
		entry("b@example.com", invitation.RoleAdmin, ""),
		private,
	}
	results, err := w.svc.CreateEach(w.ctx, "acme", ps)
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{
		"z@example.com",
		"form_param_format_invalid email_address",
		"form_param_format_invalid email_address, resource_not_found role",
		"already_a_member_in_organization email_address",
		"Pending@example.com",
		"organization_invitation_not_unique email_address",
		"too_many_requests email_address",
		"organization_invitation_not_unique email_address", // an earlier item has invited it
		"not_allowed_access email_address",
		"not_an_admin_in_organization inviter_user_id",
		"a@example.com", // the earlier item was refused
		"not_a_member_in_organization inviter_user_id",
		"b@example.com",
		"private@example.com",
	})
	w.is.True(strings.Contains(results[1].Err.Error(), "the address alone")) // says what is wrong with it
	inviters := map[string]string{}
	for _, r := range results {
		if r.Err != nil {
			w.is.Equal(r.Invitation, invitation.Invitation{})
			continue
		}
		w.is.True(r.Invitation.URL != "")
		r.Invitation.URL = ""
		w.is.Equal(r.Invitation, w.get(r.Invitation))
		inviters[r.Invitation.EmailAddress] = r.Invitation.InviterUserID
	}
	w.is.Equal(inviters, map[string]string{
		"z@example.com": "ann", "Pending@example.com": "ann", "a@example.com": "ann", "b@example.com": "",
		"private@example.com": "",
	})
	w.is.Equal(w.get(pending).Status, invitation.StatusRevoked)
	types := eventTypes(w.events[events:])
	slices.Sort(types)
	w.is.Equal(types, append(slices.Repeat([]invitation.EventType{invitation.EventCreated}, 5), invitation.EventRevoked))

	for i, r := range results { // each error is the one that Create returns
		if r.Err != nil && i != 7 {
			_, err := w.svc.Create(w.ctx, "acme", ps[i])
			w.is.Equal(fmt.Sprint(err), fmt.Sprint(r.Err))
		}
	}
	body, err := json.Marshal(results[:2])
	w.is.NoErr(err)
	w.is.True(strings.HasPrefix(string(body), `[{"object":"organization_invitation","id":"`))
	w.is.True(strings.Contains(string(body), `},{"errors":[{"message":"Malformed parameter","long_message":"must be the`))
	w.is.True(!strings.Contains(string(body), "invitation_ticket")) // the frontend view
}

// Seats and pending invitations are used up in the order of the items, whatever is refused between them.
func TestCreateEachWithinLimits(t *testing.T) {
	w := setup(t, nil)
	w.invite("old@example.com")
	for name, cfg := range map[string]*invitation.Config{
		"MaxPending": {MaxPending: 4}, "Seats": {Seats: w.host.Seats(6)}, // ann and bob have seats
	} {
		svc := w.service(w.host, cfg)
		undo := errors.New("undo")
		err := w.host.Storage().RunInTx(w.ctx, func(ctx context.Context, tx storage.Storage) error {
			results, err := svc.WithStorage(tx).CreateEach(ctx, "acme", []invitation.CreateParams{
				entry("z@example.com", invitation.RoleMember, ""), entry("old@example.com", invitation.RoleMember, ""),
				entry("y@example.com", invitation.RoleMember, ""), entry("bob@example.com", invitation.RoleMember, ""),
				entry("x@example.com", invitation.RoleMember, ""), entry("a@example.com", invitation.RoleMember, ""),
			})
			w.is.NoErr(err)
			w.is.Equal(outcome(results), []string{
				"z@example.com", "organization_invitation_not_unique email_address", "y@example.com",
				"already_a_member_in_organization email_address", "x@example.com", "organization_membership_quota_exceeded",
			})
			return undo
		})
		if !errors.Is(err, undo) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An item without a valid address does not change which of the others comes first.
func TestCreateEachInOrder(t *testing.T) {
	w := setup(t, nil)
	w.invite("old@example.com")
	results, err := w.service(w.host, &invitation.Config{MaxPending: 2}).CreateEach(w.ctx, "acme",
		[]invitation.CreateParams{
			entry("x", invitation.RoleMember, ""), entry("a@example.com", invitation.RoleMember, ""),
			entry("b@example.com", invitation.RoleMember, ""), entry("old@example.com", invitation.RoleMember, ""),
		})
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{
		"form_param_format_invalid email_address", "a@example.com", "organization_membership_quota_exceeded",
		"organization_invitation_not_unique email_address",
	})
}

// What an item has changed before it is refused is undone, and tells no event.
func TestCreateEachUndoes(t *testing.T) {
	w := setup(t, nil)
	pending := w.invite("carl@example.com")
	w.host.AddMember("acme", "carl", invitation.RoleMember)
	again := entry("carl@example.com", invitation.RoleMember, "")
	again.Replace = true
	w.clock.Advance(time.Hour)
	w.refuses(invitation.ErrAlreadyMember, []refusal{{400, "already_a_member_in_organization", "email_address"}},
		func() error {
			results, err := w.svc.CreateEach(w.ctx, "acme", []invitation.CreateParams{again})
			w.is.NoErr(err)
			return results[0].Err
		})
	w.is.Equal(w.get(pending).Status, invitation.StatusPending)
}

// More refusals than one error names.
func TestCreateEachOfMany(t *testing.T) {
	w := setup(t, nil)
	const all = 450
	var ps []invitation.CreateParams
	for i := range all {
		ps = append(ps, entry(fmt.Sprintf("u%d@example.com", i), invitation.RoleMember, "ann"))
		if i%3 > 0 {
			w.invite(ps[i].EmailAddress)
		}
	}
	results, err := w.svc.CreateEach(w.ctx, "acme", ps)
	w.is.NoErr(err)
	for i, r := range results {
		w.is.Equal(errors.Is(r.Err, invitation.ErrDuplicate), i%3 > 0)
		w.is.True(r.Err != nil || r.Invitation.EmailAddress == ps[i].EmailAddress)
	}
	w.is.Equal(len(w.stored()), all)
}

func TestCreateEachThroughAs(t *testing.T) {
	w := setup(t, nil)
	private := entry("b@example.com", invitation.RoleMember, "")
	private.PrivateMetadata = mustMetadata(t, `{"a":1}`)
	ps := []invitation.CreateParams{entry("a@example.com", invitation.RoleMember, "zoe"), private}
	for user, tt := range map[string]struct {
		sentinel error
		want     refusal
	}{
		"bob":  {invitation.ErrForbidden, refusal{403, "not_an_admin_in_organization", "inviter_user_id"}},
		"carl": {invitation.ErrNotMember, refusal{403, "not_a_member_in_organization", "inviter_user_id"}},
		"":     {invitation.ErrForbidden, refusal{401, "not_allowed_access", "user_id"}},
	} {
		w.refuses(tt.sentinel, []refusal{tt.want}, func() error {
			results, err := w.svc.As(user).CreateEach(w.ctx, "acme", ps)
			w.is.Equal(len(results), 0)
			return err
		})
	}
	results, err := w.svc.As("ann").CreateEach(w.ctx, "acme", ps)
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{"a@example.com", "not_allowed_access private_metadata"})
	w.is.Equal(results[0].Invitation.InviterUserID, "ann") // whatever the item says
	w.is.Equal(results[0].Invitation.URL, "")
}

// What is not about single items is the error of the call, and nothing is written.
func TestCreateEachRefuses(t *testing.T) {
	w := setup(t, nil)
	svc := w.service(w.host, &invitation.Config{MaxBulk: 2})
	one := []invitation.CreateParams{entry("a@example.com", invitation.RoleMember, "")}
	for name, tt := range map[string]struct {
		org      string
		ps       []invitation.CreateParams
		sentinel error
		want     []refusal
	}{
		"too many": {"acme", slices.Repeat(one, 3), invitation.ErrInvalid, []refusal{{400, "bulk_size_exceeded", ""}}},
		"none":     {"acme", nil, invitation.ErrInvalid, []refusal{{422, "form_param_missing", ""}}},
		"no organization, and none": {"", nil, invitation.ErrInvalid,
			[]refusal{{422, "form_param_missing", "organization_id"}, {422, "form_param_missing", ""}}},
		"an unknown organization": {"nowhere", one, invitation.ErrNotFound,
			[]refusal{{404, "resource_not_found", "organization_id"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(tt.sentinel, tt.want, func() error {
				results, err := svc.CreateEach(w.ctx, tt.org, tt.ps)
				w.is.Equal(len(results), 0)
				return err
			})
		})
	}
	results, err := svc.CreateEach(w.ctx, "nowhere", []invitation.CreateParams{{}}) // nothing to ask the Directory for
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{"form_param_missing email_address, form_param_missing role"})

	boom := errors.New("boom")
	broken := func(context.Context, storage.Storage, invitation.AllowEmailRequest) error { return boom }
	w.refuses(boom, nil, func() error {
		_, err := w.service(w.host, &invitation.Config{AllowEmail: broken}).CreateEach(w.ctx, "acme", one)
		w.is.True(strings.HasPrefix(err.Error(), "invitation: create each: "))
		return err
	})
	w.refuses(boom, nil, func() error {
		_, err := w.service(&failing{Host: w.host, role: boom}, nil).CreateEach(w.ctx, "acme",
			[]invitation.CreateParams{one[0], entry("b@example.com", invitation.RoleMember, "ann")})
		return err
	})
	w.refuses(boom, nil, func() error { // OnEvents runs in the same transaction
		onEvents := func(context.Context, storage.Storage, []invitation.Event) error { return boom }
		_, err := w.service(w.host, &invitation.Config{OnEvents: onEvents}).CreateEach(w.ctx, "acme", one)
		return err
	})
}

// Two calls with the same addresses in different orders take the pending slots in one order.
func TestCreateEachTakesSlotsInOneOrder(t *testing.T) {
	w := setup(t, nil)
	var looked []string
	full := &invitation.Error{Status: 402, Code: "payment_required", Message: "Pay"} // names no item
	svc := w.service(w.host, &invitation.Config{
		AllowEmail: func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
			looked = append(looked, r.EmailAddress)
			return full
		},
	})
	results, err := svc.CreateEach(w.ctx, "acme", []invitation.CreateParams{
		entry("c@example.com", invitation.RoleMember, ""), entry("a@example.com", invitation.RoleMember, ""),
		entry("b@example.com", invitation.RoleMember, ""),
	})
	w.is.NoErr(err)
	w.is.Equal(outcome(results), slices.Repeat([]string{"payment_required"}, 3))
	a, b, c := "a@example.com", "b@example.com", "c@example.com"
	w.is.Equal(looked, []string{a, b, c, a, b, c, b, c}) // all, then halves of them
}

// After a refusal, which may have released rows, all rows are locked at once again, in the order of all operations.
func TestCreateEachLocksInOneOrder(t *testing.T) {
	w := setup(t, nil)
	w.invite("b@example.com")
	w.invite("a@example.com")
	var locked []int
	store := hooked{Storage: w.host.Storage(), list: func(q storage.Query) {
		if q.ForUpdate {
			locked = append(locked, len(q.IDs))
		}
	}}
	results, err := w.svc.WithStorage(store).CreateEach(w.ctx, "acme", []invitation.CreateParams{
		entry("b@example.com", invitation.RoleMember, ""), entry("a@example.com", invitation.RoleMember, ""),
	})
	w.is.NoErr(err)
	w.is.True(errors.Is(results[0].Err, invitation.ErrDuplicate) && errors.Is(results[1].Err, invitation.ErrDuplicate))
	w.is.Equal(locked, []int{2, 2, 1, 1}) // together, together again, and each alone
}

// A transaction that is retried begins again: what it found the first time does not count.
func TestCreateEachIsRetried(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("b@example.com")
	results, err := w.svc.WithStorage(retrying{w.host.Storage(), func() {
		_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
		w.is.NoErr(err)
	}}).CreateEach(w.ctx, "acme", []invitation.CreateParams{entry("b@example.com", invitation.RoleMember, "")})
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{"b@example.com"})
	results, err = w.svc.WithStorage(retrying{w.host.Storage(), func() {}}).CreateEach(w.ctx, "acme",
		[]invitation.CreateParams{
			entry("b@example.com", invitation.RoleMember, ""), entry("c@example.com", invitation.RoleMember, ""),
		})
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{"organization_invitation_not_unique email_address", "c@example.com"})
	w.is.Equal(w.get(results[1].Invitation).ID, results[1].Invitation.ID) // not the one that was rolled back
}

// retrying is a storage that aborts every transaction once, and then retries it after a function.
type retrying struct {
	storage.Storage
	between func()
}

func (s retrying) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	aborted := errors.New("aborted")
	err := s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return errors.Join(fn(ctx, tx), aborted)
	})
	if !errors.Is(err, aborted) {
		return err
	}
	s.between()
	return s.Storage.RunInTx(ctx, fn)
}

// A user who joins at the same moment is found after the slot is taken. The others are still invited.
func TestCreateEachWhileSomebodyJoins(t *testing.T) {
	w := setup(t, nil)
	results, err := w.service(joining{w.host}, nil).CreateEach(w.ctx, "acme", []invitation.CreateParams{
		entry("a@example.com", invitation.RoleMember, ""), entry("carl@example.com", invitation.RoleMember, ""),
	})
	w.is.NoErr(err)
	w.is.Equal(outcome(results), []string{"a@example.com", "already_a_member_in_organization email_address"})
	w.is.Equal(len(w.stored()), 1)
	w.is.Equal(len(w.events), 1)
}

// joining is a host that carl joins while he is invited.
type joining struct{ *invitationtest.Host }

func (h joining) MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) (
	[]string, error) {
	joined, err := h.Host.MemberEmails(ctx, tx, organizationID, emails)
	if slices.Contains(emails, "carl@example.com") {
		joined = append(joined, "carl@example.com")
	}
	return joined, err
}

// Limits over time are used up in the order of the items, as seats are.
func TestCreateEachSendLimits(t *testing.T) {
	w := setup(t, nil)
	for _, per := range []invitation.SendScope{invitation.PerInviter, invitation.PerOrganization} {
		svc := w.service(w.host, &invitation.Config{
			SendLimits: []invitation.SendLimit{{Per: per, Max: 2, Within: time.Hour}},
		})
		var ps []invitation.CreateParams
		for _, name := range []string{"d", "c", "b", "a"} {
			ps = append(ps, entry(name+string(per)+"@example.com", invitation.RoleMember, "ann"))
		}
		ps = append(ps, entry("free"+string(per)+"@example.com", invitation.RoleMember, "")) // the back end is not bound
		results, err := svc.CreateEach(w.ctx, "acme", ps)
		w.is.NoErr(err)
		for i, r := range results {
			w.is.Equal(errors.Is(r.Err, invitation.ErrTooSoon), i == 2 || i == 3)
			w.is.Equal(r.Err == nil, i != 2 && i != 3)
		}
		w.clock.Advance(2 * time.Hour)
	}
}

// asOneByOne requires that CreateEach tells for each item what Create tells if it is called for one item after the

// other, in a world that begins in the same way.
func asOneByOne(t *testing.T, start func() *world, ps []invitation.CreateParams) {
	t.Helper()
	w := start()
	results, err := w.svc.CreateEach(w.ctx, "acme", ps)
	if err != nil {
		t.Fatalf("CreateEach as a whole: %v", err)
	}
	w = start()
	for i, p := range ps {
		_, err := w.svc.Create(w.ctx, "acme", p)
		if got, want := fmt.Sprint(results[i].Err), fmt.Sprint(err); got != want {
			t.Errorf("item %d: CreateEach says %s, Create says %s", i, got, want)
		}
	}
}

// Seats and pending invitations are used up in the order of the items, also if the address of an item occurs before in

// an item that is refused.
func TestCreateEachOrder(t *testing.T) {
	start := func() *world {
		w := setup(t, &invitation.Config{MaxPending: 1, Roles: leadsAndGuests(t)})
		w.host.AddMember("acme", "carl", "lead")
		return w
	}
	asOneByOne(t, start, []invitation.CreateParams{
		{EmailAddress: "a@example.com", Role: invitation.RoleAdmin, InviterUserID: "carl"}, // may not grant the role
		{EmailAddress: "a@example.com", Role: invitation.RoleMember, InviterUserID: "carl"},
		{EmailAddress: "b@example.com", Role: invitation.RoleMember, InviterUserID: "carl"},
	})
}

func leadsAndGuests(t *testing.T) *invitation.Roles {
	t.Helper()
	roles, err := invitation.NewRoles(
		invitation.RoleDefinition{Key: invitation.RoleAdmin, Manages: true,
			Grants: []invitation.Role{invitation.RoleAdmin, invitation.RoleMember, "lead", "guest"}},
		invitation.RoleDefinition{Key: "lead", ManagesOwn: true, Grants: []invitation.Role{invitation.RoleMember, "guest"}},
		invitation.RoleDefinition{Key: invitation.RoleMember},
		invitation.RoleDefinition{Key: "guest", Seatless: true})
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

// A seat that a later item of the list frees is not free yet for an earlier item.
func TestCreateEachLaterReplace(t *testing.T) {
	asOneByOne(t, func() *world {
		w := setup(t, nil)
		w.svc = w.service(w.host, &invitation.Config{
			Roles: leadsAndGuests(t), ResendAfter: -1, Seats: w.host.Seats(3, "guest")})
		w.invite("held@example.com") // the third seat, after ann and bob
		return w
	}, []invitation.CreateParams{
		{EmailAddress: "a@example.com", Role: invitation.RoleMember},
		{EmailAddress: "held@example.com", Role: "guest", Replace: true},
	})
}

// A refusal of AllowEmail concerns one address, whatever else it wraps.
func TestCreateEachAllowEmailWrapsNotFound(t *testing.T) {
	asOneByOne(t, func() *world {
		return setup(t, &invitation.Config{
			AllowEmail: func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
				if r.EmailAddress == "x@bad.example" {
					return fmt.Errorf("%w: no rule for this domain: %w", invitation.ErrForbidden, invitation.ErrNotFound)
				}
				return nil
			}})
	}, []invitation.CreateParams{
		{EmailAddress: "a@example.com", Role: invitation.RoleMember},
		{EmailAddress: "x@bad.example", Role: invitation.RoleMember},
	})
}

// A user of As who does not manage invitations is refused as a whole, whatever the items are like.
func TestCreateEachByOutsider(t *testing.T) {
	w := setup(t, nil)
	invalid := []invitation.CreateParams{{EmailAddress: "nobody", Role: invitation.RoleMember}}
	for user, want := range map[string]error{"carl": invitation.ErrNotMember, "bob": invitation.ErrForbidden} {
		if _, err := w.svc.As(user).CreateEach(w.ctx, "acme", invalid); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", user, err, want)
		}
	}
}
