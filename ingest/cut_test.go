package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/melodyud/melodyud/ingest"
)

// toxics are what the way between a creator and us does to connections. Each is
// made from a random number.
var toxics = map[string]func(r *rand.Rand) string{
	"cut after some bytes": func(r *rand.Rand) string {
		return fmt.Sprintf(`"type":"limit_data","attributes":{"bytes":%d}`, 500+r.IntN(300_000))
	},
	"reset": func(r *rand.Rand) string {
		return fmt.Sprintf(`"type":"reset_peer","attributes":{"timeout":%d}`, r.IntN(50))
	},
	"stall, then cut": func(r *rand.Rand) string {
		return fmt.Sprintf(`"type":"timeout","attributes":{"timeout":%d}`, 1+r.IntN(400))
	},
	"slow": func(r *rand.Rand) string {
		return fmt.Sprintf(`"type":"bandwidth","attributes":{"rate":%d}`, 100+r.IntN(2000))
	},
	"in small slices": func(r *rand.Rand) string {
		return fmt.Sprintf(`"type":"slicer","attributes":{"average_size":%d,"size_variation":100,"delay":100}`, 200+r.IntN(2000))
	},
	"late": func(r *rand.Rand) string {
		return fmt.Sprintf(`"type":"latency","attributes":{"latency":%d,"jitter":20}`, 20+r.IntN(50))
	},
}

func TestNoAcknowledgedByteIsLostHoweverConnectionsFail(t *testing.T) { // faults.md A1
	if testing.Short() {
		t.Skip("waits for connections that fail; left out by -short")
	}
	t.Parallel()
	seeds := 1
	if soak() {
		seeds = 30
	}
	f := newFixture(t, func(c *ingest.Config) {
		c.PartSize, c.ReadTimeout, c.Sweep, c.Now = 64<<10, 200*time.Millisecond, 50*time.Millisecond, time.Now
		c.MaxOpen = 10_000 // answers to creations are lost, too
	})
	t.Cleanup(f.run())
	for name, toxic := range toxics {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds) {
				f := &fixture{Service: f.Service, t: t, store: f.store, url: f.url}
				f.uploadThrough(toxic, album(4, 1<<20, 100*seed+uint64(len(name))), seed)
			}
		})
	}
}

// uploadThrough uploads files over a proxy that is sometimes poisoned and sometimes
// not.
func (f *fixture) uploadThrough(toxic func(*rand.Rand) string, files [][]byte, seed uint64) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "way", "127.0.0.1:0", strings.TrimPrefix(f.url, "http://"))
	if err := proxy.Start(); err != nil {
		f.t.Fatal(err)
	}
	defer proxy.Stop()
	done := make(chan struct{})
	var poison sync.WaitGroup
	poison.Go(func() { f.poison(proxy, toxic, rand.New(rand.NewPCG(seed, 5)), done) })
	var group sync.WaitGroup
	for i, data := range files {
		group.Go(func() {
			p := newPatient(f.t, "http://"+proxy.Listen, seed+uint64(i))
			p.client.Timeout = 2 * time.Second
			p.received(p.upload(data, i), data)
		})
	}
	group.Wait()
	close(done)
	poison.Wait()
	f.wantMasters(files)
}

func (f *fixture) poison(proxy *toxiproxy.Proxy, toxic func(*rand.Rand) string, r *rand.Rand, done <-chan struct{}) {
	for {
		text := fmt.Sprintf(`{"name":"toxic","stream":"upstream",%s}`, toxic(r))
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			f.t.Errorf("%s: %v", text, err)
			return
		}
		over := pause(done, time.Duration(50+r.IntN(300))*time.Millisecond)
		if err := proxy.Toxics.RemoveToxic(context.Background(), "toxic"); err != nil {
			f.t.Error(err)
			return
		}
		if over || pause(done, time.Duration(r.IntN(100))*time.Millisecond) {
			return
		}
	}
}

// pause waits and reports whether done was closed meanwhile.
func pause(done <-chan struct{}, d time.Duration) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
