package ingest_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain keeps the property tests short, because every case waits for the disk;
// -rapid.checks asks for more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
