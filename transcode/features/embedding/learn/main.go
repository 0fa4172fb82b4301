// Learn makes the constants of hand-v1 from music: it hears the middle minute of
// each file that is named, which ffmpeg decodes, and writes hand-v1.f32 to the
// standard output.
//
//	go run ./transcode/features/embedding/learn FILE... > hand-v1.f32
//
// Those in use were learned from 174 files of sixteen packages of Debian 12
// (asc-music, btanks-data, colobot-common-sounds, extremetuxracer-data,
// fillets-ng-data, freedroidrpg-data, fretsonfire-songs-muldjord,
// fretsonfire-songs-sectoid, hedgewars-data, lincity-ng-data, lugaru-data,
// pathological, starfighter-data, warmux-data, warzone2100-music, xmoto-data): the
// Vorbis, Opus and MP3 files from 30 s and 150 kB on, in the order of package and
// path, one of each name in a package, no voices. None of these packages is among
// those that similarity is measured on.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/melodyud/melodyud/transcode/features/embedding"
)

func main() {
	if err := learn(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "learn:", err)
		os.Exit(1)
	}
}

func learn(files []string, out io.Writer) error {
	var tracks [][]float64
	for _, file := range files {
		s, err := hear(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if s.Frames > 0 {
			tracks = append(tracks, embedding.Describe(&s))
		}
	}
	return write(out, tracks)
}

func write(out io.Writer, tracks [][]float64) error {
	if len(tracks) < 2*embedding.Dimensions {
		return fmt.Errorf("%d tracks are too few for %d dimensions", len(tracks), embedding.Dimensions)
	}
	weights := embedding.Weights()
	var constants []float32
	for i, weight := range weights {
		mean, deviation := spread(tracks, i)
		scale := 1 / max(deviation, 1e-6)
		constants = append(constants, float32(mean), float32(scale))
		for _, t := range tracks {
			t[i] = embedding.Standard(t[i], mean, scale, weight)
		}
	}
	for _, direction := range principal(covariance(tracks), embedding.Dimensions) {
		for _, v := range direction {
			constants = append(constants, float32(v))
		}
	}
	return binary.Write(out, binary.LittleEndian, constants)
}

func spread(tracks [][]float64, i int) (mean, deviation float64) {
	for _, t := range tracks {
		mean += t[i] / float64(len(tracks))
	}
	for _, t := range tracks {
		deviation += (t[i] - mean) * (t[i] - mean) / float64(len(tracks))
	}
	return mean, math.Sqrt(deviation)
}

func covariance(tracks [][]float64) [][]float64 {
	n := len(tracks[0])
	c := make([][]float64, n)
	means := make([]float64, n)
	for i := range means {
		means[i], _ = spread(tracks, i)
	}
	for i := range c {
		c[i] = make([]float64, n)
		for _, t := range tracks {
			for j := range c[i] {
				c[i][j] += (t[i] - means[i]) * (t[j] - means[j])
			}
		}
	}
	return c
}

// principal returns the k eigenvectors of a symmetric matrix with the largest
// eigenvalues, each with its largest element positive. It destroys a.
func principal(a [][]float64, k int) [][]float64 {
	n := len(a)
	v := make([][]float64, n) // rows become the eigenvectors
	for i := range v {
		v[i] = make([]float64, n)
		v[i][i] = 1
	}
	for range 30 { // sweeps of Jacobi's method: a dozen are enough
		for p := range n {
			for q := p + 1; q < n; q++ {
				rotate(a, v, p, q)
			}
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if a[i][i] > a[j][j] {
			return -1
		}
		return 1
	})
	var found [][]float64
	for _, i := range order[:k] {
		found = append(found, upright(v[i]))
	}
	return found
}

// rotate makes a[p][q] zero.
func rotate(a, v [][]float64, p, q int) {
	if math.Abs(a[p][q]) < 1e-300 {
		return
	}
	theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
	t := math.Copysign(1, theta) / (math.Abs(theta) + math.Sqrt(theta*theta+1))
	c := 1 / math.Sqrt(t*t+1)
	s := t * c
	for i := range a {
		a[i][p], a[i][q] = c*a[i][p]-s*a[i][q], s*a[i][p]+c*a[i][q]
	}
	for i := range a {
		a[p][i], a[q][i] = c*a[p][i]-s*a[q][i], s*a[p][i]+c*a[q][i]
		v[p][i], v[q][i] = c*v[p][i]-s*v[q][i], s*v[p][i]+c*v[q][i]
	}
}

func upright(v []float64) []float64 {
	largest := slices.MaxFunc(v, func(a, b float64) int {
		if math.Abs(a) < math.Abs(b) {
			return -1
		}
		return 1
	})
	for i := range v {
		v[i] = math.Copysign(1, largest) * v[i]
	}
	return v
}
