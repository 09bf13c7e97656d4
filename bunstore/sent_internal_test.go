package bunstore

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// What Filter.SentAfter counts is read from an index that exists for other reasons: the invitations of the
// organization, or those of the address. So a limit over time needs no index of its own. It costs one row for each of
// them.
func TestSentAfterPlans(t *testing.T) {
	const organizations, members = 40, 250
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{"sqlite", "postgres", "mariadb"} {
		engines.On(t, []engines.Engine{engines.Named(t, name)}, func(t *testing.T, e engines.Engine) {
			is := is.New(t)
			hook := &lastQuery{}
			db := e.Open(t).WithQueryHook(hook)
			db.SetMaxOpenConns(1) // the status of MariaDB is that of a connection
			s, err := New(db, nil)
			is.NoErr(err)
			is.NoErr(s.Migrate(t.Context()))
			for i := range organizations {
				records := make([]storage.Record, members)
				for j := range records {
					n := i*members + j
					at := noon.Add(time.Duration(n) * time.Minute)
					email := fmt.Sprintf("u%d@example.com", n%5000)
					records[j] = storage.Record{ID: fmt.Sprintf("i%06d", n), OrganizationID: fmt.Sprintf("o%d", i),
						EmailAddress: email, EmailKey: email, Role: "member", Status: "accepted",
						InviterUserID: fmt.Sprintf("u%d", j%10), CreatedAt: at, UpdatedAt: at, ExpiresAt: at, SentAt: at,
						ResolvedAt: at}
				}
				is.NoErr(s.Insert(t.Context(), records...))
			}
			_, err = db.ExecContext(t.Context(), map[string]string{"sqlite": "ANALYZE",
				"postgres": "VACUUM ANALYZE " + baseName, "mariadb": "ANALYZE TABLE " + baseName}[e.Name])
			is.NoErr(err)

			const organization = "o7"
			last := noon.Add(8 * members * time.Minute) // of that organization
			for _, c := range []struct {
				name   string
				filter storage.Filter
				want   int
				most   int // rows that may be read
			}{
				{"organization", storage.Filter{}, 59, members + 20},
				{"inviter", storage.Filter{InviterUserID: "u3"}, 6, members + 20},
				{"address", storage.Filter{EmailKeys: []string{"u1999@example.com"}}, 1, 20},
			} {
				c.filter.OrganizationID, c.filter.SentAfter = organization, last.Add(-time.Hour)
				read := func() int { return 0 }
				if e.Name == "mariadb" {
					_, err := db.ExecContext(t.Context(), "FLUSH STATUS")
					is.NoErr(err)
					read = func() (n int) {
						for _, row := range rowsOf(t, db, "SHOW SESSION STATUS LIKE 'Handler_read%'") {
							rows, err := strconv.Atoi(row["Value"])
							is.NoErr(err)
							n += rows
						}
						return n
					}
				}
				got, err := s.Count(t.Context(), c.filter)
				is.NoErr(err)
				text := hook.text // before read, which runs a statement of its own
				rows := read()
				is.Equal(got, c.want)
				var plan string
				switch e.Name {
				case "sqlite":
					plan = strings.Join(explain(t, db, text), "\n")
					is.True(strings.HasPrefix(plan, "SEARCH "))
				case "postgres":
					plan = planOf(t, db.DB, text)
					for _, removed := range regexp.MustCompile(`Removed by .*: (\d+)`).FindAllStringSubmatch(plan, -1) {
						n, err := strconv.Atoi(removed[1])
						is.NoErr(err)
						rows += n
					}
					is.True(!strings.Contains(plan, "Seq Scan"))
				case "mariadb":
					step := rowsOf(t, db, "EXPLAIN "+text)[0]
					plan = fmt.Sprint(step)
					is.True(step["type"] != "ALL" && step["type"] != "index")
				}
				t.Logf("%s: %d rows\n%s", c.name, rows, plan)
				is.True(strings.Contains(plan, baseName+"_")) // one of the indexes
				is.True(rows <= c.most)
			}
		})
	}
}
