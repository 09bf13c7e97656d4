package invitation_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

func TestNewServiceRefuses(t *testing.T) {
	host := invitationtest.NewHost()
	var nilHost *invitationtest.Host
	var nilStore *memstore.Store
	for name, tt := range map[string]struct {
		store storage.Storage
		dir   invitation.Directory
		cfg   *invitation.Config
		want  []refusal
	}{
		"nothing": {nil, nil, nil, []refusal{
			{422, "form_param_missing", "Storage"}, {422, "form_param_missing", "Directory"}}},
		"typed nils": {nilStore, nilHost, nil, []refusal{
			{422, "form_param_missing", "Storage"}, {422, "form_param_missing", "Directory"}}},
		"a short key": {host.Storage(), host, &invitation.Config{TicketKeys: [][]byte{key1, key1[1:]}, AcceptURL: acceptURL},
			[]refusal{{422, "form_param_value_invalid", "TicketKeys[1]"}}},
		"a key twice": {host.Storage(), host, &invitation.Config{
			TicketKeys: [][]byte{key1, key2, key1}, AcceptURL: acceptURL,
		},
			[]refusal{{422, "form_param_value_invalid", "TicketKeys[2]"}}},
		"keys without AcceptURL": {host.Storage(), host, &invitation.Config{TicketKeys: [][]byte{key1}},
			[]refusal{{422, "form_param_missing", "AcceptURL"}}},
		"a relative AcceptURL": {host.Storage(), host, &invitation.Config{AcceptURL: "/join"},
			[]refusal{{422, "form_param_format_invalid", "AcceptURL"}}},
		"a long AcceptURL": {host.Storage(), host, &invitation.Config{AcceptURL: acceptURL + strings.Repeat("x", 2048)},
			[]refusal{{422, "form_param_exceeds_allowed_size", "AcceptURL"}}},
		"a parameter that needs escaping": {host.Storage(), host, &invitation.Config{TicketParam: "a&b"},
			[]refusal{{422, "form_param_format_invalid", "TicketParam"}}},
		"roles without any": {host.Storage(), host, &invitation.Config{Roles: &invitation.Roles{}},
			[]refusal{{422, "form_param_missing", "Roles"}}},
		"too short an expiry": {host.Storage(), host, &invitation.Config{ExpiresIn: time.Second - 1},
			[]refusal{{422, "form_param_value_invalid", "ExpiresIn"}}},
		"a negative expiry": {host.Storage(), host, &invitation.Config{ExpiresIn: -time.Hour},
			[]refusal{{422, "form_param_value_invalid", "ExpiresIn"}}},
		"too long an expiry": {host.Storage(), host, &invitation.Config{ExpiresIn: 365*24*time.Hour + 1},
			[]refusal{{422, "form_param_value_invalid", "ExpiresIn"}}},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			svc, err := invitation.NewService(tt.store, tt.dir, tt.cfg)
			is.True(svc == nil)
			is.True(errors.Is(err, invitation.ErrInvalid))
			is.Equal(refusals(err), tt.want)
		})
	}
}

func TestZeroConfigWorks(t *testing.T) {
	w := setup(t, nil)
	svc, err := invitation.NewService(w.host.Storage(), w.host, nil)
	w.is.NoErr(err)
	before := time.Now().Add(-time.Second)
	inv, err := svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	w.is.Equal(inv.URL, "")                                                // no keys, no link
	w.is.Equal(inv.ExpiresAt, inv.CreatedAt.Add(30*24*time.Hour))          // the default
	w.is.True(inv.CreatedAt.After(before))                                 // the machine's clock
	w.is.True(strings.HasPrefix(inv.ID, "orginv_") && len(inv.ID) == 7+26) // a ULID
	got, err := svc.Accept(w.ctx, invitation.AcceptParams{OrganizationID: "acme", InvitationID: inv.ID, UserID: "carl"})
	w.is.NoErr(err)
	w.is.Equal(got.Status, invitation.StatusAccepted)
}

func TestServiceKeepsCopiesOfItsKeys(t *testing.T) {
	w := setup(t, nil)
	key := []byte(strings.Repeat("k", 32))
	svc := w.service(w.host, &invitation.Config{TicketKeys: [][]byte{key}})
	inv, err := svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember,
	})
	w.is.NoErr(err)
	clear(key)
	_, err = svc.Preview(w.ctx, ticketOf(t, inv))
	w.is.NoErr(err)
}

func TestDefaultIDsAscend(t *testing.T) {
	w := setup(t, nil)
	var ps []invitation.CreateParams
	for i := range 100 {
		ps = append(ps, invitation.CreateParams{EmailAddress: fmt.Sprintf("u%d@example.com", i), Role: invitation.RoleMember})
	}
	for _, at := range []time.Time{noon, {}} { // before 1970 too
		w.clock.Set(at)
		invs, err := w.svc.CreateBulk(w.ctx, map[bool]string{true: "acme", false: "other"}[at.IsZero()], ps)
		w.is.NoErr(err)
		for i := range invs[1:] {
			w.is.True(invs[i].ID < invs[i+1].ID) // within one millisecond too
		}
	}
}

func TestNewIDIsChecked(t *testing.T) {
	for name, id := range map[string]string{
		"empty": "", "too long": strings.Repeat("i", 65), "NUL": "a\x00", "taken": "taken",
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, &invitation.Config{NewID: func() string { return "taken" }})
			w.invite("carl@example.com")
			svc := w.service(w.host, &invitation.Config{NewID: func() string { return id }})
			_, err := svc.Create(w.ctx, "acme", invitation.CreateParams{
				EmailAddress: "dora@example.com", Role: invitation.RoleMember,
			})
			w.is.True(err != nil)
			w.is.True(!errors.Is(err, invitation.ErrDuplicate)) // it is not the inviter's fault
			w.is.True(strings.Contains(err.Error(), "NewID"))
			w.is.Equal(len(w.stored()), 1)
		})
	}
	w := setup(t, &invitation.Config{NewID: func() string { return "same" }})
	_, err := w.svc.CreateBulk(w.ctx, "acme", []invitation.CreateParams{
		{
			EmailAddress: "c@example.com", Role: invitation.RoleMember,
		}, {EmailAddress: "d@example.com", Role: invitation.RoleMember}})
	w.is.True(err != nil && strings.Contains(err.Error(), "NewID")) // the same id twice in a bulk
	w.is.Equal(len(w.stored()), 0)
}

// No log shows a ticket, a key or private metadata.
func TestNoSecretIsPrinted(t *testing.T) {
	const planted = "hunter2hunter2hunter2hunter2hunter2"
	w := setup(t, &invitation.Config{TicketKeys: [][]byte{[]byte(planted)}})
	secret := mustMetadata(t, `{"secret":"`+planted+`"}`)
	params := invitation.CreateParams{
		EmailAddress: "carl@example.com", Role: invitation.RoleMember, PrivateMetadata: secret,
	}
	inv, err := w.svc.Create(w.ctx, "acme", params)
	w.is.NoErr(err)
	ticket := ticketOf(t, inv)
	cfg := invitation.Config{TicketKeys: [][]byte{[]byte(planted)}}
	page, err := w.svc.List(w.ctx, "acme", invitation.ListParams{})
	w.is.NoErr(err)
	_, refused := w.svc.Accept(w.ctx, invitation.AcceptParams{Ticket: ticket, UserID: "dora"})
	w.is.True(refused != nil)
	_, forged := w.svc.Accept(w.ctx, invitation.AcceptParams{Ticket: ticket + "A", UserID: "dora"})
	w.is.True(forged != nil)

	for name, v := range map[string]any{
		"Invitation": inv, "*Invitation": &inv, "Page": page, "CreateParams": params, "Event": w.events[0],
		"Metadata":      secret,
		"AcceptParams":  invitation.AcceptParams{Ticket: ticket},
		"DeclineParams": invitation.DeclineParams{Ticket: ticket},
		"Config":        cfg, "*Config": &cfg, "Service": w.svc,
		"Membership": invitation.Membership{UserID: "carl", PrivateMetadata: secret},
		"refusal":    refused, "forgery": forged,
	} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
			if name == "Service" || !strings.HasPrefix(name, "*") || verb != "%#v" {
				fmt.Fprintf(&out, verb+"\n", v)
			}
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		for _, s := range []string{planted, ticket, ticket[:40], fmt.Sprintf("%x", planted), fmt.Sprint([]byte(planted))} {
			if strings.Contains(strings.ToLower(out.String()), strings.ToLower(s)) {
				t.Errorf("%s shows a secret: %s", name, out.String())
			}
		}
	}
}

func TestOddConfigs(t *testing.T) {
	w := setup(t, nil)
	svc, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{
		Clock: (*clock.Fake)(nil), MaxMetadata: -1, ExpiresIn: 365 * 24 * time.Hour,
	})
	w.is.NoErr(err) // a typed nil is not a clock
	large := mustMetadata(t, `{"a":"`+strings.Repeat("x", 1<<20)+`"}`)
	inv, err := svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.PublicMetadata = large }))
	w.is.NoErr(err)
	w.is.Equal(inv.ExpiresAt.Sub(inv.CreatedAt), 365*24*time.Hour)

	// the same keys for HMAC
	for _, keys := range [][][]byte{{key1, append(append([]byte{}, key1...), 0)}, {key1, key2, key2}} {
		_, err := invitation.NewService(w.host.Storage(), w.host, &invitation.Config{TicketKeys: keys, AcceptURL: acceptURL})
		w.is.True(errors.Is(err, invitation.ErrInvalid))
	}
	w = setup(t, &invitation.Config{ExpiresIn: time.Second})
	west := time.FixedZone("west", -8*3600)
	w.clock.Set(noon.In(west).Add(999))
	inv, err = w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) { p.ExpiresIn = time.Second + 1 }))
	w.is.NoErr(err)
	w.is.Equal(inv.CreatedAt, noon)                  // UTC, cut to the microsecond
	w.is.Equal(inv.ExpiresAt, noon.Add(time.Second)) // as it is stored
	_, err = w.svc.Create(w.ctx, "acme", with(func(p *invitation.CreateParams) {
		p.EmailAddress, p.PublicMetadata = "x@example.com", mustMetadata(t, `{"a":"`+strings.Repeat("x", 8185)+`"}`)
	}))
	w.is.Equal(refusals(err), []refusal{{422, "form_param_exceeds_allowed_size", "public_metadata"}}) // 8193 bytes
	_, err = w.svc.Create(w.ctx, strings.Repeat("ö", 65), with(func(*invitation.CreateParams) {}))
	w.is.Equal(refusals(err), []refusal{{422, "form_param_exceeds_allowed_size", "organization_id"}}) // bytes, not letters
}
