package invitationtest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// onHost returns the DirectoryHost of the host in memory.
func onHost(h *invitationtest.Host) invitationtest.DirectoryHost {
	return invitationtest.DirectoryHost{
		Directory: h,
		Storage:   h.Storage(),
		AddOrganization: func(_ context.Context, id string) (string, error) {
			h.AddOrganization(invitation.Organization{ID: id})
			return id, nil
		},
		AddUser: func(_ context.Context, id string, verified ...string) (string, error) {
			h.AddUser(id, verified...)
			return id, nil
		},
		AddMember: func(_ context.Context, organizationID, userID string, role invitation.Role) error {
			h.AddMember(organizationID, userID, role)
			return nil
		},
	}
}

// unverified also stores addresses that users typed in without proof, and shows both kinds.
type unverified struct {
	*invitationtest.Host
	typed map[string][]string
}

func (u unverified) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	found, err := u.Host.VerifiedEmails(ctx, tx, userID)
	return append(found, u.typed[userID]...), err
}

// show is set in the process that is to fail.
func (u unverified) host(show bool) invitationtest.DirectoryHost {
	host := onHost(u.Host)
	if show {
		host.Directory = u
	}
	host.AddUnverified = func(_ context.Context, userID, address string) error {
		u.typed[userID] = append(u.typed[userID], address)
		return nil
	}
	return host
}

// A host with unverified addresses adds some, and the suite detects whether they count as verified.
func TestRunDirectoryOfUnverifiedAddresses(t *testing.T) {
	const variable = "ORGINVITE_TEST_UNVERIFIED_ADDRESSES"
	show := os.Getenv(variable) != ""
	t.Run("rules", func(t *testing.T) {
		invitationtest.RunDirectory(t, func(*testing.T) invitationtest.DirectoryHost {
			return unverified{invitationtest.NewHost(), map[string][]string{}}.host(show)
		})
	})
	if show {
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	rule := strings.ReplaceAll(ruleUnverified, " ", "_")
	if err == nil || strings.Count(string(out), "        --- FAIL") != 1 || !strings.Contains(string(out), "rules/"+rule) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRunDirectory(t *testing.T) {
	invitationtest.RunDirectory(t, func(*testing.T) invitationtest.DirectoryHost {
		return onHost(invitationtest.NewHost())
	})
}

// A host may generate ids, have no table of organizations, allow one address for each user, and have other roles.
func TestRunDirectoryOfAnotherHost(t *testing.T) {
	invitationtest.RunDirectory(t, func(*testing.T) invitationtest.DirectoryHost {
		h := onHost(invitationtest.NewHost())
		addOrganization, addUser, n := h.AddOrganization, h.AddUser, 0
		h.Directory = homeless{h.Directory}
		h.AddOrganization = nil
		h.AddUser = func(ctx context.Context, _ string, verified ...string) (string, error) {
			if len(verified) != 1 {
				return "", errors.ErrUnsupported
			}
			n++
			return addUser(ctx, fmt.Sprintf("user-%d", n), verified...)
		}
		addMember := h.AddMember
		h.AddMember = func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
			_, err := addOrganization(ctx, organizationID)
			return errors.Join(err, addMember(ctx, organizationID, userID, role))
		}
		h.Roles = [2]invitation.Role{"boss", "hand"}
		return h
	})
}

// What the contract leaves open, a host may do in its own way.
func TestRunDirectoryOfCorrectHosts(t *testing.T) {
	for name, build := range map[string]func(h *invitationtest.Host) invitationtest.DirectoryHost{
		"no role is no membership": func(h *invitationtest.Host) invitationtest.DirectoryHost {
			host := onHost(h)
			host.Directory = broken{Host: h, role: func(ctx context.Context, tx storage.Storage, o,
				u string) (invitation.Role, error) {
				role, err := h.Role(ctx, tx, o, u)
				if errors.Is(err, invitation.ErrNotMember) {
					return "", nil
				}
				return role, err
			}}
			return host
		},
		"something beside an error": func(h *invitationtest.Host) invitationtest.DirectoryHost {
			host := onHost(h)
			host.Directory = broken{
				Host: h,
				role: func(ctx context.Context, tx storage.Storage, o, u string) (invitation.Role, error) {
					role, err := h.Role(ctx, tx, o, u)
					if err != nil {
						role = "none"
					}
					return role, err
				},
				memberEmails: func(ctx context.Context, tx storage.Storage, o string, emails []string) ([]string, error) {
					found, err := h.MemberEmails(ctx, tx, o, emails)
					if err != nil {
						found = emails
					}
					return found, err
				},
				verified: func(ctx context.Context, tx storage.Storage, u string) ([]string, error) {
					found, err := h.VerifiedEmails(ctx, tx, u)
					if err != nil {
						found = []string{"joe@example.com"}
					}
					return found, err
				},
			}
			return host
		},
		"a database that aborts": func(h *invitationtest.Host) invitationtest.DirectoryHost {
			var mu sync.Mutex
			aborted := map[[2]string]bool{}
			host := onHost(h)
			host.Directory = broken{Host: h, role: func(ctx context.Context, tx storage.Storage, o,
				u string) (invitation.Role, error) {
				mu.Lock()
				defer mu.Unlock()
				if pair := [2]string{o, u}; tx != h.Storage() && ctx.Err() == nil && !aborted[pair] {
					aborted[pair] = true
					return "", fmt.Errorf("deadlock found: %w", storage.ErrAborted)
				}
				return h.Role(ctx, tx, o, u)
			}}
			return host
		},
		"addresses that are none": func(h *invitationtest.Host) invitationtest.DirectoryHost {
			host := onHost(h)
			host.Directory = broken{Host: h, verified: func(ctx context.Context, tx storage.Storage, u string) ([]string,
				error) {
				found, err := h.VerifiedEmails(ctx, tx, u)
				return append(found, "", "broken"), err
			}}
			return host
		},
		"a key on the inviter and columns that must not be empty": func(h *invitationtest.Host) invitationtest.DirectoryHost {
			host := onHost(h)
			host.Directory = broken{Host: h, join: func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
				_, err := h.VerifiedEmails(ctx, tx, m.InviterUserID)
				if err == nil && (m.EmailAddress == "" || m.InvitationID == "" || m.Role == "") {
					err = errors.New("null value in column")
				}
				if err != nil {
					return err
				}
				return h.Join(ctx, tx, m)
			}}
			return host
		},
		"ids and roles of its own": func(h *invitationtest.Host) invitationtest.DirectoryHost {
			host, n := onHost(h), 0
			addOrganization, addMember := host.AddOrganization, host.AddMember
			host.AddOrganization = func(ctx context.Context, _ string) (string, error) {
				n++
				return addOrganization(ctx, fmt.Sprint(n))
			}
			host.AddMember = func(ctx context.Context, organizationID, userID string, role invitation.Role) error {
				if role != "boss" && role != "hand" || organizationID != "1" && organizationID != "2" {
					return fmt.Errorf("no role %s in %s", role, organizationID)
				}
				return addMember(ctx, organizationID, userID, role)
			}
			host.Roles = [2]invitation.Role{"boss", "hand"}
			return host
		},
		"a key that refuses the second of two at once": func(h *invitationtest.Host) invitationtest.DirectoryHost {
			s := &counted{Storage: h.Storage()}
			host := onHost(h)
			host.Storage = s
			var refused atomic.Bool
			host.Directory = broken{Host: h, join: func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
				err := h.Join(ctx, tx, m)
				if errors.Is(err, invitation.ErrAlreadyMember) && s.most.Load() > 1 && !refused.Swap(true) {
					return errors.New("duplicate key value violates unique constraint")
				}
				return err
			}}
			return host
		},
	} {
		t.Run(name, func(t *testing.T) {
			invitationtest.RunDirectory(
				t, func(*testing.T) invitationtest.DirectoryHost { return build(invitationtest.NewHost()) },
			)
		})
	}
}

// oddHosts are hosts that cannot be set up or do not keep a rule, and what the suite says of them.
var oddHosts = map[string]struct {
	build func(h *invitationtest.Host) invitationtest.DirectoryHost
	says  string
	rule  string // "" for every rule
}{
	"no Directory": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.Directory = nil
		return host
	}, "the host cannot be set up: a DirectoryHost needs Directory, Storage, AddUser and AddMember", ""},
	"no Storage": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.Storage = nil
		return host
	}, "the host cannot be set up: a DirectoryHost needs", ""},
	"no AddUser": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.AddUser = nil
		return host
	}, "the host cannot be set up: a DirectoryHost needs", ""},
	"no AddMember": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.AddMember = nil
		return host
	}, "the host cannot be set up: a DirectoryHost needs", ""},
	"AddOrganization fails": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.AddOrganization = func(context.Context, string) (string, error) { return "", errors.New("boom") }
		return host
	}, "the host cannot be set up: AddOrganization: boom", ""},
	"AddUser fails": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.AddUser = func(context.Context, string, ...string) (string, error) { return "", errors.New("boom") }
		return host
	}, "the host cannot be set up: AddUser: boom", ""},
	"AddMember fails": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.AddMember = func(context.Context, string, string, invitation.Role) error { return errors.New("boom") }
		return host
	}, "the host cannot be set up: AddMember: boom", ""},
	"no fifth user for spelling":             {fullAt(4), "boom", ruleSpelling},
	"no fifth user for every":                {fullAt(4), "boom", ruleEvery},
	"no fifth user for verified":             {fullAt(4), "boom", ruleVerified},
	"no fifth user for all":                  {fullAt(4), "boom", ruleAllVerified},
	"no fifth user for unverified":           {fullAt(4), "boom", ruleUnverified},
	"no fifth user for nested":               {fullAt(4), "boom", ruleNestedUndone},
	"no fifth user for at once":              {fullAt(4), "boom", ruleAtOnce},
	"users a1, a2 …, and case is not seen":   {letters("a", strings.ToLower), "which is the role of", ruleRoleIDs},
	"users z1, z2 …, and case is not seen":   {letters("z", strings.ToLower), "which is the role of", ruleRoleIDs},
	"users A1, A2 …, and case is not seen":   {letters("A", strings.ToLower), "which is the role of", ruleRoleIDs},
	"users Z1, Z2 …, and case is not seen":   {letters("Z", strings.ToLower), "which is the role of", ruleRoleIDs},
	"users _e1, _e2 …, and case is not seen": {letters("_e", strings.ToLower), "which is the role of", ruleRoleIDs},
	"users e1, e2 …, and accents are not seen": {letters(
		"e", strings.NewReplacer("é", "e").Replace,
	), "which is the role of", ruleRoleIDs},
	"users éa1, éa2 …, and case is not seen": {letters("éa", strings.ToLower), "which is the role of", ruleRoleIDs},
	"users 1a1, 1a2 …, and case is not seen": {letters("1a", strings.ToLower), "which is the role of", ruleRoleIDs},
	"no transaction begins": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		host.Storage = closed{h.Storage()}
		return host
	}, "in a transaction: boom", ruleRole},
	"no third organization": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host, n := onHost(h), 0
		add := host.AddOrganization
		host.AddOrganization = func(ctx context.Context, id string) (string, error) {
			if n++; n > 2 {
				return "", errors.New("boom")
			}
			return add(ctx, id)
		}
		return host
	}, "boom", ruleNoMembers},
	"no table of organizations, and everybody is in an unknown one": {
		unknownOrganization(func(emails []string) ([]string, error) {
			return emails, nil
		}), "want ErrNotFound", ruleNoOrg},
	"no table of organizations, and an unknown one is an error": {unknownOrganization(func([]string) ([]string, error) {
		return nil, errors.New("boom")
	}), "boom", ruleNoOrg},
	"the second of two at once always fails": {func(h *invitationtest.Host) invitationtest.DirectoryHost {
		s := &counted{Storage: h.Storage()}
		host := onHost(h)
		host.Storage = s
		host.Directory = broken{Host: h, join: func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
			err := h.Join(ctx, tx, m)
			if errors.Is(err, invitation.ErrAlreadyMember) && s.most.Load() > 1 {
				return errors.New("boom")
			}
			return err
		}}
		return host
	}, "want nil or ErrAlreadyMember: boom", ruleTwo},
}

// closed is a storage on which no transaction begins.
type closed struct{ storage.Storage }

func (closed) RunInTx(context.Context, func(context.Context, storage.Storage) error) error {
	return errors.New("boom")
}

// fullAt is a host that has room for so many users.
func fullAt(n int) func(h *invitationtest.Host) invitationtest.DirectoryHost {
	return func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host, users := onHost(h), 0
		add := host.AddUser
		host.AddUser = func(ctx context.Context, id string, verified ...string) (string, error) {
			if users++; users > n {
				return "", errors.New("boom")
			}
			return add(ctx, id, verified...)
		}
		return host
	}
}

// letters is a host whose organizations are numbers, and whose users have numbers behind this prefix, however it is
// spelled to a loose comparison.
func letters(prefix string, fold func(id string) string) func(h *invitationtest.Host) invitationtest.DirectoryHost {
	return func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host, n, users := onHost(h), 0, 0
		addOrganization, addUser := host.AddOrganization, host.AddUser
		host.AddOrganization = func(ctx context.Context, _ string) (string, error) {
			n++
			return addOrganization(ctx, fmt.Sprint(n))
		}
		host.AddUser = func(ctx context.Context, _ string, verified ...string) (string, error) {
			users++
			return addUser(ctx, fmt.Sprint(prefix, users), verified...)
		}
		host.Directory = broken{Host: h, role: func(ctx context.Context, tx storage.Storage, o,
			u string) (invitation.Role, error) {
			if number := strings.TrimPrefix(fold(u), fold(prefix)); len(number) < len(fold(u)) {
				u = prefix + number
			}
			return h.Role(ctx, tx, o, u)
		}}
		return host
	}
}

// unknownOrganization is a host without a table of organizations, which answers like this for one that has no members.
func unknownOrganization(
	answer func(emails []string) ([]string, error),
) func(h *invitationtest.Host) invitationtest.DirectoryHost {
	return func(h *invitationtest.Host) invitationtest.DirectoryHost {
		host := onHost(h)
		for _, id := range []string{"acmé", "globé"} {
			h.AddOrganization(invitation.Organization{ID: id})
		}
		host.AddOrganization = nil
		host.Directory = broken{Host: h, memberEmails: func(ctx context.Context, tx storage.Storage, o string,
			emails []string) ([]string, error) {
			found, err := h.MemberEmails(ctx, tx, o, emails)
			if errors.Is(err, invitation.ErrNotFound) {
				return answer(emails)
			}
			return found, err
		}}
		return host
	}
}

// A host that cannot be set up, or stops working later, fails and is told why; what it cannot have is skipped. The
// tests that fail run in another process, as below.
func TestRunDirectorySaysWhy(t *testing.T) {
	const variable = "ORGINVITE_TEST_ODD_HOSTS"
	if os.Getenv(variable) != "" {
		for name, odd := range oddHosts {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				invitationtest.RunDirectory(
					t, func(*testing.T) invitationtest.DirectoryHost { return odd.build(invitationtest.NewHost()) },
				)
			})
		}
		return
	}

	is := is.New(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.parallel=32")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, _ := cmd.CombinedOutput()
	said := map[string]string{} // by host and rule
	var at string
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "+t.Name()+"/"); ok {
			at, _, _ = strings.Cut(name, " ")
		} else {
			said[at] += line
		}
	}
	underscored := func(name string) string { return strings.ReplaceAll(name, " ", "_") }
	for name, odd := range oddHosts {
		rules := []string{odd.rule}
		if odd.rule == "" {
			rules = []string{ruleRole, ruleTwo, ruleAtOnce}
		}
		for _, rule := range rules {
			if got := said[underscored(name)+"/"+underscored(rule)]; !strings.Contains(got, odd.says) {
				t.Errorf("%s: the suite says of %q: %q", name, rule, got)
			}
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}

	out, err := exec.CommandContext(
		t.Context(), os.Args[0], "-test.run=^TestRunDirectoryOfAnotherHost$", "-test.v",
	).CombinedOutput()
	is.NoErr(err)
	var skipped []string
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- SKIP: TestRunDirectoryOfAnotherHost/"); ok {
			name, _, _ = strings.Cut(name, " ")
			skipped = append(skipped, name)
		}
	}
	is.True(strings.Contains(string(out), "a user of the host cannot have 2 verified addresses")) // which is why
	is.Equal(skipped, []string{
		underscored(ruleNoMembers), underscored(ruleEvery), underscored(ruleAllVerified), underscored(ruleUnverified),
	})
}

// homeless has no table of organizations: one that is unknown has no members.
type homeless struct{ invitation.Directory }

func (d homeless) MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) (
	[]string, error) {
	found, err := d.Directory.MemberEmails(ctx, tx, organizationID, emails)
	if errors.Is(err, invitation.ErrNotFound) {
		return nil, nil
	}
	return found, err
}

// broken is a Directory that breaks a rule with the methods that are replaced.
type broken struct {
	*invitationtest.Host
	role         func(ctx context.Context, tx storage.Storage, organizationID, userID string) (invitation.Role, error)
	memberEmails func(ctx context.Context, tx storage.Storage, organizationID string, emails []string) ([]string, error)
	verified     func(ctx context.Context, tx storage.Storage, userID string) ([]string, error)
	join         func(ctx context.Context, tx storage.Storage, m invitation.Membership) error
}

func (b broken) Role(ctx context.Context, tx storage.Storage, organizationID, userID string) (invitation.Role, error) {
	if b.role == nil {
		return b.Host.Role(ctx, tx, organizationID, userID)
	}
	return b.role(ctx, tx, organizationID, userID)
}

func (b broken) MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) (
	[]string, error) {
	if b.memberEmails == nil {
		return b.Host.MemberEmails(ctx, tx, organizationID, emails)
	}
	return b.memberEmails(ctx, tx, organizationID, emails)
}

func (b broken) VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error) {
	if b.verified == nil {
		return b.Host.VerifiedEmails(ctx, tx, userID)
	}
	return b.verified(ctx, tx, userID)
}

func (b broken) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	if b.join == nil {
		return b.Host.Join(ctx, tx, m)
	}
	return b.join(ctx, tx, m)
}

// breakage is a way to break rules, and the rules that the suite then names.
type breakage struct {
	name  string
	fails []string
	build func(h *invitationtest.Host) broken
}

const (
	ruleRole         = "Role is the role the member has in the organization"
	ruleNoRole       = "Role of anybody else is ErrNotMember"
	ruleRoleIDs      = "Role compares ids byte for byte"
	ruleEmails       = "MemberEmails are the addresses of the organization's members"
	ruleNoMembers    = "MemberEmails of an organization without members are none, and no error"
	ruleSpelling     = "MemberEmails finds an address in any spelling"
	ruleEvery        = "MemberEmails finds every verified address of a member"
	ruleThousand     = "MemberEmails answers for a thousand addresses"
	ruleNoOrg        = "MemberEmails of an unknown organization is ErrNotFound"
	ruleEmailsIDs    = "MemberEmails compares ids byte for byte"
	ruleVerified     = "VerifiedEmails are the addresses of the user"
	ruleAllVerified  = "VerifiedEmails are all addresses that are verified"
	ruleUnverified   = "VerifiedEmails leaves out addresses that are not verified"
	ruleNoUser       = "VerifiedEmails of an unknown user is ErrNotFound"
	ruleVerifiedIDs  = "VerifiedEmails compares ids byte for byte"
	ruleSeen         = "Join is seen in its transaction and after it"
	ruleNotSeen      = "Join is not seen before its transaction commits"
	ruleUndone       = "Join is rolled back with its transaction"
	ruleNestedUndone = "Join is rolled back with a nested transaction"
	ruleAgain        = "Join of a member is ErrAlreadyMember and keeps the role"
	ruleSeveral      = "Join lets a user join several organizations"
	ruleTwo          = "Join makes one member when called twice at once"
	ruleJoinIDs      = "Join compares ids byte for byte"
	ruleContext      = "a call whose context has ended is an error"
	ruleAtOnce       = "concurrent calls do not mix their answers"
)

// loosely are comparisons that take different ids for one, named after what they ignore.
var loosely = map[string]func(id string) string{
	"case":           strings.ToLower,
	"trailing space": func(id string) string { return strings.TrimRight(id, " ") },
	"leading space":  func(id string) string { return strings.TrimLeft(id, " ") },
	"leading zeros":  func(id string) string { return strings.TrimLeft(id, "0") },
	"accent":         strings.NewReplacer("\u0301", "", "é", "e").Replace,
	"Unicode form":   strings.NewReplacer("e\u0301", "é").Replace,
	"a pattern":      strings.NewReplacer("_", "é").Replace,
}

// folded returns one breakage for each loose comparison and method.
func folded() []breakage {
	var all []breakage
	for name, fold := range loosely {
		// same is the id that the host takes id for.
		same := func(id string) string {
			for _, stored := range []string{"acmé", "globé", "joé", "zoé", "chloé", "andré"} {
				if fold(id) == fold(stored) {
					return stored
				}
			}
			return id
		}
		all = append(all,
			breakage{"Role does not see: " + name, []string{ruleRoleIDs}, func(h *invitationtest.Host) broken {
				return broken{Host: h, role: func(ctx context.Context, tx storage.Storage, o, u string) (invitation.Role, error) {
					return h.Role(ctx, tx, same(o), same(u))
				}}
			}},
			breakage{"MemberEmails does not see: " + name, []string{ruleEmailsIDs}, func(h *invitationtest.Host) broken {
				return broken{Host: h, memberEmails: func(ctx context.Context, tx storage.Storage, o string,
					e []string) ([]string, error) {
					return h.MemberEmails(ctx, tx, same(o), e)
				}}
			}},
			breakage{"VerifiedEmails does not see: " + name, []string{ruleVerifiedIDs}, func(h *invitationtest.Host) broken {
				return broken{Host: h, verified: func(ctx context.Context, tx storage.Storage, u string) ([]string, error) {
					return h.VerifiedEmails(ctx, tx, same(u))
				}}
			}},
			breakage{"Join does not see: " + name, []string{ruleJoinIDs}, func(h *invitationtest.Host) broken {
				return broken{Host: h, join: func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
					m.OrganizationID, m.UserID = same(m.OrganizationID), same(m.UserID)
					return h.Join(ctx, tx, m)
				}}
			}})
	}
	return all
}

// inverted returns another role than the one of the membership.
func inverted(role invitation.Role) invitation.Role {
	if role == invitation.RoleAdmin {
		return invitation.RoleMember
	}
	return invitation.RoleAdmin
}

// breakages returns breakages for each rule.
func breakages() []breakage {
	type ctxt = context.Context
	return append(append(folded(), interrupted()...), []breakage{
		{"Role ignores the organization", []string{ruleRole}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				if o == "globé" && u == "zoé" {
					o = "acmé" // her first
				}
				return h.Role(ctx, tx, o, u)
			}}
		}},
		{"Role returns the statement's error", []string{ruleNoRole, ruleUndone, ruleNestedUndone, ruleTwo, ruleAtOnce},
			func(h *invitationtest.Host) broken {
				return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
					role, err := h.Role(ctx, tx, o, u)
					if errors.Is(err, invitation.ErrNotMember) {
						err = sql.ErrNoRows
					}
					return role, err
				}}
			}},
		{"Role is that of another organization", []string{ruleNoRole}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				role, err := h.Role(ctx, tx, o, u)
				if errors.Is(err, invitation.ErrNotMember) && o == "acmé" && u == "chloé" {
					return h.Role(ctx, tx, "globé", u)
				}
				return role, err
			}}
		}},

		{"MemberEmails are those of all users", []string{ruleEmails, ruleNoMembers, ruleThousand, ruleAtOnce},
			func(h *invitationtest.Host) broken {
				return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
					error) {
					_, err := h.MemberEmails(ctx, tx, o, emails)
					if err != nil {
						return nil, err
					}
					return emails, nil
				}}
			}},
		{"MemberEmails of an empty organization are not found", []string{ruleNoMembers}, func(h *invitationtest.Host) broken {
			return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
				error) {
				found, err := h.MemberEmails(ctx, tx, o, emails)
				if err == nil && len(found) == 0 {
					err = invitation.ErrNotFound
				}
				return found, err
			}}
		}},
		{"MemberEmails compares addresses as they are", []string{ruleSpelling}, func(h *invitationtest.Host) broken {
			return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
				error) {
				found, err := h.MemberEmails(ctx, tx, o, emails)
				return slices.DeleteFunc(found, func(e string) bool { return e == "legacy.user@example.com" }), err
			}}
		}},
		{"MemberEmails looks at one address of a user", []string{ruleEvery}, func(h *invitationtest.Host) broken {
			return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
				error) {
				found, err := h.MemberEmails(ctx, tx, o, emails)
				return slices.DeleteFunc(found, func(e string) bool { return e == "two@example.com" }), err
			}}
		}},
		{"MemberEmails looks for 999 addresses", []string{ruleThousand}, func(h *invitationtest.Host) broken {
			return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
				error) {
				return h.MemberEmails(ctx, tx, o, emails[:min(len(emails), 999)])
			}}
		}},
		{"MemberEmails of an unknown organization are none", []string{ruleNoOrg}, func(h *invitationtest.Host) broken {
			return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
				error) {
				found, err := h.MemberEmails(ctx, tx, o, emails)
				if errors.Is(err, invitation.ErrNotFound) {
					err = nil
				}
				return found, err
			}}
		}},

		{"VerifiedEmails are those of two users", []string{ruleVerified}, func(h *invitationtest.Host) broken {
			return broken{Host: h, verified: func(ctx ctxt, tx storage.Storage, u string) ([]string, error) {
				found, err := h.VerifiedEmails(ctx, tx, u)
				if err == nil && u == "andré" {
					found = append(found, "joe@example.com")
				}
				return found, err
			}}
		}},
		{"VerifiedEmails is the first address", []string{ruleAllVerified}, func(h *invitationtest.Host) broken {
			return broken{Host: h, verified: func(ctx ctxt, tx storage.Storage, u string) ([]string, error) {
				found, err := h.VerifiedEmails(ctx, tx, u)
				return found[:min(len(found), 1)], err
			}}
		}},
		{"Role remembers", []string{ruleUndone, ruleNestedUndone}, func(h *invitationtest.Host) broken {
			var known sync.Map
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				if role, ok := known.Load([2]string{o, u}); ok && ctx.Err() == nil {
					return role.(invitation.Role), nil
				}
				role, err := h.Role(ctx, tx, o, u)
				if err == nil {
					known.Store([2]string{o, u}, role)
				}
				return role, err
			}}
		}},
		{"VerifiedEmails has what was typed in", []string{ruleUnverified}, func(h *invitationtest.Host) broken {
			return broken{Host: h, verified: func(ctx ctxt, tx storage.Storage, u string) ([]string, error) {
				found, err := h.VerifiedEmails(ctx, tx, u)
				if err == nil && len(found) == 0 {
					found = []string{"typed.in@example.com"}
				}
				return found, err
			}}
		}},
		{"VerifiedEmails of an unknown user are none", []string{ruleNoUser}, func(h *invitationtest.Host) broken {
			return broken{Host: h, verified: func(ctx ctxt, tx storage.Storage, u string) ([]string, error) {
				found, err := h.VerifiedEmails(ctx, tx, u)
				if errors.Is(err, invitation.ErrNotFound) {
					err = nil
				}
				return found, err
			}}
		}},

		{"Join gives another role", []string{
			ruleUndone, ruleSeen, ruleNestedUndone, ruleAgain, ruleSeveral, ruleTwo, ruleAtOnce,
		},
			func(h *invitationtest.Host) broken {
				return broken{Host: h, join: func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
					m.Role = inverted(m.Role)
					return h.Join(ctx, tx, m)
				}}
			}},
		{"Join works outside of the transaction", []string{ruleNotSeen, ruleUndone, ruleNestedUndone}, outside},
		{"Join of a member is no error", []string{ruleAgain, ruleTwo}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
				err := h.Join(ctx, tx, m)
				if errors.Is(err, invitation.ErrAlreadyMember) {
					return nil
				}
				return err
			}}
		}},
		{"Join of a member changes the role", []string{ruleAgain, ruleTwo}, overwriting},
		{"Join knows users, and not organizations", []string{ruleSeveral, ruleJoinIDs}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
				for _, o := range []string{"acmé", "globé"} {
					if _, err := h.Role(ctx, tx, o, m.UserID); err == nil {
						return invitation.ErrAlreadyMember
					}
				}
				return h.Join(ctx, tx, m)
			}}
		}},
		{"Join has no unique key", []string{ruleTwo}, nil}, // keyless

		{"Role ignores its context", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				return h.Role(context.WithoutCancel(ctx), tx, o, u)
			}}
		}},
		{"Role takes any error for no member", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				role, err := h.Role(ctx, tx, o, u)
				if err != nil {
					err = invitation.ErrNotMember
				}
				return role, err
			}}
		}},
		{"MemberEmails ignores its context", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
				error) {
				return h.MemberEmails(context.WithoutCancel(ctx), tx, o, emails)
			}}
		}},
		{"VerifiedEmails ignores its context", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, verified: func(ctx ctxt, tx storage.Storage, u string) ([]string, error) {
				return h.VerifiedEmails(context.WithoutCancel(ctx), tx, u)
			}}
		}},
		{"Join ignores its context", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
				return h.Join(context.WithoutCancel(ctx), tx, m)
			}}
		}},
		{"VerifiedEmails keeps the user of the call in the Directory", []string{ruleAtOnce}, shared},

		{"Role is read outside of the transaction", []string{
			ruleUndone, ruleNestedUndone, ruleSeen, ruleAgain,
		}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, _ storage.Storage, o, u string) (invitation.Role, error) {
				return h.Role(ctx, h.Storage(), o, u)
			}}
		}},
		{"Role outside of a transaction is an old one", []string{
			ruleSeen, ruleNestedUndone, ruleSeveral, ruleTwo, ruleAtOnce,
		}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				late := func(m invitation.Membership) bool { return m.UserID == u && m.InvitationID != "" }
				if tx == h.Storage() && slices.ContainsFunc(h.Members(o), late) {
					return "", invitation.ErrNotMember
				}
				return h.Role(ctx, tx, o, u)
			}}
		}},
		{"Role ignores its context in a transaction", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				if tx != h.Storage() {
					ctx = context.WithoutCancel(ctx)
				}
				return h.Role(ctx, tx, o, u)
			}}
		}},
		{"Role ignores its context outside of a transaction", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				if tx == h.Storage() {
					ctx = context.WithoutCancel(ctx)
				}
				return h.Role(ctx, tx, o, u)
			}}
		}},
		{"Role has the role beside an error", []string{
			ruleUndone, ruleRole, ruleSeen, ruleNestedUndone, ruleAgain, ruleSeveral, ruleTwo, ruleJoinIDs, ruleAtOnce,
		}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				role, err := h.Role(ctx, tx, o, u)
				if err == nil {
					err = errors.New("rows are left open")
				}
				return role, err
			}}
		}},
		{"VerifiedEmails of a user without any is an error", []string{ruleUnverified}, func(h *invitationtest.Host) broken {
			return broken{Host: h, verified: func(ctx ctxt, tx storage.Storage, u string) ([]string, error) {
				found, err := h.VerifiedEmails(ctx, tx, u)
				if err == nil && len(found) == 0 {
					err = sql.ErrNoRows
				}
				return found, err
			}}
		}},
		{"Role is none whatever the error", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, role: func(ctx ctxt, tx storage.Storage, o, u string) (invitation.Role, error) {
				role, _ := h.Role(ctx, tx, o, u)
				return role, nil
			}}
		}},
		{"MemberEmails takes any error for no organization", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, memberEmails: func(ctx ctxt, tx storage.Storage, o string, emails []string) ([]string,
				error) {
				found, err := h.MemberEmails(ctx, tx, o, emails)
				if err != nil {
					err = invitation.ErrNotFound
				}
				return found, err
			}}
		}},
		{"Join takes any error for a member", []string{ruleContext}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
				if h.Join(ctx, tx, m) != nil {
					return invitation.ErrAlreadyMember
				}
				return nil
			}}
		}},
		{"Join fails", []string{
			ruleSeen, ruleNotSeen, ruleUndone, ruleNestedUndone, ruleAgain, ruleSeveral, ruleTwo, ruleAtOnce,
		}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, _ storage.Storage, _ invitation.Membership) error {
				return errors.Join(ctx.Err(), errors.New("no such table"))
			}}
		}},
		{"Join takes anybody for a member", []string{
			ruleSeen, ruleNotSeen, ruleUndone, ruleNestedUndone, ruleAgain, ruleSeveral, ruleTwo, ruleJoinIDs, ruleAtOnce,
		}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, _ storage.Storage, _ invitation.Membership) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return invitation.ErrAlreadyMember
			}}
		}},
		{"Join of a member of the same transaction is no error", []string{ruleAgain}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
				err := h.Join(ctx, tx, m)
				if _, before := h.Role(
					ctx, h.Storage(), m.OrganizationID, m.UserID,
				); before != nil && errors.Is(err, invitation.ErrAlreadyMember) {
					return nil
				}
				return err
			}}
		}},
		{"Join of a member whom nobody invited is no error", []string{ruleAgain}, func(h *invitationtest.Host) broken {
			return broken{Host: h, join: func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
				err := h.Join(ctx, tx, m)
				added := func(m2 invitation.Membership) bool { return m2.UserID == m.UserID && m2.InvitationID == "" }
				if errors.Is(err, invitation.ErrAlreadyMember) && slices.ContainsFunc(h.Members(m.OrganizationID), added) {
					return nil
				}
				return err
			}}
		}},
		{"Join by another spelling changes the role", []string{ruleJoinIDs}, func(h *invitationtest.Host) broken {
			b := overwriting(h)
			join := b.join
			b.join = func(ctx ctxt, tx storage.Storage, m invitation.Membership) error {
				if strings.EqualFold(m.UserID, "joé") && m.UserID != "joé" {
					m.UserID = "joé"
					if err := join(ctx, tx, m); !errors.Is(err, invitation.ErrAlreadyMember) {
						return err
					}
					return nil
				}
				return h.Join(ctx, tx, m)
			}
			return b
		}},
	}...)
}

// interrupted are the breakages of folded by case, by hosts whose first transaction of each question is aborted: it is
// asked again, and not taken for an answer.
func interrupted() []breakage {
	var all []breakage
	for method, rule := range map[string]string{
		"Role": ruleRoleIDs, "MemberEmails": ruleEmailsIDs, "VerifiedEmails": ruleVerifiedIDs, "Join": ruleJoinIDs,
	} {
		all = append(all, breakage{method + " does not see case, behind an abort", []string{
			rule,
		}, func(h *invitationtest.Host) broken {
			var mu sync.Mutex
			asked := map[string]bool{}
			// same is the id that the host takes id for, and an error of the first transaction that asks.
			same := func(tx storage.Storage, id string) (string, error) {
				for _, stored := range []string{"acmé", "joé"} {
					if !strings.EqualFold(id, stored) || id == stored || tx == h.Storage() {
						continue
					}
					mu.Lock()
					again := asked[id]
					asked[id] = true
					mu.Unlock()
					if !again {
						return "", storage.ErrAborted
					}
					return stored, nil
				}
				return id, nil
			}
			both := func(tx storage.Storage, o, u *string) error {
				var err, errUser error
				*o, err = same(tx, *o)
				*u, errUser = same(tx, *u)
				return errors.Join(err, errUser)
			}
			b := broken{Host: h}
			switch method {
			case "Role":
				b.role = func(ctx context.Context, tx storage.Storage, o, u string) (invitation.Role, error) {
					if err := both(tx, &o, &u); err != nil {
						return "", err
					}
					return h.Role(ctx, tx, o, u)
				}
			case "MemberEmails":
				b.memberEmails = func(ctx context.Context, tx storage.Storage, o string, emails []string) ([]string, error) {
					var none string
					if err := both(tx, &o, &none); err != nil {
						return nil, err
					}
					return h.MemberEmails(ctx, tx, o, emails)
				}
			case "VerifiedEmails":
				b.verified = func(ctx context.Context, tx storage.Storage, u string) ([]string, error) {
					var none string
					if err := both(tx, &none, &u); err != nil {
						return nil, err
					}
					return h.VerifiedEmails(ctx, tx, u)
				}
			case "Join":
				b.join = func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
					if err := both(tx, &m.OrganizationID, &m.UserID); err != nil {
						return err
					}
					return h.Join(ctx, tx, m)
				}
			}
			return b
		}})
	}
	return all
}

// outside keeps memberships of Join beside the transaction, as a handle of its own would.
func outside(h *invitationtest.Host) broken {
	var mu sync.Mutex
	joined := map[[2]string]invitation.Role{}
	get := func(o, u string) invitation.Role {
		mu.Lock()
		defer mu.Unlock()
		return joined[[2]string{o, u}]
	}
	b := broken{Host: h}
	b.join = func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := b.Role(ctx, tx, m.OrganizationID, m.UserID); err == nil {
			return invitation.ErrAlreadyMember
		}
		mu.Lock()
		defer mu.Unlock()
		joined[[2]string{m.OrganizationID, m.UserID}] = m.Role
		return nil
	}
	b.role = func(ctx context.Context, tx storage.Storage, o, u string) (invitation.Role, error) {
		role, err := h.Role(ctx, tx, o, u)
		if late := get(o, u); late != "" && errors.Is(err, invitation.ErrNotMember) {
			return late, nil
		}
		return role, err
	}
	b.memberEmails = func(ctx context.Context, tx storage.Storage, o string, emails []string) ([]string, error) {
		found, err := h.MemberEmails(ctx, tx, o, emails)
		for _, u := range []string{"andré", "chloé"} {
			if email := strings.ReplaceAll(u, "é", "e") + "@example.com"; get(o, u) != "" && slices.Contains(emails, email) {
				found = append(found, email)
			}
		}
		return found, err
	}
	return b
}

// overwriting lets a later Join replace the role, and returns ErrAlreadyMember.
func overwriting(h *invitationtest.Host) broken {
	b := broken{Host: h}
	var mu sync.Mutex
	roles := map[[2]string]invitation.Role{}
	b.join = func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
		err := h.Join(ctx, tx, m)
		if errors.Is(err, invitation.ErrAlreadyMember) {
			mu.Lock()
			defer mu.Unlock()
			roles[[2]string{m.OrganizationID, m.UserID}] = m.Role
		}
		return err
	}
	b.role = func(ctx context.Context, tx storage.Storage, o, u string) (invitation.Role, error) {
		role, err := h.Role(ctx, tx, o, u)
		mu.Lock()
		defer mu.Unlock()
		if over, ok := roles[[2]string{o, u}]; ok && err == nil {
			role = over
		}
		return role, err
	}
	return b
}

// keyless is a host without a unique key on memberships, whose transactions do not see each other. While two
// transactions are open, both may add the same member.
func keyless(h *invitationtest.Host) invitationtest.DirectoryHost {
	s := &counted{Storage: h.Storage()}
	host := onHost(h)
	host.Storage = s
	host.Directory = broken{Host: h, join: func(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
		err := h.Join(ctx, tx, m)
		if errors.Is(err, invitation.ErrAlreadyMember) && s.most.Load() > 1 {
			return nil
		}
		return err
	}}
	return host
}

// counted records the maximum number of concurrent transactions, including those that wait for the writer.
type counted struct {
	storage.Storage
	now, most atomic.Int64
}

func (s *counted) Unwrap() storage.Storage { return s.Storage }

func (s *counted) RunInTx(ctx context.Context, fn func(context.Context, storage.Storage) error) error {
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	return s.Storage.RunInTx(ctx, fn)
}

// shared keeps the user of a call in a variable of all calls, until another call or a moment later.
func shared(h *invitationtest.Host) broken {
	var mu sync.Mutex
	var last string
	calls := make(chan struct{})
	return broken{Host: h, verified: func(ctx context.Context, tx storage.Storage, u string) ([]string, error) {
		mu.Lock()
		last = u
		mu.Unlock()
		waiting, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		select {
		case calls <- struct{}{}:
		case <-calls:
		case <-waiting.Done():
		}
		mu.Lock()
		u = last
		mu.Unlock()
		return h.VerifiedEmails(ctx, tx, u)
	}}
}

// Each rule is broken by some Directory, and the suite names exactly the broken rules. The broken ones run in another
// process of this test, because a failing test cannot pass.
func TestRunDirectoryNamesTheRule(t *testing.T) {
	const variable = "ORGINVITE_TEST_BROKEN_DIRECTORIES"
	if os.Getenv(variable) != "" {
		for _, b := range breakages() {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel() // they mostly wait
				invitationtest.RunDirectory(t, func(*testing.T) invitationtest.DirectoryHost {
					if b.build == nil {
						return keyless(invitationtest.NewHost())
					}
					h := invitationtest.NewHost()
					host := onHost(h)
					host.Directory = b.build(h)
					return host
				})
			})
		}
		return
	}

	is := is.New(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.parallel=32")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	is.True(errors.As(err, &exit)) // the other process fails

	failed := map[string][]string{} // rules, by breakage
	for line := range strings.Lines(string(out)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "+t.Name()+"/")
		if name, rule, deep := strings.Cut(name, "/"); ok && deep {
			rule, _, _ = strings.Cut(rule, " ")
			failed[name] = append(failed[name], rule)
		}
	}
	named := map[string]bool{}
	underscored := func(name string) string { return strings.ReplaceAll(name, " ", "_") }
	for _, b := range breakages() {
		var want []string
		for _, rule := range b.fails {
			want = append(want, underscored(rule))
			named[underscored(rule)] = true
		}
		got := failed[underscored(b.name)]
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the suite names %q, not %q", b.name, got, want)
		}
	}
	is.True(strings.Contains(string(out), "What to do: ")) // the text says what to do
	if t.Failed() {
		t.Logf("%s", out)
	}

	// The table above covers every rule.
	out, err = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRunDirectory$", "-test.v").CombinedOutput()
	is.NoErr(err)
	rules := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- PASS: TestRunDirectory/"); ok {
			name, _, _ = strings.Cut(name, " ")
			rules[name] = true
		}
	}
	is.Equal(rules, named)
}
