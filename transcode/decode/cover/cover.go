// Package cover makes the pictures that listeners see out of the one a creator's
// file carries. Nothing of the original's bytes is passed on: whatever hides in
// them (scripts, other files, places and names) ends here. It runs in the decoding
// child.
package cover

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/webp"
)

// Sizes are the longest sides, in pixels, of the pictures made, the largest first.
// A smaller original is not blown up.
var Sizes = [...]int{1200, 600, 150}

// Images are JPEGs, one for each of Sizes; the zero Images mean no picture.
type Images [len(Sizes)][]byte

// None reports that there is no picture.
func (m *Images) None() bool { return len(m[0]) == 0 }

const (
	// MaxBytes is the most that an original may have.
	MaxBytes = 16 << 20
	// MaxImage is the most that one of the Images has.
	MaxImage = 2 << 20
	// maxMemory bounds what unpacking may take, before it is begun: a few kilobytes
	// may claim to be a picture of gigabytes.
	maxMemory = 160 << 20
	// maxScans bounds the passes of a progressive JPEG, each of which may cost as
	// much time as all of the picture. Encoders write about ten.
	maxScans = 64
	quality  = 85
)

// Kind returns the MIME type of data by its first bytes: a JPEG, PNG, GIF or WebP,
// or "" for everything else.
func Kind(data []byte) string {
	for _, k := range kinds {
		if bytes.HasPrefix(data, []byte(k.magic)) && (k.then == "" || len(data) >= 12 && string(data[8:12]) == k.then) {
			return k.mime
		}
	}
	return ""
}

var kinds = []struct{ magic, then, mime string }{
	{"\xff\xd8\xff", "", "image/jpeg"}, {"\x89PNG\r\n\x1a\n", "", "image/png"}, {"GIF8", "", "image/gif"}, {"RIFF", "WEBP", "image/webp"},
}

// Make unpacks a JPEG, PNG, GIF (its first picture) or WebP and makes Images of
// it. It takes at most 256 MiB of memory. The error says why there are none: not a
// picture, damaged, or larger than any cover.
func Make(data []byte) (Images, error) {
	src, err := unpack(data)
	if err != nil {
		return Images{}, err
	}
	var all Images
	for i, size := range Sizes {
		fitted := fit(src, size)
		if all[i], err = pack(fitted); err != nil {
			return Images{}, err
		}
		src = fitted
	}
	return all, nil
}

func unpack(data []byte) (img image.Image, err error) {
	defer func() {
		if v := recover(); v != nil { // a decoder's verdict on the picture
			img, err = nil, fmt.Errorf("decoder panicked: %v", v)
		}
	}()
	kind := Kind(data)
	if kind == "" || len(data) > MaxBytes {
		return nil, fmt.Errorf("%d bytes of no picture we know", len(data))
	}
	cost, err := memory(kind, data)
	if err != nil {
		return nil, err
	}
	if cost > maxMemory {
		return nil, fmt.Errorf("unpacking takes %d MiB", cost>>20)
	}
	r := bytes.NewReader(data)
	switch kind {
	case "image/jpeg":
		if n := bytes.Count(data, []byte("\xff\xda")); n > maxScans {
			return nil, fmt.Errorf("%d scans", n)
		}
		return jpeg.Decode(r)
	case "image/png":
		return png.Decode(r)
	case "image/gif":
		return gif.Decode(r)
	}
	return webp.Decode(r)
}

// memory is what unpacking takes, in bytes, by the picture's own header.
func memory(kind string, data []byte) (int64, error) {
	decode := map[string]func(*bytes.Reader) (image.Config, error){
		"image/jpeg": func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) },
		"image/png":  func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) },
		"image/gif":  func(r *bytes.Reader) (image.Config, error) { return gif.DecodeConfig(r) },
		"image/webp": func(r *bytes.Reader) (image.Config, error) { return webp.DecodeConfig(r) },
	}[kind]
	c, err := decode(bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	if c.Width < 1 || c.Height < 1 {
		return 0, errors.New("picture without pixels")
	}
	each := int64(8) // 16-bit PNG, lossless WebP with its transforms
	if kind == "image/jpeg" {
		each = jpegCost(c.ColorModel, bytes.Contains(data, []byte("\xff\xc2")))
	}
	return int64(c.Width) * int64(c.Height) * each, nil
}

// jpegCost is in bytes a pixel: progressive ones keep all coefficients.
func jpegCost(m color.Model, progressive bool) int64 {
	planes := int64(3)
	switch m {
	case color.GrayModel:
		planes = 1
	case color.CMYKModel:
		planes = 4
	}
	cost := planes
	if progressive {
		cost += 4 * planes
	}
	if planes == 4 {
		cost += 8 // and is converted
	}
	return cost
}

// pack writes a JPEG of less than MaxImage bytes.
func pack(img *image.RGBA) ([]byte, error) {
	for q := quality; q > 0; q -= 20 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: q}); err != nil {
			return nil, err
		}
		if b.Len() <= MaxImage {
			return b.Bytes(), nil
		}
	}
	return nil, errors.New("picture does not become small enough")
}

// onWhite returns row y of img as opaque RGBA in strip: what shines through is white.
func onWhite(strip *image.RGBA, img image.Image, y int) []byte {
	draw.Draw(strip, strip.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(strip, strip.Rect, img, image.Pt(img.Bounds().Min.X, img.Bounds().Min.Y+y), draw.Over)
	return strip.Pix
}
