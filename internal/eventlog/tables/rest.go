package tables

import (
	"context"

	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/database/pause"
)

// mostSkipped is how many polls in a row may rely on what a database says of itself:
// a file system may lie about its times.
const mostSkipped = 4

// moment is what was known before the log was read.
type moment struct {
	appended <-chan struct{} // closed by an append of this process
	stamp    database.Stamp
	stamped  bool
}

func (l *Log) look(t *topic) (now moment) {
	now.appended = l.next(t)
	now.stamp, now.stamped = l.stamp()
	return now
}

func (l *Log) stamp() (database.Stamp, bool) {
	if db, ok := l.DB.(database.Stamped); ok {
		return db.Stamp()
	}
	return database.Stamp{}, false
}

// rest waits until there may be more than there was at that moment, and says false if
// ctx ended before. An idle log costs its readers a look at a file and, now and then, a
// query.
func (l *Log) rest(ctx context.Context, then moment) bool {
	for range mostSkipped + 1 {
		if !pause.For(ctx, l.Poll, then.appended) {
			return false
		}
		select {
		case <-then.appended:
			return true
		default:
		}
		if now, ok := l.stamp(); !ok || !then.stamped || now != then.stamp {
			return true
		}
	}
	return true
}
