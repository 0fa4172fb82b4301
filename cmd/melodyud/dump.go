package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/melodyud/melodyud/internal/node"
)

type dumpCmd struct {
	File string `arg:"" type:"existingfile" help:"MP4 file: a track file, an init segment, a segment, or anybody's .mp4 or .m4a."`
	JSON bool   `help:"Print one JSON object a box."`
}

// Help is printed under the flags.
func (dumpCmd) Help() string {
	return `One line a box: offset, bytes, kind, and the fields of the boxes that track files have. Media data
is shown by its hash, so two dumps can be compared with diff. Exit code 3 if the file is no MP4.`
}

func (cmd dumpCmd) Run(s std) error {
	f, err := os.Open(cmd.File)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(s.out)
	if err := errors.Join(node.Dump(out, bufio.NewReader(f), cmd.JSON), out.Flush()); err != nil {
		return fmt.Errorf("%s: %w", cmd.File, refused(err))
	}
	return nil
}
