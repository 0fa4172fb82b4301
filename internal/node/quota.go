package node

import (
	"time"

	"github.com/melodyud/melodyud/ingest/quota"
	"github.com/melodyud/melodyud/internal/catalog"
)

// Quotas is what a creator may use unless given limits of their own; 0 is no limit.
type Quotas struct {
	QuotaBytes   int64         `env:"MELODYUD_QUOTA_BYTES" default:"2000000000000" help:"Bytes of files one creator may keep; 0: no limit."`
	QuotaSound   time.Duration `env:"MELODYUD_QUOTA_SOUND" default:"10000h" help:"Sound one creator may keep; 0: no limit."`
	QuotaUploads int64         `env:"MELODYUD_QUOTA_UPLOADS" default:"5000" help:"Uploads one creator may start a day; 0: no limit."`
}

func (n *Node) newQuotas(tracks *catalog.Service) (*quota.Service, error) {
	q := n.config.Quotas
	return quota.New(quota.Config{
		DB: n.backends.db, Tracks: tracks, Default: quota.Limits{Bytes: q.QuotaBytes, Sound: q.QuotaSound, Uploads: q.QuotaUploads},
		Logger: n.log, Metrics: n.metrics, Now: n.config.Now,
	})
}
