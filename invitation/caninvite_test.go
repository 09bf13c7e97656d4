package invitation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// readOnly is a storage that fails the test if anything is written, locked or begun.
type readOnly struct {
	storage.Storage
	t *testing.T
}

func (s readOnly) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if q.ForUpdate {
		s.t.Error("List locked rows")
	}
	return s.Storage.List(ctx, q)
}

func (s readOnly) Insert(context.Context, ...storage.Record) error { s.t.Error("Insert"); return nil }
func (s readOnly) Update(context.Context, ...storage.Record) error { s.t.Error("Update"); return nil }
func (s readOnly) Lock(context.Context, string) error              { s.t.Error("Lock"); return nil }
func (s readOnly) RunInTx(context.Context, func(context.Context, storage.Storage) error) error {
	s.t.Error("RunInTx")
	return nil
}
func (s readOnly) Unwrap() storage.Storage { return s.Storage }

// CanInvite returns what Create returns, and changes nothing.
func TestCanInvite(t *testing.T) {
	w := setup(t, nil)
	w.invite("old@example.com")
	w.invite("lapsed@example.com")
	w.clock.Advance(31 * 24 * time.Hour)
	w.invite("pending@example.com")
	w.host.AddUser("eve", "eve@evil.example")
	w.host.AddMember("acme", "eve", invitation.RoleMember)
	invited, err := w.svc.Create(w.ctx, "acme", entry("bob@example.org", invitation.RoleMember, ""))
	w.is.NoErr(err)
	w.host.AddUser("bob", "bob@example.org") // a member who has a pending invitation as well
	w.is.Equal(invited.Status, invitation.StatusPending)
	allow := func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
		if strings.HasSuffix(r.EmailAddress, "@evil.example") {
			return invitation.ErrForbidden
		}
		return nil
	}
	m, a := invitation.RoleMember, invitation.RoleAdmin
	replace := entry("pending@example.com", m, "")
	replace.Replace = true
	private := entry("p@example.com", m, "")
	private.PrivateMetadata = mustMetadata(t, `{"a":1}`)
	full := &invitation.Config{AllowEmail: allow, MaxPending: 2}
	seats := &invitation.Config{AllowEmail: allow, Seats: w.host.Seats(5)} // three members, two pending
	roomy := &invitation.Config{AllowEmail: allow, MaxPending: 3, Seats: w.host.Seats(6), ResendAfter: -1}
	roles, err := invitation.NewRoles(invitation.RoleDefinition{Key: a, Manages: true},
		invitation.RoleDefinition{Key: m})
	w.is.NoErr(err)
	grants := &invitation.Config{AllowEmail: allow, Roles: roles}
	for name, tt := range map[string]struct {
		cfg  *invitation.Config
		as   string
		org  string
		p    invitation.CreateParams
		want error
	}{
		"fine":                 {roomy, "", "acme", entry("new@example.com", m, "ann"), nil},
		"fine, lapsed":         {roomy, "", "acme", entry("lapsed@example.com", m, ""), nil},
		"fine, replacing":      {roomy, "", "acme", replace, nil},
		"fine, through As":     {roomy, "ann", "acme", entry("new@example.com", a, ""), nil},
		"parameters":           {roomy, "", "", entry("x", "org:none", ""), invitation.ErrInvalid},
		"private, through As":  {roomy, "ann", "acme", private, invitation.ErrForbidden},
		"no manager":           {roomy, "bob", "acme", entry("new@example.com", m, ""), invitation.ErrForbidden},
		"no member":            {roomy, "", "acme", entry("new@example.com", m, "zoe"), invitation.ErrNotMember},
		"organization":         {roomy, "", "nowhere", entry("eve@evil.example", m, ""), invitation.ErrNotFound},
		"ceiling":              {grants, "", "acme", entry("eve@evil.example", m, "ann"), invitation.ErrForbidden},
		"address":              {roomy, "", "acme", entry("eve@evil.example", m, "ann"), invitation.ErrForbidden},
		"member":               {full, "", "acme", entry("bob@example.org", m, ""), invitation.ErrAlreadyMember},
		"duplicate":            {full, "", "acme", entry("Pending@example.com", m, "ann"), invitation.ErrDuplicate},
		"too soon":             {full, "", "acme", replace, invitation.ErrTooSoon},
		"too many pending":     {full, "", "acme", entry("new@example.com", m, ""), invitation.ErrQuotaExceeded},
		"no seat":              {seats, "", "acme", entry("new@example.com", m, ""), invitation.ErrQuotaExceeded},
		"no seat for a lapsed": {seats, "", "acme", entry("lapsed@example.com", m, ""), invitation.ErrQuotaExceeded},
		"somebody, not signed": {roomy, "-", "acme", entry("new@example.com", m, ""), invitation.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			w.in(t)
			svc := w.service(w.host, tt.cfg)
			switch tt.as {
			case "":
			case "-":
				svc = svc.As("")
			default:
				svc = svc.As(tt.as)
			}
			can := svc.WithStorage(readOnly{w.host.Storage(), t}).CanInvite(w.ctx, tt.org, tt.p)
			w.is.True(errors.Is(can, tt.want))
			w.is.True(tt.want != nil || can == nil)

			undo := errors.New("undo")
			err := w.host.Storage().RunInTx(w.ctx, func(ctx context.Context, tx storage.Storage) error {
				_, err := svc.WithStorage(tx).Create(ctx, tt.org, tt.p)
				w.is.Equal(fmt.Sprint(err), fmt.Sprint(can)) // the same as Create
				w.is.Equal(refusals(err), refusals(can))
				if tt.want == nil { // it sees what the transaction has written
					w.is.Equal(svc.WithStorage(tx).CanInvite(ctx, tt.org, tt.p) == nil, tt.p.Replace)
				}
				return undo
			})
			w.is.True(errors.Is(err, undo))
		})
	}

	boom := errors.New("boom")
	err = w.svc.WithStorage(broken{w.host.Storage(), boom}).CanInvite(w.ctx, "acme", entry("n@example.com", m, ""))
	w.is.True(errors.Is(err, boom) && strings.HasPrefix(err.Error(), "invitation: can invite: "))
}
