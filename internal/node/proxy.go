package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/httpcache"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ops"
)

// Proxy is the edge's HTTP cache in front of another web server. The tags are its
// command line and its documentation.
type Proxy struct {
	Origin      string        `env:"MELODYUD_PROXY_ORIGIN" required:"" placeholder:"URL" help:"The web server behind, such as https://files.example.com/dir."`
	Addr        string        `env:"MELODYUD_PROXY_ADDR" default:"127.0.0.1:8081" help:"Address to listen on. Port 0 takes a free one."`
	MetricsAddr string        `env:"MELODYUD_PROXY_METRICS_ADDR" placeholder:"ADDR" help:"Address to serve /metrics on. Default: none."`
	Memory      int64         `env:"MELODYUD_PROXY_MEMORY" default:"67108864" help:"Memory for stored responses, in bytes; as much again may be arriving."`
	Object      int64         `env:"MELODYUD_PROXY_OBJECT" default:"8388608" help:"Largest response stored, in bytes, at most a quarter of the memory. Larger ones stream through."`
	StaleAway   time.Duration `env:"MELODYUD_PROXY_STALE_AWAY" default:"1h" help:"How long stale responses are used while the server behind is away, unless it forbids it; negative: not at all."`
	Negative    time.Duration `env:"MELODYUD_PROXY_NEGATIVE" default:"10s" help:"How long a 404 or 410 that does not say is kept; negative: not at all."`
	Obey        bool          `env:"MELODYUD_PROXY_OBEY" help:"Let requests ask for validation (Cache-Control: no-cache). Any client can then make the server behind work."`
	LogFormat   string        `env:"MELODYUD_LOG_FORMAT" enum:"text,json" default:"text" help:"text or json."`
	LogLevel    string        `env:"MELODYUD_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`

	LogOutput io.Writer `kong:"-"` // default os.Stderr
}

// proxyDrain is how long a stop waits for responses in hand.
const proxyDrain = 10 * time.Second

// Run serves until ctx ends; ready hears the proxy's address when it listens.
func (p Proxy) Run(ctx context.Context, ready func(url string)) error {
	metrics := prometheus.NewRegistry()
	cache, err := p.open(metrics)
	if err != nil {
		return err
	}
	defer cache.Close()
	l, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", p.Addr, err)
	}
	runners := []runner{{"proxy", listening, serving(l, cache)}}
	if p.MetricsAddr != "" {
		own, err := net.Listen("tcp", p.MetricsAddr)
		if err != nil {
			return errors.Join(fmt.Errorf("cannot listen on %s: %w", p.MetricsAddr, err), l.Close())
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
		runners = append(runners, runner{"metrics", listening, serving(own, mux)})
	}
	ready("http://" + l.Addr().String())
	return runAll(ctx, runners)
}

func (p Proxy) open(metrics prometheus.Registerer) (*httpcache.Cache, error) {
	origin, err := url.Parse(p.Origin)
	if err != nil {
		return nil, fmt.Errorf("%w: --origin is no address: %v", melodyud.ErrInvalid, err)
	}
	if p.Memory < 1<<20 || p.Object < 0 {
		return nil, fmt.Errorf("%w: --memory is at least 1048576 bytes, and --object not negative", melodyud.ErrInvalid)
	}
	if p.LogOutput == nil {
		p.LogOutput = os.Stderr
	}
	log, err := ops.NewLogger(p.LogOutput, p.LogFormat, p.LogLevel)
	if err != nil {
		return nil, err
	}
	return httpcache.New(httpcache.Config{
		Origin: origin, Bytes: p.Memory, Object: p.Object, StaleAway: p.StaleAway, Negative: p.Negative, Obey: p.Obey,
		Logger: log, Metrics: metrics,
	})
}

// serving serves h on l until its context ends, and then lets responses in hand end.
func serving(l net.Listener, h http.Handler) func(context.Context) error {
	return func(ctx context.Context) error {
		server := api.NewServer(h)
		failed := make(chan error, 1)
		go func() { failed <- server.Serve(l) }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), proxyDrain)
		defer cancel()
		if server.Shutdown(end) != nil {
			_ = server.Close()
		}
		<-failed
		return nil
	}
}
