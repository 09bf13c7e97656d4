// Package invitationtest is an application in memory, for tests and examples. [Host] has users, organizations and
// memberships. It implements [invitation.Directory], and its storage rolls memberships back together with invitations.
// Nothing is kept after the process ends.
//
//	host := invitationtest.NewHost()
//	host.AddOrganization(invitation.Organization{ID: "acme", Name: "Acme"})
//	host.AddUser("ann", "ann@example.com")
//	host.AddMember("acme", "ann", invitation.RoleAdmin)
//	svc, err := invitation.NewService(host.Storage(), host, nil)
//
// To test a failing Directory, embed a *Host and override one method.
//
// [RunDirectory] tests the Directory that you wrote for your own tables. Run it on the database that you use in
// production.
package invitationtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/memstore"
	"github.com/orginvite/orginvite/storage"
)

// Host is a host application in memory. Create one with [NewHost]. It is safe for concurrent use.
//
// Its Directory methods work in the transaction that they get. Without a transaction they work on the committed state.
// The methods AddOrganization, AddUser, AddMember and RemoveMember commit at once. They wait while a transaction is
// open, so a call from inside a transaction deadlocks.
type Host struct {
	storage *store

	// writer is held by the open transaction. mu guards the committed state.
	writer chan struct{}
	mu     sync.RWMutex
	state  state
}

// state is what a transaction rolls back. Each transaction changes its own copy.
type state struct {
	organizations map[string]invitation.Organization
	emails        map[string][]string // verified addresses by user
	members       map[member]invitation.Membership
}

type member struct{ organizationID, userID string }

func (s state) clone() state {
	return state{maps.Clone(s.organizations), maps.Clone(s.emails), maps.Clone(s.members)}
}

// NewHost returns a host without users and organizations.
func NewHost() *Host {
	h := &Host{
		writer: make(chan struct{}, 1),
		state: state{
			organizations: map[string]invitation.Organization{},
			emails:        map[string][]string{},
			members:       map[member]invitation.Membership{},
		},
	}
	h.storage = &store{Storage: memstore.New(), host: h}
	return h
}

// Storage returns the storage for [invitation.NewService].
func (h *Host) Storage() storage.Storage { return h.storage }

// AddOrganization adds or replaces an organization.
func (h *Host) AddOrganization(o invitation.Organization) {
	h.set(func(s *state) { s.organizations[o.ID] = o })
}

// AddUser adds or replaces a user with verified addresses.
func (h *Host) AddUser(userID string, verified ...string) {
	h.set(func(s *state) { s.emails[userID] = slices.Clone(verified) })
}

// AddMember adds a member without an invitation, or changes the role of a member.
func (h *Host) AddMember(organizationID, userID string, role invitation.Role) {
	h.set(func(s *state) {
		m := s.members[member{organizationID, userID}]
		m.OrganizationID, m.UserID, m.Role = organizationID, userID, role
		s.members[member{organizationID, userID}] = m
	})
}

// RemoveMember removes a member. It does nothing if the user is not a member.
func (h *Host) RemoveMember(organizationID, userID string) {
	h.set(func(s *state) { delete(s.members, member{organizationID, userID}) })
}

// Members returns the committed members of an organization, sorted by user id. For a member who accepted an invitation,
// it is the same Membership that [invitation.Directory.Join] got.
func (h *Host) Members(organizationID string) []invitation.Membership {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var ms []invitation.Membership
	for key, m := range h.state.members {
		if key.organizationID == organizationID {
			ms = append(ms, m)
		}
	}
	slices.SortFunc(ms, func(a, b invitation.Membership) int { return strings.Compare(a.UserID, b.UserID) })
	return ms
}

// Role implements [invitation.Directory].
func (h *Host) Role(ctx context.Context, tx storage.Storage, organizationID, userID string) (invitation.Role, error) {
	var m invitation.Membership
	var ok bool
	err := h.read(ctx, tx, func(s state) { m, ok = s.members[member{organizationID, userID}] })
	if err == nil && !ok {
		err = invitation.ErrNotMember
	}
	return m.Role, err
}

// MemberEmails implements [invitation.Directory].
func (h *Host) MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) (
	[]string, error) {
	var joined []string
	var known bool
	err := h.read(ctx, tx, func(s state) {
		_, known = s.organizations[organizationID]
		for key := range s.members {
			if key.organizationID != organizationID {
				continue
			}
			for _, e := range s.emails[key.userID] {
				if canonical, err := invitation.CanonicalEmail(e); err == nil && slices.Contains(emails, canonical) {
					joined = append(joined, canonical)
				}
			}
		}
	})
	if err == nil && !known {
		err = fmt.Errorf("organization %s: %w", organizationID, invitation.ErrNotFound)
	}
	return joined, err
}

// VerifiedEmails implements [invitation.Directory].
func (h *Host) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	var emails []string
	var known bool
	err := h.read(ctx, tx, func(s state) { emails, known = s.emails[userID] })
	if err == nil && !known {
		err = fmt.Errorf("user %s: %w", userID, invitation.ErrNotFound)
	}
	return slices.Clone(emails), err
}

// Join implements [invitation.Directory]. It returns an error outside a transaction of [Host.Storage].
func (h *Host) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := open(tx)
	if t == nil {
		return fmt.Errorf("invitationtest: Join outside a transaction of this host")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := member{m.OrganizationID, m.UserID}
	if _, joined := t.state.members[key]; joined {
		return invitation.ErrAlreadyMember
	}
	t.state.members[key] = m
	return nil
}

// Organizations can be used as [invitation.Config.Organizations].
func (h *Host) Organizations(ctx context.Context, tx storage.Storage, ids []string) (
	map[string]invitation.Organization, error) {
	found := map[string]invitation.Organization{}
	err := h.read(ctx, tx, func(s state) {
		for _, id := range ids {
			if o, ok := s.organizations[id]; ok {
				found[id] = o
			}
		}
	})
	return found, err
}

// Seats returns a function for [invitation.Config.Seats]. The function counts the members that the organization has in
// this host, without those whose role is in seatless. The limit is the same for every organization.
func (h *Host) Seats(limit int, seatless ...invitation.Role) func(context.Context, storage.Storage,
	invitation.SeatsRequest) (invitation.SeatsResult, error) {
	return func(ctx context.Context, tx storage.Storage, r invitation.SeatsRequest) (invitation.SeatsResult, error) {
		result := invitation.SeatsResult{Limit: limit}
		err := h.read(ctx, tx, func(s state) {
			for key, m := range s.members {
				if key.organizationID == r.OrganizationID && !slices.Contains(seatless, m.Role) {
					result.Members++
				}
			}
		})
		return result, err
	}
}

// set changes the committed state.
func (h *Host) set(change func(*state)) {
	h.writer <- struct{}{}
	defer func() { <-h.writer }()
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.state)
}

// read reads the state of the transaction, or the committed state. Like a database it returns an error if ctx has
// ended.
func (h *Host) read(ctx context.Context, tx storage.Storage, fn func(state)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t := open(tx); t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		fn(t.state)
		return nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	fn(h.state)
	return nil
}

// open returns the transaction that tx works in, or nil.
func open(tx storage.Storage) *transaction {
	if s, ok := storage.As[*store](tx); ok {
		return s.tx
	}
	return nil
}
