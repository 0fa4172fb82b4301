package geo_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/geo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes a database of networks and the country of each.
func write(t *testing.T, path string, countries map[string]mmdbtype.Map) {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range countries {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(n, record); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func in(kind, code string) mmdbtype.Map {
	return mmdbtype.Map{mmdbtype.String(kind): mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
}

var world = map[string]mmdbtype.Map{
	"192.0.2.0/24": in("country", "DE"), "2001:db8::/32": in("country", "FR"), "198.51.100.0/24": in("registered_country", "US"),
	"203.0.113.0/24": {"city": mmdbtype.String("Nowhere")}, "100.64.0.0/24": in("country", "Germany"),
}

func TestAddressesAreInCountries(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countries.mmdb")
	write(t, path, world)
	d, err := geo.Open(geo.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"192.0.2.77": "DE", "::ffff:192.0.2.77": "DE", "2001:db8::1": "FR", "198.51.100.1": "US",
		"203.0.113.1": "", "100.64.0.1": "", "127.0.0.1": "", "::1": "",
	} {
		if got := d.Country(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is in %q, want %q", address, got, want)
		}
	}
	if got := d.Country(netip.Addr{}); got != "" {
		t.Errorf("nowhere is in %q", got)
	}
}

func TestAFileThatIsNoDatabaseIsAnError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countries.mmdb")
	if _, err := geo.Open(geo.Config{Path: path}); err == nil {
		t.Error("no file was opened")
	}
	if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := geo.Open(geo.Config{Path: path}); err == nil {
		t.Error("text was opened")
	}
}

func TestANewFileIsReadWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countries.mmdb")
	write(t, path, world)
	d, err := geo.Open(geo.Config{Path: path, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	address := netip.MustParseAddr("192.0.2.77")
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	if got := d.Country(address); got != "DE" {
		t.Errorf("a damaged file took the good one's place: %q", got)
	}
	write(t, path, map[string]mmdbtype.Map{"192.0.2.0/24": in("country", "AT"), "198.51.100.0/24": in("country", "US")})
	for deadline := time.Now().Add(time.Minute); d.Country(address) != "AT"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new file is not read")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
