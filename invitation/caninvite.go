package invitation

import (
	"context"

	"github.com/orginvite/orginvite/storage"
)

// CanInvite returns the error that Create would return now, or nil. So a page can tell why an address cannot be invited
// before anybody submits the form. CanInvite writes nothing, locks no rows and begins no transaction.
//
// A nil error is not a promise. Somebody else may invite the address, or take the last seat, before Create is called.
// Create decides, and stays correct under any concurrency.
//
// CanInvite calls Config.AllowEmail, Config.Seats and the Directory as Create does, but begins no transaction for them.
func (s *Service) CanInvite(ctx context.Context, organizationID string, p CreateParams) error {
	return s.wrapRead(ctx, "can invite", s.canInvite(ctx, organizationID, p))
}

func (s *Service) canInvite(ctx context.Context, organizationID string, p CreateParams) error {
	if err := s.checkReady(); err != nil {
		return err
	}
	ps := []CreateParams{p}
	if err := s.checkAllPrivate(ps, alone); err != nil {
		return err
	}
	drafts, err := s.drafts(organizationID, ps, alone)
	if err != nil {
		return err
	}
	w := &work{Service: s} // reads only
	inviters, err := w.requireInviters(ctx, organizationID, drafts)
	if err != nil {
		return err
	}
	if err := w.authorizeDrafts(ctx, OperationCreate, organizationID, drafts, inviters); err != nil {
		return w.refusal(ctx, organizationID, drafts, err, nil)
	}
	if err := w.requireNotMembers(ctx, organizationID, drafts); err != nil {
		return err
	}
	found, err := w.list(ctx, storage.Query{Filter: slots(organizationID, drafts)})
	if err != nil {
		return err
	}
	return w.requireSlots(ctx, organizationID, drafts, inviters, byKey(found), w.now())
}
