package objectstore

import "strings"

// MayBegin reports whether some allowed key can begin with prefix. A store lists
// nothing for a prefix that cannot, and never takes it to a file system or server.
func MayBegin(prefix string) bool {
	last := strings.LastIndexByte(prefix, '/')
	if last >= 0 && CheckKey(prefix[:last]) != nil {
		return false
	}
	if len(prefix) >= maxKey && CheckKey(prefix) != nil {
		return false
	}
	for i := last + 1; i < len(prefix); i++ {
		if !allowed(prefix[i]) {
			return false
		}
	}
	return true
}
