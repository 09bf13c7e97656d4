package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/storage"
)

func TestMatch(t *testing.T) {
	pending := storage.Record{
		ID: "a", OrganizationID: "o", EmailKey: "ann@example.com", EmailAddress: "Ann@Example.com",
		Role: "r", Status: storage.Pending, InviterUserID: "u", CreatedAt: noon, ExpiresAt: noon, SentAt: noon,
	}
	accepted := pending
	accepted.SentAt = noon.Add(time.Microsecond)
	accepted.ID, accepted.Status, accepted.ResolvedAt, accepted.OrganizationDomainID = "b", "accepted", noon, "d"
	accepted.Role, accepted.CreatedAt, accepted.ExpiresAt = "s", noon.Add(-time.Microsecond), noon.Add(-time.Microsecond)
	list := func(s ...string) []string { return s }
	for name, c := range map[string]struct {
		filter            storage.Filter
		pending, accepted bool
	}{
		"zero":                      {storage.Filter{}, true, true},
		"IDs":                       {storage.Filter{IDs: list("x", "a", "a")}, true, false},
		"IDs, other case":           {storage.Filter{IDs: list("A", "")}, false, false},
		"IDs, empty":                {storage.Filter{IDs: []string{}}, false, false},
		"OrganizationID":            {storage.Filter{OrganizationID: "o"}, true, true},
		"OrganizationID, other":     {storage.Filter{OrganizationID: "o "}, false, false},
		"EmailKeys":                 {storage.Filter{EmailKeys: list("x", "ann@example.com")}, true, true},
		"EmailKeys, address":        {storage.Filter{EmailKeys: list("Ann@Example.com")}, false, false},
		"EmailKeys, empty":          {storage.Filter{EmailKeys: []string{}}, false, false},
		"EmailContains":             {storage.Filter{EmailContains: "@ex"}, true, true},
		"EmailContains, case":       {storage.Filter{EmailContains: "Ann"}, false, false},
		"EmailContains, wildcard":   {storage.Filter{EmailContains: "a%e"}, false, false},
		"Statuses":                  {storage.Filter{Statuses: list(storage.Pending), Now: noon.Add(-1)}, true, false},
		"Statuses, lapsed":          {storage.Filter{Statuses: list(storage.Expired), Now: noon}, true, false},
		"Statuses, no more pending": {storage.Filter{Statuses: list(storage.Pending), Now: noon}, false, false},
		"Statuses, several":         {storage.Filter{Statuses: list("accepted", storage.Expired), Now: noon}, true, true},
		"Statuses, zero Now":        {storage.Filter{Statuses: list(storage.Pending)}, true, false},
		"Statuses, empty":           {storage.Filter{Statuses: []string{}}, false, false},
		"StoredStatuses":            {storage.Filter{StoredStatuses: list(storage.Pending), Now: noon}, true, false},
		"StoredStatuses, expired":   {storage.Filter{StoredStatuses: list(storage.Expired), Now: noon}, false, false},
		"StoredStatuses, empty":     {storage.Filter{StoredStatuses: []string{}}, false, false},
		"InviterUserID":             {storage.Filter{InviterUserID: "u"}, true, true},
		"InviterUserID, other":      {storage.Filter{InviterUserID: "v"}, false, false},
		"Roles":                     {storage.Filter{Roles: list("x", "r")}, true, false},
		"Roles, other":              {storage.Filter{Roles: list("R", "", "r ")}, false, false},
		"Roles, empty":              {storage.Filter{Roles: []string{}}, false, false},
		"CreatedFrom":               {storage.Filter{CreatedFrom: noon}, true, false},
		"CreatedFrom, finer":        {storage.Filter{CreatedFrom: noon.Add(999)}, true, false},
		"CreatedFrom, later":        {storage.Filter{CreatedFrom: noon.Add(1000)}, false, false},
		"CreatedBefore":             {storage.Filter{CreatedBefore: noon}, false, true},
		"CreatedBefore, finer":      {storage.Filter{CreatedBefore: noon.Add(999)}, false, true},
		"CreatedBefore, later":      {storage.Filter{CreatedBefore: noon.Add(1000)}, true, true},
		"CreatedBefore, long ago":   {storage.Filter{CreatedBefore: time.Unix(-1<<60, 0)}, false, false},
		"ExpiresFrom":               {storage.Filter{ExpiresFrom: noon}, true, false},
		"ExpiresFrom, later":        {storage.Filter{ExpiresFrom: noon.Add(1000)}, false, false},
		"ExpiresBefore":             {storage.Filter{ExpiresBefore: noon}, false, true},
		"ExpiresBefore, later":      {storage.Filter{ExpiresBefore: noon.Add(1000)}, true, true},
		"Direct":                    {storage.Filter{Direct: true}, true, false},
		"ResolvedBefore":            {storage.Filter{ResolvedBefore: noon.Add(time.Microsecond)}, false, true},
		"ResolvedBefore, same":      {storage.Filter{ResolvedBefore: noon}, false, false},
		"ResolvedBefore, finer":     {storage.Filter{ResolvedBefore: noon.Add(999)}, false, false},
		"ResolvedBefore, far":       {storage.Filter{ResolvedBefore: time.Unix(1<<60, 0)}, false, true},
		"ResolvedBefore, long ago":  {storage.Filter{ResolvedBefore: time.Unix(-1<<60, 0)}, false, false},
		"Statuses, far":             {storage.Filter{Statuses: list(storage.Expired), Now: time.Unix(1<<60, 0)}, true, false},
		"Statuses, long ago": {
			storage.Filter{Statuses: list(storage.Pending), Now: time.Unix(-1<<60, 0)}, true, false,
		},
		"ResolvedBefore, any": {
			storage.Filter{ResolvedBefore: time.Time{}.In(time.FixedZone("", 60))}, true, true,
		},
		"ResolvedBefore, nearly zero": {storage.Filter{ResolvedBefore: time.Time{}.Add(1)}, false, false},
		"SentAfter":                   {storage.Filter{SentAfter: noon.Add(-time.Microsecond)}, true, true},
		"SentAfter, same":             {storage.Filter{SentAfter: noon}, false, true},
		"SentAfter, finer":            {storage.Filter{SentAfter: noon.Add(999)}, false, true},
		"SentAfter, far":              {storage.Filter{SentAfter: time.Unix(1<<60, 0)}, false, false},
		"SentAfter, long ago":         {storage.Filter{SentAfter: time.Unix(-1<<60, 0)}, true, true},
		"SentAfter, any":              {storage.Filter{SentAfter: time.Time{}.In(time.FixedZone("", 60))}, true, true},
		"SentAfter, other zone":       {storage.Filter{SentAfter: noon.In(time.FixedZone("", 3600))}, false, true},
		"all together": {storage.Filter{
			IDs: list("a"), OrganizationID: "o", EmailKeys: list("ann@example.com"), EmailContains: "ann",
			Statuses: list(storage.Expired), StoredStatuses: list(storage.Pending), Roles: list("r"),
			InviterUserID: "u", Direct: true, SentAfter: noon.Add(-1000), Now: noon,
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			is.Equal(c.filter.Match(pending), c.pending)
			is.Equal(c.filter.Match(accepted), c.accepted)
		})
	}
}

// A text that no record can hold is found nowhere, not even in a record that is invalid itself.
func TestMatchInvalidText(t *testing.T) {
	is := is.New(t)
	r := storage.Record{
		ID: "\xff", OrganizationID: "\xff", EmailKey: "\u00e9@x", InviterUserID: "\xff", Status: "\xff", Role: "\xff",
	}
	for _, f := range []storage.Filter{
		{IDs: []string{"\xff"}}, {OrganizationID: "\xff"}, {EmailContains: "\xa9"}, {InviterUserID: "\xff"},
		{Statuses: []string{"\xff"}}, {StoredStatuses: []string{"\xff"}}, {Roles: []string{"\xff"}},
	} {
		is.True(!f.Match(r))
	}
	is.True(storage.Filter{EmailContains: "\u00e9"}.Match(r))
}

func TestCompare(t *testing.T) {
	record := func(id, key string, created, expires int) storage.Record {
		return storage.Record{
			ID: id, EmailKey: key, EmailAddress: id,
			CreatedAt: noon.Add(time.Duration(created) * time.Microsecond),
			ExpiresAt: noon.Add(time.Duration(expires) * time.Microsecond).In(time.FixedZone("", created)),
		}
	}
	records := []storage.Record{
		record("a", "z", 1, 2), record("b", "Z", 2, 1), record("c", "z", 2, 2), record("d", "\u00e9", 0, 2),
	}
	sorts := func(s ...storage.Sort) []storage.Sort { return s }
	created, email, expires := storage.FieldCreatedAt, storage.FieldEmailAddress, storage.FieldExpiresAt
	for _, c := range []struct {
		sort []storage.Sort
		want string
	}{
		{nil, "c b a d"},
		{sorts(), "c b a d"},
		{sorts(storage.Sort{Field: created, Descending: true}), "c b a d"},
		{sorts(storage.Sort{Field: created}), "d a b c"},
		{sorts(storage.Sort{Field: email}), "b a c d"},
		{sorts(storage.Sort{Field: email, Descending: true}), "d c a b"},
		{sorts(storage.Sort{Field: expires}), "b a c d"},
		{sorts(storage.Sort{Field: expires, Descending: true}), "d c a b"},
		{sorts(storage.Sort{Field: expires}, storage.Sort{Field: email, Descending: true}), "b d c a"},
		{sorts(storage.Sort{Field: expires, Descending: true}, storage.Sort{Field: email}), "a c d b"},
		{sorts(storage.Sort{Field: email}, storage.Sort{Field: created, Descending: true}), "b c a d"},
	} {
		t.Run(fmt.Sprint(c.sort), func(t *testing.T) {
			is := is.New(t)
			q := storage.Query{Sort: c.sort}
			sorted := slices.SortedFunc(slices.Values(records), q.Compare)
			got := ""
			for i, r := range sorted {
				got += " " + r.ID
				is.Equal(q.Compare(r, r), 0)
				for _, later := range sorted[i+1:] {
					is.True(q.Compare(r, later) < 0)
					is.True(q.Compare(later, r) > 0)
				}
			}
			is.Equal(got[1:], c.want)
		})
	}
}

// Times compare to the microsecond, so a position between two microseconds is the earlier one.
func TestCompareToTheMicrosecond(t *testing.T) {
	is := is.New(t)
	for _, field := range []storage.Field{storage.FieldCreatedAt, storage.FieldExpiresAt} {
		q := storage.Query{Sort: []storage.Sort{{Field: field}}}
		a := storage.Record{ID: "a", CreatedAt: noon, ExpiresAt: noon}
		finer := storage.Record{ID: "a", CreatedAt: noon.Add(999), ExpiresAt: noon.Add(999)}
		is.Equal(q.Compare(a, finer), 0)
		finer.CreatedAt, finer.ExpiresAt = noon.Add(1000), noon.Add(1000)
		is.True(q.Compare(a, finer) < 0)
	}
}

func TestOrder(t *testing.T) {
	is := is.New(t)
	is.Equal(storage.Query{}.Order(), []storage.Sort{{Field: storage.FieldCreatedAt, Descending: true}})
	own := []storage.Sort{{Field: storage.FieldExpiresAt}, {Field: storage.FieldCreatedAt}}
	is.Equal(storage.Query{Sort: own}.Order(), own)
}

func TestQueryValidate(t *testing.T) {
	is := is.New(t)
	for _, q := range []storage.Query{
		{},
		{Limit: 1, Offset: 1, After: &storage.Record{}},
		{Sort: []storage.Sort{
			{Field: storage.FieldCreatedAt}, {Field: storage.FieldEmailAddress}, {Field: storage.FieldExpiresAt},
		}},
		{Filter: storage.Filter{IDs: []string{}}, ForUpdate: true},
	} {
		is.NoErr(q.Validate())
	}
	for _, q := range []storage.Query{
		{Limit: -1},
		{Offset: -1},
		{Sort: []storage.Sort{{}}},
		{Sort: []storage.Sort{{Field: storage.FieldCreatedAt}, {Field: "id"}}},
		{ForUpdate: true},
		{After: &storage.Record{ID: "\xff"}},
		{After: &storage.Record{EmailKey: "a\x00"}},
		{After: &storage.Record{CreatedAt: time.Time{}.Add(-1)}},
		{After: &storage.Record{ExpiresAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}},
	} {
		is.True(q.Validate() != nil)
	}
}

func TestExistsError(t *testing.T) {
	is := is.New(t)
	err := fmt.Errorf("store: %w", &storage.ExistsError{Indexes: []int{1, 3}})
	is.True(errors.Is(err, storage.ErrExists))
	is.True(!errors.Is(err, storage.ErrConflict))
	var e *storage.ExistsError
	is.True(errors.As(err, &e))
	is.Equal(e.Indexes, []int{1, 3})
	is.Equal(err.Error(), "store: storage: id or pending slot already taken: records 1 3")
}

// classifier is a store that classifies errors; wrapped wraps another store.
type classifier struct{ storage.Storage }

func (classifier) Classify(_ context.Context, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", storage.ErrAborted, err)
}

type wrapped struct{ storage.Storage }

func (w wrapped) Unwrap() storage.Storage { return w.Storage }

// looped is a wrapper that unwraps to itself.
type looped struct{ storage.Storage }

func (l *looped) Unwrap() storage.Storage { return l }

// Classify asks the store, or the store that it wraps. Without a Classifier it returns the error unchanged.
func TestClassify(t *testing.T) {
	is := is.New(t)
	boom := errors.New("boom")
	for _, s := range []storage.Storage{classifier{}, wrapped{classifier{}}, wrapped{wrapped{classifier{}}}} {
		err := storage.Classify(t.Context(), s, boom)
		is.True(errors.Is(err, boom) && errors.Is(err, storage.ErrAborted))
		is.NoErr(storage.Classify(t.Context(), s, nil))
	}
	for _, s := range []storage.Storage{nil, wrapped{}, struct{ storage.Storage }{classifier{}}, &looped{}} {
		is.Equal(storage.Classify(t.Context(), s, boom), boom)
		is.NoErr(storage.Classify(t.Context(), s, nil))
	}
}

func TestTaken(t *testing.T) {
	is := is.New(t)
	pending := func(id, organization, key string) storage.Record {
		return storage.Record{ID: id, OrganizationID: organization, EmailKey: key, Status: storage.Pending}
	}
	ended := func(id string) storage.Record {
		return storage.Record{ID: id, OrganizationID: "o", EmailKey: "k", Status: "accepted"}
	}
	none := func(storage.Record) bool { return false }
	idA := func(r storage.Record) bool { return r.ID == "a" }
	keyK := func(r storage.Record) bool { return r.EmailKey == "k" }
	type list = []storage.Record
	for name, c := range map[string]struct {
		records []storage.Record
		held    func(storage.Record) bool
		want    []int
	}{
		"nothing": {nil, none, nil},
		"all different": {list{
			pending("a", "o", "k"), pending("b", "o", "l"), pending("c", "p", "k"),
		}, none, nil},
		"an id twice": {list{ended("a"), ended("b"), ended("a"), ended("a")}, none, []int{2, 3}},
		"a slot twice": {list{
			pending("a", "o", "k"), pending("b", "o", "k"), pending("c", "o", "k"),
		}, none, []int{1, 2}},
		"no slot without being pending": {list{pending("a", "o", "k"), ended("b"), ended("c")}, none, nil},
		"a stored one":                  {list{ended("a"), ended("b")}, idA, []int{0}},
		"a refused one holds no slot":   {list{pending("a", "o", "k"), pending("b", "o", "k")}, idA, []int{0}},
		"a refused one holds no id":     {list{pending("a", "o", "k"), pending("a", "o", "l")}, keyK, []int{0}},
		"two keys are not one joined":   {list{pending("a", "o", "pk"), pending("b", "op", "k")}, none, nil},
	} {
		err := storage.Taken(c.records, c.held)
		var taken *storage.ExistsError
		if !errors.As(err, &taken) {
			is.NoErr(err)
			taken = &storage.ExistsError{}
		}
		if !slices.Equal(taken.Indexes, c.want) {
			t.Errorf("%s: Indexes %v, want %v", name, taken.Indexes, c.want)
		}
	}
}
