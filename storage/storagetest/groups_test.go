package storagetest

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opts  []Option
		want  []Group
		wrong string
	}{
		{nil, names(), ""},
		{[]Option{Only(Locks, State)}, []Group{State, Locks}, ""},
		{[]Option{Only(Locks, State, Text), Without(State), Only(Locks, Pages)}, []Group{Locks}, ""},
		{[]Option{Without()}, names(), ""},
		{[]Option{Without(names()[1:]...)}, names()[:1], ""},
		{[]Option{Only()}, nil, "leave no group"},
		{[]Option{Only(Locks), Without(Locks)}, nil, "leave no group"},
		{[]Option{Only(Locks, "lock")}, nil, `no group "lock"`},
		{[]Option{Without("State")}, nil, `no group "State"`},
	} {
		chosen, err := choose(c.opts)
		got := slices.DeleteFunc(names(), func(g Group) bool { return !chosen[g] })
		switch {
		case c.wrong == "" && (err != nil || !slices.Equal(got, c.want) || len(got) != len(chosen)):
			t.Errorf("chosen groups %q, error %v; want %q", slices.Sorted(maps.Keys(chosen)), err, c.want)
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
			if name := string(g.name) + "/" + c.name; c.name == "" || c.test == nil || seen[name] {
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
