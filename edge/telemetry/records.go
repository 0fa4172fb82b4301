package telemetry

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/melodyud/melodyud/edge/cmcd"
)

// readRecords reads the events of CMCD's second version (CMCD-3, CMCD-7). They do
// not tell what was heard, so nothing is counted by them. Records that cannot be
// read, and events that say nothing of a play, are passed over; a play is what one
// sid tells, for each cid.
func readRecords(body []byte) ([]report, error) {
	var all []report
	_, err := cmcd.Records(body, func(d *cmcd.Data) error {
		r, ok := recordOf(d)
		if !ok {
			return nil
		}
		if len(all) == mostReports {
			return errLarge
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// states are what a change of the player's state tells.
var states = map[string]string{"s": "requested", "p": "started", "a": "paused", "k": "seeked", "e": "ended", "f": "failed"}

func recordOf(d *cmcd.Data) (report, bool) {
	if !d.Has(cmcd.Event) || !d.Has(cmcd.Time) || !d.Has(cmcd.Sequence) {
		return report{}, false
	}
	name := sha256.Sum256([]byte(string(d.Text(cmcd.Session)) + "\n" + string(d.Text(cmcd.Content))))
	r := report{Play: "cmcd-" + hex.EncodeToString(name[:12]), Sequence: d.Number(cmcd.Sequence), At: d.Number(cmcd.Time)}
	switch event, state := string(d.Text(cmcd.Event)), string(d.Text(cmcd.State)); {
	case event == "e":
		r.Type = "failed"
	case event == "ps" && d.Has(cmcd.StallLength):
		r.Type, r.Took = "stalled", d.Number(cmcd.StallLength)
	case event == "ps" && state == "p" && !d.Has(cmcd.StartupDelay):
		return report{}, false // it goes on
	case event == "ps":
		r.Type, r.Took = states[state], d.Number(cmcd.StartupDelay)
	}
	if code := string(d.Text(cmcd.ErrorCode)); plain(code) {
		r.Code = code
	}
	return r, r.Type != "" && r.check() == nil
}
