package plot

import (
	"fmt"
	"image"
	"math"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

var notes = [12]string{"C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"}

// keyName names a key as musicians do.
func keyName(key, mode int) string {
	name := notes[((key%12)+12)%12]
	if mode == 0 {
		return name + " minor"
	}
	return name + " major"
}

// side writes the facts beside the pictures.
func (d *drawing) side() {
	y := d.tempo(headBase - 22)
	y = d.key(y + 22)
	y = d.loudness(y + 26)
	d.scores(y + 22)
}

// heading writes a small title and returns the base line of what is under it.
func (d *drawing) heading(y int, s string) int {
	d.text(sideLeft, y+12, face{true, 13}, faint, left, strings.ToUpper(s))
	return y + 12
}

// fact writes a large value with a note beside it.
func (d *drawing) fact(y int, value, note string) {
	x := d.text(sideLeft, y, face{true, 44}, bright, left, value)
	d.text(x+12, y, face{false, 17}, soft, left, note)
}

func (d *drawing) tempo(y int) int {
	y = d.heading(y, "Tempo")
	r := d.Features.Rhythm
	if r.Tempo == nil {
		d.fact(y+48, "–", reason(r.Reason))
		return y + 62
	}
	d.fact(y+48, fmt.Sprintf("%.1f", *r.Tempo), "BPM"+sure(r.TempoConfidence))
	var notes []string
	if r.Meter != nil {
		notes = append(notes, fmt.Sprintf("%d beats a bar", *r.Meter))
	}
	if r.TempoAlt != nil {
		notes = append(notes, fmt.Sprintf("or %.1f BPM", *r.TempoAlt))
	}
	if r.OnsetRate != nil {
		notes = append(notes, fmt.Sprintf("%.1f onsets/s", *r.OnsetRate))
	}
	d.text(sideLeft, y+74, face{false, 15}, faint, left, strings.Join(notes, "  ·  "))
	return y + 84
}

func sure(confidence *float64) string {
	if confidence == nil {
		return ""
	}
	return fmt.Sprintf(", %.0f %% sure", 100**confidence)
}

func reason(code string) string {
	switch code {
	case "too_short":
		return "too short to tell"
	case "silent":
		return "silence"
	case "atonal":
		return "no key stands out"
	case "arrhythmic":
		return "no steady beat"
	case "":
		return "not known"
	}
	return code
}

func (d *drawing) key(y int) int {
	y = d.heading(y, "Key")
	t := d.Features.Tonal
	if t.Key == nil || t.Mode == nil {
		d.fact(y+48, "–", reason(t.Reason))
	} else {
		d.fact(y+48, keyName(*t.Key, *t.Mode), strings.TrimPrefix(t.Camelot+sure(t.KeyConfidence), ", "))
	}
	if len(t.Chroma) != 12 {
		return y + 62
	}
	const radius = 104
	d.wheel(sideLeft+sideWidth/2, y+76+radius+18, radius)
	return y + 76 + 2*radius + 36
}

// wheel draws the notes in the circle of fifths: each as bright and as long as its
// share of the sound, the key's own marked.
func (d *drawing) wheel(x, y, radius int) {
	t := d.Features.Tonal
	const hole = 34.0
	cx, cy, full := float64(x), float64(y), float64(radius)
	for i := range 12 {
		note := i * 7 % 12
		from, to := (float64(i)-0.47)/12, (float64(i)+0.47)/12
		share := min(max(t.Chroma[note], 0), 1)
		d.wedge(cx, cy, hole, full, from, to, panel)
		d.wedge(cx, cy, hole, hole+(full-hole)*share, from, to, heat(0.25+0.6*share))
		label, weight := soft, false
		if t.Key != nil && note == *t.Key {
			d.wedge(cx, cy, full+2, full+5, from, to, accent)
			label, weight = accent, true
		}
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 12)
		d.text(int(math.Round(cx+(full+18)*sin)), int(math.Round(cy-(full+18)*cos))+5, face{weight, 15}, label, centre, notes[note])
	}
	if t.TuningCents != nil {
		d.text(x, y+2, face{true, 15}, soft, centre, minus(fmt.Sprintf("%+.0f ct", *t.TuningCents)))
		d.text(x, y+18, face{false, 12}, faint, centre, "tuning")
	}
}

func (d *drawing) loudness(y int) int {
	y = d.heading(y, "Loudness")
	l := d.Features.Loudness
	if l.Integrated == nil {
		d.fact(y+48, "–", "silence")
		return y + 62
	}
	d.fact(y+48, minus(fmt.Sprintf("%.1f", *l.Integrated)), "LUFS")
	var notes []string
	if l.Range != nil {
		notes = append(notes, fmt.Sprintf("range %.1f LU", *l.Range))
	}
	if l.TruePeak != nil {
		notes = append(notes, minus(fmt.Sprintf("true peak %.1f dBTP", *l.TruePeak)))
	}
	d.text(sideLeft, y+74, face{false, 15}, faint, left, strings.Join(notes, "  ·  "))
	return y + 84
}

func (d *drawing) scores(y int) {
	p := d.Features.Perceptual
	y = d.heading(y, "Character") + 8
	for _, s := range []struct {
		name  string
		score melodyud.Score
	}{
		{"energy", p.Energy}, {"danceability", p.Danceability}, {"valence", p.Valence}, {"acousticness", p.Acousticness},
		{"instrumental", p.Instrumentalness}, {"speech", p.Speechiness}, {"liveness", p.Liveness},
	} {
		y += 30
		d.text(sideLeft, y, face{false, 16}, soft, left, s.name)
		box := image.Rect(sideLeft+130, y-12, sideLeft+sideWidth-52, y-2)
		d.rounded(box, 5, panel)
		if s.score.Value == nil {
			d.text(sideLeft+sideWidth, y, face{false, 15}, faint, right, "–")
			continue
		}
		full := box
		full.Max.X = box.Min.X + max(10, int(*s.score.Value*float64(box.Dx())))
		d.rounded(full, 5, heat(0.45+0.35**s.score.Value))
		d.text(sideLeft+sideWidth, y, face{false, 15}, bright, right, fmt.Sprintf("%.2f", *s.score.Value))
	}
}
