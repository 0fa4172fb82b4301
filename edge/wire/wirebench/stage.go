package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
	"github.com/melodyud/melodyud/internal/ticket"
)

const (
	segmentBytes = 100 << 10
	segmentCount = 138 // their playlist has 4 KB
	headBytes    = 800 // init segment and index
	rendition    = "aac-256"
)

// workload is what is asked for, again and again.
type workload struct {
	name string
	path string // below the release
	at   string // of nginx and Varnish
	size int    // in bytes, at least; for people
}

var (
	segments  = workload{"segment", rendition + "/s/1.m4s", "/segment.m4s", segmentBytes}
	playlists = workload{"playlist", rendition + "/index.m3u8", "/playlist.m3u8", 4 << 10}
)

// stage is one published track, as the edge has it and as files for the others.
type stage struct {
	dir     string
	key     ticket.Key
	base    string // path of the release, with a ticket
	segment []byte
	list    []byte // as the edge prints it
}

func newStage(where string) (*stage, error) {
	s := &stage{dir: where, key: ticket.Key{ID: "bench", Secret: bytes.Repeat([]byte{7}, 32)}}
	now := time.Now()
	track, release := melodyud.NewTrackID(now), melodyud.NewReleaseID(now)
	keys, err := ticket.NewKeyring(s.key)
	if err != nil {
		return nil, err
	}
	prefix := ticket.ReleasePrefix(track, release)
	token, err := keys.Sign(ticket.Claims{
		Issued: now, Expires: now.Add(24 * time.Hour), Prefix: prefix, Session: "bench", Account: "bench", Device: "bench",
		Tier: ticket.Premium, Ads: ticket.NoAds, Skips: ticket.Unlimited,
	})
	if err != nil {
		return nil, err
	}
	s.base = "/p/" + token + prefix
	return s, s.publish(release)
}

// publish writes the objects of a release.
func (s *stage) publish(id melodyud.ReleaseID) error {
	store, err := dir.Open(dir.Config{Path: s.objects()})
	if err != nil {
		return err
	}
	file := make([]byte, headBytes+segmentCount*segmentBytes)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(file) // it never fails
	s.segment = file[headBytes+segmentBytes : headBytes+2*segmentBytes]
	m := manifestOf(file)
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	for key, data := range map[string][]byte{
		"media/" + m.RenderHash + "/" + m.Renditions[0].File: file,
		"releases/" + string(id) + "/manifest.json":          raw,
	} {
		if _, err := store.Put(context.Background(), key, bytes.NewReader(data), int64(len(data)), objectstore.PutOptions{}); err != nil {
			return err
		}
	}
	return store.Close()
}

func (s *stage) objects() string { return filepath.Join(s.dir, "objects") }

func manifestOf(file []byte) *melodyud.Manifest {
	const rate, length = 44100, 176128
	sum := sha256.Sum256(file)
	r := melodyud.Rendition{
		Name: rendition, Codec: melodyud.CodecAAC, Codecs: "mp4a.40.2", File: rendition + ".mp4", SampleRate: rate, Channels: 2,
		Size: int64(len(file)), InitSize: 700, IndexSize: headBytes - 700, SHA256: hex.EncodeToString(sum[:]),
		Bandwidth: 260000, AverageBandwidth: 256000, Samples: segmentCount * length,
	}
	m := &melodyud.Manifest{
		Version: melodyud.ManifestVersion, RenderHash: strings.Repeat("ab", 16), SampleRate: rate,
		Samples: segmentCount * length, TargetDuration: 4,
	}
	for range segmentCount {
		m.Segments = append(m.Segments, length)
		r.Sizes, r.Durations = append(r.Sizes, segmentBytes), append(r.Durations, length)
	}
	m.Renditions = []melodyud.Rendition{r}
	return m
}

// environment is how the edge is told of the stage.
func (s *stage) environment(address, data string) []string {
	return append(os.Environ(), "MELODYUD_ROLES=edge", "MELODYUD_ADDR="+address, "MELODYUD_DATA="+filepath.Join(s.dir, data),
		"MELODYUD_OBJECTS=dir:"+s.objects(), "MELODYUD_LOG_LEVEL=warn",
		"MELODYUD_TICKET_KEYS="+s.key.ID+":"+base64.StdEncoding.EncodeToString(s.key.Secret))
}

// origin serves the same bytes to the caches of nginx and Varnish.
func (s *stage) origin() (*http.Server, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	send := func(contentType string, data []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, len(data)))
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data) // a cache that leaves asks again
		}
	}
	mux := http.NewServeMux()
	mux.Handle(segments.at, send("audio/mp4", s.segment))
	mux.Handle(playlists.at, send("application/vnd.apple.mpegurl", s.list))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // ends with Close
	return server, l.Addr().String(), nil
}
