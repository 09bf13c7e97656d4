package invitation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// What the service refuses, for [errors.Is]. Most come as an [*Error] or as [Errors], which say it for people and
// for a client; causes stay in the chain.
var (
	// ErrNotFound: no such invitation in that organization, or no such role, organization or user.
	ErrNotFound = storage.ErrNotFound
	// ErrConflict: somebody else changed the invitation at the same moment. Read again.
	ErrConflict = storage.ErrConflict
	// ErrAborted: the database aborted the transaction. Nothing was written; the same call may be made again.
	ErrAborted = storage.ErrAborted
	// ErrUnavailable: the database cannot be reached, is starting or stopping, is full or read-only, or refuses
	// connections. Nothing was written; try again later.
	ErrUnavailable = storage.ErrUnavailable
	// ErrOutcomeUnknown: the outcome of COMMIT is unknown, for example because the connection was lost. Read before
	// trying again.
	ErrOutcomeUnknown = storage.ErrOutcomeUnknown

	// ErrInvalid: a parameter is missing, malformed or out of bounds. Every failed validation is ErrInvalid.
	ErrInvalid = errors.New("invitation: invalid parameter")
	// ErrInvalidCursor: the cursor is malformed or belongs to another list. It is ErrInvalid too.
	ErrInvalidCursor = errors.New("invitation: invalid cursor")
	// ErrInvalidTicket: the ticket is forged, truncated, void or unknown, or belongs to another invitation.
	ErrInvalidTicket = errors.New("invitation: invalid ticket")

	// ErrForbidden: the acting user may not do this.
	ErrForbidden = errors.New("invitation: forbidden")
	// ErrNotMember: the acting user is no member of the organization. [Directory.Role] returns it.
	ErrNotMember = errors.New("invitation: not a member of the organization")
	// ErrNotInvitee: the user has no verified address of this invitation.
	ErrNotInvitee = errors.New("invitation: not the invitee")

	// ErrDuplicate: a pending invitation exists for the address.
	ErrDuplicate = errors.New("invitation: duplicate")
	// ErrAlreadyMember: the address belongs to a member. [Directory.Join] returns it for a user who is one.
	ErrAlreadyMember = errors.New("invitation: already a member of the organization")
	// ErrQuotaExceeded: Config.MaxPending or Config.Seats would be passed.
	ErrQuotaExceeded = errors.New("invitation: quota exceeded")
	// ErrTooSoon: Config.ResendAfter has not passed since the invitation was last sent.
	ErrTooSoon = errors.New("invitation: too soon")

	// ErrNotPending: the invitation is resolved, or lapsed where that matters.
	ErrNotPending = errors.New("invitation: not pending")
	// ErrExpired: the invitation has lapsed.
	ErrExpired = errors.New("invitation: expired")
	// ErrAccepted: somebody accepted it already.
	ErrAccepted = errors.New("invitation: already accepted")
	// ErrRevoked: it was revoked.
	ErrRevoked = errors.New("invitation: revoked")
	// ErrChanged: the invitation is not the version that was shown. Show it again.
	ErrChanged = errors.New("invitation: changed since it was shown")
)

// Error is a refusal that can be shown: its Code is stable API, its texts are for people and say the remedy. A
// callback of the host may return one of its own, and it is passed on as it is.
type Error struct {
	Status      int            // HTTP status: 4xx; an error of the host's may have 5xx
	Code        string         // stable, for programs; one of the Code constants, or the host's own
	Message     string         // a short sentence for people
	LongMessage string         // for people: what is wrong and how to mend it. It does not name the parameter
	Param       string         // the parameter by its name on the wire, "[3].email_address" in a bulk; "" if none is meant
	Meta        map[string]any // further facts: email_addresses, retry_after (seconds), more_errors

	is    []error // sentinels
	cause error
}

// Error returns Param and the long message, or the short one if there is no long one.
func (e *Error) Error() string {
	return "invitation: " + e.text()
}

func (e *Error) text() string {
	if e == nil { // which a host may return behind an error
		return "a nil *Error"
	}
	if e.Param == "" {
		return e.long()
	}
	return e.Param + ": " + e.long()
}

func (e *Error) long() string {
	if e.LongMessage == "" {
		return e.Message
	}
	return e.LongMessage
}

// Unwrap returns the sentinels the error stands for, and its cause.
func (e *Error) Unwrap() []error {
	if e == nil {
		return nil
	}
	if e.cause == nil {
		return e.is
	}
	return append(slices.Clone(e.is), e.cause)
}

// As makes errors.As find [Errors] in a single error too, so that a caller needs one way only.
func (e *Error) As(target any) bool {
	errs, ok := target.(*Errors)
	if !ok || e == nil {
		return false
	}
	*errs = Errors{e}
	return true
}

// Errors is several refusals at once: every failing parameter, or every failing item of a bulk, in their order, up to
// 100. Where there are more, the last one's LongMessage and its Meta["more_errors"] say how many are left out.
// It is never empty.
type Errors []*Error

// Error joins the texts.
func (es Errors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.text()
	}
	return "invitation: " + strings.Join(texts, "; ")
}

// Unwrap returns the single errors.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// err returns es in the simplest form that holds them all: nil, one *Error, or es.
func (es Errors) err() error {
	switch len(es) {
	case 0:
		return nil
	case 1:
		return es[0]
	}
	return es
}

// maxErrors is how many refusals come back at once: nobody reads more, and an answer to what is wrong everywhere stays
// small.
const maxErrors = 100

// collector keeps the first maxErrors refusals and counts the others.
type collector struct {
	first Errors
	more  int
}

func (c *collector) add(errs ...*Error) {
	kept := min(len(errs), maxErrors-len(c.first))
	c.first = append(c.first, errs[:kept]...)
	c.more += len(errs) - kept
}

// err returns what was collected, in the simplest form, and says in the last one how many more there were.
func (c *collector) err() error {
	if c.more == 0 {
		return c.first.err()
	}
	last := *c.first[len(c.first)-1] // a copy: it may be the host's
	last.LongMessage = fmt.Sprintf("%s; %d more errors are left out", last.long(), c.more)
	last.Meta = maps.Clone(last.Meta)
	errs := slices.Clone(c.first)
	errs[len(errs)-1] = last.with("more_errors", c.more)
	return errs
}

// problem is one row of the table of codes: what all errors of a code have in common.
type problem struct {
	status  int
	code    string
	message string
	is      []error
}

// row is a row of the table of codes.
func row(status int, code, message string, is ...error) problem {
	return problem{status, code, message, is}
}

// The codes of an [Error]: HTTP status, sentinel, and when. They are stable API. Those of Clerk's API are as there.
const (
	// CodeInvitationNotUnique: 400, ErrDuplicate: a pending invitation exists for the address.
	CodeInvitationNotUnique = "organization_invitation_not_unique"
	// CodeDuplicateRecord: 400, ErrDuplicate: of a bulk; Meta["email_addresses"] lists the addresses.
	CodeDuplicateRecord = "duplicate_record"
	// CodeAlreadyMember: 400, ErrAlreadyMember: the address belongs to a member.
	CodeAlreadyMember = "already_a_member_in_organization"
	// CodeBulkSizeExceeded: 400, ErrInvalid: more invitations in one call than Config.MaxBulk, or 10,000 in one body.
	CodeBulkSizeExceeded = "bulk_size_exceeded"
	// CodeInvitationRevoked: 400, ErrRevoked: accepting a revoked one.
	CodeInvitationRevoked = "organization_invitation_revoked_code"
	// CodeInvitationAccepted: 400, ErrAccepted: accepting one that somebody else accepted.
	CodeInvitationAccepted = "organization_invitation_already_accepted"
	// CodeTicketExpired: 400, ErrExpired: accepting or declining an expired one.
	CodeTicketExpired = "ticket_expired_code"
	// CodeTicketInvalid: 400, ErrInvalidTicket: a ticket that is forged, truncated, void or unknown.
	CodeTicketInvalid = "ticket_invalid_code"
	// CodeBodyInvalid: 400, ErrInvalid: no JSON, trailing data, the wrong shape, a key twice, nested deeper than 64.
	CodeBodyInvalid = "request_body_invalid"
	// CodeNotAdmin: 403, ErrForbidden: the acting user's role does not manage invitations, or may not grant the role.
	CodeNotAdmin = "not_an_admin_in_organization"
	// CodeNotMember: 403, ErrNotMember: the acting user is not a member.
	CodeNotMember = "not_a_member_in_organization"
	// CodeNotInvitee: 403, ErrNotInvitee: no verified address of the user is the address of the invitation.
	CodeNotInvitee = "organization_invitation_identification_not_exist"
	// CodeQuotaExceeded: 403, ErrQuotaExceeded: Config.Seats or Config.MaxPending would be exceeded.
	CodeQuotaExceeded = "organization_membership_quota_exceeded"
	// CodeNotAllowed: 403, ErrForbidden: closed to As, refused by AllowEmail, or the inviter may no longer grant the role; 401 for As("").
	CodeNotAllowed = "not_allowed_access"
	// CodeNotFound: 404, ErrNotFound: no such invitation in the organization, organization, user, or role (ErrInvalid too).
	CodeNotFound = "resource_not_found"
	// CodeNotPending: 404, ErrNotPending: the status does not allow the operation.
	CodeNotPending = "organization_invitation_not_pending"
	// CodeConflict: 409, ErrChanged or ErrConflict: changed since it was shown, or at the same moment.
	CodeConflict = "resource_conflict"
	// CodeLocked: 409, ErrAborted: the database aborted the transaction; try again.
	CodeLocked = "resource_locked"
	// CodeBodyTooLarge: 413, ErrInvalid: a body over 1 MiB.
	CodeBodyTooLarge = "request_body_too_large"
	// CodeParamMissing: 422, ErrInvalid: a required parameter is absent or empty.
	CodeParamMissing = "form_param_missing"
	// CodeParamNil: 422, ErrInvalid: a required parameter is null.
	CodeParamNil = "form_param_nil"
	// CodeParamFormatInvalid: 422, ErrInvalid: a malformed address, URL, id or metadata.
	CodeParamFormatInvalid = "form_param_format_invalid"
	// CodeParamValueInvalid: 422, ErrInvalid: out of bounds or not one of the values; ErrInvalidCursor too for a cursor.
	CodeParamValueInvalid = "form_param_value_invalid"
	// CodeParamTypeInvalid: 422, ErrInvalid: the wrong JSON type.
	CodeParamTypeInvalid = "form_param_type_invalid"
	// CodeParamUnknown: 422, ErrInvalid: a key that the body does not have.
	CodeParamUnknown = "form_param_unknown"
	// CodeParamDuplicate: 422, ErrInvalid: one address twice in a bulk.
	CodeParamDuplicate = "form_param_duplicate"
	// CodeParamTooLong: 422, ErrInvalid: metadata, an address, an id or a URL is too long.
	CodeParamTooLong = "form_param_exceeds_allowed_size"
	// CodeTooManyRequests: 429, ErrTooSoon: Meta["retry_after"] says after how many seconds to try again.
	CodeTooManyRequests = "too_many_requests"
	// CodeInternal: 500: anything else.
	CodeInternal = "internal_error"
	// CodeUnavailable: 503, ErrUnavailable: nothing was written; try again later.
	CodeUnavailable = "service_unavailable"
	// CodeOutcomeUnknown: 503, ErrOutcomeUnknown: read before you try again.
	CodeOutcomeUnknown = "outcome_unknown"
)

// The table of codes. Clerk's published API fixes status and code of each.
var (
	problemDuplicate        = row(400, CodeInvitationNotUnique, "Already invited", ErrDuplicate)
	problemDuplicates       = row(400, CodeDuplicateRecord, "Already invited", ErrDuplicate)
	problemAlreadyMember    = row(400, CodeAlreadyMember, "Already a member", ErrAlreadyMember)
	problemBulkSize         = row(400, CodeBulkSizeExceeded, "Too many invitations at once", ErrInvalid)
	problemRevoked          = row(400, CodeInvitationRevoked, "Invitation revoked", ErrRevoked)
	problemAccepted         = row(400, CodeInvitationAccepted, "Invitation already accepted", ErrAccepted)
	problemExpired          = row(400, CodeTicketExpired, "Invitation expired", ErrExpired)
	problemTicket           = row(400, CodeTicketInvalid, "Invalid ticket", ErrInvalidTicket)
	problemBody             = row(400, CodeBodyInvalid, "Invalid request body", ErrInvalid)
	problemNotAdmin         = row(403, CodeNotAdmin, "Not allowed in this organization", ErrForbidden)
	problemNotMember        = row(403, CodeNotMember, "Not a member of this organization", ErrNotMember)
	problemNotInvitee       = row(403, CodeNotInvitee, "Not your invitation", ErrNotInvitee)
	problemQuota            = row(403, CodeQuotaExceeded, "No room left in this organization", ErrQuotaExceeded)
	problemNotAllowed       = row(403, CodeNotAllowed, "Not allowed", ErrForbidden)
	problemNobody           = row(401, CodeNotAllowed, "Not signed in", ErrForbidden)
	problemNotFound         = row(404, CodeNotFound, "Not found", ErrNotFound)
	problemUnknownRole      = row(404, CodeNotFound, "Not found", ErrNotFound, ErrInvalid)
	problemNotPending       = row(404, CodeNotPending, "Invitation not pending", ErrNotPending)
	problemChanged          = row(409, CodeConflict, "Changed in the meantime", ErrChanged)
	problemConflict         = row(409, CodeConflict, "Changed in the meantime", ErrConflict)
	problemLocked           = row(409, CodeLocked, "Busy", ErrAborted)
	problemBodySize         = row(413, CodeBodyTooLarge, "Request body too large", ErrInvalid)
	problemMissing          = row(422, CodeParamMissing, "Missing parameter", ErrInvalid)
	problemFormat           = row(422, CodeParamFormatInvalid, "Malformed parameter", ErrInvalid)
	problemValue            = row(422, CodeParamValueInvalid, "Invalid parameter value", ErrInvalid)
	problemCursor           = row(422, CodeParamValueInvalid, "Invalid parameter value", ErrInvalidCursor, ErrInvalid)
	problemDuplicateAddress = row(422, CodeParamDuplicate, "Parameter given twice", ErrInvalid)
	problemSize             = row(422, CodeParamTooLong, "Parameter too long", ErrInvalid)
	problemNil              = row(422, CodeParamNil, "Parameter is null", ErrInvalid)
	problemType             = row(422, CodeParamTypeInvalid, "Invalid parameter type", ErrInvalid)
	problemUnknown          = row(422, CodeParamUnknown, "Unknown parameter", ErrInvalid)
	problemTooSoon          = row(429, CodeTooManyRequests, "Too soon", ErrTooSoon)
	problemInternal         = row(500, CodeInternal, "Internal error")
	problemUnavailable      = row(503, CodeUnavailable, "Service unavailable", ErrUnavailable)
	problemOutcome          = row(503, CodeOutcomeUnknown, "Outcome unknown", ErrOutcomeUnknown)
)

// about returns the problem as an error about a parameter, "" where none is meant. long is what the person who gave it
// reads: a sentence, or its end that the parameter begins ("must be …"). It names no parameter, which Param does.
func (p problem) about(param, long string) *Error {
	return &Error{Status: p.status, Code: p.code, Message: p.message, LongMessage: long, Param: param, is: p.is}
}

// because puts the cause into the chain.
func (e *Error) because(cause error) *Error {
	e.cause = cause
	return e
}

// with adds a fact to Meta.
func (e *Error) with(key string, value any) *Error {
	if e.Meta == nil {
		e.Meta = map[string]any{}
	}
	e.Meta[key] = value
	return e
}

// refusals returns what of err can be shown as it is, nil where nothing can.
func refusals(err error) Errors {
	var errs Errors
	if !errors.As(err, &errs) {
		return nil
	}
	if errs = slices.DeleteFunc(slices.Clone(errs), func(e *Error) bool { return e == nil }); len(errs) == 0 {
		return nil
	}
	return errs
}

// shown reports whether err is, or carries, a refusal that can be shown as it is.
func shown(err error) bool { return refusals(err) != nil }

func invalidTicket() *Error {
	return problemTicket.about("", "the link is not valid, or no longer; open the newest one, or ask for another")
}

func noInvitation() *Error {
	return problemNotFound.about(paramInvitation, "there is no such invitation in this organization")
}

func changed() *Error {
	return problemChanged.about("terms",
		"the invitation was changed since it was shown; read it again")
}

func unknownRole(prefix string) *Error {
	return problemUnknownRole.about(prefix+"role", "is not a role of this application; use one that is")
}

func unknownStatus() *Error {
	return problemValue.about("status", "must be pending, accepted, revoked, expired or declined")
}

// duplicate is the one error of the drafts whose addresses have a pending invitation.
func duplicate(drafts []draft, indexes []int) *Error {
	const remedy = "the address has a pending invitation in this organization; revoke it, resend it or replace it"
	if !drafts[0].bulk() {
		return problemDuplicate.about(paramEmail, remedy)
	}
	addresses := make([]string, len(indexes))
	for i, at := range indexes {
		addresses[i] = drafts[at].EmailAddress
	}
	return problemDuplicates.about(paramEmail, "some addresses have a pending invitation in this "+
		"organization; leave them out or replace them").with("email_addresses", addresses)
}

func taken() *Error {
	return problemDuplicate.about("",
		"another invitation for this address is pending in this organization; resend that one")
}

// directory is callback for the Directory's methods that may say ErrNotFound, about what param names.
func directory(method, param string, err error) error {
	if errors.Is(err, ErrNotFound) && !shown(err) {
		return problemNotFound.about(param, "does not exist").because(err)
	}
	return callback("Directory."+method, err)
}

// callback returns the host's error as it is where it can be shown, and as an internal one that names the callback
// otherwise.
func callback(name string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// failed names the operation in an error that is an internal one. Some drivers do not say that ctx has ended, and one
// may notice a deadline before the context does.
func (s *Service) failed(ctx context.Context, operation string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	done := ctx.Err()
	if at, ok := ctx.Deadline(); ok && done == nil && !time.Now().Before(at) {
		done = context.DeadlineExceeded
	}
	if done != nil && !errors.Is(err, done) {
		return fmt.Errorf("invitation: %s: %w: %w", operation, done, err)
	}
	return fmt.Errorf("invitation: %s: %w", operation, err)
}

// failedRead is failed for an operation without a transaction. A callback may have read on the database by itself: its
// errors mean what the store's own do.
func (s *Service) failedRead(ctx context.Context, operation string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	return s.failed(ctx, operation, storage.Classify(ctx, s.store, err))
}
