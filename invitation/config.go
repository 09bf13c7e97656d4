package invitation

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/storage"
)

// Directory answers for the host's users and memberships. Each method gets the Storage the service is working in,
// which is a transaction wherever something is written. bunstore.DB(tx) is its bun handle, so that what the
// directory reads and writes commits, or is undone, with the invitation; while a transaction is open the directory
// must use that handle and no other.
//
// Its methods must return the errors of their statements, including those of rows.Err, because a failed statement may
// have ended the transaction. They must not commit or roll back.
//
// An [*Error] is passed on as it is. Besides the errors named here any other is an internal one: the operation
// fails with it in its chain, and nothing is changed. Methods must be safe for concurrent use, and may be called
// again when an engine gave a transaction up.
//
// Ids compare byte for byte, and any text may be asked for: "acme", "ACME" and "acme " are three organizations. A host
// that takes them for one lets limits be passed and hides invitations, because the service counts and lists each by
// itself. On MariaDB the columns of ids need the collation utf8mb4_nopad_bin, on MySQL 8 utf8mb4_0900_bin, on PostgreSQL
// a deterministic one and not citext; on SQLite they must not be NOCASE. If they are numbers or UUIDs, an id that is not
// spelled as the column's own text is unknown.
//
// Once ctx has ended, methods must return its error, and not an answer such as [ErrNotMember].
// invitationtest.RunDirectory tests these rules on the host's own tables.
//
// The interface will not grow: what a host may want to add later is a field of [Config].
type Directory interface {
	// Role returns the role the user has in the organization, or [ErrNotMember]. No role and no error means that too.
	Role(ctx context.Context, tx storage.Storage, organizationID, userID string) (Role, error)

	// MemberEmails returns which of these canonical addresses belong to members of the organization, in any
	// spelling, or [ErrNotFound] where there is no such organization. A row that was stored as it was typed, such as
	// Ann@Example.COM, must be found too: compare LOWER(email), or rewrite old rows by [CanonicalEmail].
	MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) ([]string, error)

	// VerifiedEmails returns the addresses that the user has proved to own, and no other, in any spelling, or
	// [ErrNotFound] where there is no such user. Invalid ones are passed over.
	VerifiedEmails(ctx context.Context, tx storage.Storage, userID string) ([]string, error)

	// Join creates the membership. It runs in a nested transaction, so that a statement that fails cannot poison
	// the transaction unseen, and may run again, so it must have no effects outside of tx. Where the user is a
	// member already it returns [ErrAlreadyMember]: the invitation is accepted and the role kept.
	//
	// The table of memberships needs a unique key on organization and user. Without it, a user who accepts two
	// invitations, to different addresses of theirs, at the same moment may become a member twice, unless Seats or
	// MaxPending is set.
	Join(ctx context.Context, tx storage.Storage, m Membership) error
}

// Config says how a [Service] works. The zero value, and a nil *Config, work: without tickets, users accept in
// the application, by id.
//
// Callbacks must be safe for concurrent use, and may be called again when a transaction is retried, so they
// must have no effects outside of tx. An [*Error] of theirs is passed on as it is; any other error is an internal
// one, but for what their comments say.
//
// Printed with %v or slog it conceals everything, since it holds the keys. That fails inside an unexported field of
// another struct, where fmt calls no methods and prints the keys.
type Config struct {
	// TicketKeys are HMAC keys, each at least 32 random bytes, all different. The first signs tickets, all verify
	// them: to rotate, put the new one first and drop the old one when the last invitation it signed has lapsed.
	// Without keys there are no tickets and no links.
	TicketKeys [][]byte

	// AcceptURL is where a link leads when an invitation has no redirect URL: an absolute http or https URL of at
	// most 2048 bytes. Required with TicketKeys.
	AcceptURL string

	// TicketParam is the query parameter of a link that carries the ticket. Default "invitation_ticket".
	TicketParam string

	// Audience names the application that tickets are for, so that two applications with the same keys do not accept
	// each other's. It is part of what is signed: another Audience voids every ticket. At most 2048 bytes without
	// control characters. Default: origin and path of AcceptURL, so set it before you move that page.
	Audience string

	// Roles are the roles of the application. Default [DefaultRoles].
	Roles *Roles

	// ExpiresIn is how long an invitation is pending unless it says otherwise: 1 second to 365 days. Default 30
	// days.
	ExpiresIn time.Duration

	// MaxBulk bounds the invitations of one CreateBulk. Default 1000; negative means no limit.
	MaxBulk int

	// MaxPending bounds the pending invitations of one organization, exactly, under any concurrency. Default, and
	// negative, no limit.
	MaxPending int

	// MaxMetadata bounds each JSON object, in bytes. Default 8192; negative means no limit.
	MaxMetadata int

	// ResendAfter is the minimum pause since SentAt of the invitation that is resent or replaced. Default 1 minute;
	// negative means no limit.
	ResendAfter time.Duration

	// AllowRedirect refuses a redirect URL by returning an error: an [*Error] of the host's own, or any other, which
	// becomes the cause of an ErrInvalid. It is asked only about absolute http and https URLs without user info, with
	// the host in ASCII (IDNA) and lower case; nothing else is ever allowed. It is asked again whenever a link is
	// made: a stored redirect URL that it refuses by then gives way to AcceptURL. Default: the origin of AcceptURL and
	// no other; without TicketKeys every such URL.
	AllowRedirect func(*url.URL) error

	// AllowEmail refuses an address of an organization by an error that wraps [ErrForbidden]. It gets the
	// canonical form. Default: all are allowed.
	AllowEmail func(ctx context.Context, tx storage.Storage, organizationID, email string) error

	// Seats returns how many members the organization has and how many it may have; a limit of 0, or a negative one,
	// means any number. An error that wraps [ErrQuotaExceeded] says that no seat is left, whatever the numbers. Create
	// needs members, pending and new invitations to fit, Accept one more member; exactly, under any concurrency.
	// Default: any number.
	Seats func(ctx context.Context, tx storage.Storage, organizationID string) (members, limit int, err error)

	// Organizations returns what to show of these organizations, by id; it may leave some out. Default: nothing.
	Organizations func(ctx context.Context, tx storage.Storage, ids []string) (map[string]Organization, error)

	// OnEvents is told what happened, in order, all of an operation at once (of RevokeAll 500 at a time), inside its
	// transaction and before it commits. It is the place to enqueue a job in the host's own tables, never to send or call out. An error
	// undoes the operation. It runs in a nested transaction, like Join. Deleting emits no event.
	OnEvents func(ctx context.Context, tx storage.Storage, events []Event) error

	// ManagersSeeLinks lets managers see links through [Service.As] too: operations return them and Link answers.
	// Default false: a link reaches nobody but the back end, which mails it to the address. So it proves the address
	// when an account is created behind it.
	//
	// With ManagersSeeLinks a link proves nothing: a manager may invite any address, open its link, and, where sign-up
	// takes the link as proof, own an account of that address and accept what other organizations sent to it.
	// Therefore NewService refuses it together with TicketProvesEmail, and sign-up must verify addresses by other means.
	ManagersSeeLinks bool

	// TicketProvesEmail lets a ticket alone prove the address: whoever holds the link can join, with any account, so
	// that a forwarded link works. It is as safe as links are secret. Sign-up must not create accounts verified by
	// the link then: whoever got it forwarded would own an account of the invited address. Default false: the user needs the verified
	// address. Sign-up behind the link does not need it: the host creates the account with the address verified.
	//
	// NewService refuses it together with ManagersSeeLinks: a manager could join by every link.
	TicketProvesEmail bool

	// IgnoreInviterAuthority accepts although the inviter may no longer grant the role. Default false.
	IgnoreInviterAuthority bool

	// Clock tells the time. Default [clock.System].
	Clock clock.Clock

	// NewID returns a new unique id of at most 64 bytes. Ids that ascend with time are cheaper to store. Default
	// "orginv_" and a ULID with 80 bits of crypto/rand.
	NewID func() string
}

// Format conceals the keys.
func (c Config) Format(f fmt.State, _ rune) { concealed(f, "invitation.Config") }

// LogValue conceals the keys.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// The defaults of a [Config].
const (
	DefaultExpiresIn   = 30 * 24 * time.Hour
	DefaultMaxBulk     = 1000
	DefaultMaxMetadata = 8192 // bytes
	DefaultResendAfter = time.Minute
	DefaultTicketParam = "invitation_ticket"
)

// Bounds of a Config.
const (
	minExpiry    = time.Second
	maxExpiry    = 365 * 24 * time.Hour
	minTicketKey = 32
	noLimit      = -1
)

// settings is a Config with its defaults filled in and its keys and URL ready for use.
type settings struct {
	Config
	keys       keyring
	ticketText *regexp.Regexp // see there
	acceptURL  *url.URL       // nil without AcceptURL
}

// newSettings checks cfg and fills in the defaults. Failures are named by the field.
func newSettings(store storage.Storage, dir Directory, cfg *Config) (*settings, error) {
	var c Config
	if cfg != nil {
		c = *cfg
	}
	var errs Errors
	refuse := func(p problem, field, long string) { errs = append(errs, p.about(field, long)) }
	if isNil(store) {
		refuse(problemMissing, "Storage", "is nil; pass a store, such as bunstore.New(db, nil)")
	}
	if isNil(dir) {
		refuse(problemMissing, "Directory", "is nil; pass what answers for your users and memberships")
	}

	for i, k := range c.TicketKeys {
		field := fmt.Sprintf("TicketKeys[%d]", i)
		if len(k) < minTicketKey {
			refuse(problemValue, field, "must be at least 32 bytes, from a random source")
		}
		// HMAC fills a key up with zeros: those that differ in them alone are one.
		if slices.ContainsFunc(c.TicketKeys[:i], func(other []byte) bool {
			return bytes.Equal(bytes.TrimRight(k, "\x00"), bytes.TrimRight(other, "\x00"))
		}) {
			refuse(problemValue, field, "must differ from the keys before it")
		}
	}
	s := &settings{}
	if c.AcceptURL == "" && len(c.TicketKeys) > 0 {
		refuse(problemMissing, "AcceptURL", "is required with TicketKeys; set the page that a link leads to")
	}
	if c.AcceptURL != "" {
		u, e := checkURL("AcceptURL", c.AcceptURL)
		if e != nil {
			errs = append(errs, e)
		}
		s.acceptURL = u
	}
	if c.TicketParam == "" {
		c.TicketParam = DefaultTicketParam
	} else if !paramName.MatchString(c.TicketParam) {
		refuse(problemFormat, "TicketParam", "must be up to 64 letters, digits, '_', '-' or '.'")
	}

	if e := s.setAudience(&c); e != nil {
		errs = append(errs, e)
	}
	if c.TicketProvesEmail && c.ManagersSeeLinks {
		refuse(problemValue, "TicketProvesEmail", "must not be set with ManagersSeeLinks: a manager could then join by "+
			"the link of somebody else; drop one")
	}

	if c.Roles == nil {
		c.Roles = DefaultRoles()
	} else if len(c.Roles.defs) == 0 {
		refuse(problemMissing, "Roles", "knows no role; build it with NewRoles")
	}
	if c.ExpiresIn == 0 {
		c.ExpiresIn = DefaultExpiresIn
	} else if c.ExpiresIn < minExpiry || c.ExpiresIn > maxExpiry {
		refuse(problemValue, "ExpiresIn", "must be from 1 second to 365 days")
	}
	if err := errs.err(); err != nil {
		return nil, err
	}

	setDefault(&c.MaxBulk, DefaultMaxBulk)
	setDefault(&c.MaxPending, noLimit)
	setDefault(&c.MaxMetadata, DefaultMaxMetadata)
	setDefault(&c.ResendAfter, DefaultResendAfter)
	if isNil(c.Clock) {
		c.Clock = clock.System()
	}
	if c.NewID == nil {
		c.NewID = newULID(c.Clock)
	}
	if c.AllowRedirect == nil {
		c.AllowRedirect = s.sameOrigin
	}
	s.ticketText = ticketText(c.TicketParam)
	s.keys = newKeyring(c.Audience, c.TicketKeys)
	c.TicketKeys = nil // the keyring has its own copies
	s.Config = c
	return s, nil
}

// setAudience checks the audience, or derives it from AcceptURL.
func (s *settings) setAudience(c *Config) *Error {
	if c.Audience != "" {
		return checkText("Audience", c.Audience, storage.MaxURL)
	}
	if s.acceptURL != nil {
		c.Audience = origin(s.acceptURL) + s.acceptURL.EscapedPath()
	}
	return nil
}

var paramName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// newULID returns the default NewID. Ids of one millisecond ascend too, so that a bulk keeps its order.
func newULID(c clock.Clock) func() string {
	entropy := &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}
	return func() string {
		ms := max(c.Now().UnixMilli(), 0) // ULIDs know no time before 1970
		id, err := ulid.New(uint64(ms), entropy)
		if err != nil { // 2^80 ids in one millisecond, or a clock beyond the year 10889
			return ""
		}
		return "orginv_" + id.String()
	}
}

// isNil reports whether an interface holds nothing, a typed nil included.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return r.IsNil()
	}
	return false
}
