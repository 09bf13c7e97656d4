package bunstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// lastQuery is a hook that keeps the text of the last statement.
type lastQuery struct{ text string }

func (l *lastQuery) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }
func (l *lastQuery) AfterQuery(_ context.Context, e *bun.QueryEvent)                    { l.text = e.Query }

// Among 100,000 records the important pages are read from an index, in order, and reading stops at the end of the page:
// no scan of the table, and no sort except that of the few rows of the branches. Counts read only an index.
func TestSQLitePlans(t *testing.T) {
	hook := &lastQuery{}
	db := engines.SQLite(t, ":memory:", nil, 1).WithQueryHook(hook)
	filled, err := New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := filled.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) " +
			"INSERT INTO organization_invitations SELECT printf('i%08d', n), iif(n % 10, 'o' || n % 500, 'o'), '', 'e', " +
			"'u' || n % 50, iif(n / 50 % 5 < 3, 'u' || n, NULL), 'org:member', " +
			"iif(n / 50 % 5 < 3, 'pending', iif(n / 50 % 5 = 3, 'accepted', 'expired')), '{}', '{}', 'ann', '', 1, " +
			"1793000000000000 + n * 60000000, 0, 1796000000000000 + n * 60000000, 0, NULL, '', 1 FROM c",
		"ANALYZE",
	} {
		if Slow { // the plans must be the same without statistics
			break
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}

	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	after := &storage.Record{ID: "i", EmailKey: "e", CreatedAt: now, ExpiresAt: now}
	pending := []string{storage.Pending}
	some := []string{storage.Pending, "accepted", storage.Expired}
	const sort = "USE TEMP B-TREE FOR ORDER BY"

	for _, c := range []struct {
		name   string
		query  storage.Query
		index  string // the index of every access to the table
		terms  string // a part of the plan
		merges bool   // merges several branches
	}{
		{"an organization", storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true}},
			indexOrg, "(organization_id=?)", false},
		{"an organization, after", storage.Query{Filter: storage.Filter{OrganizationID: "o"}, After: after},
			indexOrg, "(organization_id=? AND (created_at,id)<(?,?))", false},
		{"an organization's pending ones",
			storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: pending, Now: now}},
			indexOrgStatus, "(organization_id=? AND status=?)", false},
		{"an organization's pending ones, after",
			storage.Query{Filter: storage.Filter{OrganizationID: "o", Statuses: pending, Now: now}, After: after},
			indexOrgStatus, "(organization_id=? AND status=? AND (created_at,id)<(?,?))", false},
		{"an organization's of several statuses, after",
			storage.Query{Filter: storage.Filter{OrganizationID: "o", Statuses: some, Now: now}, After: after},
			indexOrgStatus, "(organization_id=? AND status=? AND (created_at,id)<(?,?))", true},
		{"an organization's expired ones",
			storage.Query{Filter: storage.Filter{OrganizationID: "o", Statuses: []string{storage.Expired}, Now: now}},
			indexOrgStatus, "(organization_id=? AND status=?)", true},
		{"oldest first, then by latest id", storage.Query{
			Filter: storage.Filter{OrganizationID: "o"}, After: after,
			Sort: []storage.Sort{{Field: storage.FieldCreatedAt}, {Field: storage.FieldExpiresAt, Descending: true}},
		}, indexOrg, "(organization_id=? AND created_at>?)", true},
		{"a user's pending ones",
			storage.Query{Filter: storage.Filter{EmailKeys: []string{"a"}, Statuses: pending, Now: now}},
			indexEmail, "(email_key=? AND status=?)", false},
		{"a user's pending ones by several addresses",
			storage.Query{Filter: storage.Filter{EmailKeys: []string{"a", "b"}, Statuses: pending, Now: now}, After: after},
			indexEmail, "(email_key=? AND status=? AND (created_at,id)<(?,?))", true},
		{"the holders of slots", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", EmailKeys: []string{"a", "b"}, StoredStatuses: pending},
		}, indexSlot, "(organization_id=? AND pending_key=?)", true},
		{"an organization's by role", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, Roles: []string{"org:member"}}, After: after,
		}, indexOrg, "(organization_id=? AND (created_at,id)<(?,?))", false},
		{"an organization's by inviter", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, InviterUserID: "ann"},
		}, indexOrg, "(organization_id=?)", false},
		{"an organization's pending ones by role and inviter", storage.Query{Filter: storage.Filter{
			OrganizationID: "o", Direct: true, Statuses: pending, Now: now, Roles: []string{"org:member"}, InviterUserID: "ann",
		}}, indexOrgStatus, "(organization_id=? AND status=?)", false},
		{"an organization's by creation", storage.Query{Filter: storage.Filter{
			OrganizationID: "o", Direct: true, CreatedFrom: now, CreatedBefore: now.Add(time.Hour),
		}}, indexOrg, "(organization_id=? AND created_at>? AND created_at<?)", false},
		{"an organization's pending ones by creation", storage.Query{Filter: storage.Filter{
			OrganizationID: "o", Direct: true, Statuses: pending, Now: now, CreatedFrom: now,
		}}, indexOrgStatus, "(organization_id=? AND status=? AND created_at>?)", false},
		{"an organization's by expiry", storage.Query{Filter: storage.Filter{
			OrganizationID: "o", Direct: true, ExpiresFrom: now, ExpiresBefore: now.Add(time.Hour),
		}}, indexOrg, "(organization_id=?)", false},
		{"an organization's pending ones by expiry", storage.Query{Filter: storage.Filter{
			OrganizationID: "o", Direct: true, Statuses: pending, Now: now, ExpiresFrom: now, ExpiresBefore: now.Add(time.Hour),
		}}, indexOrgStatus, "(organization_id=? AND status=?)", false},
		{"an organization's, the previous page", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true}, After: after,
			Sort: []storage.Sort{{Field: storage.FieldCreatedAt}},
		}, indexOrg, "(organization_id=? AND (created_at,id)>(?,?))", false},
		{"everything by expiry", storage.Query{Filter: storage.Filter{
			Statuses: pending, Now: now, ExpiresFrom: now, ExpiresBefore: now.Add(time.Hour),
		}}, indexStatus, "(status=?)", false},
		{"everything", storage.Query{}, indexCreated, "SCAN", false},
		{"everything, after", storage.Query{After: after}, indexCreated, "((created_at,id)<(?,?))", false},
		{"everything of a status", storage.Query{Filter: storage.Filter{Statuses: pending, Now: now}},
			indexStatus, "(status=?)", false},
		{"everything of several statuses, after",
			storage.Query{Filter: storage.Filter{Statuses: some, Now: now}, After: after},
			indexStatus, "(status=? AND (created_at,id)<(?,?))", true},
		{"the sweep", storage.Query{
			Filter: storage.Filter{StoredStatuses: pending, Statuses: []string{storage.Expired}, Now: now},
			Sort:   []storage.Sort{{Field: storage.FieldExpiresAt}},
		}, indexDue, "(status=? AND expires_at<?)", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			is := is.New(t)
			s, err := New(db, nil)
			is.NoErr(err)
			is.NoErr(s.Migrate(t.Context()))
			c.query.Limit = 10
			_, err = s.List(t.Context(), c.query)
			is.NoErr(err)
			steps := explain(t, db, hook.text)
			plan := strings.Join(steps, "\n")
			t.Log("\n" + plan)
			is.True(strings.Contains(plan, c.terms)) // seeks
			is.True(c.merges || !strings.Contains(plan, sort))
			for _, step := range steps {
				if strings.Contains(step, baseName) {
					is.True(strings.Contains(step, "INDEX "+c.index+" ") || strings.HasSuffix(step, "INDEX "+c.index))
					is.True(!strings.HasPrefix(step, "SCAN") || c.terms == "SCAN") // the page of everything walks its index
				}
			}
		})
	}

	for _, c := range []struct {
		name   string
		filter storage.Filter
		index  string
	}{
		{"an organization's", storage.Filter{OrganizationID: "o", Direct: true}, indexOrg},
		{"an organization's, by a part of the address",
			storage.Filter{OrganizationID: "o", Direct: true, EmailContains: "x"}, indexOrg},
		{"an organization's pending ones",
			storage.Filter{OrganizationID: "o", Direct: true, Statuses: pending, Now: now}, indexOrgStatus},
		{"an organization's of several statuses",
			storage.Filter{OrganizationID: "o", Direct: true, Statuses: some, Now: now, EmailContains: "x"}, indexOrgStatus},
		{"a user's pending ones",
			storage.Filter{EmailKeys: []string{"a", "b"}, Statuses: pending, Now: now}, indexEmail},
		{"everything pending", storage.Filter{Statuses: pending, Now: now}, indexDue},
		{"everything of several statuses", storage.Filter{Statuses: some, Now: now}, indexDue},
	} {
		t.Run("count "+c.name, func(t *testing.T) {
			is := is.New(t)
			s, err := New(db, nil)
			is.NoErr(err)
			is.NoErr(s.Migrate(t.Context()))
			_, err = s.Count(t.Context(), c.filter)
			is.NoErr(err)
			steps := explain(t, db, hook.text)
			t.Log(steps)
			is.Equal(len(steps), 1)
			is.True(strings.Contains(steps[0], "USING COVERING INDEX "+c.index+" ")) // reads no record
			is.True(strings.HasPrefix(steps[0], "SEARCH"))
		})
	}
}

// The tabs of an organization's page are counted from an index alone, in the order of its groups.
func TestSQLitePlanOfCounts(t *testing.T) {
	is := is.New(t)
	hook := &lastQuery{}
	db := engines.SQLite(t, ":memory:", nil, 1).WithQueryHook(hook)
	s, err := New(db, nil)
	is.NoErr(err)
	is.NoErr(s.Migrate(t.Context()))
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, f := range []storage.Filter{
		{OrganizationID: "o", Direct: true, Now: now},
		{OrganizationID: "o", Direct: true, Now: now, EmailContains: "x"},
		{OrganizationID: "o", Direct: true, Now: now, CreatedFrom: now, ExpiresBefore: now},
	} {
		_, err = s.CountByStatus(t.Context(), f)
		is.NoErr(err)
		steps := explain(t, db, hook.text)
		t.Log(steps)
		is.Equal(len(steps), 1) // no sort
		is.True(strings.HasPrefix(steps[0], "SEARCH") &&
			strings.Contains(steps[0], "USING COVERING INDEX "+indexOrgStatus+" "))
	}
}

// explain returns the steps of the plan of a statement.
func explain(t *testing.T, db *bun.DB, statement string) []string {
	t.Helper()
	rows, err := db.DB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
