package cache

import (
	"time"

	"github.com/melodyud/melodyud/edge/cachestatus"
)

// Tier is a place where blocks are kept.
type Tier uint8

// The tiers, nearest first.
const (
	Memory Tier = iota
	Disk
	Peer
	Origin
)

var tierNames = [...]string{"memory", "disk", "peer", "origin"}

// String is the tier's name in metrics: memory, disk, peer or origin.
func (t Tier) String() string { return tierNames[t] }

// Status tells where a block came from (EDGE-11). Memory and Disk are hits; the
// others were forwarded.
type Status struct {
	Tier Tier
	// Collapsed says that another request had asked for the block already.
	Collapsed bool
	// Waited is how long the block's first wanted byte was waited for; 0 from memory.
	Waited time.Duration
	via    string // the Cache-Status of the edge that was asked
}

// Hit reports whether the block was here.
func (s Status) Hit() bool { return s.Tier <= Disk }

// Header is the Cache-Status field (RFC 9211) of a response that begins with the
// block: the members of the caches that were asked, and then that of name.
func (s Status) Header(name string) string {
	if s.Hit() {
		return cachestatus.Status{Cache: name}.String()
	}
	own := cachestatus.Status{Cache: name, Forward: cachestatus.URIMiss, Stored: true, Collapsed: s.Collapsed}.String()
	if s.via != "" {
		return s.via + ", " + own
	}
	return own
}
