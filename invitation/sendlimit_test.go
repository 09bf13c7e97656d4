package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

func limits(list ...invitation.SendLimit) *invitation.Config {
	return &invitation.Config{SendLimits: list, ResendAfter: -1}
}

func TestSendLimitsRefused(t *testing.T) {
	good := invitation.SendLimit{Per: invitation.PerAddress, Max: 1, Within: time.Second}
	for name, tt := range map[string]struct {
		change func(l *invitation.SendLimit)
		param  string
	}{
		"no scope":        {func(l *invitation.SendLimit) { l.Per = "" }, "SendLimits[1].Per"},
		"another scope":   {func(l *invitation.SendLimit) { l.Per = "Address" }, "SendLimits[1].Per"},
		"two of one kind": {func(l *invitation.SendLimit) { l.Per, l.Max = good.Per, 2 }, "SendLimits[1].Per"},
		"no invitation":   {func(l *invitation.SendLimit) { l.Max = 0 }, "SendLimits[1].Max"},
		"below zero":      {func(l *invitation.SendLimit) { l.Max = -1 }, "SendLimits[1].Max"},
		"no window":       {func(l *invitation.SendLimit) { l.Within = 0 }, "SendLimits[1].Within"},
		"under a second":  {func(l *invitation.SendLimit) { l.Within = time.Second - 1 }, "SendLimits[1].Within"},
		"over a year":     {func(l *invitation.SendLimit) { l.Within = 365*24*time.Hour + 1 }, "SendLimits[1].Within"},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			w := setup(t, nil)
			bad := invitation.SendLimit{Per: invitation.PerInviter, Max: 1, Within: 365 * 24 * time.Hour}
			_, err := invitation.NewService(w.host.Storage(), w.host, limits(good, bad))
			is.NoErr(err)
			tt.change(&bad)
			_, err = invitation.NewService(w.host.Storage(), w.host, limits(good, bad))
			is.True(errors.Is(err, invitation.ErrInvalid))
			is.Equal(refusals(err), []refusal{{422, "form_param_value_invalid", tt.param}})
		})
	}
}

// The limits are copied, like the rest of a Config.
func TestSendLimitsAreCopied(t *testing.T) {
	w := setup(t, nil)
	cfg := limits(invitation.SendLimit{Per: invitation.PerInviter, Max: 1, Within: time.Hour})
	w.svc = w.service(w.host, cfg)
	cfg.SendLimits[0].Max = 9
	w.sends("acme", "ann", "a@example.com")
	w.tooSoon("", 3600, func() error { _, err := w.send("acme", "ann", "b@example.com"); return err })
}

// limitedWorld is a world in which ann and bob are admins of acme, and zoe is an admin of other.
func limitedWorld(t *testing.T, list ...invitation.SendLimit) *world {
	t.Helper()
	w := setup(t, limits(list...))
	w.host.AddMember("acme", "bob", invitation.RoleAdmin)
	w.host.AddMember("other", "ann", invitation.RoleAdmin)
	return w
}

// send invites an address for a user; "" is the back end.
func (w *world) send(organizationID, user, email string) (invitation.Invitation, error) {
	return w.svc.Create(w.ctx, organizationID, invitation.CreateParams{
		EmailAddress: email, Role: invitation.RoleMember, InviterUserID: user,
	})
}

func (w *world) sends(organizationID, user, email string) invitation.Invitation {
	w.t.Helper()
	inv, err := w.send(organizationID, user, email)
	w.is.NoErr(err)
	return inv
}

// tooSoon fails unless the call is refused until so many seconds from now, exactly.
func (w *world) tooSoon(param string, seconds int, call func() error) {
	w.t.Helper()
	w.refuses(invitation.ErrTooSoon, []refusal{{429, "too_many_requests", param}}, call)
	var e *invitation.Error
	err := call()
	w.is.True(errors.As(err, &e))
	w.is.Equal(e.Meta["retry_after"], seconds)
	w.is.True(strings.HasSuffix(e.LongMessage, fmt.Sprintf("try again in %d seconds", seconds)))
}

// Each scope counts what its name says: the other organizations, inviters and addresses have their own count.
func TestSendLimitScopes(t *testing.T) {
	const hour = 3600
	for _, tt := range []struct {
		per   invitation.SendScope
		param string
		free  []string // organization, user and address that the limit still allows
		held  []string
	}{
		{invitation.PerOrganization, "", []string{"other ann c@example.com"},
			[]string{"acme ann c@example.com", "acme bob c@example.com"}},
		{invitation.PerInviter, "", []string{"other ann c@example.com", "acme bob c@example.com"},
			[]string{"acme ann c@example.com"}},
		{invitation.PerAddress, "email_address", []string{"other ann b@example.com", "acme ann c@example.com"},
			[]string{"acme bob B@example.com", "acme ann b@example.com"}},
	} {
		t.Run(string(tt.per), func(t *testing.T) {
			w := limitedWorld(t, invitation.SendLimit{Per: tt.per, Max: 2, Within: time.Hour})
			for range 2 { // revoked and created again: two invitations
				inv := w.sends("acme", "ann", "b@example.com")
				_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
				w.is.NoErr(err)
			}
			call := func(text string) func() error {
				f := strings.Fields(text)
				return func() error { _, err := w.send(f[0], f[1], f[2]); return err }
			}
			for _, text := range tt.held {
				w.tooSoon(tt.param, hour, call(text))
			}
			for _, text := range tt.free {
				w.is.NoErr(call(text)())
			}
		})
	}
}

// The window slides: what was sent exactly its length ago no longer counts.
func TestSendLimitSlides(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerOrganization, Max: 2, Within: time.Hour})
	again := func() error { _, err := w.send("acme", "ann", "c@example.com"); return err }
	w.sends("acme", "ann", "a@example.com")
	w.clock.Advance(20 * time.Minute)
	w.sends("acme", "bob", "b@example.com")
	w.tooSoon("", 40*60, again)
	w.clock.Set(noon.Add(time.Hour - time.Microsecond))
	w.tooSoon("", 1, again) // rounded up
	w.clock.Set(noon.Add(time.Hour))
	w.is.NoErr(again())
	w.tooSoon("", 20*60, func() error { _, err := w.send("acme", "ann", "d@example.com"); return err })
}

// Another link of an invitation that counts already changes nothing. One of an older invitation counts.
func TestSendLimitOfResend(t *testing.T) {
	for _, per := range []invitation.SendScope{invitation.PerOrganization, invitation.PerInviter, invitation.PerAddress} {
		t.Run(string(per), func(t *testing.T) {
			w := limitedWorld(t, invitation.SendLimit{Per: per, Max: 1, Within: time.Hour})
			email := "b@example.com"
			old := w.sends("acme", "ann", email)
			w.clock.Advance(time.Hour)
			resend := func() error { _, err := w.resend(old, "ann"); return err }
			promote := func(role invitation.Role) func() error {
				return func() error {
					_, err := w.svc.As("ann").Update(w.ctx, "acme", old.ID, invitation.UpdateParams{Role: role})
					return err
				}
			}
			rival := w.backEnds("ann", email, per)
			w.tooSoon("", 3600, resend)
			w.tooSoon("", 3600, promote(invitation.RoleAdmin))
			_, err := w.svc.As("ann").Update(w.ctx, "acme", old.ID, invitation.UpdateParams{
				Role: invitation.RoleMember, PublicMetadata: mustMetadata(t, `{"team":"x"}`),
			})
			w.is.NoErr(err) // issues no link
			w.clock.Set(w.get(old).ExpiresAt.Add(-time.Minute))
			w.is.NoErr(resend())
			w.is.NoErr(resend()) // counts already
			w.is.NoErr(promote(invitation.RoleAdmin)())
			w.is.NoErr(promote(invitation.RoleMember)())
			w.is.Equal(w.get(old).SentAt, w.clock.Now())

			// Expired within the window, and counting still.
			_, err = w.svc.Resend(w.ctx, "acme", old.ID, invitation.ResendParams{
				RequestingUserID: "ann", ExpiresIn: time.Minute,
			})
			w.is.NoErr(err)
			w.clock.Advance(time.Minute)
			w.is.NoErr(resend())
			_, _ = w.svc.Revoke(w.ctx, "acme", rival.ID, invitation.RevokeParams{})
		})
	}
}

// An expired invitation is sent again, and counts again.
func TestSendLimitOfRevival(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerOrganization, Max: 1, Within: time.Hour})
	old, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "a@example.com", Role: invitation.RoleMember, InviterUserID: "ann", ExpiresIn: time.Minute,
	})
	w.is.NoErr(err)
	w.clock.Advance(time.Hour)
	w.sends("acme", "ann", "b@example.com")
	resend := func() error { _, err := w.resend(old, "ann"); return err }
	w.tooSoon("", 3600, resend)
	w.clock.Advance(time.Hour)
	w.is.NoErr(resend())
}

// backEnds creates an invitation for the back end that counts in the scope together with one that ann sent to email.
func (w *world) backEnds(inviter, email string, per invitation.SendScope) invitation.Invitation {
	w.t.Helper()
	switch per {
	case invitation.PerInviter: // the back end resends one of hers, which stays hers
		w.clock.Advance(-time.Hour)
		inv := w.sends("acme", "", "rival@example.com")
		w.clock.Advance(time.Hour)
		unlimited := w.service(w.host, &invitation.Config{ResendAfter: -1})
		_, err := unlimited.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{RequestingUserID: inviter})
		w.is.NoErr(err)
		return inv
	case invitation.PerAddress: // created while the first one was expired, and revoked since
		r := w.stored()[0]
		now := w.clock.Now()
		r.ID, r.Status, r.SentAt, r.ResolvedAt = "rival", "revoked", now, now
		w.is.NoErr(w.host.Storage().Insert(w.ctx, r))
		return invitation.Invitation{ID: "rival"}
	}
	return w.sends("acme", "", "rival@example.com")
}

// A manager who resends somebody else's invitation takes it over: it counts for them from then on.
func TestSendLimitOfTakenOver(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerInviter, Max: 1, Within: time.Hour})
	anns := w.sends("acme", "ann", "a@example.com")
	w.sends("acme", "bob", "b@example.com")
	w.tooSoon("", 3600, func() error { _, err := w.resend(anns, "bob"); return err })
	w.clock.Advance(time.Hour)
	_, err := w.resend(anns, "bob")
	w.is.NoErr(err)
	w.sends("acme", "ann", "c@example.com")
}

// The trusted back end without an acting user is not bound, but what it sends counts.
func TestSendLimitOfBackEnd(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerOrganization, Max: 1, Within: time.Hour})
	first := w.sends("acme", "", "a@example.com")
	w.sends("acme", "", "b@example.com")
	_, err := w.resend(first, "")
	w.is.NoErr(err)
	_, err = w.svc.Update(w.ctx, "acme", first.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
	w.is.NoErr(err)
	w.clock.Advance(time.Minute)
	w.tooSoon("", 59*60, func() error { _, err := w.send("acme", "ann", "c@example.com"); return err })
	_, err = w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		{EmailAddress: "d@example.com", Role: invitation.RoleMember},
		{EmailAddress: "e@example.com", Role: invitation.RoleMember},
	})
	w.is.NoErr(err)
	_, err = w.send("acme", "ann", "c@example.com")
	w.is.True(errors.Is(err, invitation.ErrTooSoon))
}

// A Replace sends a second invitation to the address.
func TestSendLimitOfReplace(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerAddress, Max: 2, Within: time.Hour})
	replace := func() error {
		_, err := w.svc.As("ann").Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "a@example.com", Role: invitation.RoleMember, Replace: true,
		})
		return err
	}
	w.is.NoErr(replace())
	w.clock.Advance(time.Minute)
	w.is.NoErr(replace())
	w.tooSoon("email_address", 59*60, replace)
}

// A bulk counts all of its items. The error names each address that was invited too often.
func TestSendLimitOfBulk(t *testing.T) {
	item := func(email, inviter string) invitation.CreateParams {
		return invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember, InviterUserID: inviter}
	}
	bulk := func(w *world, ps ...invitation.CreateParams) func() error {
		return func() error { _, err := w.svc.CreateBulk(w.ctx, "acme", ps); return err }
	}
	retry := func(w *world, err error) int {
		var e *invitation.Error
		w.is.True(errors.As(err, &e))
		return e.Meta["retry_after"].(int)
	}
	tooMany := []refusal{{429, "too_many_requests", ""}}

	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerOrganization, Max: 3, Within: time.Hour})
	w.sends("acme", "ann", "a@example.com")
	w.clock.Advance(time.Minute)
	w.sends("acme", "ann", "b@example.com")
	w.clock.Advance(time.Minute)
	two := bulk(w, item("c@example.com", "ann"), item("d@example.com", "bob"))
	w.refuses(invitation.ErrTooSoon, tooMany, two)
	w.is.Equal(retry(w, two()), 58*60) // when the first no longer counts
	three := bulk(w, item("c@example.com", "ann"), item("d@example.com", "bob"), item("e@example.com", "ann"))
	w.is.Equal(retry(w, three()), 59*60) // when the second does not either
	four := bulk(w, item("c@example.com", "ann"), item("d@example.com", "bob"), item("e@example.com", "ann"),
		item("f@example.com", "ann"))
	w.refuses(invitation.ErrTooSoon, tooMany, four)
	w.is.Equal(retry(w, four()), 60*60)
	w.is.True(strings.Contains(four().Error(), "at most 3 at once")) // never, as it is
	w.is.NoErr(bulk(w, item("c@example.com", "ann"), item("d@example.com", ""))())

	w = limitedWorld(t, invitation.SendLimit{Per: invitation.PerInviter, Max: 1, Within: time.Hour})
	w.sends("acme", "bob", "a@example.com")
	w.refuses(invitation.ErrTooSoon, tooMany, bulk(w, item("b@example.com", "ann"), item("c@example.com", "bob")))
	w.is.NoErr(bulk(w, item("b@example.com", "ann"), item("c@example.com", ""))())

	w = limitedWorld(t, invitation.SendLimit{Per: invitation.PerAddress, Max: 1, Within: time.Hour})
	for _, email := range []string{"a@example.com", "b@example.com"} {
		inv := w.sends("acme", "ann", email)
		_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
		w.is.NoErr(err)
	}
	w.refuses(invitation.ErrTooSoon, []refusal{
		{429, "too_many_requests", "[0].email_address"}, {429, "too_many_requests", "[2].email_address"},
	}, bulk(w, item("A@example.com", "ann"), item("c@example.com", "ann"), item("b@example.com", "bob")))
	w.is.NoErr(bulk(w, item("A@example.com", ""), item("c@example.com", "ann"))())

	w = limitedWorld(t, invitation.SendLimit{Per: invitation.PerAddress, Max: 2, Within: time.Hour})
	for _, email := range []string{"a@example.com", "a@example.com", "b@example.com"} { // each invitation counts
		inv := w.sends("acme", "ann", email)
		_, err := w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
		w.is.NoErr(err)
	}
	w.refuses(invitation.ErrTooSoon, []refusal{{429, "too_many_requests", "[1].email_address"}},
		bulk(w, item("b@example.com", "ann"), item("a@example.com", "ann")))
}

// CreateEach invites as many as the limit allows, in the order of the items. CanInvite says what Create would say.
func TestSendLimitOfCreateEach(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerOrganization, Max: 3, Within: time.Hour})
	w.sends("acme", "ann", "a@example.com")
	can := func() error {
		return w.svc.CanInvite(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.InviterUserID = "ann" }))
	}
	w.is.NoErr(can())
	var ps []invitation.CreateParams
	for _, email := range []string{"e@example.com", "d@example.com", "c@example.com", "b@example.com"} {
		ps = append(ps, invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember, InviterUserID: "ann"})
	}
	results, err := w.svc.CreateEach(w.ctx, "acme", ps)
	w.is.NoErr(err)
	for i, r := range results {
		w.is.Equal(r.Err == nil, i < 2)
		w.is.Equal(errors.Is(r.Err, invitation.ErrTooSoon), i >= 2)
	}
	w.tooSoon("", 3600, can)
	w.clock.Advance(time.Hour)
	w.is.NoErr(can())
}

// Several limits hold together, and the tightest one decides.
func TestSendLimitsTogether(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerOrganization, Max: 3, Within: time.Hour},
		invitation.SendLimit{Per: invitation.PerInviter, Max: 2, Within: 2 * time.Hour})
	w.sends("acme", "ann", "a@example.com")
	w.sends("acme", "ann", "b@example.com")
	w.tooSoon("", 2*3600, func() error { _, err := w.send("acme", "ann", "c@example.com"); return err })
	w.sends("acme", "bob", "c@example.com")
	w.tooSoon("", 3600, func() error { _, err := w.send("acme", "bob", "d@example.com"); return err })
}

// Create refuses a member before it refuses too many, and too many before the quota.
func TestSendLimitOrder(t *testing.T) {
	w := limitedWorld(t)
	w.sends("acme", "ann", "a@example.com")
	w.svc = w.service(w.host, &invitation.Config{
		SendLimits: []invitation.SendLimit{{Per: invitation.PerOrganization, Max: 1, Within: time.Hour}}, MaxPending: 1,
	})
	for email, want := range map[string]error{
		"bob@example.com": invitation.ErrAlreadyMember, "a@example.com": invitation.ErrDuplicate,
		"c@example.com": invitation.ErrTooSoon,
	} {
		_, err := w.send("acme", "ann", email)
		w.is.True(errors.Is(err, want))
		w.is.Equal(len(refusals(err)), 1)
	}
	_, err := w.send("acme", "", "c@example.com")
	w.is.True(errors.Is(err, invitation.ErrQuotaExceeded))
}

// Without a limit no statement is added. A limit adds one count for an acting user who issues a link that does not
// count yet, and the lock of the organization that MaxPending and Seats take too. Nothing is added for anybody else.
func TestSendLimitStatements(t *testing.T) {
	one := invitation.SendLimit{Per: invitation.PerOrganization, Max: 9, Within: time.Hour}
	all := []invitation.SendLimit{one, {Per: invitation.PerInviter, Max: 9, Within: time.Hour},
		{Per: invitation.PerAddress, Max: 9, Within: time.Hour}}
	type operation func(w *world, svc *invitation.Service, inv invitation.Invitation) error
	create := func(user string) operation {
		return func(w *world, svc *invitation.Service, _ invitation.Invitation) error {
			_, err := svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "x@example.com", Role: invitation.RoleMember, InviterUserID: user,
			})
			return err
		}
	}
	resend := func(user string) operation {
		return func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
			_, err := svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{RequestingUserID: user})
			return err
		}
	}
	update := func(role invitation.Role) operation {
		return func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
			_, err := svc.As("ann").Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{
				Role: role, PublicMetadata: mustMetadata(w.t, `{"a":1}`),
			})
			return err
		}
	}
	for name, tt := range map[string]struct {
		call          operation
		counts, locks int // that one limit adds
	}{
		"create":               {create("ann"), 1, 1},
		"create, the back end": {create(""), 0, 0},
		"bulk": {func(w *world, svc *invitation.Service, _ invitation.Invitation) error {
			_, err := svc.As("ann").CreateBulk(w.ctx, "acme", []invitation.CreateParams{
				{EmailAddress: "x@example.com", Role: invitation.RoleMember},
				{EmailAddress: "y@example.com", Role: invitation.RoleMember},
			})
			return err
		}, 1, 1},
		"resend":               {resend("ann"), 1, 1},
		"resend, the back end": {resend(""), 0, 0},
		"update of a role":     {update(invitation.RoleAdmin), 1, 1},
		"update of metadata":   {update(""), 0, 0},
		"update of a role, the back end": {func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
			_, err := svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
			return err
		}, 0, 0},
		"revoke": {func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
			_, err := svc.As("ann").Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			return err
		}, 0, 0},
		"accept": {func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
			_, err := svc.As("carl").Accept(w.ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: inv.ID})
			return err
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			statements := func(cfg invitation.Config) *tally {
				w := setup(t, nil)
				inv := w.invite("carl@example.com")
				w.clock.Advance(2 * time.Hour)
				calls := &tally{}
				w.is.NoErr(tt.call(w, w.service(w.host, &cfg).WithStorage(tallied{w.host.Storage(), calls}), inv))
				return calls
			}
			is := is.New(t)
			without, with := statements(invitation.Config{}), statements(invitation.Config{SendLimits: all[:1]})
			is.Equal(with.of("Count"), without.of("Count")+tt.counts)
			is.Equal(with.of("Lock"), tt.locks)
			is.Equal(len(with.calls), len(without.calls)+tt.counts+tt.locks) // nothing else

			quota := statements(invitation.Config{MaxPending: 9})
			with = statements(invitation.Config{MaxPending: 9, SendLimits: all[:1]})
			is.Equal(len(with.calls), len(quota.calls)+tt.counts) // the lock is there already
			with = statements(invitation.Config{MaxPending: 9, SendLimits: all})
			is.Equal(len(with.calls), len(quota.calls)+3*tt.counts) // one for each limit
		})
	}
}

// Deleting is for the back end alone, so no user can make room in the window by it.
func TestSendLimitAfterDelete(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerInviter, Max: 1, Within: time.Hour})
	inv := w.sends("acme", "ann", "a@example.com")
	ann := w.svc.As("ann")
	_, err := ann.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.NoErr(err)
	for _, remove := range []func(svc *invitation.Service) error{
		func(svc *invitation.Service) error { return svc.Delete(w.ctx, "acme", inv.ID) },
		func(svc *invitation.Service) error { _, err := svc.Purge(w.ctx, noon, 1); return err },
		func(svc *invitation.Service) error { _, err := svc.EraseEmail(w.ctx, "a@example.com"); return err },
		func(svc *invitation.Service) error { _, err := svc.DeleteOrganization(w.ctx, "acme"); return err },
	} {
		w.is.True(errors.Is(remove(ann), invitation.ErrForbidden))
	}
	again := func() error { _, err := w.send("acme", "ann", "b@example.com"); return err }
	w.tooSoon("", 3600, again)
	w.is.NoErr(w.svc.Delete(w.ctx, "acme", inv.ID))
	w.is.NoErr(again())
}

// The back end deletes between the count and the reading of the times: the answer is still too soon, and to try at
// once.
func TestSendLimitDeletedMeanwhile(t *testing.T) {
	w := limitedWorld(t, invitation.SendLimit{Per: invitation.PerInviter, Max: 1, Within: time.Hour})
	inv := w.sends("acme", "ann", "a@example.com")
	svc := w.svc.WithStorage(vanishing{w.host.Storage()})
	_, err := svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "b@example.com", Role: invitation.RoleMember, InviterUserID: "ann",
	})
	var e *invitation.Error
	w.is.True(errors.As(err, &e))
	w.is.True(errors.Is(err, invitation.ErrTooSoon))
	w.is.Equal(e.Meta["retry_after"], 0)
	w.get(inv)
}

// vanishing is a storage that counts what it does not list.
type vanishing struct{ storage.Storage }

func (s vanishing) Unwrap() storage.Storage { return s.Storage }

func (s vanishing) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if !q.SentAfter.IsZero() {
		return nil, nil
	}
	return s.Storage.List(ctx, q)
}

func (s vanishing) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, vanishing{tx})
	})
}

// What the back end sends in the same call counts for the limit of the organization, as it does in a call before.
func TestSendLimitBesideBackEnd(t *testing.T) {
	start := func() *world {
		return setup(t, &invitation.Config{SendLimits: []invitation.SendLimit{
			{Per: invitation.PerOrganization, Max: 1, Within: time.Hour}}})
	}
	ps := []invitation.CreateParams{
		{EmailAddress: "a@example.com", Role: invitation.RoleMember}, // by the back end
		{EmailAddress: "b@example.com", Role: invitation.RoleMember, InviterUserID: "ann"},
	}
	asOneByOne(t, start, ps)
	w := start()
	if _, err := w.svc.CreateBulk(w.ctx, "acme", ps); !errors.Is(err, invitation.ErrTooSoon) {
		t.Errorf("CreateBulk: 2 invitations under a limit of 1 for the organization, one of them by ann: %v", err)
	}
}

// With several limits, a client that waits as long as it is told gets through.
func TestRetryAfterOfSeveralLimits(t *testing.T) {
	w := setup(t, &invitation.Config{SendLimits: []invitation.SendLimit{
		{Per: invitation.PerOrganization, Max: 1, Within: time.Minute},
		{Per: invitation.PerInviter, Max: 1, Within: time.Hour},
	}})
	w.invite("a@example.com")
	create := func() error {
		_, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
			EmailAddress: "b@example.com", Role: invitation.RoleMember, InviterUserID: "ann"})
		return err
	}
	var e *invitation.Error
	if err := create(); !errors.As(err, &e) {
		t.Fatal(err)
	}
	told := e.Meta["retry_after"].(int)
	w.clock.Advance(time.Duration(told) * time.Second)
	if err := create(); err != nil {
		t.Errorf("told to wait %d seconds, then: %v", told, err)
	}
}
