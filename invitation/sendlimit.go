package invitation

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// SendScope says which invitations of an organization a [SendLimit] counts together.
type SendScope string

// The scopes of a SendLimit. Each is within one organization.
const (
	PerOrganization SendScope = "organization" // all invitations of the organization
	PerInviter      SendScope = "inviter"      // the invitations whose inviter is the acting user
	PerAddress      SendScope = "address"      // the invitations to one canonical address
)

// SendLimit limits how many invitations may have a link issued within a sliding window of time. Create, Replace,
// Resend, and Update with a new role issue a link. An invitation counts once, however often its link was issued in the
// window, and whoever issued it. It counts whatever its status, until it is deleted. So an invitation that is revoked
// and created again counts twice. Config.ResendAfter is the pause of a single invitation.
//
// The limit binds acting users. Beyond it they get [ErrTooSoon]. The trusted back end without an acting user is not
// bound. The limit holds under any concurrency.
//
// An operation that issues a link for an acting user locks the organization, and each limit adds one count. With
// bunstore the count reads all invitations of the organization, or with PerAddress those to the address. That takes
// about 1 millisecond for 1,000 invitations, and 100 milliseconds for 100,000. So call [Service.Purge] where there are
// many.
type SendLimit struct {
	Per    SendScope     // which invitations count together
	Max    int           // invitations in the window, at least 1
	Within time.Duration // length of the window, 1 second to 365 days
}

// The bounds of SendLimit.Within.
const (
	minWithin = time.Second
	maxWithin = 365 * 24 * time.Hour
)

// checkSendLimits validates Config.SendLimits.
func checkSendLimits(limits []SendLimit) Errors {
	var errs Errors
	for i, l := range limits {
		refuse := func(field, text string) {
			errs = append(errs, problemValue.about(fmt.Sprintf("SendLimits[%d].%s", i, field), text))
		}
		switch l.Per {
		case PerOrganization, PerInviter, PerAddress:
			if slices.ContainsFunc(limits[:i], func(other SendLimit) bool { return other.Per == l.Per }) {
				refuse("Per", fmt.Sprintf("is %s, which another limit has; keep one", quoted(l.Per)))
			}
		default:
			refuse("Per", "must be PerOrganization, PerInviter or PerAddress")
		}
		if l.Max < 1 {
			refuse("Max", "must be at least 1; drop the limit to allow any number")
		}
		if l.Within < minWithin || l.Within > maxWithin {
			refuse("Within", "must be from 1 second to 365 days")
		}
	}
	return errs
}

// sending is a link that is about to be issued.
type sending struct {
	userID   string          // the acting user; "" is the trusted back end, which is not bound
	key      string          // the canonical address
	param    string          // the parameter that names the address, or ""
	reissued *storage.Record // the invitation as it is stored, unless it is new
}

// group returns what the link has in common with others that the limit counts.
func (l SendLimit) group(s sending) string {
	switch l.Per {
	case PerInviter:
		return s.userID
	case PerAddress:
		return s.key
	}
	return ""
}

// counts reports whether the invitation of the link counts already. Another link then changes nothing.
func (l SendLimit) counts(s sending, since time.Time) bool {
	r := s.reissued
	return r != nil && r.SentAt.After(since) && (l.Per != PerInviter || r.InviterUserID == s.userID)
}

// window returns the filter of the invitations of a group that count.
func (l SendLimit) window(organizationID, group string, since time.Time) storage.Filter {
	f := storage.Filter{OrganizationID: organizationID, SentAfter: since}
	switch l.Per {
	case PerInviter:
		f.InviterUserID = group
	case PerAddress:
		f.EmailKeys = []string{group}
	}
	return f
}

// requireSendings requires that Config.SendLimits allow acting users to issue these links. The organization must be
// locked, so that nobody else issues a link between the count and the write. Of several limits that are exceeded, the
// error is that with the longest wait.
func (w *work) requireSendings(ctx context.Context, organizationID string, links []sending, now time.Time) error {
	var refused excess
	for _, l := range w.cfg.SendLimits {
		since := now.Add(-l.Within)
		groups := map[string][]sending{}
		var order []string
		for _, s := range links {
			if l.counts(s, since) {
				continue
			}
			group := l.group(s)
			groups[group] = append(groups[group], s)
			if s.userID != "" && !slices.Contains(order, group) {
				order = append(order, group)
			}
		}
		more, err := w.exceeds(ctx, l, organizationID, order, groups, since)
		if err != nil {
			return err
		}
		if more.errs != nil && (refused.errs == nil || more.wait > refused.wait) {
			refused = more
		}
	}
	return refused.errs.err()
}

// excess is why links exceed a limit, and how long to wait until they do not.
type excess struct {
	errs Errors
	wait time.Duration
}

// requireSendingOf is requireSendings for another link of r.
func (w *work) requireSendingOf(ctx context.Context, r storage.Record, by manager, now time.Time) error {
	link := sending{userID: by.userID, key: r.EmailKey, reissued: &r}
	return w.requireSendings(ctx, r.OrganizationID, []sending{link}, now)
}

// exceeds returns why these links, by group, exceed a limit. order has the groups in which an acting user issues a
// link. The links of the back end are never refused, but those before the link of a user count.
func (w *work) exceeds(ctx context.Context, l SendLimit, organizationID string, order []string,
	groups map[string][]sending, since time.Time) (excess, error) {
	counted, err := w.countSent(ctx, l, organizationID, order, since)
	if err != nil {
		return excess{}, err
	}
	var errs collector
	var longest time.Duration
	for _, group := range order {
		links := groups[group]
		for links[len(links)-1].userID == "" {
			links = links[:len(links)-1]
		}
		over := counted[group] + len(links) - l.Max
		if over <= 0 {
			continue
		}
		wait := l.Within
		if len(links) <= l.Max {
			if wait, err = w.untilFree(ctx, l.window(organizationID, group, since), over); err != nil {
				return excess{}, err
			}
		}
		longest = max(longest, wait)
		errs.add(l.refusal(links, wait))
	}
	return excess{refusals(errs.err()), longest}, nil
}

// countSent returns how many invitations of each group count. It takes one statement, except that a bulk by several
// inviters takes one for each of them.
func (w *work) countSent(ctx context.Context, l SendLimit, organizationID string, groups []string, since time.Time) (
	map[string]int, error) {
	counted := map[string]int{}
	if l.Per == PerAddress && len(groups) > 1 {
		f := storage.Filter{OrganizationID: organizationID, EmailKeys: groups, SentAfter: since}
		return counted, w.pages(ctx, f, func(found []storage.Record) {
			for _, r := range found {
				counted[r.EmailKey]++
			}
		})
	}
	for _, group := range groups {
		n, err := w.store.Count(ctx, l.window(organizationID, group, since))
		if err != nil {
			return nil, err
		}
		counted[group] = n
	}
	return counted, nil
}

// untilFree returns how long it takes until so many of the invitations that match f no longer count.
func (w *work) untilFree(ctx context.Context, f storage.Filter, over int) (time.Duration, error) {
	var sent []time.Time
	err := w.pages(ctx, f, func(found []storage.Record) {
		for _, r := range found {
			sent = append(sent, r.SentAt)
		}
	})
	if err != nil || over > len(sent) { // the back end has deleted some since they were counted
		return 0, err
	}
	slices.SortFunc(sent, time.Time.Compare)
	return sent[over-1].Sub(f.SentAfter), nil
}

// refusal returns the error for links of a group that exceed the limit.
func (l SendLimit) refusal(links []sending, wait time.Duration) *Error {
	text, param := "this organization has sent too many invitations", ""
	switch l.Per {
	case PerInviter:
		text = "the inviter has sent too many invitations"
	case PerAddress:
		text, param = "the address was invited too often", links[0].param
	}
	seconds := int(math.Ceil(wait.Seconds()))
	remedy := fmt.Sprintf("try again in %d seconds", seconds)
	if len(links) > l.Max {
		remedy = fmt.Sprintf("send at most %d at once", l.Max)
	}
	return problemTooSoon.about(param, text+"; "+remedy).with("retry_after", seconds)
}
