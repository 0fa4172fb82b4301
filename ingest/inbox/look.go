package inbox

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	mostFiles = 50_000 // held of one look; the others' turn comes as these go
	takers    = 4
)

var (
	errCreator = melodyud.Refuse(melodyud.ErrNotFound, "inbox.creator",
		"No creator has this id. The folder has to be called like your user id (usr_…), which GET /v1/me tells.")
	errName = melodyud.Refuse(melodyud.ErrInvalid, "inbox.name",
		"This file's name is longer than 2000 bytes or not in UTF-8. Rename it.")
	errMetadataMoves = melodyud.Refuse(melodyud.ErrUnavailable, "inbox.metadata-moving",
		"What tells how this file is called is still being written. The file waits for it.")
	errSettling = melodyud.Refuse(melodyud.ErrUnavailable, "inbox.settling",
		"This file has changed a moment ago. It is taken once it stays as it is.")
	errBehind = melodyud.Refuse(melodyud.ErrUnavailable, "inbox.behind",
		"This file waits for its turn.")
	errAside = melodyud.Refuse(melodyud.ErrInvalid, "inbox.aside",
		"This is no music by its name, so it is left where it is.")
	errReplaced = melodyud.Refuse(melodyud.ErrConflict, "inbox.replaced",
		"This file was written again or removed before it was taken. What is there now counts.")
	errCancelled = melodyud.Refuse(melodyud.ErrConflict, "inbox.cancelled",
		"The upload of this file was cancelled. Remove the file, or write it again to have it taken.")
)

// look goes through the inbox once. It says whether something may be done soon.
func (s *Service) look(ctx context.Context) (soon bool, err error) {
	folders, err := s.list(ctx)
	if err != nil {
		return false, err
	}
	if err := s.follow(ctx, folders); err != nil {
		return false, err
	}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		f := &folder{s: s, name: name, files: folders[name]}
		if err := f.look(ctx); err != nil {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			s.config.Logger.Warn("a folder of the inbox is not done", "folder", name, "error", err)
		}
		soon = soon || f.soon
	}
	s.forget(folders)
	return soon, s.expire(ctx)
}

// list reads the inbox, by folders.
func (s *Service) list(ctx context.Context) (map[string][]objectstore.Dropped, error) {
	folders := map[string][]objectstore.Dropped{}
	n := 0
	for d, err := range s.config.Box.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list inbox: %w", err)
		}
		if n++; n > mostFiles {
			break
		}
		if name := owner(d.Name); name != d.Name && storable(name) {
			folders[name] = append(folders[name], d)
		}
	}
	return folders, nil
}

// settled reports whether a file has stayed as it is for long enough.
func (s *Service) settled(d objectstore.Dropped) bool {
	now := s.config.Now()
	old, ok := s.seen[d.Name]
	if !ok || old.tag != d.Tag {
		s.seen[d.Name] = sighting{d.Tag, now}
		return false
	}
	return now.Sub(old.since) >= s.config.Settle
}

// forget drops the sightings of files that are gone.
func (s *Service) forget(folders map[string][]objectstore.Dropped) {
	there := map[string]bool{}
	for _, files := range folders {
		for _, d := range files {
			there[d.Name] = true
		}
	}
	maps.DeleteFunc(s.seen, func(name string, _ sighting) bool { return !there[name] })
	maps.DeleteFunc(s.written, func(name string, _ string) bool { return folders[name] == nil })
}

// folder is one creator's part of the inbox during one look.
type folder struct {
	s     *Service
	name  string
	files []objectstore.Dropped
	heard said

	mu      sync.Mutex
	waiting []Entry // files without a row, for the report
	full    error   // why nothing more of this creator is begun now
	soon    bool
}

func (f *folder) look(ctx context.Context) error {
	known, err := f.s.config.Creators.IsCreator(ctx, melodyud.UserID(f.name))
	if err != nil {
		return err
	}
	if !known {
		return f.s.reportProblem(ctx, f.name, errCreator)
	}
	if f.heard, err = f.s.hear(ctx, f.files); err != nil {
		return err
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, takers)
	for _, d := range f.files {
		if f.ready(d) && ctx.Err() == nil {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				f.take(ctx, d)
			})
		}
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.tidy(ctx); err != nil {
		return err
	}
	return f.report(ctx)
}

// ready reports whether a file is to be taken now, and notes why not.
func (f *folder) ready(d objectstore.Dropped) bool {
	switch what := roleOf(d.Name); {
	case what == aside:
		f.wait(d, errAside)
	case what != sound:
	case !storable(d.Name):
		f.wait(d, errName)
	case !f.s.settled(d):
		f.wait(d, errSettling)
	default:
		return true
	}
	return false
}

// wait notes why a file stays where it is for now.
func (f *folder) wait(d objectstore.Dropped, why error) {
	e := Entry{File: f.inside(d.Name), State: waiting, Code: "unavailable", Text: "This did not work for now. It is tried again."}
	if refusal, ok := melodyud.AsRefusal(why); ok {
		e.Code, e.Text = refusal.Code, refusal.Text
	}
	if e.Code == errAside.Code {
		e.State = ignored
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.soon = f.soon || e.Code == errSettling.Code
	f.waiting = append(f.waiting, e)
}

// inside is a name as its creator sees it.
func (f *folder) inside(name string) string { return validText(name[len(f.name)+1:]) }

// tidy removes sidecars and tables when everything they tell of is taken.
func (f *folder) tidy(ctx context.Context) error {
	if len(f.heard.from)+len(f.heard.tables) == 0 {
		return nil
	}
	there := map[string]bool{}
	for _, d := range f.files {
		there[same(d.Name)] = true
	}
	taken, err := f.s.taken(ctx, f.name)
	if err != nil {
		return err
	}
	done := func(file string) bool { return taken[file] && !there[file] }
	for file, d := range f.heard.from {
		if done(file) {
			if err := f.s.config.Box.Remove(ctx, d); err != nil {
				return fmt.Errorf("remove %s: %w", path.Base(d.Name), err)
			}
		}
	}
	for name, files := range f.heard.tables {
		if len(files) > 0 && !slices.ContainsFunc(files, func(file string) bool { return !done(file) }) {
			if err := f.s.config.Box.Remove(ctx, f.heard.dropped[name]); err != nil {
				return fmt.Errorf("remove %s: %w", path.Base(name), err)
			}
		}
	}
	return nil
}
