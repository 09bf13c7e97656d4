package bunstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/clock"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

// Several clients work on the invitations of one address at once. Whatever they were answered must be what the model
// answers to the same calls one after the other, in an order in which no call comes before one that had returned when
// it was made. Invitations and members are in one history, so that each is judged by the other.

func TestLinearizable(t *testing.T) {
	engines.On(t, engines.All(), func(t *testing.T, e engines.Engine) {
		n := bySize(10, 100, 1_000)
		if e.Variable == "" {
			n = bySize(30, 100, 1_000)
		}
		if bunstore.Slow {
			n = max(1, n/5)
		}
		db := e.Open(t)
		d := newTables(t, e.Name, db)
		d.world(t, slotConfig("", 0), dawn)
		r := &recorder{tables: d, host: busyHost{d.host}}
		for user, addresses := range slotUsers {
			if err := d.host.setUser(t.Context(), user, addresses); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			r.history(t, i)
		}
		t.Logf("%d histories on %s, half of them with the organization's lock; %d operations, %d of them refused, "+
			"%d aborted, %d conflicts", n, e.Name, r.operations, r.refused, r.aborted, r.conflicts)
	})
}

// slotUsers are the users of the histories: both u1 and twin own the address.
var slotUsers = map[string][]string{
	"ann":  {"ann@example.com"},
	"u1":   {"u1@example.com"},
	"twin": {"u1@example.com", "u2@example.com"},
}

// slotConfig is what the service of a history works with: every second one takes the organization's lock.
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

// slotModel is the state that a history begins with.
func slotModel(organization string, cfg modelConfig) *model {
	m := newModel(cfg)
	m.users = slotUsers
	m.members[membership{organization, "ann"}] = "org:admin"
	return m
}

// busyHost makes further statements of its own in the transaction, as a host's directory does, so that others get
// between what the service reads and what it writes.
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
	operations, refused, aborted, conflicts int
}

// board is what clients know of each other's answers: the newest last.
type board struct {
	mu       sync.Mutex
	ids      []string
	tickets  []string
	versions map[string]int64
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
		b.versions[inv.ID] = inv.Version
	}
}

// recent is one of the last ones, or otherwise.
func recent(rnd *rand.Rand, all []string, otherwise string) string {
	if len(all) == 0 {
		return otherwise
	}
	return all[max(0, len(all)-1-rnd.IntN(2))]
}

// history makes one history and judges it. What a client calls is decided by the number of the history and by what
// others were answered.
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
	known := &board{versions: map[string]int64{}}
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
	close(start)
	wg.Wait()
	clients[0].call(ctx, call{Op: "List", Organization: organization, Limit: 500, SkipTotal: true})
	clients[0].call(ctx, call{Op: "Members", Addresses: []string{organization}})

	var history []porcupine.Operation
	for _, c := range clients {
		history = append(history, c.recorded...)
	}
	history = r.count(history)
	for _, op := range history {
		if a := op.Output.(answer); strings.HasPrefix(a.Err, "internal") {
			t.Fatalf("history %d on %s: neither done nor refused:\n%s", i, r.tables.name, readable(history))
		}
	}
	if verdict := judge(slotModel(organization, cfg), history); verdict != porcupine.Ok {
		t.Fatalf("history %d on %s (MaxPending %d, Seats %d): linearizable: %s\n%s",
			i, r.tables.name, cfg.MaxPending, cfg.Seats, verdict, readable(history))
	}
}

// count tallies a history, and leaves out what had no effect and says nothing of the state.
func (r *recorder) count(history []porcupine.Operation) []porcupine.Operation {
	r.operations += len(history)
	var judged []porcupine.Operation
	for _, op := range history {
		c, a := op.Input.(call), op.Output.(answer)
		switch {
		case a.Err == isAborted:
			r.aborted++
			continue
		case a.Err == isConflict && c.Op == "Create" && c.Drafts[0].Replace: // others replaced it as fast
			r.conflicts++
			continue
		case a.Err != "":
			r.refused++
		}
		judged = append(judged, op)
	}
	return judged
}

// slotPrefix is what happened before the clients begin.
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

// draw is the next call of this client.
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
			one.Version = b.versions[one.ID]
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
			one.Version = b.versions[one.ID]
		}
	case "List":
		return call{Op: "List", Organization: c.organization, Limit: 500, SkipTotal: true}
	case "RemoveMember":
		return call{Op: "RemoveMember", Organization: c.organization, User: []string{"u1", "twin"}[c.rnd.IntN(2)]}
	}
	return one
}

// judge says whether the model explains a history.
func judge(begin *model, history []porcupine.Operation) porcupine.CheckResult {
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
			case !reflect.DeepEqual(want, got):
				return nil
			}
			return []any{after}
		},
		Equal: func(a, b any) bool { return a.(*model).equal(b.(*model)) },
	}
	return porcupine.CheckOperationsTimeout(slot.ToModel(), history, time.Minute)
}

// readable prints a history in the order of its calls.
func readable(history []porcupine.Operation) string {
	history = slices.Clone(history)
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "client %d, %8.3f to %8.3f ms: %v\n        %v\n", op.ClientId,
			float64(op.Call)/1e6, float64(op.Return)/1e6, op.Input, op.Output)
	}
	return b.String()
}

var _ modelHost = busyHost{}
