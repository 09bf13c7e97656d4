package invitation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orginvite/orginvite/storage"
)

// maxInsertRounds bounds how often insertDrafts tries again after another transaction has taken a pending slot.
const maxInsertRounds = 3

// insertDrafts frees the pending slots of the drafts where it may, and stores the drafts.
func (w *work) insertDrafts(ctx context.Context, organizationID string, drafts []draft,
	inviters map[string]manager) ([]Invitation, error) {
	round := 1
	if w.free && len(drafts) == 1 && !drafts[0].Replace && w.cfg.Seats == nil {
		// Insert without reading the holder first, because the slot is usually free. Several drafts would wait for one
		// slot while they hold others. Operations that lock the holders first would then deadlock with them.
		round = 0
	}
	for ; ; round++ {
		var holders map[string]storage.Record
		if round > 0 {
			var err error
			if holders, err = w.holders(ctx, organizationID, drafts); err != nil {
				return nil, err
			}
		}
		if err := w.authorizeDrafts(ctx, OperationCreate, organizationID, drafts, inviters); err != nil {
			return nil, w.refusal(ctx, organizationID, drafts, err, nil)
		}
		now := w.now() // after waiting for all locks
		if err := w.requireSlots(ctx, organizationID, drafts, inviters, holders, now); err != nil {
			if round == 0 && refusals(err) != nil {
				continue // read the holder first: a duplicate comes before a limit
			}
			return nil, w.refusal(ctx, organizationID, drafts, nil, err)
		}
		records, err := w.records(organizationID, drafts, now)
		if err != nil {
			return nil, err
		}
		err = w.replace(ctx, drafts, holders, records, now)
		var exists *storage.ExistsError
		if errors.As(err, &exists) {
			if round == 0 {
				return nil, errNotFree
			}
			if err := w.afterLoss(ctx, drafts, records, exists, round); err != nil {
				return nil, w.refusal(ctx, organizationID, drafts, nil, err)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := w.requireNotMembers(ctx, organizationID, drafts); err != nil {
			return nil, err
		}
		created := make([]Invitation, len(records))
		for i, r := range records {
			event := Event{Type: EventCreated, At: now, ActorID: r.InviterUserID, Notify: !drafts[i].Silent}
			created[i] = w.note(change{r, event})
			created[i].URL = w.issuedLink(r)
		}
		return created, nil
	}
}

// holders reads and locks the records that hold the pending slots of the drafts. It returns them by canonical address.
func (w *work) holders(ctx context.Context, organizationID string, drafts []draft) (map[string]storage.Record, error) {
	f := slots(organizationID, drafts)
	found, err := w.list(ctx, storage.Query{Filter: f})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if found, err = w.lockRecords(ctx, f, idsOf(found)...); err != nil {
		return nil, err
	}
	return byKey(found), nil
}

// slots returns the filter of the records that hold the pending slots of the drafts.
func slots(organizationID string, drafts []draft) storage.Filter {
	f := storage.Filter{
		OrganizationID: organizationID,
		StoredStatuses: []string{storage.Pending},
	}
	for _, d := range drafts {
		f.EmailKeys = append(f.EmailKeys, d.key)
	}
	return f
}

// byKey returns records by canonical address.
func byKey(records []storage.Record) map[string]storage.Record {
	holders := make(map[string]storage.Record, len(records))
	for _, r := range records {
		holders[r.EmailKey] = r
	}
	return holders
}

// requireSlots requires that the drafts may take their pending slots. It checks for duplicates, the pause before a
// replacement, the limits over time, and the quotas. An inviter can replace only what they manage.
func (w *work) requireSlots(ctx context.Context, organizationID string, drafts []draft, inviters map[string]manager,
	holders map[string]storage.Record, now time.Time) error {
	var duplicates []int
	var errs collector
	var more demand
	for i, d := range drafts {
		more.add(w.cfg.Roles, d.Role)
		more.untold = more.untold || inviters[d.InviterUserID].own
		r, held := holders[d.key]
		switch {
		case !held || lapsed(r, now):
		case !d.Replace || !inviters[d.InviterUserID].covers(r):
			duplicates = append(duplicates, i)
		default:
			more.drop(w.cfg.Roles, Role(r.Role))
			if e := w.checkPause(d.email(), r, now); e != nil {
				errs.add(e)
			}
		}
	}
	if len(duplicates) > 0 {
		return duplicate(drafts, duplicates)
	}
	if err := errs.err(); err != nil {
		return err
	}
	links := make([]sending, len(drafts))
	for i, d := range drafts {
		links[i] = sending{userID: d.InviterUserID, key: d.key, param: d.email()}
	}
	if err := w.requireSendings(ctx, organizationID, links, now); err != nil {
		return err
	}
	return w.requireQuota(ctx, organizationID, more, now)
}

// replace stores the records. It first frees their pending slots: it stores the expiry of an expired holder, and
// revokes any other. If a slot has been taken again, replace writes nothing.
func (w *work) replace(ctx context.Context, drafts []draft, holders map[string]storage.Record,
	records []storage.Record, now time.Time) error {
	if len(holders) == 0 {
		return w.store.Insert(ctx, records...)
	}
	var changes []change
	for _, d := range drafts {
		r, held := holders[d.key]
		if !held {
			continue
		}
		event := Event{Type: EventRevoked, At: now, ActorID: d.InviterUserID}
		if lapsed(r, now) {
			event = Event{Type: EventExpired, At: now}
		}
		c, err := move(r, event)
		if err != nil {
			return err
		}
		changes = append(changes, c)
	}
	return w.nested(ctx, func(ctx context.Context, w *work) error {
		if _, err := w.save(ctx, changes...); err != nil {
			return err
		}
		return w.store.Insert(ctx, records...)
	})
}

// afterLoss decides what to do after an insert found ids or pending slots taken. It returns nil to try again in another
// round, or the error.
func (w *work) afterLoss(ctx context.Context, drafts []draft, records []storage.Record, exists *storage.ExistsError,
	round int) error {
	ids := idsOf(records)
	slices.Sort(ids)
	used, err := w.store.Count(ctx, storage.Filter{IDs: ids})
	switch {
	case err != nil:
		return err
	case used > 0 || len(slices.Compact(ids)) < len(records):
		return errors.New("Config.NewID returned an id that is taken")
	case round < maxInsertRounds:
		return nil
	}
	duplicates := slices.DeleteFunc(slices.Clone(exists.Indexes), func(i int) bool { return drafts[i].Replace })
	if len(duplicates) == 0 { // concurrent calls keep replacing it
		return fmt.Errorf("the pending invitation to be replaced: %w", ErrConflict)
	}
	return duplicate(drafts, duplicates)
}

// rivals reads and locks an invitation that by manages, and the other invitation that holds its pending slot, if there
// is one. A pending invitation holds its slot itself, and only an expired one needs it.
func (w *work) rivals(ctx context.Context, by manager, organizationID, invitationID string) (
	storage.Record, *storage.Record, error) {
	f := storage.Filter{OrganizationID: organizationID}
	found, err := w.lockRecords(ctx, f, append([]string{invitationID}, w.early...)...)
	if err != nil {
		return storage.Record{}, nil, err
	}
	at := slices.IndexFunc(found, func(r storage.Record) bool { return r.ID == invitationID })
	if at < 0 || !by.covers(found[at]) {
		return storage.Record{}, nil, noInvitation()
	}
	r := found[at]
	if Status(r.Status) != StatusExpired {
		return r, nil, nil
	}
	f.EmailKeys, f.StoredStatuses = []string{r.EmailKey}, []string{storage.Pending}
	holders, err := w.list(ctx, storage.Query{Filter: f})
	if err != nil || len(holders) == 0 {
		return r, nil, err
	}
	id := holders[0].ID
	if id < r.ID && !slices.Contains(w.early, id) {
		return storage.Record{}, nil, &lockEarly{id} // because all operations lock rows in the order of their ids
	}
	holders, err = w.lockRecords(ctx, f, id)
	if err != nil || len(holders) == 0 {
		return r, nil, err
	}
	return r, &holders[0], nil
}

// requireSlot requires that r may take its pending slot, with this role: the checks that follow the check for members.
// They are the holder of the slot, the pause, the limits over time and the quotas.
func (w *work) requireSlot(ctx context.Context, r storage.Record, by manager, role Role, holder *storage.Record,
	now time.Time) error {
	if holder != nil && !lapsed(*holder, now) {
		return slotTaken()
	}
	if e := w.checkPause("", r, now); e != nil {
		return e
	}
	if err := w.requireSendingOf(ctx, r, by, now); err != nil {
		return err
	}
	more := demand{untold: by.own}
	more.add(w.cfg.Roles, role)
	return w.requireQuota(ctx, r.OrganizationID, more, now)
}
