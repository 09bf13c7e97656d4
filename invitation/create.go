package invitation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
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
	if err := s.ready(); err != nil {
		return nil, err
	}
	if err := s.mayWritePrivate(ps, at); err != nil {
		return nil, err
	}
	drafts, err := s.drafts(organizationID, ps, at)
	if err != nil {
		return nil, err
	}
	var created []Invitation
	err = s.change(ctx, organizationID, func(ctx context.Context, w *work) error {
		granters, err := w.inviters(ctx, organizationID, drafts)
		if err != nil {
			return err
		}
		created, err = w.insert(ctx, organizationID, drafts, granters)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// mayWritePrivate refuses private metadata where a user acts by As: it is between the application and itself, and lands
// on the membership.
func (s *Service) mayWritePrivate(ps []CreateParams, at func(int) string) error {
	var errs Errors
	for i, p := range ps {
		if e := s.checkPrivate(at(i), p.PrivateMetadata); e != nil {
			errs = append(errs, e)
		}
	}
	return errs.err()
}

func (s *Service) checkPrivate(prefix string, private Metadata) *Error {
	if s.actor == nil || private == (Metadata{}) {
		return nil
	}
	return problemNotAllowed.about(prefix+paramPrivate, "only the application itself may set this; leave it out")
}

// drafts checks all parameters together.
func (s *Service) drafts(organizationID string, ps []CreateParams, at func(int) string) ([]draft, error) {
	if s.cfg.MaxBulk >= 0 && len(ps) > s.cfg.MaxBulk {
		return nil, problemBulkSize.about("",
			fmt.Sprintf("%d invitations in one call; send at most %d at once", len(ps), s.cfg.MaxBulk))
	}
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

// checkExpiry checks how long an invitation is to be pending; 0 is the default.
func checkExpiry(prefix string, d time.Duration) Errors {
	if d == 0 || d >= minExpiry && d <= maxExpiry {
		return nil
	}
	return Errors{problemValue.about(prefix+"expires_in_days", "expires in 1 second to 365 days")}
}

// expiry is when an invitation sent now lapses; 0 is the default.
func (s *Service) expiry(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		d = s.cfg.ExpiresIn
	}
	return now.Add(d).Truncate(time.Microsecond)
}

// checkMetadata checks the size of both objects.
func (s *Service) checkMetadata(prefix string, public, private Metadata) Errors {
	var errs Errors
	for _, m := range []struct {
		param string
		Metadata
	}{{"public_metadata", public}, {paramPrivate, private}} {
		if s.cfg.MaxMetadata >= 0 && m.size() > max(s.cfg.MaxMetadata, len("{}")) {
			errs = append(errs, problemSize.about(prefix+m.param,
				fmt.Sprintf("must be at most %d bytes", s.cfg.MaxMetadata)))
		}
	}
	return errs
}

func (s *Service) checkRedirect(param, raw string) Errors {
	u, e := checkURL(param, raw)
	if e != nil {
		return Errors{e}
	}
	err := s.cfg.AllowRedirect(u)
	if own := refusals(err); err == nil || own != nil {
		return own
	}
	return Errors{problemFormat.about(param, "must be a URL of this application").because(err)}
}

// mayInvite makes the checks that go before the one for members: the ceiling, then AllowEmail.
func (w *work) mayInvite(ctx context.Context, organizationID string, drafts []draft, granters map[string]Role) error {
	var errs collector
	for _, d := range drafts {
		if role, acting := granters[d.InviterUserID]; acting {
			if !w.cfg.Roles.grants(role, d.Role) {
				errs.add(problemNotAdmin.about(d.at+"role", "the inviter's role may not grant this role"))
			}
		}
	}
	if err := errs.err(); err != nil {
		return err
	}
	for _, d := range drafts {
		refused, err := w.allowed(ctx, organizationID, d)
		if err != nil {
			return err
		}
		errs.add(refused...)
	}
	return errs.err()
}

// members returns which of the drafts' addresses belong to members, or that there is no such organization.
func (w *work) members(ctx context.Context, organizationID string, drafts []draft) (map[string]bool, error) {
	keys := make([]string, len(drafts))
	for i, d := range drafts {
		keys[i] = d.key
	}
	members, err := w.dir.MemberEmails(ctx, w.store, organizationID, keys)
	if err != nil {
		return nil, directory("MemberEmails", paramOrganization, err)
	}
	return canonicalSet(members), nil
}

// notMembers refuses the drafts whose addresses belong to members.
func notMembers(drafts []draft, members map[string]bool) error {
	var errs collector
	for _, d := range drafts {
		if members[d.key] {
			errs.add(problemAlreadyMember.about(d.email(), "the address belongs to a member of this organization"))
		}
	}
	return errs.err()
}

// checkMembers looks at the members once the drafts hold their pending slots. A user who accepts another invitation of
// the same address at this moment has that slot until they are a member, so that they are seen here. Before the write
// they might be neither. What was written is undone with the error.
func (w *work) checkMembers(ctx context.Context, organizationID string, drafts []draft) error {
	members, err := w.members(ctx, organizationID, drafts)
	if err != nil {
		return err
	}
	return notMembers(drafts, members)
}

// refuse returns the error of drafts that early or late refuses. Early is the error of a check that goes before the one
// for members, late of one that goes after it. That there is no such organization goes before both.
func (w *work) refuse(ctx context.Context, organizationID string, drafts []draft, early, late error) error {
	err := early
	if err == nil {
		err = late
	}
	if ctx.Err() != nil || errors.Is(err, ErrAborted) || errors.Is(err, ErrUnavailable) {
		return err
	}
	members, failed := w.members(ctx, organizationID, drafts)
	switch {
	case failed != nil && !shown(failed) && !shown(err):
		return err // which may be why
	case failed != nil && early != nil && errors.Is(storage.Classify(ctx, w.store, failed), ErrAborted):
		return err // a statement of the callback that refused may be why the transaction does nothing more
	case failed != nil:
		return failed
	case early == nil:
		if member := notMembers(drafts, members); member != nil {
			return member
		}
	}
	return err
}

// inviters returns the roles of the users who invite, each asked for once.
func (w *work) inviters(ctx context.Context, organizationID string, drafts []draft) (map[string]Role, error) {
	type answer struct {
		role Role
		err  error
	}
	answers := map[string]answer{}
	roles := map[string]Role{}
	var errs collector
	for _, d := range drafts {
		if d.InviterUserID == "" {
			continue
		}
		a, asked := answers[d.InviterUserID]
		if !asked {
			a.role, a.err = w.role(ctx, organizationID, d.InviterUserID)
			answers[d.InviterUserID] = a
		}
		if err := w.manages(a.role, a.err, d.at+paramInviter); err != nil {
			refused := refusals(err)
			if refused == nil {
				return nil, err
			}
			errs.add(refused...)
		}
		roles[d.InviterUserID] = a.role
	}
	return roles, errs.err()
}

// allowed asks Config.AllowEmail: refusals, or an internal error.
func (w *work) allowed(ctx context.Context, organizationID string, d draft) (Errors, error) {
	if w.cfg.AllowEmail == nil {
		return nil, nil
	}
	err := w.cfg.AllowEmail(ctx, w.store, organizationID, d.key)
	switch own := refusals(err); {
	case err == nil || own != nil:
		return own, nil
	case errors.Is(err, ErrForbidden):
		return Errors{problemNotAllowed.about(d.email(), "the address may not be invited into this organization").because(err)}, nil
	}
	return nil, callback("Config.AllowEmail", err)
}

// canonicalSet is what a Directory returned, less what is no address.
func canonicalSet(addresses []string) map[string]bool {
	set := make(map[string]bool, len(addresses))
	for _, a := range addresses {
		if key, e := canonicalEmail("", a); e == nil {
			set[key] = true
		}
	}
	return set
}

// maxInsertRounds bounds how often insert looks again after losing a slot to somebody else.
const maxInsertRounds = 3

// insert makes way for the drafts where it may, and writes them.
func (w *work) insert(ctx context.Context, organizationID string, drafts []draft, granters map[string]Role) (
	[]Invitation, error) {
	for round := 1; ; round++ {
		holders, err := w.holders(ctx, organizationID, drafts)
		if err != nil {
			return nil, err
		}
		if err := w.mayInvite(ctx, organizationID, drafts, granters); err != nil {
			return nil, w.refuse(ctx, organizationID, drafts, err, nil)
		}
		now := w.now() // after every lock there was to wait for
		if err := w.mayReplace(ctx, organizationID, drafts, holders, now); err != nil {
			return nil, w.refuse(ctx, organizationID, drafts, nil, err)
		}
		records, err := w.records(organizationID, drafts, now)
		if err != nil {
			return nil, err
		}
		cleared, err := w.replace(ctx, drafts, holders, records, now)
		var taken *storage.ExistsError
		if errors.As(err, &taken) {
			if err := w.lost(ctx, drafts, records, taken, round == maxInsertRounds); err != nil {
				return nil, w.refuse(ctx, organizationID, drafts, nil, err)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := w.checkMembers(ctx, organizationID, drafts); err != nil {
			return nil, err
		}
		w.events = append(w.events, cleared...)
		created := make([]Invitation, len(records))
		for i, r := range records {
			r.Version = 1
			created[i] = w.view(r, now)
			w.note(Event{Type: EventCreated, At: now, ActorID: r.InviterUserID, Notify: !drafts[i].Silent,
				Invitation: created[i]})
			created[i].URL = w.issuedLink(r)
		}
		return created, nil
	}
}

// holders reads and locks the records that hold the pending slots of the drafts, by canonical address.
func (w *work) holders(ctx context.Context, organizationID string, drafts []draft) (map[string]storage.Record, error) {
	f := storage.Filter{
		OrganizationID: organizationID,
		StoredStatuses: []string{storage.Pending},
	}
	for _, d := range drafts {
		f.EmailKeys = append(f.EmailKeys, d.key)
	}
	found, err := w.list(ctx, storage.Query{Filter: f})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if found, err = w.pick(ctx, f, idsOf(found)...); err != nil {
		return nil, err
	}
	holders := make(map[string]storage.Record, len(found))
	for _, r := range found {
		holders[r.EmailKey] = r
	}
	return holders, nil
}

// mayReplace makes the checks on what is pending already: duplicates, the pause before a replacement, quotas.
func (w *work) mayReplace(ctx context.Context, organizationID string, drafts []draft,
	holders map[string]storage.Record, now time.Time) error {
	var duplicates []int
	var errs collector
	replaced := 0
	for i, d := range drafts {
		r, held := holders[d.key]
		switch {
		case !held || lapsed(r, now):
		case !d.Replace:
			duplicates = append(duplicates, i)
		default:
			replaced++
			if e := w.tooSoon(d.email(), r, now); e != nil {
				errs.add(e)
			}
		}
	}
	if len(duplicates) > 0 {
		return duplicate(drafts, duplicates)
	}
	if err := errs.err(); err != nil {
		return err
	}
	return w.quota(ctx, organizationID, len(drafts)-replaced, now)
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

// tooSoon refuses to send to an address again before Config.ResendAfter has passed.
func (w *work) tooSoon(param string, r storage.Record, now time.Time) *Error {
	wait := r.SentAt.Add(w.cfg.ResendAfter).Sub(now)
	if w.cfg.ResendAfter < 0 || wait <= 0 {
		return nil
	}
	seconds := int(math.Ceil(wait.Seconds()))
	return problemTooSoon.about(param, fmt.Sprintf("the address was invited recently; try again in %d seconds", seconds)).
		with("retry_after", seconds)
}

// quota refuses where so many more pending invitations would pass Config.MaxPending, or would not find a seat.
func (w *work) quota(ctx context.Context, organizationID string, more int, now time.Time) error {
	if !w.limited() {
		return nil
	}
	pending, err := w.pending(ctx, organizationID, now)
	if err != nil {
		return err
	}
	if w.cfg.MaxPending >= 0 && pending+more > w.cfg.MaxPending {
		return problemQuota.about("", fmt.Sprintf(
			"the organization may have at most %d pending invitations; revoke some first", w.cfg.MaxPending))
	}
	return w.seats(ctx, organizationID, pending+more)
}

// replace writes the records, and before that frees their slots: a lapsed holder is written expired, a live one
// revoked. It returns the events of that. Where a slot is lost again, nothing of it is written.
func (w *work) replace(ctx context.Context, drafts []draft, holders map[string]storage.Record,
	records []storage.Record, now time.Time) ([]Event, error) {
	if len(holders) == 0 {
		return nil, insertSorted(ctx, w.store, records)
	}
	var events []Event
	var moved []storage.Record
	for _, d := range drafts {
		r, held := holders[d.key]
		if !held {
			continue
		}
		event := Event{Type: EventExpired, At: now}
		if lapsed(r, now) {
			r = lapse(r)
		} else {
			event.Type, event.ActorID = EventRevoked, d.InviterUserID
			if err := resolve(&r, EventRevoked, d.InviterUserID, now); err != nil {
				return nil, err
			}
		}
		moved = append(moved, r)
		r.Version++
		event.Invitation = w.view(r, now)
		events = append(events, event)
	}
	return events, w.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error {
		if err := tx.Update(ctx, moved...); err != nil {
			return err
		}
		return insertSorted(ctx, tx, records)
	})
}

// insertSorted inserts records in the order of their addresses, so that two bulks with the same ones never wait for
// each other's slots.
func insertSorted(ctx context.Context, tx storage.Storage, records []storage.Record) error {
	order := make([]int, len(records))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(records[a].EmailKey, records[b].EmailKey) })
	sorted := make([]storage.Record, len(records))
	for i, at := range order {
		sorted[i] = records[at]
	}
	err := tx.Insert(ctx, sorted...)
	var taken *storage.ExistsError
	if !errors.As(err, &taken) {
		return err
	}
	indexes := make([]int, len(taken.Indexes))
	for i, at := range taken.Indexes {
		indexes[i] = order[at]
	}
	slices.Sort(indexes)
	return &storage.ExistsError{Indexes: indexes}
}

// lost says what became of an insert that found ids or slots taken: an error, or nil to look again.
func (w *work) lost(ctx context.Context, drafts []draft, records []storage.Record, taken *storage.ExistsError,
	last bool) error {
	ids := idsOf(records)
	slices.Sort(ids)
	used, err := w.store.Count(ctx, storage.Filter{IDs: ids})
	switch {
	case err != nil:
		return err
	case used > 0 || len(slices.Compact(ids)) < len(records):
		return errors.New("Config.NewID returned an id that is taken")
	case !last:
		return nil
	}
	duplicates := slices.DeleteFunc(slices.Clone(taken.Indexes), func(i int) bool { return drafts[i].Replace })
	if len(duplicates) == 0 { // others replace it as fast as we do
		return fmt.Errorf("the pending invitation to be replaced: %w", ErrConflict)
	}
	return duplicate(drafts, duplicates)
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

// resolve moves r by an event that ends it.
func resolve(r *storage.Record, event EventType, userID string, now time.Time) error {
	to, err := Status(r.EffectiveStatus(now)).on(event)
	if err != nil {
		return err
	}
	r.Status, r.ResolvedBy = string(to), userID
	r.ResolvedAt, r.UpdatedAt = now, now
	return nil
}
