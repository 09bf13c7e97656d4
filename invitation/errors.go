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

// The errors of the service, for [errors.Is]. Most are wrapped by an [*Error] or by [Errors], which have the texts and
// codes for a client. errors.Is and errors.As also find the cause.
var (
	// ErrNotFound: the organization has no such invitation, or the role, organization or user does not exist.
	ErrNotFound = storage.ErrNotFound
	// ErrConflict: another call changed the invitation at the same time. Read it again.
	ErrConflict = storage.ErrConflict
	// ErrAborted: the database aborted the transaction. Nothing was written; the call may be retried.
	ErrAborted = storage.ErrAborted
	// ErrUnavailable: the database cannot be reached, is starting or stopping, is full or read-only, or refuses
	// connections. Nothing was written; try again later.
	ErrUnavailable = storage.ErrUnavailable
	// ErrOutcomeUnknown: it is unknown whether the transaction was committed, for example because the connection was
	// lost during COMMIT. Read the invitation before trying again.
	ErrOutcomeUnknown = storage.ErrOutcomeUnknown

	// ErrInvalid: a parameter is missing, malformed or out of bounds. All validation errors are ErrInvalid.
	ErrInvalid = errors.New("invitation: invalid parameter")
	// ErrInvalidCursor: the cursor is malformed or belongs to another list. Such an error is also ErrInvalid.
	ErrInvalidCursor = errors.New("invitation: invalid cursor")
	// ErrInvalidTicket: the ticket is forged, truncated, void or unknown, or belongs to another invitation.
	ErrInvalidTicket = errors.New("invitation: invalid ticket")

	// ErrForbidden: the acting user may not do this.
	ErrForbidden = errors.New("invitation: forbidden")
	// ErrNotMember: the acting user is not a member of the organization. [Directory.Role] returns it.
	ErrNotMember = errors.New("invitation: not a member of the organization")
	// ErrNotInvitee: none of the user's verified addresses is the address of the invitation.
	ErrNotInvitee = errors.New("invitation: not the invitee")

	// ErrDuplicate: a pending invitation exists for the address.
	ErrDuplicate = errors.New("invitation: duplicate")
	// ErrAlreadyMember: the address belongs to a member. [Directory.Join] returns it if the user is already a member.
	ErrAlreadyMember = errors.New("invitation: already a member of the organization")
	// ErrQuotaExceeded: Config.MaxPending or Config.Seats would be exceeded.
	ErrQuotaExceeded = errors.New("invitation: quota exceeded")
	// ErrTooSoon: Config.ResendAfter has not passed since the invitation was last sent, or one of Config.SendLimits would
	// be exceeded.
	ErrTooSoon = errors.New("invitation: too soon")

	// ErrNotPending: the operation needs a pending invitation, and this one is accepted, declined, revoked or expired.
	ErrNotPending = errors.New("invitation: not pending")
	// ErrPending: the operation needs an invitation that is no longer pending. Revoke it first.
	ErrPending = errors.New("invitation: pending")
	// ErrExpired: the invitation has expired.
	ErrExpired = errors.New("invitation: expired")
	// ErrAccepted: the invitation has already been accepted.
	ErrAccepted = errors.New("invitation: already accepted")
	// ErrRevoked: the invitation has been revoked.
	ErrRevoked = errors.New("invitation: revoked")
	// ErrChanged: the invitation has changed since it was shown. Show it again.
	ErrChanged = errors.New("invitation: changed since it was shown")
)

// Error is an error that may be shown to the client. Its Code is stable. Its texts are for people and say what to do. A
// callback of the host may return an Error of its own; the service returns it to the caller as it is.
type Error struct {
	Status      int            // HTTP status, 4xx; an Error of the host may have 5xx
	Code        string         // for programs: one of the Code constants, or a code of the host
	Message     string         // for people: a short sentence
	LongMessage string         // for people: what is wrong and what to do; does not name the parameter
	Param       string         // JSON name of the parameter, such as "[3].email_address" in a bulk, or ""
	Meta        map[string]any // more facts, such as retry_after (seconds); the Code constants say which

	is    []error // the sentinels
	cause error
}

// Error returns Param and LongMessage. It uses Message if LongMessage is empty.
func (e *Error) Error() string {
	return "invitation: " + e.text()
}

func (e *Error) text() string {
	if e == nil { // a host may return one inside an error
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

// Unwrap returns the sentinels, such as [ErrInvalid], and the cause.
func (e *Error) Unwrap() []error {
	if e == nil {
		return nil
	}
	if e.cause == nil {
		return e.is
	}
	return append(slices.Clone(e.is), e.cause)
}

// As lets errors.As convert a single Error to [Errors], so that a caller can handle both in the same way.
func (e *Error) As(target any) bool {
	errs, ok := target.(*Errors)
	if !ok || e == nil {
		return false
	}
	*errs = Errors{e}
	return true
}

// Errors is a list of errors: one for each failing parameter, or for each failing item of a bulk, in the order of the
// parameters or items. It has 1 to 100 elements. If there are more errors, the LongMessage and Meta["more_errors"] of
// the last element say how many were left out.
type Errors []*Error

// Error joins the texts of all errors.
func (es Errors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.text()
	}
	return "invitation: " + strings.Join(texts, "; ")
}

// Unwrap returns the errors.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// err returns nil, the only *Error, or es.
func (es Errors) err() error {
	switch len(es) {
	case 0:
		return nil
	case 1:
		return es[0]
	}
	return es
}

// maxErrors bounds how many errors are returned at once. It keeps responses small, and nobody reads more.
const maxErrors = 100

// collector keeps the first maxErrors errors and counts the others.
type collector struct {
	first Errors
	more  int
}

func (c *collector) add(errs ...*Error) {
	kept := min(len(errs), maxErrors-len(c.first))
	c.first = append(c.first, errs[:kept]...)
	c.more += len(errs) - kept
}

// err returns what was collected like Errors.err. The last error says how many were left out.
func (c *collector) err() error {
	if c.more == 0 {
		return c.first.err()
	}
	last := *c.first[len(c.first)-1] // a copy, because it may belong to the host
	last.LongMessage = fmt.Sprintf("%s; %d more errors are left out", last.long(), c.more)
	last.Meta = maps.Clone(last.Meta)
	errs := slices.Clone(c.first)
	errs[len(errs)-1] = last.with("more_errors", c.more)
	return errs
}

// problem is one entry of the table of codes: what all errors with a code have in common.
type problem struct {
	status  int
	code    string
	message string
	is      []error
}

// newProblem returns an entry of the table of codes.
func newProblem(status int, code, message string, is ...error) problem {
	return problem{status, code, message, is}
}

// The codes of an [Error]. Each comment gives the HTTP status, the sentinel error and the meaning. The codes are
// stable. Clerk's API uses the same codes, where it has them.
const (
	// CodeInvitationNotUnique: 400, ErrDuplicate. A pending invitation exists for the address.
	CodeInvitationNotUnique = "organization_invitation_not_unique"
	// CodeDuplicateRecord: 400, ErrDuplicate. The address of an item of a CreateBulk has a pending invitation;
	// Meta["email_addresses"] has it. ErrorBody joins the duplicates of a CreateBulk into one entry.
	CodeDuplicateRecord = "duplicate_record"
	// CodeAlreadyMember: 400, ErrAlreadyMember. The address belongs to a member.
	CodeAlreadyMember = "already_a_member_in_organization"
	// CodeBulkSizeExceeded: 400, ErrInvalid. One call has more than Config.MaxBulk invitations, or one body has more
	// than 10,000.
	CodeBulkSizeExceeded = "bulk_size_exceeded"
	// CodeInvitationRevoked: 400, ErrRevoked. The invitation to accept has been revoked.
	CodeInvitationRevoked = "organization_invitation_revoked_code"
	// CodeInvitationAccepted: 400, ErrAccepted. The invitation has been accepted, by another user or by a user who is
	// no longer a member.
	CodeInvitationAccepted = "organization_invitation_already_accepted"
	// CodeTicketExpired: 400, ErrExpired. The invitation to accept has expired.
	CodeTicketExpired = "ticket_expired_code"
	// CodeTicketInvalid: 400, ErrInvalidTicket. The ticket is forged, truncated, void or unknown.
	CodeTicketInvalid = "ticket_invalid_code"
	// CodeBodyInvalid: 400, ErrInvalid. The body is not one JSON value of the expected shape, has a key twice, or nests
	// deeper than 64.
	CodeBodyInvalid = "request_body_invalid"
	// CodeNotAdmin: 403, ErrForbidden. The acting user's role does not manage invitations, or does not grant the
	// invitation's role.
	CodeNotAdmin = "not_an_admin_in_organization"
	// CodeNotMember: 403, ErrNotMember. The acting user is not a member.
	CodeNotMember = "not_a_member_in_organization"
	// CodeNotInvitee: 403, ErrNotInvitee. None of the user's verified addresses is the address of the invitation.
	CodeNotInvitee = "organization_invitation_identification_not_exist"
	// CodeQuotaExceeded: 403, ErrQuotaExceeded. Config.Seats or Config.MaxPending would be exceeded. Where the caller
	// manages invitations, Meta has the numbers pending and requested, and seats and members or max_pending.
	CodeQuotaExceeded = "organization_membership_quota_exceeded"
	// CodeNotAllowed: 403, ErrForbidden. The operation is not available through As, AllowEmail refuses the address, or
	// the inviter may no longer grant the role. With As("") the status is 401.
	CodeNotAllowed = "not_allowed_access"
	// CodeNotFound: 404, ErrNotFound. The invitation, organization, user or role does not exist. An unknown role is
	// also ErrInvalid.
	CodeNotFound = "resource_not_found"
	// CodeNotPending: 404, ErrNotPending. The status of the invitation does not allow the operation.
	CodeNotPending = "organization_invitation_not_pending"
	// CodePending: 409, ErrPending. The invitation to delete is pending.
	CodePending = "organization_invitation_pending"
	// CodeConflict: 409, ErrChanged or ErrConflict. The invitation has changed since it was shown, or was changed at
	// the same time.
	CodeConflict = "resource_conflict"
	// CodeLocked: 409, ErrAborted. The database aborted the transaction; try again.
	CodeLocked = "resource_locked"
	// CodeBodyTooLarge: 413, ErrInvalid. The body is over 1 MiB, or over the limit of an http.MaxBytesReader.
	CodeBodyTooLarge = "request_body_too_large"
	// CodeParamMissing: 422, ErrInvalid. A required parameter is absent or empty.
	CodeParamMissing = "form_param_missing"
	// CodeParamNil: 422, ErrInvalid. A required parameter is null.
	CodeParamNil = "form_param_nil"
	// CodeParamFormatInvalid: 422, ErrInvalid. An address, URL, id or metadata object is malformed.
	CodeParamFormatInvalid = "form_param_format_invalid"
	// CodeParamValueInvalid: 422, ErrInvalid. A value is out of bounds or not one of the allowed values. An invalid
	// cursor is also ErrInvalidCursor.
	CodeParamValueInvalid = "form_param_value_invalid"
	// CodeParamTypeInvalid: 422, ErrInvalid. A value has the wrong JSON type.
	CodeParamTypeInvalid = "form_param_type_invalid"
	// CodeParamUnknown: 422, ErrInvalid. The body has an unknown key.
	CodeParamUnknown = "form_param_unknown"
	// CodeParamDuplicate: 422, ErrInvalid. A bulk lists an address twice.
	CodeParamDuplicate = "form_param_duplicate"
	// CodeParamTooLong: 422, ErrInvalid. Metadata, an address, an id or a URL is too long.
	CodeParamTooLong = "form_param_exceeds_allowed_size"
	// CodeTooManyRequests: 429, ErrTooSoon. Try again after Meta["retry_after"] seconds.
	CodeTooManyRequests = "too_many_requests"
	// CodeInternal: 500. Any other error.
	CodeInternal = "internal_error"
	// CodeUnavailable: 503, ErrUnavailable. Nothing was written; try again later.
	CodeUnavailable = "service_unavailable"
	// CodeOutcomeUnknown: 503, ErrOutcomeUnknown. Read the invitation before you try again.
	CodeOutcomeUnknown = "outcome_unknown"
)

// The table of codes. The entries that Clerk's API has keep its status and code.
var (
	problemDuplicate     = newProblem(400, CodeInvitationNotUnique, "Already invited", ErrDuplicate)
	problemDuplicates    = newProblem(400, CodeDuplicateRecord, "Already invited", ErrDuplicate)
	problemAlreadyMember = newProblem(400, CodeAlreadyMember, "Already a member", ErrAlreadyMember)
	problemBulkSize      = newProblem(400, CodeBulkSizeExceeded, "Too many invitations at once", ErrInvalid)
	problemRevoked       = newProblem(400, CodeInvitationRevoked, "Invitation revoked", ErrRevoked)
	problemAccepted      = newProblem(400, CodeInvitationAccepted, "Invitation already accepted", ErrAccepted)
	problemExpired       = newProblem(400, CodeTicketExpired, "Invitation expired", ErrExpired)
	problemTicket        = newProblem(400, CodeTicketInvalid, "Invalid ticket", ErrInvalidTicket)
	problemBody          = newProblem(400, CodeBodyInvalid, "Invalid request body", ErrInvalid)
	problemNotAdmin      = newProblem(403, CodeNotAdmin, "Not allowed in this organization", ErrForbidden)
	problemNotMember     = newProblem(403, CodeNotMember, "Not a member of this organization", ErrNotMember)
	problemNotInvitee    = newProblem(403, CodeNotInvitee, "Not your invitation", ErrNotInvitee)
	problemQuota         = newProblem(403, CodeQuotaExceeded, "No room left in this organization", ErrQuotaExceeded)
	problemNotAllowed    = newProblem(403, CodeNotAllowed, "Not allowed", ErrForbidden)
	problemNobody        = newProblem(401, CodeNotAllowed, "Not signed in", ErrForbidden)
	problemNotFound      = newProblem(404, CodeNotFound, "Not found", ErrNotFound)
	problemUnknownRole   = newProblem(404, CodeNotFound, "Not found", ErrNotFound, ErrInvalid)
	problemNotPending    = newProblem(404, CodeNotPending, "Invitation not pending", ErrNotPending)
	problemPending       = newProblem(409, CodePending, "Invitation pending", ErrPending)
	problemChanged       = newProblem(409, CodeConflict, "Changed in the meantime", ErrChanged)
	problemConflict      = newProblem(409, CodeConflict, "Changed in the meantime", ErrConflict)
	problemLocked        = newProblem(409, CodeLocked, "Busy", ErrAborted)
	problemBodySize      = newProblem(413, CodeBodyTooLarge, "Request body too large", ErrInvalid)
	problemMissing       = newProblem(422, CodeParamMissing, "Missing parameter", ErrInvalid)
	problemFormat        = newProblem(422, CodeParamFormatInvalid, "Malformed parameter", ErrInvalid)
	problemValue         = newProblem(422, CodeParamValueInvalid, "Invalid parameter value", ErrInvalid)
	problemCursor        = newProblem(422, CodeParamValueInvalid, "Invalid parameter value", ErrInvalidCursor,
		ErrInvalid)
	problemDuplicateAddress = newProblem(422, CodeParamDuplicate, "Parameter given twice", ErrInvalid)
	problemSize             = newProblem(422, CodeParamTooLong, "Parameter too long", ErrInvalid)
	problemNil              = newProblem(422, CodeParamNil, "Parameter is null", ErrInvalid)
	problemType             = newProblem(422, CodeParamTypeInvalid, "Invalid parameter type", ErrInvalid)
	problemUnknown          = newProblem(422, CodeParamUnknown, "Unknown parameter", ErrInvalid)
	problemTooSoon          = newProblem(429, CodeTooManyRequests, "Too soon", ErrTooSoon)
	problemInternal         = newProblem(500, CodeInternal, "Internal error")
	problemUnavailable      = newProblem(503, CodeUnavailable, "Service unavailable", ErrUnavailable)
	problemOutcome          = newProblem(503, CodeOutcomeUnknown, "Outcome unknown", ErrOutcomeUnknown)
)

// about returns an Error about a parameter, or about none if param is "". long is for the person who supplied the
// parameter: a sentence, or the rest of a sentence whose subject is the parameter ("must be …"). It does not name the
// parameter; Param does.
func (p problem) about(param, long string) *Error {
	return &Error{Status: p.status, Code: p.code, Message: p.message, LongMessage: long, Param: param, is: p.is}
}

// because adds the cause to the chain.
func (e *Error) because(cause error) *Error {
	e.cause = cause
	return e
}

// with adds a value to Meta.
func (e *Error) with(key string, value any) *Error {
	if e.Meta == nil {
		e.Meta = map[string]any{}
	}
	e.Meta[key] = value
	return e
}

// refusals returns the errors in err that may be shown to the client, or nil if there are none.
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

// shown reports whether err contains an error that may be shown to the client.
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

// duplicate returns the error for the drafts whose addresses have a pending invitation: one Error for each.
func duplicate(drafts []draft, indexes []int) error {
	const remedy = "the address has a pending invitation in this organization; revoke it, resend it or replace it"
	if !drafts[0].bulk() {
		return problemDuplicate.about(paramEmail, remedy)
	}
	var errs collector
	var addresses []string
	for _, at := range indexes {
		addresses = append(addresses, drafts[at].EmailAddress)
		errs.add(problemDuplicates.about(drafts[at].email(), remedy).
			with(metaAddresses, []string{drafts[at].EmailAddress}))
	}
	err := errs.err()
	if es, ok := err.(Errors); ok { // the last one also has the addresses of the errors that are left out
		_ = es[len(es)-1].with(metaAddresses, addresses[len(es)-1:])
	}
	return err
}

// metaAddresses is the key in the Meta of a duplicate of CreateBulk.
const metaAddresses = "email_addresses"

// slotTaken returns the error for an invitation whose pending slot another invitation holds.
func slotTaken() *Error {
	return problemDuplicate.about("",
		"another invitation for this address is pending in this organization; resend that one")
}

// directory is callback for a method of the Directory that may return ErrNotFound for what param names.
func directory(method, param string, err error) error {
	if errors.Is(err, ErrNotFound) && !shown(err) {
		return problemNotFound.about(param, "does not exist").because(err)
	}
	return callback("Directory."+method, err)
}

// callback returns an error of the host as it is if it may be shown, otherwise as an internal error that names the
// callback.
func callback(name string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// wrap adds the name of the operation to an internal error. It also adds the error of ctx if ctx has ended, because
// some drivers do not report that, or notice a deadline before the context does.
func (s *Service) wrap(ctx context.Context, operation string, err error) error {
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

// wrapRead is wrap for an operation without a transaction. It classifies the error like one of the store, because a
// callback may have read from the database itself.
func (s *Service) wrapRead(ctx context.Context, operation string, err error) error {
	if err == nil || shown(err) {
		return err
	}
	return s.wrap(ctx, operation, storage.Classify(ctx, s.store, err))
}
