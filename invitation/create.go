package invitation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// CreateParams is what an invitation is made of. EmailAddress and Role are required.
type CreateParams struct {
	EmailAddress string // kept as it is written, trimmed; see [CanonicalEmail] for when two are the same
	Role         Role   `wire:"role" validate:"required"` // one of Config.Roles

	InviterUserID        string `wire:"inviter_user_id" validate:"bytes=128,text"`        // acts; "" for the back end
	RedirectURL          string `wire:"redirect_url"`                                     // "" for Config.AcceptURL
	OrganizationDomainID string `wire:"organization_domain_id" validate:"bytes=128,text"` // set where a domain rule invites

	PublicMetadata  Metadata // may be seen by the invited person
	PrivateMetadata Metadata // the back end's alone: through [Service.As] it is ErrForbidden

	ExpiresIn time.Duration // 1 second to 365 days; 0 for Config.ExpiresIn. On the wire expires_in_days
	Silent    bool          // leaves Event.Notify false: send no mail. On the wire notify=false
	Replace   bool          // revoke a pending one for the address and create anew, instead of ErrDuplicate
}

// Format prints what LogValue logs, whatever the verb.
func (p CreateParams) Format(f fmt.State, _ rune) {
	printGroup(f, "invitation.CreateParams", p.LogValue())
}

// LogValue logs whom it invites as what, without metadata.
func (p CreateParams) LogValue() slog.Value {
	return slog.GroupValue(logged("email_address", p.EmailAddress), logged("role", p.Role))
}

// MarshalJSON shows what LogValue logs, for params that are logged inside of something else.
func (p CreateParams) MarshalJSON() ([]byte, error) { return marshalGroup(p.LogValue()) }

// Create invites an address into an organization and returns the invitation, with its acceptance link but for a caller
// through [Service.As] (see Config.ManagersSeeLinks).
//
// With an inviter that user must be a member whose role manages and may grant the role; without one the caller is
// the trusted back end. It is not idempotent: a second call is [ErrDuplicate] while the first is pending. A lapsed
// invitation for the address does not stand in the way; it is written expired. With Replace a pending one is
// revoked.
//
// It refuses, and then changes nothing, in this order: [ErrForbidden] for private metadata through As; [ErrInvalid]
// for all that is wrong with the parameters at once (an unknown role is [ErrNotFound] too); [ErrNotMember] or [ErrForbidden] for the inviter; ErrNotFound for
// the organization; ErrForbidden for a role the inviter may not grant, and for an address that Config.AllowEmail
// refuses; [ErrAlreadyMember]; ErrDuplicate; [ErrTooSoon] for a Replace before Config.ResendAfter has passed;
// [ErrQuotaExceeded]. A Replace that others outrun again and again is [ErrConflict].
func (s *Service) Create(ctx context.Context, organizationID string, p CreateParams) (Invitation, error) {
	created, err := s.create(ctx, organizationID, []CreateParams{p}, func(int) string { return "" })
	if err != nil {
		return Invitation{}, s.failed(ctx, "create", err)
	}
	return created[0], nil
}

// CreateBulk invites several addresses, up to Config.MaxBulk, all or none, and returns the invitations in the order
// of ps. It is Create for each, but completes each check for all items before the next one. One error comes per
// failing item, its Param behind the index ("[3].role"), of more than 100 as [Errors] says; those of [ErrDuplicate] come
// as one, with all addresses in Meta["email_addresses"]. The same address twice is [ErrInvalid].
func (s *Service) CreateBulk(ctx context.Context, organizationID string, ps []CreateParams) ([]Invitation, error) {
	created, err := s.create(ctx, organizationID, ps, func(i int) string { return fmt.Sprintf("[%d].", i) })
	return created, s.failed(ctx, "create bulk", err)
}

// draft is an item on its way to become a record.
type draft struct {
	CreateParams
	at  string // prefix of its parameters
	key string // canonical address
}

// bulk reports whether the call is a bulk: its items are named by their index.
func (d draft) bulk() bool { return d.at != "" }

func (d draft) email() string { return d.at + paramEmail }

func (s *Service) create(ctx context.Context, organizationID string, ps []CreateParams, at func(int) string) (
	[]Invitation, error) {
	if err := s.checkReady(); err != nil {
		return nil, err
	}
	if s.cfg.MaxBulk >= 0 && len(ps) > s.cfg.MaxBulk {
		return nil, problemBulkSize.about("",
			fmt.Sprintf("%d invitations in one call; send at most %d at once", len(ps), s.cfg.MaxBulk))
	}
	if err := s.checkAllPrivate(ps, at); err != nil {
		return nil, err
	}
	drafts, err := s.drafts(organizationID, ps, at)
	if err != nil {
		return nil, err
	}
	var created []Invitation
	err = s.change(ctx, organizationID, func(ctx context.Context, w *work) error {
		granters, err := w.requireInviters(ctx, organizationID, drafts)
		if err != nil {
			return err
		}
		created, err = w.insertDrafts(ctx, organizationID, drafts, granters)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// drafts checks all parameters together.
func (s *Service) drafts(organizationID string, ps []CreateParams, at func(int) string) ([]draft, error) {
	var errs collector
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		errs.add(e)
	}
	if len(ps) == 0 {
		errs.add(problemMissing.about("", "no invitation given; send at least one"))
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

// checkDraft checks all of an item but its address.
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

// refusal returns the error of drafts that early or late refuses. Early is the error of a check that goes before the one
// for members, late of one that goes after it. That there is no such organization goes before both.
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
		return err // which may be why
	case failed != nil && early != nil && errors.Is(storage.Classify(ctx, w.store, failed), ErrAborted):
		return err // a statement of the callback that refused may be why the transaction does nothing more
	case failed != nil:
		return failed
	case early == nil:
		if member := checkNotMembers(drafts, members); member != nil {
			return member
		}
	}
	return err
}

// records builds what the drafts store.
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
