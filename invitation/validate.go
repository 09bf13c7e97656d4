package invitation

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-playground/validator/v10"

	"github.com/orginvite/orginvite/storage"
)

// validate is the only validator. Its tags "bytes" and "text" count bytes, as the limits of storage do, and check that
// text can be stored and shown.
var validate = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("wire") })
	// Registration fails only for an empty tag or function.
	_ = v.RegisterValidation("bytes", func(fl validator.FieldLevel) bool {
		most, err := strconv.Atoi(fl.Param())
		return err == nil && len(fl.Field().String()) <= most
	})
	_ = v.RegisterValidation("text", func(fl validator.FieldLevel) bool {
		return plainText(fl.Field().String())
	})
	return v
})

// plainText reports whether a text can be stored and shown.
func plainText(s string) bool {
	return storage.ValidText(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// checkParams validates a struct of parameters by its tags. It names a parameter by its wire tag, with prefix.
func checkParams(prefix string, params any) Errors {
	return translate(prefix, validate().Struct(params))
}

// checkText validates a required text of at most most bytes.
func checkText(param, text string, most int) *Error {
	if text != "" && len(text) <= most && plainText(text) { // the validator only words the error
		return nil
	}
	if errs := translate(param, validate().Var(text, fmt.Sprintf("required,bytes=%d,text", most))); errs != nil {
		return errs[0]
	}
	return nil
}

// translate converts the errors of the validator. None of its types leaves the package.
func translate(prefix string, err error) Errors {
	var failures validator.ValidationErrors
	if !errors.As(err, &failures) {
		return nil
	}
	errs := make(Errors, len(failures))
	for i, f := range failures {
		param := prefix + f.Field()
		switch f.Tag() {
		case "required":
			errs[i] = problemMissing.about(param, "is required and must not be empty")
		case "bytes":
			errs[i] = problemSize.about(param, "must be at most "+f.Param()+" bytes")
		case "text":
			errs[i] = problemFormat.about(param, "must be valid UTF-8 without control characters")
		case "min":
			errs[i] = problemValue.about(param, "must be at least "+f.Param())
		case "max":
			errs[i] = problemValue.about(param, "must be at most "+f.Param())
		default:
			errs[i] = problemFormat.about(param, "must be a valid "+f.Tag())
		}
	}
	return errs
}

// The JSON names of parameters.
const (
	paramOrganization = "organization_id"
	paramInvitation   = "invitation_id"
	paramUser         = "user_id"
	paramInviter      = "inviter_user_id"
	paramRequesting   = "requesting_user_id"
	paramPrivate      = "private_metadata"
	paramEmail        = "email_address"
)

// checkIDs validates the ids that name an invitation.
func checkIDs(organizationID, invitationID string) Errors {
	var errs Errors
	for _, e := range []*Error{
		checkText(paramOrganization, organizationID, storage.MaxReference),
		checkText(paramInvitation, invitationID, storage.MaxID),
	} {
		if e != nil {
			errs = append(errs, e)
		}
	}
	return errs
}

// missingIDs returns an error for each id that is missing from params without a ticket.
func missingIDs(p AcceptParams) Errors {
	var errs Errors
	for _, id := range [...]struct{ param, value string }{
		{paramOrganization, p.OrganizationID},
		{paramInvitation, p.InvitationID},
	} {
		if id.value == "" {
			errs = append(errs, problemMissing.about(id.param, "is required without a ticket"))
		}
	}
	return errs
}

// checkRole validates the role that an invitation is to get; "" keeps its role.
func (s *Service) checkRole(role Role) Errors {
	if role == "" || s.cfg.Roles.knows(role) {
		return nil
	}
	return Errors{unknownRole("")}
}

// checkExpiry validates how long an invitation is to be pending; 0 means the default.
func checkExpiry(prefix string, d time.Duration) Errors {
	if d == 0 || d >= minExpiry && d <= maxExpiry {
		return nil
	}
	return Errors{problemValue.about(prefix+"expires_in_days", "expires in 1 second to 365 days")}
}

// expiry returns when an invitation that is sent now expires; 0 means the default.
func (s *Service) expiry(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		d = s.cfg.ExpiresIn
	}
	return now.Add(d).Truncate(time.Microsecond)
}

// checkMetadata checks the size of both objects.
func (s *Service) checkMetadata(prefix string, public, private Metadata) Errors {
	var errs Errors
	for _, m := range []struct {
		param string
		Metadata
	}{{"public_metadata", public}, {paramPrivate, private}} {
		if s.cfg.MaxMetadata >= 0 && m.size() > max(s.cfg.MaxMetadata, len("{}")) {
			errs = append(errs, problemSize.about(prefix+m.param,
				fmt.Sprintf("must be at most %d bytes", s.cfg.MaxMetadata)))
		}
	}
	return errs
}
