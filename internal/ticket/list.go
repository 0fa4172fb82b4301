package ticket

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

// MaxList is the most tracks one address can play one after the other: the list
// is part of the address, 27 bytes for each.
const MaxList = 100

var errList = melodyud.Refuse(melodyud.ErrNotFound, "playback.not-found", "There is nothing to play at this address.")

// List returns the path under which the edge plays releases one after the other.
// It is also the prefix of a ticket for them, cut to what a ticket has room for:
// the digest of the list. The path begins and ends with "/".
func List(releases []melodyud.ReleaseID) (path, prefix string) {
	bare := make([]string, len(releases))
	for i, r := range releases {
		bare[i] = strings.TrimPrefix(string(r), "rel_")
	}
	joined := strings.Join(bare, "-")
	prefix = "/" + digest(joined) + "/"
	return prefix + joined + "/", prefix
}

// ParseList reads the two elements of a path of List. A list that is not the one
// of the digest, and so not the one a ticket was signed for, is ErrNotFound.
func ParseList(sum, list string) ([]melodyud.ReleaseID, error) {
	if subtle.ConstantTimeCompare([]byte(sum), []byte(digest(list))) == 0 {
		return nil, errList
	}
	bare := strings.Split(list, "-")
	if len(bare) > MaxList {
		return nil, errList
	}
	out := make([]melodyud.ReleaseID, len(bare))
	for i, b := range bare {
		id, err := melodyud.ParseReleaseID("rel_" + b)
		if err != nil {
			return nil, errList.Because(err)
		}
		out[i] = id
	}
	return out, nil
}

// digest names a list: 128 bits, so that nobody finds another list for the same.
func digest(list string) string {
	sum := sha256.Sum256([]byte(list))
	return hex.EncodeToString(sum[:16])
}
