// Package ingest takes creators' bytes: resumable uploads that survive lost
// connections, racing requests and crashed processes, on any number of processes
// that share nothing but the database and the object store.
//
// Bytes are cut into parts. A part is first an object uploads/<upload>/…, put
// durably, and only then acknowledged: one transaction moves the upload's row to
// the new offset and adds the part's row, if nobody moved it meanwhile. So an
// acknowledged byte is never lost, and of two requests that write at once one
// loses whole. On a store whose objects can grow, the last part grows instead, and
// its file becomes the master without a copy. A complete upload becomes
// masters/<sha256>, its hash checked again, and is handed to the catalog; Run
// repeats whatever a crash left undone.
//
//	open --(all bytes)--> complete --(handed over)--> received
//	  |                      |--(catalog says no)--> refused
//	  |                      '--(published before)--> duplicate --(decided)--> complete
//	  |--(24 hours)--> expired
//	  '--(DELETE)--> ended
//
// A partial upload ends as stored, and serves final ones until it expires. The state
// machine knows no protocol: tus.go speaks tus 1.0.0 on top of it, and package
// resumable the IETF's draft.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest/buffer"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// tracks takes over what has arrived whole.
type tracks interface {
	// Receive is idempotent by Receipt.Track. A Refusal ends the upload; any other
	// error is tried again.
	Receive(ctx context.Context, r melodyud.Receipt) (melodyud.Track, error)
}

// quotas keeps creators within what they were granted.
type quotas interface {
	// Reserve refuses bytes and uploads that go beyond the owner's quota, in the
	// transaction that adds them and before it does.
	Reserve(ctx context.Context, tx database.Tx, owner melodyud.UserID, bytes, uploads int64) error
}

// unlimited grants everything.
type unlimited struct{}

// Reserve implements quotas.
func (unlimited) Reserve(context.Context, database.Tx, melodyud.UserID, int64, int64) error {
	return nil
}

// Config configures a Service.
type Config struct {
	DB      database.DB           // required
	Store   objectstore.Store     // required
	Tracks  tracks                // required
	Quotas  quotas                // default: everything is granted
	Library library               // tells duplicates; default: nothing is one
	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: a private registry

	MaxSize    int64 // bytes of one upload; default 2 GiB
	MaxOpen    int   // unfinished uploads of one creator; default 100
	MaxWriters int   // request bodies read at once, half of them one creator's; default 32, or 128 if Store is a Grower
	PartSize   int   // bytes made durable and acknowledged at once, held in memory unless Store is a Grower; default 8 MiB

	TTL         time.Duration // an unfinished upload expires so long after its last byte; default 24 h
	Remember    time.Duration // finished and expired uploads are known for; default 30 days
	ReadTimeout time.Duration // the longest silence of a client in mid-body; default 30 s
	Sweep       time.Duration // how often Run looks for work; default 5 s
	// InlineSize is the largest upload, in bytes, that is handed over within its last
	// request; larger ones are left to Run. Default 64 MiB.
	InlineSize int64
	Now        func() time.Time // default time.Now
}

// Service is the upload state machine. Safe for concurrent use.
type Service struct {
	config  Config
	writers *writers
	buffers *buffer.Pool
	grower  objectstore.Grower // nil: parts never grow
	metrics *metrics
	nudge   chan struct{}
}

// New returns a service. Nothing happens by itself until Run.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Store == nil || c.Tracks == nil {
		return nil, errors.New("ingest: Config needs DB, Store and Tracks")
	}
	c = c.withDefaults()
	if c.PartSize < 1 || c.MaxSize < 1 || c.MaxWriters < 1 || c.MaxOpen < 1 {
		return nil, errors.New("ingest: sizes and limits must be positive")
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register ingest metrics: %w", err)
	}
	s := &Service{config: c, metrics: m, writers: newWriters(c.MaxWriters), buffers: buffer.NewPool(c.PartSize), nudge: make(chan struct{}, 1)}
	if g, ok := c.Store.(objectstore.Grower); ok {
		s.grower = g
	}
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Quotas == nil {
		c.Quotas = unlimited{}
	}
	setDefault(&c.MaxSize, 2<<30)
	setDefault(&c.InlineSize, 64<<20)
	setDefault(&c.MaxOpen, 100)
	if _, ok := c.Store.(objectstore.Grower); ok {
		setDefault(&c.MaxWriters, 128)
	}
	setDefault(&c.MaxWriters, 32)
	setDefault(&c.PartSize, 8<<20)
	setDefault(&c.TTL, 24*time.Hour)
	setDefault(&c.Remember, 30*24*time.Hour)
	setDefault(&c.ReadTimeout, 30*time.Second)
	setDefault(&c.Sweep, 5*time.Second)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
