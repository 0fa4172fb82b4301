package sqlite

import (
	"os"
	"time"

	"github.com/melodyud/melodyud/internal/database"
)

// coarse is how far apart two writes may be of which a file system says that they were
// at the same time; most keep time to 10 ms or better.
const coarse = 100 * time.Millisecond

// stamper names states of the database by its log, which every commit of every process
// writes to (sqlite.org/wal.html §2). As long as the last write is fresh, there may be
// another one that leaves the same time behind.
func stamper(log string) func() (database.Stamp, bool) {
	return func() (database.Stamp, bool) {
		now := time.Now()
		info, err := os.Stat(log)
		if err != nil {
			return database.Stamp{}, false
		}
		written := info.ModTime()
		return database.Stamp{At: written.UnixNano(), Size: info.Size()}, now.Sub(written) > coarse
	}
}
