package dir_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/objectstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a store in a directory of its own whose URLs a real server answers.
func open(t testing.TB, change func(*dir.Config)) *dir.Store {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	cfg := dir.Config{Path: t.TempDir(), BaseURL: server.URL + "/objects"}
	if change != nil {
		change(&cfg)
	}
	s, err := dir.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	mux.Handle("/objects/", s.Handler())
	mux.Handle(dir.PartsPath, s.PartsHandler())
	return s
}

func TestADirectoryKeepsTheContract(t *testing.T) {
	objectstoretest.Run(t, func(t testing.TB) objectstore.Store { return open(t, nil) })
}
