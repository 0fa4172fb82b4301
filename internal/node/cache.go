package node

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
)

// EdgeCache is where the edge keeps blocks of track files besides its memory.
type EdgeCache struct {
	CacheDisk int64    `env:"MELODYUD_CACHE_DISK" default:"-1" help:"Disk for the edge's cache, in bytes; 0: none. Default: 4 GiB in the data directory, none if --objects is a directory itself."`
	Peers     []string `env:"MELODYUD_PEERS" placeholder:"URL,…" help:"Addresses at which all edges of this deployment ask each other for blocks before the object store. Default: none."`
	PeerURL   string   `env:"MELODYUD_PEER_URL" placeholder:"URL" help:"Which of --peers this edge is. Default: none of them, it asks and is not asked."`
}

const defaultCacheDisk = 4 << 30

func (c *EdgeCache) check() error {
	for i, u := range c.Peers {
		if err := checkURL(u); err != nil {
			return err
		}
		c.Peers[i] = strings.TrimRight(u, "/")
	}
	c.PeerURL = strings.TrimRight(c.PeerURL, "/")
	if c.PeerURL != "" && !slices.Contains(c.Peers, c.PeerURL) {
		return fmt.Errorf("%w: --peer-url %s is not one of --peers: all edges have the same list, each says which one it is", melodyud.ErrInvalid, c.PeerURL)
	}
	return nil
}

// diskCache is the directory for blocks. Beside a directory of whole track files on
// the same machine it would only cost room.
func (c *Config) diskCache() cache.DiskConfig {
	bytes := c.CacheDisk
	if name, _ := scheme(c.Objects, "dir"); bytes < 0 && name == "s3" {
		bytes = defaultCacheDisk
	}
	if bytes <= 0 {
		return cache.DiskConfig{}
	}
	return cache.DiskConfig{Dir: c.path("cache"), Bytes: bytes}
}

// cachePeers are the edges that ask each other, with proof that they have this
// deployment's keys.
func (n *Node) cachePeers() (cache.PeersConfig, error) {
	if len(n.config.Peers) == 0 {
		return cache.PeersConfig{}, nil
	}
	derive := func() ([][]byte, error) { return n.tickets.Derive("edge peers") }
	if _, err := derive(); err != nil {
		return cache.PeersConfig{}, err
	}
	secrets := func() [][]byte {
		s, err := derive()
		if err != nil {
			n.log.Error("edges cannot prove themselves to each other", slog.Any("error", err))
		}
		return s
	}
	return cache.PeersConfig{URLs: n.config.Peers, Self: n.config.PeerURL, Secrets: secrets}, nil
}
