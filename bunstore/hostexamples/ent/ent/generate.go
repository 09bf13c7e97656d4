// Package ent is generated from the models in package schema, except for this file and sqltx.go.
package ent

//go:generate go run -mod=mod entgo.io/ent/cmd/ent@v0.14.5 generate ./schema
