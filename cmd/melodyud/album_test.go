package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/fixtures"
)

// cutAt is where one sine is cut into the tracks of an album: no multiple of any frame.
var cutAt = []int{0, 55_345, 144_001, 190_212}

// pressed writes the tracks as WAV files whose tags name the album and their numbers.
func pressed(t *testing.T) (files []string, pcm []byte) {
	t.Helper()
	for k, from := range cutAt[:len(cutAt)-1] {
		var tags []byte
		for _, tag := range []struct{ id, text string }{{"IPRD", "One Sine"}, {"ITRK", fmt.Sprint(k + 1)}, {"INAM", fmt.Sprint("Part ", k+1)}} {
			text := append([]byte(tag.text), 0)
			tags = append(binary.LittleEndian.AppendUint32(append(tags, tag.id...), uint32(len(text))), text...)
			tags = append(tags, make([]byte, len(text)%2)...)
		}
		var wav bytes.Buffer
		err := fixtures.WAV(&wav, fixtures.Spec{
			Samples: cutAt[k+1] - from, Chunks: []fixtures.Chunk{{ID: "LIST", Body: append([]byte("INFO"), tags...)}},
			Wave: func(_ int, at float64) float64 { return 0.5 * math.Sin(2*math.Pi*997.3*(at+float64(from)/44100)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		_, sound, _ := bytes.Cut(wav.Bytes(), []byte("data"))
		pcm = append(pcm, sound[4:]...)
		file := filepath.Join(t.TempDir(), fmt.Sprintf("part-%d.wav", k))
		if err := os.WriteFile(file, wav.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files, pcm
}

func (p *program) ask(method, path string, out any) {
	p.t.Helper()
	key, err := os.ReadFile(filepath.Join(p.data, "local.key"))
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %d %v", method, path, res.StatusCode, err)
	}
}

func TestAnAlbumIsOneStreamToEveryPlayer(t *testing.T) { // GAP-1..5, HLS-57
	t.Parallel()
	p := serving(t)
	files, pcm := pressed(t)
	p.must(append([]string{"upload", "--wait"}, files[2], files[0], files[1])...)
	var shelf struct{ Albums []struct{ ID, Title string } }
	p.ask("GET", "/v1/albums", &shelf)
	if len(shelf.Albums) != 1 || shelf.Albums[0].Title != "One Sine" {
		t.Fatalf("albums %+v", shelf)
	}
	var playback struct {
		URL     string `json:"url"`
		HiFiURL string `json:"hifi_url"`
	}
	p.ask("POST", "/v1/albums/"+shelf.Albums[0].ID+"/playback", &playback)
	for _, address := range []string{playback.URL, playback.HiFiURL} {
		plays(t, p.url+address)
		playsInVLC(t, p.url+address)
	}
	ffmpeg := exec.Command("ffmpeg", "-nostdin", "-v", "warning", "-i",
		p.url+strings.TrimSuffix(playback.HiFiURL, "hifi.m3u8")+"flac/index.m3u8", "-f", "s16le", "-")
	if !installed(t, ffmpeg) {
		return
	}
	var said bytes.Buffer
	ffmpeg.Stderr = &said
	if got, err := ffmpeg.Output(); err != nil || said.Len() > 0 || !bytes.Equal(got, pcm) {
		t.Errorf("the album decodes to %d bytes of %d or others: %v %s", len(got), len(pcm), err, said.String())
	}
}
