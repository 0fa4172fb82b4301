package cover_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/transcode/decode/cover"
)

// drawn is a picture of w by h pixels.
func drawn(w, h int, at func(x, y int) color.Color) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, at(x, y))
		}
	}
	return m
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ramp(w, h int) *image.NRGBA {
	return drawn(w, h, func(x, y int) color.Color { return color.NRGBA{byte(255 * x / w), byte(255 * y / h), 90, 255} })
}

func made(t *testing.T, data []byte) [len(cover.Sizes)]image.Image {
	t.Helper()
	images, err := cover.Make(data)
	if err != nil {
		t.Fatal(err)
	}
	var all [len(cover.Sizes)]image.Image
	for i, b := range images {
		if all[i], err = jpeg.Decode(bytes.NewReader(b)); err != nil {
			t.Fatalf("size %d: %v", cover.Sizes[i], err)
		}
	}
	return all
}

func TestACoverIsMadeInThreeSizesThatKeepItsShape(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		w, h int
		want [3]image.Point
	}{
		"large":  {1500, 1500, [3]image.Point{{1200, 1200}, {600, 600}, {150, 150}}},
		"wide":   {1600, 900, [3]image.Point{{1200, 675}, {600, 338}, {150, 85}}},
		"tall":   {40, 3000, [3]image.Point{{16, 1200}, {8, 600}, {2, 150}}},
		"small":  {300, 200, [3]image.Point{{300, 200}, {300, 200}, {150, 100}}},
		"a line": {3000, 1, [3]image.Point{{1200, 1}, {600, 1}, {150, 1}}},
		"a dot":  {1, 1, [3]image.Point{{1, 1}, {1, 1}, {1, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, m := range made(t, asJPEG(t, ramp(tc.w, tc.h))) {
				if m.Bounds().Size() != tc.want[i] {
					t.Errorf("size %d is %v, want %v", cover.Sizes[i], m.Bounds().Size(), tc.want[i])
				}
			}
		})
	}
}

func TestEveryKindOfPictureIsUnderstood(t *testing.T) {
	t.Parallel()
	m := ramp(64, 48)
	palette := image.NewPaletted(m.Rect, color.Palette{color.White, color.NRGBA{200, 40, 90, 255}})
	for i := range palette.Pix {
		palette.Pix[i] = byte(i % 2)
	}
	var g bytes.Buffer
	if err := gif.Encode(&g, palette, nil); err != nil {
		t.Fatal(err)
	}
	gray := image.NewGray16(m.Rect)
	for name, data := range map[string][]byte{
		"png": asPNG(t, m), "jpeg": asJPEG(t, m), "gif": g.Bytes(), "png of 16 bits": asPNG(t, gray), "webp": webp(),
	} {
		if images, err := cover.Make(data); err != nil || images.None() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// webp is one white pixel, lossless (RFC 9649).
func webp() []byte {
	return []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")
}

func TestColoursAndTransparencyStayRight(t *testing.T) {
	t.Parallel()
	half := drawn(700, 700, func(x, y int) color.Color {
		if x < 350 {
			return color.NRGBA{}
		}
		return color.NRGBA{200, 40, 90, 255}
	})
	for i, m := range made(t, asPNG(t, half)) {
		w := m.Bounds().Dx()
		for _, p := range []struct {
			x    int
			want color.NRGBA
		}{{w / 4, color.NRGBA{255, 255, 255, 255}}, {3 * w / 4, color.NRGBA{200, 40, 90, 255}}} {
			if !alike(m.At(p.x, w/2), p.want, 4) {
				t.Errorf("size %d: %v at %d, want %v", cover.Sizes[i], m.At(p.x, w/2), p.x, p.want)
			}
		}
	}
}

func alike(a, b color.Color, most int) bool {
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	for _, d := range []int{int(ar>>8) - int(br>>8), int(ag>>8) - int(bg>>8), int(ab>>8) - int(bb>>8)} {
		if d < -most || d > most {
			return false
		}
	}
	return true
}

func TestReducingAveragesInsteadOfDroppingPixels(t *testing.T) {
	t.Parallel()
	chess := drawn(1337, 1337, func(x, y int) color.Color { return color.Gray{byte(255 * ((x + y) % 2))} })
	all := made(t, asPNG(t, chess))
	for i, m := range all[1:] {
		for _, p := range []image.Point{{50, 50}, {75, 20}, {120, 130}} {
			if !alike(m.At(p.X, p.Y), color.Gray{128}, 8) {
				t.Errorf("size %d: %v at %v of a fine chessboard, want grey", cover.Sizes[i+1], m.At(p.X, p.Y), p)
			}
		}
	}
}

func TestNothingOfTheOriginalsBytesIsPassedOn(t *testing.T) {
	t.Parallel()
	const secret = "<script>alert(1)</script>"
	j := asJPEG(t, ramp(200, 200))
	comment := append(binary.BigEndian.AppendUint16([]byte{0xFF, 0xFE}, uint16(2+len(secret))), secret...)
	with := append(append(append(append([]byte{}, j[:2]...), comment...), j[2:]...), secret...)
	images, err := cover.Make(with)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cover.Make(with)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range images {
		if bytes.Contains(b, []byte("script")) || len(b) > cover.MaxImage {
			t.Errorf("size %d has %d bytes, some of the original's", cover.Sizes[i], len(b))
		}
		if !bytes.Equal(b, again[i]) {
			t.Errorf("size %d comes out differently each time", cover.Sizes[i])
		}
	}
}

// claims returns a PNG that says it has w by h pixels.
func claims(w, h uint32) []byte {
	head := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	head = append(binary.BigEndian.AppendUint32(head, h), 8, 6, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), head...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(head))
}

func TestWhatIsNoCoverIsRefusedBeforeItIsUnpacked(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	j := asJPEG(t, ramp(16, 16))
	for name, data := range map[string][]byte{
		"nothing": nil, "svg": []byte("<svg onload=alert(1)>"), "bomb": claims(30000, 30000), "more than 32 bits": claims(1<<31-1, 1<<31-1),
		"no pixels": claims(0, 5), "cut": j[:len(j)/2], "head only": j[:4], "too many bytes": append(asPNG(t, ramp(9, 9)), make([]byte, cover.MaxBytes)...),
		"a thousand scans": append(j[:len(j)-2:len(j)-2], []byte(strings.Repeat("\xff\xda\x00\x02", 1000)+"\xff\xd9")...),
	} {
		if _, err := cover.Make(data); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("took %d MiB", grown>>20)
	}
}

// corpusCovers are the hostile images of the shared corpus, if it is there.
func corpusCovers(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("MELODYUD_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "corpus")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "coverart-fuzz", "*", "*"))
	return files
}

// TestCorpusCoversNeverHarm: decode or refuse, in bounded memory.
func TestCorpusCoversNeverHarm(t *testing.T) {
	t.Parallel()
	files := corpusCovers(t)
	if len(files) == 0 {
		t.Skip("no corpus: set MELODYUD_CORPUS to the folder with manifest.tsv")
	}
	taken := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		images, err := cover.Make(data)
		if err != nil {
			continue
		}
		taken++
		for i, b := range images {
			c, err := jpeg.DecodeConfig(bytes.NewReader(b))
			if err != nil || max(c.Width, c.Height) > cover.Sizes[i] {
				t.Errorf("%s, size %d: %+v %v", name, cover.Sizes[i], c, err)
			}
		}
	}
	t.Logf("%d of %d became covers, the others none", taken, len(files))
}

func FuzzCover(f *testing.F) {
	for _, m := range []image.Image{ramp(9, 5), image.NewGray(image.Rect(0, 0, 3, 3))} {
		f.Add(asPNG(f, m))
		f.Add(asJPEG(f, m))
	}
	f.Add(webp())
	f.Add(claims(3, 3))
	for _, name := range corpusCovers(f) {
		if b, err := os.ReadFile(name); err == nil && len(b) < 8192 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		images, err := cover.Make(b)
		if (err == nil) == images.None() {
			t.Fatalf("error %v, none %v", err, images.None())
		}
	})
}
