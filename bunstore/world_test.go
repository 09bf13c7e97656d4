package bunstore_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// world is a running service with its host. It answers the calls of the model.
type world struct {
	name        string
	clock       *clock.Fake
	svc, former *invitation.Service
	store       storage.Storage
	host        modelHost
	lastID      string // the last id that the service was given
}

// seatsFunc is a Config.Seats.
type seatsFunc = func(context.Context, storage.Storage, invitation.SeatsRequest) (invitation.SeatsResult, error)

// modelHost is a host application whose users and members a test can change.
type modelHost interface {
	invitation.Directory
	seats(limit int) seatsFunc
	organizations(context.Context, storage.Storage, []string) (map[string]invitation.Organization, error)
	setUser(ctx context.Context, user string, addresses []string) error
	setMember(ctx context.Context, organization, user, role string) error
	removeMember(ctx context.Context, organization, user string) error
	members(ctx context.Context, organizations []string) ([]string, error)
}

// settings returns the configuration of the service under test. Its ids are made from ids, unique and in no order. Only
// one goroutine may create at a time.
func (cfg modelConfig) settings(t testing.TB, w *world, ids string) invitation.Config {
	t.Helper()
	roles, err := invitation.NewRoles(modelRoles...)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	c := invitation.Config{
		TicketKeys: [][]byte{make([]byte, 32)}, AcceptURL: "https://app.example.com/join",
		Roles: roles, ExpiresIn: cfg.ExpiresIn, MaxBulk: cfg.MaxBulk, MaxPending: cmp.Or(cfg.MaxPending, -1),
		ResendAfter: cfg.ResendAfter, SendLimits: cfg.SendLimits,
		TicketProvesEmail: cfg.TicketProvesEmail, IgnoreInviterAuthority: cfg.IgnoreInviter,
		Organizations: w.host.organizations, Clock: w.clock,
		AllowEmail: func(_ context.Context, _ storage.Storage, r invitation.AllowEmailRequest) error {
			if r.EmailAddress == cfg.Blocked {
				return invitation.ErrForbidden
			}
			return nil
		},
		NewID: func() string {
			n++
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", ids, n))
			w.lastID = base64.RawURLEncoding.EncodeToString(sum[:9])
			return w.lastID
		},
	}
	if cfg.Counted {
		c.Seats = w.host.seats(cfg.Seats)
	}
	return c
}

// open creates the services.
func (w *world) open(t testing.TB, cfg modelConfig, ids string) {
	t.Helper()
	c := cfg.settings(t, w, ids)
	var err error
	if w.svc, err = invitation.NewService(w.store, w.host, &c); err != nil {
		t.Fatal(err)
	}
	guest := invitation.RoleDefinition{Key: roleGuest, Name: "Guest"}
	roles, err := invitation.NewRoles(append(slices.Clone(modelRoles), guest)...)
	if err != nil {
		t.Fatal(err)
	}
	c.Roles, c.AllowEmail = roles, nil
	if w.former, err = invitation.NewService(w.store, w.host, &c); err != nil {
		t.Fatal(err)
	}
}

// sentinels are the errors by their names in the model.
var sentinels = map[string]error{
	noInvalid: invitation.ErrInvalid, noCursor: invitation.ErrInvalidCursor, noTicket: invitation.ErrInvalidTicket,
	noFound: invitation.ErrNotFound, noForbidden: invitation.ErrForbidden, noMember: invitation.ErrNotMember,
	noInvitee: invitation.ErrNotInvitee, noDuplicate: invitation.ErrDuplicate,
	noAlreadyMember: invitation.ErrAlreadyMember, noQuota: invitation.ErrQuotaExceeded, noTooSoon: invitation.ErrTooSoon,
	noPending: invitation.ErrNotPending, isPending: invitation.ErrPending,
	noExpired: invitation.ErrExpired, noAccepted: invitation.ErrAccepted,
	noRevoked: invitation.ErrRevoked, noChanged: invitation.ErrChanged, isConflict: invitation.ErrConflict,
	isAborted: invitation.ErrAborted, isUnknown: invitation.ErrOutcomeUnknown,
	isUnavailable: invitation.ErrUnavailable,
}

// named returns the model's name of an error. An error that no sentinel describes is internal.
func named(err error) string {
	var names []string
	for name, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "internal: " + err.Error()
	}
	return refuse(names...).Err
}

// do makes the call.
func (w *world) do(ctx context.Context, c call) answer {
	a, err := w.try(ctx, c)
	if err != nil && c.Op != "Preview" {
		a = answer{}
	}
	if err != nil {
		a.Err = named(err)
	}
	return a
}

func (w *world) try(ctx context.Context, c call) (answer, error) {
	svc := w.svc
	if c.Former {
		svc = w.former
	}
	switch c.As {
	case "":
	case nobody:
		svc = svc.As("")
	default:
		svc = svc.As(c.As)
	}
	one := func(inv invitation.Invitation, err error) (answer, error) {
		if err != nil {
			return answer{}, err
		}
		return answer{Invitations: []shown{seen(inv)}}, nil
	}
	switch c.Op {
	case "Create":
		return one(svc.Create(ctx, c.Organization, c.Drafts[0].params()))
	case "CreateBulk":
		ps := make([]invitation.CreateParams, len(c.Drafts))
		for i, d := range c.Drafts {
			ps[i] = d.params()
		}
		invs, err := svc.CreateBulk(ctx, c.Organization, ps)
		return answer{Invitations: allSeen(invs)}, err
	case "Accept":
		return one(svc.Accept(ctx, c.acceptParams()))
	case "Decline":
		return one(svc.Decline(ctx, invitation.DeclineParams(c.acceptParams())))
	case "Revoke":
		return one(svc.Revoke(ctx, c.Organization, c.ID, invitation.RevokeParams{RequestingUserID: c.User}))
	case "Resend":
		return one(svc.Resend(ctx, c.Organization, c.ID,
			invitation.ResendParams{RequestingUserID: c.User, ExpiresIn: c.ExpiresIn, Role: invitation.Role(c.Role)}))
	case "Update":
		return one(svc.Update(ctx, c.Organization, c.ID, invitation.UpdateParams{
			RequestingUserID: c.User, Role: invitation.Role(c.Role), Terms: c.Terms,
			PublicMetadata: metadata(c.Public), PrivateMetadata: metadata(c.Private),
		}))
	case "RevokeAll":
		n, err := svc.RevokeAll(ctx, invitation.RevokeAllParams{OrganizationID: c.Organization, InviterUserID: c.Query,
			EmailAddresses: c.Addresses, RequestingUserID: c.User})
		return answer{N: n}, err
	case "Get":
		return one(svc.Get(ctx, c.Organization, c.ID))
	case "Link":
		link, err := svc.Link(ctx, c.Organization, c.ID)
		return answer{Link: ticketOf(link)}, err
	case "Preview":
		inv, err := svc.Preview(ctx, c.Ticket)
		if inv.ID == "" {
			return answer{}, err
		}
		return answer{Invitations: []shown{seen(inv)}}, err
	case "ExpireDue":
		n, err := svc.ExpireDue(ctx, c.Limit)
		return answer{N: n}, err
	case "Purge":
		n, err := svc.Purge(ctx, c.Before, c.Limit)
		if err != nil {
			return answer{}, err
		}
		left, err := w.store.List(ctx, storage.Query{})
		a := answer{N: n}
		for _, r := range left {
			a.Left = append(a.Left, r.ID)
		}
		slices.Sort(a.Left)
		return a, err
	case "Delete":
		return answer{}, svc.Delete(ctx, c.Organization, c.ID)
	case "DeleteOrganization":
		n, err := svc.DeleteOrganization(ctx, c.Organization)
		return answer{N: n}, err
	case "EraseEmail":
		n, err := svc.EraseEmail(ctx, c.Query)
		return answer{N: n}, err
	case "List", "ListAll", "ListForUser", "Each":
		return c.list(ctx, svc)
	}
	return w.hostDoes(ctx, c)
}

func (w *world) hostDoes(ctx context.Context, c call) (answer, error) {
	switch c.Op {
	case "Advance":
		w.clock.Advance(c.ExpiresIn)
		return answer{}, nil
	case "SetUser":
		return answer{}, w.host.setUser(ctx, c.User, c.Addresses)
	case "SetMember":
		return answer{}, w.host.setMember(ctx, c.Organization, c.User, c.Role)
	case "RemoveMember":
		return answer{}, w.host.removeMember(ctx, c.Organization, c.User)
	case "Members":
		left, err := w.host.members(ctx, c.Addresses)
		slices.Sort(left)
		return answer{Left: left}, err
	}
	panic("no service does " + c.Op)
}

func (d draft) params() invitation.CreateParams {
	return invitation.CreateParams{
		EmailAddress: d.Address, Role: invitation.Role(d.Role), InviterUserID: d.Inviter, OrganizationDomainID: d.Domain,
		PublicMetadata: metadata(d.Public), ExpiresIn: d.ExpiresIn, Replace: d.Replace,
	}
}

func (c call) acceptParams() invitation.AcceptParams {
	return invitation.AcceptParams{Ticket: c.Ticket, OrganizationID: c.Organization, InvitationID: c.ID, UserID: c.User,
		Terms: c.Terms}
}

func (c call) list(ctx context.Context, svc *invitation.Service) (answer, error) {
	p := invitation.ListParams{Limit: c.Limit, Offset: c.Offset, Cursor: c.Cursor, SkipTotal: c.SkipTotal, Query: c.Query}
	if len(c.Addresses) == 1 {
		p.EmailAddress = c.Addresses[0]
	}
	for _, s := range c.Statuses {
		p.Statuses = append(p.Statuses, invitation.Status(s))
	}
	for _, o := range c.Orders {
		order, err := invitation.ParseOrder(o)
		if err != nil {
			return answer{}, err
		}
		p.OrderBy = append(p.OrderBy, order)
	}
	if c.Op == "Each" {
		var a answer
		for inv, err := range svc.Each(ctx, c.Organization, p) {
			if err != nil {
				return answer{}, err
			}
			a.Invitations = append(a.Invitations, seen(inv))
		}
		return a, nil
	}
	var page invitation.Page
	var err error
	switch c.Op {
	case "List":
		page, err = svc.List(ctx, c.Organization, p)
	case "ListAll":
		page, err = svc.ListAll(ctx, p)
	default:
		page, err = svc.ListForUser(ctx, c.User, p)
	}
	return answer{Invitations: allSeen(page.Data), N: page.TotalCount, Cursor: page.NextCursor}, err
}

func metadata(text string) invitation.Metadata {
	if text == "" {
		return invitation.Metadata{}
	}
	m, err := invitation.ParseMetadata([]byte(text))
	if err != nil {
		panic(err)
	}
	return m
}

func seen(inv invitation.Invitation) shown {
	s := shown{
		ID: inv.ID, Organization: inv.OrganizationID, Domain: inv.OrganizationDomainID, Address: inv.EmailAddress,
		Role: string(inv.Role), RoleName: inv.RoleName, Status: string(inv.Status),
		Public: plain(inv.PublicMetadata), Private: plain(inv.PrivateMetadata), Inviter: inv.InviterUserID,
		Ticket: ticketOf(inv.URL), Created: instant(inv.CreatedAt), Updated: instant(inv.UpdatedAt),
		Expires: instant(inv.ExpiresAt), Sent: instant(inv.SentAt), Resolved: instant(inv.ResolvedAt),
		ResolvedBy: inv.ResolvedBy, Terms: inv.Terms,
	}
	if inv.Organization != nil {
		s.OrganizationName = inv.Organization.Name
	}
	return s
}

func allSeen(invs []invitation.Invitation) []shown {
	var all []shown
	for _, inv := range invs {
		all = append(all, seen(inv))
	}
	return all
}

func plain(m invitation.Metadata) string {
	b, err := m.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return canonicalJSON(string(b))
}

// ticketOf returns the ticket in a link.
func ticketOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	return u.Query().Get("invitation_ticket")
}

// memoryHost adapts invitationtest's host to modelHost.
type memoryHost struct{ *invitationtest.Host }

func (h memoryHost) seats(limit int) seatsFunc {
	return h.Seats(limit, roleObserver)
}

func (h memoryHost) organizations(ctx context.Context, tx storage.Storage, ids []string) (
	map[string]invitation.Organization, error) {
	return h.Organizations(ctx, tx, ids)
}

func (h memoryHost) setUser(_ context.Context, user string, addresses []string) error {
	h.AddUser(user, addresses...)
	return nil
}

func (h memoryHost) setMember(_ context.Context, organization, user, role string) error {
	h.AddMember(organization, user, invitation.Role(role))
	return nil
}

func (h memoryHost) removeMember(_ context.Context, organization, user string) error {
	h.RemoveMember(organization, user)
	return nil
}

func (h memoryHost) members(_ context.Context, organizations []string) ([]string, error) {
	var all []string
	for _, organization := range organizations {
		for _, m := range h.Members(organization) {
			all = append(all, m.OrganizationID+"/"+m.UserID+" "+string(m.Role))
		}
	}
	return all, nil
}

// memoryWorld is a service in memory. Its host has no users yet.
func memoryWorld(t testing.TB, cfg modelConfig, began time.Time) *world {
	t.Helper()
	host := invitationtest.NewHost()
	for id, name := range cfg.Organizations {
		host.AddOrganization(invitation.Organization{ID: id, Name: name})
	}
	w := &world{name: "memstore", clock: clock.NewFake(began), host: memoryHost{host}, store: host.Storage()}
	w.open(t, cfg, "")
	return w
}

type tableOrganization struct {
	bun.BaseModel `bun:"table:model_organizations"`
	ID            string `bun:",pk"`
	Name          string
}

type tableUser struct {
	bun.BaseModel `bun:"table:model_users"`
	ID            string `bun:",pk"`
}

type tableAddress struct {
	bun.BaseModel `bun:"table:model_addresses"`
	UserID        string `bun:",pk"`
	Email         string `bun:",pk"`
}

type tableMember struct {
	bun.BaseModel  `bun:"table:model_members"`
	OrganizationID string `bun:",pk"`
	UserID         string `bun:",pk"`
	Role           string
	InvitationID   string
}

// tableHost is a modelHost that keeps its state in tables beside the invitations.
type tableHost struct {
	db    *bun.DB
	store *bunstore.Store
}

func newTableHost(t testing.TB, db *bun.DB, store *bunstore.Store) tableHost {
	t.Helper()
	createTables(t, db, (*tableOrganization)(nil), (*tableUser)(nil), (*tableAddress)(nil), (*tableMember)(nil))
	return tableHost{db, store}
}

func (h tableHost) Role(ctx context.Context, tx storage.Storage, organization, user string) (invitation.Role, error) {
	var ms []tableMember
	err := bunstore.DB(tx).NewSelect().Model(&ms).
		Where("organization_id = ? AND user_id = ?", organization, user).Scan(ctx)
	if err != nil {
		return "", err
	}
	if len(ms) == 0 {
		return "", invitation.ErrNotMember
	}
	return invitation.Role(ms[0].Role), nil
}

func (h tableHost) MemberEmails(ctx context.Context, tx storage.Storage, organization string, emails []string) (
	[]string, error) {
	db := bunstore.DB(tx)
	var found []string
	err := db.NewSelect().Model((*tableAddress)(nil)).Column("email").Where("LOWER(email) IN (?)", bun.List(emails)).
		Where("user_id IN (SELECT user_id FROM model_members WHERE organization_id = ?)", organization).
		Scan(ctx, &found)
	if err != nil {
		return nil, err
	}
	exists, err := db.NewSelect().Model((*tableOrganization)(nil)).Where("id = ?", organization).Exists(ctx)
	if err == nil && !exists {
		err = invitation.ErrNotFound
	}
	return found, err
}

func (h tableHost) VerifiedEmails(ctx context.Context, tx storage.Storage, user string) ([]string, error) {
	db := bunstore.DB(tx)
	var found []string
	err := db.NewSelect().Model((*tableAddress)(nil)).Column("email").Where("user_id = ?", user).Scan(ctx, &found)
	if err != nil || len(found) > 0 {
		return found, err
	}
	exists, err := db.NewSelect().Model((*tableUser)(nil)).Where("id = ?", user).Exists(ctx)
	if err == nil && !exists {
		err = invitation.ErrNotFound
	}
	return nil, err
}

func (h tableHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	row := tableMember{OrganizationID: m.OrganizationID, UserID: m.UserID, Role: string(m.Role),
		InvitationID: m.InvitationID}
	done, err := bunstore.DB(tx).NewInsert().Ignore().Model(&row).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, invitation.ErrAlreadyMember)
	}
	return nil
}

func (h tableHost) seats(limit int) seatsFunc {
	return func(ctx context.Context, tx storage.Storage, r invitation.SeatsRequest) (invitation.SeatsResult, error) {
		n, err := bunstore.DB(tx).NewSelect().Model((*tableMember)(nil)).
			Where("organization_id = ? AND role <> ?", r.OrganizationID, roleObserver).Count(ctx)
		return invitation.SeatsResult{Members: int(n), Limit: limit}, err
	}
}

func (h tableHost) organizations(ctx context.Context, tx storage.Storage, ids []string) (
	map[string]invitation.Organization, error) {
	var rows []tableOrganization
	err := bunstore.DB(tx).NewSelect().Model(&rows).Where("id IN (?)", bun.List(ids)).Scan(ctx)
	found := map[string]invitation.Organization{}
	for _, o := range rows {
		found[o.ID] = invitation.Organization{ID: o.ID, Name: o.Name}
	}
	return found, err
}

func (h tableHost) addOrganization(ctx context.Context, id, name string) error {
	return h.write(ctx, func(ctx context.Context, tx bun.IDB) error {
		_, err := tx.NewInsert().Model(&tableOrganization{ID: id, Name: name}).Exec(ctx)
		return err
	})
}

// write runs a transaction of the host's, and retries it if the engine aborts it.
func (h tableHost) write(ctx context.Context, fn func(ctx context.Context, tx bun.IDB) error) error {
	return h.store.RunInTx(ctx, func(ctx context.Context, tx storage.Storage) error { return fn(ctx, bunstore.DB(tx)) })
}

func (h tableHost) setUser(ctx context.Context, user string, addresses []string) error {
	return h.write(ctx, func(ctx context.Context, tx bun.IDB) error {
		if _, err := tx.NewInsert().Ignore().Model(&tableUser{ID: user}).Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*tableAddress)(nil)).Where("user_id = ?", user).Exec(ctx); err != nil {
			return err
		}
		for _, a := range addresses {
			if _, err := tx.NewInsert().Model(&tableAddress{UserID: user, Email: a}).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h tableHost) setMember(ctx context.Context, organization, user, role string) error {
	return h.write(ctx, func(ctx context.Context, tx bun.IDB) error {
		_, err := tx.NewDelete().Model((*tableMember)(nil)).
			Where("organization_id = ? AND user_id = ?", organization, user).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&tableMember{OrganizationID: organization, UserID: user, Role: role}).Exec(ctx)
		return err
	})
}

func (h tableHost) removeMember(ctx context.Context, organization, user string) error {
	return h.write(ctx, func(ctx context.Context, tx bun.IDB) error {
		_, err := tx.NewDelete().Model((*tableMember)(nil)).
			Where("organization_id = ? AND user_id = ?", organization, user).Exec(ctx)
		return err
	})
}

func (h tableHost) members(ctx context.Context, organizations []string) ([]string, error) {
	var ms []tableMember
	err := h.db.NewSelect().Model(&ms).Where("organization_id IN (?)", bun.List(organizations)).Scan(ctx)
	var all []string
	for _, m := range ms {
		all = append(all, m.OrganizationID+"/"+m.UserID+" "+m.Role)
	}
	return all, err
}

// tables is a database that serves one service after another.
type tables struct {
	name  string
	host  tableHost
	store *bunstore.Store
}

func newTables(t testing.TB, name string, db *bun.DB) *tables {
	t.Helper()
	store, err := bunstore.New(db, configFor(db))
	is.New(t).NoErr(err)
	is.New(t).NoErr(store.Migrate(t.Context()))
	return &tables{name: name, host: newTableHost(t, db, store), store: store}
}

// world returns a service on the emptied database. Its host has no users yet.
func (d *tables) world(t testing.TB, cfg modelConfig, began time.Time) *world {
	t.Helper()
	ctx := context.Background()
	for _, table := range []string{"organization_invitations", "model_organizations", "model_users", "model_addresses",
		"model_members"} {
		if _, err := d.host.db.ExecContext(ctx, "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
	for id, name := range cfg.Organizations {
		if err := d.host.addOrganization(ctx, id, name); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{name: d.name, clock: clock.NewFake(began), host: d.host, store: d.store}
	w.open(t, cfg, "")
	return w
}
