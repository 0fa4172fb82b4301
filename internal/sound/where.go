package sound

import (
	"strconv"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

var errWhere = melodyud.Refuse(melodyud.ErrInvalid, "reanalysis.where",
	`Say which tracks: "all", "track=trk_…", "owner=usr_…" or "analyzer_version < 5"; several, joined by "and", must all hold.`)

// ParseWhere reads which tracks are meant: conditions joined by "and". "all" is
// every published track. Anything else is ErrInvalid.
func ParseWhere(s string) (melodyud.Hearing, error) {
	var which melodyud.Hearing
	for term := range strings.SplitSeq(strings.ReplaceAll(s, " AND ", " and "), " and ") {
		if err := parseTerm(&which, strings.Join(strings.Fields(term), "")); err != nil {
			return melodyud.Hearing{}, err
		}
	}
	return which, nil
}

func parseTerm(which *melodyud.Hearing, term string) error {
	name, value, equal := strings.Cut(term, "=")
	below, limit, less := strings.Cut(term, "<")
	switch {
	case term == "all":
		return nil
	case equal && !less && name == "track" && which.Track == "":
		id, err := melodyud.ParseTrackID(value)
		if err != nil {
			return errWhere.Because(err)
		}
		which.Track = id
		return nil
	case equal && !less && name == "owner" && which.Owner == "" && value != "":
		which.Owner = melodyud.UserID(value)
		return nil
	case less && !equal && below == "analyzer_version" && which.Below == 0:
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 {
			return errWhere.Because(err)
		}
		which.Below = n
		return nil
	}
	return errWhere
}

// where is ParseWhere's reverse.
func where(which melodyud.Hearing) string {
	var terms []string
	if which.Track != "" {
		terms = append(terms, "track="+string(which.Track))
	}
	if which.Owner != "" {
		terms = append(terms, "owner="+string(which.Owner))
	}
	if which.Below > 0 {
		terms = append(terms, "analyzer_version < "+strconv.Itoa(which.Below))
	}
	if len(terms) == 0 {
		return "all"
	}
	return strings.Join(terms, " and ")
}
