package objectstore

import (
	"fmt"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

const maxKey = 200

// CheckKey returns ErrInvalid for a key that not every store can hold (A13).
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("%w: object key of %d bytes", melodyud.ErrInvalid, len(key))
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%w: object key %q has an empty or dotted component", melodyud.ErrInvalid, key)
		}
	}
	for i := range len(key) {
		if !allowed(key[i]) {
			return fmt.Errorf("%w: object key %q has a byte outside [A-Za-z0-9._/=-]", melodyud.ErrInvalid, key)
		}
	}
	return nil
}

func allowed(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '.' || c == '_' || c == '/' || c == '-' || c == '='
}
