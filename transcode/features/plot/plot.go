// Package plot draws what was heard of a track on one sheet: waveform, sections,
// beats, spectrogram, key and scores.
package plot

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"

	melodyud "github.com/melodyud/melodyud"
)

// Sheet is what to draw.
type Sheet struct {
	Title    string // such as the file's name
	Subtitle string
	Features melodyud.Features
	Analysis melodyud.Analysis
	Waveform []byte       // audiowaveform, version 2, 8 bits
	Sound    *Spectrogram // closed; nil leaves it out
}

// Size is the sheet's in pixels.
const (
	Width  = 1680
	Height = 970
)

// Where things are.
const (
	margin    = 40
	sideWidth = 360
	mainLeft  = margin + 56
	mainRight = Width - sideWidth - margin - 30
	sideLeft  = Width - sideWidth - margin

	headBase   = 62
	waveTop    = 120
	waveBottom = 330
	beatTop    = 342
	beatBottom = 384
	specTop    = 412
	specBottom = 900
	timeBase   = 927
)

// Draw writes the sheet as a PNG picture.
func Draw(w io.Writer, s Sheet) error {
	c, err := newCanvas(Width, Height)
	if err != nil {
		return err
	}
	d := drawing{canvas: c, Sheet: s, seconds: max(s.Features.Duration, 1e-3)}
	d.head()
	d.waveform()
	d.beats()
	d.spectrogram()
	d.clock()
	d.side()
	return png.Encode(w, c)
}

type drawing struct {
	*canvas
	Sheet
	seconds float64
}

// x is where a time is, in pixels.
func (d *drawing) x(seconds float64) int {
	return mainLeft + int(math.Round(seconds/d.seconds*(mainRight-mainLeft)))
}

func (d *drawing) head() {
	title := d.cut(face{true, 34}, d.Title, mainRight-mainLeft)
	d.text(mainLeft, headBase, face{true, 34}, bright, left, title)
	d.text(mainLeft, headBase+32, face{false, 18}, faint, left, d.cut(face{false, 18}, d.Subtitle, mainRight-mainLeft))
}

// colourAt is the colour of the section that t seconds are in.
func (d *drawing) colourAt(t float64) color.RGBA {
	found := sectionColours[0]
	for i, s := range d.Features.Structure.Sections {
		if t >= s.Start {
			found = sectionColours[i%len(sectionColours)]
		}
	}
	return found
}

func (d *drawing) waveform() {
	box := image.Rect(mainLeft, waveTop, mainRight, waveBottom)
	d.fill(box, panel)
	for i, s := range d.Features.Structure.Sections {
		col := sectionColours[i%len(sectionColours)]
		from, to := d.x(s.Start), d.x(s.Start+s.Duration)
		d.fill(image.Rect(from, waveTop, to, waveBottom), faded(col, 0.10))
		d.fill(image.Rect(from, waveTop, from+2, waveBottom), faded(col, 0.8))
		d.sectionLabel(s, from, to, col)
	}
	middle := (waveTop + 26 + waveBottom) / 2
	half := (float64(waveBottom-middle) - 6) * d.zoom()
	d.fill(image.Rect(mainLeft, middle, mainRight, middle+1), line)
	for x := mainLeft; x < mainRight; x++ {
		low, high := d.peaks(x)
		col := d.colourAt(float64(x-mainLeft) / (mainRight - mainLeft) * d.seconds)
		top, bottom := middle-int(high*half), middle-int(low*half)
		if bottom > top {
			d.fill(image.Rect(x, top, x+1, bottom), faded(col, 0.55))
		}
		d.fill(image.Rect(x, middle-int(high*half*0.5), x+1, middle-int(low*half*0.5)), col)
	}
}

func (d *drawing) sectionLabel(s melodyud.Section, from, to int, col color.RGBA) {
	words := []string{clock(s.Start)}
	if s.Key != nil && s.Mode != nil {
		words = append(words, keyName(*s.Key, *s.Mode))
	}
	if s.Loudness != nil {
		words = append(words, minus(fmt.Sprintf("%.1f LUFS", *s.Loudness)))
	}
	for n := len(words); n > 0; n-- {
		if text := strings.Join(words[:n], "  ·  "); d.width(face{false, 14}, text) < to-from-14 {
			d.text(from+9, waveTop+19, face{false, 14}, col, left, text)
			return
		}
	}
}

// zoom is how much higher the waveform is drawn than it is, so that a quiet track
// can be seen, too; silence stays flat.
func (d *drawing) zoom() float64 {
	most := 0.0
	for i := waveHeader; i < len(d.Waveform); i++ {
		most = max(most, math.Abs(float64(int8(d.Waveform[i]))))
	}
	return 128 / max(most, 16)
}

const waveHeader = 24

// peaks returns the lowest and highest sample of a column of pixels, -1..1.
func (d *drawing) peaks(x int) (low, high float64) {
	if len(d.Waveform) < waveHeader+2 {
		return 0, 0
	}
	rate, zoom := d.word(8), d.word(12)
	pairs := (len(d.Waveform) - waveHeader) / 2
	per := d.seconds * float64(rate) / float64(max(zoom, 1)) / (mainRight - mainLeft)
	from := min(int(float64(x-mainLeft)*per), pairs-1)
	to := min(max(int(float64(x-mainLeft+1)*per), from+1), pairs)
	for i := from; i < to; i++ {
		pair := d.Waveform[waveHeader+2*i:]
		low, high = min(low, float64(int8(pair[0]))/128), max(high, float64(int8(pair[1]))/128)
	}
	return low, high
}

func (d *drawing) word(at int) uint32 { return binary.LittleEndian.Uint32(d.Waveform[at:]) }

// beats draws a line for each beat and a higher one for the first of a bar. Where
// lines would run together only bars are drawn.
func (d *drawing) beats() {
	d.fill(image.Rect(mainLeft, beatTop, mainRight, beatBottom), panel)
	d.text(mainLeft-10, (beatTop+beatBottom)/2+5, face{false, 14}, faint, right, "beats")
	r := d.Features.Rhythm
	first := map[int]bool{}
	for _, i := range r.Downbeats {
		first[i] = true
	}
	dense := float64(len(r.Beats))/(mainRight-mainLeft) > 0.3
	for i, t := range r.Beats {
		x := d.x(t)
		switch {
		case first[i]:
			d.fill(image.Rect(x, beatTop+4, x+2, beatBottom-4), accent)
		case !dense:
			d.fill(image.Rect(x, beatTop+14, x+1, beatBottom-14), soft)
		}
	}
	if len(r.Beats) == 0 {
		d.text((mainLeft+mainRight)/2, (beatTop+beatBottom)/2+5, face{false, 14}, faint, centre, "no beat was found")
	}
}

// span of levels that the colours stretch over, in dB.
const levels = 72.0

func (d *drawing) spectrogram() {
	box := image.Rect(mainLeft, specTop, mainRight, specBottom)
	d.fill(box, panel)
	if d.Sound != nil && len(d.Sound.columns) > 0 {
		top := d.Sound.top()
		for x := box.Min.X; x < box.Max.X; x++ {
			for y := box.Min.Y; y < box.Max.Y; y++ {
				u, v := float64(x-box.Min.X)/float64(box.Dx()-1), float64(box.Max.Y-1-y)/float64(box.Dy()-1)
				d.SetRGBA(x, y, heat(1+(d.Sound.level(u, v)-top)/levels))
			}
		}
	}
	for _, hz := range []float64{100, 200, 500, 1000, 2000, 5000, 10000} {
		y := specBottom - int(height(hz)*(specBottom-specTop))
		d.fill(image.Rect(mainLeft-5, y, mainLeft, y+1), faint)
		label := fmt.Sprintf("%.0f", hz)
		if hz >= 1000 {
			label = fmt.Sprintf("%.0f kHz", hz/1000)
		}
		d.text(mainLeft-10, y+5, face{false, 14}, faint, right, label)
	}
	for i, s := range d.Features.Structure.Sections {
		if x := d.x(s.Start); i > 0 {
			d.fill(image.Rect(x, specTop, x+1, specBottom), faded(bright, 0.35))
		}
	}
}

// heat is the colour of 0..1: from night over violet and orange to light.
func heat(v float64) color.RGBA {
	stops := []color.RGBA{{0x0b, 0x0c, 0x14, 255}, {0x2b, 0x17, 0x55, 255}, {0x7a, 0x1f, 0x78, 255}, {0xd0, 0x3f, 0x61, 255},
		{0xfb, 0x8b, 0x3c, 255}, {0xfd, 0xd8, 0x7a, 255}, {0xff, 0xfb, 0xe8, 255}}
	at := min(max(v, 0), 1) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	return mixed(stops[i], stops[i+1], at-float64(i))
}

// clock writes the time under the pictures, at round distances.
func (d *drawing) clock() {
	step := 0.1
	for _, s := range []float64{0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600} {
		if step = s; d.seconds/s <= 14 {
			break
		}
	}
	for t := 0.0; t <= d.seconds+1e-9; t += step {
		x := d.x(t)
		d.fill(image.Rect(x, specBottom, x+1, specBottom+7), faint)
		label := clock(t)
		if step < 1 {
			label = fmt.Sprintf("%.1f s", t)
		}
		d.text(x, timeBase, face{false, 14}, faint, centre, label)
	}
}

func clock(seconds float64) string {
	s := int(seconds)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// minus writes negative numbers as people do.
func minus(s string) string { return strings.ReplaceAll(s, "-", "−") }
