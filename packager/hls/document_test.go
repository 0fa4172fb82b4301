package hls_test

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/packager/hls"
)

// corpus returns the folder of sample files, which is no part of this repository.
func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "expected", "playlists.tsv")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no corpus: set MELODYUD_CORPUS to its folder")
	}
	return dir
}

func TestPlaylistsOfOtherMakersAreRead(t *testing.T) { // HLS-1..3
	t.Parallel()
	dir := corpus(t)
	f, err := os.Open(filepath.Join(dir, "expected", "playlists.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := csv.NewReader(f)
	table.Comma = '\t'
	rows, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		b, err := os.ReadFile(filepath.Join(dir, row[0]))
		if err != nil {
			t.Fatal(err)
		}
		d, err := hls.Read(b)
		if expected := row[len(row)-1]; err != nil {
			if expected == "parse" {
				t.Errorf("%s: %v", row[0], err)
			}
			continue
		}
		checkCounts(t, row, rows[0], d)
		if again, err := hls.Read(d.Bytes()); err != nil || !cmp.Equal(d, again) {
			t.Errorf("%s: printed and read again: %v\n%s", row[0], err, cmp.Diff(d, again))
		}
	}
}

// checkCounts compares how often each tag stands with what the table says.
func checkCounts(t *testing.T, row, header []string, d hls.Document) {
	t.Helper()
	seen := map[string]int{}
	for _, l := range d.Lines {
		seen[l.Tag]++
	}
	for i, name := range header {
		tag := "EXT-X-" + name
		switch name {
		case "file", "kind", "starts_with_EXTM3U", "expected", "ENDLIST", "PART": // no counts, or of similar tags too
			continue
		case "EXTINF":
			tag = name
		}
		if got := strconv.Itoa(seen[tag]); got != row[i] {
			t.Errorf("%s: %s times %s instead of %s", row[0], got, tag, row[i])
		}
	}
}

func TestPlaylistsOfHostileFilesAreRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(corpus(t), "hostile", "06-confusion")
	for _, name := range []string{"hls-file-read-renamed.mp3", "hls-playlist-renamed.mp3", "m3u-simple-renamed.mp3"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := hls.Read(b); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const (
	mediaHead  = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n"
	oneSegment = "#EXTINF:3.99,\ns/0.m4s\n#EXT-X-ENDLIST\n"
	oneVariant = "#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n"
)

func TestReadRefusesWhatIsBrokenAndNamesTheLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "first line"},
		{"byte order mark (HLS-1)", "\uFEFF" + mediaHead + oneSegment, "first line"},
		{"control character (HLS-1)", mediaHead + "#EXTINF:3,a\x00b\ns\n", "control character"},
		{"lone carriage return (HLS-1)", mediaHead + "#EXTINF:3,a\rb\ns\n", "control character"},
		{"no UTF-8 (HLS-1)", mediaHead + "#EXTINF:3,\xff\ns\n", "UTF-8"},
		{"header twice", mediaHead + "#EXTM3U\n" + oneSegment, "line 4: #EXTM3U again"},
		{"header only", "#EXTM3U\n", "neither variants nor segments"},
		{"both kinds (HLS-3)", "#EXTM3U\n" + oneVariant + "#EXTINF:1,\nb\n", "line 4: EXTINF: tags of both kinds"},
		{"version twice (HLS-3)", mediaHead + "#EXT-X-VERSION:6\n" + oneSegment, "line 4: EXT-X-VERSION: it stands twice"},
		{"no number", "#EXTM3U\n#EXT-X-TARGETDURATION:four\n" + oneSegment, "no number"},
		{"no target duration (HLS-51)", "#EXTM3U\n" + oneSegment, "no EXT-X-TARGETDURATION"},
		{"long segment (HLS-51)", mediaHead + "#EXTINF:4.5,\ns\n", "lasts 4.5 s"},
		{"negative segment", mediaHead + "#EXTINF:-1,\ns\n", "line 4: EXTINF"},
		{"endless segment", mediaHead + "#EXTINF:Inf,\ns\n", "no decimal"},
		{"exponent", mediaHead + "#EXTINF:1e0,\ns\n", "no decimal"},
		{"two segments, one URI", mediaHead + "#EXTINF:1,\n" + oneSegment, "line 5: EXTINF: the segment before has no URI"},
		{"last segment without URI", mediaHead + "#EXTINF:1,\n#EXT-X-ENDLIST\n", "the last EXTINF has no URI"},
		{"variant without URI", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", "no URI"},
		{"tag between variant and URI", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-INDEPENDENT-SEGMENTS\na\n", "between a variant"},
		{"URI of nothing", mediaHead + "a.ts\n", `no segment or variant has the URI "a.ts"`},
		{"URI in spaces", mediaHead + "#EXTINF:1,\n a.ts\n", "spaces around"},
		{"URI of a local file", mediaHead + "#EXTINF:1,\nFILE:///etc/passwd\n", "local file"},
		{"no bandwidth (HLS-11)", "#EXTM3U\n#EXT-X-STREAM-INF:CODECS=\"fLaC\"\na\n", "lacks BANDWIDTH"},
		{"no list", "#EXTM3U\n#EXT-X-STREAM-INF:\na\n", "lacks BANDWIDTH"},
		{"bandwidth of words", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=fast\na\n", "BANDWIDTH is"},
		{"attribute twice (HLS-2)", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,BANDWIDTH=1\na\n", "stands twice"},
		{"space in a list (HLS-2)", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1, CODECS=\"fLaC\"\na\n", "no attribute"},
		{"quotes without end (HLS-2)", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"fLaC\na\n", "do not end"},
		{"quotes and more (HLS-2)", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a\"b\na\n", "follows the value"},
		{"no value (HLS-2)", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=\na\n", "has the value"},
		{"list cut off", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH\na\n", "no attribute"},
		{"session data of two kinds (HLS-20)", "#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"a\",VALUE=\"b\",URI=\"c\"\n" + oneVariant, "VALUE or URI"},
		{"session data twice (HLS-20)", "#EXTM3U\n" + strings.Repeat("#EXT-X-SESSION-DATA:DATA-ID=\"a\",VALUE=\"b\"\n", 2) + oneVariant, "line 3"},
		{"steering twice (HLS-22)", "#EXTM3U\n" + strings.Repeat("#EXT-X-CONTENT-STEERING:SERVER-URI=\"a\"\n", 2) + oneVariant, "twice"},
		{"steering by nobody (HLS-22)", "#EXTM3U\n#EXT-X-CONTENT-STEERING:PATHWAY-ID=\"a\"\n" + oneVariant, "SERVER-URI"},
		{"variable of nobody (HLS-24)", mediaHead + "#EXTINF:1,\na.ts?t={$tok}\n", "nobody defined {$tok}"},
		{"variable twice (HLS-24)", mediaHead + strings.Repeat("#EXT-X-DEFINE:QUERYPARAM=\"t\"\n", 2) + oneSegment, "defined twice"},
		{"variable without value (HLS-24)", mediaHead + "#EXT-X-DEFINE:NAME=\"t\"\n" + oneSegment, "needs NAME and VALUE"},
		{"key without URI (HLS-90)", mediaHead + "#EXT-X-KEY:METHOD=AES-128\n" + oneSegment, "line 4: EXT-X-KEY"},
		{"map range without offset (HLS-53)", mediaHead + "#EXT-X-MAP:URI=\"i\",BYTERANGE=\"12\"\n" + oneSegment, "HLS-53"},
		{"map of nothing (HLS-53)", mediaHead + "#EXT-X-MAP:BYTERANGE=\"12@0\"\n" + oneSegment, "lacks URI"},
		{"range of words", mediaHead + "#EXTINF:1,\n#EXT-X-BYTERANGE:all\ns\n", "no range"},
		{"other type", mediaHead + "#EXT-X-PLAYLIST-TYPE:LIVE\n" + oneSegment, "neither VOD nor EVENT"},
		{"end with a value", mediaHead + "#EXTINF:1,\ns\n#EXT-X-ENDLIST:NO\n", "it has the value"},
	} {
		_, err := hls.Read([]byte(c.text))
		if !errors.Is(err, melodyud.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestReadKeepsEveryLine(t *testing.T) {
	t.Parallel()
	text := "#EXTM3U\r\n\r\n#EXT-X-VERSION:8\n# a word\n#\n#EXT-X-OWN:a=b c\n#EXT-X-OWN\n#EXT-X-OWN:\n" +
		"#EXT-X-TARGETDURATION:4\n#EXT-X-DEFINE:NAME=\"t\",VALUE=\"\"\n#EXT-X-MAP:URI=\"i{$t}\"\n" +
		"#EXTINF:4.499999,Ä title, with commas\n#EXT-X-BYTERANGE:5@7\ns?{$t}\n"
	d, err := hls.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(strings.Replace(text, "\r\n\r\n", "\n", 1), "\r", ""); string(d.Bytes()) != want {
		t.Error(cmp.Diff(want, string(d.Bytes())))
	}
	if v, ok := d.Lines[8].Attribute("URI"); !ok || v != "i{$t}" {
		t.Errorf("%+v", d.Lines[8])
	}
	if _, ok := d.Lines[8].Attribute("BYTERANGE"); ok {
		t.Error("an attribute that is not there")
	}
}

func TestOurOwnPlaylistsPassTheRules(t *testing.T) { // HLS-1..4, HLS-50..56
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawManifest(t)
		o := hls.Options{
			Flavour: rapid.SampledFrom([]hls.Flavour{hls.Standard, hls.Hifi}).Draw(t, "flavour"),
			Style:   rapid.SampledFrom([]hls.Style{hls.Virtual, hls.ByteRange}).Draw(t, "style"),
			Track:   melodyud.TrackID(rapid.String().Draw(t, "track")),
		}
		index, err := hls.Multivariant(m, o)
		if err != nil {
			t.Fatal(err)
		}
		list, err := hls.Media(m, "flac", o)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := hls.ParseMedia(list)
		if err != nil {
			t.Fatal(err)
		}
		album, err := hls.Sequence{TargetDuration: 4, Runs: []hls.Run{
			{Init: "0/init.mp4", Segments: parsed.Segments}, {Init: "1/init.mp4", Segments: parsed.Segments},
		}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{index, list, album} {
			if d, err := hls.Read(b); err != nil || string(d.Bytes()) != string(b) {
				t.Fatalf("%v\n%s", err, b)
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		mediaHead + oneSegment, "#EXTM3U\n" + oneVariant,
		"#EXTM3U\r\n#EXT-X-STREAM-INF:,BANDWIDTH=1,,CODECS=\"\"\r\na\r\n", "#EXTM3U\n#EXT-X-I-FRAMES-ONLY\na\n#EXT:\n#EXTX:\n#:\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := hls.Read(b)
		if err != nil {
			if !errors.Is(err, melodyud.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		again, err := hls.Read(d.Bytes())
		if err != nil || !cmp.Equal(d, again) {
			t.Errorf("%v\n%s\n%s", err, d.Bytes(), cmp.Diff(d, again))
		}
	})
}
