package cover

import (
	"image"
	"math"
)

// planes are the bytes of a pixel we work on: red, green and blue.
const planes = 3

// fit returns img no larger than size by size, its shape kept, on white.
func fit(img image.Image, size int) *image.RGBA {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	tow, toh := w, h
	if most := max(w, h); most > size {
		tow, toh = shrunk(w, size, most), shrunk(h, size, most)
	}
	out := image.NewRGBA(image.Rect(0, 0, tow, toh))
	narrow := narrowed(img, tow)
	for y, t := range weights(h, toh) {
		row := out.Pix[y*out.Stride:][:4*tow]
		for x := range tow {
			for c := range planes {
				row[4*x+c] = t.sum(narrow[planes*x+c:], planes*tow)
			}
			row[4*x+3] = 255
		}
	}
	return out
}

func shrunk(n, to, from int) int {
	return max(1, (2*n*to+from)/(2*from))
}

// narrowed returns all rows of img at the width tow, three bytes a pixel.
func narrowed(img image.Image, tow int) []byte {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	strip := image.NewRGBA(image.Rect(0, 0, w, 1))
	taps := weights(w, tow)
	out := make([]byte, planes*tow*h)
	for y := range h {
		src, row := onWhite(strip, img, y), out[planes*tow*y:][:planes*tow]
		for x, t := range taps {
			for c := range planes {
				row[planes*x+c] = t.sum(src[c:], 4)
			}
		}
	}
	return out
}

// taps say which pixels make one, and how much of each, in parts of one.
type taps struct {
	from int
	part []int32
}

const (
	oneBits = 14
	one     = 1 << oneBits
)

// sum adds the pixels of b, stride bytes apart, by their parts.
func (t taps) sum(b []byte, stride int) byte {
	v := int32(one / 2)
	at := t.from * stride
	for _, p := range t.part {
		v += p * int32(b[at])
		at += stride
	}
	return byte(max(0, min(v>>oneBits, 255)))
}

// weights lays a Catmull-Rom kernel, as wide as the reduction needs, over each of
// to pixels made of from. Whole numbers keep the result the same on every machine.
func weights(from, to int) []taps {
	if from == to {
		return straight(to)
	}
	all := make([]taps, to)
	ratio := float64(from) / float64(to)
	reach := 2 * ratio
	for i := range all {
		centre := float64((float64(i)+0.5)*ratio) - 0.5
		lo := max(0, int(math.Ceil(centre-reach)))
		hi := min(from-1, int(math.Floor(centre+reach)))
		all[i] = taps{from: lo, part: parts(lo, hi, centre, ratio)}
	}
	return all
}

func straight(n int) []taps {
	all := make([]taps, n)
	for i := range all {
		all[i] = taps{from: i, part: []int32{one}}
	}
	return all
}

// parts rounds the kernel's values at lo to hi to whole parts of one. What rounding
// leaves goes to the middle.
func parts(lo, hi int, centre, ratio float64) []int32 {
	values, total := make([]float64, hi-lo+1), 0.0
	for i := range values {
		values[i] = catmullRom((float64(lo+i) - centre) / ratio)
		total += values[i]
	}
	out, left := make([]int32, len(values)), int32(one)
	for i, v := range values {
		out[i] = int32(math.Round(v / total * one))
		left -= out[i]
	}
	out[len(out)/2] += left
	return out
}

// catmullRom is the cubic of Catmull and Rom. The conversions keep compilers from
// fusing the products into the sums.
func catmullRom(x float64) float64 {
	x = math.Abs(x)
	x2 := float64(x * x)
	x3 := float64(x2 * x)
	switch {
	case x < 1:
		return float64(1.5*x3) - float64(2.5*x2) + 1
	case x < 2:
		return float64(2.5*x2) - float64(0.5*x3) - float64(4*x) + 2
	}
	return 0
}
