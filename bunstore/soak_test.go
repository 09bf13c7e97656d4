package bunstore_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// The soak is a mixed load over a long time. Leaks show as growing goroutines, connections or heap. Rare failures show
// as errors of an unexpected kind, or as a membership without its acceptance.
//
//	go test ./bunstore -run TestSoak -soak=10m -soak.engines=sqlite,postgres -timeout=0 -v

var (
	soakFor     = flag.Duration("soak", 0, "how long the soak takes on each engine; 0 leaves it out")
	soakEngines = flag.String("soak.engines", "sqlite,postgres,mariadb,galera", "the engines that the soak runs on")
)

const (
	soakWorkers = 8
	soakUsers   = 60
	soakSamples = 10 // at least; one a minute in a long run
)

// soakBound is how much later samples may exceed the one after the first quarter: by the goroutines of a driver that is
// just opening a connection, and by this much heap on top of half as much again.
var soakBound = soakSample{goroutines: 4, heap: 8 << 20}

func TestSoak(t *testing.T) {
	if *soakFor <= 0 {
		t.Skip("set -soak to a time, such as 10m, and -timeout=0 to run this")
	}
	for name := range strings.SplitSeq(*soakEngines, ",") {
		t.Run(name, func(t *testing.T) { // one after the other: they share the figures of the process
			e := engines.Named(t, name)
			s := newSoak(t, e)
			s.run(t)
		})
	}
}

// soakJoin records that a Join committed, even if the member has left again.
type soakJoin struct {
	bun.BaseModel `bun:"table:soak_joins"`
	InvitationID  string `bun:",pk"`
	UserID        string
}

// soakHost is tableHost with that record.
type soakHost struct{ tableHost }

func (h soakHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	if err := h.tableHost.Join(ctx, tx, m); err != nil {
		return err
	}
	_, err := bunstore.DB(tx).NewInsert().Model(&soakJoin{InvitationID: m.InvitationID, UserID: m.UserID}).Exec(ctx)
	return err
}

// statements counts the statements that the engine runs.
type statements struct{ n atomic.Int64 }

func (s *statements) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }
func (s *statements) AfterQuery(context.Context, *bun.QueryEvent)                        { s.n.Add(1) }

// soak is a run on one engine.
type soak struct {
	db         *bun.DB
	store      *bunstore.Store
	host       soakHost
	clock      *clock.Fake
	statements statements
	// services holds the services by whether they take the organization's lock.
	free, limited *invitation.Service

	// Workers hold it shared while they call. A sample is taken when no worker is calling.
	quiet sync.RWMutex

	mu      sync.Mutex
	errors  map[string]int // by kind
	latency map[string]*histogram
	wrong   []string // errors of an unexpected kind
}

func newSoak(t *testing.T, e engines.Engine) *soak {
	t.Helper()
	s := &soak{clock: clock.NewFake(dawn), errors: map[string]int{}, latency: map[string]*histogram{}}
	s.db = e.Open(t).WithQueryHook(&s.statements)
	d := newTables(t, e.Name, s.db)
	s.store, s.host = d.store, soakHost{d.host}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	createTables(t, s.db, (*soakJoin)(nil))
	for i := range soakUsers {
		must(s.host.setUser(t.Context(), soakUser(i), []string{soakUser(i) + "@example.com"}))
	}
	for _, organization := range soakOrganizations {
		must(s.host.addOrganization(t.Context(), organization, organization))
		must(s.host.setUser(t.Context(), "ann", []string{"ann@example.com"}))
		must(s.host.setMember(t.Context(), organization, "ann", "org:admin"))
	}
	roles, err := invitation.NewRoles(modelRoles...)
	must(err)
	cfg := invitation.Config{TicketKeys: [][]byte{make([]byte, 32)}, AcceptURL: "https://app.example.com/join",
		Roles: roles, ResendAfter: -1, Clock: s.clock}
	s.free, err = invitation.NewService(s.store, s.host, &cfg)
	must(err)
	cfg.MaxPending, cfg.Seats = 25, s.host.seats(20)
	s.limited, err = invitation.NewService(s.store, s.host, &cfg)
	must(err)
	return s
}

var soakOrganizations = []string{"free-1", "free-2", "limited-1", "limited-2"}

func soakUser(i int) string { return fmt.Sprint("u", i) }

// run lets the workers work until the time is over, and samples in between.
func (s *soak) run(t *testing.T) {
	interval := min(time.Minute, *soakFor/soakSamples)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var workers sync.WaitGroup
	for n := range soakWorkers {
		workers.Go(func() { s.work(ctx, n) })
	}
	began := time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var samples []soakSample
	for time.Since(began) < *soakFor {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			return
		}
		s.quiet.Lock()
		samples = append(samples, s.sample(t, time.Since(began)))
		s.quiet.Unlock()
		t.Log(samples[len(samples)-1])
	}
	stop()
	workers.Wait()
	last := s.sample(t, time.Since(began))
	t.Logf("at the end: %v\n%s", last, s.report())
	s.judge(t, samples, last)
}

// judge compares the end of the run with its first quarter.
func (s *soak) judge(t *testing.T, samples []soakSample, last soakSample) {
	t.Helper()
	for _, wrong := range s.wrong {
		t.Error("neither done nor refused: ", wrong)
	}
	if len(samples) < 4 {
		t.Fatalf("%d samples are too few to compare", len(samples))
	}
	first, loaded := samples[len(samples)/4], samples[len(samples)-1]
	if loaded.goroutines > first.goroutines+soakBound.goroutines || last.goroutines >= loaded.goroutines {
		t.Errorf("goroutines grew from %d to %d, and are %d without workers", first.goroutines, loaded.goroutines,
			last.goroutines)
	}
	for _, later := range []soakSample{loaded, last} {
		if later.heap > first.heap+first.heap/2+soakBound.heap {
			t.Errorf("the heap grew from %d to %d bytes", first.heap, later.heap)
		}
	}
	if last.open > s.db.Stats().MaxOpenConnections || last.inUse != 0 {
		t.Errorf("%d connections are open, %d of them in use", last.open, last.inUse)
	}
	for _, at := range samples {
		if at.inUse != 0 {
			t.Errorf("after %v, when no worker was calling, %d connections were in use", at.after, at.inUse)
		}
	}
	if s.errors[""] == 0 || last.rows == 0 {
		t.Error("nothing was done")
	}
}

// soakSample is the state at one time, while no worker is calling.
type soakSample struct {
	after                   time.Duration
	calls, statements       int64
	goroutines, open, inUse int
	heap                    uint64
	rows, joins             int
}

func (s soakSample) String() string {
	return fmt.Sprintf("after %v: %d calls, %d statements, %d goroutines, %d connections (%d in use), %.1f MB of heap, "+
		"%d invitations, %d joins", s.after.Round(time.Second), s.calls, s.statements, s.goroutines, s.open, s.inUse,
		float64(s.heap)/(1<<20), s.rows, s.joins)
}

func (s *soak) sample(t *testing.T, after time.Duration) soakSample {
	t.Helper()
	rows, joins := s.consistent(t)
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	stats := s.db.Stats()
	sample := soakSample{after: after, statements: s.statements.n.Load(), goroutines: runtime.NumGoroutine(),
		open: stats.OpenConnections, inUse: stats.InUse, heap: mem.HeapAlloc, rows: rows, joins: joins}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.latency {
		sample.calls += h.count
	}
	return sample
}

// consistent checks that an invitation is accepted exactly if its Join committed, and that no member's address is
// pending. It returns the numbers of invitations and joins. It deletes joins of purged invitations.
func (s *soak) consistent(t *testing.T) (rows, joined int) {
	t.Helper()
	ctx := t.Context()
	records, err := s.store.List(ctx, storage.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var joins []soakJoin
	if err := s.db.NewSelect().Model(&joins).Scan(ctx); err != nil {
		t.Fatal(err)
	}
	by := map[string]string{}
	for _, j := range joins {
		by[j.InvitationID] = j.UserID
	}
	members, err := s.host.members(ctx, soakOrganizations)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		accepted := r.Status == accepted
		if accepted && by[r.ID] != r.ResolvedBy || !accepted && by[r.ID] != "" {
			t.Errorf("the invitation %s is %s by %q, but %q joined with it", r.ID, r.Status, r.ResolvedBy, by[r.ID])
		}
		user, _, _ := strings.Cut(r.EmailKey, "@")
		if r.Status == pending && slices.Contains(members, r.OrganizationID+"/"+user+" "+r.Role) {
			t.Errorf("the invitation %s of %s is pending, but %s is a member", r.ID, r.OrganizationID, user)
		}
		delete(by, r.ID)
	}
	if purged := slices.Collect(maps.Keys(by)); len(purged) > 0 {
		_, err := s.db.NewDelete().Model((*soakJoin)(nil)).Where("invitation_id IN (?)", bun.List(purged)).Exec(ctx)
		if err != nil {
			t.Fatal(err)
		}
	}
	return len(records), len(joins) - len(by)
}

// soakRefusals are the refusals in the contract. An aborted call had no effect.
var soakRefusals = []string{"", noFound, noInvitee, noTicket, noDuplicate, noAlreadyMember, noQuota, noPending,
	noExpired, noAccepted, noRevoked, isAborted}

// work runs one worker: it invites, answers, and cleans up.
func (s *soak) work(ctx context.Context, n int) {
	rnd := rand.New(rand.NewPCG(uint64(n), 1))
	var mine []invitation.Invitation // the newest ones
	for i := 0; ctx.Err() == nil; i++ {
		s.quiet.RLock()
		op, err := s.one(context.WithoutCancel(ctx), rnd, &mine, n == 0 && i%20 == 0)
		s.quiet.RUnlock()
		kind := ""
		if err != nil {
			kind = named(err)
		}
		s.mu.Lock()
		s.errors[kind]++
		if !slices.Contains(soakRefusals, kind) && !(kind == isConflict && op == "Create") && len(s.wrong) < 20 {
			s.wrong = append(s.wrong, op+": "+kind+": "+err.Error())
		}
		s.mu.Unlock()
	}
}

// one makes one call, and records how long it took.
func (s *soak) one(ctx context.Context, rnd *rand.Rand, mine *[]invitation.Invitation, clean bool) (string, error) {
	organization := soakOrganizations[rnd.IntN(len(soakOrganizations))]
	user := rnd.IntN(soakUsers)
	op := []string{"Create", "Create", "Create", "Accept", "Accept", "Accept", "Decline", "Revoke", "Resend", "Update",
		"List", "ListForUser", "Get", "leave"}[rnd.IntN(14)]
	inv := invitation.Invitation{ID: "none", OrganizationID: organization}
	if len(*mine) > 0 {
		inv = (*mine)[rnd.IntN(len(*mine))]
	}
	if clean {
		op = []string{"ExpireDue", "Purge"}[rnd.IntN(2)]
	}
	svc := s.free
	if target := inv.OrganizationID; op == "Create" && strings.HasPrefix(organization, "limited") ||
		op != "Create" && strings.HasPrefix(target, "limited") {
		svc = s.limited
	}
	s.clock.Advance(100 * time.Millisecond)
	address, _, _ := strings.Cut(inv.EmailAddress, "@")
	keep := func(inv invitation.Invitation, err error) error {
		if err == nil {
			if *mine = append(*mine, inv); len(*mine) > 16 {
				*mine = slices.Delete(*mine, 0, 1)
			}
		}
		return err
	}
	began := time.Now()
	var err error
	switch op {
	case "Create":
		err = keep(svc.Create(ctx, organization, invitation.CreateParams{EmailAddress: soakUser(user) + "@example.com",
			Role: "org:member", InviterUserID: "ann", Replace: rnd.IntN(3) == 0,
			ExpiresIn: time.Duration(1+rnd.IntN(5)) * time.Minute}))
	case "Accept":
		p := invitation.AcceptParams{OrganizationID: inv.OrganizationID, InvitationID: inv.ID, UserID: soakUser(user)}
		if rnd.IntN(4) > 0 && inv.URL != "" {
			p = invitation.AcceptParams{Ticket: ticketOf(inv.URL), UserID: address}
		}
		_, err = svc.Accept(ctx, p)
	case "Decline":
		_, err = svc.Decline(ctx, invitation.DeclineParams{OrganizationID: inv.OrganizationID, InvitationID: inv.ID,
			UserID: soakUser(user)})
	case "Revoke":
		_, err = svc.Revoke(ctx, inv.OrganizationID, inv.ID, invitation.RevokeParams{RequestingUserID: "ann"})
	case "Resend":
		err = keep(svc.Resend(ctx, inv.OrganizationID, inv.ID, invitation.ResendParams{ExpiresIn: time.Minute}))
	case "Update":
		err = keep(svc.Update(ctx, inv.OrganizationID, inv.ID, invitation.UpdateParams{
			PublicMetadata: metadata(fmt.Sprintf(`{"n":%d}`, user))}))
	case "List":
		_, err = svc.List(ctx, organization, invitation.ListParams{Limit: 50})
	case "ListForUser":
		_, err = svc.ListForUser(ctx, soakUser(user), invitation.ListParams{})
	case "Get":
		_, err = svc.Get(ctx, inv.OrganizationID, inv.ID)
	case "leave":
		err = s.host.removeMember(ctx, organization, soakUser(user))
	case "ExpireDue":
		_, err = svc.ExpireDue(ctx, 500)
	case "Purge": // keeps the table, and with it heap and latency, at one size
		_, err = svc.Purge(ctx, s.clock.Now().Add(-3*time.Minute), 1000)
	}
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latency[op] == nil {
		s.latency[op] = &histogram{}
	}
	s.latency[op].add(took)
	return op, err
}

// report returns the latencies and the errors.
func (s *soak) report() string {
	var b strings.Builder
	for _, op := range slices.Sorted(maps.Keys(s.latency)) {
		h := s.latency[op]
		fmt.Fprintf(&b, "%-12s %8d calls, p50 %8.2f ms, p99 %8.2f ms\n", op, h.count, h.at(0.5), h.at(0.99))
	}
	for _, kind := range slices.Sorted(maps.Keys(s.errors)) {
		fmt.Fprintf(&b, "%8d %s\n", s.errors[kind], map[bool]string{true: "done", false: kind}[kind == ""])
	}
	return b.String()
}

// histogram counts durations in buckets, each 5 % wider than the one before, so that it never grows.
type histogram struct {
	buckets [512]int64
	count   int64
}

const bucketWidth = 1.05

func (h *histogram) add(d time.Duration) {
	i := int(math.Log(math.Max(1, float64(d.Microseconds()))) / math.Log(bucketWidth))
	h.buckets[min(i, len(h.buckets)-1)]++
	h.count++
}

// at returns the duration, in milliseconds, within which this part of the calls returned.
func (h *histogram) at(part float64) float64 {
	var below int64
	for i, n := range h.buckets {
		if below += n; float64(below) >= part*float64(h.count) {
			return math.Pow(bucketWidth, float64(i+1)) / 1000
		}
	}
	return math.Inf(1)
}
