package main

import (
	"archive/zip"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/melodyud/melodyud/transcode/features/embedding"
	"github.com/melodyud/melodyud/transcode/features/model"
	"github.com/melodyud/melodyud/transcode/features/perceptual"
	"github.com/melodyud/melodyud/transcode/features/rhythm"
	"github.com/melodyud/melodyud/transcode/features/spectrum"
	"github.com/melodyud/melodyud/transcode/features/timbre"
	"github.com/melodyud/melodyud/transcode/pcm"
)

// deb116 are the packages of Debian 12 whose music is DEB-116: of each the tracks
// of half a minute or more, by the names of their files, at most thirty; the
// middle minute. Tracks of one package count as similar. hand-v1 was learned from
// other packages.
var deb116 = []string{"drascula-music", "hyperrogue-music", "nexuiz-music", "planetblupi-music-ogg", "singularity-music", "wesnoth-1.16-music"}

const (
	mostOfPackage = 30
	shortestTrack = 30         // seconds
	jingle        = "tada.ogg" // of HyperRogue: no music, though long enough
	neighbours    = 5
)

// impression is what was heard of one track.
type impression struct {
	label  string
	timbre timbre.Result
	track  perceptual.Track
}

func similarityTable(ctx context.Context, b *bench) ([]row, error) {
	tracks, paths, err := b.deb116(ctx)
	if err != nil {
		return nil, err
	}
	if len(tracks) <= neighbours {
		return nil, fmt.Errorf("%d tracks found in the packages of DEB-116", len(tracks))
	}
	labels := make([]string, len(tracks))
	vectors := make([][]float32, len(tracks))
	for i, t := range tracks {
		labels[i], vectors[i] = t.label, embedding.Of(t.timbre).Vector
	}
	ours := similarity(labels, mutual(vectors))
	ours[0] = ours[0].must(atLeast(0.50), atLeast(0.60))
	ours[2] = ours[2].must(atMost(18), atMost(14))
	rows := append(ours, noted(similarity(labels, closest(len(vectors), cosines(vectors))), "by the cosine alone")...)
	if b.others {
		rows = append(rows, named(similarity(labels, closest(len(tracks), gaussians(tracks))), "MFCC KL")...)
	}
	packs, err := b.packs(ctx, labels, paths)
	return append(rows, packs...), err
}

// packs measures the model packs in the directory packs of the cache.
func (b *bench) packs(ctx context.Context, labels, paths []string) ([]row, error) {
	found, err := filepath.Glob(filepath.Join(b.cache, "packs", "*", "model.json"))
	var rows []row
	for _, file := range found {
		p, err := model.Load(os.DirFS(filepath.Dir(file)))
		if err != nil {
			return rows, err
		}
		vectors := make([][]float32, len(paths))
		for i, path := range paths {
			l, err := p.Listen(stereo)
			if err != nil {
				return rows, err
			}
			if err := listen(ctx, path, l.Write); err != nil {
				return rows, err
			}
			if vectors[i] = l.Result().Vector; vectors[i] == nil {
				return rows, fmt.Errorf("%s has no place for %s", p.ID(), path)
			}
		}
		of := named(similarity(labels, mutual(vectors)), p.ID())
		of[0] = of[0].must(bound{}, atLeast(0.63))
		rows = append(rows, of...)
	}
	return rows, err
}

func noted(rows []row, note string) []row {
	for i := range rows {
		rows[i].note = note
	}
	return rows
}

func named(rows []row, who string) []row {
	for i := range rows {
		rows[i] = rows[i].by(who)
	}
	return rows
}

// similarity scores lists of neighbours: precision at 5, of the first, and on how
// many lists the most frequent track is.
func similarity(labels []string, lists [][]int) []row {
	hubs := make([]int, len(labels))
	var precision, first []float64
	for i, list := range lists {
		right := 0.0
		for k, j := range list {
			hubs[j]++
			same := 0.0
			if labels[i] == labels[j] {
				same = 1
			}
			if right += same; k == 0 {
				first = append(first, same)
			}
		}
		precision = append(precision, right/neighbours)
	}
	return []row{
		mean("similarity p@5", "DEB-116", precision),
		mean("similarity 1-NN", "DEB-116", first),
		{metric: "largest 5-NN hub", data: "DEB-116", value: float64(slices.Max(hubs)), n: len(labels)},
	}
}

func mutual(vectors [][]float32) [][]int {
	lists := make([][]int, len(vectors))
	for i, list := range embedding.Neighbours(vectors, neighbours) {
		for _, n := range list {
			lists[i] = append(lists[i], n.Index)
		}
	}
	return lists
}

func cosines(vectors [][]float32) func(i, j int) float64 {
	return func(i, j int) float64 { return -embedding.Cosine(vectors[i], vectors[j]) }
}

// closest lists the tracks at the least distance from each of n.
func closest(n int, distance func(i, j int) float64) [][]int {
	lists := make([][]int, n)
	for i := range lists {
		away := make([]float64, n)
		for j := range away {
			away[j] = distance(i, j)
			if i != j {
				lists[i] = append(lists[i], j)
			}
		}
		slices.SortStableFunc(lists[i], func(j, k int) int { return cmp.Compare(away[j], away[k]) })
		lists[i] = lists[i][:neighbours]
	}
	return lists
}

// gaussians is the classical distance: the symmetric Kullback-Leibler divergence
// of normal distributions of MFCC.
func gaussians(tracks []impression) func(i, j int) float64 {
	const n = timbre.Cepstra
	type matrix = [n][n]float64
	covariances, inverses := make([]matrix, len(tracks)), make([]matrix, len(tracks))
	for i, t := range tracks {
		covariances[i] = t.timbre.Statistics.Covariance
		for d := range n {
			covariances[i][d][d] += 0.1
		}
		inverses[i] = inverse(covariances[i])
	}
	return func(i, j int) float64 {
		sum := 0.0
		for a := range n {
			for b := range n {
				sum += covariances[i][a][b]*inverses[j][b][a] + covariances[j][a][b]*inverses[i][b][a]
				d := tracks[i].timbre.Statistics.MFCC[a] - tracks[j].timbre.Statistics.MFCC[a]
				e := tracks[i].timbre.Statistics.MFCC[b] - tracks[j].timbre.Statistics.MFCC[b]
				sum += d * (inverses[i][a][b] + inverses[j][a][b]) * e
			}
		}
		return sum
	}
}

// inverse is of a positive definite matrix, by Gauss and Jordan.
func inverse(a [timbre.Cepstra][timbre.Cepstra]float64) (b [timbre.Cepstra][timbre.Cepstra]float64) {
	for i := range b {
		b[i][i] = 1
	}
	for i := range a {
		pivot := a[i][i]
		for k := range a {
			a[i][k] /= pivot
			b[i][k] /= pivot
		}
		for j := range a {
			if f := a[j][i]; j != i && f != 0 {
				for k := range a {
					a[j][k] -= f * a[i][k]
					b[j][k] -= f * b[i][k]
				}
			}
		}
	}
	return b
}

// deb116 fetches and hears the set.
func (b *bench) deb116(ctx context.Context) (tracks []impression, paths []string, err error) {
	for _, name := range deb116 {
		files, err := b.packaged(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		n := 0
		for _, file := range files {
			seconds, err := b.duration(ctx, name, file)
			if err != nil || seconds < shortestTrack {
				continue
			}
			minute, err := b.middle(ctx, name, file, seconds)
			if err != nil {
				return nil, nil, err
			}
			t, err := impressionOf(ctx, minute)
			if err != nil {
				return nil, nil, err
			}
			t.label = name
			tracks, paths = append(tracks, t), append(paths, minute)
			if n++; n == mostOfPackage {
				break
			}
		}
	}
	return tracks, paths, nil
}

// packaged returns a package's music, one file of each name.
func (b *bench) packaged(ctx context.Context, name string) (files []string, err error) {
	dir, err := b.debian(ctx, name)
	if err != nil {
		return nil, err
	}
	dirs, err := b.unzipped(name, dir)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, dir := range append(dirs, dir) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".ogg") && d.Name() != jingle && !seen[d.Name()] {
				seen[d.Name()] = true
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(filepath.Base(a), filepath.Base(b)) })
	return files, nil
}

// unzipped returns where the archives of a package (Nexuiz keeps its music in
// one) have been unpacked to.
func (b *bench) unzipped(name, dir string) (dirs []string, err error) {
	archives, err := filepath.Glob(filepath.Join(dir, "usr/share/games/*/data/*.pk3"))
	if err != nil {
		return nil, err
	}
	for _, archive := range archives {
		to, err := b.made(name+"-"+filepath.Base(archive), func(to string) error {
			z, err := zip.OpenReader(archive)
			if err != nil {
				return err
			}
			defer z.Close()
			return os.CopyFS(to, z)
		})
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, to)
	}
	return dirs, nil
}

func (b *bench) duration(ctx context.Context, name, file string) (float64, error) {
	out, err := b.said(ctx, "duration-"+name+"-"+filepath.Base(file), "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file)
	if v := numbers(out); err == nil && len(v) > 0 {
		return v[0], nil
	}
	return 0, err
}

// middle returns a file of a track's middle minute.
func (b *bench) middle(ctx context.Context, name, file string, seconds float64) (string, error) {
	return b.made("minute-"+name+"-"+filepath.Base(file)+".flac", func(to string) error {
		return run(ctx, "ffmpeg", "-nostdin", "-v", "error", "-ss", fmt.Sprint(max(0, seconds/2-30)), "-t", "60", "-i", file,
			"-vn", "-ar", "44100", "-ac", "2", "-compression_level", "0", "-f", "flac", to)
	})
}

// impressionOf hears a file.
func impressionOf(ctx context.Context, path string) (impression, error) {
	front, err := spectrum.NewFront(stereo)
	if err != nil {
		return impression{}, err
	}
	s, colour, pulse, meter := spectrum.NewSTFT(spectrum.SizeR, spectrum.HopR), timbre.New(), rhythm.New(), pcm.NewMeter(stereo)
	frame := func(power []float32) {
		colour.Frame(power)
		pulse.Frame(power)
	}
	fine := func(mono []float32) {
		colour.Samples(mono)
		s.Write(mono, frame)
	}
	wide := func([]float32) {}
	err = listen(ctx, path, func(block pcm.Block) {
		front.Write(block, fine, wide)
		meter.Write(block)
	})
	front.Close(fine, wide)
	s.Close(frame)
	t := impression{timbre: colour.Result()}
	t.track = perceptual.Track{Loudness: meter.Loudness(), Rhythm: pulse.Result().Rhythm, Timbre: t.timbre}
	return t, err
}

// speechTable tells speech, of espeak-ng, from music by the score speechiness.
func speechTable(ctx context.Context, b *bench) ([]row, error) {
	spoken, err := b.spoken(ctx)
	if err != nil {
		return nil, err
	}
	var music []string
	for _, dir := range []string{"music", "real-music"} {
		files, err := filepath.Glob(filepath.Join(b.corpus, dir, "*.*"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if !strings.Contains(f, "speech") {
				music = append(music, f)
			}
		}
	}
	voices, err := speechiness(ctx, spoken)
	if err != nil {
		return nil, err
	}
	played, err := speechiness(ctx, music)
	if err != nil || len(played) == 0 {
		return nil, fmt.Errorf("no music in %s: %w", b.corpus, err)
	}
	rows := []row{{metric: "speechiness AUC", data: "espeak-ng, corpus", value: area(voices, played), n: len(voices) + len(played)}}
	rows[0] = rows[0].must(atLeast(0.95), bound{})
	if tracks, _, err := b.deb116(ctx); err == nil {
		played = played[:0]
		for _, t := range tracks {
			played = append(played, score(t))
		}
		rows = append(rows, row{metric: "speechiness AUC", data: "espeak-ng, DEB-116", value: area(voices, played), n: len(voices) + len(played)})
	}
	return rows, nil
}

// spoken are passages in several voices.
func (b *bench) spoken(ctx context.Context) (paths []string, err error) {
	passages := map[string]string{
		"en": "Welcome back to the show. In this episode we talk about how music is made, who pays for it, and why some songs stay in our heads for years.",
		"de": "Es war einmal ein König, der hatte drei Söhne. Der jüngste ging eines Tages in den Wald, um Holz zu holen, und traf dort einen alten Mann.",
		"fr": "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se fermaient si vite que je n'avais pas le temps de parler.",
	}
	for _, voice := range []string{"en-us", "en-gb", "en-us+f3", "en-gb+m4", "en-us+f5", "en-gb-scotland", "de", "de+f2", "de+m5", "fr-fr", "fr-fr+f4", "fr-fr+m2"} {
		for _, speed := range []string{"130", "190"} {
			path, err := b.made("spoken-"+voice+"-"+speed+".wav", func(to string) error {
				return run(ctx, "espeak-ng", "-v", voice, "-s", speed, "-w", to, passages[voice[:2]])
			})
			if err != nil {
				return nil, err
			}
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func speechiness(ctx context.Context, paths []string) (scores []float64, err error) {
	for _, path := range paths {
		t, err := impressionOf(ctx, path)
		if err != nil {
			return nil, err
		}
		scores = append(scores, score(t))
	}
	return scores, nil
}

func score(t impression) float64 {
	if v := perceptual.Scores(t.track).Speechiness.Value; v != nil {
		return *v
	}
	return math.NaN()
}

// area is how likely one of high is above one of low.
func area(high, low []float64) float64 {
	won := 0.0
	for _, h := range high {
		for _, l := range low {
			switch {
			case h > l:
				won++
			case h == l:
				won += 0.5
			}
		}
	}
	return won / float64(len(high)*len(low))
}
