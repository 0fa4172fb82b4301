package databasetest_test

import (
	"testing"

	"github.com/melodyud/melodyud/internal/database/databasetest"
)

func TestAFreshDatabaseAnswers(t *testing.T) {
	t.Parallel()
	if err := databasetest.Open(t).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}
