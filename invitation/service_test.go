package invitation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

// operations calls every operation on one invitation of acme.
func operations(w *world, svc *invitation.Service, inv invitation.Invitation) map[string]func() error {
	ticket := ticketOf(w.t, inv)
	return map[string]func() error{
		"Create": func() error {
			_, err := svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.EmailAddress = "new@example.com" }))
			return err
		},
		"CreateBulk": func() error {
			_, err := svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
				with(func(p *invitation.CreateParams) { p.EmailAddress = "bulk@example.com" }),
			})
			return err
		},
		"Get":              func() error { _, err := svc.Get(w.ctx, "acme", inv.ID); return err },
		"Link":             func() error { _, err := svc.Link(w.ctx, "acme", inv.ID); return err },
		"List":             func() error { _, err := svc.List(w.ctx, "acme", invitation.ListParams{}); return err },
		"ListPending":      func() error { _, err := svc.ListPending(w.ctx, "acme", 0, 0); return err },
		"ListAll":          func() error { _, err := svc.ListAll(w.ctx, invitation.ListParams{}); return err },
		"ListForUser":      func() error { _, err := svc.ListForUser(w.ctx, "", invitation.ListParams{}); return err },
		"Preview":          func() error { _, err := svc.Preview(w.ctx, ticket); return err },
		"LockOrganization": func() error { return svc.LockOrganization(w.ctx, "acme") },
		"Each": func() error {
			for _, err := range svc.Each(w.ctx, "acme", invitation.ListParams{}) {
				return err
			}
			return nil
		},
		"Decline": func() error { _, err := svc.Decline(w.ctx, invitation.DeclineParams{Ticket: ticket}); return err },
		"Accept":  func() error { _, err := svc.Accept(w.ctx, invitation.AcceptParams{Ticket: ticket}); return err },
		"Resend":  func() error { _, err := svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{}); return err },
		"Update": func() error {
			_, err := svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{PublicMetadata: mustMetadata(w.t, `{"a":1}`)})
			return err
		},
		"RevokeAll": func() error {
			_, err := svc.RevokeAll(w.ctx, invitation.RevokeAllParams{OrganizationID: "acme", InviterUserID: "ann"})
			return err
		},
		"ExpireDue":          func() error { _, err := svc.ExpireDue(w.ctx, 1); return err },
		"Purge":              func() error { _, err := svc.Purge(w.ctx, noon, 1); return err },
		"Delete":             func() error { return svc.Delete(w.ctx, "acme", inv.ID) },
		"DeleteOrganization": func() error { _, err := svc.DeleteOrganization(w.ctx, "acme"); return err },
		"EraseEmail":         func() error { _, err := svc.EraseEmail(w.ctx, "carl@example.com"); return err },
		"Revoke": func() error {
			_, err := svc.Revoke(
				w.ctx, "acme", inv.ID, invitation.RevokeParams{},
			)
			return err
		},
	}
}

// A request without a session never acts as the back end (C18).
func TestAsNobody(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	for name, call := range operations(w, w.svc.As(""), inv) {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			w.refuses(invitation.ErrForbidden, []refusal{{401, "not_allowed_access", "user_id"}}, call)
		})
	}
	for name, call := range operations(w, w.svc.As("a\x00"), inv) {
		t.Run(name+" as a malformed user", func(t *testing.T) {
			w.in(t)
			w.refuses(invitation.ErrInvalid, []refusal{{422, "form_param_format_invalid", "user_id"}}, call)
		})
	}
	for name, call := range operations(w, w.svc.WithStorage(nil), inv) {
		t.Run(name+" without storage", func(t *testing.T) {
			w.in(t)
			w.refuses(invitation.ErrInvalid, []refusal{{422, "form_param_missing", "Storage"}}, call)
		})
	}
}

// Each operation is called by an outsider, by a member whose role does not manage, and by a manager.
func TestAs(t *testing.T) {
	none, notMember, forbidden, invitee := error(
		nil,
	), invitation.ErrNotMember, invitation.ErrForbidden, invitation.ErrNotInvitee
	for user, want := range map[string]map[string]error{
		"carl": {"Create": notMember, "CreateBulk": notMember, "Get": notMember, "Link": forbidden, "List": notMember,
			"ListPending": notMember,
			"Resend":      notMember, "Update": notMember, "RevokeAll": notMember,
			"ExpireDue": forbidden, "Purge": forbidden, "DeleteOrganization": forbidden, "Delete": forbidden,
			"EraseEmail": forbidden,
			"Each":       notMember, "Revoke": notMember, "ListAll": forbidden, "ListForUser": none,
			"Preview": none, "Accept": none},
		"bob": {"Create": forbidden, "CreateBulk": forbidden, "Get": forbidden, "Link": forbidden, "List": forbidden,
			"ListPending": forbidden,
			"Resend":      forbidden, "Update": forbidden, "RevokeAll": forbidden,
			"ExpireDue": forbidden, "Purge": forbidden, "DeleteOrganization": forbidden, "Delete": forbidden,
			"EraseEmail": forbidden,
			"Each":       forbidden, "Revoke": forbidden, "ListAll": forbidden, "ListForUser": none, "Preview": invitee,
			"Accept": invitee, "Decline": invitee},
		"ann": {"Create": none, "CreateBulk": none, "Get": none, "Link": forbidden, "List": none, "ListPending": none,
			"Update": none, "RevokeAll": none, "Resend": invitation.ErrTooSoon,
			"ExpireDue": forbidden, "Purge": forbidden, "DeleteOrganization": forbidden, "Delete": forbidden,
			"EraseEmail": forbidden,
			"Each":       none, "Revoke": none, "ListAll": forbidden, "ListForUser": none, "Preview": invitee, "Accept": invitee,
			"Decline": invitee},
	} {
		for name, sentinel := range want {
			t.Run(user+" "+name, func(t *testing.T) {
				w := setup(t, nil)
				inv := w.invite("carl@example.com")
				err := operations(w, w.svc.As(user), inv)[name]()
				w.is.True(errors.Is(err, sentinel))
			})
		}
	}
}

// The user of As replaces every acting user in the parameters.
func TestAsReplacesTheActingUser(t *testing.T) {
	w := setup(t, nil)
	inv, err := w.svc.As("ann").Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.InviterUserID = "zoe" }))
	w.is.NoErr(err)
	w.is.Equal(inv.InviterUserID, "ann")
	_, err = w.svc.As("bob").Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.InviterUserID = "ann" }))
	w.is.True(errors.Is(err, invitation.ErrForbidden))
	_, err = w.svc.As("bob").Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
	w.is.True(errors.Is(err, invitation.ErrForbidden))

	other := []refusal{{403, "not_allowed_access", "user_id"}}
	carl := w.svc.As("carl")
	w.refuses(
		invitation.ErrForbidden, other, func() error { _, err := carl.Accept(w.ctx, byIDs(inv, "dora")); return err },
	)
	w.refuses(invitation.ErrForbidden, other, func() error {
		_, err := carl.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "dora")))
		return err
	})
	w.refuses(invitation.ErrForbidden, other, func() error {
		_, err := carl.ListForUser(
			w.ctx, "dora", invitation.ListParams{},
		)
		return err
	})
	page, err := carl.ListForUser(w.ctx, "carl", invitation.ListParams{})
	w.is.NoErr(err)
	w.is.Equal(ids(page.Data), []string{inv.ID})
	got, err := carl.Accept(w.ctx, byIDs(inv, ""))
	w.is.NoErr(err)
	w.is.Equal(got.ResolvedBy, "carl")
	_, err = w.svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
	w.is.True(errors.Is(err, invitation.ErrNotPending)) // w.svc itself is still the back end
}

// An invitation of one organization does not exist in another (C06).
func TestAnotherOrganization(t *testing.T) {
	w := setup(t, &invitation.Config{ManagersSeeLinks: true})
	inv := w.invite("carl@example.com")
	missing := []refusal{{404, "resource_not_found", "invitation_id"}}
	for _, svc := range []*invitation.Service{w.svc, w.svc.As("zoe")} {
		w.refuses(invitation.ErrNotFound, missing, func() error { _, err := svc.Get(w.ctx, "other", inv.ID); return err })
		w.refuses(invitation.ErrNotFound, missing, func() error { _, err := svc.Link(w.ctx, "other", inv.ID); return err })
	}
	w.refuses(invitation.ErrInvalid, []refusal{
		{422, "form_param_missing", "organization_id"}, {422, "form_param_missing", "invitation_id"},
	},
		func() error { _, err := w.svc.Get(w.ctx, "", ""); return err })
}

// In a transaction of the host, everything commits or rolls back with it, including the membership.
func TestWithStorage(t *testing.T) {
	w := setup(t, nil)
	undo := errors.New("undo")
	var inv invitation.Invitation
	run := func(end error) error {
		return w.host.Storage().RunInTx(w.ctx, func(ctx context.Context, tx storage.Storage) (err error) {
			svc := w.svc.WithStorage(tx)
			w.is.NoErr(svc.LockOrganization(ctx, "acme"))
			inv, err = svc.Create(ctx, "acme", with(func(*invitation.CreateParams) {}))
			w.is.NoErr(err)
			_, err = svc.Create(ctx, "acme", with(func(*invitation.CreateParams) {}))
			w.is.True(errors.Is(err, invitation.ErrDuplicate)) // and the transaction goes on
			_, err = svc.Accept(ctx, byIDs(inv, "carl"))
			w.is.NoErr(err)
			return end
		})
	}
	w.is.True(errors.Is(run(undo), undo))
	w.is.Equal(len(w.stored()), 0)
	w.is.Equal(len(w.host.Members("acme")), 2)
	w.is.NoErr(run(nil))
	w.is.Equal(w.get(inv).Status, invitation.StatusAccepted)
	w.is.Equal(len(w.host.Members("acme")), 3)

	err := w.svc.LockOrganization(w.ctx, "acme")
	w.is.True(err != nil) // no lock outside a transaction
	err = w.svc.LockOrganization(w.ctx, "")
	w.is.Equal(refusals(err), []refusal{{422, "form_param_missing", "organization_id"}})
}

// Operations lock an organization exactly if a limit is set.
func TestLocksOnlyWithLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  invitation.Config
		want int
	}{
		"nothing":    {invitation.Config{}, 0},
		"MaxPending": {invitation.Config{MaxPending: 9}, 3},
		"Seats": {invitation.Config{Seats: func(context.Context, storage.Storage, invitation.SeatsRequest) (
			invitation.SeatsResult, error) {
			return invitation.SeatsResult{}, nil
		}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, nil)
			var locked []string
			svc := w.service(w.host, &tt.cfg).WithStorage(watched{w.host.Storage(), &locked})
			inv, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
			w.is.NoErr(err)
			_, err = svc.Decline(w.ctx, invitation.DeclineParams(byIDs(inv, "carl")))
			w.is.NoErr(err)
			_, err = svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
			w.is.True(errors.Is(err, invitation.ErrNotPending))
			w.is.Equal(len(locked), tt.want)
			for _, key := range locked {
				w.is.Equal(key, "acme")
			}
		})
	}
}

// watched is a storage that records the keys that it locks.
type watched struct {
	storage.Storage
	locked *[]string
}

func (s watched) Lock(ctx context.Context, key string) error {
	*s.locked = append(*s.locked, key)
	return s.Storage.Lock(ctx, key)
}

func (s watched) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, watched{
			tx, s.locked,
		})
	})
}

func BenchmarkService(b *testing.B) {
	w := setup(b, nil)
	dir := quiet{w.host}
	svc, err := invitation.NewService(memstore.New(), dir, &invitation.Config{
		TicketKeys: [][]byte{key1}, AcceptURL: acceptURL,
	})
	w.is.NoErr(err)
	emails := make([]string, 1<<20)
	for i := range emails {
		emails[i] = "user" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676%26)) + string(
			rune('a'+i/17576%26),
		) + string(rune('a'+i/456976)) + "@example.com"
	}
	var inv invitation.Invitation
	b.Run("Create", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			inv, err = svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: emails[i%len(emails)], Role: invitation.RoleMember, Replace: i >= len(emails),
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		svc, _ = invitation.NewService(memstore.New(), dir, &invitation.Config{
			TicketKeys: [][]byte{key1}, AcceptURL: acceptURL,
		})
	})
	inv, err = svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "x@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := svc.Get(w.ctx, "acme", inv.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The service itself allocates little: an operation on a store that does nothing.
func TestAllocations(t *testing.T) {
	w := setup(t, nil)
	svc, err := invitation.NewService(idle{}, quiet{w.host}, &invitation.Config{
		TicketKeys: [][]byte{key1}, AcceptURL: acceptURL,
	})
	w.is.NoErr(err)
	p := invitation.CreateParams{EmailAddress: "someone@example.com", Role: invitation.RoleMember}
	n := testing.AllocsPerRun(100, func() {
		if _, err := svc.Create(w.ctx, "acme", p); err != nil {
			t.Error(err)
		}
	})
	w.is.True(n <= 60)
}

// idle is a storage that does nothing.
type idle struct{ storage.Storage }

func (idle) List(context.Context, storage.Query) ([]storage.Record, error) { return nil, nil }
func (idle) Insert(context.Context, ...storage.Record) error               { return nil }
func (s idle) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return fn(ctx, s)
}

// quiet is a directory that does nothing.
type quiet struct{ invitation.Directory }

func (quiet) MemberEmails(context.Context, storage.Storage, string, []string) ([]string, error) {
	return nil, nil
}

// The clock is read after waiting for the lock of the organization or of the row (C14).
func TestTheClockIsReadAfterTheLocks(t *testing.T) {
	for _, where := range []string{"lock", "row"} {
		for name, call := range map[string]func(w *world, svc *invitation.Service, inv invitation.Invitation) error{
			"accept": func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
				_, err := svc.Accept(w.ctx, byTicket(t, inv, "carl"))
				return err
			},
			"revoke": func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
				_, err := svc.Revoke(w.ctx, "acme", inv.ID, invitation.RevokeParams{})
				return err
			},
			"update": func(w *world, svc *invitation.Service, inv invitation.Invitation) error {
				_, err := svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{})
				return err
			},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				w := setup(t, nil)
				inv := w.invite("carl@example.com")
				late := func() { w.clock.Set(inv.ExpiresAt) }
				st := hooked{Storage: w.host.Storage()}
				if where == "lock" {
					st.lock = func() error { late(); return nil }
				} else {
					st.list = func(q storage.Query) {
						if q.ForUpdate {
							late()
						}
					}
				}
				svc := w.service(w.host, &invitation.Config{MaxPending: 9}).WithStorage(st)
				err := call(w, svc, inv)
				w.is.True(errors.Is(err, invitation.ErrExpired) || errors.Is(err, invitation.ErrNotPending))
			})
		}
	}
	w := setup(t, nil)
	inv := w.invite("carl@example.com") // Create also reads the clock after the lock
	svc := w.service(w.host, nil).WithStorage(hooked{Storage: w.host.Storage(), list: func(q storage.Query) {
		if q.ForUpdate {
			w.clock.Set(inv.ExpiresAt)
		}
	}})
	_, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
	w.is.NoErr(err) // it expired during the wait
}

// Outsiders get ErrNotMember before any error about the invitation (C20).
func TestOutsidersAreToldNothing(t *testing.T) {
	w := setup(t, nil)
	elsewhere, err := w.svc.Create(w.ctx, "other", with(func(*invitation.CreateParams) {}))
	w.is.NoErr(err)
	for _, id := range []string{"missing", elsewhere.ID, w.invite("dora@example.com").ID} {
		for _, call := range []func() error{
			func() error { _, err := w.svc.As("carl").Get(w.ctx, "acme", id); return err },
			func() error {
				seeing := w.service(w.host, &invitation.Config{ManagersSeeLinks: true})
				_, err := seeing.As("carl").Link(w.ctx, "acme", id)
				return err
			},
			func() error {
				_, err := w.svc.As("carl").Revoke(w.ctx, "acme", id, invitation.RevokeParams{})
				return err
			},
			func() error {
				_, err := w.svc.As("carl").Resend(w.ctx, "acme", id, invitation.ResendParams{})
				return err
			},
			func() error {
				_, err := w.svc.As("carl").Update(w.ctx, "acme", id, invitation.UpdateParams{})
				return err
			},
		} {
			w.is.True(errors.Is(call(), invitation.ErrNotMember))
		}
	}
}

// If a lock fails, the operation returns an error and writes nothing.
func TestLockFails(t *testing.T) {
	w := setup(t, nil)
	boom := errors.New("boom")
	svc := w.service(w.host, &invitation.Config{MaxPending: 9}).WithStorage(hooked{
		Storage: w.host.Storage(), lock: func() error { return boom },
	})
	_, err := svc.Create(w.ctx, "acme", with(func(*invitation.CreateParams) {}))
	w.is.True(errors.Is(err, boom))
	w.is.Equal(len(w.stored()), 0)
}

// Every record is read with a lock before it is written.
func TestRecordsAreLockedBeforeWrites(t *testing.T) {
	w := setup(t, nil)
	inv := w.invite("carl@example.com")
	w.clock.Advance(time.Hour)
	locked := 0
	svc := w.svc.WithStorage(hooked{Storage: w.host.Storage(), list: func(q storage.Query) {
		if q.ForUpdate {
			locked++
		}
	}})
	for i, call := range []func() error{
		func() error {
			_, err := svc.Update(w.ctx, "acme", inv.ID, invitation.UpdateParams{Role: invitation.RoleAdmin})
			return err
		},
		func() error {
			w.clock.Advance(time.Hour)
			_, err := svc.Resend(w.ctx, "acme", inv.ID, invitation.ResendParams{RequestingUserID: "ann"})
			return err
		},
		func() error {
			w.clock.Advance(time.Hour)
			_, err := svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.Replace = true }))
			return err
		},
		func() error {
			_, err := svc.RevokeAll(w.ctx, invitation.RevokeAllParams{EmailAddresses: []string{"carl@example.com"}})
			return err
		},
		func() error { _, err := svc.DeleteOrganization(w.ctx, "acme"); return err },
	} {
		w.is.NoErr(call())
		w.is.Equal(locked, i+1)
	}
}
