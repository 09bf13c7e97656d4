package invitationtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// DirectoryHost is a host application that [RunDirectory] tests: its Directory, and functions that add users,
// organizations and members. The functions commit their changes.
//
// AddOrganization and AddUser get suggested ids. They return the id that the host uses: the suggested one, or one that
// the host generated because its ids are numbers or UUIDs.
type DirectoryHost struct {
	Directory invitation.Directory // the Directory to test
	Storage   storage.Storage      // the storage whose transactions the Directory works in

	// AddOrganization adds an organization without members. It is nil if the host has no table of organizations: the
	// Directory may then treat an unknown organization as one without members.
	AddOrganization func(ctx context.Context, id string) (string, error)

	// AddUser adds a user with these verified addresses, stored in this spelling. If no addresses are given, the user has
	// no address, or an unverified one. AddUser must work with one address. If a user of the host cannot have the given
	// number of addresses, AddUser returns [errors.ErrUnsupported], and RunDirectory skips the rules that need that many.
	AddUser func(ctx context.Context, id string, verified ...string) (string, error)

	// AddUnverified adds an address that the user has not proved to own. It may be nil if the host does not store such
	// addresses, or if AddUser without addresses already adds an unverified one.
	AddUnverified func(ctx context.Context, userID, address string) error

	// AddMember makes the user a member of the organization.
	AddMember func(ctx context.Context, organizationID, userID string, role invitation.Role) error

	// Roles are two different roles of the host. They default to [invitation.RoleAdmin] and [invitation.RoleMember].
	Roles [2]invitation.Role
}

// RunDirectory tests a host's [invitation.Directory]. Each rule of its contract has a subtest, and the subtest's name
// is the rule. The failure message tells you how to fix the Directory. Run it on the database that the host uses in
// production, because the rules depend on columns and keys:
//
//	func TestDirectory(t *testing.T) {
//		invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
//			db := emptyDatabase(t)
//			return invitationtest.DirectoryHost{
//				Directory: directory{},
//				Storage:   newStore(t, db),
//				AddUser: func(ctx context.Context, id string, verified ...string) (string, error) { … },
//				AddMember: …
//			}
//		})
//	}
//
// RunDirectory calls newHost once for each rule. The host must not be in use elsewhere. It may already have users and
// organizations, but not with the ids that RunDirectory suggests. Rules run one after another, so hosts may share one
// database if newHost empties it. Also run the test with the race detector (go test -race).
func RunDirectory(t *testing.T, newHost func(t *testing.T) DirectoryHost) {
	for _, r := range directoryRules {
		t.Run(r.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s, err := newScene(ctx, newHost(t))
			if err != nil {
				t.Fatalf("the host cannot be set up: %v", err)
			}
			var unsupported unsupportedError
			switch err := r.check(ctx, s); {
			case errors.As(err, &unsupported):
				t.Skip(err)
			case err != nil:
				t.Errorf("the rule is broken: %s\n%v\nWhat to do: %s", r.name, err, r.remedy)
			}
		})
	}
}

const (
	patience = time.Minute            // limit for one rule; only a Directory that deadlocks exceeds it
	glance   = 100 * time.Millisecond // how long to wait for something that a correct host may block
	many     = 1000                   // addresses in one call: the default of Config.MaxBulk
)

// directoryRule is a rule of the contract. check returns an error that says how the host breaks the rule.
type directoryRule struct {
	name, remedy string
	check        func(ctx context.Context, s *scene) error
}

// The remedies that several rules share.
const (
	compareBytes = "compare ids byte for byte. Their columns need a collation that does so: utf8mb4_nopad_bin on " +
		"MariaDB, utf8mb4_0900_bin on MySQL 8, a deterministic one on PostgreSQL (and not citext), BINARY on " +
		"SQLite. For a column of numbers or UUIDs, refuse an id that is not spelled as the column's own text"
	useTx = "read and write through the handle of the transaction, such as bunstore.DB(tx), and no other"
)

var directoryRules = []directoryRule{
	{
		"Role is the role the member has in the organization",
		"select the role by organization and user",
		func(ctx context.Context, s *scene) error {
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.hasRole(ctx, tx, s.acme, s.joe, s.Roles[0]),
					s.hasRole(ctx, tx, s.acme, s.zoe, s.Roles[1]),
					s.hasRole(ctx, tx, s.globe, s.zoe, s.Roles[0]))
			})
		},
	},
	{
		"Role of anybody else is ErrNotMember",
		"return invitation.ErrNotMember where there is no row. Ids may be any text: if those of the host are numbers or " +
			"UUIDs, text that is not one has no row either",
		func(ctx context.Context, s *scene) error {
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.noMember(ctx, tx, s.acme, s.andre.id),
					s.noMember(ctx, tx, s.acme, s.chloe.id),
					s.noMember(ctx, tx, s.globe, s.joe.id),
					s.noMember(ctx, tx, s.acme, unknownID),
					s.noMember(ctx, tx, unknownID, s.joe.id))
			})
		},
	},
	{
		"Role compares ids byte for byte", compareBytes,
		func(ctx context.Context, s *scene) error {
			return s.spellings(func(organizationID, userID string) error {
				return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
					role, err := s.Directory.Role(ctx, tx, organizationID, userID)
					if err == nil && role != "" {
						return fmt.Errorf("Role(%q, %q) = %q, which is the role of %q in %q",
							organizationID, userID, role, s.joe.id, s.acme)
					}
					return aborted(err)
				})
			})
		},
	},

	{
		"MemberEmails are the addresses of the organization's members",
		"select the addresses of the users who are members of this organization",
		func(ctx context.Context, s *scene) error {
			asked := []string{
				s.joe.email, s.zoe.email, s.chloe.email, s.andre.email, "nobody@example.com", "zoé@example.com",
			}
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.hasEmails(ctx, tx, s.acme, asked, s.joe.email, s.zoe.email),
					s.hasEmails(ctx, tx, s.globe, asked, s.zoe.email, s.chloe.email))
			})
		},
	},
	{
		"MemberEmails of an organization without members are none, and no error",
		"return ErrNotFound only where the organization does not exist",
		func(ctx context.Context, s *scene) error {
			if s.AddOrganization == nil {
				return unsupportedError("the host has no table of organizations")
			}
			empty, err := s.AddOrganization(ctx, "empté")
			if err != nil {
				return err
			}
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return s.hasEmails(ctx, tx, empty, []string{s.joe.email})
			})
		},
	},
	{
		"MemberEmails finds an address in any spelling",
		"compare LOWER(email) with the given addresses, or rewrite old rows by invitation.CanonicalEmail",
		func(ctx context.Context, s *scene) error {
			if _, err := s.addMember(ctx, "légacy", legacyEmail); err != nil {
				return err
			}
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return s.hasEmails(ctx, tx, s.acme, []string{canonicalLegacy}, canonicalLegacy)
			})
		},
	},
	{
		"MemberEmails finds every verified address of a member",
		"look at all addresses of a user, not only at the first",
		func(ctx context.Context, s *scene) error {
			if _, err := s.addMember(ctx, "plurél", "one@example.com", "two@example.com"); err != nil {
				return err
			}
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.hasEmails(ctx, tx, s.acme, []string{"one@example.com"}, "one@example.com"),
					s.hasEmails(ctx, tx, s.acme, []string{"two@example.com"}, "two@example.com"))
			})
		},
	},
	{
		"MemberEmails answers for a thousand addresses",
		"look up all addresses of a call: there may be as many as Config.MaxBulk",
		func(ctx context.Context, s *scene) error {
			asked := []string{s.joe.email}
			for i := range many - 2 {
				asked = append(asked, fmt.Sprintf("nobody%d@example.com", i))
			}
			asked = append(asked, s.zoe.email)
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return s.hasEmails(ctx, tx, s.acme, asked, s.joe.email, s.zoe.email)
			})
		},
	},
	{
		"MemberEmails of an unknown organization is ErrNotFound",
		"return invitation.ErrNotFound where the organization does not exist, also for text that cannot be an id of the host",
		func(ctx context.Context, s *scene) error {
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				found, err := s.memberEmails(ctx, tx, unknownID, []string{s.joe.email})
				if errors.Is(err, invitation.ErrNotFound) || s.AddOrganization == nil && err == nil && len(found) == 0 {
					return nil
				}
				return unexpected(err, "MemberEmails(%q) = %q; want ErrNotFound", unknownID, found)
			})
		},
	},
	{
		"MemberEmails compares ids byte for byte", compareBytes,
		func(ctx context.Context, s *scene) error {
			return s.spellings(func(organizationID, _ string) error {
				if organizationID == s.acme {
					return nil // this method does not get the misspelled user id
				}
				return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
					found, err := s.memberEmails(ctx, tx, organizationID, []string{s.joe.email})
					if err == nil && len(found) > 0 {
						return fmt.Errorf("MemberEmails(%q) = %q, which are addresses of members of %q",
							organizationID, found, s.acme)
					}
					return aborted(err)
				})
			})
		},
	},

	{
		"VerifiedEmails are the addresses of the user",
		"select the addresses of this user, in any spelling",
		func(ctx context.Context, s *scene) error {
			legacy, err := s.addMember(ctx, "légacy", legacyEmail)
			if err != nil {
				return err
			}
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.hasVerified(ctx, tx, s.joe.id, s.joe.email),
					s.hasVerified(ctx, tx, s.andre.id, s.andre.email),
					s.hasVerified(ctx, tx, legacy, canonicalLegacy))
			})
		},
	},
	{
		"VerifiedEmails are all addresses that are verified",
		"return every verified address of the user, not only the first",
		func(ctx context.Context, s *scene) error {
			id, err := s.addUser(ctx, "plurél", "one@example.com", "two@example.com")
			if err != nil {
				return err
			}
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return s.hasVerified(ctx, tx, id, "one@example.com", "two@example.com")
			})
		},
	},
	{
		"VerifiedEmails leaves out addresses that are not verified",
		"return only addresses that the user has proved to own, and no error where there are none. Whoever types in " +
			"somebody else's address could otherwise accept their invitations",
		func(ctx context.Context, s *scene) error {
			id, err := s.addUser(ctx, "névrified")
			if err == nil && s.AddUnverified != nil {
				err = errors.Join(
					s.AddUnverified(ctx, id, "typed.in@example.com"),
					s.AddUnverified(ctx, s.joe.id, "typed.in.too@example.com"))
			}
			if err != nil {
				return err
			}
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(s.hasVerified(ctx, tx, id), s.hasVerified(ctx, tx, s.joe.id, s.joe.email))
			})
		},
	},
	{
		"VerifiedEmails of an unknown user is ErrNotFound",
		"return invitation.ErrNotFound where the user does not exist, also for text that cannot be an id of the host",
		func(ctx context.Context, s *scene) error {
			return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
				found, err := s.Directory.VerifiedEmails(ctx, tx, unknownID)
				if errors.Is(err, invitation.ErrNotFound) {
					return nil
				}
				return unexpected(err, "VerifiedEmails(%q) = %q; want ErrNotFound", unknownID, found)
			})
		},
	},
	{
		"VerifiedEmails compares ids byte for byte", compareBytes,
		func(ctx context.Context, s *scene) error {
			return s.spellings(func(_, userID string) error {
				if userID == s.joe.id {
					return nil
				}
				return s.everywhere(ctx, func(ctx context.Context, tx storage.Storage) error {
					found, err := s.Directory.VerifiedEmails(ctx, tx, userID)
					if err == nil && slices.Contains(canonical(found), s.joe.email) {
						return fmt.Errorf("VerifiedEmails(%q) = %q, which are addresses of %q", userID, found, s.joe.id)
					}
					return aborted(err)
				})
			})
		},
	},

	{
		"Join is seen in its transaction and after it", useTx + ". The membership has the role that Join gets",
		func(ctx context.Context, s *scene) error {
			seen := func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.hasRole(ctx, tx, s.acme, s.andre, s.Roles[1]),
					s.hasEmails(ctx, tx, s.acme, []string{s.andre.email}, s.andre.email))
			}
			err := s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
				if err := s.joins(ctx, tx, s.acme, s.andre, s.Roles[1]); err != nil {
					return err
				}
				return seen(ctx, tx)
			})
			if err != nil {
				return fmt.Errorf("in the transaction of Join: %w", err)
			}
			return s.everywhere(ctx, seen)
		},
	},
	{
		"Join is not seen before its transaction commits", useTx,
		func(ctx context.Context, s *scene) error {
			var onlookers sync.WaitGroup // an onlooker may wait for the connection of the transaction
			defer onlookers.Wait()
			return s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
				if err := s.joins(ctx, tx, s.acme, s.andre, s.Roles[1]); err != nil {
					return err
				}
				looking, cancel := context.WithTimeout(ctx, glance)
				defer cancel()
				seen := make(chan invitation.Role, 1)
				onlookers.Go(func() {
					if role, err := s.Directory.Role(looking, s.Storage, s.acme, s.andre.id); err == nil {
						seen <- role
					}
				})
				select {
				case role := <-seen:
					if role != "" {
						return fmt.Errorf("Role outside the transaction of Join = %q, before COMMIT", role)
					}
				case <-looking.Done():
				}
				return nil
			})
		},
	},
	{
		"Join is rolled back with its transaction",
		useTx + ", do not commit, and do not cache what Role returns",
		func(ctx context.Context, s *scene) error {
			err := undo(ctx, s.transact, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.joins(ctx, tx, s.acme, s.andre, s.Roles[1]),
					s.hasRole(ctx, tx, s.acme, s.andre, s.Roles[1])) // the Directory must not cache this
			})
			if err != nil {
				return err
			}
			return s.noMember(ctx, s.Storage, s.acme, s.andre.id)
		},
	},
	{
		"Join is rolled back with a nested transaction",
		useTx + ". Use the handle of the Storage that Join gets, not that of an outer transaction",
		func(ctx context.Context, s *scene) error {
			id, err := s.addUser(ctx, "noé", "noe@example.com")
			if err != nil {
				return err
			}
			noe := person{id, "noe@example.com"}
			err = s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
				err := undo(ctx, tx.RunInTx, func(ctx context.Context, tx storage.Storage) error {
					return errors.Join(
						s.joins(ctx, tx, s.acme, s.andre, s.Roles[1]),
						s.hasRole(ctx, tx, s.acme, s.andre, s.Roles[1]))
				})
				if err != nil {
					return err
				}
				return errors.Join(
					s.noMember(ctx, tx, s.acme, s.andre.id),
					s.joins(ctx, tx, s.acme, noe, s.Roles[1]))
			})
			if err != nil {
				return err
			}
			return errors.Join(
				s.noMember(ctx, s.Storage, s.acme, s.andre.id),
				s.hasRole(ctx, s.Storage, s.acme, noe, s.Roles[1]))
		},
	},
	{
		"Join of a member is ErrAlreadyMember and keeps the role",
		"insert only where there is no row yet (ON CONFLICT DO NOTHING, INSERT IGNORE), and return " +
			"invitation.ErrAlreadyMember where no row was inserted",
		func(ctx context.Context, s *scene) error {
			again := func(ctx context.Context, tx storage.Storage, p person, role, kept invitation.Role) error {
				err := s.join(ctx, tx, s.acme, p, role)
				if !errors.Is(err, invitation.ErrAlreadyMember) {
					return unexpected(err, "Join of %q, who is a member of %q; want ErrAlreadyMember", p.id, s.acme)
				}
				return s.hasRole(ctx, tx, s.acme, p, kept)
			}
			err := s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
				if err := s.joins(ctx, tx, s.acme, s.andre, s.Roles[1]); err != nil {
					return err
				}
				return again(ctx, tx, s.andre, s.Roles[0], s.Roles[1])
			})
			if err != nil {
				return err
			}
			return s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					again(ctx, tx, s.andre, s.Roles[0], s.Roles[1]),
					again(ctx, tx, s.joe, s.Roles[1], s.Roles[0]))
			})
		},
	},
	{
		"Join lets a user join several organizations",
		"make the unique key one of organization and user together",
		func(ctx context.Context, s *scene) error {
			err := s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
				return errors.Join(
					s.joins(ctx, tx, s.acme, s.andre, s.Roles[1]),
					s.joins(ctx, tx, s.globe, s.andre, s.Roles[0]),
					s.joins(ctx, tx, s.acme, s.chloe, s.Roles[0]))
			})
			if err != nil {
				return err
			}
			return errors.Join(
				s.hasRole(ctx, s.Storage, s.acme, s.andre, s.Roles[1]),
				s.hasRole(ctx, s.Storage, s.globe, s.andre, s.Roles[0]),
				s.hasRole(ctx, s.Storage, s.acme, s.chloe, s.Roles[0]),
				s.hasRole(ctx, s.Storage, s.globe, s.chloe, s.Roles[1]))
		},
	},
	{
		"Join makes one member when called twice at once",
		"give the table of memberships a unique key on organization and user, such as its primary key: to look " +
			"first and then insert is not enough",
		twoAtOnce,
	},
	{
		"Join compares ids byte for byte", compareBytes,
		func(ctx context.Context, s *scene) error {
			return s.spellings(func(organizationID, userID string) error {
				return undo(ctx, s.transact, func(ctx context.Context, tx storage.Storage) error {
					err := s.join(ctx, tx, organizationID, person{userID, "other@example.com"}, s.Roles[1])
					switch {
					case errors.Is(err, invitation.ErrAlreadyMember):
						return unexpected(err, "Join(%q, %q) meets %q in %q", organizationID, userID, s.joe.id, s.acme)
					case err != nil:
						return aborted(err) // a host may refuse unknown ids
					}
					return s.hasRole(ctx, tx, s.acme, s.joe, s.Roles[0])
				})
			})
		},
	},

	{
		"a call whose context has ended is an error",
		"pass ctx to every statement, and return its error as it is: it says nothing about users and members",
		func(ctx context.Context, s *scene) error {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			refused := func(method string, err error) error {
				if err != nil && !errors.Is(err, invitation.ErrNotMember) && !errors.Is(err, invitation.ErrNotFound) &&
					!errors.Is(err, invitation.ErrAlreadyMember) {
					return nil
				}
				return unexpected(err, "%s does not return the error of its context", method)
			}
			reads := func(tx storage.Storage) error {
				role, err := s.Directory.Role(ended, tx, s.acme, s.joe.id)
				if err == nil && role == "" {
					err = invitation.ErrNotMember
				}
				_, noEmails := s.Directory.MemberEmails(ended, tx, s.acme, []string{s.joe.email})
				_, noVerified := s.Directory.VerifiedEmails(ended, tx, s.joe.id)
				return errors.Join(refused("Role", err), refused("MemberEmails", noEmails), refused("VerifiedEmails", noVerified))
			}
			if err := reads(s.Storage); err != nil {
				return err
			}
			return undo(ctx, s.transact, func(ctx context.Context, tx storage.Storage) error {
				err := undo(ctx, tx.RunInTx, func(_ context.Context, tx storage.Storage) error {
					return refused("Join", s.Directory.Join(ended, tx, s.membership(s.acme, s.andre, s.Roles[1])))
				})
				if err != nil {
					return err
				}
				return reads(tx)
			})
		},
	},
	{
		"concurrent calls do not mix their answers",
		"keep no state of a call in the Directory: all goroutines share it",
		func(ctx context.Context, s *scene) error {
			joiners := make([]person, 4)
			for i := range joiners {
				p := person{fmt.Sprintf("joinér-%d", i), fmt.Sprintf("joiner%d@example.com", i)}
				id, err := s.addUser(ctx, p.id, p.email)
				if err != nil {
					return err
				}
				joiners[i] = person{id, p.email}
			}
			errs := make([]error, len(joiners))
			var wg sync.WaitGroup
			for i, p := range joiners {
				role := s.Roles[i%2]
				wg.Go(func() {
					for range 4 {
						errs[i] = errors.Join(errs[i],
							s.noMember(ctx, s.Storage, s.acme, p.id),
							s.hasRole(ctx, s.Storage, s.acme, s.zoe, s.Roles[1]),
							s.hasEmails(ctx, s.Storage, s.globe, []string{p.email, s.zoe.email}, s.zoe.email),
							s.hasVerified(ctx, s.Storage, p.id, p.email))
					}
					err := s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
						return s.joins(ctx, tx, s.acme, p, role)
					})
					errs[i] = errors.Join(errs[i], err, s.hasRole(ctx, s.Storage, s.acme, p, role))
				})
			}
			wg.Wait()
			return errors.Join(errs...)
		},
	},
}

// twoAtOnce accepts two invitations of one user in two transactions. After each step, each waits a moment for the
// other. So without a unique key, both look before either joins, and both join before either commits.
func twoAtOnce(ctx context.Context, s *scene) error {
	looked, joined := newMeeting(), newMeeting()
	accept := func(i int) error {
		var already error
		err := s.transact(ctx, func(ctx context.Context, tx storage.Storage) error {
			_, err := s.Directory.Role(ctx, tx, s.acme, s.andre.id)
			if err != nil && !errors.Is(err, invitation.ErrNotMember) {
				return err
			}
			looked.wait(ctx, i)
			already = s.join(ctx, tx, s.acme, s.andre, s.Roles[i])
			joined.wait(ctx, i)
			if errors.Is(already, invitation.ErrAlreadyMember) {
				return nil
			}
			return already
		})
		if err != nil {
			return err
		}
		return already
	}
	var errs [2]error
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = accept(i) })
	}
	wg.Wait()

	won := -1
	for i, err := range errs {
		if err != nil && !errors.Is(err, invitation.ErrAlreadyMember) {
			err = accept(i) // the unique key refused it, or the database aborted it
		}
		switch {
		case err == nil && won >= 0:
			return fmt.Errorf("both Joins of %q succeeded, so that the user is a member of %q twice", s.andre.id, s.acme)
		case err == nil:
			won = i
		case !errors.Is(err, invitation.ErrAlreadyMember):
			return unexpected(err, "Join of %q; want nil or ErrAlreadyMember", s.andre.id)
		}
	}
	if won < 0 {
		return fmt.Errorf("both Joins of %q were ErrAlreadyMember", s.andre.id)
	}
	return s.hasRole(ctx, s.Storage, s.acme, s.andre, s.Roles[won])
}

// meeting lets two goroutines wait a moment for each other. One that has arrived never makes the other wait again.
type meeting struct {
	once    [2]sync.Once
	arrived [2]chan struct{}
}

func newMeeting() *meeting {
	return &meeting{arrived: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
}

func (m *meeting) wait(ctx context.Context, i int) {
	m.once[i].Do(func() { close(m.arrived[i]) })
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	select {
	case <-m.arrived[1-i]:
	case <-ctx.Done():
	}
}
