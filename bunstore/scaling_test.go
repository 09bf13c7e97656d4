package bunstore_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orginvite/orginvite/bunstore/internal/engines"
	"github.com/orginvite/orginvite/invitation"
)

// The README says which operations would stay in one shard, if the table were sharded by organization: those whose
// statements all name the organization.
func TestScalingOut(t *testing.T) {
	seen := &texts{}
	h := build(t, engines.Named(t, "sqlite").Open(t).WithQueryHook(seen), invitation.Config{ResendAfter: -1})
	h.svc = h.with(t, invitation.Config{ResendAfter: -1})
	revoked, accepted := h.invite(t, "u1@example.com"), h.invite(t, "u2@example.com")
	resent := h.invite(t, "u3@example.com")
	p := invitation.ListParams{Limit: 1}
	got := map[string][]string{}
	for name, call := range map[string]func() error{
		"Create": func() error { h.invite(t, "u4@example.com"); return nil },
		"List":   func() error { _, err := h.svc.List(t.Context(), "acme", p); return err },
		"Counts": func() error { _, err := h.svc.Counts(t.Context(), "acme", invitation.ListParams{}); return err },
		"Get":    func() error { _, err := h.svc.Get(t.Context(), "acme", revoked.ID); return err },
		"Revoke": func() error {
			_, err := h.svc.Revoke(t.Context(), "acme", revoked.ID, invitation.RevokeParams{})
			return err
		},
		"Resend": func() error {
			_, err := h.svc.Resend(t.Context(), "acme", resent.ID, invitation.ResendParams{})
			return err
		},
		"Accept":      func() error { _, err := h.svc.Accept(t.Context(), accept(accepted, "u2")); return err },
		"ListForUser": func() error { _, err := h.svc.ListForUser(t.Context(), "u3", p); return err },
		"ListAll":     func() error { _, err := h.svc.ListAll(t.Context(), p); return err },
		"ExpireDue":   func() error { _, err := h.svc.ExpireDue(t.Context(), 10); return err },
	} {
		seen.all = nil
		h.is.NoErr(call())
		kind := ""
		for _, s := range seen.all {
			if !strings.Contains(s, `"organization_invitations"`) {
				continue
			}
			switch {
			case strings.Contains(s, "organization_id = 'acme'"), strings.Contains(s, "VALUES ("):
				kind = max(kind, "organization")
			case strings.Contains(s, "WHERE id = "):
				kind = max(kind, "partly by id")
			default:
				kind = max(kind, "several") // shards
			}
		}
		got[kind] = append(got[kind], name)
	}
	readme, err := os.ReadFile("../README.md")
	h.is.NoErr(err)
	for kind, first := range map[string]string{
		"organization": "In one shard:", "partly by id": "In one shard, except for one statement:",
		"several": "In all shards:",
	} {
		slices.Sort(got[kind])
		_, line, found := strings.Cut(string(readme), "- "+first)
		h.is.True(found)
		line, _, _ = strings.Cut(line, "\n-")
		line, _, _ = strings.Cut(line, "\n\n")
		var listed []string
		for _, m := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(line, -1) {
			listed = append(listed, m[1])
		}
		h.is.Equal(listed, got[kind])
	}
}
