// Package hearing writes a melodyud.Hearing as a condition of the catalog's rows.
package hearing

import melodyud "github.com/melodyud/melodyud"

// Where returns the condition, over tracks t and their current releases r, that finds
// which.
func Where(which melodyud.Hearing) (where string, args []any) {
	where, args = `WHERE t.state = ? AND r.id IS NOT NULL`, []any{string(melodyud.StatePublished)}
	if which.Track != "" {
		where, args = where+` AND t.id = ?`, append(args, string(which.Track))
	}
	if which.Owner != "" {
		where, args = where+` AND t.owner = ?`, append(args, string(which.Owner))
	}
	if which.Below > 0 {
		where += ` AND NOT EXISTS (SELECT 1 FROM feature_sets f WHERE f.features_hash = r.features_hash AND f.version >= ?)`
		args = append(args, which.Below)
	}
	return where, args
}
