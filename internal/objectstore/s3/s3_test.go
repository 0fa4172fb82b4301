package s3_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/objectstoretest"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), realtest.MinIO(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestMinIOKeepsTheContract(t *testing.T) {
	objectstoretest.Run(t, func(t testing.TB) objectstore.Store { return open(t) })
}
