package quota

import (
	"fmt"
	"strconv"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// refuse says why so much more is too much, or nil.
func (u Use) refuse(bytes, uploads int64, now time.Time) error {
	taken, sound := u.Bytes+u.Reserved, u.Sound+u.Expected
	switch l := u.Limits; {
	case l.Uploads > 0 && uploads > 0 && u.Uploads+uploads > l.Uploads:
		return melodyud.Refuse(melodyud.ErrLimited, "quota.uploads", fmt.Sprintf(
			"You have started all of your %d uploads of today. Go on %s, after midnight UTC, or ask the operator for more.",
			l.Uploads, within(u.Resets.Sub(now)))).After(u.Resets.Sub(now))
	case l.Bytes > 0 && taken+bytes > l.Bytes:
		return melodyud.Refuse(melodyud.ErrForbidden, "quota.bytes", fmt.Sprintf(
			"This upload takes %s, but of your %s only %s are left%s. Withdraw tracks you no longer need, or ask the operator for more room.",
			size(bytes), size(l.Bytes), size(max(0, l.Bytes-taken)), u.waiting()))
	case l.Sound > 0 && sound+expected(bytes) > l.Sound:
		return melodyud.Refuse(melodyud.ErrForbidden, "quota.hours", fmt.Sprintf(
			"This upload would last about %s, but of your %s of sound only %s are left. "+
				"Withdraw tracks you no longer need, or ask the operator for more hours.",
			length(expected(bytes)), length(l.Sound), length(max(0, l.Sound-sound))))
	}
	return nil
}

// waiting tells of uploads under way, which cancelling would give back.
func (u Use) waiting() string {
	if u.Reserved == 0 {
		return ""
	}
	return " beside the " + size(u.Reserved) + " of your unfinished uploads"
}

// size writes bytes as people do, in units of 1000, rounded down: what is left is
// never shown as more than it is.
func size(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB", "EB"}
	unit, scale := 0, int64(1)
	for unit+1 < len(units) && n/scale >= 1000 {
		unit, scale = unit+1, scale*1000
	}
	text := strconv.FormatInt(n/scale, 10)
	if tenth := n % scale / max(1, scale/10); tenth > 0 && n/scale < 100 {
		text += "." + strconv.FormatInt(tenth, 10)
	}
	return text + " " + units[unit]
}

// length writes a time of sound, rounded down to what it is told in.
func length(d time.Duration) string {
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0 && m > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case h > 0:
		return fmt.Sprintf("%d h", h)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", s)
}

func within(d time.Duration) string {
	if d < time.Hour {
		return "within the hour"
	}
	return fmt.Sprintf("in %d h", int((d+time.Hour-1)/time.Hour))
}
