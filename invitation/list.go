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

// Bounds of a page: [ListParams.Limit].
const (
	MaxLimit     = 500
	DefaultLimit = 10
)

// The fields of an [Order].
const (
	OrderCreatedAt    = "created_at"
	OrderEmailAddress = "email_address" // canonical, byte for byte
	OrderExpiresAt    = "expires_at"
)

// ListParams says which invitations of a list are wanted, and which page of them. The zero value is the first ten,
// newest first.
type ListParams struct {
	Limit  int    // 1 to 500; 0 means 10
	Offset int    // how many to leave out; deep ones cost, a Cursor does not
	Cursor string // Page.NextCursor of the same list: its next page. Not together with Offset

	// SkipTotal saves counting: TotalCount is then the number of rows returned plus the offset.
	SkipTotal bool

	Statuses     []Status // any of these; none means all, and in ListForUser pending
	OrderBy      []Order  // the most significant first; none means newest first
	Query        string   `wire:"query" validate:"bytes=320,text"` // part of the canonical address, whatever its case
	EmailAddress string   // exactly this address, in any spelling
}

// Order is one field of an order.
type Order struct {
	Field      string // OrderCreatedAt, OrderEmailAddress or OrderExpiresAt
	Descending bool
}

// ParseOrder reads the wire's form of an Order: the field, behind "-" for descending, or "+" or nothing for ascending.
// The error is an [*Error] and [ErrInvalid] for any other field.
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

// PageNumber turns a page number, from 1, and a page size into the Limit and Offset of [ListParams], for callers
// who count pages as the reference's initialPage and pageSize do. A number below 1 is the first page.
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
	TotalCount int          // of everything the filter lets through, on every page
	NextCursor string       // of the next page; "" on the last one
}

// LogValue logs how much of how many the page shows.
func (p Page) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("invitations", len(p.Data)), slog.Int("total_count", p.TotalCount))
}

// List returns a page of an organization's invitations, without those that an organization domain generated. Through
// [Service.As] the user's role must manage. It writes nothing.
//
// It refuses: [ErrInvalid] for all that is wrong with the parameters at once, with [ErrInvalidCursor] for a cursor
// that does not belong to this list, its filters and its order; [ErrNotMember] or [ErrForbidden].
func (s *Service) List(ctx context.Context, organizationID string, p ListParams) (Page, error) {
	page, err := s.listOrganization(ctx, organizationID, p)
	return page, s.failedRead(ctx, "list", err)
}

// ListPending returns a page of an organization's pending invitations, newest first. Limit and offset are those of
// [ListParams].
//
// Deprecated: as in the reference. Use List with Statuses.
func (s *Service) ListPending(ctx context.Context, organizationID string, limit, offset int) (Page, error) {
	return s.List(ctx, organizationID, ListParams{Limit: limit, Offset: offset, Statuses: []Status{StatusPending}})
}

// ListAll returns a page of the invitations of every organization, with their Organization. Only the back end may:
// through [Service.As] it is [ErrForbidden]. It refuses parameters as List does.
func (s *Service) ListAll(ctx context.Context, p ListParams) (Page, error) {
	page, err := s.listAll(ctx, p)
	return page, s.failedRead(ctx, "list all", err)
}

// ListForUser returns a page of the invitations to a user's verified addresses, in every organization, with their
// Organization. Statuses default to pending. A user without a verified address sees an empty page; one whom the
// Directory does not know is [ErrNotFound]. Through [Service.As] it is that user's own list, and any other is
// [ErrForbidden]. It refuses parameters as List does.
func (s *Service) ListForUser(ctx context.Context, userID string, p ListParams) (Page, error) {
	page, err := s.listForUser(ctx, userID, p)
	return page, s.failedRead(ctx, "list for user", err)
}

// Each goes over an organization's invitations like List, page by page, without a total and without holding a
// connection while it yields. Limit bounds how many come, 0 means all, and may pass 500. An error is yielded once,
// with no invitation, and ends it.
func (s *Service) Each(ctx context.Context, organizationID string, p ListParams) iter.Seq2[Invitation, error] {
	return func(yield func(Invitation, error) bool) {
		p := p // each range begins anew
		left := p.Limit
		for {
			p.Limit, p.SkipTotal = MaxLimit, true
			if left != 0 {
				p.Limit = min(left, MaxLimit) // a negative one List refuses
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
	if err := s.checkReady(); err != nil {
		return Page{}, err
	}
	var errs Errors
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		errs = append(errs, e)
	}
	q, invalid := s.listing(p, "organization", organizationID, nil)
	if err := append(errs, invalid...).err(); err != nil {
		return Page{}, err
	}
	if _, err := s.requireReader(ctx, organizationID); err != nil {
		return Page{}, err
	}
	q.OrganizationID, q.Direct = organizationID, true
	return s.page(ctx, q)
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
	q.EmailKeys = slices.AppendSeq([]string{}, maps.Keys(keys)) // never nil, which would mean everybody's
	slices.Sort(q.EmailKeys)
	return s.pageWithOrganizations(ctx, q)
}

// listing is a list as the store is asked for it.
type listing struct {
	storage.Query
	scope     string // what its cursors are bound to
	skipTotal bool
}

// listing checks all parameters together and turns them into a query. operation and owner, with the filters and the
// order, are what a cursor is bound to.
func (s *Service) listing(p ListParams, operation, owner string, statuses []Status) (listing, Errors) {
	l := listing{skipTotal: p.SkipTotal}
	errs := checkParams("", p)
	refuse := func(param, long string) { errs = append(errs, problemValue.about(param, long)) }

	l.Limit, l.Offset = p.Limit, p.Offset
	if p.Limit == 0 {
		l.Limit = DefaultLimit
	}
	if l.Limit < 1 || l.Limit > MaxLimit {
		refuse("limit", "must be from 1 to 500")
	}
	if p.Offset < 0 {
		refuse("offset", "must be 0 or more")
	}

	if len(p.Statuses) > 0 {
		statuses = p.Statuses
	}
	for _, status := range statuses {
		if !status.known() {
			errs = append(errs, unknownStatus())
			break
		}
		l.Statuses = append(l.Statuses, string(status))
	}
	slices.Sort(l.Statuses)
	l.Statuses = slices.Compact(l.Statuses)

	for _, o := range p.OrderBy {
		by, e := o.sort()
		if e != nil {
			errs = append(errs, e)
			break
		}
		// A field that comes again can decide nothing any more.
		if !slices.ContainsFunc(l.Sort, func(s storage.Sort) bool { return s.Field == by.Field }) {
			l.Sort = append(l.Sort, by)
		}
	}

	l.EmailContains = lower(norm.NFC.String(strings.TrimSpace(p.Query)))
	if p.EmailAddress != "" {
		key, e := canonicalEmail(paramEmail, p.EmailAddress)
		if e != nil {
			errs = append(errs, e)
		}
		l.EmailKeys = []string{key}
	}

	l.scope = l.name(operation, owner)
	if p.Cursor != "" {
		if p.Offset != 0 {
			refuse("offset", "must be left out with a cursor, which says where the page begins")
		}
		var ok bool
		if l.After, ok = decodeCursor(l.scope, l.Order(), p.Cursor); !ok && len(errs) == 0 {
			errs = append(errs, problemCursor.about("cursor",
				"does not belong to this list, its filters and its order; begin again without it"))
		}
	}
	return l, errs
}

// name tells this list from every other one. What a page may change (the clock, Limit, SkipTotal, a user's current
// addresses) is not part of it.
func (l listing) name(operation, owner string) string {
	var b []byte
	for _, part := range []string{
		operation, owner, strings.Join(l.Statuses, ","), fmt.Sprint(l.Order()), l.EmailContains,
		strings.Join(l.EmailKeys, ""),
	} {
		b = appendText(b, part)
	}
	return string(b)
}

// page reads a page, and counts unless told not to.
func (s *Service) page(ctx context.Context, l listing) (Page, error) {
	l.Now = s.now()
	q := l.Query
	q.Limit++ // one more tells whether there is a next page
	records, err := s.list(ctx, q)
	if err != nil {
		return Page{}, err
	}
	page := Page{}
	if len(records) > l.Limit {
		records = records[:l.Limit]
		page.NextCursor = encodeCursor(l.scope, l.Order(), records[l.Limit-1])
	}
	page.Data = s.views(records, l.Now)
	page.TotalCount = l.Offset + len(records)
	if !l.skipTotal {
		if page.TotalCount, err = s.store.Count(ctx, l.Filter); err != nil {
			return Page{}, err
		}
	}
	return page, nil
}

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

// fillOrganizations shows the organizations beside their invitations, where the host can.
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
