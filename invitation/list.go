package invitation

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/orginvite/orginvite/storage"
)

// The page sizes of a list.
const (
	MaxLimit     = 500 // the maximum of ListParams.Limit
	DefaultLimit = 10  // used if ListParams.Limit is 0
)

// The values of [Order.Field].
const (
	OrderCreatedAt    = "created_at"    // when the invitation was created
	OrderEmailAddress = "email_address" // canonical address, compared byte for byte
	OrderExpiresAt    = "expires_at"    // when the invitation expires
)

// ListParams selects invitations of a list, and one page of them. The zero value selects the ten newest.
type ListParams struct {
	Limit  int    // page size, 1 to 500; 0 means 10
	Offset int    // number of invitations to skip; large offsets are slow, a Cursor is not
	Cursor string // Page.NextCursor or Page.PrevCursor of the same list; not together with Offset

	// SkipTotal saves counting: TotalCount is then Offset plus the number of invitations on the page.
	SkipTotal bool

	// TotalUpTo bounds counting, so that its cost does not grow with the list. A TotalCount above TotalUpTo means that
	// there are more than TotalUpTo, and need not be exact: show it as "10,000+". 0 counts all.
	TotalUpTo int

	Statuses     []Status // any of these; empty means all; in ListForUser, empty means pending
	OrderBy      []Order  // most significant first; none means newest first
	Query        string   `wire:"query" validate:"bytes=320,text"` // part of the canonical address, in any case
	EmailAddress string   // exactly this address, in any spelling
	Roles        []Role   // any of these, which must be in Config.Roles; empty means all

	// InviterUserID selects the invitations of one inviter; "" means any inviter. Through [Service.As], ListForUser
	// refuses it with [ErrForbidden], because the invited person does not see who invited.
	InviterUserID string `wire:"inviter_user_id" validate:"bytes=128,text"`

	// A range includes its From and excludes its Before. The zero time sets no bound. JSON: created_at_from,
	// created_at_before, expires_at_from and expires_at_before, in Unix milliseconds.
	CreatedFrom, CreatedBefore time.Time // of Invitation.CreatedAt
	ExpiresFrom, ExpiresBefore time.Time // of Invitation.ExpiresAt
}

// Order is one field of a sort order.
type Order struct {
	Field      string // OrderCreatedAt, OrderEmailAddress or OrderExpiresAt
	Descending bool   // largest value first
}

// ParseOrder reads an Order in its wire format: the field, with prefix "-" for descending order, and "+" or no prefix
// for ascending order. For any other field it returns an [*Error] that wraps [ErrInvalid].
func ParseOrder(s string) (Order, error) {
	o := Order{Field: strings.TrimPrefix(s, "+")}
	if field, descending := strings.CutPrefix(s, "-"); descending {
		o = Order{Field: field, Descending: true}
	}
	if _, e := o.sort(); e != nil {
		return Order{}, e
	}
	return o, nil
}

func (o Order) sort() (storage.Sort, *Error) {
	fields := map[string]storage.Field{
		OrderCreatedAt:    storage.FieldCreatedAt,
		OrderEmailAddress: storage.FieldEmailAddress,
		OrderExpiresAt:    storage.FieldExpiresAt,
	}
	if f, known := fields[o.Field]; known {
		return storage.Sort{Field: f, Descending: o.Descending}, nil
	}
	return storage.Sort{}, problemValue.about("order_by", "must be created_at, email_address or expires_at")
}

// PageNumber converts a page number, counted from 1, and a page size to the Limit and Offset of [ListParams]. Clerk's
// API calls the page number initialPage and the page size pageSize. A page number below 1 means the first page.
func PageNumber(n, size int) (limit, offset int) {
	rows := size
	if rows == 0 {
		rows = DefaultLimit
	}
	if n <= 1 || rows < 0 {
		return size, 0 // List refuses a negative size
	}
	if n-1 > math.MaxInt/rows {
		return size, math.MaxInt
	}
	return size, (n - 1) * rows
}

// Page is one page of a list.
type Page struct {
	Data       []Invitation // never nil
	TotalCount int          // number of invitations on all pages, unless SkipTotal or TotalUpTo is set
	NextCursor string       // cursor of the next page; "" on the last page
	PrevCursor string       // cursor of the previous page; "" on the first page
}

// LogValue logs the number of invitations on the page, and TotalCount.
func (p Page) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("invitations", len(p.Data)), slog.Int("total_count", p.TotalCount))
}

// List returns a page of an organization's invitations, without the domain-generated ones. It writes nothing. Through
// [Service.As] the user's role must manage invitations, and with [RoleDefinition].ManagesOwn the list has only those
// that the user sent.
//
// List returns these errors, in this order of precedence:
//
//   - [ErrInvalid]: parameters are invalid. All of them are reported together. A cursor from a different list, filter
//     or order is also [ErrInvalidCursor].
//   - [ErrNotMember] or [ErrForbidden]: the user of As is not a member, or does not manage invitations.
func (s *Service) List(ctx context.Context, organizationID string, p ListParams) (Page, error) {
	page, err := s.listOrganization(ctx, organizationID, p)
	return page, s.wrapRead(ctx, "list", err)
}

// ListPending returns a page of an organization's pending invitations, newest first. limit and offset are those of
// [ListParams]. It returns the errors of List.
//
// Deprecated: Use List with Statuses. Clerk's API deprecates this operation too.
func (s *Service) ListPending(ctx context.Context, organizationID string, limit, offset int) (Page, error) {
	return s.List(ctx, organizationID, ListParams{Limit: limit, Offset: offset, Statuses: []Status{StatusPending}})
}

// ListAll returns a page of the invitations of all organizations, each with its Organization. Only the trusted back end
// may call it: through [Service.As] it returns [ErrForbidden]. For invalid parameters it returns the errors of List.
func (s *Service) ListAll(ctx context.Context, p ListParams) (Page, error) {
	page, err := s.listAll(ctx, p)
	return page, s.wrapRead(ctx, "list all", err)
}

// ListForUser returns a page of the invitations to a user's verified addresses, from all organizations, each with its
// Organization. It lists pending invitations if p.Statuses is empty. Without a verified address the page is empty.
// Through [Service.As] userID must be empty or the user of As.
//
// ListForUser returns these errors, in this order of precedence:
//
//   - [ErrForbidden]: userID is not the user of As, or p.InviterUserID is set through As.
//   - [ErrInvalid]: parameters are invalid, as for List.
//   - [ErrNotFound]: the Directory does not know the user.
func (s *Service) ListForUser(ctx context.Context, userID string, p ListParams) (Page, error) {
	page, err := s.listForUser(ctx, userID, p)
	return page, s.wrapRead(ctx, "list for user", err)
}

// Each iterates over an organization's invitations. It selects and orders them as List does, and reads pages without
// counting. It does not hold a connection while it yields. p.Limit bounds the total number of invitations: it may
// exceed 500, and 0 means all. On an error, Each yields the error once, with a zero Invitation, and stops.
func (s *Service) Each(ctx context.Context, organizationID string, p ListParams) iter.Seq2[Invitation, error] {
	return func(yield func(Invitation, error) bool) {
		p := p // each range starts again
		left := p.Limit
		for {
			p.Limit, p.SkipTotal = MaxLimit, true
			if left != 0 {
				p.Limit = min(left, MaxLimit) // List refuses a negative limit
			}
			page, err := s.List(ctx, organizationID, p)
			if err != nil {
				yield(Invitation{}, err)
				return
			}
			for _, inv := range page.Data {
				if !yield(inv, nil) {
					return
				}
			}
			if left != 0 {
				if left -= len(page.Data); left <= 0 {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			p.Cursor, p.Offset = page.NextCursor, 0
		}
	}
}

func (s *Service) listOrganization(ctx context.Context, organizationID string, p ListParams) (Page, error) {
	q, err := s.organizationListing(ctx, organizationID, p, nil)
	if err != nil {
		return Page{}, err
	}
	return s.page(ctx, q)
}

// organizationListing returns a list of an organization's invitations, once the user of As may see them. It adds what
// it finds invalid to errs.
func (s *Service) organizationListing(ctx context.Context, organizationID string, p ListParams, errs Errors) (
	listing, error) {
	if err := s.checkReady(); err != nil {
		return listing{}, err
	}
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		errs = append(errs, e)
	}
	q, invalid := s.listing(p, "organization", organizationID, nil)
	if err := append(errs, invalid...).err(); err != nil {
		return listing{}, err
	}
	by, err := s.requireReader(ctx, organizationID)
	if err != nil {
		return listing{}, err
	}
	q.OrganizationID, q.Direct = organizationID, true
	q.Filter = by.narrow(q.Filter)
	return q, nil
}

func (s *Service) listAll(ctx context.Context, p ListParams) (Page, error) {
	if err := s.checkBackend(); err != nil {
		return Page{}, err
	}
	q, errs := s.listing(p, "all", "", nil)
	if err := errs.err(); err != nil {
		return Page{}, err
	}
	return s.pageWithOrganizations(ctx, q)
}

func (s *Service) listForUser(ctx context.Context, userID string, p ListParams) (Page, error) {
	if err := s.checkReady(); err != nil {
		return Page{}, err
	}
	userID, err := s.subject(userID)
	if err != nil {
		return Page{}, err
	}
	if s.actor != nil && p.InviterUserID != "" {
		return Page{}, problemNotAllowed.about(paramInviter, "must be left out: the invited person does not see it")
	}
	var errs Errors
	if e := checkText(paramUser, userID, storage.MaxReference); e != nil {
		errs = append(errs, e)
	}
	q, invalid := s.listing(p, "user", userID, []Status{StatusPending})
	if err := append(errs, invalid...).err(); err != nil {
		return Page{}, err
	}
	keys, err := s.verified(ctx, userID)
	if err != nil {
		return Page{}, err
	}
	if q.EmailKeys != nil {
		maps.DeleteFunc(keys, func(key string, _ bool) bool { return key != q.EmailKeys[0] })
	}
	q.EmailKeys = slices.AppendSeq([]string{}, maps.Keys(keys)) // never nil, because nil would select all addresses
	slices.Sort(q.EmailKeys)
	return s.pageWithOrganizations(ctx, q)
}

// listing is a list in the form in which the store is asked for it.
type listing struct {
	storage.Query
	scope     string // binds its cursors to the list
	skipTotal bool
	totalUpTo int
	before    bool // the page ends before After, or at the end of the list if After is nil
}

// listing checks all parameters together and turns them into a query. A cursor is bound to operation, owner, filters
// and order. statuses are the default of p.Statuses.
func (s *Service) listing(p ListParams, operation, owner string, statuses []Status) (listing, Errors) {
	l := listing{skipTotal: p.SkipTotal, totalUpTo: p.TotalUpTo}
	errs := checkParams("", p)
	errs = append(errs, l.setPage(p)...)
	if len(p.Statuses) > 0 {
		statuses = p.Statuses
	}
	errs = append(errs, l.setStatuses(statuses)...)
	errs = append(errs, l.setOrder(p.OrderBy)...)
	errs = append(errs, l.setAddress(p)...)
	errs = append(errs, l.setFilters(p, s.cfg.Roles)...)
	l.scope = l.name(operation, owner)
	if p.Cursor == "" {
		return l, errs
	}
	if p.Offset != 0 {
		errs = append(errs,
			problemValue.about("offset", "must be left out with a cursor, which says where the page begins"))
	}
	kind, at, ok := decodeCursor(l.scope, l.Order(), p.Cursor)
	l.After, l.before = at, kind == cursorBefore
	if !ok && len(errs) == 0 {
		errs = append(errs, problemCursor.about("cursor",
			"does not belong to this list, its filters and its order; begin again without it"))
	}
	return l, errs
}

// setPage sets the limit and the offset.
func (l *listing) setPage(p ListParams) Errors {
	var errs Errors
	l.Limit, l.Offset = p.Limit, p.Offset
	if p.Limit == 0 {
		l.Limit = DefaultLimit
	}
	if l.Limit < 1 || l.Limit > MaxLimit {
		errs = append(errs, problemValue.about("limit", "must be from 1 to 500"))
	}
	if p.TotalUpTo < 0 {
		errs = append(errs, problemValue.about("total_up_to", "must be 0 or more"))
	}
	if p.Offset < 0 {
		errs = append(errs, problemValue.about("offset", "must be 0 or more"))
	}
	return errs
}

// setStatuses sets the statuses, sorted and without repetitions.
func (l *listing) setStatuses(statuses []Status) Errors {
	var errs Errors
	for _, status := range statuses {
		if !status.known() {
			errs = append(errs, unknownStatus())
			break
		}
		l.Statuses = append(l.Statuses, string(status))
	}
	slices.Sort(l.Statuses)
	l.Statuses = slices.Compact(l.Statuses)
	return errs
}

// setOrder sets the order. It drops a field that occurs again, which can decide nothing.
func (l *listing) setOrder(order []Order) Errors {
	for _, o := range order {
		by, e := o.sort()
		if e != nil {
			return Errors{e}
		}
		if !slices.ContainsFunc(l.Sort, func(s storage.Sort) bool { return s.Field == by.Field }) {
			l.Sort = append(l.Sort, by)
		}
	}
	return nil
}

// setAddress sets the filters on the address.
func (l *listing) setAddress(p ListParams) Errors {
	l.EmailContains = lower(norm.NFC.String(strings.TrimSpace(p.Query)))
	if p.EmailAddress == "" {
		return nil
	}
	key, e := canonicalEmail(paramEmail, p.EmailAddress)
	l.EmailKeys = []string{key}
	if e != nil {
		return Errors{e}
	}
	return nil
}

// name returns a text that differs between any two lists. It leaves out what may change from page to page: the clock,
// Limit, SkipTotal, TotalUpTo and a user's addresses.
func (l listing) name(operation, owner string) string {
	var b []byte
	for _, part := range []string{
		operation, owner, strings.Join(l.Statuses, ","), fmt.Sprint(l.Order()), l.EmailContains,
		strings.Join(l.EmailKeys, ""),
	} {
		b = appendText(b, part)
	}
	return string(b) + l.nameFilters()
}

// page reads a page, and counts unless SkipTotal is set.
func (s *Service) page(ctx context.Context, l listing) (Page, error) {
	l.Now = s.now()
	records, more, err := s.rows(ctx, l)
	if err == nil && l.before && len(records) == 0 { // what was before is gone, so this is the first page
		l.before, l.After = false, nil
		records, more, err = s.rows(ctx, l)
	}
	if err != nil {
		return Page{}, err
	}
	page := Page{Data: s.views(records, l.Now), TotalCount: l.Offset + len(records)}
	if err := s.fillInviters(ctx, page.Data); err != nil {
		return Page{}, err
	}
	next, previous := more, l.After != nil || l.Offset > 0
	if l.before {
		next, previous = l.After != nil, more
	}
	switch n := len(records); {
	case n > 0:
		if next {
			page.NextCursor = encodeCursor(cursorAfter, l.scope, l.Order(), records[n-1])
		}
		if previous {
			page.PrevCursor = encodeCursor(cursorBefore, l.scope, l.Order(), records[0])
		}
	case previous: // past the end
		page.PrevCursor = encodeCursor(cursorBefore, l.scope, l.Order(), storage.Record{})
	}
	// The last page of a list that was read from its beginning shows how many there are.
	shown := !l.before && l.After == nil && !next && (l.Offset == 0 || len(records) > 0)
	if !l.skipTotal && !shown {
		if page.TotalCount, err = s.total(ctx, l); err != nil {
			return Page{}, err
		}
	}
	return page, nil
}

// total counts the invitations of a list, and stops when it knows that there are more than asked for.
func (s *Service) total(ctx context.Context, l listing) (int, error) {
	if l.totalUpTo == 0 || l.totalUpTo == math.MaxInt {
		return s.store.Count(ctx, l.Filter)
	}
	return storage.CountUpTo(ctx, s.store, l.Filter, l.totalUpTo+1)
}

// rows reads the records of a page, and reports whether there are more in its direction.
func (s *Service) rows(ctx context.Context, l listing) (records []storage.Record, more bool, err error) {
	q := l.Query
	q.Limit++     // one more than needed shows whether there are more
	if l.before { // read backwards
		q.Sort = slices.Clone(l.Order())
		for i := range q.Sort {
			q.Sort[i].Descending = !q.Sort[i].Descending
		}
	}
	if records, err = s.list(ctx, q); err != nil {
		return nil, false, err
	}
	more = len(records) > l.Limit
	records = records[:min(len(records), l.Limit)]
	if l.before {
		slices.Reverse(records)
	}
	return records, more, nil
}

// pageWithOrganizations is page, with the Organization of each invitation.
func (s *Service) pageWithOrganizations(ctx context.Context, l listing) (Page, error) {
	page, err := s.page(ctx, l)
	if err == nil {
		err = s.fillOrganizations(ctx, page.Data)
	}
	if err != nil {
		return Page{}, err
	}
	return page, nil
}

func (s *Service) views(records []storage.Record, now time.Time) []Invitation {
	invs := make([]Invitation, len(records))
	for i, r := range records {
		invs[i] = s.view(r, now)
	}
	return invs
}

// fillOrganizations sets the Organization of the invitations if the host returns it.
func (s *Service) fillOrganizations(ctx context.Context, invs []Invitation) error {
	if s.cfg.Organizations == nil || len(invs) == 0 {
		return nil
	}
	ids := make([]string, len(invs))
	for i, inv := range invs {
		ids[i] = inv.OrganizationID
	}
	slices.Sort(ids)
	orgs, err := s.cfg.Organizations(ctx, s.store, slices.Compact(ids))
	if err != nil {
		return callback("Config.Organizations", err)
	}
	for i := range invs {
		if o, ok := orgs[invs[i].OrganizationID]; ok {
			invs[i].Organization = &o
		}
	}
	return nil
}
