package storagetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/orginvite/orginvite/storage"
)

func TestOptions(t *testing.T) {
	ordinary := slices.DeleteFunc(names(), func(g Group) bool { return g == Handles || g == Joining })
	inRun := func(g group) bool { return g.name != Joining }
	second := SecondHandle(func(*testing.T, storage.Storage) storage.Storage { return nil })
	for _, c := range []struct {
		opts  []Option
		want  []Group
		wrong string
	}{
		{nil, ordinary, ""},
		{[]Option{second}, append(slices.Clone(ordinary), Handles), ""},
		{[]Option{second, Only(Handles)}, []Group{Handles}, ""},
		{[]Option{second, Without(Handles)}, ordinary, ""},
		{[]Option{Only(Locks, State)}, []Group{State, Locks}, ""},
		{[]Option{Only(Locks, State, Text), Without(State), Only(Locks, Pages)}, []Group{Locks}, ""},
		{[]Option{Without()}, ordinary, ""},
		{[]Option{Without(names()[1:]...)}, names()[:1], ""},
		{[]Option{Only()}, nil, "leave no group"},
		{[]Option{Only(Handles)}, nil, "leave no group"},
		{[]Option{Only(Joining)}, nil, "leave no group"},
		{[]Option{Only(Locks), Without(Locks)}, nil, "leave no group"},
		{[]Option{Only(Locks, "lock")}, nil, `no group "lock"`},
		{[]Option{Without("State")}, nil, `no group "State"`},
	} {
		_, list, err := choose(c.opts, inRun)
		var got []Group
		for _, g := range list {
			got = append(got, g.name)
		}
		switch {
		case c.wrong == "" && (err != nil || !slices.Equal(got, c.want)):
			t.Errorf("chosen groups %q, error %v; want %q", got, err, c.want)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("error %v; want one that contains %q", err, c.wrong)
		}
	}
}

// The names of groups and cases are unique, and a case needs an existing group other than its own.
func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range groups {
		if seen[string(g.name)] || len(g.cases) == 0 {
			t.Errorf("group %q is listed twice or has no cases", g.name)
		}
		seen[string(g.name)] = true
		for _, c := range g.cases {
			if name := string(g.name) + "/" + c.name; c.name == "" || (c.test == nil) == (c.joins == nil) || seen[name] {
				t.Errorf("case %q is listed twice, or lacks a name or a test", name)
			} else {
				seen[name] = true
			}
			if c.needs != "" && (c.needs == g.name || !slices.Contains(names(), c.needs)) {
				t.Errorf("case %q needs %q, which is its own group or does not exist", c.name, c.needs)
			}
		}
	}
}
