package bunstore_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/bunstore/internal/faults"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// Several clients work on the invitations of one address at once. There must be an order of their calls, consistent
// with real time, in which the model gives the same answers: a call that returned before another was made comes first.
// Invitations and members share one history, so that each is checked against the other.

func TestLinearizable(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		n := bySize(10, 100, 1_000)
		if e.Variable == "" {
			n = bySize(30, 100, 1_000)
		}
		if bunstore.Slow {
			n = max(1, n/5)
		}
		newRecorder(t, e.Name, e.Open(t)).histories(t, n)
	})
}

// The same while connections are lost, many of them at COMMIT: before it takes effect, or afterwards with the answer. A
// call whose outcome is unknown took full effect or none.
func TestLinearizableWithLostConnections(t *testing.T) {
	var list []engines.Engine
	for _, e := range engines.All() {
		if !e.Single { // otherwise the database is lost with its connection
			list = append(list, e)
		}
	}
	engines.On(t, list, func(t *testing.T, e engines.Engine) {
		n := bySize(5, 50, 300)
		if bunstore.Slow {
			n = max(1, n/5)
		}
		var lossy atomic.Bool
		db := e.Wrapped(t, e.New(t), func(c driver.Connector) driver.Connector {
			return faults.Wrap(c, func(c faults.Call) faults.Fault {
				once := map[faults.Op]int{faults.Commit: 6, faults.Exec: 40, faults.Query: 40, faults.Begin: 40}[c.Op]
				if !lossy.Load() || once == 0 || rand.IntN(once) > 0 {
					return faults.Fault{}
				}
				f := faults.Fault{Kind: []faults.Kind{faults.Drop, faults.DropAfter}[rand.IntN(2)], Err: driver.ErrBadConn}
				if c.Op == faults.Commit { // where the error proves nothing
					f.Err = faults.ErrClosed
				}
				return f
			})
		})
		r := newRecorder(t, e.Name, db)
		r.lossy = &lossy
		r.histories(t, n)
		if r.unknown == 0 && n > 10 {
			t.Error("no outcome was ever unknown")
		}
	})
}

func newRecorder(t *testing.T, name string, db *bun.DB) *recorder {
	t.Helper()
	d := newTables(t, name, db)
	for user, addresses := range slotUsers {
		if err := d.host.setUser(t.Context(), user, addresses); err != nil {
			t.Fatal(err)
		}
	}
	return &recorder{tables: d, host: busyHost{d.host}, lossy: new(atomic.Bool)}
}

// histories makes n histories and judges each.
func (r *recorder) histories(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		r.history(t, i)
	}
	t.Logf("%d histories on %s, half of them with the organization's lock; %d operations, %d of them refused, "+
		"%d aborted, %d unavailable, %d with an unknown outcome, %d conflicts", n, r.tables.name, r.operations, r.refused,
		r.aborted, r.unavailable, r.unknown, r.conflicts)
	if wrong := r.wrong; wrong != [4]int{} {
		t.Errorf("not linearizable: %d without a lock, %d with MaxPending, %d with Seats",
			wrong[0]+wrong[2], wrong[1], wrong[3])
	}
}

// slotUsers are the users of the histories: both u1 and twin own the address. The other user makes limits matter.
var slotUsers = map[string][]string{
	"ann":  {"ann@example.com"},
	"u1":   {"u1@example.com"},
	"twin": {"u1@example.com"},
}

// slotConfig returns the configuration of the service for a history: every second one takes the organization's lock.
func slotConfig(organization string, i int) modelConfig {
	cfg := modelConfig{ResendAfter: -1, ExpiresIn: 24 * time.Hour, MaxBulk: 4, MaxPerPage: 500,
		Organizations: map[string]string{organization: "Slot"}}
	switch i % 4 {
	case 1:
		cfg.MaxPending = 1
	case 3:
		cfg.Counted, cfg.Seats = true, 2
	}
	return cfg
}

// slotModel returns the state that a history begins with.
func slotModel(organization string, cfg modelConfig) *model {
	m := newModel(cfg)
	m.users = slotUsers
	m.members[membership{organization, "ann"}] = "org:admin"
	return m
}

// busyHost makes further statements of its own in the transaction, as a host's directory does, so that other clients
// run between the service's reads and its writes.
type busyHost struct{ tableHost }

func (h busyHost) MemberEmails(ctx context.Context, tx storage.Storage, organization string, emails []string) (
	[]string, error) {
	found, err := h.tableHost.MemberEmails(ctx, tx, organization, emails)
	if err != nil {
		return nil, err
	}
	return found, h.work(ctx, tx)
}

func (h busyHost) Join(ctx context.Context, tx storage.Storage, m invitation.Membership) error {
	if err := h.tableHost.Join(ctx, tx, m); err != nil {
		return err
	}
	return h.work(ctx, tx)
}

func (h busyHost) work(ctx context.Context, tx storage.Storage) error {
	for range rand.IntN(8) {
		var n int
		if err := bunstore.DB(tx).NewRaw("SELECT 1").Scan(ctx, &n); err != nil {
			return err
		}
	}
	return nil
}

// recorder makes histories and judges them.
type recorder struct {
	tables                                  *tables
	host                                    busyHost
	lossy                                   *atomic.Bool // connections may be lost
	operations, refused, aborted, conflicts int
	unavailable, unknown                    int
	wrong                                   [4]int // histories that failed, by configuration
}

// board holds what clients have learned from each other's answers, the newest last.
type board struct {
	mu      sync.Mutex
	ids     []string
	tickets []string
	terms   map[string]string
}

func (b *board) post(a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, inv := range a.Invitations {
		if !slices.Contains(b.ids, inv.ID) {
			b.ids = append(b.ids, inv.ID)
		}
		if inv.Ticket != "" && !slices.Contains(b.tickets, inv.Ticket) {
			b.tickets = append(b.tickets, inv.Ticket)
		}
		b.terms[inv.ID] = inv.Terms
	}
}

// recent returns one of the last entries, or otherwise if there are none.
func recent(rnd *rand.Rand, all []string, otherwise string) string {
	if len(all) == 0 {
		return otherwise
	}
	return all[max(0, len(all)-1-rnd.IntN(2))]
}

// history makes one history and judges it. The calls of a client depend on the number of the history and on the answers
// that others received.
func (r *recorder) history(t *testing.T, i int) {
	t.Helper()
	ctx := t.Context()
	organization := fmt.Sprintf("slot-%d", i)
	cfg := slotConfig(organization, i)
	if err := r.host.addOrganization(ctx, organization, "Slot"); err != nil {
		t.Fatal(err)
	}
	if err := r.host.setMember(ctx, organization, "ann", "org:admin"); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(uint64(i), 1))
	clients := make([]*client, 3+rnd.IntN(3))
	known := &board{terms: map[string]string{}}
	now, began := clock.NewFake(dawn), time.Now()
	for n := range clients {
		w := &world{name: r.tables.name, clock: now, store: r.tables.store, host: r.host}
		w.open(t, cfg, fmt.Sprint(organization, n))
		clients[n] = &client{id: n, world: w, board: known, organization: organization, began: began,
			rnd: rand.New(rand.NewPCG(uint64(i), uint64(n+2)))}
	}
	for _, c := range slotPrefix(rnd, organization) {
		clients[0].call(ctx, c)
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, c := range clients {
		calls := 3 + c.rnd.IntN(3)
		wg.Go(func() {
			<-start
			for range calls {
				c.call(ctx, c.draw())
			}
		})
	}
	r.lossy.Store(true)
	close(start)
	wg.Wait()
	r.lossy.Store(false)
	clients[0].call(ctx, call{Op: "List", Organization: organization, Limit: 500, SkipTotal: true})
	clients[0].call(ctx, call{Op: "Members", Addresses: []string{organization}})

	var history []porcupine.Operation
	for _, c := range clients {
		history = append(history, c.recorded...)
	}
	history = r.count(history)
	for _, op := range history {
		if a := op.Output.(answer); strings.HasPrefix(a.Err, "internal") {
			t.Fatalf("history %d on %s: neither done nor refused:\n%s", i, r.tables.name, readable(history, nil))
		}
	}
	if wrong := judge(slotModel(organization, cfg), history); wrong != "" {
		r.wrong[i%4]++
		if !t.Failed() { // one is enough to read
			t.Errorf("history %d on %s (MaxPending %d, Seats %d): %s", i, r.tables.name, cfg.MaxPending, cfg.Seats, wrong)
		}
	}
}

// count tallies a history, and drops operations that had no effect and tell nothing about the state.
func (r *recorder) count(history []porcupine.Operation) []porcupine.Operation {
	r.operations += len(history)
	var judged []porcupine.Operation
	for _, op := range history {
		c, a := op.Input.(call), op.Output.(answer)
		switch {
		case strings.Contains(a.Err, isUnknown):
			r.unknown++
		case strings.Contains(a.Err, isUnavailable):
			r.unavailable++
			continue
		case strings.Contains(a.Err, isAborted):
			r.aborted++
			continue
		case a.Err == isConflict && c.Op == "Create" && c.Drafts[0].Replace: // another client replaced it too
			r.conflicts++
			continue
		case a.Err != "" && r.tables.name == "galera":
			// Refused transactions are not certified between nodes: a refusal may rest on two different
			// states.
			r.refused++
			continue
		case a.Err != "":
			r.refused++
		}
		judged = append(judged, op)
	}
	return judged
}

// slotPrefix returns the calls that come before those of the clients.
func slotPrefix(rnd *rand.Rand, organization string) []call {
	create := call{Op: "Create", Organization: organization,
		Drafts: []draft{{Address: "u1@example.com", Role: "org:member", Inviter: "ann", ExpiresIn: time.Minute}}}
	lapse := call{Op: "Advance", ExpiresIn: time.Minute}
	switch rnd.IntN(4) {
	case 1:
		return []call{create}
	case 2:
		return []call{create, lapse}
	case 3:
		return []call{create, lapse, create}
	}
	return nil
}

// client makes calls and records them.
type client struct {
	id           int
	world        *world
	board        *board
	organization string
	began        time.Time
	rnd          *rand.Rand
	recorded     []porcupine.Operation
}

func (c *client) call(ctx context.Context, in call) {
	op := porcupine.Operation{ClientId: c.id, Input: in, Call: int64(time.Since(c.began))}
	a := c.world.do(ctx, in)
	op.Output, op.Return = a, int64(time.Since(c.began))
	if strings.Contains(a.Err, isUnknown) { // it may take effect at any later time
		op.Output = answer{Err: isUnknown, Invitations: []shown{{ID: c.world.lastID}}}
		op.Return = int64(time.Hour)
	}
	c.recorded = append(c.recorded, op)
	c.board.post(a)
}

// draw returns the next call of this client.
func (c *client) draw() call {
	b := c.board
	b.mu.Lock()
	defer b.mu.Unlock()
	chance := func(n int) bool { return c.rnd.IntN(n) == 0 }
	one := call{Organization: c.organization, ID: recent(c.rnd, b.ids, "none yet")}
	operations := []string{
		"Create", "Create", "Create", "Create", "Accept", "Accept", "Accept", "Accept", "Accept", "Decline",
		"Revoke", "Revoke", "Resend", "Resend", "Update", "Update", "Get", "Get", "Get", "Link", "List", "RemoveMember",
	}
	if len(b.ids) == 0 {
		operations = []string{"Create", "Create", "Create", "List"}
	}
	switch one.Op = operations[c.rnd.IntN(len(operations))]; one.Op {
	case "Create":
		d := draft{Address: "u1@example.com", Role: "org:member", Replace: chance(4)}
		if chance(6) {
			d.Address = "u2@example.com"
		}
		if chance(2) {
			d.Inviter = "ann"
		}
		return call{Op: "Create", Organization: c.organization, Drafts: []draft{d}}
	case "Accept", "Decline":
		one.User = []string{"u1", "u1", "twin"}[c.rnd.IntN(3)]
		switch {
		case chance(4):
			one.Terms = b.terms[one.ID]
		case chance(2):
			one.Organization, one.ID, one.Ticket = "", "", recent(c.rnd, b.tickets, "forged")
		}
	case "Revoke", "Resend":
		if chance(2) {
			one.User = "ann"
		}
	case "Update":
		if one.Public = fmt.Sprintf(`{"by":%d}`, c.id); chance(2) {
			one.Public, one.Role = "", []string{"org:member", "org:lead"}[c.rnd.IntN(2)]
		}
		if chance(3) {
			one.Terms = b.terms[one.ID]
		}
	case "List":
		return call{Op: "List", Organization: c.organization, Limit: 500, SkipTotal: true}
	case "RemoveMember":
		return call{Op: "RemoveMember", Organization: c.organization, User: []string{"u1", "twin"}[c.rnd.IntN(2)]}
	}
	return one
}

// slotLinearizable is the model in the form that porcupine needs. A state is copied, never changed. A call whose
// outcome is unknown took effect or did not.
func slotLinearizable(begin *model) porcupine.Model {
	slot := porcupine.NondeterministicModel{
		Init: func() []any { return []any{begin} },
		Step: func(state, input, output any) []any {
			before, c, got := state.(*model), input.(call), output.(answer)
			after := before.clone()
			want := after.do(c, got)
			switch {
			case got.Err == isUnknown && want.Err == "":
				return []any{before, after}
			case got.Err == isUnknown:
				return []any{before}
			case got.Err == noQuota && want.Err != "":
				// The host removes members without the lock, so the call may see the seats at one
				// moment and the members at another.
				return []any{before}
			case !reflect.DeepEqual(want, got):
				return nil
			}
			return []any{after}
		},
		Equal: func(a, b any) bool { return a.(*model).equal(b.(*model)) },
	}
	return slot.ToModel()
}

// judge returns "" if the model explains a history. Otherwise it returns the history in the order of its calls, and
// marks the calls that the longest explanation leaves out.
func judge(begin *model, history []porcupine.Operation) string {
	verdict, info := porcupine.CheckOperationsVerbose(slotLinearizable(begin), history, time.Minute)
	if verdict == porcupine.Ok {
		return ""
	}
	var longest []porcupine.Operation
	for _, partial := range info.PartialLinearizationsOperations() {
		for _, explained := range partial {
			if len(explained) > len(longest) {
				longest = explained
			}
		}
	}
	return fmt.Sprintf("linearizable: %s; marked is what does not fit\n%s", verdict, readable(history, longest))
}

// readable prints a history in the order of its calls, and marks those that are not explained.
func readable(history, explained []porcupine.Operation) string {
	history = slices.Clone(history)
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range history {
		mark := "*"
		for at, e := range explained {
			if e.ClientId == op.ClientId && e.Call == op.Call {
				mark = fmt.Sprint(at + 1)
			}
		}
		fmt.Fprintf(&b, "%3s client %d, %8.3f to %8.3f ms: %v\n        %v\n", mark, op.ClientId,
			float64(op.Call)/1e6, float64(op.Return)/1e6, op.Input, op.Output)
	}
	return b.String()
}

// The judge does not accept every history.
func TestLinearizableRefusesWrongHistories(t *testing.T) {
	is := is.New(t)
	begin := slotModel("slot", slotConfig("slot", 0))
	create := call{Op: "Create", Organization: "slot", Drafts: []draft{{Address: "u1@example.com", Role: "org:member"}}}
	on := func(op string) call { return call{Op: op, Organization: "slot", ID: "1"} }
	by := func(op, user string) call { c := on(op); c.User = user; return c }
	// answered returns the model's answer to the last of these calls, made after the others.
	answered := func(calls ...call) answer {
		m := begin.clone()
		var a answer
		for i, c := range calls {
			id := fmt.Sprint(i + 1)
			a = m.do(c, answer{Invitations: []shown{{ID: id, Ticket: "ticket " + id}}})
		}
		return a
	}
	created := answered(create)
	is.Equal(created.Err, "")
	type step struct {
		from, to int64
		call
		answer
	}
	judged := func(steps ...step) bool {
		var history []porcupine.Operation
		for i, s := range steps {
			history = append(history,
				porcupine.Operation{ClientId: i, Input: s.call, Output: s.answer, Call: s.from, Return: s.to})
		}
		return judge(begin, history) == ""
	}
	first := step{0, 1, create, created}
	acceptU1, acceptTwin := by("Accept", "u1"), by("Accept", "twin")
	u1, twin := answered(create, acceptU1), answered(create, acceptTwin)
	revoke, wasRevoked := on("Revoke"), answered(create, on("Revoke"))
	pendingNow := answered(create, on("Get"))
	second := answered(create, on("Revoke"), create) // with another id

	// Two users accept: the second is told that the invitation is already accepted.
	is.True(!judged(first, step{2, 9, acceptU1, u1}, step{2, 9, acceptTwin, twin}))
	is.True(judged(first, step{2, 9, acceptU1, u1}, step{2, 9, acceptTwin, refuse(noAccepted)}))
	// Accept and Revoke: in either order one is refused. After an acknowledged Revoke, it is Accept.
	is.True(!judged(first, step{2, 9, acceptU1, u1}, step{2, 9, revoke, wasRevoked}))
	is.True(judged(first, step{2, 9, acceptU1, u1}, step{2, 9, revoke, refuse(noPending)}))
	is.True(judged(first, step{2, 9, acceptU1, refuse(noRevoked)}, step{2, 9, revoke, wasRevoked}))
	is.True(!judged(first, step{2, 3, revoke, wasRevoked}, step{4, 5, acceptU1, u1}))
	is.True(!judged(first, step{2, 3, revoke, wasRevoked}, step{4, 5, acceptU1, refuse(noRevoked)},
		step{6, 7, revoke, wasRevoked}))
	// A Get that overlaps the Revoke may still find the invitation pending; one that follows it may not.
	is.True(judged(first, step{2, 5, revoke, wasRevoked}, step{3, 6, on("Get"), pendingNow}))
	is.True(!judged(first, step{2, 3, revoke, wasRevoked}, step{4, 5, on("Get"), pendingNow}))
	// Two pending invitations in one slot, and one for the address of a member.
	is.True(!judged(first, step{0, 3, create, second}))
	is.True(judged(first, step{0, 3, create, refuse(noDuplicate)}))
	is.True(!judged(first, step{2, 3, acceptU1, u1}, step{2, 9, create, second}))
	is.True(judged(first, step{2, 3, acceptU1, u1}, step{2, 9, create, refuse(noAlreadyMember)}))
	// The outcome is unknown: later calls may find it done or not done, but not both.
	unknown := step{2, 99, revoke, answer{Err: isUnknown, Invitations: []shown{{ID: "1"}}}}
	is.True(judged(first, unknown, step{4, 5, on("Get"), pendingNow}))
	is.True(judged(first, unknown, step{4, 5, acceptU1, refuse(noRevoked)}))
	is.True(!judged(first, unknown, step{4, 5, acceptU1, refuse(noRevoked)}, step{6, 7, on("Get"), pendingNow}))
	lost := step{0, 99, create, answer{Err: isUnknown, Invitations: []shown{{ID: "1"}}}}
	is.True(judged(lost, step{2, 3, on("Get"), pendingNow}))
	is.True(judged(lost, step{2, 3, on("Get"), refuse(noFound)}, step{4, 5, on("Get"), pendingNow}))
	is.True(!judged(lost, step{2, 3, on("Get"), pendingNow}, step{4, 5, on("Get"), refuse(noFound)}))
}
