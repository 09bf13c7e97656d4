package bunstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// Among 100,000 records the important pages are read from an index, in order, and reading stops at the end of the page:
// no scan of the table, and no sort except that of the few rows of the branches.
func TestPostgresPlans(t *testing.T) {
	hook := &lastQuery{}
	db := engines.Named(t, "postgres").Open(t).WithQueryHook(hook)
	s, err := New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO organization_invitations SELECT 'i' || lpad(n::text, 8, '0'), " +
			"CASE n % 10 WHEN 0 THEN 'o' ELSE 'o' || n % 500 END, '', 'e', 'u' || n % 50 || '@example.com', " +
			"CASE WHEN n / 50 % 5 < 3 THEN 'u' || n || '@example.com' END, 'org:member', " +
			"(ARRAY['pending', 'pending', 'pending', 'accepted', 'expired'])[n / 50 % 5 + 1], '{}', '{}', 'ann', '', 1, " +
			"timestamptz '2026-01-01 00:00+00' + n * interval '1 min', '2026-01-01', " +
			"timestamptz '2026-02-01 00:00+00' + n * interval '1 min', '2026-01-01', NULL, '', 1 " +
			"FROM generate_series(1, 100000) AS n",
		"ANALYZE organization_invitations",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}

	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	after := &storage.Record{ID: "i", CreatedAt: now, ExpiresAt: now}
	pending := []string{storage.Pending}
	some := []string{storage.Pending, "accepted", storage.Expired}
	one, two := []string{"u6@example.com"}, []string{"u6@example.com", "u16@example.com"}
	const limit = 10
	for _, c := range []struct {
		name     string
		query    storage.Query
		branches int
	}{
		{"an organization", storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true}}, 1},
		{"an organization, after", storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true}, After: after},
			1},
		{"an organization's pending ones",
			storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: pending, Now: now}},
			1},
		{"an organization's pending ones, after", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: pending, Now: now}, After: after,
		}, 1},
		{"an organization's of several statuses", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: some, Now: now},
		}, 3},
		{"an organization's of several statuses, after", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: some, Now: now}, After: after,
		}, 3},
		{"a user's pending ones", storage.Query{Filter: storage.Filter{EmailKeys: one, Statuses: pending, Now: now}},
			1},
		{"a user's of several statuses and addresses, after",
			storage.Query{Filter: storage.Filter{EmailKeys: two, Statuses: some, Now: now}, After: after}, 6},
		{"everything", storage.Query{}, 1},
		{"everything, after", storage.Query{After: after}, 1},
		{"everything of a status", storage.Query{Filter: storage.Filter{StoredStatuses: pending}}, 1},
		{"everything of several statuses, after",
			storage.Query{Filter: storage.Filter{Statuses: some, Now: now}, After: after}, 3},
		{"the sweep", storage.Query{
			Filter: storage.Filter{StoredStatuses: pending, Statuses: []string{storage.Expired}, Now: now},
			Sort:   []storage.Sort{{Field: storage.FieldExpiresAt}},
		}, 1},
	} {
		check := func(t *testing.T, plan string) {
			is := is.New(t)
			t.Log("\n" + plan)
			is.True(!strings.Contains(plan, "Seq Scan"))
			is.True(!strings.Contains(plan, "Bitmap")) // a bitmap scan has no order
			scans := 0
			for step := range strings.Lines(plan) {
				if strings.Contains(step, " on "+baseName) {
					scans++
					is.True(strings.Contains(step, " using "+baseName+"_")) // which index is the planner's choice
				}
				if strings.Contains(step, "Sort  (") {
					is.True(c.branches > 1)
				}
				if _, actual, ok := strings.Cut(step, "rows="); ok { // the rows that the step returned
					var n int
					_, err := fmt.Sscan(strings.Fields(actual)[0], &n)
					is.NoErr(err)
					is.True(n <= limit*c.branches)
				}
				if _, removed, ok := strings.Cut(step, "Rows Removed by Filter: "); ok {
					var n int
					_, err := fmt.Sscan(removed, &n)
					is.NoErr(err)
					is.True(n < 500) // reading stops
				}
			}
			is.Equal(scans, c.branches)
			if strings.HasSuffix(c.name, "after") {
				is.Equal(strings.Count(plan, "(ROW(created_at, id) < ROW("), c.branches) // it seeks
				is.True(!strings.Contains(plan, "Filter: (ROW("))
			}
			if c.name == "the sweep" {
				is.True(strings.Contains(plan, "using "+indexDue+" ") && !strings.Contains(plan, "Filter"))
			}
		}
		c.query.Limit = limit
		t.Run(c.name, func(t *testing.T) {
			is := is.New(t)
			list, err := s.List(t.Context(), c.query)
			is.NoErr(err)
			is.True(len(list) > 0) // the page is not empty
			check(t, planOf(t, db.DB, hook.text))
		})
	}
}

// If one organization has nearly all records, and others have the newest, the planner would like to read the newest of
// all until it has a page of that one. No such plan must be possible, neither for a page nor for a count.
func TestPostgresPlansOfALargeOrganization(t *testing.T) {
	hook := &lastQuery{}
	db := engines.Named(t, "postgres").Open(t).WithQueryHook(hook)
	s, err := New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO organization_invitations SELECT 'i' || lpad(n::text, 8, '0'), " +
			"CASE WHEN n <= 19000 THEN 'o' ELSE 'o' || n END, '', 'e', 'u' || n || '@example.com', " +
			"'u' || n || '@example.com', 'org:member', 'pending', '{}', '{}', 'ann', '', 1, " +
			"timestamptz '2026-01-01 00:00+00' + n * interval '1 min', '2026-01-01', " +
			"timestamptz '2026-02-01 00:00+00' + n * interval '1 min', '2026-01-01', NULL, '', 1 " +
			"FROM generate_series(1, 20000) AS n",
		"ANALYZE organization_invitations",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	all := storage.Filter{OrganizationID: "o", Direct: true}
	pending := all
	pending.Statuses, pending.Now = []string{storage.Pending}, now
	several := pending
	several.Statuses = []string{storage.Pending, storage.Expired}
	check := func(t *testing.T) {
		t.Helper()
		is := is.New(t)
		plan := planOf(t, db.DB, hook.text)
		t.Log("\n" + plan)
		for _, i := range indexes {
			is.True(!i.wide || !strings.Contains(plan, i.name+" "))
		}
	}
	for name, f := range map[string]storage.Filter{"all": all, "pending": pending, "several": several} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			list, err := s.List(t.Context(), storage.Query{Filter: f, Limit: 10})
			is.NoErr(err)
			is.Equal(len(list), 10)
			check(t)
			is.True(!strings.Contains(planOf(t, db.DB, hook.text), "Removed by Filter")) // reads the page and no more
			n, err := s.Count(t.Context(), f)
			is.NoErr(err)
			is.Equal(n, 19000)
			check(t)
		})
	}
}

// planOf returns the plan of a statement as it was executed, with the rows that each step really returned.
func planOf(t *testing.T, db Conn, statement string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "+statement)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var step string
		if err := rows.Scan(&step); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(step + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// stateError is an error of pgx or lib/pq, fieldError one of pgdriver.
type stateError string

func (e stateError) Error() string    { return "state" }
func (e stateError) SQLState() string { return string(e) }

type fieldError string

func (e fieldError) Error() string { return "field" }
func (e fieldError) Field(k byte) string {
	if k == 'C' {
		return string(e)
	}
	return ""
}

// Errors mean what their SQLSTATE says, wherever the driver's error is in the chain, and whichever driver it comes
// from.
func TestPostgresErrors(t *testing.T) {
	is := is.New(t)
	s := &Store{e: newPostgres(tables{})}
	for state, want := range map[string]class{
		"40001": aborted, "40P01": aborted, "55P03": aborted, "57P01": lost, "08006": lost,
		"23505": unusable, "57014": unusable, "42P01": unusable, "25P02": unusable, "": plain,
	} {
		text := errors.New("FATAL: text (SQLSTATE " + state + ")")
		for _, err := range []error{stateError(state), fieldError(state), text} {
			for _, err := range []error{err, fmt.Errorf("join: %w", err), errors.Join(errNoTx, err)} {
				is.Equal(s.judge(err).class, want)
				is.Equal(s.judge(err).breach, state == "23505")
			}
		}
	}
	is.Equal(s.judge(nil).class, plain)
	is.Equal(s.judge(errors.New("SQLSTATE")).class, plain)
}

// The meaning for the caller of each SQLSTATE that the store knows, and of pgx's own errors.
func TestPostgresStates(t *testing.T) {
	is := is.New(t)
	s := &Store{e: newPostgres(tables{})}
	for err, c := range map[error]struct {
		kind   error // ErrAborted, ErrUnavailable, or nil
		remedy string
	}{
		stateError("40001"): {storage.ErrAborted, ""}, stateError("40P01"): {storage.ErrAborted, ""},
		stateError("55P03"): {storage.ErrAborted, ""},
		stateError("08006"): {storage.ErrAborted, ""}, stateError("08P01"): {storage.ErrAborted, ""}, // lost
		stateError("57P01"): {storage.ErrAborted, ""}, stateError("57P05"): {storage.ErrAborted, ""},
		stateError("25P03"): {storage.ErrAborted, ""}, stateError("25P04"): {storage.ErrAborted, ""},
		errors.New("conn closed"):                    {storage.ErrAborted, ""},
		errors.New("write failed: broken pipe"):      {storage.ErrAborted, ""},
		errors.New("the host's write failed: quota"): {nil, ""},
		stateError("57P03"):                          {storage.ErrUnavailable, "try again later"},
		stateError("25006"):                          {storage.ErrUnavailable, "connect to the primary"},
		stateError("53000"):                          {storage.ErrUnavailable, ""},
		stateError("53100"):                          {storage.ErrUnavailable, "free space"},
		stateError("53200"):                          {storage.ErrUnavailable, ""},
		stateError("53300"):                          {storage.ErrUnavailable, "raise max_connections"},
		fmt.Errorf("connect: %w", errors.New("ValidateConnect failed: read only connection")): {
			storage.ErrUnavailable, "connect to the primary"},
		errors.New("ValidateConnect failed: server is in hot standby"): {storage.ErrUnavailable, ""},
		stateError("57014"): {nil, ""}, stateError("23505"): {nil, ""},
	} {
		got := s.explain(t.Context(), err)
		t.Log(got)
		is.True(errors.Is(got, err))
		is.Equal(errors.Is(got, storage.ErrAborted), c.kind == storage.ErrAborted)
		is.Equal(errors.Is(got, storage.ErrUnavailable), c.kind == storage.ErrUnavailable)
		is.Equal(s.judge(err).remedy != "", c.remedy != "")
		is.True(strings.Contains(got.Error(), c.remedy))
	}
}
