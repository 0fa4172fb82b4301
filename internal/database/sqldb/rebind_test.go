package sqldb_test

import (
	"testing"

	"github.com/melodyud/melodyud/internal/database/sqldb"
)

var placeholders = map[string]string{
	"":                                   "",
	"SELECT 1":                           "SELECT 1",
	"SELECT ?, ?":                        "SELECT $1, $2",
	"SELECT '?', ?":                      "SELECT '?', $1",
	"SELECT 'it''s ?', ?":                "SELECT 'it''s ?', $1",
	`SELECT "a?" FROM t WHERE b=?`:       `SELECT "a?" FROM t WHERE b=$1`,
	"SELECT ? -- why?\n, ?":              "SELECT $1 -- why?\n, $2",
	"SELECT /* ? */ ?":                   "SELECT /* ? */ $1",
	"SELECT ? -- why?":                   "SELECT $1 -- why?",
	"SELECT 'open ?":                     "SELECT 'open ?",
	"SELECT ?,?,?,?,?,?,?,?,?,?,? - ?":   "SELECT $1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11 - $12",
	"SELECT n - ? / ?, 'ü?' WHERE x = ?": "SELECT n - $1 / $2, 'ü?' WHERE x = $3",
}

func TestOnlyPlaceholdersBecomeNumbers(t *testing.T) {
	t.Parallel()
	for query, want := range placeholders {
		if got := sqldb.Dollar(query); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}

func FuzzRebindingNeverPanics(f *testing.F) {
	for query := range placeholders {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) { sqldb.Dollar(query) })
}
