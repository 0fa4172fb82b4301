package decode

import (
	"log/slog"

	"github.com/melodyud/melodyud/transcode/decode/cover"
	"github.com/melodyud/melodyud/transcode/decode/format"
)

// What the readers of package format know of a master and what bounds them.
type (
	Facts  = format.Facts
	Cover  = cover.Images
	Limits = format.Limits
)

// CoverSizes are the longest sides, in pixels, of the pictures of a Cover.
var CoverSizes = cover.Sizes

// Config says how masters are decoded. The zero Config is usable.
type Config struct {
	// Child is the command that runs ChildMain with the arguments that follow.
	// Default: this executable, "child".
	Child []string
	// FFmpeg is the converter for what we cannot decode ourselves: a path, "" to
	// look in PATH, "-" for none.
	FFmpeg string
	Limits Limits
	// Logger hears of children that died. Default: discarded.
	Logger *slog.Logger
}
