package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/melodyud/melodyud/internal/node"
)

type offlineCmd struct {
	Get   offlineGetCmd   `cmd:"" help:"Keep a track in an encrypted file. Run it again to go on after a broken connection."`
	Play  offlinePlayCmd  `cmd:"" help:"Write a kept track, decrypted, to standard output for a player."`
	Renew offlineRenewCmd `cmd:"" help:"Ask for another period for a kept track."`
}

// license is what lies beside a kept file: the server's answer.
type license struct {
	URL       string    `json:"url"`
	Format    string    `json:"format"`
	Key       string    `json:"key"`
	KeyID     string    `json:"key_id"`
	Expires   time.Time `json:"expires"`
	Device    string    `json:"device"`
	Release   string    `json:"release"`
	Rendition string    `json:"rendition"`
	Size      int64     `json:"size"`
	SHA256    string    `json:"sha256"`
	Track     struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	} `json:"track"`
	ETag string `json:"etag,omitempty"` // of the file, while it is being fetched
}

func licenseFile(file string) string { return file + ".license" }

func readLicense(file string) (license, error) {
	var l license
	raw, err := os.ReadFile(licenseFile(file))
	if errors.Is(err, fs.ErrNotExist) {
		return l, fmt.Errorf("%s has no license beside it (%s): fetch the track with melodyud offline get", file, licenseFile(file))
	}
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, fmt.Errorf("%s is damaged: fetch the track again: %w", licenseFile(file), err)
	}
	return l, nil
}

// write puts l beside file, whole or not at all, for its owner's eyes only.
func (l license) write(file string) error {
	raw, err := json.MarshalIndent(l, "", " ")
	if err != nil {
		return err
	}
	part := licenseFile(file) + ".part"
	if err := os.WriteFile(part, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, licenseFile(file))
}

// sameFile reports whether both open the same bytes.
func (l license) sameFile(other license) bool {
	return l.Key == other.Key && l.Release == other.Release && l.Rendition == other.Rendition && l.SHA256 == other.SHA256
}

func (l license) open(sealed io.ReaderAt) (*io.SectionReader, error) {
	key, err := base64.StdEncoding.DecodeString(l.Key)
	if err != nil {
		return nil, fmt.Errorf("the license is damaged: fetch the track again: %w", err)
	}
	return node.OpenOffline(sealed, key)
}

func (c *client) keep(ctx context.Context, id, device, rendition, keyID string) (license, error) {
	wish := map[string]string{"device": device}
	for name, value := range map[string]string{"rendition": rendition, "key_id": keyID} {
		if value != "" {
			wish[name] = value
		}
	}
	var l license
	return l, c.call(ctx, http.MethodPost, "/v1/tracks/"+url.PathEscape(id)+"/offline", wish, &l)
}

type offlineGetCmd struct {
	remote
	ID        string `arg:"" help:"The track's id, trk_…"`
	Out       string `required:"" type:"path" help:"File to write. Its key goes beside it, into FILE.license."`
	Device    string `help:"Name of this device: letters, digits, - and _. Default: this machine's name."`
	Rendition string `help:"Which quality, such as flac. Default: the best AAC."`
}

func (cmd offlineGetCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	device := cmd.Device
	if device == "" {
		device = thisDevice()
	}
	l, err := c.keep(ctx, cmd.ID, device, cmd.Rendition, "")
	if err != nil {
		return err
	}
	if err := c.fetch(ctx, &l, cmd.Out); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "kept %s (%s) in %s until %s\n", l.Track.Title, l.Rendition, cmd.Out, l.Expires.Local().Format(time.DateTime))
	return nil
}

// thisDevice is the machine's name as far as it can name a device.
func thisDevice() string {
	host, _ := os.Hostname() // an empty one gets the name below
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, host)
	if name == "" {
		return "this-device"
	}
	return name[:min(len(name), 64)]
}

// fetch gets the file of l into out, going on where an earlier try ended.
func (c *client) fetch(ctx context.Context, l *license, out string) error {
	part := out + ".part"
	earlier, err := readLicense(out)
	if err == nil && earlier.sameFile(*l) {
		l.ETag = earlier.ETag
	} else if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.fetchInto(ctx, f, l, out); err != nil {
		return fmt.Errorf("fetch %s: %w", out, err)
	}
	if err := l.verify(f); err != nil {
		return errors.Join(fmt.Errorf("what was fetched is not the track: %w", err), os.Remove(part))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(part, out)
}

// fetchInto appends what is missing to f. The license is written first: it tells
// the next try whether it may go on.
func (c *client) fetchInto(ctx context.Context, f *os.File, l *license, out string) error {
	address, err := c.base.Parse(l.URL)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil) // the ticket in it is enough
	if err != nil {
		return err
	}
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > 0 && l.ETag != "" {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		req.Header.Set("If-Range", l.ETag)
	}
	res, err := c.do(req)
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusRequestedRangeNotSatisfiable {
		return l.write(out) // all of it was there
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusPartialContent {
		if err := errors.Join(f.Truncate(0), seekStart(f)); err != nil {
			return err
		}
	}
	l.ETag = res.Header.Get("ETag")
	if err := l.write(out); err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return err
}

func seekStart(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// verify decrypts the whole file and compares it with what the server promised.
func (l license) verify(f *os.File) error {
	clear, err := l.open(f)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, clear)
	if err != nil {
		return err
	}
	if n != l.Size || hex.EncodeToString(sum.Sum(nil)) != l.SHA256 {
		return fmt.Errorf("%d bytes of SHA-256 %x", n, sum.Sum(nil))
	}
	return nil
}

type offlinePlayCmd struct {
	File string `arg:"" type:"path" help:"A file that offline get has written."`
}

func (cmd offlinePlayCmd) Run(s std) error {
	l, err := readLicense(cmd.File)
	if err != nil {
		return err
	}
	if time.Now().After(l.Expires) {
		return fmt.Errorf("the period for %s ended on %s: ask for another with: melodyud offline renew %s",
			cmd.File, l.Expires.Local().Format(time.DateTime), cmd.File)
	}
	if out, ok := s.out.(*os.File); ok {
		if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return fmt.Errorf("sound does not belong on a terminal: melodyud offline play %s | mpv -", cmd.File)
		}
	}
	f, err := os.Open(cmd.File)
	if err != nil {
		return err
	}
	defer f.Close()
	clear, err := l.open(f)
	if err != nil {
		return err
	}
	_, err = io.Copy(s.out, clear)
	return err
}

type offlineRenewCmd struct {
	remote
	File string `arg:"" type:"path" help:"A file that offline get has written."`
}

func (cmd offlineRenewCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	old, err := readLicense(cmd.File)
	if err != nil {
		return err
	}
	l, err := c.keep(ctx, old.Track.ID, old.Device, old.Rendition, old.KeyID)
	if err != nil {
		return err
	}
	if !l.sameFile(old) {
		return fmt.Errorf("the track has changed since it was fetched: fetch it again with: melodyud offline get %s --out %s", old.Track.ID, cmd.File)
	}
	l.ETag = old.ETag
	if err := l.write(cmd.File); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s plays until %s\n", cmd.File, l.Expires.Local().Format(time.DateTime))
	return nil
}

// startSeconds reads "61.5", "1:01.5" or "auto".
func startSeconds(s string) (float64, error) {
	if s == "auto" {
		return -1, nil
	}
	minutes, rest, two := strings.Cut(s, ":")
	if !two {
		minutes, rest = "0", s
	}
	m, err1 := strconv.ParseUint(minutes, 10, 16)
	sec, err2 := strconv.ParseFloat(rest, 64)
	if err1 != nil || err2 != nil || sec < 0 {
		return 0, fmt.Errorf("--start %q: write seconds, as 61.5, or minutes and seconds, as 1:01.5, or auto", s)
	}
	return float64(m)*60 + sec, nil
}

type previewCmd struct {
	remote
	ID    string `arg:"" help:"The track's id, trk_…"`
	Start string `placeholder:"SECONDS" help:"First let the preview of your own track begin here; auto leaves the choice to the server."`
	JSON  bool   `help:"Print JSON: the address, where it begins and how long it lasts."`
}

func (cmd previewCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	path := "/v1/tracks/" + url.PathEscape(cmd.ID)
	if cmd.Start != "" {
		at, err := startSeconds(cmd.Start)
		if err != nil {
			return err
		}
		if err := c.call(ctx, http.MethodPatch, path, map[string]float64{"preview_start_seconds": at}, nil); err != nil {
			return err
		}
	}
	var p struct {
		URL      string    `json:"url"`
		Start    float64   `json:"start_seconds"`
		Duration float64   `json:"duration_seconds"`
		Chosen   bool      `json:"chosen"`
		Expires  time.Time `json:"expires"`
	}
	if err := c.call(ctx, http.MethodPost, path+"/preview", nil, &p); err != nil {
		return err
	}
	address, err := c.base.Parse(p.URL)
	if err != nil {
		return fmt.Errorf("preview address %q: %w", p.URL, err)
	}
	if p.URL = address.String(); cmd.JSON {
		return printJSON(s.out, p)
	}
	fmt.Fprintln(s.out, p.URL)
	return nil
}
