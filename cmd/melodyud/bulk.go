package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/melodyud/melodyud/cmd/melodyud/board"
)

// endings are those of files that upload -r takes for music.
var endings = []string{
	".wav", ".flac", ".aiff", ".aif", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".mp4", ".caf", ".w64", ".wma", ".alac", ".ape", ".wv",
}

// song is one file of a bulk upload, and what became of it.
type song struct {
	uploaded
	size     int64
	modified time.Time
	skipped  bool // it was there already
	err      error
}

// States of a song besides a track's.
const (
	stateThere  = "there" // published before
	stateFailed = "failed"
)

// songsIn lists the music in the given files and folders, and the files that are
// none.
func songsIn(paths []string, recursive bool) (songs []*song, others int, err error) {
	add := func(path string, info fs.FileInfo) {
		songs = append(songs, &song{uploaded: uploaded{File: path}, size: info.Size(), modified: info.ModTime()})
	}
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			hidden := strings.HasPrefix(d.Name(), ".") && path != root
			switch {
			case d.IsDir() && !recursive:
				return coded{exitFailed, fmt.Sprintf("%s is a folder: add -r to upload what is in it", path)}
			case d.IsDir() && hidden:
				return fs.SkipDir
			case d.IsDir(), hidden:
				return nil
			case path != root && !slices.Contains(endings, strings.ToLower(filepath.Ext(path))):
				others++
				return nil
			}
			info, err := d.Info()
			if err == nil && info.Mode().IsRegular() {
				add(path, info)
			}
			return err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return songs, others, nil
}

// bulk uploads many files at once and goes on where a run before this one was cut.
type bulk struct {
	cmd     uploadCmd
	client  *client
	journal *journal
	board   *board.Board
}

func (cmd uploadCmd) bulk(ctx context.Context, c *client, s std, songs []*song) error {
	j, err := openJournal(cmd.State, c.base.String())
	if err != nil {
		return err
	}
	defer j.close()
	var total int64
	for _, one := range songs {
		total += one.size
	}
	b := &bulk{cmd: cmd, client: c, journal: j, board: board.New(s.err, len(songs), total)}
	fmt.Fprintf(s.err, "%d files, %s. If this is interrupted, the same command goes on where it stopped (noted in %s).\n",
		len(songs), board.Size(total), j.path)
	stop := b.board.Show()
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, cmd.Parallel))
	for _, one := range songs {
		group.Go(func() error {
			b.take(gctx, s, one)
			return nil // the others go on
		})
	}
	_ = group.Wait() // each song has its own error
	stop()
	return b.summary(ctx, s, songs)
}

// take brings one file to the server, unless it is there.
func (b *bulk) take(ctx context.Context, s std, one *song) {
	if ctx.Err() != nil {
		one.State, one.err = stateFailed, ctx.Err()
		return
	}
	known := b.journal.last(one)
	if known.Track != "" && known.State != "" {
		one.Track, one.State, one.skipped = known.Track, stateThere, true
	} else if one.err = b.send(ctx, one, known.Location); one.err == nil && b.cmd.Wait {
		one.uploaded, one.err = wait(ctx, &upload{client: b.client, file: one.File, location: b.journal.last(one).Location}, std{s.out, b.board}, one.uploaded)
	}
	if one.err == nil && one.State != stateThere {
		one.err = b.journal.note(one, entry{Track: one.Track, State: one.State})
	}
	b.judge(one)
	b.board.Done(one.File, one.size, one.State)
	if b.cmd.JSON {
		b.board.Print(func() { _ = printJSON(s.out, one.uploaded) }) // a closed pipe ends the next write, too
	}
}

// send uploads a file, from where the server is if it has a part of it already.
func (b *bulk) send(ctx context.Context, one *song, location string) error {
	meta, err := b.cmd.describe(ctx, one.File)
	if err != nil {
		return err
	}
	up := upload{client: b.client, file: one.File, location: location, meta: meta}
	up.created = func() error { return b.journal.note(one, entry{Location: up.location, Track: up.track}) }
	track, err := up.send(ctx, b.board.Bar(one.File))
	if err == nil {
		one.Track, one.State = track, "received"
	}
	return err
}

// judge writes down why a file did not become a track. One that is published already
// is where it belongs.
func (b *bulk) judge(one *song) {
	var p *problem
	var c coded
	switch {
	case one.err == nil:
		return
	case errors.As(one.err, &p) && p.Code == codeDuplicate:
		one.State, one.Text, one.skipped, one.err = stateThere, p.Detail, true, nil
	case errors.As(refusedUpload(one.err), &c) && c.code == exitRefused:
		one.State = "refused"
		one.Code, one.Text, _ = strings.Cut(c.text, ": ")
		one.err = nil
	default:
		one.State, one.Text = stateFailed, one.err.Error()
	}
}

// summary prints what became of all files, and returns the worst of it.
func (b *bulk) summary(ctx context.Context, s std, songs []*song) error {
	counts := map[string]int{}
	table := tabwriter.NewWriter(s.err, 0, 0, 2, ' ', 0)
	for _, one := range songs {
		counts[one.State]++
		if one.State == "refused" || one.State == stateFailed {
			fmt.Fprintf(table, "%s\t%s\t%s\n", one.State, one.File, strings.TrimPrefix(one.Code+": "+one.Text, ": "))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "%d uploaded, %d there already, %d refused, %d failed.\n",
		counts["received"]+counts["published"], counts[stateThere], counts["refused"], counts[stateFailed])
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case counts[stateFailed] > 0:
		return coded{code: exitFailed}
	case counts["refused"] > 0:
		return coded{code: exitRefused}
	}
	return nil
}

// gone says that an upload begun by an earlier run is not known any more.
func gone(err error) bool {
	return isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusGone)
}
