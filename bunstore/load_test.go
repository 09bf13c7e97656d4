package bunstore_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// A load of invitations for the tests that kill something while it runs, and the check of the data afterwards. Each
// change is identified by its addresses, which no other change shares.

type loadMember struct {
	bun.BaseModel  `bun:"table:load_members"`
	OrganizationID string `bun:",pk"`
	UserID         string `bun:",pk"`
	Role           string
}

// loadEvent is a line of the host's event log. It has its own key, so that a duplicate event shows in the log.
type loadEvent struct {
	bun.BaseModel `bun:"table:load_events"`
	ID            string `bun:",pk"`
	InvitationID  string
	Version       int64
	Type          string
}

// loadDirectory is a host that keeps memberships in a table. The id of a user is their address.
type loadDirectory struct{}

func (loadDirectory) Role(ctx context.Context, tx storage.Storage, organizationID, userID string) (
	invitation.Role, error) {
	var roles []string
	err := bunstore.DB(tx).NewSelect().Model((*loadMember)(nil)).Column("role").
		Where("organization_id = ? AND user_id = ?", organizationID, userID).Scan(ctx, &roles)
	if err != nil {
		return "", err
	}
	if len(roles) == 0 {
		return "", invitation.ErrNotMember
	}
	return invitation.Role(roles[0]), nil
}

func (loadDirectory) MemberEmails(ctx context.Context, tx storage.Storage, organizationID string, emails []string) (
	[]string, error) {
	var found []string
	err := bunstore.DB(tx).NewSelect().Model((*loadMember)(nil)).Column("user_id").
		Where("organization_id = ? AND user_id IN (?)", organizationID, bun.List(emails)).Scan(ctx, &found)
	return found, err
}

func (loadDirectory) VerifiedEmails(_ context.Context, _ storage.Storage, userID string) ([]string, error) {
	return []string{userID}, nil
}

func (loadDirectory) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	member := &loadMember{OrganizationID: m.OrganizationID, UserID: m.UserID, Role: string(m.Role)}
	_, err := bunstore.DB(tx).NewInsert().Model(member).Exec(ctx)
	return err
}

// logEvents writes each event with the version that the invitation has in the same transaction.
func logEvents(ctx context.Context, tx storage.Storage, events []invitation.Event) error {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.Invitation.ID)
	}
	records, err := tx.List(ctx, storage.Query{Filter: storage.Filter{IDs: ids}})
	if err != nil {
		return err
	}
	versions := map[string]int64{}
	for _, r := range records {
		versions[r.ID] = r.Version
	}
	var lines []loadEvent
	for _, e := range events {
		lines = append(lines, loadEvent{
			ID: rand.Text(), InvitationID: e.Invitation.ID, Version: versions[e.Invitation.ID], Type: string(e.Type)})
	}
	_, err = bunstore.DB(tx).NewInsert().Model(&lines).Exec(ctx)
	return err
}

const (
	loadAdmin = "admin@example.com"
	callLimit = time.Minute // a call that takes longer has hung
	bulkSize  = 10
)

// loadOrganizations are two organizations, so that workers share one.
var loadOrganizations = []string{"acme", "globex"}

// buildLoad makes the tables of the host and of the store.
func buildLoad(t testing.TB, db *bun.DB) {
	t.Helper()
	is := is.New(t)
	createTables(t, db, (*loadMember)(nil), (*loadEvent)(nil))
	for _, o := range loadOrganizations {
		admin := &loadMember{OrganizationID: o, UserID: loadAdmin, Role: string(invitation.RoleAdmin)}
		_, err := db.NewInsert().Model(admin).Exec(t.Context())
		is.NoErr(err)
	}
	store, err := bunstore.New(db, configFor(db))
	is.NoErr(err)
	is.NoErr(store.Migrate(t.Context()))
}

func loadService(t testing.TB, db *bun.DB) *invitation.Service {
	t.Helper()
	store, err := bunstore.New(db, configFor(db))
	if err != nil {
		t.Fatal(err)
	}
	svc, err := invitation.NewService(store, loadDirectory{}, &invitation.Config{OnEvents: logEvents, ResendAfter: -1})
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

// The outcomes of a change, as its caller was told. A change that has begun and has no answer yet has none of these.
const (
	acknowledged = "acknowledged"
	refused      = "refused"
	unknown      = "unknown"
)

// change is a line of a journal.
type change struct {
	Worker  string
	Type    invitation.EventType
	Emails  []string // the addresses of the invitations
	Outcome string   `json:",omitempty"`
	Error   string   `json:",omitempty"`
}

// fate is what the callers were told about one invitation.
type fate struct {
	acked []invitation.EventType // in this order
	maybe invitation.EventType   // a last change whose outcome is unknown; "" for none
}

// journal records what callers were told, in one process or several.
type journal struct {
	mu     sync.Mutex
	begun  map[string]change // by worker; not answered yet
	fates  map[string]*fate  // by address
	bulks  [][]string
	counts map[string]int // by outcome
	errors map[string]int // the texts of refusals and unknown outcomes, shortened
}

func newJournal() *journal {
	return &journal{
		begun: map[string]change{}, fates: map[string]*fate{}, counts: map[string]int{}, errors: map[string]int{},
	}
}

func (j *journal) note(c change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.Outcome == "" {
		j.begun[c.Worker] = c
		if len(c.Emails) > 1 {
			j.bulks = append(j.bulks, c.Emails)
		}
		return
	}
	delete(j.begun, c.Worker)
	j.counts[c.Outcome]++
	if c.Error != "" {
		j.errors[c.Outcome+": "+c.Error]++
	}
	for _, email := range c.Emails {
		f := j.fates[email]
		if f == nil {
			f = &fate{}
			j.fates[email] = f
		}
		switch c.Outcome {
		case acknowledged:
			f.acked = append(f.acked, c.Type)
		case unknown:
			f.maybe = c.Type
		}
	}
}

// read copies another process's output to the journal until that process ends. The outcome of a change that was still
// running then is unknown.
func (j *journal) read(r io.Reader, seen *atomic.Int64) error {
	begun := map[string]change{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "{") {
			continue // output of the test binary itself
		}
		var c change
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return fmt.Errorf("%w in %q", err, lines.Text())
		}
		j.note(c)
		if c.Outcome == "" {
			begun[c.Worker] = c
			continue
		}
		delete(begun, c.Worker)
		if c.Outcome == acknowledged {
			seen.Add(1)
		}
	}
	for _, c := range begun {
		c.Outcome = unknown
		j.note(c)
	}
	return lines.Err()
}

// figures summarizes what the callers were told.
func (j *journal) figures() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return fmt.Sprintf("%d acknowledged, %d refused, %d unknown",
		j.counts[acknowledged], j.counts[refused], j.counts[unknown])
}

// load is a set of workers that make changes until they are stopped.
type load struct {
	svc  *invitation.Service
	note func(change)

	stopping  chan struct{}
	once      sync.Once
	wg        sync.WaitGroup
	succeeded atomic.Int64
	workers   []*loadWorker

	mu     sync.Mutex
	back   time.Time     // when the server was back; zero while it is away
	outage time.Duration // the longest that a caller was delayed after that
	late   string        // the failure that came last after that
	wrong  map[string]int
}

type loadWorker struct {
	*load
	name         string
	organization string
	streak       atomic.Int64 // successes since the last failure
}

// startLoad starts workers whose names begin with name. They stop at the end of the test at the latest.
func startLoad(t testing.TB, svc *invitation.Service, name string, workers int, note func(change)) *load {
	l := &load{svc: svc, note: note, stopping: make(chan struct{}), back: time.Now(), wrong: map[string]int{}}
	for i := range workers {
		l.workers = append(l.workers, &loadWorker{
			load: l, name: fmt.Sprintf("%s%d", name, i), organization: loadOrganizations[i%len(loadOrganizations)]})
	}
	for _, w := range l.workers {
		l.wg.Go(w.run)
	}
	t.Cleanup(l.stop)
	return l
}

// stop waits for every call to end.
func (l *load) stop() {
	l.once.Do(func() { close(l.stopping) })
	l.wg.Wait()
}

func (w *loadWorker) stopped() bool {
	select {
	case <-w.stopping:
		return true
	default:
		return false
	}
}

// run makes a bulk, then three single invitations, and so on, and brings each invitation to its end.
func (w *loadWorker) run() {
	ends := [][]invitation.EventType{
		{invitation.EventAccepted},
		{invitation.EventResent, invitation.EventAccepted},
		{invitation.EventRevoked},
		{invitation.EventDeclined},
		{invitation.EventResent, invitation.EventRevoked},
	}
	for n := 0; !w.stopped(); n++ {
		created := w.create(fmt.Sprintf("%s-%d", w.name, n), n%4 == 0)
		for i, inv := range created[:min(len(created), len(ends))] {
			for _, event := range ends[(n+i)%len(ends)] {
				if w.stopped() || !w.change(inv, event) {
					break
				}
			}
		}
	}
}

func (w *loadWorker) create(name string, bulk bool) (created []invitation.Invitation) {
	var ps []invitation.CreateParams
	var emails []string
	for i := range bulkSize {
		emails = append(emails, fmt.Sprintf("%s-%d@example.com", name, i))
		ps = append(ps, invitation.CreateParams{
			EmailAddress: emails[i], Role: invitation.RoleMember, InviterUserID: loadAdmin})
	}
	if !bulk {
		emails = emails[:1]
	}
	w.call(invitation.EventCreated, emails, func(ctx context.Context) (err error) {
		if bulk {
			created, err = w.svc.CreateBulk(ctx, w.organization, ps)
			return err
		}
		inv, err := w.svc.Create(ctx, w.organization, ps[0])
		if err == nil {
			created = []invitation.Invitation{inv}
		}
		return err
	})
	return created
}

// change makes one change and reports whether it is known to have been made.
func (w *loadWorker) change(inv invitation.Invitation, event invitation.EventType) bool {
	answer := invitation.AcceptParams{
		OrganizationID: inv.OrganizationID, InvitationID: inv.ID, UserID: inv.EmailAddress}
	return w.call(event, []string{inv.EmailAddress}, func(ctx context.Context) (err error) {
		switch event {
		case invitation.EventAccepted:
			_, err = w.svc.Accept(ctx, answer)
		case invitation.EventDeclined:
			_, err = w.svc.Decline(ctx, invitation.DeclineParams(answer))
		case invitation.EventResent:
			_, err = w.svc.Resend(ctx, inv.OrganizationID, inv.ID, invitation.ResendParams{RequestingUserID: loadAdmin})
		case invitation.EventRevoked:
			_, err = w.svc.Revoke(ctx, inv.OrganizationID, inv.ID, invitation.RevokeParams{RequestingUserID: loadAdmin})
		}
		return err
	})
}

func (w *loadWorker) call(event invitation.EventType, emails []string, fn func(context.Context) error) bool {
	c := change{Worker: w.name, Type: event, Emails: emails}
	w.note(c)
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	began := time.Now()
	err := fn(ctx)
	hung := ctx.Err() != nil
	cancel()
	wrong := hung
	switch {
	case err == nil:
		c.Outcome = acknowledged
	case errors.Is(err, storage.ErrOutcomeUnknown):
		c.Outcome = unknown
	default:
		c.Outcome = refused
		wrong = hung || !errors.Is(err, storage.ErrAborted) && !errors.Is(err, storage.ErrUnavailable)
	}
	if err != nil {
		c.Error = shorten(err)
	}
	w.note(c)
	w.seen(began, err, wrong)
	if err == nil {
		w.streak.Add(1)
		w.succeeded.Add(1)
		return true
	}
	w.streak.Store(0)
	select { // a caller does not flood a server that is away
	case <-w.stopping:
	case <-time.After(10 * time.Millisecond):
	}
	return false
}

// seen measures how long callers were delayed after the server was back. An error is wrong if it does not tell the
// caller that the server is at fault and nothing was written: the changes of the load never conflict with each other.
func (l *load) seen(began time.Time, err error, wrong bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wrong {
		text := "it succeeded"
		if err != nil {
			text = shorten(err)
		}
		l.wrong[text]++
	}
	if l.back.IsZero() {
		return
	}
	hindered := time.Since(l.back)
	if err == nil {
		if began.After(l.back) {
			return // slow perhaps, but it succeeded
		}
	} else {
		l.late = err.Error()
	}
	l.outage = max(l.outage, hindered)
}

// away records that the server is about to go.
func (l *load) away() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back = time.Time{}
}

// returned records that the server is back.
func (l *load) returned() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back = time.Now()
}

// proceed waits until the load has made n more changes.
func (l *load) proceed(t testing.TB, n int64) {
	t.Helper()
	goal := l.succeeded.Load() + n
	within(t, callLimit, "the load made no progress", func() bool { return l.succeeded.Load() >= goal })
}

// settle waits until every worker works without errors.
func (l *load) settle(t testing.TB) {
	t.Helper()
	for _, w := range l.workers {
		w.streak.Store(0)
	}
	within(t, callLimit, "calls kept failing", func() bool {
		return !slices.ContainsFunc(l.workers, func(w *loadWorker) bool { return w.streak.Load() < 5 })
	})
}

// within polls until done.
func within(t testing.TB, limit time.Duration, otherwise string, done func() bool) {
	t.Helper()
	for until := time.Now().Add(limit); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s after %v", otherwise, limit)
		}
	}
}

var (
	addresses = regexp.MustCompile(`[0-9.]+:[0-9]+`)
	databases = regexp.MustCompile(`database=\w+`)
)

// shorten removes from an error what differs from call to call.
func shorten(err error) string {
	text := err.Error()
	for _, sentinel := range []error{storage.ErrAborted, storage.ErrUnavailable, storage.ErrOutcomeUnknown} {
		if _, cause, ok := strings.Cut(text, sentinel.Error()+": "); ok && errors.Is(err, sentinel) {
			text = sentinel.Error() + ": " + cause
		}
	}
	text = addresses.ReplaceAllString(text, "…")
	return strings.Join(strings.Fields(databases.ReplaceAllString(text, "database=…")), " ")
}

// check compares the stored data with what the callers were told, and returns how many of the unknown changes were
// made. Exactly the accepted invitations have a membership, and each invitation's event log has the versions from 1 on.
func (j *journal) check(t testing.TB, db *bun.DB) (committed int) {
	t.Helper()
	is := is.New(t)
	store, err := bunstore.New(db, configFor(db))
	is.NoErr(err)
	records, err := store.List(t.Context(), storage.Query{})
	is.NoErr(err)
	var members []loadMember
	is.NoErr(db.NewSelect().Model(&members).Where("user_id <> ?", loadAdmin).Scan(t.Context()))
	var events []loadEvent
	is.NoErr(db.NewSelect().Model(&events).Order("invitation_id", "version").Scan(t.Context()))

	member := map[[2]string]bool{}
	for _, m := range members {
		member[[2]string{m.OrganizationID, m.UserID}] = true
	}
	logs := map[string][]loadEvent{}
	for _, e := range events {
		logs[e.InvitationID] = append(logs[e.InvitationID], e)
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	for worker, c := range j.begun {
		t.Errorf("worker %s has no answer to %s %v", worker, c.Type, c.Emails)
	}
	stored := map[string]bool{}
	accepted := 0
	for _, r := range records {
		log := logs[r.ID]
		delete(logs, r.ID)
		f := j.fates[r.EmailAddress]
		if f == nil || stored[r.EmailAddress] {
			t.Errorf("%s is stored twice, or no caller created it", r.EmailAddress)
			continue
		}
		stored[r.EmailAddress] = true
		happened := make([]invitation.EventType, len(log))
		for i, e := range log {
			happened[i] = invitation.EventType(e.Type)
			if e.Version != int64(i)+1 {
				t.Errorf("%s: event %d of its log has version %d", r.EmailAddress, i+1, e.Version)
			}
		}
		if r.Version != int64(len(log)) || len(log) > 0 && r.Status != statusAfter(happened[len(log)-1]) {
			t.Errorf("%s is %s, version %d, and its log says %v", r.EmailAddress, r.Status, r.Version, happened)
		}
		if is := member[[2]string{r.OrganizationID, r.EmailAddress}]; is != (r.Status == string(invitation.StatusAccepted)) {
			t.Errorf("%s is %s, and membership is %t", r.EmailAddress, r.Status, is)
		} else if is {
			accepted++
		}
		switch {
		case slices.Equal(happened, f.acked):
		case f.maybe != "" && slices.Equal(happened, append(slices.Clone(f.acked), f.maybe)):
			committed++
		default:
			t.Errorf("%s: acknowledged %v, unknown %q, stored %v", r.EmailAddress, f.acked, f.maybe, happened)
		}
	}
	for id, log := range logs {
		t.Errorf("%d events of an invitation that is not stored, %s", len(log), id)
	}
	if accepted != len(members) {
		t.Errorf("%d memberships for %d accepted invitations", len(members), accepted)
	}
	for email, f := range j.fates {
		if len(f.acked) > 0 && !stored[email] {
			t.Errorf("%s is lost: acknowledged %v", email, f.acked)
		}
	}
	for _, emails := range j.bulks {
		n := 0
		for _, email := range emails {
			if stored[email] {
				n++
			}
		}
		if n != 0 && n != len(emails) {
			t.Errorf("%d of the %d invitations of a bulk are stored: %v", n, len(emails), emails)
		}
		if f := j.fates[emails[0]]; f.maybe == invitation.EventCreated && n == len(emails) {
			committed -= n - 1 // one change
		}
	}
	for _, text := range slices.Sorted(maps.Keys(j.errors)) {
		t.Logf("%5d × %s", j.errors[text], text)
	}
	return committed
}

func statusAfter(event invitation.EventType) string {
	switch event {
	case invitation.EventAccepted:
		return string(invitation.StatusAccepted)
	case invitation.EventDeclined:
		return string(invitation.StatusDeclined)
	case invitation.EventRevoked:
		return string(invitation.StatusRevoked)
	}
	return string(invitation.StatusPending)
}

// leftInTransaction counts idle connections that are in a transaction. To do so it takes every connection that the pool
// may open.
func leftInTransaction(t testing.TB, db *bun.DB) int {
	t.Helper()
	ask := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in trans%'"
	switch db.Dialect().Name() {
	case dialect.SQLite:
		return 0 // an open transaction would keep all others from writing, and they would have noticed
	case dialect.MySQL:
		ask = "SELECT @@in_transaction"
	}
	left := 0
	for range db.Stats().MaxOpenConnections {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		var n int
		if err := conn.QueryRowContext(t.Context(), ask).Scan(&n); err != nil {
			t.Fatal(err)
		}
		left = max(left, n)
	}
	return left
}

// finish stops the load and checks everything: the changes, how soon calls succeeded after the server was back, and
// that no connection is left in a transaction.
func (l *load) finish(t testing.TB, j *journal, db *bun.DB, bound time.Duration) {
	t.Helper()
	l.stop()
	committed := j.check(t, db)
	t.Logf("%s (%d of them made); outage after the return %v", j.figures(), committed, l.outage.Round(time.Millisecond))
	for text, n := range l.wrong {
		t.Errorf("%d calls hung, or failed without saying that nothing was written: %s", n, text)
	}
	if l.outage > bound {
		t.Errorf("calls failed for %v after the server was back; the last: %s", l.outage, l.late)
	}
	within(t, 5*time.Second, "a connection is left in a transaction", func() bool {
		return leftInTransaction(t, db) == 0
	})
}
