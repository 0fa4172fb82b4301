package duplicates

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/transcode/features/fingerprint"
)

// print is one track as the index knows it.
type print struct {
	id              int64
	track           melodyud.TrackID
	owner           melodyud.UserID
	release         melodyud.ReleaseID
	features        string
	items           []uint32
	duration, tempo float64 // seconds, BPM; 0: none
	embedding       []float32
}

// model is the embedding that is compared: the built-in one, which all tracks have.
const model = "hand-v1"

func newPrint(fact melodyud.TrackFact, f melodyud.Features, d melodyud.Analysis) *print {
	p := &print{
		track: fact.Track, owner: fact.Owner, release: fact.Release, features: fact.FeaturesHash,
		items: d.Print, duration: f.Duration,
	}
	if f.Rhythm.Tempo != nil {
		p.tempo = *f.Rhythm.Tempo
	}
	for _, e := range f.Embedding {
		if e.Model == model {
			p.embedding = e.Vector
		}
	}
	return p
}

// beats is how long the track is in beats.
func (p *print) beats() float64 { return p.tempo * p.duration / 60 }

// The part of a print that is indexed: AcoustID's. Shorter prints give their end.
const (
	indexFrom  = 80
	indexCount = 120
	queryCount = 520 // items that are looked up: of copies that begin up to 14 s later or 40 s earlier some are indexed
	keyShift   = 4   // the low bits are those that change first
)

// posting is one key of a print and where it is.
type posting struct {
	key      uint32
	position int
}

// indexedKeys are the postings of a print. Of a key that goes on, the first is taken.
func (p *print) indexedKeys() []posting {
	from := max(0, min(indexFrom, len(p.items)-indexCount))
	return postings(p.items, from, from+indexCount)
}

func (p *print) queryKeys() []posting { return postings(p.items, 0, queryCount) }

func postings(items []uint32, from, to int) (list []posting) {
	for i := from; i < min(to, len(items)); i++ {
		key := items[i] >> keyShift
		if i > from && key == items[i-1]>>keyShift {
			continue
		}
		list = append(list, posting{key, i})
	}
	return list
}

// encodeVector writes an embedding as text.
func encodeVector(v []float32) string {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return base64.RawStdEncoding.EncodeToString(raw)
}

func decodeVector(text string) []float32 {
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	v := make([]float32, 0, len(raw)/4)
	for chunk := range slices.Chunk(raw, 4) {
		if len(chunk) == 4 {
			v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(chunk)))
		}
	}
	return v
}

func encodePrint(items []uint32) string { return fingerprint.Encode(items) }

func decodePrint(text string) ([]uint32, error) { return fingerprint.Decode(text) }
