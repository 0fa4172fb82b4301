package plot

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// The colours of the sheet.
var (
	paper  = color.RGBA{0x11, 0x13, 0x1a, 0xff}
	panel  = color.RGBA{0x19, 0x1c, 0x26, 0xff}
	line   = color.RGBA{0x2c, 0x31, 0x40, 0xff}
	faint  = color.RGBA{0x7d, 0x86, 0x9c, 0xff}
	soft   = color.RGBA{0xb4, 0xbc, 0xcf, 0xff}
	bright = color.RGBA{0xf2, 0xf4, 0xf8, 0xff}
	accent = color.RGBA{0xff, 0xb4, 0x54, 0xff}
)

// sectionColours tell the sections apart, in turn.
var sectionColours = []color.RGBA{
	{0x5b, 0xc0, 0xeb, 0xff}, {0xf2, 0x7d, 0x9b, 0xff}, {0x8f, 0xd6, 0x7e, 0xff}, {0xc4, 0x9b, 0xf2, 0xff},
	{0xf5, 0xc8, 0x5c, 0xff}, {0x64, 0xd9, 0xc4, 0xff}, {0xf2, 0x9e, 0x6d, 0xff},
}

// canvas is a picture with the fonts to write on it.
type canvas struct {
	*image.RGBA
	regular, medium *opentype.Font
	faces           map[face]font.Face
}

type face struct {
	medium bool
	size   int // pixels
}

func newCanvas(width, height int) (*canvas, error) {
	c := &canvas{RGBA: image.NewRGBA(image.Rect(0, 0, width, height)), faces: map[face]font.Face{}}
	var err error
	if c.regular, err = opentype.Parse(goregular.TTF); err != nil {
		return nil, fmt.Errorf("read font: %w", err)
	}
	if c.medium, err = opentype.Parse(gomedium.TTF); err != nil {
		return nil, fmt.Errorf("read font: %w", err)
	}
	c.fill(c.Bounds(), paper)
	return c, nil
}

func (c *canvas) fill(r image.Rectangle, col color.Color) {
	draw.Draw(c, r, image.NewUniform(col), image.Point{}, draw.Over)
}

// faded is col with an opacity of 0..1.
func faded(col color.RGBA, alpha float64) color.RGBA {
	a := min(max(alpha, 0), 1)
	return color.RGBA{uint8(float64(col.R) * a), uint8(float64(col.G) * a), uint8(float64(col.B) * a), uint8(255 * a)}
}

// mixed is a way from one colour to another.
func mixed(from, to color.RGBA, share float64) color.RGBA {
	way := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + (float64(b)-float64(a))*share)) }
	return color.RGBA{way(from.R, to.R), way(from.G, to.G), way(from.B, to.B), 255}
}

func (c *canvas) face(f face) font.Face {
	if got, ok := c.faces[f]; ok {
		return got
	}
	which := c.regular
	if f.medium {
		which = c.medium
	}
	// It fails for sizes that are none.
	got, err := opentype.NewFace(which, &opentype.FaceOptions{Size: float64(f.size), DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic(err)
	}
	c.faces[f] = got
	return got
}

// align says which part of a text is at its x.
type align float64

const (
	left   align = 0
	centre align = 0.5
	right  align = 1
)

// text writes on the base line y, and returns where it ends.
func (c *canvas) text(x, y int, f face, col color.Color, a align, s string) int {
	d := font.Drawer{Dst: c, Src: image.NewUniform(col), Face: c.face(f)}
	width := d.MeasureString(s)
	d.Dot = fixed.Point26_6{X: fixed.I(x) - fixed.Int26_6(float64(width)*float64(a)), Y: fixed.I(y)}
	d.DrawString(s)
	return d.Dot.X.Ceil()
}

// width is how many pixels a text takes.
func (c *canvas) width(f face, s string) int { return font.MeasureString(c.face(f), s).Ceil() }

// cut shortens a text to a width.
func (c *canvas) cut(f face, s string, most int) string {
	if c.width(f, s) <= most {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && c.width(f, string(runes)+"…") > most {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// wedge paints a part of a ring: angles are turns from twelve o'clock, clockwise.
func (c *canvas) wedge(x, y, inner, outer, from, to float64, col color.RGBA) {
	const steps = 24
	box := image.Rect(int(x-outer)-1, int(y-outer)-1, int(x+outer)+2, int(y+outer)+2)
	r := vector.NewRasterizer(box.Dx(), box.Dy())
	point := func(radius, turn float64) (float32, float32) {
		sin, cos := math.Sincos(2 * math.Pi * turn)
		return float32(x + radius*sin - float64(box.Min.X)), float32(y - radius*cos - float64(box.Min.Y))
	}
	r.MoveTo(point(inner, from))
	for i := range steps + 1 {
		r.LineTo(point(outer, from+(to-from)*float64(i)/steps))
	}
	for i := range steps + 1 {
		r.LineTo(point(inner, to-(to-from)*float64(i)/steps))
	}
	r.ClosePath()
	r.Draw(c, box, image.NewUniform(col), image.Point{})
}

// rounded paints a rectangle with round corners.
func (c *canvas) rounded(b image.Rectangle, radius float32, col color.RGBA) {
	r := vector.NewRasterizer(b.Dx(), b.Dy())
	w, h := float32(b.Dx()), float32(b.Dy())
	radius = min(radius, w/2, h/2)
	r.MoveTo(radius, 0)
	r.LineTo(w-radius, 0)
	r.QuadTo(w, 0, w, radius)
	r.LineTo(w, h-radius)
	r.QuadTo(w, h, w-radius, h)
	r.LineTo(radius, h)
	r.QuadTo(0, h, 0, h-radius)
	r.LineTo(0, radius)
	r.QuadTo(0, 0, radius, 0)
	r.ClosePath()
	r.Draw(c, b, image.NewUniform(col), image.Point{})
}
