// Package wire stands between the listening socket and net/http, on every
// connection and before every request.
//
// It is a gate: a request that two readers could understand in two ways (a bare LF,
// two lengths, a length and a transfer coding, a folded line, a foreign absolute
// address) is answered with 400 and the connection closed, so that no proxy in front
// and no server behind disagree on where a request ends (EDGE-17).
//
// And it is a short way: a request of the plain shape players send, for something
// that is in memory whole, is answered from there, without the general machinery.
// Everything else is read by net/http, byte for byte as it came. Both happen inside
// the Read of the connection that net/http serves, one request at a time, so a
// connection that uploads in one request plays from memory in the next. Read sleeps
// while a loop answers the further requests of its connection.
package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
)

// Request is what the short way understood of a request. Its bytes are good until
// Sent returns.
type Request struct {
	Path           []byte // begins with "/p/"; of A-Z a-z 0-9 - . _ and single slashes, no dot segments
	Query          []byte // as sent: empty, or CMCD alone
	AcceptEncoding []byte // nil: not sent
	ID             []byte // X-Request-ID; nil: not sent
	Head           bool   // HEAD instead of GET
	From           netip.Addr
}

// Answer is a whole answer of status 200.
type Answer struct {
	// Head is the status line and the header fields, each with its CRLF. X-Request-ID
	// and Date are added, and the empty line.
	Head []byte
	// Body is sent as it is; nobody may write to it. Left out for HEAD.
	Body [][]byte
	// File is sent behind Body if it is not nil. It is held for the answer, and let go
	// of before Sent is called.
	File *File
	// What and Who are for the source's own use in Sent.
	What, Who any
}

// source answers from memory.
type source interface {
	// Resident fills in a, which is empty but for room to append parts of the body to,
	// and reports whether it could without waiting for anything.
	Resident(r *Request, a *Answer) bool
	// Sent is told of an answer that went out, whole or not, and how long it took.
	Sent(r *Request, a *Answer, whole bool, took time.Duration)
}

// Config of a Wire. It has no clock: the deadlines of sockets go by the system's, and
// the Date field is net/http's, which does too.
type Config struct {
	// Source answers from memory; nil: there is only the gate.
	Source source

	// HeaderTimeout bounds the time from the first byte of a request's head to its
	// last; default 5 s.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection may stay without a request after an answer
	// from memory; default 60 s. It is kept with a slack of a quarter.
	IdleTimeout time.Duration
	// StallTimeout is how long a client may take nothing of an answer from memory;
	// default 30 s (EDGE-16).
	StallTimeout time.Duration
	// MaxHeader is the most bytes of a request's head; default 16 KiB.
	MaxHeader int

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // nil: not measured
}

// Wire is safe for concurrent use.
type Wire struct {
	config Config
	desks  sync.Pool
	inHand atomic.Int64 // answers being sent
	ending atomic.Bool  // the server shuts down
	conns  sync.Map     // of *conn: those that net/http has not let go of
	turns  atomic.Uint64
	date   atomic.Pointer[date]

	answered prometheus.Counter
	passed   prometheus.Counter
	refused  *prometheus.CounterVec
}

// New returns a Wire that serves nothing yet.
func New(c Config) (*Wire, error) {
	if c.HeaderTimeout < 0 || c.IdleTimeout < 0 || c.StallTimeout < 0 || c.MaxHeader < 0 {
		return nil, fmt.Errorf("%w: limits of connections cannot be negative", melodyud.ErrInvalid)
	}
	w := &Wire{
		config: c.withDefaults(),
		answered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "melodyud_wire_answered_total", Help: "Requests answered from memory.",
		}),
		passed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "melodyud_wire_passed_total", Help: "Requests that went on to net/http.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "melodyud_wire_refused_total", Help: "Requests refused because they were not written as they must be, by code.",
		}, []string{"code"}),
	}
	w.desks.New = func() any { return newDesk() }
	if c.Metrics == nil {
		return w, nil
	}
	err := errors.Join(c.Metrics.Register(w.answered), c.Metrics.Register(w.passed), c.Metrics.Register(w.refused))
	if err != nil {
		return nil, fmt.Errorf("register wire metrics: %w", err)
	}
	return w, nil
}

func (c Config) withDefaults() Config {
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = 5 * time.Second
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 60 * time.Second
	}
	if c.StallTimeout == 0 {
		c.StallTimeout = 30 * time.Second
	}
	if c.MaxHeader == 0 {
		c.MaxHeader = 16 << 10
	}
	c.MaxHeader = max(c.MaxHeader, deskBytes)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Serve accepts connections on l and serves them with server, whose ConnState it
// takes into use. It returns what server.Serve returns; shut the server down as
// usual, and Drain then.
func (w *Wire) Serve(server *http.Server, l net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background()) // ends with the server
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	loops := make([]*loop, runtime.GOMAXPROCS(0))
	for i := range loops {
		loops[i] = &loop{wire: w}
		running.Go(func() {
			if err := loops[i].Run(ctx); err != nil {
				w.config.Logger.Error("connections are not polled together any more", slog.Any("error", err))
			}
		})
	}
	server.RegisterOnShutdown(w.leave)
	before := server.ConnState
	server.ConnState = func(nc net.Conn, s http.ConnState) {
		if c, ok := nc.(*conn); ok {
			c.follow(s)
		}
		if before != nil {
			before(nc, s)
		}
	}
	return server.Serve(listener{l, w, loops})
}

type listener struct {
	net.Listener
	wire  *Wire
	loops []*loop
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := l.wire.newConn(nc, l.loops)
	l.wire.conns.Store(c, nil)
	return c, nil
}

// leave closes the connections that have had answers from memory alone: net/http
// takes them for new ones, which it waits for. Those with an answer in hand follow.
func (w *Wire) leave() {
	w.ending.Store(true)
	w.conns.Range(func(one, _ any) bool {
		if c := one.(*conn); c.alone.Load() {
			_ = c.Close() // it may be gone already
		}
		return true
	})
}

// Drain waits until no answer from memory is being sent, or until ctx ends. A server
// that shuts down takes their connections for idle ones; they are closed when the
// answer is out.
func (w *Wire) Drain(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for w.inHand.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("answers in hand: %w", ctx.Err())
		}
	}
	return nil
}

// date is the Date field of one second.
type date struct {
	second int64
	text   string
}

func (w *Wire) today(now time.Time) string {
	second := now.Unix()
	if d := w.date.Load(); d != nil && d.second == second {
		return d.text
	}
	d := &date{second, now.UTC().Format(http.TimeFormat)}
	w.date.Store(d)
	return d.text
}
