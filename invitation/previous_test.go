package invitation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orginvite/orginvite/invitation"
)

// paged returns a world in which acme has ten invitations, i0 to i9. Two at a time were created at the same instant,
// and three at a time expire at the same instant.
func paged(t *testing.T) *world {
	w := setup(t, nil)
	n := -1
	w.svc = w.service(w.host, &invitation.Config{NewID: func() string { n++; return fmt.Sprint("i", n) }})
	for i := range 10 {
		p := entry(fmt.Sprintf("u%d@example.com", i*7%10), invitation.RoleMember, "")
		p.ExpiresIn = time.Duration(1000-i/3)*time.Hour - w.clock.Now().Sub(noon)
		_, err := w.svc.Create(w.ctx, "acme", p)
		w.is.NoErr(err)
		if i%2 > 0 {
			w.clock.Advance(time.Minute)
		}
	}
	return w
}

// page returns a page and its ids.
func (w *world) page(p invitation.ListParams) (invitation.Page, string) {
	w.t.Helper()
	page, err := w.svc.List(w.ctx, "acme", p)
	w.is.NoErr(err)
	return page, strings.Join(ids(page.Data), " ")
}

// The previous pages are the pages that came before, in every order, whether they were reached by cursor or by offset.
func TestPreviousPages(t *testing.T) {
	w := paged(t)
	for _, order := range []string{
		"", "created_at", "-created_at", "email_address", "-email_address", "expires_at,-created_at",
		"-expires_at,email_address",
	} {
		var by []invitation.Order
		for field := range strings.SplitSeq(order, ",") {
			if o, err := invitation.ParseOrder(field); err == nil {
				by = append(by, o)
			}
		}
		for _, limit := range []int{1, 3, 5, 10, 11} {
			p := invitation.ListParams{OrderBy: by, Limit: limit}
			var pages []string
			var last invitation.Page
			for {
				page, text := w.page(p)
				w.is.Equal(page.TotalCount, 10)
				w.is.Equal(page.PrevCursor != "", len(pages) > 0)
				byOffset, same := w.page(invitation.ListParams{OrderBy: by, Limit: limit, Offset: len(pages) * limit})
				w.is.Equal(same, text)
				w.is.Equal(byOffset.PrevCursor, page.PrevCursor)
				w.is.Equal(byOffset.NextCursor, page.NextCursor)
				pages, last = append(pages, text), page
				if page.NextCursor == "" {
					break
				}
				p.Cursor = page.NextCursor
			}
			for i := len(pages) - 2; i >= 0; i-- {
				p.Cursor = last.PrevCursor
				page, text := w.page(p)
				w.is.Equal(text, pages[i])
				w.is.Equal(page.TotalCount, 10)
				w.is.Equal(page.PrevCursor != "", i > 0)
				p.Cursor = page.NextCursor
				_, next := w.page(p)
				w.is.Equal(next, pages[i+1]) // and forward again
				last = page
			}
		}
	}
}

// Past the end, the page is empty, has the total, and leads back to the last page.
func TestPreviousOfTheEmptyPage(t *testing.T) {
	w := paged(t)
	for _, skip := range []bool{false, true} {
		page, text := w.page(invitation.ListParams{Offset: 50, Limit: 3, SkipTotal: skip})
		w.is.Equal(text, "")
		w.is.Equal(page.NextCursor, "")
		w.is.True(skip || page.TotalCount == 10)
		page, text = w.page(invitation.ListParams{Cursor: page.PrevCursor, Limit: 3})
		w.is.Equal(text, "i2 i1 i0")
		w.is.Equal(page.NextCursor, "")
		_, text = w.page(invitation.ListParams{Cursor: page.PrevCursor, Limit: 3})
		w.is.Equal(text, "i5 i4 i3")
	}

	first, _ := w.page(invitation.ListParams{Limit: 9})
	w.is.NoErr(deleteInvitation(w, "i0"))
	page, text := w.page(invitation.ListParams{Limit: 9, Cursor: first.NextCursor})
	w.is.Equal(text, "")
	w.is.Equal(page.TotalCount, 9)
	_, text = w.page(invitation.ListParams{Limit: 4, Cursor: page.PrevCursor})
	w.is.Equal(len(strings.Fields(text)), 4) // the last ones

	none, err := w.svc.List(w.ctx, "nowhere", invitation.ListParams{Offset: 5})
	w.is.NoErr(err)
	none, err = w.svc.List(w.ctx, "nowhere", invitation.ListParams{Cursor: none.PrevCursor})
	w.is.NoErr(err)
	w.is.Equal(none, invitation.Page{Data: []invitation.Invitation{}}) // nothing anywhere
}

// What was before is gone: the previous page is then the first one.
func TestPreviousOfWhatIsGone(t *testing.T) {
	w := paged(t)
	p := invitation.ListParams{Limit: 2, OrderBy: []invitation.Order{{Field: invitation.OrderEmailAddress}}}
	first, shown := w.page(p)
	p.Cursor = first.NextCursor
	second, rest := w.page(p)
	for id := range strings.FieldsSeq(shown) {
		w.is.NoErr(deleteInvitation(w, id))
	}
	p.Cursor = second.PrevCursor
	page, text := w.page(p)
	w.is.Equal(text, rest)
	w.is.Equal(page.PrevCursor, "")
	w.is.Equal(page.NextCursor, second.NextCursor)
}

func TestPreviousCursorsAreBound(t *testing.T) {
	w := paged(t)
	page, _ := w.page(invitation.ListParams{Offset: 3, Limit: 3})
	for _, p := range []invitation.ListParams{
		{Cursor: page.PrevCursor, Query: "u"}, {Cursor: page.PrevCursor[:len(page.PrevCursor)-2]},
		{Cursor: page.PrevCursor, OrderBy: []invitation.Order{{Field: invitation.OrderExpiresAt}}},
	} {
		_, err := w.svc.List(w.ctx, "acme", p)
		w.is.True(errors.Is(err, invitation.ErrInvalidCursor))
	}
	_, err := w.svc.ListAll(w.ctx, invitation.ListParams{Cursor: page.PrevCursor})
	w.is.True(errors.Is(err, invitation.ErrInvalidCursor))
	body := string(marshal(t, page))
	w.is.True(strings.Contains(body, `"prev_cursor":"`+page.PrevCursor+`"`))
	var read invitation.Page
	w.is.NoErr(read.UnmarshalJSON([]byte(body)))
	w.is.Equal(read.PrevCursor, page.PrevCursor)
	w.is.True(strings.Contains(string(marshal(t, page.Backend())), page.PrevCursor))
}

func deleteInvitation(w *world, id string) error {
	_, err := w.host.Storage().Delete(w.ctx, id)
	return err
}
