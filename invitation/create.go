package invitation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// CreateParams describes an invitation to create. EmailAddress and Role are required.
type CreateParams struct {
	EmailAddress string // stored as written, trimmed; addresses with the same [CanonicalEmail] are equal
	Role         Role   `wire:"role" validate:"required"` // one of Config.Roles

	// InviterUserID is the user who invites. "" means the trusted back end.
	InviterUserID string `wire:"inviter_user_id" validate:"bytes=128,text"`
	// RedirectURL is where the acceptance link leads. "" means Config.AcceptURL.
	RedirectURL string `wire:"redirect_url"`
	// OrganizationDomainID is set for a domain-generated invitation: it names the domain whose rule created it.
	OrganizationDomainID string `wire:"organization_domain_id" validate:"bytes=128,text"`

	PublicMetadata  Metadata // the invited person may see it
	PrivateMetadata Metadata // only for the back end: ErrForbidden through [Service.As]

	ExpiresIn time.Duration // 1 second to 365 days; 0 means Config.ExpiresIn. JSON: expires_in_days
	Silent    bool          // sets Event.Notify to false: do not send mail. JSON: notify=false
	Replace   bool          // revokes a pending invitation for the address instead of returning ErrDuplicate
}

// Format prints the same values as LogValue, with every verb.
func (p CreateParams) Format(f fmt.State, _ rune) {
	printGroup(f, "invitation.CreateParams", p.LogValue())
}

// LogValue logs the address and the role.
func (p CreateParams) LogValue() slog.Value {
	return slog.GroupValue(logged("email_address", p.EmailAddress), logged("role", p.Role))
}

// MarshalJSON returns the same values as LogValue, because a JSON log handler calls it.
func (p CreateParams) MarshalJSON() ([]byte, error) { return marshalGroup(p.LogValue()) }

// Create invites an address into an organization. It returns the invitation with its acceptance link; a caller through
// [Service.As] gets no link (see Config.ManagersSeeLinks).
//
// An inviter must be a member whose role manages invitations and may grant the role. Without an inviter the caller is
// the trusted back end. Create is not idempotent: while the invitation is pending, a second call returns
// [ErrDuplicate]. With Replace it revokes the pending invitation instead. An expired invitation for the address is
// never a duplicate.
//
// Create returns these errors, in this order of precedence, and then changes nothing:
//
//   - [ErrForbidden]: private metadata through As.
//   - [ErrInvalid]: parameters are invalid. All of them are reported together. An unknown role is also [ErrNotFound].
//   - [ErrNotMember] or ErrForbidden: the inviter is not a member, or does not manage invitations.
//   - ErrNotFound: the organization does not exist.
//   - ErrForbidden: the inviter may not grant the role, or Config.AllowEmail refuses the address.
//   - [ErrAlreadyMember]: the address belongs to a member.
//   - [ErrDuplicate]: a pending invitation exists for the address.
//   - [ErrTooSoon]: Config.ResendAfter has not passed since the replaced invitation was last sent, or the inviter would
//     exceed one of Config.SendLimits.
//   - [ErrQuotaExceeded]: Config.MaxPending or Config.Seats would be exceeded.
//   - [ErrConflict]: concurrent calls kept replacing the same invitation.
func (s *Service) Create(ctx context.Context, organizationID string, p CreateParams) (Invitation, error) {
	created, err := s.create(ctx, organizationID, []CreateParams{p}, alone)
	if err != nil {
		return Invitation{}, s.wrap(ctx, "create", err)
	}
	return created[0], nil
}

// CreateBulk invites several addresses, all or none, and returns the invitations in the order of ps. More than
// Config.MaxBulk items are [ErrInvalid].
//
// CreateBulk does what Create does for each item, and returns the same errors in the same order. It completes each
// check for all items before the next check. The error contains one [Error] for each failing item, up to 100 (see
// [Errors]). Param names the item by its index, such as "[3].role". An [ErrDuplicate] has the address of its item in
// Meta["email_addresses"]; if errors are left out, the last one has their addresses too. An address that is listed
// twice is [ErrInvalid].
//
// To invite those that can be invited and skip the others, use [Service.CreateEach].
func (s *Service) CreateBulk(ctx context.Context, organizationID string, ps []CreateParams) ([]Invitation, error) {
	created, err := s.create(ctx, organizationID, ps, indexed)
	return created, s.wrap(ctx, "create bulk", err)
}

// draft is an item that is to become a record.
type draft struct {
	CreateParams
	at  string // prefix of its parameter names
	key string // canonical address
}

// bulk reports whether the draft is an item of CreateBulk, whose parameters are prefixed by an index.
func (d draft) bulk() bool { return d.at != "" }

func (d draft) email() string { return d.at + paramEmail }

// alone and indexed return the prefix of the parameter names of an item: for Create, and for an item of a bulk.
func alone(int) string     { return "" }
func indexed(i int) string { return fmt.Sprintf("[%d].", i) }

// create implements Create and CreateBulk. at returns the prefix of an item's parameter names.
func (s *Service) create(ctx context.Context, organizationID string, ps []CreateParams, at func(int) string) (
	[]Invitation, error) {
	if err := s.checkReady(); err != nil {
		return nil, err
	}
	if err := s.checkBulkSize(len(ps)); err != nil {
		return nil, err
	}
	if err := s.checkAllPrivate(ps, at); err != nil {
		return nil, err
	}
	drafts, err := s.drafts(organizationID, ps, at)
	if err != nil {
		return nil, err
	}
	var created []Invitation
	bound := slices.ContainsFunc(drafts, func(d draft) bool { return d.InviterUserID != "" })
	err = s.sendingIn(ctx, organizationID, bound, func(ctx context.Context, w *work) error {
		inviters, err := w.requireInviters(ctx, organizationID, drafts)
		if err != nil {
			return err
		}
		created, err = w.insertDrafts(ctx, organizationID, drafts, inviters)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// checkBulkSize refuses more items than Config.MaxBulk.
func (s *Service) checkBulkSize(items int) error {
	if s.cfg.MaxBulk < 0 || items <= s.cfg.MaxBulk {
		return nil
	}
	return problemBulkSize.about("",
		fmt.Sprintf("%d invitations in one call; send at most %d at once", items, s.cfg.MaxBulk))
}

// drafts checks the parameters of all items together.
func (s *Service) drafts(organizationID string, ps []CreateParams, at func(int) string) ([]draft, error) {
	var errs collector
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		errs.add(e)
	}
	if len(ps) == 0 {
		errs.add(noItems())
	}
	drafts := make([]draft, len(ps))
	listed := make(map[string]bool, len(ps))
	for i, p := range ps {
		p.InviterUserID = s.actingUser(p.InviterUserID)
		p.EmailAddress = strings.TrimSpace(p.EmailAddress)
		d := draft{CreateParams: p, at: at(i)}
		var e *Error
		if d.key, e = canonicalEmail(d.email(), p.EmailAddress); e != nil {
			errs.add(e)
		} else if listed[d.key] {
			errs.add(problemDuplicateAddress.about(d.email(), "is listed twice; list it once"))
		}
		listed[d.key] = true
		errs.add(s.checkDraft(d)...)
		drafts[i] = d
	}
	return drafts, errs.err()
}

func noItems() *Error { return problemMissing.about("", "no invitation given; send at least one") }

// checkDraft checks all parameters of an item except its address.
func (s *Service) checkDraft(d draft) Errors {
	errs := checkParams(d.at, d.CreateParams)
	if d.Role != "" && !s.cfg.Roles.knows(d.Role) {
		errs = append(errs, unknownRole(d.at))
	}
	if d.RedirectURL != "" {
		errs = append(errs, s.checkRedirect(d.at+"redirect_url", d.RedirectURL)...)
	}
	errs = append(errs, s.checkMetadata(d.at, d.PublicMetadata, d.PrivateMetadata)...)
	return append(errs, checkExpiry(d.at, d.ExpiresIn)...)
}

// refusal returns the error for drafts that were refused. early is the error of a check that precedes the check for
// members, late of one that follows it; one of them is set. An unknown organization takes precedence over both, a
// member over late.
func (w *work) refusal(ctx context.Context, organizationID string, drafts []draft, early, late error) error {
	err := early
	if err == nil {
		err = late
	}
	if ctx.Err() != nil || errors.Is(err, ErrAborted) || errors.Is(err, ErrUnavailable) {
		return err
	}
	members, failed := w.askMembers(ctx, organizationID, drafts)
	switch {
	case failed != nil && !shown(failed) && !shown(err):
		return err // it may be the cause
	case failed != nil && early != nil && errors.Is(storage.Classify(ctx, w.store, failed), ErrAborted):
		return err // a failed statement of the callback may have aborted the transaction
	case failed != nil:
		return failed
	case early == nil:
		if member := checkNotMembers(drafts, members); member != nil {
			return member
		}
	}
	return err
}

// records returns the records to store for the drafts.
func (w *work) records(organizationID string, drafts []draft, now time.Time) ([]storage.Record, error) {
	records := make([]storage.Record, len(drafts))
	for i, d := range drafts {
		r := storage.Record{
			ID:                   w.cfg.NewID(),
			OrganizationID:       organizationID,
			OrganizationDomainID: d.OrganizationDomainID,
			EmailAddress:         d.EmailAddress,
			EmailKey:             d.key,
			Role:                 string(d.Role),
			Status:               storage.Pending,
			PublicMetadata:       d.PublicMetadata.bytes(),
			PrivateMetadata:      d.PrivateMetadata.bytes(),
			InviterUserID:        d.InviterUserID,
			RedirectURL:          d.RedirectURL,
			Generation:           1,
			CreatedAt:            now,
			UpdatedAt:            now,
			ExpiresAt:            w.expiry(now, d.ExpiresIn),
			SentAt:               now,
		}
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("Config.NewID returned no usable id: %w", err)
		}
		records[i] = r
	}
	return records, nil
}
