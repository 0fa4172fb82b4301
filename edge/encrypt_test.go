package edge_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/offline"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/hls"
)

// lengthen publishes the same bytes as many segments, so that keys rotate.
func (s *stage) lengthen(t *testing.T, segments int) {
	t.Helper()
	var m melodyud.Manifest
	if err := json.Unmarshal(s.shelf.objects[s.manifestKey()], &m); err != nil {
		t.Fatal(err)
	}
	m.Segments, m.Samples = nil, int64(segments)*44100
	for range segments {
		m.Segments = append(m.Segments, 44100)
	}
	for i := range m.Renditions {
		r := &m.Renditions[i]
		rest := r.Size - r.InitSize - r.IndexSize
		r.Sizes, r.Durations = nil, m.Segments
		for n := range segments {
			size := rest/int64(segments) + int64(n%3) - 1
			if n == segments-1 {
				size = rest
			}
			r.Sizes, rest = append(r.Sizes, size), rest-size
		}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.shelf.put(s.manifestKey(), raw)
}

func (s *stage) stream(keyID string) ticket.Stream {
	return ticket.Stream{KeyID: keyID, Track: s.track, Release: s.release}
}

func (s *stage) encrypted(t *testing.T, tier ticket.Tier) string {
	t.Helper()
	return s.at(t, tier, ticket.EncryptedPrefix(s.stream("m2")))
}

// decrypt undoes AES-128 of HLS with nothing of ours.
func decrypt(t *testing.T, sealed, key []byte, iv string) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(iv, "0x"))
	if err != nil || len(sealed) == 0 || len(sealed)%16 != 0 {
		t.Fatalf("IV %s, %d bytes", iv, len(sealed))
	}
	out := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, raw).CryptBlocks(out, sealed)
	pad := int(out[len(out)-1])
	if pad < 1 || pad > 16 || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		t.Fatalf("padding %x", out[len(out)-16:])
	}
	return out[:len(out)-pad]
}

func TestEncryptedSegmentsOpenWithThePlaylistsKeysAndAreTheFilesBytes(t *testing.T) { // HLS-90, HLS-91
	t.Parallel()
	s := newStage(t)
	s.lengthen(t, 37)
	base := s.encrypted(t, ticket.Premium)
	if !bytes.Contains(body(t, s.get(t, base+"hifi.m3u8")), []byte("\nflac/index.m3u8\n")) {
		t.Fatal("no FLAC in the encrypted hifi playlist")
	}
	seen := map[string]bool{}
	for _, name := range []string{"aac-64", "flac"} {
		text := body(t, s.get(t, base+name+"/index.m3u8"))
		if m, k := bytes.Index(text, []byte("#EXT-X-MAP")), bytes.Index(text, []byte("#EXT-X-KEY")); m < 0 || k < m {
			t.Fatalf("the init segment is not in the clear:\n%s", text)
		}
		p, err := hls.ParseMedia(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, s.get(t, base+name+"/init.mp4")); !bytes.Equal(got, s.files[name][:700]) {
			t.Error("another init segment")
		}
		var all, key []byte
		var iv string
		runs := 0
		for _, seg := range p.Segments {
			if len(seg.Keys) > 0 {
				runs++
				iv = seg.Keys[0].IV
				if seen[iv] || seg.Keys[0].Method != hls.AES128 {
					t.Errorf("%+v", seg.Keys)
				}
				seen[iv] = true
				key = body(t, s.get(t, base+strings.TrimPrefix(seg.Keys[0].URI, "../")))
			}
			all = append(all, decrypt(t, body(t, s.get(t, base+name+"/"+seg.URI)), key, iv)...)
		}
		if runs != 3 || !bytes.Equal(all, s.files[name][800:]) {
			t.Errorf("%s: %d keys, %d bytes that differ from the file's", name, runs, len(all))
		}
	}
}

func TestSessionKeysAreThoseOfTheRenditions(t *testing.T) { // HLS-21
	t.Parallel()
	s := newStage(t)
	s.lengthen(t, 31)
	p, err := hls.ParseMultivariant(body(t, s.get(t, s.encrypted(t, ticket.Free)+"index.m3u8")))
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range p.Keys {
		if k != (hls.Key{Method: hls.AES128, URI: fmt.Sprintf("%d.key", i)}) {
			t.Errorf("%+v", k)
		}
	}
	if len(p.Keys) != 3 {
		t.Errorf("%d session keys for 31 segments", len(p.Keys))
	}
}

func TestRangesOfEncryptedSegmentsAreExact(t *testing.T) { // EDGE-4, EDGE-6, EDGE-14
	t.Parallel()
	s := newStage(t)
	base := s.encrypted(t, ticket.Premium)
	path := base + "flac/s/1.m4s"
	res := s.get(t, path)
	full := body(t, res)
	n := len(full)
	clear := len(s.files["flac"]) - 1800 - 700
	if n != clear/16*16+16 || res.ContentLength != int64(n) || res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Fatalf("%d bytes for %d, %v", n, clear, res.Header)
	}
	for _, r := range [][2]int{{0, 1}, {1, 17}, {32767, 32769}, {65536, 65552}, {n - 16, n}, {n - 1, n}, {262000, 400000}} {
		res := s.get(t, path, "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]-1))
		if got := body(t, res); res.StatusCode != 206 || !bytes.Equal(got, full[r[0]:r[1]]) ||
			res.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", r[0], r[1]-1, n) {
			t.Errorf("%v: %d, %d bytes, %v", r, res.StatusCode, len(got), res.Header)
		}
	}
	if got := s.get(t, path, "Range", fmt.Sprintf("bytes=%d-", n)); got.StatusCode != 416 {
		t.Errorf("beyond the end: %d", got.StatusCode)
	}
	tag := res.Header.Get("ETag")
	if got := s.get(t, path, "If-None-Match", tag); got.StatusCode != 304 {
		t.Errorf("same tag: %d", got.StatusCode)
	}
	for _, other := range []string{
		s.base(t, ticket.Premium) + "flac/s/1.m4s",
		s.at(t, ticket.Premium, ticket.EncryptedPrefix(s.stream("m1"))) + "flac/s/1.m4s",
	} {
		if s.get(t, other).Header.Get("ETag") == tag {
			t.Error("other bytes have the same ETag")
		}
	}
	head := s.send(t, http.MethodHead, path)
	if head.ContentLength != int64(n) || len(body(t, head)) != 0 {
		t.Errorf("HEAD: %d", head.ContentLength)
	}
}

func TestKeysAreForTicketsOfTheirTrackOnly(t *testing.T) { // HLS-94, TOK-6, EDGE-13
	t.Parallel()
	s := newStage(t)
	base := s.encrypted(t, ticket.Free)
	res := s.get(t, base+"0.key", "Origin", "https://player.example")
	if got := body(t, res); res.StatusCode != 200 || len(got) != 16 || res.Header.Get("Cache-Control") != "private, no-store" ||
		res.Header.Get("Content-Type") != "application/octet-stream" || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d, %d bytes, %v", res.StatusCode, len(got), res.Header)
	}
	foreign := s.stream("m2")
	foreign.Release = melodyud.NewReleaseID(start.Add(time.Second))
	token := strings.Split(s.at(t, ticket.Premium, ticket.EncryptedPrefix(foreign)), "/")[2]
	mine := strings.Split(base, "/")[2]
	for path, want := range map[string]int{
		strings.Replace(base, mine, token, 1) + "0.key":                                   403, // of another release
		strings.Replace(base, mine[:40], mine[:39]+"x", 1) + "0.key":                      403, // forged
		strings.Replace(base, "/m2/", "/m1/", 1) + "0.key":                                403, // another secret
		s.at(t, ticket.Premium, ticket.PreviewPrefix(s.track, s.release, 0, 1)) + "0.key": 404,
		base + "1.key": 404, base + "-1.key": 404, base + "00.key": 404, base + "0": 404, base + "+0.key": 404,
		s.at(t, ticket.Free, ticket.EncryptedPrefix(s.stream("m9"))) + "0.key": 404, // a removed secret
	} {
		res := s.get(t, path)
		if res.StatusCode != want || !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: %d, want %d, %v", path, res.StatusCode, want, res.Header)
		}
	}
	s.now.Store(start.Add(time.Hour + ticket.Skew + time.Second).UnixNano())
	if res := s.get(t, base+"0.key"); res.StatusCode != 403 {
		t.Errorf("an expired ticket gets keys: %d", res.StatusCode)
	}
}

func TestATicketForTheEncryptedFormOpensNothingInTheClear(t *testing.T) { // HLS-90, HLS-92, DASH-5
	t.Parallel()
	s := newStage(t)
	base := s.encrypted(t, ticket.Premium)
	clear := strings.Replace(base, "encrypted/aes-128/m2/", "", 1)
	for _, path := range []string{"index.m3u8", "hifi.m3u8", "manifest.mpd", "aac-64/index.m3u8", "aac-64/s/0.m4s", "flac/init.mp4"} {
		if res := s.get(t, clear+path); res.StatusCode != 403 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if res := s.get(t, base+"manifest.mpd"); res.StatusCode != 404 {
		t.Errorf("an MPD of encrypted segments: %d", res.StatusCode)
	}
	free := s.encrypted(t, ticket.Free)
	for _, path := range []string{"hifi.m3u8", "flac/index.m3u8", "flac/s/0.m4s"} {
		if res := s.get(t, free+path); res.StatusCode != 403 {
			t.Errorf("free: %s: %d", path, res.StatusCode)
		}
	}
}

func TestAPreviewIsItsSegmentsAndNothingElse(t *testing.T) { // HLS-23, HLS-34
	t.Parallel()
	s := newStage(t)
	s.lengthen(t, 37)
	base := s.at(t, ticket.Free, ticket.PreviewPrefix(s.track, s.release, 16, 23))
	text := string(body(t, s.get(t, base+"aac-64/index.m3u8")))
	var all []byte
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, body(t, s.get(t, base+"aac-64/"+line))...)
		}
	}
	if strings.Count(text, "#EXTINF:1.000000,") != 7 || strings.Contains(text, "s/15.m4s") || strings.Contains(text, "s/23.m4s") {
		t.Error(text)
	}
	var whole []byte
	full := s.base(t, ticket.Free)
	for i := 16; i < 23; i++ {
		whole = append(whole, body(t, s.get(t, fmt.Sprintf("%saac-64/s/%d.m4s", full, i)))...)
	}
	if !bytes.Equal(all, whole) {
		t.Error("other bytes than the track's own")
	}
	p, err := hls.ParseMultivariant(body(t, s.get(t, base+"index.m3u8")))
	if err != nil || len(p.Variants) != 1 || p.Variants[0].AverageBandwidth != (len(whole)*8+6)/7 { // HLS-41
		t.Errorf("%+v, %v: %d bytes in 7 s", p, err, len(whole))
	}
	token := strings.Split(base, "/")[2]
	for path, want := range map[string]int{
		base + "aac-64/init.mp4": 200, base + "aac-64/s/16.m4s": 200, base + "aac-64/s/22.m4s": 200,
		base + "aac-64/s/15.m4s": 404, base + "aac-64/s/23.m4s": 404, base + "aac-64/s/0.m4s": 404,
		base + "flac/s/16.m4s": 403, base + "flac/index.m3u8": 403, base + "hifi.m3u8": 403,
		strings.Replace(base, "/16-23/", "/0-37/", 1) + "aac-64/index.m3u8":              403,
		strings.Replace(base, "/16-23/", "/16-24/", 1) + "aac-64/s/23.m4s":               403,
		strings.Replace(full, strings.Split(full, "/")[2], token, 1) + "aac-64/s/16.m4s": 403,
	} {
		if res := s.get(t, path); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	for _, r := range []string{"23-16", "16-16", "0-38", "-1-3", "a-b", "3", "03-9", "3-9-1"} {
		prefix := strings.Replace(ticket.PreviewPrefix(s.track, s.release, 1, 2), "1-2", r, 1)
		if res := s.get(t, s.at(t, ticket.Free, prefix)+"index.m3u8"); res.StatusCode != 404 {
			t.Errorf("segments %s: %d", r, res.StatusCode)
		}
	}
}

func TestOfflineFilesOpenWithTheirDevicesKeyOnly(t *testing.T) { // HLS-94, EDGE-6
	t.Parallel()
	s := newStage(t)
	phone, _ := s.media.Binding("m2", "usr_A", "phone")
	desk, _ := s.media.Binding("m2", "usr_A", "desk")
	base := s.at(t, ticket.Premium, ticket.OfflinePrefix(s.stream("m2"), phone))
	res := s.get(t, base+"flac.mud")
	file := body(t, res)
	if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "private, no-store" || int64(len(file)) != offline.Size(int64(len(s.files["flac"]))) {
		t.Fatalf("%d, %d bytes, %v", res.StatusCode, len(file), res.Header)
	}
	key, _ := s.media.OfflineKey(s.stream("m2"), phone, "flac")
	plain, err := offline.Open(bytes.NewReader(file), key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, s.files["flac"]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	tag := res.Header.Get("ETag")
	rest := s.get(t, base+"flac.mud", "Range", "bytes=300001-", "If-Range", tag)
	if got := body(t, rest); rest.StatusCode != 206 || !bytes.Equal(got, file[300001:]) {
		t.Errorf("the rest: %d, %d bytes", rest.StatusCode, len(got))
	}
	other := s.get(t, s.at(t, ticket.Premium, ticket.OfflinePrefix(s.stream("m2"), desk))+"flac.mud")
	if other.Header.Get("ETag") == tag || bytes.Equal(body(t, other), file) {
		t.Error("another device gets the same bytes")
	}
	for path, want := range map[string]int{
		strings.Replace(base, phone, desk, 1) + "flac.mud":                                  403,
		s.at(t, ticket.Free, ticket.OfflinePrefix(s.stream("m2"), phone)) + "aac-64.mud":    403,
		s.at(t, ticket.Premium, ticket.OfflinePrefix(s.stream("m9"), phone)) + "aac-64.mud": 404,
		base + "flac": 404, base + "aac-1.mud": 404, base + "flac/s/0.m4s": 404,
	} {
		if res := s.get(t, path); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}
