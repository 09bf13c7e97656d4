// The examples are a module of their own, so that the library does not require pgx or bbolt because of them.
module github.com/orginvite/orginvite/storage/examples

go 1.26.0

require (
	github.com/jackc/pgx/v5 v5.12.0
	github.com/orginvite/orginvite v0.0.0-00010101000000-000000000000
	go.etcd.io/bbolt v1.5.0
)

require (
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/orginvite/orginvite => ../..
