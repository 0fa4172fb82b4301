package decode

import (
	"log/slog"

	"github.com/melodyud/melodyud/transcode/decode/format"
	"github.com/melodyud/melodyud/transcode/decode/label"
)

// What the readers of package format know of a master and what bounds them.
type (
	Facts  = format.Facts
	Cover  = format.Cover
	Limits = format.Limits
)

// MaxCover is the most bytes a Cover may have.
const MaxCover = label.MaxPicture

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
