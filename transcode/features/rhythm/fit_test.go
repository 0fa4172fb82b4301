package rhythm_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
)

// TestFindTheWeightsAgain prints the weights of the octave model, found anew:
//
//	MELODYUD_FIT=directory go test -run Again -v ./transcode/features/rhythm
//
// The directory holds NAME.wav, mono, 16 bits, 22,050 Hz, and truth.json, which maps
// each NAME to {"bpm": …}. Those in use come from 586 clips of 40 to 60 s rendered by
// fluidsynth, four fifths with FluidR3 and the rest with OPL-3, seeded:
//
//   - 312 of POP909: every other one of the even-numbered songs with one key, a beat
//     that varies less than 2 % and no remainder of 1 by 9 (those are for judging),
//     seconds 30 to 90; each as piano, and with other programs and one of three drum
//     patterns on its beats.
//   - 110 of the Groove MIDI Dataset: human drummers at 65 to 200 BPM, rock up to
//     half as fast again as played, most with bass, chords or distorted guitars.
//   - 90 made-up patterns: techno 112 to 150, drum and bass 160 to 180, metal 110 to
//     200, hip hop 75 to 105, rock 85 to 160 BPM.
//   - 50 tunes of the Nottingham data set at 80 to 160 BPM.
//   - 24 bare pulses at 60 to 180 BPM, each counting three times.
//
// No clip was made with the font TimGM6mb, and none of Frets on Fire was heard.
// Penalised (half the sum of squares) Newton steps; the clue of a bare pulse is set by
// hand. A quarter of the names at a time is left out to judge.
func TestFindTheWeightsAgain(t *testing.T) {
	dir := os.Getenv("MELODYUD_FIT")
	if dir == "" {
		t.Skip("MELODYUD_FIT names no directory of clips")
	}
	lessons := readLessons(t, dir)
	right := 0
	for fold := range uint32(4) {
		in, out := split(lessons, fold)
		w := fit(in)
		for _, l := range out {
			if l.right(&w) {
				right++
			}
		}
	}
	t.Logf("Accuracy1 %.3f of %d clips left out in turn", float64(right)/float64(len(lessons)), len(lessons))
	w := fit(lessons)
	for i, v := range w {
		fmt.Printf("%.3f (in use %.3f)\n", v, rhythm.Weights[i])
	}
}

// weight is one number a clue.
type weight = [rhythm.ClueCount]float64

// lesson is a clip's clues and which tempi are right.
type lesson struct {
	name  string
	bpm   float64
	count float64
	clues []weight
	want  []float64 // chances, a triangle three steps around the truth
}

func readLessons(t *testing.T, dir string) []lesson {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	truth := map[string]struct{ BPM float64 }{}
	if err := json.Unmarshal(file, &truth); err != nil {
		t.Fatal(err)
	}
	var all []lesson
	for _, name := range slices.Sorted(maps.Keys(truth)) {
		wav, err := os.ReadFile(filepath.Join(dir, name+".wav"))
		if err != nil {
			continue
		}
		l := lesson{name: name, bpm: truth[name].BPM, count: 1, clues: cluesOf(wav[44:])}
		if strings.Contains(name, "click") {
			l.count = 3
		}
		l.want = triangle(l.bpm, len(l.clues))
		all = append(all, l)
	}
	return all
}

func cluesOf(samples []byte) []weight {
	x := make([]float32, len(samples)/2)
	for i := range x {
		x[i] = float32(int16(binary.LittleEndian.Uint16(samples[2*i:]))) / (1 << 15)
	}
	t, s := rhythm.New(), spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR)
	s.Write(x, t.Frame)
	s.Close(t.Frame)
	return t.Clues()
}

func triangle(bpm float64, n int) []float64 {
	want, sum := make([]float64, n), 0.0
	for k := range want {
		want[k] = max(0, 3-rhythm.PerOctave*math.Abs(math.Log2(rhythm.GridTempo(k)/bpm)))
		sum += want[k]
	}
	for k := range want {
		want[k] /= sum
	}
	return want
}

// split leaves out a quarter by name: the first seven letters, so that one song's
// renders stay together.
func split(all []lesson, fold uint32) (in, out []lesson) {
	for _, l := range all {
		h := fnv.New32a()
		h.Write([]byte(l.name[:min(7, len(l.name))]))
		if h.Sum32()%4 == fold {
			out = append(out, l)
		} else {
			in = append(in, l)
		}
	}
	return in, out
}

func (l *lesson) chances(w *weight) []float64 {
	scores := make([]float64, len(l.clues))
	for k := range l.clues {
		for i, v := range w {
			scores[k] += v * l.clues[k][i]
		}
	}
	return rhythm.Softmax(scores)
}

func (l *lesson) right(w *weight) bool {
	c := l.chances(w)
	best := slices.Index(c, slices.Max(c))
	return math.Abs(rhythm.GridTempo(best)-l.bpm) <= 0.04*l.bpm
}

// fit returns the weights that make the lessons likeliest.
func fit(lessons []lesson) weight {
	var w weight
	for range 12 {
		step, base := newton(lessons, &w), loss(lessons, &w)
		for size := 1.0; size > 1e-3; size /= 2 {
			next := w
			for i := range next {
				next[i] += size * step[i]
			}
			if loss(lessons, &next) < base {
				w = next
				break
			}
		}
	}
	w[rhythm.BareClue] = rhythm.Weights[rhythm.BareClue]
	return w
}

func loss(lessons []lesson, w *weight) float64 {
	sum := 0.0
	for _, v := range w {
		sum += v * v / 2
	}
	for _, l := range lessons {
		for k, c := range l.chances(w) {
			sum -= l.count * l.want[k] * math.Log(c+1e-30)
		}
	}
	return sum
}

// newton returns the full Newton step.
func newton(lessons []lesson, w *weight) weight {
	var slope weight
	var bend [rhythm.ClueCount]weight
	for i := range w {
		slope[i], bend[i][i] = -w[i], 1
	}
	for _, l := range lessons {
		chances, mean := l.chances(w), weight{}
		for k, c := range chances {
			for i, v := range l.clues[k] {
				mean[i] += c * v
				slope[i] += l.count * (l.want[k] - c) * v
			}
		}
		for k, c := range chances {
			for i, v := range l.clues[k] {
				for j := range i + 1 {
					bend[i][j] += l.count * c * (v - mean[i]) * (l.clues[k][j] - mean[j])
				}
			}
		}
	}
	return solve(&bend, slope)
}

// solve is Cholesky's way through a symmetric system, of which it reads the lower
// half.
func solve(a *[rhythm.ClueCount]weight, b weight) weight {
	for i := range a {
		for j := range i + 1 {
			for k := range j {
				a[i][j] -= a[i][k] * a[j][k]
			}
			if i == j {
				a[i][i] = math.Sqrt(a[i][i])
			} else {
				a[i][j] /= a[j][j]
			}
		}
		for k := range i {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	for i := len(b) - 1; i >= 0; i-- {
		for k := i + 1; k < len(b); k++ {
			b[i] -= a[k][i] * b[k]
		}
		b[i] /= a[i][i]
	}
	return b
}
