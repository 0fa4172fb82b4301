// Package node is the only package that knows everyone: it reads the
// configuration, opens the four backends by their URLs, builds the services and
// runs the roles of one process. One process and a thousand differ only in what
// stands in Config.
package node

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/queue"
)

// Role is a kind of work a process does.
type Role string

// The roles; a process runs all of them unless told otherwise.
const (
	RoleAPI  Role = "api"  // uploads, tracks, accounts and the page
	RoleWork Role = "work" // validates, renders and publishes
	RoleEdge Role = "edge" // serves playlists and segments
	RoleFold Role = "fold" // relays facts and folds them
)

var allRoles = []Role{RoleAPI, RoleWork, RoleEdge, RoleFold}

// Config is everything an operator can choose. The tags are its command line and
// its documentation.
type Config struct {
	Roles []Role `env:"MELODYUD_ROLES" default:"api,work,edge,fold" help:"What this process does: api, work, edge, fold."`
	Data  string `env:"MELODYUD_DATA" default:"data" type:"path" help:"Directory for everything kept on this machine; one process each."`
	Addr  string `env:"MELODYUD_ADDR" default:"127.0.0.1:8080" help:"Address to listen on. Port 0 takes a free one."`

	DB      string `env:"MELODYUD_DB" name:"db" placeholder:"URL" help:"Rows: sqlite:PATH or postgres://… Default: a SQLite file in the data directory."`
	Objects string `env:"MELODYUD_OBJECTS" placeholder:"URL" help:"Bytes: dir:PATH or s3://KEY:SECRET@host:port/bucket. Default: a directory in the data directory."`
	Queue   string `env:"MELODYUD_QUEUE" placeholder:"URL" help:"Doorbells: redis://, rediss://, redis-sentinel:// or redis-cluster://… Default: inside this process."`
	Events  string `env:"MELODYUD_EVENTS" placeholder:"URL" help:"Facts: db: for tables in the database, which is the default."`

	PublicURL  string `env:"MELODYUD_PUBLIC_URL" placeholder:"URL" help:"How browsers reach this server, for printed links. Default: the listening address."`
	EdgeURL    string `env:"MELODYUD_EDGE_URL" placeholder:"URL" help:"Where players find the edge. Default: the address they asked the API at."`
	TicketKeys string `env:"MELODYUD_TICKET_KEYS" placeholder:"ID:BASE64,…" help:"Keys that sign playback tickets, newest first. Default: made once and kept in the database."`

	Encrypt       bool          `env:"MELODYUD_ENCRYPT" help:"Give out encrypted streams only: HLS with AES-128, and no DASH."`
	MediaKeys     string        `env:"MELODYUD_MEDIA_KEYS" placeholder:"ID:BASE64,…" help:"Secrets of encrypted sound, newest first. Default: made once and kept in the database."`
	OfflineFor    time.Duration `env:"MELODYUD_OFFLINE_FOR" default:"720h" help:"How long a track kept on a device plays without asking again."`
	PreviewLength time.Duration `env:"MELODYUD_PREVIEW_LENGTH" default:"30s" help:"Longest preview, 5s to 30s."`

	Ladder      melodyud.Ladder `env:"MELODYUD_LADDER" default:"aac-64,aac-96,aac-160,aac-256,flac" help:"Qualities made of every track."`
	Encoder     string          `env:"MELODYUD_ENCODER" enum:"${encoders}" default:"${encoder}" help:"AAC encoder: ${encoders}. ffmpeg must be installed."`
	FFmpeg      string          `name:"ffmpeg" env:"MELODYUD_FFMPEG" placeholder:"PATH" help:"ffmpeg for formats the built-in decoders do not know; - for none. Default: the one in PATH, if any."`
	Models      []string        `env:"MELODYUD_MODELS" type:"path" placeholder:"DIR,…" help:"Directories of model packs, which add embeddings to what is heard."`
	Concurrency int             `env:"MELODYUD_CONCURRENCY" default:"0" help:"Tracks rendered at once; 0: one for every two processors."`
	MaxUpload   int64           `env:"MELODYUD_MAX_UPLOAD" default:"2147483648" help:"Largest upload, in bytes."`
	CacheBytes  int64           `env:"MELODYUD_CACHE_BYTES" default:"268435456" help:"Memory for the edge's cache, in bytes."`
	Lease       time.Duration   `env:"MELODYUD_LEASE" default:"45s" help:"A worker silent for so long is taken for dead; it reports three times as often."`
	Drain       time.Duration   `env:"MELODYUD_DRAIN" default:"25s" help:"How long a stop waits for work in hand."`

	SoundLimits `embed:""`
	Quotas      `embed:""`
	Doors       `embed:""`
	Rights      `embed:""`
	EdgeCache   `embed:""`
	AdBreaks    `embed:""`
	EdgeLimits  `embed:""`
	Front       `embed:""`

	LogFormat string `env:"MELODYUD_LOG_FORMAT" enum:"text,json" default:"text" help:"text or json."`
	LogLevel  string `env:"MELODYUD_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`

	LogOutput io.Writer        `kong:"-" json:"-"` // default os.Stderr
	Child     []string         `kong:"-" json:"-"` // command of the decoding child; default: this binary's
	Now       func() time.Time `kong:"-" json:"-"` // default time.Now
	// Bells wraps the queue, for tests of one that fails; nil leaves it as it is.
	Bells func(queue.Queue) queue.Queue `kong:"-" json:"-"`
}

// leastLease leaves a worker on a busy machine time to renew.
const leastLease = time.Second

// check fills defaults and refuses what cannot work, in sentences.
func (c *Config) check() error {
	if len(c.Roles) == 0 {
		c.Roles = allRoles
	}
	for _, r := range c.Roles {
		if !slices.Contains(allRoles, r) {
			return fmt.Errorf("%w: there is no role %q: use api, work, edge, fold", melodyud.ErrInvalid, r)
		}
	}
	if c.Data == "" {
		return fmt.Errorf("%w: --data names no directory", melodyud.ErrInvalid)
	}
	if c.Drain < 0 || c.Lease < 0 || c.Lease > 0 && c.Lease < leastLease {
		return fmt.Errorf("%w: --drain cannot be negative, and --lease not shorter than %s", melodyud.ErrInvalid, leastLease)
	}
	if c.Lease == 0 {
		c.Lease = 45 * time.Second
	}
	if c.LogFormat == "" {
		c.LogFormat = "text"
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	if c.Drain == 0 {
		c.Drain = 25 * time.Second
	}
	if c.LogOutput == nil {
		c.LogOutput = os.Stderr
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.Ladder) == 0 {
		c.Ladder = melodyud.DefaultLadder()
	}
	if err := errors.Join(c.SoundLimits.check(), c.EdgeCache.check(), c.AdBreaks.check(), c.EdgeLimits.check(), c.Front.check()); err != nil {
		return err
	}
	for _, u := range []*string{&c.PublicURL, &c.EdgeURL} {
		if err := checkURL(*u); err != nil {
			return err
		}
		*u = strings.TrimRight(*u, "/")
	}
	return nil
}

func checkURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%w: %q is no web address: write https://host", melodyud.ErrInvalid, s)
	}
	return nil
}

// requestDrain is the requests' part of the drain time: they end soon when asked,
// tracks in hand get the rest.
func (c *Config) requestDrain() time.Duration { return c.Drain / 5 }

func (c *Config) has(r Role) bool { return slices.Contains(c.Roles, r) }

func (c *Config) path(name string) string { return filepath.Join(c.Data, name) }

// scheme splits "scheme:rest" and returns fallback for an empty URL.
func scheme(rawURL, fallback string) (name, rest string) {
	if rawURL == "" {
		return fallback, ""
	}
	name, rest, _ = strings.Cut(rawURL, ":")
	return name, strings.TrimPrefix(rest, "//")
}
