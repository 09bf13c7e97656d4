package bunstore_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"github.com/orginvite/orginvite/bunstore"
	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/storage"
)

var rowsOfBenchmark = flag.Int("rows", 2000, "how many invitations there are before the benchmarks begin")

const bulkSizeOfBenchmark = 1000

func bunList(list []string) any { return bun.List(list) }

// target is what one call is about.
type target struct {
	organization, id, email, inviter, cursor string
	emails                                   []string // of a bulk
	created                                  time.Time
}

// paired is an operation in two forms.
type paired struct {
	name  string
	calls int // of each form in one block
	// writers is how many goroutines share the calls, each in an organization of its own.
	writers int
	// targets returns what n calls are about. It is not timed.
	targets   func(b *testing.B, l *lab, n int) []target
	raw, ours func(ctx context.Context, l *lab, s target) error
}

// pairs are what BenchmarkOperations compares.
var pairs = []paired{
	{
		name: "Create", calls: 20, targets: strangers(""),
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.create(ctx, s) }, ours: createOne,
	}, {
		name: "Create by an inviter", calls: 20, targets: strangers(benchAdmin),
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.create(ctx, s) }, ours: createOne,
	}, {
		name: "Create by 8 writers", calls: 160, writers: 8, targets: strangers(""),
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.create(ctx, s) }, ours: createOne,
	}, {
		name: "CreateBulk 1000", calls: 1, targets: newBulks(""),
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.createBulk(ctx, s) }, ours: createBulk,
	}, {
		name: "CreateBulk 1000 known elsewhere", calls: 1, targets: newBulks("known"),
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.createBulk(ctx, s) }, ours: createBulk,
	}, {
		name: "Accept", calls: 20, targets: invited,
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.acceptOne(ctx, s) },
		ours: func(ctx context.Context, l *lab, s target) error {
			_, err := l.svc.Accept(ctx, invitation.AcceptParams{
				OrganizationID: s.organization, InvitationID: s.id, UserID: s.email})
			return err
		},
	}, {
		name: "Revoke", calls: 20, targets: invited,
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.revokeOne(ctx, s) },
		ours: func(ctx context.Context, l *lab, s target) error {
			_, err := l.svc.Revoke(ctx, s.organization, s.id, invitation.RevokeParams{})
			return err
		},
	}, {
		name: "Resend", calls: 20, targets: invited,
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.resendOne(ctx, s) },
		ours: func(ctx context.Context, l *lab, s target) error {
			_, err := l.svc.Resend(ctx, s.organization, s.id, invitation.ResendParams{})
			return err
		},
	}, {
		name: "Get", calls: 100, targets: stored,
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.getOne(ctx, s) },
		ours: func(ctx context.Context, l *lab, s target) error {
			_, err := l.svc.Get(ctx, s.organization, s.id)
			return err
		},
	}, {
		name: "List 10 with total", calls: 50, targets: stored,
		raw:  func(ctx context.Context, l *lab, s target) error { return l.floor.list(ctx, s, 10, true) },
		ours: list(10, false),
	}, {
		name: "List 10 of a large organization", calls: 20, targets: large,
		raw:  func(ctx context.Context, l *lab, s target) error { return l.floor.list(ctx, s, 10, false) },
		ours: list(10, true),
	}, {
		name: "List 10 of a large organization with total", calls: 5, targets: large,
		raw:  func(ctx context.Context, l *lab, s target) error { return l.floor.list(ctx, s, 10, true) },
		ours: list(10, false),
	}, {
		name: "List 500", calls: 5, targets: large,
		raw:  func(ctx context.Context, l *lab, s target) error { return l.floor.list(ctx, s, 500, false) },
		ours: list(500, true),
	}, {
		name: "List 10 deep by cursor", calls: 20, targets: deep,
		raw:  func(ctx context.Context, l *lab, s target) error { return l.floor.after(ctx, s) },
		ours: list(10, true),
	}, {
		name: "ListForUser", calls: 50, targets: stored,
		raw: func(ctx context.Context, l *lab, s target) error { return l.floor.listForUser(ctx, s) },
		ours: func(ctx context.Context, l *lab, s target) error {
			page, err := l.svc.ListForUser(ctx, s.email, invitation.ListParams{})
			if err == nil && len(page.Data) == 0 {
				err = fmt.Errorf("no invitation of %s", s.email)
			}
			return err
		},
	},
}

func createOne(ctx context.Context, l *lab, s target) error {
	_, err := l.svc.Create(ctx, s.organization, invitation.CreateParams{
		EmailAddress: s.email, Role: invitation.RoleMember, InviterUserID: s.inviter})
	return err
}

func createBulk(ctx context.Context, l *lab, s target) error {
	ps := make([]invitation.CreateParams, len(s.emails))
	for i, email := range s.emails {
		ps[i] = invitation.CreateParams{EmailAddress: email, Role: invitation.RoleMember}
	}
	_, err := l.svc.CreateBulk(ctx, s.organization, ps)
	return err
}

func list(limit int, skipTotal bool) func(ctx context.Context, l *lab, s target) error {
	return func(ctx context.Context, l *lab, s target) error {
		_, err := l.svc.List(ctx, s.organization, invitation.ListParams{
			Limit: limit, SkipTotal: skipTotal, Cursor: s.cursor, Statuses: []invitation.Status{invitation.StatusPending}})
		return err
	}
}

const (
	benchAdmin   = "admin@example.com"
	largeOne     = "large" // the organization with a third of the records, the oldest ones
	perSmallOne  = 20      // the records of every other organization
	usersOfBench = 500     // the newest records are to users
)

// lab is a database with the host's tables and invitations in it, and both ways to work with it.
type lab struct {
	db    *bun.DB
	store *bunstore.Store
	svc   *invitation.Service
	floor *floor
	rows  int
	began time.Time // when the first invitation was created
	made  *int      // how many targets have been made
}

// bound returns the same lab with bound arguments.
func (l *lab) bound(b *testing.B) *lab {
	c := *l
	c.svc = l.service(b, l.db, true)
	return &c
}

// newLab fills a database with rows invitations.
func newLab(b *testing.B, e engines.Engine, rows int) *lab {
	b.Helper()
	address := e.New(b)
	l := &lab{db: e.Connect(b, address), rows: rows, made: new(int),
		began: time.Now().Add(-time.Duration(rows+1000) * time.Millisecond)}
	createTables(b, l.db, (*hostUser)(nil), (*hostMember)(nil))
	l.exec(b, "CREATE INDEX host_users_email ON host_users (email)")
	l.store = newStore(b, l.db)
	for from := 0; from < rows; from += 1000 {
		var records []storage.Record
		for i := from; i < min(rows, from+1000); i++ {
			records = append(records, l.record(i))
		}
		if err := l.store.Insert(b.Context(), records...); err != nil {
			b.Fatal(err)
		}
	}
	var users []string
	for i := max(0, rows-usersOfBench); i < rows; i++ {
		users = append(users, l.record(i).EmailKey)
	}
	l.addUsers(b, append(users, benchAdmin))
	l.exec(b, "INSERT INTO host_members (organization_id, user_id, role, metadata) VALUES (?, ?, 'org:admin', '{}')",
		"writer-0", benchAdmin)
	l.svc = l.service(b, l.db, false)
	l.floor = newFloor(b, e.Connect(b, address))
	return l
}

// settle brings the table into the state of one that has been there for a while.
func (l *lab) settle(b *testing.B) {
	b.Helper()
	l.exec(b, map[dialect.Name]string{
		dialect.SQLite: "ANALYZE", dialect.MySQL: "ANALYZE TABLE organization_invitations",
		dialect.PG: "VACUUM ANALYZE organization_invitations",
	}[l.db.Dialect().Name()])
}

func (l *lab) exec(b *testing.B, text string, args ...any) {
	b.Helper()
	if _, err := l.db.ExecContext(b.Context(), text, args...); err != nil {
		b.Fatal(err)
	}
}

func (l *lab) service(b *testing.B, db *bun.DB, bind bool) *invitation.Service {
	b.Helper()
	store, err := bunstore.New(db, &bunstore.Config{BindArguments: bind})
	if err != nil {
		b.Fatal(err)
	}
	var host invitation.Directory = benchHost{}
	if bind && db.Dialect().Name() == dialect.PG { // on SQLite the Store checks the transaction after SQL
		host = preparedHost{floor: newFloor(b, db)}
	}
	svc, err := invitation.NewService(store, host, &invitation.Config{ResendAfter: -1,
		TicketKeys: [][]byte{make([]byte, 32)}, AcceptURL: "https://app.example.com/join"})
	if err != nil {
		b.Fatal(err)
	}
	return svc
}

// record returns one of the records with which the database is filled.
func (l *lab) record(i int) storage.Record {
	organization := fmt.Sprintf("small-%07d", i/perSmallOne)
	if i < l.rows/3 {
		organization = largeOne
	}
	return l.pending(fmt.Sprintf("orginv_%026d", i), organization, fmt.Sprintf("user%08d@example.com", i),
		l.began.Add(time.Duration(i)*time.Millisecond))
}

func (l *lab) pending(id, organization, email string, created time.Time) storage.Record {
	created = created.UTC().Truncate(time.Microsecond)
	return storage.Record{ID: id, OrganizationID: organization, EmailAddress: email, EmailKey: email, Role: "org:member",
		Status: storage.Pending, Generation: 1, CreatedAt: created, UpdatedAt: created, SentAt: created,
		ExpiresAt: time.Now().Add(720 * time.Hour)}
}

func (l *lab) addUsers(b *testing.B, emails []string) {
	b.Helper()
	users := make([]hostUser, len(emails))
	for i, email := range emails {
		users[i] = hostUser{ID: email, Email: email}
	}
	if _, err := l.db.NewInsert().Model(&users).Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// fresh returns an address that nobody has been invited by.
func (l *lab) fresh() string {
	*l.made++
	return fmt.Sprintf("fresh%08d@example.com", *l.made)
}

// strangers are addresses to invite.
func strangers(inviter string) func(b *testing.B, l *lab, n int) []target {
	return func(_ *testing.B, l *lab, n int) []target {
		list := make([]target, n)
		for i := range list {
			list[i] = target{organization: "writer-0", email: l.fresh(), inviter: inviter}
		}
		return list
	}
}

// newBulks are lists of addresses to invite, which other organizations have invited if known is set.
func newBulks(known string) func(b *testing.B, l *lab, n int) []target {
	return func(b *testing.B, l *lab, n int) []target {
		list := make([]target, n)
		for i := range list {
			*l.made++
			list[i].organization = fmt.Sprint("bulk-", *l.made)
			var records []storage.Record
			for range bulkSizeOfBenchmark {
				email := l.fresh()
				list[i].emails = append(list[i].emails, email)
				records = append(records, l.pending("known-"+email, fmt.Sprint("elsewhere-", *l.made%50), email, time.Now()))
			}
			if known == "" {
				continue
			}
			if err := l.store.Insert(b.Context(), records...); err != nil {
				b.Fatal(err)
			}
		}
		return list
	}
}

// invited are users with a new invitation each.
func invited(b *testing.B, l *lab, n int) []target {
	list := make([]target, n)
	records, users := make([]storage.Record, n), make([]string, n)
	for i := range list {
		email := l.fresh()
		users[i] = email
		records[i] = l.pending("invited-"+email, "writer-0", email, time.Now())
		list[i] = target{organization: "writer-0", id: records[i].ID, email: email}
	}
	if err := l.store.Insert(b.Context(), records...); err != nil {
		b.Fatal(err)
	}
	l.addUsers(b, users)
	return list
}

// stored are invitations to users that are there from the beginning.
func stored(_ *testing.B, l *lab, n int) []target {
	list := make([]target, n)
	for i := range list {
		*l.made++
		r := l.record(l.rows - 1 - *l.made*7%min(usersOfBench, l.rows))
		list[i] = target{organization: r.OrganizationID, id: r.ID, email: r.EmailKey}
	}
	return list
}

// large is the large organization.
func large(_ *testing.B, _ *lab, n int) []target {
	return slices.Repeat([]target{{organization: largeOne}}, n)
}

// deep is a position near the end of the large organization.
func deep(b *testing.B, l *lab, n int) []target {
	skip := max(0, l.rows/3-20) // leaves a page and a few more
	p := invitation.ListParams{Offset: skip, Limit: 1, SkipTotal: true,
		Statuses: []invitation.Status{invitation.StatusPending}}
	page, err := l.svc.List(b.Context(), largeOne, p)
	if err != nil || len(page.Data) != 1 {
		b.Fatal(err, len(page.Data))
	}
	return slices.Repeat([]target{{organization: largeOne, cursor: page.NextCursor, id: page.Data[0].ID,
		created: page.Data[0].CreatedAt}}, n)
}

// BenchmarkOperations compares the service with the floor. Blocks of both alternate, so that other load on the machine
// hits both. x/raw is the median of the ratios of their times, between the quartiles q1 and q3. The other figures are
// those of the service. It measures PostgreSQL and SQLite once more with bound arguments.
func BenchmarkOperations(b *testing.B) {
	for _, name := range []string{"sqlite-one-connection", "postgres", "mariadb"} {
		b.Run(name, func(b *testing.B) {
			l := newLab(b, engines.Named(b, name), *rowsOfBenchmark)
			bound := l.bound(b)
			for _, o := range pairs {
				b.Run(o.name, func(b *testing.B) { o.run(b, l, l) })
				if name != "mariadb" {
					b.Run(o.name+"/bound", func(b *testing.B) { o.run(b, l, bound) })
				}
			}
		})
	}
}

// BenchmarkGrowth compares the service on tables of two sizes: -rows, and a hundredth of that.
func BenchmarkGrowth(b *testing.B) {
	for _, name := range []string{"sqlite-one-connection", "postgres", "mariadb"} {
		b.Run(name, func(b *testing.B) {
			e := engines.Named(b, name)
			few, many := newLab(b, e, *rowsOfBenchmark/100), newLab(b, e, *rowsOfBenchmark)
			for _, o := range pairs {
				o.raw = o.ours
				b.Run(o.name, func(b *testing.B) { o.run(b, few, many) })
			}
		})
	}
}

// BenchmarkPages measures a page of 10 near the end of a large organization, by cursor and by offset, on tables of
// growing size, up to -rows.
func BenchmarkPages(b *testing.B) {
	for _, name := range []string{"sqlite-one-connection", "postgres", "mariadb"} {
		for rows := 1000; rows <= *rowsOfBenchmark; rows *= 10 {
			b.Run(fmt.Sprint(name, "/rows=", rows), func(b *testing.B) {
				l := newLab(b, engines.Named(b, name), rows)
				l.settle(b)
				byCursor := deep(b, l, 1)[0].cursor
				for _, p := range []invitation.ListParams{{Cursor: byCursor}, {Offset: rows/3 - 19}} {
					p.Limit, p.SkipTotal, p.Statuses = 10, true, []invitation.Status{invitation.StatusPending}
					way := "offset"
					if p.Cursor != "" {
						way = "cursor"
					}
					b.Run(way, func(b *testing.B) {
						var times []time.Duration
						for b.Loop() {
							began := time.Now()
							page, err := l.svc.List(b.Context(), largeOne, p)
							times = append(times, time.Since(began))
							if err != nil || len(page.Data) != 10 {
								b.Fatal(err, len(page.Data))
							}
						}
						slices.Sort(times)
						b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "median-ns")
					})
				}
			})
		}
	}
}

// run compares o.raw on one database with o.ours on another, which may be the same.
func (o paired) run(b *testing.B, raw, ours *lab) {
	b.ReportAllocs()
	raw.settle(b)
	ours.settle(b)
	var ratios []float64
	var total time.Duration
	var before, after runtime.MemStats
	var mallocs, bytes uint64
	calls := 0
	for round := 0; b.Loop(); round++ {
		b.StopTimer()
		first, second := o.targets(b, raw, o.calls), o.targets(b, ours, o.calls)
		var slow, fast time.Duration
		block := func() {
			runtime.ReadMemStats(&before)
			slow = o.block(b, ours, o.ours, second)
			runtime.ReadMemStats(&after)
		}
		b.StartTimer()
		if round%2 == 0 {
			block()
		}
		fast = o.block(b, raw, o.raw, first)
		if round%2 == 1 {
			block()
		}
		total, calls = total+slow, calls+o.calls
		mallocs, bytes = mallocs+after.Mallocs-before.Mallocs, bytes+after.TotalAlloc-before.TotalAlloc
		ratios = append(ratios, float64(slow)/float64(fast))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x/raw")
	b.ReportMetric(ratios[len(ratios)/4], "x/raw-q1")
	b.ReportMetric(ratios[len(ratios)*3/4], "x/raw-q3")
	b.ReportMetric(float64(total.Nanoseconds())/float64(calls), "ns/op")
	b.ReportMetric(float64(mallocs)/float64(calls), "allocs/op")
	b.ReportMetric(float64(bytes)/float64(calls), "B/op")
	b.ReportMetric(o.statements(b, ours), "statements/op")
}

// block makes the calls and returns how long they have taken.
func (o paired) block(b *testing.B, l *lab, call func(context.Context, *lab, target) error,
	list []target) time.Duration {
	began := time.Now()
	if o.writers == 0 {
		for _, s := range list {
			if err := call(b.Context(), l, s); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(began)
	}
	var wg sync.WaitGroup
	for w := range o.writers {
		wg.Go(func() {
			for i := w; i < len(list); i += o.writers {
				s := list[i]
				s.organization = fmt.Sprint("writer-", w)
				if err := call(b.Context(), l, s); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// statements returns how many statements one call of the service sends, as bun's hooks see them.
func (o paired) statements(b *testing.B, l *lab) float64 {
	seen := &hook{}
	hooked := *l
	hooked.svc = l.service(b, l.db.WithQueryHook(seen), false)
	s := o.targets(b, l, 1)[0]
	if _, err := hooked.svc.Get(b.Context(), "none", "none"); err == nil { // checks the connection
		b.Fatal("found none")
	}
	seen.statements = nil
	if err := o.ours(b.Context(), &hooked, s); err != nil {
		b.Fatal(err)
	}
	return float64(len(seen.statements))
}
