package decode_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/transcode/decode"
	"github.com/melodyud/melodyud/transcode/decode/label"
)

// otherwiseThanFFprobe are the files whose tags we read otherwise, and why.
var otherwiseThanFFprobe = map[string]string{
	"tags/mutagen-silence-2.wma":                  "tags of ASF are not read",
	"tags/mutagen-silence-3.wma":                  "tags of ASF are not read",
	"tags/tinytag-flac_invalid_track_number.flac": "garbage is no number",
	"tags/tinytag-wav_invalid_track_number.wav":   "garbage is no number",
	"tags/tinytag-flac_multiple_fields.flac":      "several albums: the first",
	"tags/tinytag-id3_multiple_artists.mp3":       "several performers, which ffprobe cuts off",
	"tags/tinytag-wav_with_image.wav":             "the name of a picture is not the title of the sound",
}

// TestTagsAreWhatFFprobeReads compares with an outside reader, file by file.
func TestTagsAreWhatFFprobeReads(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("ffprobe is not installed")
	}
	for _, row := range table(t, filepath.Join(dir, "manifest.tsv")) {
		if !strings.HasPrefix(row["file"], "tags/") {
			continue
		}
		t.Run(row["file"], func(t *testing.T) {
			t.Parallel()
			s, err := decode.Start(t.Context(), decode.Config{}, openFile(t, filepath.Join(dir, row["file"])))
			if err != nil {
				t.Skipf("refused: %v", err)
			}
			tags := s.Facts().Tags
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			theirs := probed(t, filepath.Join(dir, row["file"]))
			for name, pair := range map[string][2]string{
				"title": {tags.Title, theirs["title"]}, "artist": {tags.Artist, theirs["artist"]}, "album": {tags.Album, theirs["album"]},
				"track": {number(tags.Number), theirs["track"]}, "disc": {number(tags.Disc), theirs["disc"]},
			} {
				ours, want := pair[0], comparable(name, pair[1])
				if want == "" || ours == want {
					continue
				}
				if why := otherwiseThanFFprobe[row["file"]]; why != "" {
					t.Logf("%s %q, ffprobe %q: %s", name, ours, want, why)
					continue
				}
				t.Errorf("%s %q, ffprobe reads %q", name, ours, want)
			}
		})
	}
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// comparable writes a tag of ffprobe's as we do.
func comparable(name, value string) string {
	if name != "track" && name != "disc" {
		return label.Clean(value)
	}
	value, _, _ = strings.Cut(value, "/")
	return strings.TrimLeft(strings.TrimSpace(value), "0")
}

// probed returns what ffprobe reads of a file, of its streams where the file has
// nothing.
func probed(t *testing.T, name string) map[string]string {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "quiet", "-show_entries", "format_tags:stream_tags", "-of", "json", name).Output()
	if err != nil && len(out) == 0 {
		t.Skipf("ffprobe cannot read it: %v", err)
	}
	type tagged struct{ Tags map[string]string }
	var all struct {
		Format  tagged
		Streams []tagged
	}
	if err := json.Unmarshal(out, &all); err != nil && err != io.EOF {
		t.Skipf("ffprobe says %q", out)
	}
	tags := map[string]string{}
	for _, t := range append([]tagged{all.Format}, all.Streams...) {
		for k, v := range t.Tags {
			if k = strings.ToLower(k); tags[k] == "" {
				tags[k] = v
			}
		}
	}
	return tags
}
