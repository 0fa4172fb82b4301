package catalog

import (
	"strings"

	"github.com/melodyud/melodyud/internal/plain"
)

const maxReason = 1000 // bytes of a dead letter's reason

// keepable is a refusal's or a dead letter's text as a row takes it.
func keepable(s string) string { return plain.Text(s, maxReason) }

// stem is a title for want of a better one: the file's name without its ending.
func stem(fileName string) string {
	name := fileName[strings.LastIndexAny(fileName, `/\`)+1:]
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		name = name[:i]
	}
	return plain.Line(name)
}
