package invitation

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/orginvite/orginvite/storage"
)

// CreateResult is the outcome of one item of [Service.CreateEach].
type CreateResult struct {
	Invitation Invitation // zero if the item was refused
	Err        error      // the error of the item; nil if it was invited
}

// MarshalJSON returns the JSON of the Invitation, or for a refused item the body that [ErrorBody] returns.
func (r CreateResult) MarshalJSON() ([]byte, error) {
	if r.Err != nil {
		return ErrorBody(r.Err), nil
	}
	return json.Marshal(r.Invitation)
}

// CreateEach invites every address that can be invited, and skips the others. It returns a result for each item, in the
// order of ps. All invitations are created in one transaction.
//
// The Err of a result is the error that Create would return for the item if it were called for one item after the
// other. So the items take seats, and count for the other limits, in the order of ps. There is one difference: an
// address that an earlier item has invited is [ErrDuplicate], with Replace too.
//
// CreateEach itself returns these errors, and then creates nothing:
//
//   - [ErrInvalid]: ps is empty or has more than Config.MaxBulk items, or the organization id is invalid.
//   - [ErrNotMember] or [ErrForbidden]: the user of [Service.As] is not a member, or does not manage invitations.
//   - [ErrNotFound]: the organization does not exist. If all items are invalid, this is not looked up.
//   - [ErrConflict]: concurrent calls kept replacing the same invitation.
//   - Any error that is not about an item, such as one of the storage.
//
// If no item is refused, CreateEach costs about as much as [Service.CreateBulk]. Each refused item adds about as many
// statements as four calls of Create. If a quota is exceeded, CreateEach halves the list until it has found the items
// that fit.
func (s *Service) CreateEach(ctx context.Context, organizationID string, ps []CreateParams) ([]CreateResult, error) {
	results, err := s.createEach(ctx, organizationID, ps)
	return results, s.wrap(ctx, "create each", err)
}

func (s *Service) createEach(ctx context.Context, organizationID string, ps []CreateParams) ([]CreateResult, error) {
	if err := s.checkReady(); err != nil {
		return nil, err
	}
	if err := s.checkBulkSize(len(ps)); err != nil {
		return nil, err
	}
	var errs Errors
	if e := checkText(paramOrganization, organizationID, storage.MaxReference); e != nil {
		errs = append(errs, e)
	}
	if len(ps) == 0 {
		errs = append(errs, noItems())
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	checked, list := s.eachDraft(organizationID, ps)
	if len(list) == 0 {
		_, err := s.requireReader(ctx, organizationID) // nothing else tells an outsider from a manager
		return checked, err
	}
	bound := slices.ContainsFunc(list, func(it item) bool { return it.InviterUserID != "" })
	if !s.limited() && !(bound && len(s.cfg.SendLimits) > 0) {
		// Two calls with the same addresses take the pending slots in the same order, so that they cannot deadlock. With
		// limits the organization is locked, and the order of the items decides who gets the last seat.
		slices.SortStableFunc(list, func(a, b item) int { return cmp.Compare(a.key, b.key) })
	}
	var results []CreateResult
	err := s.sendingIn(ctx, organizationID, bound, func(ctx context.Context, w *work) error {
		results = slices.Clone(checked) // a retry begins again
		return w.createEach(ctx, organizationID, list, results)
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// item is a draft of CreateEach and its position.
type item struct {
	draft
	index int
}

// eachDraft checks the parameters of each item. It returns the valid items, and results with the errors of the others.
func (s *Service) eachDraft(organizationID string, ps []CreateParams) ([]CreateResult, []item) {
	results := make([]CreateResult, len(ps))
	var list []item
	for i := range ps {
		one := ps[i : i+1]
		if results[i].Err = s.checkAllPrivate(one, alone); results[i].Err != nil {
			continue
		}
		drafts, err := s.drafts(organizationID, one, alone)
		if results[i].Err = err; err == nil {
			list = append(list, item{drafts[0], i})
		}
	}
	return results, list
}

// createEach is CreateEach inside its transaction. It fills in the results of list.
func (w *work) createEach(ctx context.Context, organizationID string, list []item, results []CreateResult) error {
	inviters, list, err := w.eachInviter(ctx, organizationID, list, results)
	if err != nil || len(list) == 0 {
		return err
	}
	invited := map[string]bool{}
	for len(list) > 0 {
		run := w.run(list)
		list = list[len(run):]
		run = slices.DeleteFunc(run, func(it item) bool {
			if invited[it.key] {
				results[it.index].Err = problemDuplicate.about(paramEmail, "is listed twice; list it once")
			}
			return invited[it.key]
		})
		if err := w.insertEach(ctx, organizationID, run, inviters, results); err != nil {
			return err
		}
		for _, it := range run {
			invited[it.key] = invited[it.key] || results[it.index].Err == nil
		}
	}
	return nil
}

// run returns the first items of list that can be tried together. It ends before an item whose address has occurred
// before, because what becomes of the first decides about the second. With limits it ends before and after an item that
// may replace an invitation, because what that frees is not free for the items before it.
func (w *work) run(list []item) []item {
	seen := make(map[string]bool, len(list))
	n := 0
	for ; n < len(list) && !seen[list[n].key]; n++ {
		if list[n].Replace && w.limited() {
			n = max(n, 1)
			break
		}
		seen[list[n].key] = true
	}
	return slices.Clone(list[:n])
}

// eachInviter asks for the role of each inviter. It returns the roles, and the items whose inviters manage invitations.
func (w *work) eachInviter(ctx context.Context, organizationID string, list []item, results []CreateResult) (
	map[string]manager, []item, error) {
	inviters, refused := map[string]manager{}, map[string]error{}
	for _, it := range list {
		if _, asked := inviters[it.InviterUserID]; asked || refused[it.InviterUserID] != nil {
			continue
		}
		found, err := w.requireInviters(ctx, organizationID, []draft{it.draft})
		if err != nil && (w.actor != nil || concernsAll(err)) {
			return nil, nil, err
		}
		if err != nil {
			refused[it.InviterUserID] = err
			continue
		}
		maps.Copy(inviters, found)
	}
	var left []item
	for _, it := range list {
		if err := refused[it.InviterUserID]; err != nil {
			results[it.index].Err = err
			continue
		}
		left = append(left, it)
	}
	return inviters, left, nil
}

// insertEach stores the items of list that are not refused. First it tries all of them at once. If that is refused, it
// tries each item that the error names alone, and then all the others together. If the error names no item, it tries
// one half and then the other.
func (w *work) insertEach(ctx context.Context, organizationID string, list []item, inviters map[string]manager,
	results []CreateResult) error {
	if len(list) == 0 {
		return nil
	}
	var created []Invitation
	err := w.nested(ctx, func(ctx context.Context, w *work) error {
		var err error
		created, err = w.insertDrafts(ctx, organizationID, draftsOf(list), inviters)
		return err
	})
	switch {
	case err == nil:
		for i, it := range list {
			results[it.index].Invitation = created[i]
		}
		return nil
	case concernsAll(err):
		return err
	case len(list) == 1:
		results[list[0].index].Err = err
		return nil
	}
	// The rollback may have released the rows. Lock all of them again at once, in the order of all operations.
	if _, err := w.holders(ctx, organizationID, draftsOf(list)); err != nil {
		return err
	}
	parts := named(list, err)
	if len(parts) == 1 {
		parts = [][]item{list[:len(list)/2], list[len(list)/2:]}
	}
	for _, part := range parts {
		if err := w.insertEach(ctx, organizationID, part, inviters, results); err != nil {
			return err
		}
	}
	return nil
}

// concernsAll reports whether err is not about single items: an internal error, or an unknown organization.
func concernsAll(err error) bool {
	errs := refusals(err)
	return errs == nil || slices.ContainsFunc(errs, func(e *Error) bool { return e.Code == CodeNotFound })
}

// draftsOf returns the drafts of the items. The errors of an item that is alone are those of Create. Other errors name
// the index of the item.
func draftsOf(list []item) []draft {
	drafts := make([]draft, len(list))
	for i, it := range list {
		drafts[i] = it.draft
		if len(list) > 1 {
			drafts[i].at = indexed(it.index)
		}
	}
	return drafts
}

// named cuts list into parts: each item that err names by its index is a part of its own, and the last part has the
// others.
func named(list []item, err error) (parts [][]item) {
	errs := refusals(err)
	var others []item
	for i, it := range list {
		if !slices.ContainsFunc(errs, func(e *Error) bool { return strings.HasPrefix(e.Param, indexed(it.index)) }) {
			others = append(others, it)
			continue
		}
		parts = append(parts, list[i:i+1])
	}
	if len(others) > 0 {
		parts = append(parts, others)
	}
	return parts
}
