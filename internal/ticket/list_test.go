package ticket_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

func TestAListIsReadBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, ticket.MaxList} {
		var ids []melodyud.ReleaseID
		for range n {
			ids = append(ids, melodyud.NewReleaseID(time.Now()))
		}
		path, prefix := ticket.List(ids)
		if !strings.HasPrefix(path, prefix) || len(prefix) != 34 || len(path) > 3000 {
			t.Fatalf("path of %d bytes, prefix %q", len(path), prefix)
		}
		parts := strings.Split(path, "/")
		got, err := ticket.ParseList(parts[1], parts[2])
		if err != nil || !slices.Equal(got, ids) {
			t.Errorf("%d releases come back as %v, %v", n, got, err)
		}
	}
}

func TestAnotherListThanTheSignedOneIsNotFound(t *testing.T) { // TOK-3
	t.Parallel()
	a, b := melodyud.NewReleaseID(time.Now()), melodyud.NewReleaseID(time.Now())
	path, _ := ticket.List([]melodyud.ReleaseID{a, b})
	parts := strings.Split(path, "/")
	sum, list := parts[1], parts[2]
	swapped := strings.TrimPrefix(string(b), "rel_") + "-" + strings.TrimPrefix(string(a), "rel_")
	odd, _ := ticket.List([]melodyud.ReleaseID{"rel_odd"})
	long, _ := ticket.List(make([]melodyud.ReleaseID, ticket.MaxList+1))
	for _, bad := range [][2]string{
		{sum, swapped}, {sum, list + "-"}, {"", list}, {strings.ToUpper(sum), list},
		{strings.Split(odd, "/")[1], "odd"}, {strings.Split(long, "/")[1], strings.Split(long, "/")[2]},
	} {
		if _, err := ticket.ParseList(bad[0], bad[1]); !errors.Is(err, melodyud.ErrNotFound) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
