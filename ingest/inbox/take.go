package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// longest bounds how long one file holds a look up; the next one goes on with it.
const longest = 30 * time.Minute

// take brings one version of a file as far as it can.
func (f *folder) take(ctx context.Context, d objectstore.Dropped) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := f.bring(ctx, d); err != nil && ctx.Err() == nil {
		if _, refused := melodyud.AsRefusal(err); !refused {
			f.s.config.Logger.Warn("dropped file not taken yet", "file", d.Name, "error", err)
		}
		f.wait(d, err)
	}
}

func (f *folder) bring(ctx context.Context, d objectstore.Dropped) error {
	r, err := f.s.load(ctx, d)
	if errors.Is(err, melodyud.ErrNotFound) {
		r, err = f.begin(ctx, d)
	}
	if err != nil {
		return err
	}
	if r.state == taking {
		if r, err = f.fetch(ctx, r, d); err != nil {
			return err
		}
	}
	switch old := f.s.config.Now().Sub(r.updated) >= f.s.config.Keep; {
	case r.state == received || r.state == published || old && r.state != taking:
		if err := fault.Point("inbox.received"); err != nil {
			return err
		}
		return f.s.config.Box.Remove(ctx, d)
	case r.state == taking:
		f.mu.Lock()
		f.soon = true
		f.mu.Unlock()
	}
	return nil
}

// begin opens the upload of a file and notes which. What can never be taken gets a
// row of its own, so that it is not tried again.
func (f *folder) begin(ctx context.Context, d objectstore.Dropped) (row, error) {
	tags, err := f.heard.of(d.Name)
	if err != nil {
		return row{}, err
	}
	if err := f.fullness(nil); err != nil {
		return row{}, err
	}
	v, err := f.s.config.Uploads.Expect(ctx, ingest.Arrival{
		Via: "inbox", Owner: melodyud.UserID(f.name), Size: d.Size, FileName: path.Base(d.Name), Tags: tags,
	})
	r := row{name: d.Name, tag: d.Tag, owner: f.name, upload: v.ID, track: v.Track, state: taking}
	refusal, refused := melodyud.AsRefusal(err)
	switch {
	case refused && (refusal.Kind == melodyud.ErrInvalid || refusal.Kind == melodyud.ErrTooLarge):
		r.state, r.code, r.reason = refusedState, refusal.Code, refusal.Text
	case refused && (refusal.Kind == melodyud.ErrLimited || strings.HasPrefix(refusal.Code, "quota.")):
		return row{}, f.fullness(err)
	case err != nil:
		return row{}, err
	}
	if err := fault.Point("inbox.expected"); err != nil {
		return row{}, err
	}
	return r, f.s.insert(ctx, &r)
}

// fullness notes why nothing more of this creator can be begun now, and tells it.
func (f *folder) fullness(why error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full == nil {
		f.full = why
	} else if why == nil {
		refusal, _ := melodyud.AsRefusal(f.full)
		if strings.HasPrefix(refusal.Code, "quota.") {
			return f.full
		}
		return errBehind
	}
	return why
}

// fetch reads the file's bytes into its upload and returns the row as it is then.
func (f *folder) fetch(ctx context.Context, r row, d objectstore.Dropped) (row, error) {
	uploads := f.s.config.Uploads
	if err := uploads.Keep(ctx, r.upload, f.s.config.Now().Add(uploads.TTL())); err != nil {
		return r, err
	}
	v, err := uploads.Fetch(ctx, r.upload, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		return f.s.config.Box.Open(ctx, d, offset)
	})
	refusal, refused := melodyud.AsRefusal(err)
	switch {
	case err == nil:
		return r, f.s.settle(ctx, &r, v)
	case errors.Is(err, melodyud.ErrConflict) && !refused, errors.Is(err, melodyud.ErrNotFound) && v.State == ingest.StateOpen:
		return r, f.s.giveUp(ctx, &r) // it is another file by now
	case errors.Is(err, melodyud.ErrNotFound):
		return r, f.s.drop(ctx, r) // the upload is forgotten: begin anew
	case refused && (refusal.Kind == melodyud.ErrInvalid || refusal.Kind == melodyud.ErrTooLarge):
		if err := uploads.Reject(ctx, r.upload, refusal); err != nil {
			return r, err
		}
		r.state, r.code, r.reason = refusedState, refusal.Code, refusal.Text
		return r, f.s.update(ctx, &r)
	}
	return r, err
}

// settle moves the row on to where its upload stands.
func (s *Service) settle(ctx context.Context, r *row, v ingest.View) error {
	switch v.State {
	case ingest.StateReceived:
		r.state = received
	case ingest.StateRefused:
		r.state = refusedState
		if v.Refusal != nil {
			r.code, r.reason = v.Refusal.Code, v.Refusal.Text
		}
	case ingest.StateEnded:
		r.state, r.code, r.reason = gone, errCancelled.Code, errCancelled.Text
	case ingest.StateExpired:
		return s.drop(ctx, *r)
	default:
		return nil // complete: the hand-over goes on by itself
	}
	return s.update(ctx, r)
}

// giveUp ends the upload of a version of a file that is not there any more.
func (s *Service) giveUp(ctx context.Context, r *row) error {
	err := s.config.Uploads.Cancel(ctx, melodyud.UserID(r.owner), string(r.upload))
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		return fmt.Errorf("give up %s: %w", r.name, err)
	}
	r.state, r.code, r.reason = gone, errReplaced.Code, errReplaced.Text
	return s.update(ctx, r)
}
