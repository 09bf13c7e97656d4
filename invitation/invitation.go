// Package invitation manages invitations to the organizations of a Go application. It records who was invited, by whom,
// to which organization and role, and the outcome.
//
// This documentation is the guide to the library. The package example, in example_quickstart_test.go, is a complete
// application: read it first.
//
// [NewService] creates a [Service] on a [storage.Storage] and your [Directory]. The Directory answers questions about
// your users and memberships. Package [github.com/orginvite/orginvite/bunstore] stores invitations in SQL, and package
// [github.com/orginvite/orginvite/memstore] stores them in memory. Operations, fields and error codes follow the
// organization invitations of [Clerk].
//
// # Terms
//
//   - The trusted back end is your own server code when it calls the service without an acting user. It may do
//     everything.
//   - The acting user is the user whose permissions an operation checks: CreateParams.InviterUserID, a
//     RequestingUserID, or the user given to [Service.As].
//   - The inviter is the user who is recorded as the author of an invitation.
//   - The canonical address is the form in which addresses are compared. [CanonicalEmail] makes it.
//   - A link is the acceptance URL that you mail. Its ticket is a signed text that names the invitation.
//   - The generation is a counter of each invitation. Every ticket carries the generation in which it was issued. A
//     ticket of an older generation is void.
//   - An invitation lapses at its ExpiresAt. From then on every result shows the status expired, even if that status is
//     not yet written.
//   - An invitation is resolved when it is accepted, declined, revoked or expired.
//   - An invitation is domain-generated if your own rule for an e-mail domain created it. OrganizationDomainID is set
//     then.
//   - A nested transaction is a part of a transaction that can be rolled back alone; a savepoint in SQL.
//   - A transaction is aborted if the database ended it with nothing written, for example after a deadlock. It may be
//     retried.
//
// # States
//
// An invitation is pending until a user accepts or declines it, somebody revokes it, or it lapses. [Service.Resend]
// makes an expired invitation pending again. The invitee may still decline an expired invitation, so that it can be
// cleared from a list. Accepted, declined and revoked are final.
//
// Invitations expire without a background process. [Service.ExpireDue] only writes the status and emits the events.
//
// An organization has at most one pending invitation for a canonical address; the storage enforces this. A lapsed
// invitation does not block a new one. [Service.Create] writes the lapsed one as expired.
//
// # Routes that a browser calls
//
// Call the service through [Service.As] with the user of the session. That user is the acting user, whatever the
// request says. They manage the organization's invitations as far as their role allows. They accept and decline only
// invitations to their own addresses. They get no links, unless Config.ManagersSeeLinks is set, and no private
// metadata. As("") refuses every operation, so a request without a session cannot pass for the trusted back end.
//
// The page behind a link calls [Service.Preview], which writes nothing. Accept and decline only on POST, because mail
// scanners open links too. A visitor who is not signed in may preview and decline: for these two operations the ticket
// is enough. The route then calls the service without As.
//
// Marshal the [Invitation] or the [Page] directly: that JSON has no link, no inviter and no private metadata. Do not
// marshal the Backend view.
//
// # Routes for your own servers
//
// Without As the service trusts its caller. It checks only the acting users that the parameters name. If they name no
// acting user, the caller may do everything. Keep browsers away from such routes. Marshal [Invitation.Backend] or
// [Page.Backend], which show everything.
//
// # Requests and answers
//
// Package [github.com/orginvite/orginvite/invitation/invitationhttp] makes handlers for net/http. Without it, use its
// parts: [Decode] reads the body of a request, and [ParseListParams] reads its query. [HTTPStatus] and [ErrorBody] turn
// an error into a response. A handler must then do four more things:
//
//   - Send exactly "application/json" as Content-Type. One client of Clerk's API fails on a charset suffix.
//   - With status 429, send the header Retry-After. Error.Meta["retry_after"] has the seconds.
//   - With status 401, send the header WWW-Authenticate, because HTTP requires it.
//   - Log errors of status 500 and above, because ErrorBody hides their text.
//
// Times are Unix milliseconds. The directory testdata/wire has the JSON of every view and of every error code. The
// examples of bunstore have complete handlers for browsers and for your own servers.
//
// # Accepting
//
// The user must have verified the address of the invitation, whether they accept by ticket or by ids. With
// Config.TicketProvesEmail the ticket alone is enough. [Service.Accept] calls [Directory.Join] and resolves the
// invitation in one transaction. A user who is already a member keeps their role.
//
// Pass the Terms of the invitation that the user was shown. If the role, the public metadata or the expiry has changed
// since, the result is [ErrChanged].
//
// To let a new user sign up through the link, create the account and accept in one transaction. A visitor who has the
// ticket has received the mail, so the account may be created with the invited address verified. This is safe only
// while links reach only the mailbox. Mail them to the canonical address and do not show them to anybody. Leave
// Config.ManagersSeeLinks and Config.TicketProvesEmail off.
//
// # Roles
//
// [DefaultRoles] are org:admin and org:member. [LegacyRoles] are Clerk's older names. [NewRoles] takes your own. A role
// defines whether its members manage invitations: all of them, only those that they sent (ManagesOwn), or none. It
// grants exactly the roles that it lists. Members with a Seatless role take no seat. The inviter must be able
// to grant the role when the invitation is created. They must still be able to grant it when the invitation is
// accepted, unless Config.IgnoreInviterAuthority is set.
//
// [Service.Grantable] returns the roles that a user may grant, for a select box. [Service.CanInvite] returns the error
// that Create would return, so that a page can show it before anybody submits a form. [Service.CreateEach] is for a
// pasted list of addresses: it invites those that can be invited, and tells why it skipped the others.
//
// # Metadata
//
// An invitation has two JSON objects, public and private [Metadata]. They are stored byte for byte. [Directory.Join]
// receives both. Only the trusted back end sets and sees private metadata.
//
// # Tickets
//
// Config.TicketKeys and Config.AcceptURL turn links on. A ticket names the organization, the invitation and its
// generation. An HMAC-SHA-256 over these and Config.Audience signs the ticket. The library stores no tickets, links or
// keys. Without keys there are no links, and users accept by organization id and invitation id.
//
// The first key signs and all keys verify. To rotate keys, put the new key first. Drop the old key when all invitations
// with its tickets have lapsed.
//
// # Events and mail
//
// The library sends nothing. Config.OnEvents runs inside the transaction of an operation and gets its events. Insert a
// job there for each [Event] whose Notify is true:
//
//	func enqueueMail(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
//		var jobs []mailJob // a table of yours
//		for _, e := range events {
//			if e.Notify {
//				jobs = append(jobs, mailJob{e.Invitation.OrganizationID, e.Invitation.ID})
//			}
//		}
//		if len(jobs) == 0 {
//			return nil
//		}
//		_, err := bunstore.DB(tx).NewInsert().Model(&jobs).Exec(ctx)
//		return err
//	}
//
// The job holds ids and no secret. The worker of the job asks [Service.Link] for the current link and mails it to the
// canonical address. After [ErrNotPending] or [ErrForbidden] there is nothing to send. The directory
// bunstore/queueexample does this with River, a job queue on PostgreSQL. The directory bunstore/webexample is a whole
// web application, which does it with an outbox.
//
// [EventExpired] is emitted when the status is written. ExpireDue and Purge write it, and so do a new invitation to the
// same address, Resend and Delete.
//
// # Lists
//
// [Service.List], [Service.ListAll] and [Service.ListForUser] return a [Page] with the total number of invitations that
// match the filter. Offset, [PageNumber], Page.NextCursor and Page.PrevCursor lead to other pages. With a cursor, pages
// neither repeat nor skip a row if other rows change, and a later page costs no more than the first. A list filters by
// status, address, role, inviter, and ranges of creation and expiry. [Service.Counts] counts by status under the same
// filters, for the tabs of a page. [Service.Each] iterates over all pages of List. Lists of one organization leave out
// domain-generated invitations.
//
// Config.Organizations adds names and images of organizations to ListAll, ListForUser and Preview. Config.Users adds
// the inviters to all lists, Get and Preview.
//
// # Transactions
//
// Every operation that writes is one transaction. The Directory and the callbacks of [Config] get the transaction as
// tx. Their writes through tx commit or roll back with the invitation. With bunstore, bunstore.DB(tx) is the bun handle
// of tx, bunstore.SQL(tx) that of database/sql, and pgxtx.Tx(tx) that of pgx. The Directory and the callbacks may be
// called more than once, because a storage may retry an aborted transaction. The documentation of Directory and Config
// has their rules.
//
// [Service.WithStorage] runs an operation in your own transaction. The library never retries that transaction. After
// [ErrAborted] roll it back. If your transaction adds members itself, or calls several operations, it may have to call
// [Service.LockOrganization] first: see there.
//
// # Limits
//
// Config.Seats limits the members and pending invitations of an organization, except those with a Seatless role.
// Config.MaxPending limits its pending invitations. Config.SendLimits limit how many invitations acting users send
// within a window of time, per organization, per inviter and per address. Concurrent calls cannot exceed these limits.
// A negative value of MaxPending, MaxBulk, MaxMetadata or ResendAfter means no limit. The maximum sizes are 320 bytes
// for an address, 128 for the id of an organization or user, 64 for a role and 2048 for a URL.
//
// # Your duties
//
// The library leaves these to you:
//
//   - Provide sessions and TLS, and verify addresses. When a user signs up through a link, treat the invited address as
//     verified only while Config.ManagersSeeLinks and Config.TicketProvesEmail are off.
//   - Set Config.SendLimits, and limit how often a caller may update and revoke. Each change of role sets Event.Notify,
//     so you mail a new link. Config.ResendAfter does not limit these mails, and for SendLimits an invitation counts
//     only once.
//   - SendLimits do not count deleted invitations. So purge, and delete on behalf of users, only invitations that were
//     sent before the longest window.
//   - Escape what you put into a mail, HTML, a shell or a CSV file. An address may contain an apostrophe, a backtick, |
//     or a leading =.
//   - Keep Config.TicketKeys secret, with one set for each environment.
//   - Protect the pages behind links. By default a redirect URL may be any page of the origin of Config.AcceptURL. That
//     origin must have no open redirectors and no pages with content from other people. If it has any, set a
//     Config.AllowRedirect that refuses them.
//   - Mail links only to the canonical address. Keep tickets from leaking: send "Referrer-Policy: no-referrer", leave
//     URL queries out of access logs, and turn off link rewriting at your mail service.
//
// # Errors
//
// [errors.Is] finds the sentinel of an error. [errors.As] finds the first error as an [*Error], or all errors as
// [Errors]. A refused operation has changed nothing. The codes are stable API. Each Code constant, such as
// [CodeNotFound], says when it occurs.
//
//	status  code                                              sentinel
//	400     organization_invitation_not_unique                ErrDuplicate
//	400     duplicate_record                                  ErrDuplicate
//	400     already_a_member_in_organization                  ErrAlreadyMember
//	400     bulk_size_exceeded                                ErrInvalid
//	400     organization_invitation_revoked_code              ErrRevoked
//	400     organization_invitation_already_accepted          ErrAccepted
//	400     ticket_expired_code                               ErrExpired
//	400     ticket_invalid_code                               ErrInvalidTicket
//	400     request_body_invalid                              ErrInvalid
//	401     not_allowed_access                                ErrForbidden, by As("")
//	403     not_allowed_access                                ErrForbidden
//	403     not_an_admin_in_organization                      ErrForbidden
//	403     not_a_member_in_organization                      ErrNotMember
//	403     organization_invitation_identification_not_exist  ErrNotInvitee
//	403     organization_membership_quota_exceeded            ErrQuotaExceeded
//	404     resource_not_found                                ErrNotFound; for a role also ErrInvalid
//	404     organization_invitation_not_pending               ErrNotPending
//	409     organization_invitation_pending                   ErrPending
//	409     resource_conflict                                 ErrChanged, ErrConflict
//	409     resource_locked                                   ErrAborted
//	413     request_body_too_large                            ErrInvalid
//	422     form_param_missing                                ErrInvalid
//	422     form_param_nil                                    ErrInvalid
//	422     form_param_format_invalid                         ErrInvalid
//	422     form_param_value_invalid                          ErrInvalid; for a cursor also ErrInvalidCursor
//	422     form_param_type_invalid                           ErrInvalid
//	422     form_param_unknown                                ErrInvalid
//	422     form_param_duplicate                              ErrInvalid
//	422     form_param_exceeds_allowed_size                   ErrInvalid
//	429     too_many_requests                                 ErrTooSoon
//	500     internal_error                                    none
//	503     service_unavailable                               ErrUnavailable
//	503     outcome_unknown                                   ErrOutcomeUnknown
//
// ErrConflict, ErrAborted, ErrUnavailable and ErrOutcomeUnknown come from the storage and are not an *Error. HTTPStatus
// and ErrorBody know them. If the caller's context has ended, errors.Is also finds [context.Canceled] or
// [context.DeadlineExceeded]. The status is then 500 instead of 409 or 503, except that ErrOutcomeUnknown stays 503.
//
// What to do after errors of the storage:
//
//   - [ErrConflict]: nothing was written. Somebody else changed the invitation at the same moment. Read it again.
//   - [ErrAborted]: nothing was written. Call again after a short pause, a few times at most. bunstore has already
//     retried deadlocks in its own transactions, but not lost connections. In your own transaction, roll back first,
//     and retry the whole transaction.
//   - [ErrUnavailable]: nothing was written. Call again later. Alert if the error persists. Log the error, because its
//     text says what to do and ErrorBody leaves that text out.
//   - [ErrOutcomeUnknown]: the change was made completely or not at all. Check before retrying, as follows.
//
// After ErrOutcomeUnknown, call Accept, Decline, RevokeAll, ExpireDue, Purge, DeleteOrganization and EraseEmail again;
// they are idempotent. After Create, CreateBulk and CreateEach, call List with EmailAddress, and create only what is
// missing. After Revoke, Resend and Update, call Get and compare Status, SentAt and UpdatedAt. After Delete, call it
// again: ErrNotFound means that it is done. A job that OnEvents inserted exists if the change was committed, and does
// not exist otherwise.
//
// # Outcomes
//
// If an operation returns a nil error, it was committed. ErrOutcomeUnknown means that it may have been committed. Any
// other error means that nothing was written. There are three exceptions:
//
//   - ExpireDue and Purge work in batches. Committed batches stay.
//   - bunstore's Migrate may leave some tables created on MariaDB. Call it again.
//   - In your own transaction, nothing is committed before you commit it. If your COMMIT fails, the library cannot tell
//     you the outcome. Treat it as unknown, unless the database itself answered the COMMIT with a refusal: then nothing
//     was committed.
//
// These rules hold only if your callbacks return the errors of their SQL statements.
//
// # Testing
//
// Package [github.com/orginvite/orginvite/invitation/invitationtest] has an application in memory, and RunDirectory, a
// test suite for your Directory. [clock.Fake] is a clock that a test sets and advances.
//
// [Clerk]: https://clerk.com/docs
package invitation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// Invitation is a copy of an invitation, made when the invitation was read. Times are in UTC, with microsecond
// precision.
//
// %v, slog and JSON show only what the invited person may see: no private metadata, no inviter and no acceptance link.
// There is one exception: if an Invitation is in an unexported field of a struct, fmt calls no methods on it and prints
// the link.
type Invitation struct {
	ID                   string // "orginv_" and a ULID, unless Config.NewID is set
	OrganizationID       string // the organization that invites
	OrganizationDomainID string // if domain-generated: the domain whose rule created it
	EmailAddress         string // as the inviter wrote it, trimmed; send mail to its [CanonicalEmail]
	Role                 Role   // the role offered
	RoleName             string // display name of the role, or its key
	Status               Status // the effective status when it was read

	PublicMetadata  Metadata // the invited person may see it
	PrivateMetadata Metadata `json:"-"` // empty through [Service.As]

	InviterUserID string `json:"-"` // "" if the back end itself invited
	RedirectURL   string `json:"-"` // where the acceptance link leads; "" means Config.AcceptURL

	// URL is the acceptance link with its ticket. It is a secret between the back end and the mailbox. Create,
	// CreateBulk, CreateEach, Resend and Update set it for the back end. It is empty without Config.TicketKeys and through
	// [Service.As] (see Config.ManagersSeeLinks).
	URL string `json:"-"`

	// Terms identifies what the invited person is shown. It is opaque. It changes exactly when the role, the public
	// metadata, the expiry, the organization, the address or the generation of the link changes. Accept, Decline and
	// Update compare it if the caller passes the Terms that were shown.
	Terms string

	// Inviter is set by the lists, Get and Preview if Config.Users returns the user. JSON has it only in the backend view,
	// as public_inviter_data.
	Inviter *User `json:"-"`

	// Organization is set by ListAll, ListForUser and Preview if Config.Organizations returns it.
	Organization *Organization

	CreatedAt, UpdatedAt time.Time // UpdatedAt changes with every write except the one that stores the status expired
	ExpiresAt            time.Time // the first instant at which it is expired
	SentAt               time.Time // when the last link was issued
	ResolvedAt           time.Time // zero while pending; ExpiresAt if expired
	ResolvedBy           string    // user who accepted, declined or revoked; "" for the back end and for expiry
}

// Membership is the membership that [Directory.Join] creates for an accepted invitation.
type Membership struct {
	OrganizationID, UserID          string   // the organization and its new member
	InvitationID, InviterUserID     string   // InviterUserID is "" if the back end itself invited
	EmailAddress                    string   // as the inviter wrote it
	Role                            Role     // the role of the member
	PublicMetadata, PrivateMetadata Metadata // those of the invitation
}

// Organization describes an organization to the invited person.
type Organization struct {
	ID, Name, Slug, ImageURL string // Slug and ImageURL may be empty
	HasImage                 bool   // whether the organization has an image of its own
}

// Event describes what happened to an invitation. Its Invitation never has a URL: a job that mails the link stores the
// ids and calls [Service.Link] when it runs.
type Event struct {
	Type    EventType // what happened
	At      time.Time // UTC, microseconds
	ActorID string    // the user who acted; "" for the back end and for expiry
	UserID  string    // for EventAccepted and EventDeclined the invited user; "" if declined by ticket alone

	// Notify says that the link must be mailed. It is set if the invitation was updated with a new role, or created or
	// resent without Silent.
	Notify bool

	Invitation Invitation // the invitation after the event
}

// view returns the invitation that an operation returns: without private metadata through As.
func (s *Service) view(r storage.Record, now time.Time) Invitation {
	return s.shown(s.whole(r, now))
}

func (s *Service) shown(inv Invitation) Invitation {
	if s.actor != nil {
		inv.PrivateMetadata = Metadata{}
	}
	return inv
}

// whole is the only place that converts a record to an Invitation. An expired record reads the same before and after
// its expiry is stored.
func (s *Service) whole(r storage.Record, now time.Time) Invitation {
	if lapsed(r, now) {
		if c, err := move(r, Event{Type: EventExpired, At: now}); err == nil {
			r = c.record
		}
	}
	return Invitation{
		ID:                   r.ID,
		OrganizationID:       r.OrganizationID,
		OrganizationDomainID: r.OrganizationDomainID,
		EmailAddress:         r.EmailAddress,
		Role:                 Role(r.Role),
		RoleName:             s.cfg.Roles.name(Role(r.Role)),
		Status:               Status(r.Status),
		PublicMetadata:       storedMetadata(r.PublicMetadata),
		PrivateMetadata:      storedMetadata(r.PrivateMetadata),
		InviterUserID:        r.InviterUserID,
		RedirectURL:          r.RedirectURL,
		Terms:                terms(r),
		CreatedAt:            r.CreatedAt,
		UpdatedAt:            r.UpdatedAt,
		ExpiresAt:            r.ExpiresAt,
		SentAt:               r.SentAt,
		ResolvedAt:           r.ResolvedAt,
		ResolvedBy:           r.ResolvedBy,
	}
}

// terms returns the Terms of r. They are a digest, so that nobody parses them. Record.Version would not do: it also
// changes with the private metadata, which the invited person does not see.
func terms(r storage.Record) string {
	b := append(make([]byte, 0, 512), "orginvite terms"...)
	for _, shown := range []string{r.ID, r.OrganizationID, r.EmailAddress, r.Role} {
		b = appendText(b, shown)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.ExpiresAt.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Generation))
	sum := sha256.Sum256(append(b, r.PublicMetadata...))
	return encode64(sum[:len(sum)/2])
}

// Format prints the id, organization, address, role and status, with every verb. It never prints the link or metadata.
func (i Invitation) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "invitation(%s organization=%s email=%s role=%s status=%s)",
		printable(i.ID, maxPrinted), printable(i.OrganizationID, maxPrinted), printable(i.EmailAddress, maxPrinted),
		printable(string(i.Role), maxPrinted), printable(string(i.Status), maxPrinted))
}

// LogValue logs the values that Format prints, as a group of attributes.
func (i Invitation) LogValue() slog.Value {
	return slog.GroupValue(
		logged("id", i.ID),
		logged("organization_id", i.OrganizationID),
		logged("email_address", i.EmailAddress),
		logged("role", i.Role),
		logged("status", i.Status))
}

// Format prints the same values as LogValue, with every verb.
func (m Membership) Format(f fmt.State, _ rune) { printGroup(f, "invitation.Membership", m.LogValue()) }

// LogValue logs the membership without its metadata.
func (m Membership) LogValue() slog.Value {
	return slog.GroupValue(
		logged("organization_id", m.OrganizationID),
		logged("user_id", m.UserID),
		logged("invitation_id", m.InvitationID),
		logged("role", m.Role))
}

// MarshalJSON returns the same values as LogValue, because a JSON log handler calls it. The JSON has no metadata, so
// Directory.Join must read the fields.
func (m Membership) MarshalJSON() ([]byte, error) { return marshalGroup(m.LogValue()) }

// marshalGroup returns the attributes of a group as a JSON object.
func marshalGroup(group slog.Value) ([]byte, error) {
	object := map[string]any{}
	for _, a := range group.Group() {
		object[a.Key] = a.Value.Any()
	}
	return json.Marshal(object)
}

// printGroup prints the name of a type and the attributes of a group.
func printGroup(f fmt.State, name string, group slog.Value) { fmt.Fprintf(f, "%s%v", name, group) }

// concealed prints only the name of a type that contains secrets, whatever the verb.
func concealed(f fmt.State, name string) { _, _ = io.WriteString(f, name+"(concealed)") }
