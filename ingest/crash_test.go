package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/database/sqlite"
)

// crashPoints are faults.md section 4, points 1 to 7.
var crashPoints = []string{
	"upload.created", "upload.chunk", "upload.synced", "upload.offset", "upload.last", "upload.part", "upload.compose",
}

const crashDir = "INGEST_CRASH_DIR"

var crashData = noise(2*partSize+1000, 77)

func TestNoAcknowledgedByteIsLostWhereverItCrashes(t *testing.T) { // faults.md A6
	t.Parallel()
	for _, point := range crashPoints {
		for _, action := range []string{"err:1", "kill:1", "kill:2"} {
			if action == "kill:2" && point != "upload.chunk" && point != "upload.synced" && point != "upload.offset" {
				continue // passed once only
			}
			t.Run(point+":"+action, func(t *testing.T) {
				t.Parallel()
				path := t.TempDir()
				err := crashChild(t, path, point+":"+action)
				if killed := err != nil; killed != strings.HasPrefix(action, "kill") {
					t.Fatalf("first life: %v", err)
				}
				if err := crashChild(t, path, ""); err != nil {
					t.Fatalf("second life: %v", err)
				}
				wantRepaired(t, path)
			})
		}
	}
}

func crashChild(t *testing.T, path, fault string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), crashDir+"="+path, "FAULT="+fault)
	out, err := cmd.CombinedOutput()
	if _, killed := errors.AsType[*exec.ExitError](err); err != nil && (!killed || cmd.ProcessState.ExitCode() != -1) {
		t.Fatalf("%v\n%s", err, out)
	}
	return err
}

// TestCrashChild is the process that crashes: it uploads the file as a patient
// client does, beginning where an earlier life stopped.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashDir)
	if path == "" {
		t.Skip("runs in a process of its own, started by TestNoAcknowledgedByteIsLostWhereverItCrashes")
	}
	f := crashFixture(t, path)
	stop := f.run()
	defer stop()
	at := f.resume(path)
	for range 20 {
		if at == len(crashData) {
			break
		}
		a := f.patch(f.remembered(path), at, crashData[at:min(len(crashData), at+partSize/2+300)])
		if a.StatusCode == 204 {
			f.remember(path, "offset", a.Header.Get("Upload-Offset"))
		} else if a.StatusCode != 503 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		at = f.resume(path)
	}
	f.clock.Pass(time.Minute) // past the lease of whoever crashed in mid-way
	f.await(f.remembered(path), ingest.StateReceived)
}

func crashFixture(t *testing.T, path string) *fixture {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(path, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	f := newFixtureOn(t, db, dirStore(t, path))
	f.catalog.refuse(func(r melodyud.Receipt) error {
		return os.WriteFile(filepath.Join(path, "track-"+string(r.Track)), []byte(r.Master.SHA256), 0o600)
	})
	return f
}

func (f *fixture) remember(path, name, value string) {
	if err := os.WriteFile(filepath.Join(path, name), []byte(value), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) recall(path, name string) string {
	value, err := os.ReadFile(filepath.Join(path, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.t.Fatal(err)
	}
	return string(value)
}

func (f *fixture) remembered(path string) string { return f.recall(path, "upload") }

// resume asks where to go on, or begins. What was acknowledged must still be there.
func (f *fixture) resume(path string) int {
	f.t.Helper()
	for range 3 {
		if f.remembered(path) != "" {
			break
		}
		a := f.do("POST", "/v1/uploads", nil, "Upload-Length", strconv.Itoa(len(crashData)))
		if a.StatusCode == 201 {
			f.remember(path, "upload", a.Header.Get("Location"))
		}
	}
	at, err := strconv.Atoi(f.offset(f.remembered(path)))
	if err != nil {
		f.t.Fatal(err)
	}
	if acked, _ := strconv.Atoi(f.recall(path, "offset")); at < acked {
		f.t.Fatalf("%d bytes were acknowledged, %d are there", acked, at)
	}
	return at
}

// wantRepaired fails unless exactly one track came of it, whose master is the
// file, and nothing else is left once everything unfinished has expired.
func wantRepaired(t *testing.T, path string) {
	t.Helper()
	tracks, err := filepath.Glob(filepath.Join(path, "track-*"))
	if err != nil || len(tracks) != 1 {
		t.Fatalf("tracks %v, %v", tracks, err)
	}
	f := crashFixture(t, path)
	sha := f.recall(path, filepath.Base(tracks[0]))
	if !bytes.Equal(f.object("masters/"+sha), crashData) {
		t.Error("the master is not the file")
	}
	f.clock.Pass(25 * time.Hour)
	stop := f.run()
	defer stop()
	for range patience {
		if len(f.parts()) == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	masters := 0
	for range f.store.List(context.Background(), "masters/") {
		masters++
	}
	if len(f.parts()) != 0 || masters != 1 {
		t.Errorf("parts %v, %d masters", f.parts(), masters)
	}
}
