// Package schema has the application's models.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// Account is a user. The email was verified at sign-up, and is in the form of invitation.CanonicalEmail.
type Account struct{ ent.Schema }

// Annotations returns the options of the table.
func (Account) Annotations() []schema.Annotation { return []schema.Annotation{exact} }

// Fields returns the columns.
func (Account) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(191),
		field.String("email").MaxLen(320).Unique(),
	}
}

// exact makes MariaDB compare ids byte for byte, as the library does. By default ent's tables ignore trailing spaces.
var exact = entsql.Annotation{Charset: "utf8mb4", Collation: "utf8mb4_nopad_bin"}
