package fmp4

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxDumpedBox bounds what Dump holds of one box other than mdat.
const maxDumpedBox = 16 << 20

// Dump writes one line for every box r has, to compare and to look at:
//
//	offset size  kind  field=value…
//
// mdat is shown by its hash. Boxes it does not know are shown by kind and size,
// so files of other makers can be dumped too. Memory is bounded.
func Dump(w io.Writer, r io.Reader) error {
	out := bufio.NewWriter(w)
	d := dumper{w: out}
	err := d.file(r)
	return errors.Join(err, out.Flush())
}

type dumper struct {
	w *bufio.Writer
}

func (d *dumper) line(depth int, offset, size int64, kind, text string) {
	name := strings.Repeat("  ", depth) + printable(kind)
	fmt.Fprintf(d.w, "%8d %8d  %s\n", offset, size, strings.TrimRight(name+"  "+text, " "))
}

// printable shows the four characters of a kind whatever bytes they are.
func printable(kind string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, kind)
}

func (d *dumper) file(r io.Reader) error {
	for offset := int64(0); ; {
		var head [boxHeader]byte
		if n, err := io.ReadFull(r, head[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("dump at byte %d: %d bytes are left, too few for a box: %w", offset, n, err)
		}
		size, kind := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
		if size < boxHeader {
			return fmt.Errorf("dump at byte %d: box %q has size %d", offset, printable(kind), size)
		}
		if err := d.top(r, offset, size, kind); err != nil {
			return fmt.Errorf("dump at byte %d: %w", offset, err)
		}
		offset += size
	}
}

func (d *dumper) top(r io.Reader, offset, size int64, kind string) error {
	if kind == "mdat" {
		h := sha256.New()
		if _, err := io.CopyN(h, r, size-boxHeader); err != nil {
			return fmt.Errorf("mdat: %w", err)
		}
		d.line(0, offset, size, kind, fmt.Sprintf("sha256=%.16x", h.Sum(nil)))
		return nil
	}
	if size > maxDumpedBox {
		return fmt.Errorf("box %q has %d bytes, more than is looked at", printable(kind), size)
	}
	body, err := io.ReadAll(io.LimitReader(r, size-boxHeader))
	if err == nil && int64(len(body)) < size-boxHeader {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("box %q: %w", printable(kind), err)
	}
	d.box(0, offset, box{kind, body, int(size)})
	return nil
}

// containers lists boxes that hold boxes, with the bytes before the first.
var containers = map[string]int{
	"moov": 0, "trak": 0, "edts": 0, "mdia": 0, "minf": 0, "dinf": 0, "stbl": 0, "mvex": 0,
	"udta": 0, "ludt": 0,
	"moof": 0, "traf": 0, "stsd": 8, "dref": 8, "mp4a": 28, "fLaC": 28,
}

func (d *dumper) box(depth int, offset int64, b box) {
	text := ""
	if describe := descriptions[b.kind]; describe != nil {
		f := fields{b: b.body}
		text = describe(&f)
		if f.err != nil {
			text = "malformed: " + f.err.Error()
		}
	}
	d.line(depth, offset, int64(b.size), b.kind, text)
	skip, ok := containers[b.kind]
	if !ok || len(b.body) < skip || depth >= maxBoxDepth {
		return
	}
	rest, at := b.body[skip:], offset+boxHeader+int64(skip)
	for len(rest) > 0 {
		child, next, err := nextBox(rest)
		if err != nil {
			d.line(depth+1, at, int64(len(rest)), "????", "malformed: "+printable(err.Error()))
			return
		}
		d.box(depth+1, at, child)
		rest, at = next, at+int64(child.size)
	}
}

// descriptions says what a box holds. They read what they print and need not read
// all.
var descriptions = map[string]func(*fields) string{
	"ftyp": describeBrands,
	"styp": describeBrands,
	"mvhd": describeMvhd,
	"tkhd": describeTkhd,
	"mdhd": describeMdhd,
	"elst": describeElst,
	"hdlr": describeHdlr,
	"url ": describeFull,
	"smhd": describeFull,
	"stts": describeCount,
	"stsc": describeCount,
	"stco": describeCount,
	"stsd": describeCount,
	"dref": describeCount,
	"stsz": describeStsz,
	"mp4a": describeEntry,
	"fLaC": describeEntry,
	"esds": describeHex,
	"dfLa": describeDfLa,
	"tlou": describeTlou,
	"alou": describeTlou,
	"trex": describeTrex,
	"sidx": describeSidx,
	"mfhd": describeMfhd,
	"tfhd": describeTfhd,
	"tfdt": describeTfdt,
	"trun": describeTrun,
}

func describeBrands(f *fields) string {
	major, minor := f.text(4), f.u32()
	var compatible []string
	for f.err == nil && len(f.b) >= 4 {
		compatible = append(compatible, printable(f.text(4)))
	}
	return fmt.Sprintf("major=%s minor=%d compatible=%s", printable(major), minor, strings.Join(compatible, ","))
}

func describeFull(f *fields) string {
	version, flags := f.full()
	return fmt.Sprintf("version=%d flags=%06x", version, flags)
}

func describeCount(f *fields) string {
	return fmt.Sprintf("%s entries=%d", describeFull(f), f.u32())
}

func describeMvhd(f *fields) string {
	s := describeFull(f)
	return fmt.Sprintf("%s created=%d modified=%d timescale=%d duration=%d rate=%08x volume=%04x",
		s, f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u16())
}

func describeTkhd(f *fields) string {
	s := fmt.Sprintf("%s created=%d modified=%d track=%d", describeFull(f), f.u32(), f.u32(), f.u32())
	f.skip(4)
	s += fmt.Sprintf(" duration=%d", f.u32())
	f.skip(12)
	return s + fmt.Sprintf(" volume=%04x", f.u16())
}

func describeMdhd(f *fields) string {
	s := describeFull(f)
	return fmt.Sprintf("%s created=%d modified=%d timescale=%d duration=%d language=%04x",
		s, f.u32(), f.u32(), f.u32(), f.u32(), f.u16())
}

func describeElst(f *fields) string {
	return fmt.Sprintf("%s duration=%d media_time=%d rate=%08x", describeCount(f), f.u32(), f.u32(), f.u32())
}

func describeHdlr(f *fields) string {
	s := describeFull(f)
	f.skip(4)
	kind := f.text(4)
	f.skip(12)
	return fmt.Sprintf("%s handler=%s name=%q", s, printable(kind), f.text(len(f.b)))
}

func describeStsz(f *fields) string {
	return fmt.Sprintf("%s size=%d entries=%d", describeFull(f), f.u32(), f.u32())
}

func describeEntry(f *fields) string {
	f.skip(16)
	channels, depth := f.u16(), f.u16()
	f.skip(4)
	return fmt.Sprintf("channels=%d samplesize=%d rate=%d", channels, depth, f.u32()>>16)
}

func describeHex(f *fields) string {
	return fmt.Sprintf("%s data=%x", describeFull(f), f.take(len(f.b)))
}

func describeDfLa(f *fields) string {
	s := fmt.Sprintf("%s block=%08x", describeFull(f), f.u32())
	info, err := parseStreamInfo(f.b)
	if err != nil {
		f.err = err
	}
	return fmt.Sprintf("%s blocks=%d..%d rate=%d channels=%d depth=%d samples=%d md5=%s",
		s, info.minBlock, info.maxBlock, info.rate, info.channels, info.depth, info.samples, info.md5)
}

func describeTrex(f *fields) string {
	s := describeFull(f)
	return fmt.Sprintf("%s track=%d description=%d duration=%d size=%d flags=%08x",
		s, f.u32(), f.u32(), f.u32(), f.u32(), f.u32())
}

func describeSidx(f *fields) string {
	s := fmt.Sprintf("%s reference=%d timescale=%d earliest=%d first=%d", describeFull(f), f.u32(), f.u32(), f.u32(), f.u32())
	f.skip(2)
	var refs []string
	for n := f.u16(); n > 0 && f.err == nil; n-- {
		refs = append(refs, fmt.Sprintf("%d:%d:%08x", f.u32(), f.u32(), f.u32()))
	}
	return s + " size:duration:sap=" + strings.Join(refs, ",")
}

func describeMfhd(f *fields) string {
	return fmt.Sprintf("%s sequence=%d", describeFull(f), f.u32())
}

func describeTfhd(f *fields) string {
	_, flags := f.full()
	s := fmt.Sprintf("flags=%06x track=%d", flags, f.u32())
	if flags&0xFF == 0x28 {
		s += fmt.Sprintf(" duration=%d sample_flags=%08x", f.u32(), f.u32())
	}
	return s
}

func describeTfdt(f *fields) string {
	version, _ := f.full()
	if version == 0 {
		return fmt.Sprintf("version=0 time=%d", f.u32())
	}
	return fmt.Sprintf("version=%d time=%d", version, f.u64())
}

func describeTrun(f *fields) string {
	version, flags := f.full()
	count := f.u32()
	s := fmt.Sprintf("version=%d flags=%06x packets=%d", version, flags, count)
	if flags&^0x100 != 0x201 {
		return s
	}
	s += fmt.Sprintf(" data=%d", f.u32())
	var durations, sizes []int64
	for ; count > 0 && f.err == nil; count-- {
		if flags&0x100 != 0 {
			durations = append(durations, f.u32())
		}
		sizes = append(sizes, f.u32())
	}
	if f.err != nil || len(sizes) == 0 {
		return s
	}
	return s + fmt.Sprintf(" durations=%s sizes=%d..%d", runs(durations), slices.Min(sizes), slices.Max(sizes))
}

// runs prints equal neighbours as count*value.
func runs(values []int64) string {
	if len(values) == 0 {
		return "default"
	}
	var out []string
	for i := 0; i < len(values); {
		n := 1
		for i+n < len(values) && values[i+n] == values[i] {
			n++
		}
		out = append(out, fmt.Sprintf("%d*%d", n, values[i]))
		i += n
	}
	return strings.Join(out, ",")
}
