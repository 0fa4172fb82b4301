package objectstore_test

import (
	"errors"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

func TestJSONIsReadUpToALimit(t *testing.T) {
	t.Parallel()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const text = `{"a":7}`
	if _, err := store.Put(t.Context(), "good", strings.NewReader(text), -1, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), "cut", strings.NewReader(text[:4]), -1, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var out struct{ A int }
	if err := objectstore.ReadJSON(t.Context(), store, "good", int64(len(text)), &out); err != nil || out.A != 7 {
		t.Errorf("%+v, %v", out, err)
	}
	for key, limit := range map[string]int64{"good": int64(len(text)) - 1, "cut": 100} {
		if err := objectstore.ReadJSON(t.Context(), store, key, limit, &out); err == nil {
			t.Errorf("%s is read with a limit of %d bytes", key, limit)
		}
	}
	if err := objectstore.ReadJSON(t.Context(), store, "none", 100, &out); !errors.Is(err, melodyud.ErrNotFound) {
		t.Errorf("an absent object is %v", err)
	}
}
