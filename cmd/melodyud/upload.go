package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

type uploadCmd struct {
	remote
	Files      []string `arg:"" name:"file" type:"path" help:"Audio files; with -r folders, too."`
	Recursive  bool     `short:"r" help:"Upload the music in folders: several files at once, going on where an interrupted run stopped and passing over what is there already."`
	Parallel   int      `default:"3" help:"With -r: files that travel at once."`
	State      string   `type:"path" placeholder:"FILE" help:"With -r: where it is noted what has arrived. Default: a file in your cache directory for each server."`
	Replaces   string   `placeholder:"TRACK" help:"Give this track of yours other audio: its id, address and plays stay."`
	Title      string   `help:"Title; default: the file's own tags, then its name."`
	Artist     string   `help:"Artist; default: the file's own tags."`
	Album      string   `help:"Album; default: the file's own tags."`
	Duplicates string   `enum:"ask,keep,discard" default:"ask" help:"What to do about files that you have published already: keep both, discard them, or ask: name the track and exit with 3."`
	Wait       bool     `help:"Wait until every track plays or is refused."`
	JSON       bool     `help:"Print one JSON object a file."`
}

// uploaded is what upload prints for a file.
type uploaded struct {
	File        string `json:"file"`
	Track       string `json:"track"`
	State       string `json:"state"`
	PlaybackURL string `json:"playback_url,omitempty"`
	Code        string `json:"code,omitempty"`
	Text        string `json:"text,omitempty"`
}

func (cmd uploadCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	songs, others, err := songsIn(cmd.Files, cmd.Recursive)
	switch {
	case err != nil:
		return err
	case cmd.Replaces != "" && len(songs) != 1:
		return fmt.Errorf("--replaces takes one file for one track, not %d", len(songs))
	case cmd.Recursive && others > 0:
		fmt.Fprintf(s.err, "%d other files are no music by their names and are left out.\n", others)
	}
	if cmd.Recursive {
		return cmd.bulk(ctx, c, s, songs)
	}
	var worst error
	for _, file := range cmd.Files {
		if ctx.Err() != nil {
			break // a signal ends the whole command
		}
		err := cmd.one(ctx, c, s, file)
		if err != nil && len(cmd.Files) > 1 { // tell it now, go on, and keep the exit code
			code := exitCode(fmt.Errorf("%s: %w", file, err), s)
			err = coded{code: code}
		}
		worst = worse(worst, err)
	}
	return worst
}

// worse prefers a failure of ours to a refusal, and either to success.
func worse(a, b error) error {
	var c coded
	if a == nil || (b != nil && errors.As(a, &c) && c.code == exitRefused) {
		return b
	}
	return a
}

func (cmd uploadCmd) one(ctx context.Context, c *client, s std, file string) error {
	meta, err := cmd.describe(ctx, file)
	if err != nil {
		return err
	}
	up := upload{client: c, file: file, meta: meta}
	id, err := up.send(ctx, meter(s, filepath.Base(file)))
	if handled, err := cmd.twin(s, file, err); handled {
		return err
	}
	if err != nil {
		return refusedUpload(err)
	}
	result := uploaded{File: file, Track: id, State: "received"}
	if cmd.Wait {
		if result, err = wait(ctx, &up, s, result); err != nil {
			return err
		}
	}
	if cmd.JSON {
		err = printJSON(s.out, result)
	} else {
		_, err = fmt.Fprintln(s.out, strings.TrimSpace(result.Track+" "+result.State+" "+result.PlaybackURL))
	}
	if result.State == "refused" {
		return coded{exitRefused, result.Code + ": " + result.Text}
	}
	return err
}

// refusedUpload gives refusals of the file itself their exit code. A server that is
// busy or has no room for another upload has not judged the file.
func refusedUpload(err error) error {
	var p *problem
	if !errors.As(err, &p) || p.Status != http.StatusBadRequest && p.Status != http.StatusRequestEntityTooLarge {
		return err
	}
	if strings.HasPrefix(p.Code, "upload.") || strings.HasPrefix(p.Code, "audio.") {
		return coded{exitRefused, p.Error()}
	}
	return err
}

// wait follows what became of an upload to its end.
func wait(ctx context.Context, up *upload, s std, r uploaded) (uploaded, error) {
	const every = 300 * time.Millisecond
	stage := ""
	for {
		t, err := up.client.track(ctx, r.Track)
		if isStatus(err, http.StatusNotFound) {
			t, err = up.fate(ctx)
		}
		if err != nil && !retriable(err) {
			return r, err
		}
		switch {
		case err != nil: // the server restarts
		case t.State == "published":
			p, err := up.client.play(ctx, r.Track, false)
			r.State, r.PlaybackURL = t.State, p.URL
			return r, err
		case t.State == "refused":
			r.State, r.Code, r.Text = t.State, t.Refusal.Code, t.Refusal.Text
			return r, nil
		case t.State != "received":
			return r, fmt.Errorf("track %s was %s meanwhile", r.Track, t.State)
		case t.Progress.Stage == "held":
			return r, fmt.Errorf("the server could not process track %s; it is not your file, and its operators were told", r.Track)
		case t.Progress.Stage != stage:
			stage = t.Progress.Stage
			fmt.Fprintf(s.err, "%s: %s\n", filepath.Base(r.File), stage)
		}
		if err := sleep(ctx, every); err != nil {
			return r, err
		}
	}
}

// fate is an upload that has not become a track, told as one: refused, or still
// being handed over.
func (u *upload) fate(ctx context.Context) (t track, err error) {
	req, err := u.request(ctx, http.MethodGet, u.location, nil)
	if err != nil {
		return t, err
	}
	res, err := u.client.do(req)
	if err != nil {
		return t, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&t); err != nil {
		return t, fmt.Errorf("the server's answer about the upload is no JSON: %w", err)
	}
	if t.State == "duplicate" { // published while it was sent
		return t, coded{exitRefused, codeDuplicate + ": You have published this very file already. Decide in the Studio, or upload it again with --duplicates keep."}
	}
	if t.Refusal == nil {
		t.State, t.Progress.Stage = "received", "queued"
	}
	return t, nil
}

func isStatus(err error, status int) bool {
	var p *problem
	return errors.As(err, &p) && p.Status == status
}

// meter returns a progress bar on a terminal, plain lines elsewhere.
func meter(s std, name string) func(size int64) io.WriteCloser {
	return func(size int64) io.WriteCloser {
		if f, ok := s.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return progressbar.NewOptions64(size,
				progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(name),
				progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
				progressbar.OptionOnCompletion(func() { fmt.Fprintln(s.err) }))
		}
		return &lines{out: s.err, name: name, size: size}
	}
}

// lines prints a line at each tenth of an upload.
type lines struct {
	out        io.Writer
	name       string
	size, sent int64
	tenth      int64
}

func (l *lines) Write(p []byte) (int, error) {
	l.sent += int64(len(p))
	if t := l.sent * 10 / max(l.size, 1); t > l.tenth {
		l.tenth = t
		fmt.Fprintf(l.out, "%s: %d%%\n", l.name, t*10)
	}
	return len(p), nil
}

func (l *lines) Close() error { return nil }

// upload sends one file by tus 1.0.0 and survives cut connections.
type upload struct {
	client   *client
	file     string
	meta     map[string]string
	location string // set beforehand: of an upload begun earlier
	track    string
	from     int64        // bytes that are there already
	created  func() error // told once location is known; may be nil
}

const (
	patience   = 10 // attempts in a row without a byte of progress
	firstPause = 500 * time.Millisecond
	longPause  = 10 * time.Second
)

// send uploads the file and returns the track's id.
func (u *upload) send(ctx context.Context, bar func(int64) io.WriteCloser) (string, error) {
	f, err := os.Open(u.file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := u.begin(ctx, info.Size()); err != nil {
		return "", err
	}
	shown := bar(info.Size())
	defer shown.Close()
	return u.track, u.push(ctx, f, info.Size(), shown)
}

// begin creates the upload, unless one begun earlier is still there.
func (u *upload) begin(ctx context.Context, size int64) error {
	if u.location != "" {
		at, err := u.offset(ctx)
		if u.from = at; !gone(err) {
			return err
		}
	}
	if err := u.create(ctx, size); err != nil || u.created == nil {
		return err
	}
	return u.created()
}

// push sends from where the server is until it has everything.
func (u *upload) push(ctx context.Context, f *os.File, size int64, shown io.Writer) error {
	offset, told, pause := u.from, u.from, firstPause
	if s, ok := shown.(interface{ Skip(n int64) }); ok {
		s.Skip(u.from)
	}
	for failures := 0; ; {
		next, err := u.patch(ctx, f, offset, size, &advance{shown, offset, &told})
		if err == nil && next >= size {
			return nil
		}
		if err != nil && !retriable(err) {
			return err
		}
		if failures++; next > offset {
			failures, pause = 0, firstPause
		}
		if failures >= patience {
			return fmt.Errorf("upload stopped at %d of %d bytes: %w", next, size, err)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longPause)
		if at, err := u.offset(ctx); err == nil {
			offset = at
		} else if !retriable(err) {
			return err
		}
	}
}

// advance shows bytes that were not shown before a restart.
type advance struct {
	shown io.Writer
	at    int64
	told  *int64
}

func (a *advance) Write(p []byte) (int, error) {
	a.at += int64(len(p))
	if fresh := a.at - *a.told; fresh > 0 {
		*a.told = a.at
		_, err := a.shown.Write(p[int64(len(p))-min(fresh, int64(len(p))):])
		return len(p), err
	}
	return len(p), nil
}

// retriable says whether asking again may help: the network, or the server for
// now.
func retriable(err error) bool {
	var p *problem
	if errors.As(err, &p) {
		return p.Status >= 500 || p.Status == http.StatusConflict ||
			p.Status == http.StatusLocked || p.Status == http.StatusTooManyRequests
	}
	return errors.Is(err, errUnreachable)
}

func (u *upload) create(ctx context.Context, size int64) error {
	req, err := u.request(ctx, http.MethodPost, u.client.base.JoinPath("/v1/uploads").String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Upload-Length", strconv.FormatInt(size, 10))
	req.Header.Set("Upload-Metadata", metadata(u.meta))
	res, err := u.client.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	location, err := res.Location()
	if err != nil {
		return fmt.Errorf("the server named no place for the upload: %w", err)
	}
	u.location, u.track = location.String(), res.Header.Get("Melodyud-Track")
	return nil
}

func metadata(meta map[string]string) string {
	var pairs []string
	for _, k := range []string{"filename", "title", "artist", "album", "sha256", "duplicates", "replaces"} {
		if meta[k] != "" {
			pairs = append(pairs, k+" "+base64.StdEncoding.EncodeToString([]byte(meta[k])))
		}
	}
	return strings.Join(pairs, ",")
}

func (u *upload) patch(ctx context.Context, f *os.File, offset, size int64, shown io.Writer) (int64, error) {
	body := io.TeeReader(io.NewSectionReader(f, offset, size-offset), shown)
	req, err := u.request(ctx, http.MethodPatch, u.location, body)
	if err != nil {
		return offset, err
	}
	req.ContentLength = size - offset
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	req.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	res, err := u.client.do(req)
	if err != nil {
		return offset, err
	}
	defer res.Body.Close()
	return uploadOffset(res)
}

// offset asks the server how much it has.
func (u *upload) offset(ctx context.Context) (int64, error) {
	req, err := u.request(ctx, http.MethodHead, u.location, nil)
	if err != nil {
		return 0, err
	}
	res, err := u.client.do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if track := res.Header.Get("Melodyud-Track"); track != "" {
		u.track = track
	}
	return uploadOffset(res)
}

func uploadOffset(res *http.Response) (int64, error) {
	n, err := strconv.ParseInt(res.Header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the server named no upload offset: %w", err)
	}
	return n, nil
}

func (u *upload) request(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
	req, err := u.client.request(ctx, method, address, body)
	if err == nil {
		req.Header.Set("Tus-Resumable", "1.0.0")
	}
	return req, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
