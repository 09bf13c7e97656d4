package bunstore

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"github.com/uptrace/bun"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/storage"
)

// At a hundred thousand records the important pages are read from an index, in order, and reading stops at the end of
// the page: no scan, and no sort except that of the few rows of the branches. The server's own count of rows read
// confirms it.
func TestMySQLPlans(t *testing.T) {
	t.Parallel()
	hook := &lastQuery{}
	db := engines.Named(t, "mariadb").Open(t).WithQueryHook(hook)
	s, err := New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO organization_invitations SELECT concat('i', lpad(seq, 8, '0')), " +
			"if(seq % 2 = 0, 'o', concat('o', seq % 500)), '', 'e', concat('u', seq % 20000, '@example.com'), " +
			"if(seq % 5 < 3, concat('u', seq, '@example.com'), NULL), 'org:member', " +
			"elt(seq % 5 + 1, 'pending', 'pending', 'pending', 'accepted', 'expired'), '{}', '{}', 'ann', '', 1, " +
			"'2026-01-01' + INTERVAL seq MINUTE, '2026-01-01', '2026-02-01' + INTERVAL seq MINUTE, '2026-01-01', NULL, '', 1 " +
			"FROM seq_1_to_100000",
		"ANALYZE TABLE organization_invitations",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	on, err := New(conn, nil)
	if err != nil {
		t.Fatal(err)
	}

	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	after := &storage.Record{ID: "i", CreatedAt: now, ExpiresAt: now}
	pending := []string{storage.Pending}
	some := []string{storage.Pending, "accepted", storage.Expired}
	one, two := []string{"u6@example.com"}, []string{"u6@example.com", "u16@example.com"}
	const limit = 10
	for _, c := range []struct {
		name  string
		query storage.Query
		index string
		most  int // rows read for a page
	}{
		{"an organization", storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true}}, indexOrg, 20},
		{"an organization, after", storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true}, After: after},
			indexOrg, 20},
		{"an organization's pending ones",
			storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: pending, Now: now}},
			indexOrgStatus, 20},
		{"an organization's pending ones, after", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: pending, Now: now}, After: after,
		}, indexOrgStatus, 20},
		{"an organization's of several statuses", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: some, Now: now},
		}, indexOrgStatus, 200},
		{"an organization's of several statuses, after", storage.Query{
			Filter: storage.Filter{OrganizationID: "o", Direct: true, Statuses: some, Now: now}, After: after,
		}, indexOrgStatus, 200},
		{"an organization's, by offset",
			storage.Query{Filter: storage.Filter{OrganizationID: "o", Direct: true}, Offset: 50}, indexOrg, 150},
		{"a user's pending ones", storage.Query{Filter: storage.Filter{EmailKeys: one, Statuses: pending, Now: now}},
			indexEmail, 20},
		{"a user's of several statuses and addresses",
			storage.Query{Filter: storage.Filter{EmailKeys: two, Statuses: some, Now: now}, After: after}, indexEmail, 100},
		{"everything", storage.Query{}, indexCreated, 20},
		{"everything, after", storage.Query{After: after}, indexCreated, 20},
		{"everything of a status", storage.Query{Filter: storage.Filter{StoredStatuses: pending}}, indexStatus, 20},
		{"everything of several statuses, after",
			storage.Query{Filter: storage.Filter{Statuses: some, Now: now}, After: after}, indexStatus, 200},
		{"the sweep", storage.Query{
			Filter: storage.Filter{StoredStatuses: pending, Statuses: []string{storage.Expired}, Now: now},
			Sort:   []storage.Sort{{Field: storage.FieldExpiresAt}},
		}, indexDue, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			is := is.New(t)
			c.query.Limit = limit
			_, err := conn.ExecContext(t.Context(), "FLUSH STATUS")
			is.NoErr(err)
			_, err = on.List(t.Context(), c.query)
			is.NoErr(err)
			text, read := hook.text, 0
			for _, row := range rowsOf(t, conn, "SHOW SESSION STATUS LIKE 'Handler_read%'") {
				n, err := strconv.Atoi(row["Value"])
				is.NoErr(err)
				read += n
			}
			t.Logf("%d reads", read)
			is.True(read <= c.most) // reading stops
			for _, step := range rowsOf(t, conn, "EXPLAIN "+text) {
				t.Log(step)
				if step["table"] != baseName {
					continue // the rows of the branches, or those of a page
				}
				is.Equal(step["key"], c.index)
				is.True(step["type"] != "ALL")
				is.True(step["type"] != "index" || c.index == indexCreated) // the page of everything walks its index
				is.True(!strings.Contains(step["Extra"], "filesort"))
			}
		})
	}
}

// A count of an organization reads the index that has all its conditions, and no records.
func TestMySQLCountPlans(t *testing.T) {
	e := engines.Named(t, "mariadb")
	hook := &lastQuery{}
	db := e.Open(t).WithQueryHook(hook)
	s, err := New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := db.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	some := []string{storage.Pending, "accepted", storage.Expired}
	for _, c := range []struct {
		filter storage.Filter
		index  string
	}{
		{storage.Filter{OrganizationID: "o", Direct: true}, indexOrg},
		{storage.Filter{OrganizationID: "o", Direct: true, EmailContains: "x"}, indexOrg},
		{storage.Filter{OrganizationID: "o", Direct: true, Statuses: some[:1]}, indexOrgStatus},
		{storage.Filter{OrganizationID: "o", Direct: true, Statuses: some, EmailContains: "x"}, indexOrgStatus},
		{storage.Filter{OrganizationID: "o", EmailKeys: some, StoredStatuses: some[:1]}, indexSlot},
		{storage.Filter{EmailKeys: some, Statuses: some[:1]}, indexEmail},
	} {
		is := is.New(t)
		check := func(index string) {
			is.True(strings.Contains(hook.text, " FORCE INDEX (`"+index+"`)")) // whatever the statistics say
			for _, step := range rowsOf(t, conn, "EXPLAIN "+hook.text) {
				t.Log(step)
				is.Equal(step["key"], index)
				is.True(strings.Contains(step["Extra"], "Using index")) // and nothing but the index
			}
		}
		_, err := s.Count(t.Context(), c.filter)
		is.NoErr(err)
		check(c.index)
		if c.index == indexOrg || c.index == indexOrgStatus {
			_, err = s.CountByStatus(t.Context(), c.filter)
			is.NoErr(err)
			check(indexOrgStatus)
		}
	}
}

// Errors mean what their number says, wherever the driver's error is in the chain, and whatever values are in its text.
func TestMySQLErrors(t *testing.T) {
	is := is.New(t)
	s := &Store{e: newMySQL(tables{})}
	deadlock := errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction")
	taken := errors.New("Error 1062 (23000): Duplicate entry 'Error 1213 (40001): x' for key 'PRIMARY'")
	for _, c := range []struct {
		err    error
		class  class
		breach bool
	}{
		{nil, plain, false},
		{deadlock, aborted, false},
		{fmt.Errorf("join: %w", deadlock), aborted, false},
		{fmt.Errorf("join: %v", deadlock), aborted, false}, // quoted only
		{errors.Join(errors.New("host"), deadlock), aborted, false},
		{errors.New("Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction"), aborted, false},
		{errors.New("Error 1020: Record has changed since last read in table 't'"), aborted, false},
		{errors.New("Error 1206 (HY000): The total number of locks exceeds the lock table size"), ended, false},
		{errors.New("Error 1047 (08S01): WSREP has not yet prepared node for application use"), notReady, false},
		{errors.New("Error 1180 (HY000): Error while appending streaming replication fragment(provider status: " +
			"Not connected to Primary Component)"), lost, false},
		{fmt.Errorf("join: %w", errors.New("invalid connection")), lost, false},
		{taken, plain, true},
		{fmt.Errorf("join: %w", taken), plain, true},
		{fmt.Errorf("join: %v", taken), plain, true},
		{errors.New("an Error 1213, they say"), plain, false},
		{errors.New("Error 1213x"), plain, false},
		{errors.New("host: Error 1213x"), plain, false},
		{errors.New("Error 12130 (40001): x"), plain, false},
		{errors.New("Error "), plain, false},
		{errors.New("Error 1064 (42000): You have an error in your SQL syntax"), plain, false},
	} {
		t.Log(c.err)
		is.Equal(s.judge(c.err).class, c.class)
		is.Equal(s.judge(c.err).breach, c.breach)
	}
}

// The meaning for the caller of each number that the store knows.
func TestMySQLNumbers(t *testing.T) {
	is := is.New(t)
	s := &Store{e: newMySQL(tables{})}
	for number, c := range map[int]struct {
		kind   error // ErrAborted, ErrUnavailable, or nil
		remedy string
	}{
		1020: {storage.ErrAborted, ""}, 1205: {storage.ErrAborted, ""}, 1213: {storage.ErrAborted, ""},
		1568: {storage.ErrAborted, ""},
		1053: {storage.ErrAborted, ""}, 1180: {storage.ErrAborted, ""}, 1927: {storage.ErrAborted, ""}, // lost
		2006: {storage.ErrAborted, ""}, 2013: {storage.ErrAborted, ""},
		1040: {storage.ErrUnavailable, "raise its limit"}, 1203: {storage.ErrUnavailable, "raise its limit"},
		1226: {storage.ErrUnavailable, "raise its limit"}, 1129: {storage.ErrUnavailable, "FLUSH HOSTS"},
		1290: {storage.ErrUnavailable, "connect to the primary"}, 1836: {storage.ErrUnavailable, "connect to the primary"},
		1792: {storage.ErrUnavailable, "begin one that may write"},
		1114: {storage.ErrUnavailable, "free space"}, 1021: {storage.ErrUnavailable, "free space"},
		1047: {storage.ErrUnavailable, "try another node"},
		1206: {nil, ""}, 1062: {nil, ""}, 1452: {nil, ""}, 1317: {nil, ""},
	} {
		cause := fmt.Errorf("Error %d (HY000): text", number)
		err := s.explain(t.Context(), cause)
		t.Log(err)
		is.True(errors.Is(err, cause))
		is.Equal(errors.Is(err, storage.ErrAborted), c.kind == storage.ErrAborted)
		is.Equal(errors.Is(err, storage.ErrUnavailable), c.kind == storage.ErrUnavailable)
		is.Equal(s.judge(cause).remedy != "", c.remedy != "")
		is.True(strings.Contains(err.Error(), c.remedy))
	}
}

// A go-sql-driver connection on which COMMIT could wait forever gets a warning; no other connection does.
func TestMySQLWarning(t *testing.T) {
	is := is.New(t)
	type config struct{ ReadTimeout time.Duration }
	type conn struct{ cfg *config }
	e := newMySQL(tables{})
	is.True(strings.Contains(e.catalog.warning(&conn{&config{}}), "set readTimeout"))
	for _, other := range []any{&conn{&config{time.Second}}, &conn{}, conn{}, &struct{ cfg int }{}, &struct{}{}, 1, nil,
		&struct{ cfg struct{ ReadTimeout string } }{}} {
		is.Equal(e.catalog.warning(other), "")
	}
}

// rowsOf returns the rows of a statement's result by column name.
func rowsOf(t *testing.T, db bun.IConn, statement string) []map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	for rows.Next() {
		values, dest := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		row := map[string]string{}
		for i, name := range names {
			row[name] = values[i].String
		}
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
