package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/orginvite/orginvite/invitation"
	"github.com/orginvite/orginvite/invitation/invitationtest"
	"github.com/orginvite/orginvite/storage"
)

// build builds the command.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "webexample")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestCommand runs the command, opens its page, and interrupts it. It leaves nothing behind.
func TestCommand(t *testing.T) {
	is := is.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	scratch := t.TempDir()
	cmd := exec.CommandContext(ctx, build(t), "-addr", "localhost:0")
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
	out, err := cmd.StdoutPipe()
	is.NoErr(err)
	is.NoErr(cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	is.NoErr(err)
	base, ok := strings.CutPrefix(strings.TrimSpace(line), "open ")
	is.True(ok)
	res, err := http.Get(base)
	is.NoErr(err)
	body, err := io.ReadAll(res.Body)
	is.NoErr(err)
	is.NoErr(res.Body.Close())
	is.True(strings.Contains(string(body), "Sign in or sign up"))
	is.NoErr(cmd.Process.Signal(os.Interrupt))
	is.NoErr(cmd.Wait())
	left, err := os.ReadDir(scratch)
	is.NoErr(err)
	is.Equal(len(left), 0)
}

// TestSettings tests addresses and files that the command refuses, and a file that it keeps.
func TestSettings(t *testing.T) {
	is := is.New(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	ctx, done := context.WithTimeout(t.Context(), 10*time.Second) // what is not refused serves until then
	defer done()
	err := run(ctx, "0.0.0.0:0", "")
	is.True(err != nil)
	is.True(strings.Contains(err.Error(), "use localhost"))
	is.True(run(ctx, "localhost", "") != nil)
	is.True(run(ctx, "localhost:0", filepath.Join(t.TempDir(), "no", "such.db")) != nil)
	t.Setenv("WEBEXAMPLE_TICKET_KEY", "short")
	err = run(ctx, "localhost:0", "")
	is.True(errors.Is(err, invitation.ErrInvalid))
	t.Setenv("WEBEXAMPLE_TICKET_KEY", "a key of the tests, of 32 bytes or more")
	kept := filepath.Join(t.TempDir(), "kept.db")
	for range 2 { // the second run finds the tables
		a, err := newApp(t.Context(), kept, "http://localhost", []byte("a key of the tests, of 32 bytes or more"), nil)
		is.NoErr(err)
		is.NoErr(a.db.Close())
	}
	is.True(errors.Is(run(ended, "localhost:0", kept), context.Canceled)) // nothing is served after the end
}

// TestDirectory runs the library's tests of a Directory.
func TestDirectory(t *testing.T) {
	invitationtest.RunDirectory(t, func(t *testing.T) invitationtest.DirectoryHost {
		s := newSite(t)
		insert := func(ctx context.Context, row any) error {
			_, err := s.db.NewInsert().Model(row).Exec(ctx)
			return err
		}
		return invitationtest.DirectoryHost{
			Directory: directory{},
			Storage:   storage.Storage(s.store),
			AddOrganization: func(ctx context.Context, id string) (string, error) {
				return id, insert(ctx, &organization{ID: id, Name: id})
			},
			AddUser: func(ctx context.Context, id string, verified ...string) (string, error) {
				if len(verified) != 1 {
					return "", errors.ErrUnsupported
				}
				email, err := invitation.CanonicalEmail(verified[0])
				if err != nil {
					return "", err
				}
				return id, insert(ctx, &user{ID: id, Email: email})
			},
			AddMember: func(ctx context.Context, org, userID string, role invitation.Role) error {
				return insert(ctx, &member{org, userID, role})
			},
		}
	})
}
