package invitation_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const acceptURL = "https://app.example.com/join"

var key1, key2 = bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)

// world is a host with two organizations. ann is an admin and bob a member of acme, zoe is an admin of other, and carl
// and dora belong to neither.
type world struct {
	t      testing.TB
	is     *is.I
	ctx    context.Context
	clock  *clock.Fake
	host   *invitationtest.Host
	svc    *invitation.Service
	events []invitation.Event // committed events
}

// setup returns a world. By default it has a fake clock at noon, one ticket key, acceptURL, and an OnEvents that keeps
// the events.
func setup(t testing.TB, cfg *invitation.Config) *world {
	t.Helper()
	w := &world{t: t, is: is.New(t), ctx: t.Context(), clock: clock.NewFake(noon), host: invitationtest.NewHost()}
	w.host.AddOrganization(invitation.Organization{
		ID: "acme", Name: "Acme", Slug: "acme", HasImage: true, ImageURL: "https://img.example.com/a",
	})
	w.host.AddOrganization(invitation.Organization{ID: "other", Name: "Other"})
	for _, user := range []string{"ann", "bob", "carl", "dora", "zoe"} {
		w.host.AddUser(user, user+"@example.com")
	}
	w.host.AddMember("acme", "ann", invitation.RoleAdmin)
	w.host.AddMember("acme", "bob", invitation.RoleMember)
	w.host.AddMember("other", "zoe", invitation.RoleAdmin)
	w.svc = w.service(w.host, cfg)
	return w
}

// in makes the subtest t the test of the world.
func (w *world) in(t *testing.T) {
	before, beforeIs := w.t, w.is
	w.t, w.is = t, is.New(t)
	t.Cleanup(func() { w.t, w.is = before, beforeIs })
}

// service returns a service on the world's storage with another directory or configuration.
func (w *world) service(dir invitation.Directory, cfg *invitation.Config) *invitation.Service {
	w.t.Helper()
	return w.serviceOn(w.host.Storage(), dir, cfg)
}

// serviceOn is service on a storage outside a transaction.
func (w *world) serviceOn(store storage.Storage, dir invitation.Directory, cfg *invitation.Config) *invitation.Service {
	w.t.Helper()
	var c invitation.Config
	if cfg != nil {
		c = *cfg
	}
	if c.Clock == nil {
		c.Clock = w.clock
	}
	if c.TicketKeys == nil {
		c.TicketKeys = [][]byte{key1}
	}
	if c.AcceptURL == "" {
		c.AcceptURL = acceptURL
	}
	if c.OnEvents == nil {
		c.OnEvents = func(_ context.Context, _ storage.Storage, events []invitation.Event) error {
			w.events = append(w.events, events...)
			return nil
		}
	}
	svc, err := invitation.NewService(store, dir, &c)
	w.is.NoErr(err)
	return svc
}

// invite invites an address into acme as a member, by ann.
func (w *world) invite(email string) invitation.Invitation {
	w.t.Helper()
	inv, err := w.svc.Create(w.ctx, "acme", invitation.CreateParams{
		EmailAddress: email, Role: invitation.RoleMember, InviterUserID: "ann"})
	w.is.NoErr(err)
	return inv
}

func (w *world) get(inv invitation.Invitation) invitation.Invitation {
	w.t.Helper()
	got, err := w.svc.Get(w.ctx, inv.OrganizationID, inv.ID)
	w.is.NoErr(err)
	return got
}

// stored returns all records as they are stored.
func (w *world) stored() []storage.Record {
	w.t.Helper()
	records, err := w.host.Storage().List(w.ctx, storage.Query{})
	w.is.NoErr(err)
	return records
}

func ticketOf(t testing.TB, inv invitation.Invitation) string {
	t.Helper()
	u, err := url.Parse(inv.URL)
	if err != nil {
		t.Fatal(err)
	}
	ticket := u.Query().Get("invitation_ticket")
	if ticket == "" {
		t.Fatalf("no ticket in %q", inv.URL)
	}
	return ticket
}

// refusal is what an error tells a program.
type refusal struct {
	status      int
	code, param string
}

func refusals(err error) []refusal {
	var errs invitation.Errors
	if !errors.As(err, &errs) {
		return nil
	}
	var rs []refusal
	for _, e := range errs {
		rs = append(rs, refusal{e.Status, e.Code, e.Param})
	}
	return rs
}

// refuses fails unless the call returns exactly these errors and changes nothing.
func (w *world) refuses(sentinel error, want []refusal, call func() error) {
	w.t.Helper()
	before, members, events := w.stored(), w.host.Members("acme"), len(w.events)
	err := call()
	if !errors.Is(err, sentinel) {
		w.t.Fatalf("got %v, which is not %v", err, sentinel)
	}
	if got := refusals(err); !slices.Equal(got, want) {
		w.t.Fatalf("got %v\nwant %v", got, want)
	}
	var errs invitation.Errors
	errors.As(err, &errs)
	for _, e := range errs {
		if e.Message == "" || e.LongMessage == "" {
			w.t.Errorf("%s says nothing to people", e.Code)
		}
	}
	w.is.Equal(w.stored(), before)              // nothing was written
	w.is.Equal(w.host.Members("acme"), members) // nobody joined
	w.is.Equal(len(w.events), events)           // no events
}

// seatsFunc is a Config.Seats.
type seatsFunc = func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error)

func eventTypes(events []invitation.Event) []invitation.EventType {
	var types []invitation.EventType
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

// These tests cover mistakes of hosts, stores and clients.

// hooked is a storage that calls a function before each operation.
type hooked struct {
	storage.Storage
	list   func(q storage.Query)
	lock   func() error
	insert func() // after records have been inserted
}

func (s hooked) Insert(ctx context.Context, records ...storage.Record) error {
	err := s.Storage.Insert(ctx, records...)
	if s.insert != nil && err == nil {
		s.insert()
	}
	return err
}

func (s hooked) List(ctx context.Context, q storage.Query) ([]storage.Record, error) {
	if s.list != nil {
		s.list(q)
	}
	return s.Storage.List(ctx, q)
}

func (s hooked) Lock(ctx context.Context, key string) error {
	if s.lock != nil {
		if err := s.lock(); err != nil {
			return err
		}
	}
	return s.Storage.Lock(ctx, key)
}

func (s hooked) Unwrap() storage.Storage { return s.Storage }

func (s hooked) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	return s.Storage.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return fn(ctx, hooked{tx, s.list, s.lock, s.insert})
	})
}
