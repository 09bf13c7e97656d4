package invitation

import (
	"context"
	"errors"

	"github.com/orginvite/orginvite/storage"
)

// Operation names the operation that calls [Config].AllowEmail.
type Operation string

// The operations that call Config.AllowEmail.
const (
	OperationCreate  Operation = "create"  // Create, CreateBulk, CreateEach and CanInvite
	OperationResend  Operation = "resend"  // Resend
	OperationUpdate  Operation = "update"  // Update
	OperationLink    Operation = "link"    // Link
	OperationPreview Operation = "preview" // Preview
	OperationAccept  Operation = "accept"  // Accept
)

// AllowEmailRequest is what [Config].AllowEmail gets.
type AllowEmailRequest struct {
	Operation      Operation // the operation that calls
	OrganizationID string    // the organization of the invitation
	EmailAddress   string    // the canonical address of the invitation
}

// allowEmail asks Config.AllowEmail. It returns what was refused, or an internal error. param is the parameter that
// names the address.
func (s *Service) allowEmail(ctx context.Context, param string, r AllowEmailRequest) (Errors, error) {
	if s.cfg.AllowEmail == nil {
		return nil, nil
	}
	err := s.cfg.AllowEmail(ctx, s.store, r)
	switch own := refusals(err); {
	case err == nil || own != nil:
		return own, nil
	case errors.Is(err, ErrForbidden):
		return Errors{
			problemNotAllowed.about(param, "the address may not be invited into this organization").because(err),
		}, nil
	}
	return nil, callback("Config.AllowEmail", err)
}

// requireEmail requires that Config.AllowEmail allows the operation on r.
func (s *Service) requireEmail(ctx context.Context, operation Operation, param string, r storage.Record) error {
	refused, err := s.allowEmail(ctx, param, AllowEmailRequest{operation, r.OrganizationID, r.EmailKey})
	if err != nil {
		return err
	}
	return refused.err()
}
