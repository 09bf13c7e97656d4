package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/orginvite/orginvite/invitation"
)

// Membership is the role of an account in an organization.
type Membership struct{ ent.Schema }

// Annotations returns the options of the table.
func (Membership) Annotations() []schema.Annotation { return []schema.Annotation{exact} }

// Fields returns the columns, besides the id that ent adds.
func (Membership) Fields() []ent.Field {
	return []ent.Field{
		field.String("organization_id").MaxLen(191),
		field.String("user_id").MaxLen(191),
		field.String("role").MaxLen(191).GoType(invitation.Role("")),
	}
}

// Indexes returns the unique key that Directory.Join needs.
func (Membership) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "user_id").Unique()}
}
