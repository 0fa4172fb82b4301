// Package geo tells which country an address is in, by a database in MaxMind's
// format (https://maxmind.github.io/MaxMind-DB/) that an operator puts beside the
// server. The file may be replaced at any time.
package geo

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	melodyud "github.com/melodyud/melodyud"
)

// Config of a Database.
type Config struct {
	Path   string        // required: a file with countries or cities
	Poll   time.Duration // how often the file is looked at. Default 2 s
	Logger *slog.Logger  // default: discards
}

// Database answers from memory. It is safe for concurrent use.
type Database struct {
	c       Config
	current atomic.Pointer[reading]
}

// reading is the file at one time.
type reading struct {
	db   *maxminddb.Reader
	time time.Time
	size int64
}

// maxBytes bounds the file, which is read into memory: the largest in the trade has
// about 150 MB, one with countries alone 10 MB.
const maxBytes = 512 << 20

// Open reads the file. One that is missing or no such database is an error.
func Open(c Config) (*Database, error) {
	if c.Poll <= 0 {
		c.Poll = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Database{c: c}
	_, err := d.refresh()
	return d, err
}

// Run looks for a newer file until ctx ends, and returns nil then. A file that
// cannot be read changes nothing, and is tried again.
func (d *Database) Run(ctx context.Context) error {
	tick := time.NewTicker(d.c.Poll)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		changed, err := d.refresh()
		switch {
		case err != nil && err.Error() != told:
			told = err.Error()
			d.c.Logger.WarnContext(ctx, "database of countries not read: the one before stays", slog.Any("error", err))
		case changed:
			told = ""
			d.c.Logger.InfoContext(ctx, "database of countries read", slog.String("type", d.current.Load().db.Metadata.DatabaseType))
		}
	}
}

// refresh reads the file if it is not the one that was read last.
func (d *Database) refresh() (changed bool, err error) {
	info, err := os.Stat(d.c.Path)
	if err != nil {
		return false, fmt.Errorf("database of countries: %w", err)
	}
	old := d.current.Load()
	if old != nil && old.time.Equal(info.ModTime()) && old.size == info.Size() {
		return false, nil
	}
	if info.Size() > maxBytes {
		return false, fmt.Errorf("%w: database of countries: %s has %d bytes, the most is %d", melodyud.ErrTooLarge, d.c.Path, info.Size(), maxBytes)
	}
	raw, err := os.ReadFile(d.c.Path)
	if err != nil {
		return false, fmt.Errorf("database of countries: %w", err)
	}
	db, err := maxminddb.OpenBytes(raw)
	if err == nil {
		err = db.Lookup(netip.IPv4Unspecified()).Err() // a file that was cut has its end missing
	}
	if err != nil {
		return false, fmt.Errorf("%w: database of countries %s: %w", melodyud.ErrInvalid, d.c.Path, err)
	}
	d.current.Store(&reading{db, info.ModTime(), info.Size()})
	return true, nil
}

// Country returns the ISO 3166-1 code of the country that an address is in, or else
// of the one it is registered in; "" if neither is known.
func (d *Database) Country(from netip.Addr) string {
	found := d.current.Load().db.Lookup(from.Unmap())
	if !found.Found() {
		return ""
	}
	for _, kind := range []string{"country", "registered_country"} {
		var code string
		if found.DecodePath(&code, kind, "iso_code") == nil && len(code) == 2 {
			return code
		}
	}
	return ""
}
