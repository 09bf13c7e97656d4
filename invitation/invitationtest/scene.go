package invitationtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

const (
	unknownID       = "nobody"
	legacyEmail     = "Legacy.User@Example.COM"
	canonicalLegacy = "legacy.user@example.com"
)

// scene is a host with two organizations. joe and zoe are members of acme, zoe and chloe of globe, and andre of
// neither.
type scene struct {
	DirectoryHost
	acme, globe            string
	joe, zoe, chloe, andre person
}

type person struct{ id, email string }

func newScene(ctx context.Context, h DirectoryHost) (*scene, error) {
	if h.Directory == nil || h.Storage == nil || h.AddUser == nil || h.AddMember == nil {
		return nil, errors.New("a DirectoryHost needs Directory, Storage, AddUser and AddMember")
	}
	if h.Roles == ([2]invitation.Role{}) {
		h.Roles = [2]invitation.Role{invitation.RoleAdmin, invitation.RoleMember}
	}
	s := &scene{DirectoryHost: h, acme: "acmé", globe: "globé"}
	for _, organization := range []*string{&s.acme, &s.globe} {
		if h.AddOrganization == nil {
			break
		}
		id, err := h.AddOrganization(ctx, *organization)
		if err != nil {
			return nil, fmt.Errorf("AddOrganization: %w", err)
		}
		*organization = id
	}
	for _, p := range []struct {
		person *person
		id     string
		email  string
	}{
		{&s.joe, "joé", "joe@example.com"}, {&s.zoe, "zoé", "zoe@example.com"},
		{&s.chloe, "chloé", "chloe@example.com"}, {&s.andre, "andré", "andre@example.com"},
	} {
		id, err := h.AddUser(ctx, p.id, p.email)
		if err != nil {
			return nil, fmt.Errorf("AddUser: %w", err)
		}
		*p.person = person{id, p.email}
	}
	for _, m := range []struct {
		organization string
		person       person
		role         invitation.Role
	}{
		{s.acme, s.joe, h.Roles[0]}, {s.acme, s.zoe, h.Roles[1]},
		{s.globe, s.zoe, h.Roles[0]}, {s.globe, s.chloe, h.Roles[1]},
	} {
		if err := h.AddMember(ctx, m.organization, m.person.id, m.role); err != nil {
			return nil, fmt.Errorf("AddMember: %w", err)
		}
	}
	return s, nil
}

// unsupportedError is the reason why a rule is skipped.
type unsupportedError string

func (e unsupportedError) Error() string { return string(e) }

func (s *scene) addUser(ctx context.Context, id string, verified ...string) (string, error) {
	id, err := s.AddUser(ctx, id, verified...)
	if errors.Is(err, errors.ErrUnsupported) {
		return "", unsupportedError(fmt.Sprintf("a user of the host cannot have %d verified addresses", len(verified)))
	}
	return id, err
}

// addMember adds a user and makes them a member of acme.
func (s *scene) addMember(ctx context.Context, id string, verified ...string) (string, error) {
	id, err := s.addUser(ctx, id, verified...)
	if err != nil {
		return "", err
	}
	return id, s.AddMember(ctx, s.acme, id, s.Roles[1])
}

// transactional is what RunInTx runs.
type transactional = func(ctx context.Context, tx storage.Storage) error

// transact runs fn in a transaction, and retries it as long as the database aborts it.
func (s *scene) transact(ctx context.Context, fn transactional) error {
	for {
		err := s.Storage.RunInTx(ctx, fn)
		if !errors.Is(err, storage.ErrAborted) || ctx.Err() != nil {
			return err
		}
	}
}

var errUndo = errors.New("invitationtest: rolled back on purpose")

// undo runs fn in a transaction that begin begins, rolls it back, and returns what fn returned.
func undo(
	ctx context.Context, begin func(context.Context, transactional) error, fn transactional) error {
	var found error
	err := begin(ctx, func(ctx context.Context, tx storage.Storage) error {
		found = fn(ctx, tx)
		return errors.Join(found, errUndo)
	})
	if errors.Is(err, errUndo) && !errors.Is(err, storage.ErrAborted) {
		return found
	}
	return err
}

// everywhere asks outside and inside a transaction, as the service does.
func (s *scene) everywhere(ctx context.Context, ask transactional) error {
	if err := ask(ctx, s.Storage); err != nil {
		return fmt.Errorf("outside a transaction: %w", err)
	}
	if err := undo(ctx, s.transact, ask); err != nil {
		return fmt.Errorf("in a transaction: %w", err)
	}
	return nil
}

// spellings calls ask for joe in acme, each time with one of the two ids misspelled.
func (s *scene) spellings(ask func(organizationID, userID string) error) error {
	var errs []error
	for _, id := range spelled(s.acme) {
		errs = append(errs, ask(id, s.joe.id))
	}
	for _, id := range spelled(s.joe.id) {
		errs = append(errs, ask(s.acme, id))
	}
	return errors.Join(errs...)
}

// spelled returns misspellings of id that a loose comparison takes for id: another case, spaces around it, a leading
// zero, another accent, another Unicode form, and a pattern.
func spelled(id string) []string {
	all := []string{id + " ", " " + id, "0" + id}
	if i := strings.IndexFunc(id, func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }); i >= 0 {
		all = append(all, id[:i]+string(id[i]^' ')+id[i+1:])
	}
	if strings.Contains(id, "é") {
		all = append(all, strings.ReplaceAll(id, "é", "e"), strings.ReplaceAll(id, "é", "e\u0301"))
	} else if strings.Contains(id, "e") {
		all = append(all, strings.Replace(id, "e", "é", 1))
	}
	_, last := utf8.DecodeLastRuneInString(id)
	return append(all, id[:len(id)-last]+"_")
}

// unexpected returns an error that describes a call. err stays in the chain, so that an aborted transaction is retried.
func unexpected(err error, format string, args ...any) error {
	said := fmt.Sprintf(format, args...)
	if err == nil {
		return errors.New(said)
	}
	return fmt.Errorf("%s: %w", said, err)
}

// aborted returns err if the transaction must be retried. Any other error for an unknown id is correct.
func aborted(err error) error {
	if errors.Is(err, storage.ErrAborted) {
		return err
	}
	return nil
}

func (s *scene) hasRole(ctx context.Context, tx storage.Storage, organizationID string, p person,
	want invitation.Role) error {
	role, err := s.Directory.Role(ctx, tx, organizationID, p.id)
	if err != nil || role != want {
		return unexpected(err, "Role(%q, %q) = %q; want %q", organizationID, p.id, role, want)
	}
	return nil
}

func (s *scene) noMember(ctx context.Context, tx storage.Storage, organizationID, userID string) error {
	role, err := s.Directory.Role(ctx, tx, organizationID, userID)
	if errors.Is(err, invitation.ErrNotMember) || err == nil && role == "" {
		return nil
	}
	return unexpected(err, "Role(%q, %q) = %q; want ErrNotMember", organizationID, userID, role)
}

// memberEmails returns which of the addresses were found, in canonical form and sorted. It ignores other addresses,
// which do no harm.
func (s *scene) memberEmails(ctx context.Context, tx storage.Storage, organizationID string, asked []string) (
	[]string, error) {
	found, err := s.Directory.MemberEmails(ctx, tx, organizationID, slices.Clone(asked))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(canonical(found), func(e string) bool { return !slices.Contains(asked, e) }), nil
}

func (s *scene) hasEmails(ctx context.Context, tx storage.Storage, organizationID string, asked []string,
	want ...string) error {
	found, err := s.memberEmails(ctx, tx, organizationID, asked)
	if err != nil || !slices.Equal(found, canonical(want)) {
		return unexpected(err, "MemberEmails(%q) = %q; want %q", organizationID, found, want)
	}
	return nil
}

func (s *scene) hasVerified(ctx context.Context, tx storage.Storage, userID string, want ...string) error {
	found, err := s.Directory.VerifiedEmails(ctx, tx, userID)
	if err != nil || !slices.Equal(canonical(found), canonical(want)) {
		return unexpected(err, "VerifiedEmails(%q) = %q; want %q", userID, found, want)
	}
	return nil
}

// canonical returns the canonical forms of addresses, sorted and without invalid ones, as the service reads them.
func canonical(emails []string) []string {
	var all []string
	for _, e := range emails {
		if c, err := invitation.CanonicalEmail(e); err == nil {
			all = append(all, c)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *scene) membership(organizationID string, p person, role invitation.Role) invitation.Membership {
	return invitation.Membership{
		OrganizationID: organizationID,
		UserID:         p.id,
		InvitationID:   "invitation-of-" + p.email,
		InviterUserID:  s.joe.id,
		EmailAddress:   p.email,
		Role:           role,
	}
}

// join calls Join in a nested transaction, as the service does.
func (s *scene) join(ctx context.Context, tx storage.Storage, organizationID string, p person,
	role invitation.Role) error {
	return tx.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		return s.Directory.Join(ctx, tx, s.membership(organizationID, p, role))
	})
}

// joins is join for a user who is not a member yet.
func (s *scene) joins(ctx context.Context, tx storage.Storage, organizationID string, p person,
	role invitation.Role) error {
	if err := s.join(ctx, tx, organizationID, p, role); err != nil {
		return unexpected(err, "Join(%q, %q); want no error", organizationID, p.id)
	}
	return nil
}
