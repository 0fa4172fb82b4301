package objectstoretest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/objectstoretest"
)

func open(t testing.TB, fail func(objectstoretest.Call, string) bool) *objectstoretest.Flaky {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	mux.Handle("/", s.Handler())
	return &objectstoretest.Flaky{Store: s, Fail: fail}
}

func TestAFlakyStoreThatFailsNothingKeepsTheContract(t *testing.T) {
	objectstoretest.Run(t, func(t testing.TB) objectstore.Store {
		return open(t, func(objectstoretest.Call, string) bool { return false })
	})
}

func TestAFlakyStoreFailsWhatItIsToldTo(t *testing.T) {
	t.Parallel()
	var fail objectstoretest.Call
	s := open(t, func(c objectstoretest.Call, key string) bool { return c == fail && strings.HasPrefix(key, "k") })
	ctx := context.Background()
	calls := map[objectstoretest.Call]func() error{
		objectstoretest.Put: func() error {
			_, err := s.Put(ctx, "k", strings.NewReader("0123456789"), 10, objectstore.PutOptions{})
			return err
		},
		objectstoretest.Open: func() error {
			r, _, err := s.Open(ctx, "k", 0, -1)
			return errors.Join(err, shut(r))
		},
		objectstoretest.Read: func() error {
			r, _, err := s.Open(ctx, "k", 0, -1)
			if err != nil {
				return err
			}
			b, err := io.ReadAll(r)
			if err != nil && string(b) != "01234" {
				t.Errorf("a broken reader gave %q first, want half of the object", b)
			}
			return errors.Join(err, shut(r))
		},
		objectstoretest.Stat:    func() error { _, err := s.Stat(ctx, "k"); return err },
		objectstoretest.Presign: func() error { _, err := s.Presign(ctx, http.MethodGet, "k", time.Minute); return err },
		objectstoretest.List: func() error {
			for _, err := range s.List(ctx, "k") {
				return err
			}
			return nil
		},
		objectstoretest.Delete: func() error { return s.Delete(ctx, "k") },
	}
	order := []objectstoretest.Call{
		objectstoretest.Put, objectstoretest.Open, objectstoretest.Read, objectstoretest.Stat,
		objectstoretest.Presign, objectstoretest.List, objectstoretest.Delete,
	}
	for _, call := range order {
		fail = call
		if err := calls[call](); !errors.Is(err, melodyud.ErrUnavailable) {
			t.Errorf("%s = %v, want ErrUnavailable", call, err)
		}
		fail = ""
		if err := calls[call](); err != nil {
			t.Errorf("%s when nothing is to fail: %v", call, err)
		}
	}
}

func shut(c io.Closer) error {
	if c == nil {
		return nil
	}
	return c.Close()
}
