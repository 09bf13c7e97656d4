// Command webexample is a whole web application with organizations, members and invitations, on SQLite, to copy from:
//
//	go run .
//
// host.go, members.go, join.go and mail.go call the library. session.go and pages.go are what any application has.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/orginvite/orginvite/clock"
)

func main() {
	address := flag.String("addr", "localhost:8080", "`address` to listen on, on this machine")
	path := flag.String("db", "", "SQLite `file` (default: a temporary one, removed at the end)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, *path); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, address, path string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	at := listener.Addr().(*net.TCPAddr)
	if !at.IP.IsLoopback() {
		return fmt.Errorf("-addr %s: /mail shows everybody's mail, so use localhost", address)
	}
	dir, err := os.MkdirTemp("", "webexample")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// The key signs the links of invitations. Keep it with the application's other secrets. Without it, links stop
	// working when the process ends.
	key := cmp.Or(os.Getenv("WEBEXAMPLE_TICKET_KEY"), rand.Text()+rand.Text())
	base := fmt.Sprintf("http://localhost:%d", at.Port)
	a, err := newApp(ctx, cmp.Or(path, filepath.Join(dir, "app.db")), base, []byte(key), clock.System())
	if err != nil {
		return err
	}
	defer func() { _ = a.db.Close() }()
	go a.mailUntil(ctx)
	server := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println("open", base)
	return server.Serve(listener)
}
