package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge"
	"github.com/melodyud/melodyud/edge/notices"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/decision"
	"github.com/melodyud/melodyud/ingest/resumable"
	"github.com/melodyud/melodyud/internal/accounts"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/catalog"
	"github.com/melodyud/melodyud/internal/database/relay"
	"github.com/melodyud/melodyud/internal/geo"
	"github.com/melodyud/melodyud/internal/ops"
	"github.com/melodyud/melodyud/internal/signing"
	"github.com/melodyud/melodyud/internal/sound"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/transcode"
	"github.com/melodyud/melodyud/web"
	"github.com/melodyud/melodyud/workers"
)

// Node is one process of the platform.
type Node struct {
	config   Config
	log      *slog.Logger
	backends *backends
	metrics  *prometheus.Registry
	health   *health
	tickets  *ticket.Keyring
	media    *ticket.MediaKeys
	names    *ticket.Listeners
	naming   ticket.Key // of names, and of the listeners in facts
	notices  *notices.Board
	signing  *signing.Service
	places   *geo.Database // nil: nobody knows where listeners are
	starts   starts
	router   *api.Router
	handler  http.Handler // answers requests, however they come
	listener net.Listener
	secure   net.Addr // for TLS; nil: none
	runners  []runner
	closers  []func()
	drains   []func() // ask long requests to end soon

	localKey string
	fresh    bool
}

// Open opens the backends, builds the services of the configured roles and
// starts listening; Run serves. Errors are sentences for operators: a bad URL, an
// unreachable backend, a data directory in use.
func Open(ctx context.Context, c Config) (*Node, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	log, err := ops.NewLogger(c.LogOutput, c.LogFormat, c.LogLevel)
	if err != nil {
		return nil, err
	}
	b, err := openBackends(ctx, c, log)
	if err != nil {
		return nil, err
	}
	n := &Node{config: c, log: log, backends: b, metrics: prometheus.NewRegistry(), health: newHealth(c, b, log)}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.build(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	if n.listener, err = net.Listen("tcp", c.Addr); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on %s: %w", c.Addr, err), n.close())
	}
	n.listener = c.proxies().Listen(n.listener)
	n.handler = c.proxies().Wrap(n.paced(n.router.Handler()))
	if err := n.listenTLS(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// build makes the services, registers their addresses and lists what runs.
func (n *Node) build(ctx context.Context) (err error) {
	if n.naming, err = listenerKey(ctx, n.config, n.backends.db); err != nil {
		return err
	}
	if n.names, err = ticket.NewListeners(n.naming); err != nil {
		return err
	}
	keys, err := accounts.New(accounts.Config{
		DB: n.backends.db, Names: n.names, Logger: n.log, Now: n.config.Now,
		SecureCookies: strings.HasPrefix(n.config.PublicURL, "https://"), // TLS may end at a proxy
	})
	if err != nil {
		return err
	}
	if n.tickets, err = ticketKeys(ctx, n.config, n.backends.db); err != nil {
		return err
	}
	if n.media, err = mediaKeys(ctx, n.config, n.backends.db); err != nil {
		return err
	}
	n.router, err = api.NewRouter(api.Config{
		Version: Version(), Auth: keys, Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
	if err != nil {
		return err
	}
	n.health.register(n.router.Mux)
	n.router.Mux.Handle("GET /metrics", forOps(promhttp.HandlerFor(n.metrics, promhttp.HandlerOpts{})))
	n.runs("http", listening, n.serve)
	if n.config.has(RoleAPI) || n.config.has(RoleEdge) {
		if err := n.buildNotices(ctx); err != nil {
			return err
		}
	}
	if n.signing, err = n.newSigning(); err != nil {
		return err
	}
	if err := n.buildPlaces(); err != nil {
		return err
	}
	for _, part := range []struct {
		wanted bool
		build  func(context.Context, *accounts.Service) error
	}{
		{n.config.has(RoleAPI) || n.config.has(RoleWork), n.buildPipeline},
		{n.config.has(RoleEdge), n.buildEdge},
		{n.config.has(RoleAPI) && !n.config.has(RoleEdge), n.buildStarts},
		{n.config.has(RoleFold), n.buildFold},
	} {
		if part.wanted {
			if err := part.build(ctx, keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// buildPipeline builds what the api and work roles share, and each one's own part.
func (n *Node) buildPipeline(ctx context.Context, a *accounts.Service) error {
	tracks, err := catalog.New(catalog.Config{
		Database: n.backends.db, Store: n.backends.store, Bell: n.backends.queue,
		PreviewLength: n.config.PreviewLength, Lease: n.config.Lease, Logger: n.log, Now: n.config.Now,
	})
	if err != nil {
		return err
	}
	heard, err := n.newSound(tracks)
	if err != nil {
		return err
	}
	work, err := n.newWorkers(tracks, heard)
	if err != nil {
		return err
	}
	if n.config.has(RoleWork) {
		n.runs("workers", working, work.Run)
	}
	doubles, err := n.newDuplicates(tracks)
	if err != nil {
		return err
	}
	if !n.config.has(RoleAPI) {
		return nil
	}
	counts, err := n.newInsights(tracks)
	if err != nil {
		return err
	}
	if n.localKey, n.fresh, err = localKey(ctx, n.config, a); err != nil {
		return err
	}
	plays, err := n.newPlayback(tracks)
	if err != nil {
		return err
	}
	quotas, err := n.newQuotas(tracks)
	if err != nil {
		return err
	}
	uploads, err := ingest.New(ingest.Config{
		DB: n.backends.db, Store: n.backends.store, Tracks: tracks, Quotas: quotas, Library: tracks, MaxSize: n.config.MaxUpload,
		Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
	if err != nil {
		return err
	}
	resumed, err := resumable.New(resumable.Config{Uploads: uploads, MaxSize: n.config.MaxUpload, Now: n.config.Now})
	if err != nil {
		return err
	}
	desk, err := decision.New(uploads)
	if err != nil {
		return err
	}
	n.runs("catalog", listening, tracks.Run)
	n.runs("uploads", working, uploads.Run)
	if err := n.buildDoors(ctx, a, tracks, uploads); err != nil {
		return err
	}
	n.drains = append(n.drains, uploads.Drain)
	for _, s := range []interface{ Register(*api.Router) }{a, tracks, plays, n.signing, heard, doubles, counts, quotas, uploads, desk, resumed, work} {
		s.Register(n.router)
	}
	n.registerPages()
	return nil
}

// registerPages hangs up what people see. Each pattern names its method: one
// without would take a wrong method's 405 away from every other address.
func (n *Node) registerPages() {
	const root = "/ops/queues"
	console := forOps(n.backends.console(root, false))
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		n.router.Mux.Handle(method+" "+root+"/", console)
	}
	n.router.Mux.Handle("GET /", withPolicy(pagePolicy(n.config.EdgeURL), web.Handler()))
	n.router.Mux.HandleFunc("GET /v1/", func(w http.ResponseWriter, r *http.Request) {
		api.WriteProblem(w, r, melodyud.ErrNotFound) // programs are not answered with the page's text
	})
}

// pagePolicy is what the page needs; an edge on another host has to be named.
func pagePolicy(edgeURL string) string {
	u, err := url.Parse(edgeURL)
	if err != nil || u.Host == "" {
		return web.Policy
	}
	origin := " " + u.Scheme + "://" + u.Host
	return strings.NewReplacer("connect-src 'self'", "connect-src 'self'"+origin, "media-src 'self'", "media-src 'self'"+origin).
		Replace(web.Policy)
}

func withPolicy(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		next.ServeHTTP(w, r)
	})
}

func (n *Node) newWorkers(tracks *catalog.Service, heard *sound.Service) (*workers.Service, error) {
	engine, err := transcode.New(transcode.Config{
		Child: n.config.Child, Encoder: n.config.Encoder, FFmpeg: n.config.FFmpeg, Models: n.config.Models,
		Limits: n.config.SoundLimits.decoding(), Logger: n.log,
	})
	if err != nil {
		return nil, err
	}
	place, err := nodeID(n.config)
	if err != nil {
		return nil, err
	}
	return workers.New(workers.Config{
		Catalog: tracks, Backfill: heard, Queue: n.backends.queue, Store: n.backends.store, Engine: engine,
		Ladder: n.config.Ladder, Place: place, Scratch: n.config.path("scratch"), Concurrency: n.config.Concurrency,
		Heartbeat: n.config.Lease / 3, Drain: n.config.Drain - n.config.requestDrain(), Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
}

func (n *Node) buildEdge(context.Context, *accounts.Service) error {
	peers, err := n.cachePeers()
	if err != nil {
		return err
	}
	told, err := n.newTelemetry()
	if err != nil {
		return err
	}
	streams, paced, err := n.newEdgeLimits()
	if err != nil {
		return err
	}
	breaks, err := n.newBreaks()
	if err != nil {
		return err
	}
	c := edge.Config{
		Streams: streams, Pace: paced,
		Store: n.backends.store, Tickets: n.tickets, MediaKeys: n.media, Ads: breaks,
		CacheBytes: n.config.CacheBytes, Scratch: n.config.Data, Disk: n.config.diskCache(), Peers: peers, Segments: told,
		Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	}
	if err := n.rights(&c); err != nil {
		return err
	}
	e, err := edge.New(c)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, e.Close)
	n.starts.edge = e
	n.runs("edge cache", working, e.RunCache)
	e.Register(n.router)
	told.Register(n.router, n.tickets, e)
	return nil
}

func (n *Node) buildFold(context.Context, *accounts.Service) error {
	r, err := relay.New(relay.Config{
		DB: n.backends.db, Log: n.backends.events, Logger: n.log, Metrics: n.metrics,
	})
	if err != nil {
		return err
	}
	n.runs("relay", folding, r.Run)
	lake, err := sound.NewLake(sound.LakeConfig{
		Database: n.backends.db, Store: n.backends.store, Events: n.backends.events, Logger: n.log, Now: n.config.Now,
	})
	if err != nil {
		return err
	}
	n.runs("lake", folding, lake.Run)
	if err := n.newHeardAds(); err != nil {
		return err
	}
	return n.foldPlays()
}

func (n *Node) runs(name string, p phase, run func(context.Context) error) {
	n.runners = append(n.runners, runner{name, p, run})
}

// Run serves until ctx ends, then stops in order: it takes nothing new, finishes
// what is in hand within the drain time, and closes the backends.
func (n *Node) Run(ctx context.Context) error {
	n.log.InfoContext(ctx, "node started", slog.String("version", Version()),
		slog.Any("roles", n.config.Roles), slog.String("address", n.listener.Addr().String()))
	if err := returnStartPagesOnce(); err != nil {
		n.log.DebugContext(ctx, "pages of the start stay", slog.Any("error", err))
	}
	err := runAll(ctx, n.runners)
	err = errors.Join(err, n.close())
	if err != nil {
		n.log.ErrorContext(ctx, "node failed", slog.Any("error", err))
		return err
	}
	n.log.InfoContext(ctx, "node stopped")
	return nil
}

// serve answers HTTP until ctx ends, then waits for requests in hand.
func (n *Node) serve(ctx context.Context) error {
	server := api.NewServer(n.handler)
	server.ErrorLog = slog.NewLogLogger(n.log.Handler(), slog.LevelWarn)
	front, err := n.newWire()
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- front.Serve(server, n.listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	n.log.InfoContext(ctx, "node stopping", slog.Duration("drain", n.config.Drain))
	n.health.stopping.Store(true)
	for _, d := range n.drains {
		d()
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.config.requestDrain())
	defer cancel()
	if err := errors.Join(server.Shutdown(drain), front.Drain(drain)); err != nil {
		n.log.WarnContext(ctx, "requests cut by the stop", slog.Any("error", err))
		err = server.Close()
		if err != nil {
			return err
		}
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (n *Node) close() error {
	for _, c := range n.closers {
		c()
	}
	if n.listener != nil {
		_ = n.listener.Close() // closed already when it has served
	}
	return n.backends.close()
}

// URL is where browsers find this process.
func (n *Node) URL() string {
	if n.config.PublicURL != "" {
		return n.config.PublicURL
	}
	host, port, err := net.SplitHostPort(n.listener.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// SignInLink is an address that signs a browser in with the local key, or "" when
// this process has none. fresh says that the key was made just now.
func (n *Node) SignInLink() (link string, fresh bool) {
	if n.localKey == "" {
		return "", false
	}
	return n.URL() + "/signin?key=" + url.QueryEscape(n.localKey), n.fresh
}

// forOps lets only operators through.
func forOps(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := api.Require(r.Context(), api.RoleOps); err != nil {
			api.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
