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

// validate is the one validator. Its tags of ours count bytes, as the storage limits do, and know which text can
// be stored and shown.
var validate = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("wire") })
	// Registering fails only for a tag or function that is empty.
	_ = v.RegisterValidation("bytes", func(fl validator.FieldLevel) bool {
		most, err := strconv.Atoi(fl.Param())
		return err == nil && len(fl.Field().String()) <= most
	})
	_ = v.RegisterValidation("text", func(fl validator.FieldLevel) bool {
		s := fl.Field().String()
		return storage.ValidText(s) && strings.IndexFunc(s, unicode.IsControl) < 0
	})
	return v
})

// checkParams validates a struct of parameters by its tags. Params are named by the wire tag, behind prefix.
func checkParams(prefix string, params any) Errors {
	return translate(prefix, validate().Struct(params))
}

// checkText validates a required text of at most so many bytes.
func checkText(param, text string, most int) *Error {
	if errs := translate(param, validate().Var(text, fmt.Sprintf("required,bytes=%d,text", most))); errs != nil {
		return errs[0]
	}
	return nil
}

// translate turns the validator's failures into errors of ours; none of its types leaves the package.
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

// Names of parameters on the wire.
const (
	paramOrganization = "organization_id"
	paramInvitation   = "invitation_id"
	paramUser         = "user_id"
	paramInviter      = "inviter_user_id"
	paramRequesting   = "requesting_user_id"
	paramPrivate      = "private_metadata"
)

// paramEmail is the wire's name of an address.
const paramEmail = "email_address"

// checkIDs validates the ids of one invitation.
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

// checkExpiry checks how long an invitation is to be pending; 0 is the default.
func checkExpiry(prefix string, d time.Duration) Errors {
	if d == 0 || d >= minExpiry && d <= maxExpiry {
		return nil
	}
	return Errors{problemValue.about(prefix+"expires_in_days", "expires in 1 second to 365 days")}
}

// expiry is when an invitation sent now lapses; 0 is the default.
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
