package dir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	pageNames = 4096 // names held per directory level, however many it has
	readNames = 1024
)

// List walks the tree in byte order of whole keys. Of each directory on the way
// it holds one page of names and no descriptor.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if !objectstore.MayBegin(prefix) {
			return
		}
		cut := strings.LastIndexByte(prefix, '/') + 1
		w := walk{s: s, ctx: ctx, yield: yield}
		w.dir(prefix[:cut], prefix[cut:])
	}
}

type walk struct {
	s     *Store
	ctx   context.Context
	yield func(objectstore.Info, error) bool
}

// dir yields what is below dir ("" or ending in a slash) and begins with rest.
// It returns false when the walk is over.
func (w *walk) dir(dir, rest string) bool {
	after := ""
	for {
		names, err := w.s.page(dir, rest, after)
		if err = errors.Join(err, w.ctx.Err()); err != nil {
			return w.yield(objectstore.Info{}, translate("list objects", dir, err)) && false
		}
		for _, name := range names {
			if !w.entry(dir+name, strings.HasSuffix(name, "/")) {
				return false
			}
		}
		if len(names) < pageNames {
			return true
		}
		after = names[len(names)-1]
	}
}

func (w *walk) entry(name string, isDir bool) bool {
	if isDir {
		return w.dir(name, "")
	}
	one, err := w.s.Stat(w.ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return true // deleted since it was read
	}
	return w.yield(one, err) && err == nil
}

// page returns the next names of dir after the given one, sorted as they stand in
// whole keys: a directory's name ends in a slash, which sorts "a.b" before "a/b".
func (s *Store) page(dir, rest, after string) ([]string, error) {
	d, err := s.root.Open(dirName(dir))
	if errors.Is(absent(err), fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	best := smallest{}
	for {
		entries, err := d.ReadDir(readNames)
		for _, e := range entries {
			if name := keyName(dir, e); strings.HasPrefix(name, rest) && name > after {
				best.add(name)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(absent(err), fs.ErrNotExist) {
			return best.sorted(), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func dirName(dir string) string {
	if dir == "" {
		return "."
	}
	return strings.TrimSuffix(dir, "/")
}

// keyName is the entry's part of a key, or empty when it is no object of ours.
func keyName(dir string, e fs.DirEntry) string {
	switch name := e.Name(); {
	case objectstore.CheckKey(dir+name) != nil:
		return ""
	case e.IsDir():
		return name + "/"
	case e.Type().IsRegular():
		return name
	}
	return ""
}

// smallest keeps the pageNames smallest of any number of names.
type smallest struct {
	names []string
	limit string // names from here on are not wanted; empty: all are
}

func (s *smallest) add(name string) {
	if s.limit != "" && name > s.limit {
		return
	}
	s.names = append(s.names, name)
	if len(s.names) == 2*pageNames {
		s.sorted()
	}
}

func (s *smallest) sorted() []string {
	slices.Sort(s.names)
	if len(s.names) > pageNames {
		s.names = s.names[:pageNames]
		s.limit = s.names[pageNames-1]
	}
	return s.names
}
