package bunstore_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

// An executable model of the service, written from the contract and not from the code. It knows no transactions, no
// statements and no concurrency: an operation is one step on plain Go values. The contract leaves ids and the text of
// tickets and cursors open; the model takes these from the answer that it judges, and remembers them.

// call is one operation with its arguments. Fields that the operation does not use are zero.
type call struct {
	Op     string
	As     string // the user of Service.As; "" is the trusted back end; nobody stands for As("")
	Former bool   // through the service that still has roleGuest, and blocks no address

	Organization, ID, User string // User: the id of the inviter, the acting or the invited user
	Ticket                 string
	Terms                  string
	Drafts                 []draft
	ExpiresIn              time.Duration
	Role                   string
	Public, Private        string // merge patches
	Addresses              []string
	Limit, Offset          int
	Cursor                 string
	SkipTotal              bool
	Statuses               []string
	Orders                 []string // as [invitation.ParseOrder] reads them
	Query                  string
	Before                 time.Time
}

// draft is an item of Create and CreateBulk.
type draft struct {
	Address, Role, Inviter, Domain string
	Public                         string
	ExpiresIn                      time.Duration
	Replace                        bool
}

// nobody marks a call through As("").
const nobody = "nobody"

// roleGuest is a role that the application has removed; invitations with it remain.
const roleGuest = "org:guest"

// roleObserver is a role that takes no seat.
const roleObserver = "org:observer"

// String prints the fields that are set.
func (c call) String() string { return c.Op + printed(c, "Op") }

func (d draft) String() string { return "{" + strings.TrimSpace(printed(d)) + "}" }

// printed lists the fields of a struct that are not zero.
func printed(s any, without ...string) string {
	var b strings.Builder
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if !v.Field(i).IsZero() && !slices.Contains(without, name) {
			fmt.Fprintf(&b, " %s=%v", name, v.Field(i).Interface())
		}
	}
	return b.String()
}

// answer is the result of an operation.
type answer struct {
	Err         string // the sentinels that errors.Is finds, sorted; "" for none
	Invitations []shown
	N           int // counts, and the total of a page
	Cursor      string
	Link        string   // the ticket in the result of Link
	Left        []string // ids that remain after a Purge; "organization/user role" of the members
}

func (a answer) String() string {
	if a.Err != "" {
		return a.Err
	}
	return "ok" + printed(a)
}

// shown is an Invitation as plain values. Two are equal exactly if the caller sees the same.
type shown struct {
	ID, Organization, Domain, Address, Role, RoleName, Status string
	Public, Private, Inviter, Ticket, OrganizationName        string
	Created, Updated, Expires, Sent, Resolved, ResolvedBy     string
	Terms                                                     string
}

func (s shown) String() string { return "{" + strings.TrimSpace(printed(s)) + "}" }

// instant formats a time for comparison, with its zone and all of its digits.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// The sentinels, by their names in answers.
const (
	noInvalid       = "invalid"
	noCursor        = "invalid cursor"
	noTicket        = "invalid ticket"
	noFound         = "not found"
	noForbidden     = "forbidden"
	noMember        = "not member"
	noInvitee       = "not invitee"
	noDuplicate     = "duplicate"
	noAlreadyMember = "already member"
	noQuota         = "quota"
	noTooSoon       = "too soon"
	noPending       = "not pending"
	isPending       = "pending"
	noExpired       = "expired"
	noAccepted      = "accepted"
	noRevoked       = "revoked"
	noChanged       = "changed"
	isConflict      = "conflict"
	isAborted       = "aborted"
	isUnknown       = "outcome unknown"
	isUnavailable   = "unavailable"
)

// The statuses.
const (
	pending  = "pending"
	accepted = "accepted"
	revoked  = "revoked"
	expired  = "expired"
	declined = "declined"
)

// The events that an operation may cause on an invitation.
const (
	toAccept  = "accept"
	toDecline = "decline"
	toRevoke  = "revoke"
	toUpdate  = "update"
	toResend  = "resend"
)

// refusedOn is the contract's table of transitions, reduced to the refusals.
var refusedOn = map[string]map[string]string{
	pending: {},
	expired: {toAccept: noExpired, toRevoke: noPending, toUpdate: noPending},
	accepted: {toAccept: noAccepted, toDecline: noPending, toRevoke: noPending, toUpdate: noPending,
		toResend: noPending},
	declined: {toAccept: noPending, toDecline: noPending, toRevoke: noPending, toUpdate: noPending,
		toResend: noPending},
	revoked: {toAccept: noRevoked, toDecline: noPending, toRevoke: noPending, toUpdate: noPending,
		toResend: noPending},
}

// modelRoles are the host's roles and the roles that each may grant. Roles that may grant a role may manage.
var modelRoles = []invitation.RoleDefinition{
	{Key: "org:admin", Name: "Admin", Manages: true,
		Grants: []invitation.Role{"org:admin", "org:lead", "org:sales", "org:member", roleObserver}},
	{Key: "org:lead", Name: "Lead", Manages: true, Grants: []invitation.Role{"org:member"}},
	{Key: "org:sales", Name: "Sales", ManagesOwn: true, Grants: []invitation.Role{"org:member"}},
	{Key: "org:member", Name: "Member"},
	{Key: roleObserver, Name: "Observer", Seatless: true},
}

// modelConfig is the configuration shared by the histories of one run.
type modelConfig struct {
	MaxPending          int // 0: no limit
	Seats               int // 0: no limit
	Counted             bool
	SendLimits          []invitation.SendLimit
	ResendAfter         time.Duration // negative: no limit
	TicketProvesEmail   bool
	IgnoreInviter       bool // Config.IgnoreInviterAuthority
	Organizations       map[string]string
	Blocked             string // an address that AllowEmail refuses
	ExpiresIn           time.Duration
	MaxBulk, MaxPerPage int
}

// membership is a key of the members.
type membership struct{ Organization, User string }

// entry is an invitation. It is expired from ExpiresAt on; swept says whether that was written.
type entry struct {
	id, organization, domain, address, key string
	role, roleName, status                 string
	public, private, inviter               string
	tickets                                []string // one for each generation; "" if no caller was told it
	created, updated, expires, sent        time.Time
	resolved                               time.Time
	resolvedBy                             string
	edits                                  int // how often the details shown to the invited person changed
	terms                                  []terms
	swept                                  bool
}

// terms is the text of an invitation's terms as a caller was told it, and its meaning.
type terms struct {
	text, meaning string
	edits         int
}

// meaning returns the details that the invited person is shown.
func (e *entry) meaning() string {
	return fmt.Sprint(e.role, e.public, instant(e.expires), e.organization, e.address, len(e.tickets))
}

// current returns the text of the current terms, or "" if no caller has been told it.
func (e *entry) current() string {
	if n := len(e.terms); n > 0 && e.terms[n-1].edits == e.edits {
		return e.terms[n-1].text
	}
	return ""
}

// told takes the text of the terms in an answer, and returns the text that the answer should have. The text stays the
// same while nothing changes, and two meanings never share one.
func (e *entry) told(text string) string {
	if known := e.current(); known != "" {
		return known
	}
	other := func(t terms) bool { return t.text == text && t.meaning != e.meaning() }
	if text == "" || slices.ContainsFunc(e.terms, other) {
		return "new terms"
	}
	e.terms = append(slices.Clip(e.terms), terms{text, e.meaning(), e.edits})
	return text
}

// changed reports whether the caller of c was shown other terms. If public metadata was changed and changed back, and
// no caller was told the terms since, the answer decides.
func (e *entry) changed(c call, got answer) bool {
	was := func(t terms) bool { return t.text == c.Terms && t.meaning == e.meaning() }
	switch known := e.current(); {
	case c.Terms == "":
		return false
	case known == "" && slices.ContainsFunc(e.terms, was):
		return got.Err == noChanged
	default:
		return c.Terms != known
	}
}

// model is the state of the service and its host.
type model struct {
	modelConfig
	now     time.Time
	users   map[string][]string // verified addresses, canonical
	members map[membership]string
	entries []entry // ordered by id
	cursors map[string]position
}

// position is the meaning of a cursor: the place, and the list.
type position struct {
	scope string
	last  entry
}

// clone returns a copy that shares nothing that do changes. Histories on one slot use no lists, so it leaves those out.
func (m *model) clone() *model {
	c := *m
	c.members = maps.Clone(m.members)
	c.entries = slices.Clone(m.entries)
	return &c
}

// equal reports whether two states of one history are the same.
func (m *model) equal(o *model) bool {
	return m.now.Equal(o.now) && maps.Equal(m.members, o.members) &&
		slices.EqualFunc(m.entries, o.entries, func(a, b entry) bool { return reflect.DeepEqual(a, b) })
}

// do performs the step and returns the answer that the contract requires. It reads got only for what the contract
// leaves open.
func (m *model) do(c call, got answer) answer {
	want := m.step(c, got)
	for i := range want.Invitations {
		s := &want.Invitations[i]
		if c.As != "" {
			s.Private = "{}" // only the trusted back end sees it
		}
		at, found := slices.BinarySearchFunc(m.entries, s.ID, byID)
		if !found {
			continue
		}
		var text string
		if i < len(got.Invitations) && got.Invitations[i].ID == s.ID {
			text = got.Invitations[i].Terms
		}
		s.Terms = m.entries[at].told(text)
	}
	return want
}

// step is do without the terms of the invitations shown.
func (m *model) step(c call, got answer) answer {
	if c.As == nobody {
		return refuse(noForbidden)
	}
	switch c.Op {
	case "Create", "CreateBulk":
		return m.create(c, got)
	case "Accept":
		return m.respond(c, toAccept, got)
	case "Decline":
		return m.respond(c, toDecline, got)
	case "Revoke":
		return m.revoke(c)
	case "Resend":
		return m.resend(c, got)
	case "Update":
		return m.update(c, got)
	case "RevokeAll":
		return m.revokeAll(c)
	case "Get":
		return m.get(c)
	case "Link":
		return m.link(c, got)
	case "Preview":
		return m.preview(c)
	case "List", "ListAll", "ListForUser", "Each":
		return m.list(c, got)
	case "Delete":
		return m.delete(c)
	case "ExpireDue", "Purge", "DeleteOrganization", "EraseEmail":
		return m.maintain(c, got)
	}
	return m.hostDoes(c)
}

// hostDoes performs changes that the host makes without the service.
func (m *model) hostDoes(c call) answer {
	switch c.Op {
	case "Advance":
		m.pass(c.ExpiresIn)
	case "SetMember":
		m.members[membership{c.Organization, c.User}] = c.Role
	case "RemoveMember":
		delete(m.members, membership{c.Organization, c.User})
	case "SetUser":
		m.users[c.User] = c.Addresses
	case "Members":
		var left []string
		for at, role := range m.members {
			left = append(left, at.Organization+"/"+at.User+" "+role)
		}
		slices.Sort(left)
		return answer{Left: left}
	default:
		panic("the model does not know " + c.Op)
	}
	return answer{}
}

// pass moves the clock. From its ExpiresAt on, a pending invitation reads as it will after the sweep.
func (m *model) pass(d time.Duration) {
	m.now = m.now.Add(d)
	for i := range m.entries {
		if e := &m.entries[i]; e.status == pending && !e.expires.After(m.now) {
			e.status, e.resolved, e.swept = expired, e.expires, false
		}
	}
}

// refuse returns a refusal, which changes nothing.
func refuse(errs ...string) answer {
	slices.Sort(errs)
	return answer{Err: strings.Join(slices.Compact(errs), "+")}
}

func byID(e entry, id string) int { return strings.Compare(e.id, id) }

// find returns an invitation of an organization.
func (m *model) find(organization, id string) *entry {
	i, ok := slices.BinarySearchFunc(m.entries, id, byID)
	if !ok || m.entries[i].organization != organization {
		return nil
	}
	return &m.entries[i]
}

// named returns the invitation that a ticket was issued for, and whether the ticket is the current one.
func (m *model) named(ticket string) (e *entry, current bool) {
	for i := range m.entries {
		e := &m.entries[i]
		if at := slices.Index(e.tickets, ticket); at >= 0 && ticket != "" {
			return e, at == len(e.tickets)-1
		}
	}
	return nil, false
}

// holder returns the pending invitation of a slot.
func (m *model) holder(organization, key string) *entry {
	for i := range m.entries {
		if e := &m.entries[i]; e.organization == organization && e.key == key && e.status == pending {
			return e
		}
	}
	return nil
}

func (m *model) pendingIn(organization string) int {
	n := 0
	for _, e := range m.entries {
		if e.organization == organization && e.status == pending {
			n++
		}
	}
	return n
}

// belongsToMember reports whether the address is a verified one of a member.
func (m *model) belongsToMember(organization, key string) bool {
	for at := range m.members {
		if at.Organization == organization && slices.Contains(m.users[at.User], key) {
			return true
		}
	}
	return false
}

func (m *model) isMember(organization, user string) bool {
	_, ok := m.members[membership{organization, user}]
	return ok
}

func roleDefinition(role string) *invitation.RoleDefinition {
	for i := range modelRoles {
		if string(modelRoles[i].Key) == role {
			return &modelRoles[i]
		}
	}
	return nil
}

func mayGrant(granter, role string) bool {
	d := roleDefinition(granter)
	return d != nil && slices.Contains(d.Grants, invitation.Role(role))
}

// manages checks the acting user; "" is the trusted back end.
func (m *model) manages(organization, user string) string {
	if user == "" {
		return ""
	}
	role, ok := m.members[membership{organization, user}]
	switch d := roleDefinition(role); {
	case !ok:
		return noMember
	case d == nil || !d.Manages && !d.ManagesOwn:
		return noForbidden
	}
	return ""
}

// covers reports whether the acting user, who manages invitations, manages this one.
func (m *model) covers(user string, e *entry) bool {
	d := roleDefinition(m.members[membership{e.organization, user}])
	return user == "" || d != nil && !d.ManagesOwn || e.inviter == user
}

// authority checks that the role of an invitation exists and that its inviter may grant it now. If the inviter has
// left, the cause stays in the chain.
func (m *model) authority(e *entry, role string) []string {
	if roleDefinition(role) == nil {
		return []string{noForbidden}
	}
	if e.inviter == "" || m.IgnoreInviter {
		return nil
	}
	granter, ok := m.members[membership{e.organization, e.inviter}]
	switch {
	case !ok:
		return []string{noForbidden, noMember}
	case !mayGrant(granter, role):
		return []string{noForbidden}
	}
	return nil
}

// grantable checks the role against the user who is responsible for the invitation from now on: the acting user, or its
// inviter.
func (m *model) grantable(e *entry, role, acting string) []string {
	if acting == "" {
		return m.authority(e, role)
	}
	if !mayGrant(m.members[membership{e.organization, acting}], role) {
		return []string{noForbidden}
	}
	return nil
}

// takesSeat reports whether pending invitations into a role count for the seats. The former service knows roleGuest.
func takesSeat(role string, former bool) bool {
	d := roleDefinition(role)
	return d != nil && !d.Seatless || former && role == roleGuest
}

// room is what an operation adds to the pending invitations of an organization.
type room struct {
	invitations, seats int
	seated             bool // something new takes a seat
	former             bool
}

func (r *room) add(role string) {
	r.invitations++
	if takesSeat(role, r.former) {
		r.seats++
		r.seated = true
	}
}

func (r *room) drop(role string) {
	r.invitations--
	if takesSeat(role, r.former) {
		r.seats--
	}
}

// noSeat reports whether there are too few seats for so many more.
func (m *model) noSeat(organization string, more int) bool {
	if !m.Counted || m.Seats <= 0 {
		return false
	}
	taken := 0
	for at, role := range m.members {
		if at.Organization == organization && role != roleObserver {
			taken++
		}
	}
	return taken+more > m.Seats
}

// noRoom reports whether there are too few seats for the pending invitations and what is added.
func (m *model) noRoom(organization string, r room) bool {
	n := r.seats
	for _, e := range m.entries {
		if e.organization == organization && e.status == pending && takesSeat(e.role, r.former) {
			n++
		}
	}
	return r.seated && m.noSeat(organization, n)
}

// full reports whether what is added exceeds a limit.
func (m *model) full(organization string, r room) bool {
	return m.MaxPending > 0 && m.pendingIn(organization)+r.invitations > m.MaxPending || m.noRoom(organization, r)
}

// promotes reports whether an invitation that took no seat takes one by its new role, and there is none.
func (m *model) promotes(e *entry, role string) bool {
	var r room
	r.drop(e.role)
	r.add(role)
	return r.seats > 0 && m.noRoom(e.organization, r)
}

// link is a link that an acting user is about to issue: for a new invitation, or for e.
type link struct {
	user, key string
	e         *entry
}

// tooMany reports whether the links exceed a limit over time.
func (m *model) tooMany(organization string, links ...link) bool {
	for _, l := range m.SendLimits {
		same := func(inviter, key string, to link) bool {
			return l.Per == invitation.PerOrganization || l.Per == invitation.PerInviter && inviter == to.user ||
				l.Per == invitation.PerAddress && key == to.key
		}
		counts := func(e *entry, to link) bool {
			return e.organization == organization && e.sent.Add(l.Within).After(m.now) && same(e.inviter, e.key, to)
		}
		for i, to := range links {
			if to.user == "" || to.e != nil && counts(to.e, to) {
				continue
			}
			n := 0
			for j := range m.entries {
				if counts(&m.entries[j], to) {
					n++
				}
			}
			for _, other := range links[:i+1] { // those of the back end, too, which is not bound itself
				if same(other.user, other.key, to) {
					n++
				}
			}
			if n > l.Max {
				return true
			}
		}
	}
	return false
}

func (m *model) tooSoon(e *entry) bool {
	return m.ResendAfter >= 0 && e.sent.Add(m.ResendAfter).After(m.now)
}

// write ends an operation on an invitation.
func (m *model) write(e *entry) {
	e.updated = m.now
}

func (m *model) resolve(e *entry, status, by string) {
	e.status, e.resolved, e.resolvedBy = status, m.now, by
	m.write(e)
}

// sweep expires the lapsed invitation of a slot, so that another can take it.
func (m *model) sweep(organization, key string) {
	for i := range m.entries {
		if e := &m.entries[i]; e.organization == organization && e.key == key && e.status == expired {
			e.swept = true
		}
	}
}

func badExpiry(d time.Duration) bool { return d != 0 && (d < time.Second || d > 365*24*time.Hour) }

func (m *model) until(d time.Duration) time.Time {
	if d == 0 {
		d = m.ExpiresIn
	}
	return m.now.Add(d)
}

func acting(c call, user string) string {
	if c.As != "" {
		return c.As
	}
	return user
}

func (m *model) create(c call, got answer) answer {
	keys := make([]string, len(c.Drafts))
	inviters := make([]string, len(c.Drafts))
	var errs []string
	if c.Organization == "" || len(c.Drafts) == 0 {
		errs = append(errs, noInvalid)
	}
	if len(c.Drafts) > m.MaxBulk {
		return refuse(noInvalid)
	}
	for i, d := range c.Drafts {
		inviters[i] = acting(c, d.Inviter)
		key, err := invitation.CanonicalEmail(d.Address)
		if err != nil || slices.Contains(keys[:i], key) || d.Role == "" || badExpiry(d.ExpiresIn) {
			errs = append(errs, noInvalid)
		}
		keys[i] = key
		if d.Role != "" && roleDefinition(d.Role) == nil && (d.Role != roleGuest || !c.Former) {
			errs = append(errs, noInvalid, noFound)
		}
	}
	if errs != nil {
		return refuse(errs...)
	}
	// Each step is completed for all items before the next step.
	step := func(check func(i int) string) bool {
		for i := range c.Drafts {
			if err := check(i); err != "" {
				errs = append(errs, err)
			}
		}
		return errs != nil
	}
	when := func(holds bool, err string) string {
		if holds {
			return err
		}
		return ""
	}
	more := room{former: c.Former}
	var links []link
	for i, d := range c.Drafts {
		more.add(d.Role)
		if e := m.holder(c.Organization, keys[i]); d.Replace && e != nil {
			more.drop(e.role)
		}
		links = append(links, link{inviters[i], keys[i], nil})
	}
	_, exists := m.Organizations[c.Organization]
	switch {
	case step(func(i int) string { return m.manages(c.Organization, inviters[i]) }):
	case step(func(int) string { return when(!exists, noFound) }):
	case step(func(i int) string {
		role := m.members[membership{c.Organization, inviters[i]}]
		return when(inviters[i] != "" && !mayGrant(role, c.Drafts[i].Role), noForbidden)
	}):
	case step(func(i int) string { return when(keys[i] == m.Blocked && !c.Former, noForbidden) }):
	case step(func(i int) string { return when(m.belongsToMember(c.Organization, keys[i]), noAlreadyMember) }):
	case step(func(i int) string {
		e := m.holder(c.Organization, keys[i])
		return when(e != nil && (!c.Drafts[i].Replace || !m.covers(inviters[i], e)), noDuplicate)
	}):
	case step(func(i int) string {
		e := m.holder(c.Organization, keys[i])
		return when(e != nil && m.tooSoon(e), noTooSoon)
	}):
	case m.tooMany(c.Organization, links...):
		errs = append(errs, noTooSoon)
	case m.full(c.Organization, more):
		errs = append(errs, noQuota)
	}
	if errs != nil {
		return refuse(errs...)
	}
	var want answer
	for i, d := range c.Drafts {
		if e := m.holder(c.Organization, keys[i]); e != nil {
			m.resolve(e, revoked, inviters[i])
		}
		m.sweep(c.Organization, keys[i])
		e := entry{
			organization: c.Organization, domain: d.Domain, address: strings.TrimSpace(d.Address), key: keys[i],
			role: d.Role, roleName: d.Role, status: pending, public: canonicalJSON(d.Public), private: "{}",
			inviter: inviters[i], created: m.now, updated: m.now, sent: m.now, expires: m.until(d.ExpiresIn),
		}
		if i < len(got.Invitations) {
			e.id, e.tickets = got.Invitations[i].ID, []string{got.Invitations[i].Ticket}
		}
		if c.As != "" { // As shows no links
			e.tickets = []string{""}
		}
		if got.Err != isUnknown && (e.tickets == nil || c.As == "" && e.tickets[0] == "") {
			return answer{Err: "a ticket is asked for"}
		}
		want.Invitations = append(want.Invitations, m.add(c, e))
	}
	return want
}

// add inserts a new invitation, whose id and ticket must be new, and returns it as its creator sees it.
func (m *model) add(c call, e entry) shown {
	at, taken := slices.BinarySearchFunc(m.entries, e.id, byID)
	if other, _ := m.named(e.tickets[0]); taken || e.id == "" || other != nil {
		return shown{ID: "a new id and a new ticket"}
	}
	m.entries = slices.Insert(m.entries, at, e)
	s := m.show(&e)
	s.Ticket = e.tickets[0]
	if c.Former && e.role == roleGuest {
		s.RoleName = "Guest"
	}
	return s
}

// show returns an invitation as the caller sees it.
func (m *model) show(e *entry) shown {
	s := shown{
		ID: e.id, Organization: e.organization, Domain: e.domain, Address: e.address, Role: e.role, RoleName: e.role,
		Status: e.status, Public: e.public, Private: e.private, Inviter: e.inviter,
		Created: instant(e.created), Updated: instant(e.updated), Expires: instant(e.expires), Sent: instant(e.sent),
		Resolved: instant(e.resolved), ResolvedBy: e.resolvedBy,
	}
	if d := roleDefinition(e.role); d != nil {
		s.RoleName = d.Name
	}
	return s
}

func (m *model) one(e *entry) answer { return answer{Invitations: []shown{m.show(e)}} }

// subject returns the user whom an operation is about.
func subject(c call) (user string, ok bool) {
	if c.As != "" && c.User != "" && c.User != c.As {
		return "", false
	}
	return acting(c, c.User), true
}

// respond is Accept and Decline.
func (m *model) respond(c call, event string, got answer) answer {
	user, ok := subject(c)
	if !ok {
		return refuse(noForbidden)
	}
	byTicket := event == toDecline && user == "" && c.Ticket != "" // declining needs no account
	if user == "" && !byTicket || c.Ticket == "" && (c.Organization == "" || c.ID == "") {
		return refuse(noInvalid)
	}
	var e *entry
	if c.Ticket != "" {
		var current bool
		e, current = m.named(c.Ticket)
		if !current || c.Organization != "" && c.Organization != e.organization || c.ID != "" && c.ID != e.id {
			return refuse(noTicket)
		}
	} else {
		e = m.find(c.Organization, c.ID)
	}
	if c.Ticket == "" || !m.TicketProvesEmail && !byTicket {
		addresses, known := m.users[user]
		if !known {
			return refuse(noFound)
		}
		if e == nil || !slices.Contains(addresses, e.key) {
			return refuse(noInvitee)
		}
	}
	status := map[string]string{toAccept: accepted, toDecline: declined}[event]
	member := m.isMember(e.organization, user)
	if e.status == status && e.resolvedBy == user && (event == toDecline || member) {
		return m.one(e) // the same answer as the first time
	}
	if err := refusedOn[e.status][event]; err != "" {
		return refuse(err)
	}
	if e.changed(c, got) {
		return refuse(noChanged)
	}
	if event == toAccept && !member {
		if errs := m.authority(e, e.role); errs != nil {
			return refuse(errs...)
		}
		if e.key == m.Blocked {
			return refuse(noForbidden)
		}
		if takesSeat(e.role, false) && m.noSeat(e.organization, 1) {
			return refuse(noQuota)
		}
		m.members[membership{e.organization, user}] = e.role
	}
	m.resolve(e, status, user)
	return m.one(e)
}

// actOn checks the ids, the acting user and the invitation, in that order.
func (m *model) actOn(c call, user string) (*entry, []string) {
	if c.Organization == "" || c.ID == "" {
		return nil, []string{noInvalid}
	}
	if err := m.manages(c.Organization, user); err != "" {
		return nil, []string{err}
	}
	e := m.find(c.Organization, c.ID)
	if e == nil || !m.covers(user, e) {
		return nil, []string{noFound}
	}
	return e, nil
}

func (m *model) revoke(c call) answer {
	user := acting(c, c.User)
	e, errs := m.actOn(c, user)
	if errs != nil {
		return refuse(errs...)
	}
	if err := refusedOn[e.status][toRevoke]; err != "" {
		return refuse(err)
	}
	m.resolve(e, revoked, user)
	return m.one(e)
}

// reissue voids older tickets. If the call fails, no caller is told the new ticket.
func (m *model) reissue(e *entry, user string, got answer) {
	var ticket string
	if len(got.Invitations) == 1 {
		ticket = got.Invitations[0].Ticket
	}
	if other, _ := m.named(ticket); ticket != "" && other != nil {
		ticket = "a new ticket"
	}
	e.tickets = append(slices.Clip(e.tickets), ticket)
	e.sent = m.now
	e.edits++
	if user != "" {
		e.inviter = user
	}
}

// withLink returns an invitation together with its current ticket.
func (m *model) withLink(c call, e *entry, got answer) answer {
	if c.As != "" { // As shows no ticket
		return m.one(e)
	}
	current := &e.tickets[len(e.tickets)-1]
	if *current == "" && len(got.Invitations) == 1 { // no caller has been told it yet
		e.tickets = slices.Clone(e.tickets)
		current = &e.tickets[len(e.tickets)-1]
		*current = got.Invitations[0].Ticket
	}
	a := m.one(e)
	a.Invitations[0].Ticket = *current
	return a
}

// mayChange checks the role that an invitation has and the one that it gets. A role that no longer exists must be
// replaced.
func (m *model) mayChange(e *entry, role, acting string) []string {
	gone := roleDefinition(e.role) == nil
	switch {
	case gone && role == "":
		return []string{noForbidden}
	case !gone && (acting != "" || role == ""):
		if errs := m.grantable(e, e.role, acting); errs != nil {
			return errs
		}
	}
	if role == "" {
		return nil
	}
	return m.grantable(e, role, acting)
}

func (m *model) resend(c call, got answer) answer {
	var errs []string
	if badExpiry(c.ExpiresIn) || c.Organization == "" || c.ID == "" {
		errs = append(errs, noInvalid)
	}
	if c.Role != "" && roleDefinition(c.Role) == nil {
		errs = append(errs, noInvalid, noFound)
	}
	if errs != nil {
		return refuse(errs...)
	}
	user := acting(c, c.User)
	e, errs := m.actOn(c, user)
	if errs != nil {
		return refuse(errs...)
	}
	if err := refusedOn[e.status][toResend]; err != "" {
		return refuse(err)
	}
	if errs := m.mayChange(e, c.Role, user); errs != nil {
		return refuse(errs...)
	}
	revive := e.status == expired
	var revived room
	revived.add(cmp.Or(c.Role, e.role))
	switch {
	case e.key == m.Blocked:
		return refuse(noForbidden)
	case revive && m.belongsToMember(e.organization, e.key):
		return refuse(noAlreadyMember)
	case revive && m.holder(e.organization, e.key) != nil:
		return refuse(noDuplicate)
	case m.tooSoon(e):
		return refuse(noTooSoon)
	case m.tooMany(e.organization, link{user, e.key, e}):
		return refuse(noTooSoon)
	case revive && m.full(e.organization, revived), !revive && m.promotes(e, cmp.Or(c.Role, e.role)):
		return refuse(noQuota)
	}
	m.sweep(e.organization, e.key)
	e.status, e.resolved, e.resolvedBy, e.swept = pending, time.Time{}, "", false
	e.expires = m.until(c.ExpiresIn)
	e.role = cmp.Or(c.Role, e.role)
	m.reissue(e, user, got)
	m.write(e)
	return m.withLink(c, e, got)
}

func (m *model) update(c call, got answer) answer {
	if c.As != "" && c.Private != "" && c.Private != "{}" {
		return refuse(noForbidden)
	}
	var errs []string
	if c.Organization == "" || c.ID == "" {
		errs = append(errs, noInvalid)
	}
	if c.Role != "" && roleDefinition(c.Role) == nil {
		errs = append(errs, noInvalid, noFound)
	}
	if errs != nil {
		return refuse(errs...)
	}
	user := acting(c, c.User)
	e, errs := m.actOn(c, user)
	if errs != nil {
		return refuse(errs...)
	}
	if err := refusedOn[e.status][toUpdate]; err != "" {
		return refuse(err)
	}
	if e.changed(c, got) {
		return refuse(noChanged)
	}
	newRole := c.Role != "" && c.Role != e.role
	switch {
	case user != "":
		errs = m.mayChange(e, c.Role, user)
	case newRole:
		errs = m.grantable(e, c.Role, user)
	}
	if errs == nil && e.key == m.Blocked {
		errs = []string{noForbidden}
	}
	if errs != nil {
		return refuse(errs...)
	}
	public, private := patched(e.public, c.Public), patched(e.private, c.Private)
	switch {
	case newRole && m.tooMany(e.organization, link{user, e.key, e}):
		return refuse(noTooSoon)
	case newRole && m.promotes(e, c.Role):
		return refuse(noQuota)
	}
	if newRole {
		m.reissue(e, user, got)
		e.role = c.Role
	}
	if public != e.public {
		e.edits++
	}
	if newRole || public != e.public || private != e.private {
		e.public, e.private = public, private
		m.write(e)
	}
	return m.withLink(c, e, got)
}

func (m *model) revokeAll(c call) answer {
	user := acting(c, c.User)
	var keys []string
	bad := c.Query == "" && len(c.Addresses) == 0 || user != "" && c.Organization == ""
	for _, a := range c.Addresses {
		key, err := invitation.CanonicalEmail(a)
		bad = bad || err != nil
		keys = append(keys, key)
	}
	if bad {
		return refuse(noInvalid)
	}
	if err := m.manages(c.Organization, user); err != "" {
		return refuse(err)
	}
	n := 0
	for i := range m.entries {
		e := &m.entries[i]
		if e.status == pending && (c.Organization == "" || c.Organization == e.organization) &&
			(c.Query == "" || c.Query == e.inviter) && m.covers(user, e) && (keys == nil || slices.Contains(keys, e.key)) {
			m.resolve(e, revoked, user)
			n++
		}
	}
	return answer{N: n}
}

func (m *model) get(c call) answer {
	e, errs := m.actOn(c, c.As)
	if errs != nil {
		return refuse(errs...)
	}
	return m.one(e)
}

func (m *model) link(c call, got answer) answer {
	if c.As != "" {
		return refuse(noForbidden)
	}
	e, errs := m.actOn(c, c.As)
	switch {
	case errs != nil:
		return refuse(errs...)
	case e.status != pending:
		return refuse(noPending)
	}
	if errs := m.authority(e, e.role); errs != nil { // Accept would refuse it
		return refuse(errs...)
	}
	if e.key == m.Blocked {
		return refuse(noForbidden)
	}
	a := m.withLink(c, e, answer{Invitations: []shown{{Ticket: got.Link}}})
	return answer{Link: a.Invitations[0].Ticket}
}

func (m *model) preview(c call) answer {
	e, current := m.named(c.Ticket)
	if !current || c.Ticket == "" {
		return refuse(noTicket)
	}
	a := m.one(e)
	a.Invitations[0].OrganizationName = m.Organizations[e.organization]
	if c.As != "" && !m.TicketProvesEmail {
		addresses, known := m.users[c.As]
		if !known {
			return refuse(noFound)
		}
		if !slices.Contains(addresses, e.key) {
			a.Err = noInvitee
		}
	}
	if a.Err == "" {
		a.Err = refusedOn[e.status][toAccept]
	}
	if a.Err != "" {
		a.Invitations[0].Private = "{}"
		return a
	}
	if errs := m.authority(e, e.role); errs != nil {
		return refuse(errs...)
	}
	if e.key == m.Blocked {
		return refuse(noForbidden)
	}
	if takesSeat(e.role, false) && m.noSeat(e.organization, 1) {
		return refuse(noQuota)
	}
	return a
}

func (m *model) delete(c call) answer {
	if c.As != "" {
		return refuse(noForbidden)
	}
	e, errs := m.actOn(c, "")
	switch {
	case errs != nil:
		return refuse(errs...)
	case e.status == pending:
		return refuse(isPending)
	}
	id := e.id
	m.remove(func(e entry) bool { return e.id == id })
	return answer{}
}

// maintain performs the operations reserved for the trusted back end: sweeping and deleting.
func (m *model) maintain(c call, got answer) answer {
	if c.As != "" {
		return refuse(noForbidden)
	}
	switch c.Op {
	case "DeleteOrganization":
		if c.Organization == "" {
			return refuse(noInvalid)
		}
		return answer{N: m.remove(func(e entry) bool { return e.organization == c.Organization })}
	case "EraseEmail":
		key, err := invitation.CanonicalEmail(c.Query)
		if err != nil {
			return refuse(noInvalid)
		}
		return answer{N: m.remove(func(e entry) bool { return e.key == key })}
	}
	if c.Limit < 1 || c.Limit > 100_000 || c.Op == "Purge" && (c.Before.IsZero() || c.Before.After(m.now)) {
		return refuse(noInvalid)
	}
	n := m.expireDue(c.Limit)
	if c.Op == "ExpireDue" {
		return answer{N: n}
	}
	// If there are more than the limit, the contract leaves open which ones go first.
	due := func(e entry) bool {
		return !e.resolved.IsZero() && e.resolved.Before(c.Before) && (e.status != expired || e.swept)
	}
	all := len(slices.DeleteFunc(slices.Clone(m.entries), func(e entry) bool { return !due(e) }))
	n = m.remove(func(e entry) bool { return due(e) && !slices.Contains(got.Left, e.id) })
	want := answer{N: n}
	if n != min(all, c.Limit) {
		want.N = min(all, c.Limit)
	}
	for _, e := range m.entries {
		want.Left = append(want.Left, e.id)
	}
	return want
}

// expireDue sweeps lapsed invitations, oldest first.
func (m *model) expireDue(limit int) int {
	var due []*entry
	for i := range m.entries {
		if e := &m.entries[i]; e.status == expired && !e.swept {
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *entry) int { return cmp.Or(a.expires.Compare(b.expires), cmp.Compare(a.id, b.id)) })
	due = due[:min(limit, len(due))]
	for _, e := range due {
		e.swept = true
	}
	return len(due)
}

func (m *model) remove(which func(entry) bool) int {
	before := len(m.entries)
	m.entries = slices.DeleteFunc(m.entries, which)
	return before - len(m.entries)
}

// list performs every list operation, page by page, and Each.
func (m *model) list(c call, got answer) answer {
	owner := c.Organization
	switch c.Op {
	case "ListAll":
		if owner = ""; c.As != "" {
			return refuse(noForbidden)
		}
	case "ListForUser":
		var ok bool
		if owner, ok = subject(c); !ok {
			return refuse(noForbidden)
		}
	}
	f, errs := m.listed(c, owner)
	if errs != nil {
		return refuse(errs...)
	}
	switch c.Op {
	case "List", "Each":
		if err := m.manages(c.Organization, c.As); err != "" {
			return refuse(err)
		}
	case "ListForUser":
		if _, known := m.users[owner]; !known {
			return refuse(noFound)
		}
		f.keys = m.users[owner]
	}
	var found []entry
	for _, e := range m.entries {
		managed := c.Op != "List" && c.Op != "Each" || m.covers(c.As, &e)
		if managed && f.has(c.Op, e) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, f.compare)
	total := len(found)
	if c.Cursor != "" {
		after := m.cursors[c.Cursor].last
		found = slices.DeleteFunc(found, func(e entry) bool { return f.compare(e, after) <= 0 })
	}
	found = found[min(c.Offset, len(found)):]
	limit := cmp.Or(c.Limit, 10)
	if c.Op == "Each" && c.Limit == 0 {
		limit = len(found)
	}
	want := answer{N: total}
	for _, e := range found[:min(limit, len(found))] {
		s := m.show(&e)
		if c.Op == "ListAll" || c.Op == "ListForUser" {
			s.OrganizationName = m.Organizations[e.organization]
		}
		want.Invitations = append(want.Invitations, s)
	}
	if c.SkipTotal {
		want.N = c.Offset + len(want.Invitations)
	}
	if c.Op == "Each" {
		want.N = 0
		return want
	}
	if len(found) > limit {
		want.Cursor = m.remember(got.Cursor, position{f.scope, found[limit-1]})
	}
	return want
}

// remember stores the meaning of a cursor. Each position has exactly one cursor.
func (m *model) remember(cursor string, p position) string {
	if known, ok := m.cursors[cursor]; cursor == "" || ok && (known.scope != p.scope || known.last.id != p.last.id) {
		return "a cursor of its own"
	}
	m.cursors[cursor] = p
	return cursor
}

// listed is the filter and order of a list.
type listed struct {
	organization    string
	statuses        []string
	keys            []string // the user's; nil means any address
	key, query      string
	orders          []string
	scope           string
	tieIsDescending bool
}

// listed checks the parameters of a list.
func (m *model) listed(c call, owner string) (listed, []string) {
	f := listed{organization: c.Organization, statuses: slices.Clone(c.Statuses)}
	bad := c.Op != "ListAll" && owner == "" || c.Offset < 0 || c.Limit < 0 || c.Cursor != "" && c.Offset != 0 ||
		c.Op != "Each" && c.Limit > m.MaxPerPage
	if c.Op == "ListForUser" && len(f.statuses) == 0 {
		f.statuses = []string{pending}
	}
	for _, s := range f.statuses {
		bad = bad || refusedOn[s] == nil
	}
	slices.Sort(f.statuses)
	f.statuses = slices.Compact(f.statuses)
	for _, o := range c.Orders {
		field := strings.TrimPrefix(o, "-")
		bad = bad || !slices.Contains([]string{"created_at", "email_address", "expires_at"}, field)
		if !slices.Contains(f.orders, field) && !slices.Contains(f.orders, "-"+field) {
			f.orders = append(f.orders, o)
		}
	}
	if f.orders == nil {
		f.orders = []string{"-created_at"}
	}
	f.tieIsDescending = strings.HasPrefix(f.orders[len(f.orders)-1], "-")
	f.query = strings.ToLower(c.Query)
	if len(c.Addresses) == 1 && c.Addresses[0] != "" {
		key, err := invitation.CanonicalEmail(c.Addresses[0])
		f.key, bad = key, bad || err != nil
	}
	if bad {
		return f, []string{noInvalid}
	}
	operation := c.Op
	if operation == "Each" {
		operation = "List"
	}
	f.scope = fmt.Sprint(operation, owner, f.statuses, f.orders, f.query, f.key)
	if c.Cursor != "" && m.cursors[c.Cursor].scope != f.scope {
		return f, []string{noInvalid, noCursor}
	}
	return f, nil
}

func (f listed) has(op string, e entry) bool {
	switch {
	case (op == "List" || op == "Each") && (e.organization != f.organization || e.domain != ""):
	case op == "ListForUser" && !slices.Contains(f.keys, e.key):
	case len(f.statuses) > 0 && !slices.Contains(f.statuses, e.status):
	case !strings.Contains(e.key, f.query):
	case f.key != "" && f.key != e.key:
	default:
		return true
	}
	return false
}

func (f listed) compare(a, b entry) int {
	for _, o := range f.orders {
		field, descending := strings.CutPrefix(o, "-")
		c := map[string]int{
			"created_at":    a.created.Compare(b.created),
			"email_address": strings.Compare(a.key, b.key),
			"expires_at":    a.expires.Compare(b.expires),
		}[field]
		if descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	if f.tieIsDescending {
		a, b = b, a
	}
	return strings.Compare(a.id, b.id)
}

// canonicalJSON returns a JSON object with its keys sorted.
func canonicalJSON(text string) string {
	b, err := json.Marshal(object(text))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func object(text string) map[string]any {
	o := map[string]any{}
	if text == "" {
		return o
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return o
}

// patched applies a merge patch (RFC 7396) to sorted JSON.
func patched(text, patch string) string {
	b, err := json.Marshal(mergePatch(object(text), object(patch)))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func mergePatch(target any, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged, ok := target.(map[string]any)
	if !ok {
		merged = map[string]any{}
	}
	for key, value := range changes {
		if value == nil {
			delete(merged, key)
		} else {
			merged[key] = mergePatch(merged[key], value)
		}
	}
	return merged
}
