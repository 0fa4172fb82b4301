package node_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
)

func TestATrackIsHeardAndShownFromUploadToViews(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := as(t, start(t, node.Config{Data: data}), data)
	const seconds = 9.5
	id := p.upload("song.wav", song(t, seconds, 7))
	if track := p.await(id); track.State != "published" {
		t.Fatalf("%+v", track)
	}
	var f melodyud.Features
	p.json("GET", "/v1/tracks/"+id+"/features", nil, &f)
	if f.Schema != melodyud.FeaturesSchema || f.Duration != seconds || f.Loudness.Integrated == nil || len(f.SourceSHA256) != 64 ||
		f.Fingerprint.Chromaprint == "" || len(f.Embedding) == 0 || len(f.Embedding[0].Vector) != 64 || f.Timbre.Centroid == nil {
		t.Errorf("features %+v", f)
	}
	var a melodyud.Analysis
	p.json("GET", "/v1/tracks/"+id+"/analysis", nil, &a)
	if len(a.Print) == 0 || len(a.Segments) == 0 {
		t.Errorf("%d items, %d segments", len(a.Print), len(a.Segments))
	}
	var view map[string]any
	p.json("GET", "/v1/audio-features/"+id, nil, &view)
	if len(view) != 18 || view["duration_ms"] != seconds*1000 || view["loudness"] != *f.Loudness.Integrated {
		t.Errorf("view %v", view)
	}
	p.json("GET", "/v1/tracks/"+id+"/audio-analysis", nil, &view)
	if pieces, ok := view["segments"].([]any); !ok || len(pieces) != len(a.Segments) {
		t.Errorf("analysis %v", view["segments"])
	}
	for level, pixels := range map[string]uint32{"detail": 819, "overview": 1000} {
		got := p.ask("GET", "/v1/tracks/"+id+"/waveform?level="+level, nil)
		if got.status != http.StatusOK || len(got.body) < 24 || binary.LittleEndian.Uint32(got.body[16:]) != pixels {
			t.Errorf("%s: %d, %d bytes", level, got.status, len(got.body))
		}
		if again := p.ask("GET", "/v1/tracks/"+id+"/waveform?level="+level, nil, "If-None-Match", got.header.Get("ETag")); again.status != http.StatusNotModified {
			t.Errorf("%s again: %d", level, again.status)
		}
	}
}

func TestAllIsHeardAgainOnDemand(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := as(t, start(t, node.Config{Data: data}), data)
	id := p.upload("song.wav", song(t, 4, 8))
	p.await(id)
	before := p.ask("GET", "/v1/tracks/"+id+"/features", nil)
	p.json("POST", "/v1/ops/reanalyses", map[string]any{"where": "track=" + id}, nil)
	p.eventually("the back-fill to end", func() bool {
		a := p.ask("GET", "/v1/ops/reanalyses", nil)
		return bytes.Contains(a.body, []byte(`"state":"done"`)) && bytes.Contains(a.body, []byte(`"done":1`))
	})
	after := p.ask("GET", "/v1/tracks/"+id+"/features", nil)
	if !bytes.Equal(before.body, after.body) || before.header.Get("ETag") != after.header.Get("ETag") {
		t.Error("the same analyzer heard something else")
	}
	if !json.Valid(after.body) {
		t.Errorf("features %s", after.body)
	}
	file := p.ask("GET", "/v1/ops/features.parquet", nil)
	if file.status != http.StatusOK || !bytes.HasPrefix(file.body, []byte("PAR1")) || !bytes.HasSuffix(file.body, []byte("PAR1")) {
		t.Errorf("Parquet: %d, %d bytes", file.status, len(file.body))
	}
	if a := p.ask("DELETE", "/v1/tracks/"+id, nil); a.status != http.StatusNoContent {
		t.Fatalf("delete: %d %s", a.status, a.body)
	}
	p.eventually("the features to go", func() bool { return len(files(t, filepath.Join(data, "objects", "features"))) == 0 })
}
