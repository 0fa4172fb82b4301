package ingest_test

import (
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/database/postgres"
	"github.com/melodyud/melodyud/internal/database/sqlite"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/realtest"
)

// smallDisk mounts a file system of so many MiB, with a ballast file that leaves 1 MiB.
func smallDisk(t *testing.T, mib int) (path string, makeRoom func()) {
	t.Helper()
	path = t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size="+strconv.Itoa(mib)+"m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	ballast := filepath.Join(path, "ballast")
	if err := os.WriteFile(ballast, make([]byte, (mib-1)<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
	}
}

func TestUploadGoesOnOnceTheFullDiskHasRoom(t *testing.T) { // faults.md A7
	t.Parallel()
	for name, change := range stores {
		for _, rowsToo := range []bool{false, true} {
			t.Run(name+", rows beside it "+strconv.FormatBool(rowsToo), func(t *testing.T) {
				t.Parallel()
				path, makeRoom := smallDisk(t, 16)
				store, err := dir.Open(dir.Config{Path: filepath.Join(path, "objects")})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = store.Close() })
				db := databasetest.Open(t)
				if rowsToo {
					db = sqliteIn(t, path)
				}
				f := newFixtureOn(t, db, store, change, func(c *ingest.Config) { c.PartSize = 64 << 10 })
				f.fillDisk(noise(3<<20, 12), makeRoom)
			})
		}
	}
}

func sqliteIn(t *testing.T, path string) database.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(path, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// fillDisk uploads data to a disk that has no room for it, and goes on once it has.
func (f *fixture) fillDisk(data []byte, makeRoom func()) {
	path := f.create(len(data))
	a := f.patch(path, 0, data)
	if a.StatusCode != 507 && a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		f.t.Errorf("%d %s", a.StatusCode, a.body)
	}
	p := newPatient(f.t, f.url, 1)
	at := p.stands(path, 0)
	if a.StatusCode == 507 && a.code() != "upload.storage-full" || at == 0 || at >= len(data) {
		f.t.Errorf("%s, stands at %d", a.body, at)
	}
	makeRoom()
	p.fill(path, data)
	p.received(path, data)
	f.wantMaster(data)
}

func TestUploadSurvivesRestartsOfTheDatabase(t *testing.T) { // faults.md B11
	t.Parallel()
	if os.Getenv("MELODYUD_INTEGRATION") != "1" {
		t.Skip("set MELODYUD_INTEGRATION=1 to restart a real PostgreSQL in mid-upload")
	}
	server := realtest.StartPostgres(t)
	db, err := postgres.Open(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	f := newFixtureOn(t, db, dirStore(t, t.TempDir()), often)
	f.surviveOutages(album(8, 1<<20, 9), func() {
		server.Kill()
		server.Start()
	})
}

func often(c *ingest.Config) { c.PartSize, c.Sweep = 64<<10, 50*time.Millisecond }

func TestUploadSurvivesOutagesOfTheObjectStore(t *testing.T) { // faults.md A8
	t.Parallel()
	if os.Getenv("MELODYUD_INTEGRATION") != "1" {
		t.Skip("set MELODYUD_INTEGRATION=1 to cut a real MinIO off in mid-upload")
	}
	address, err := url.Parse(realtest.MinIO(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "store", "127.0.0.1:0", address.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	address.Host = proxy.Listen
	store, err := s3.Open(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	f := newFixtureOn(t, databasetest.Open(t), store, often)
	r := rand.New(rand.NewPCG(6, 6))
	kinds := slices.Sorted(maps.Keys(toxics))
	f.surviveOutages(album(8, 1<<20, 9), func() {
		over := make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() { close(over) })
		f.poison(proxy, toxics[kinds[r.IntN(len(kinds))]], r, over)
	})
}

// surviveOutages uploads all files while there are outages, three at least.
func (f *fixture) surviveOutages(files [][]byte, outage func()) {
	f.t.Helper()
	stop := f.run()
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, data := range files {
			p := newPatient(f.t, f.url, uint64(i))
			p.received(p.upload(data, i), data)
		}
	}()
	outages := 0
	for ; !pause(done, 200*time.Millisecond) || outages < 3; outages++ {
		f.clock.Pass(20 * time.Second) // the leases of hand-overs that were cut off pass
		outage()
	}
	f.t.Logf("%d outages", outages)
	f.wantMasters(files)
}
