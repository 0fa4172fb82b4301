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

	melodyud "github.com/melodyud/melodyud"
)

// maxDumpedBox bounds what Dump holds of one box other than mdat.
const maxDumpedBox = 16 << 20

// Line is what Walk says of one box.
type Line struct {
	Offset int64  `json:"offset"` // of the box, in bytes from the start of the file
	Size   int64  `json:"size"`   // bytes, header included
	Depth  int    `json:"depth"`  // boxes around it
	Kind   string `json:"kind"`   // four characters
	Text   string `json:"text"`   // field=value…, empty for boxes it does not know
}

// Dump writes one line for every box r has, to compare and to look at:
//
//	offset size  kind  field=value…
//
// mdat is shown by its hash. Boxes it does not know are shown by kind and size,
// so files of other makers can be dumped too. Memory is bounded. What is no MP4 at
// all is refused with ErrInvalid.
func Dump(w io.Writer, r io.Reader) error {
	out := bufio.NewWriter(w)
	err := Walk(r, func(l Line) error {
		name := strings.Repeat("  ", l.Depth) + l.Kind
		_, err := fmt.Fprintf(out, "%8d %8d  %s\n", l.Offset, l.Size, strings.TrimRight(name+"  "+l.Text, " "))
		return err
	})
	return errors.Join(err, out.Flush())
}

// Walk is Dump for programs: it calls visit for every box, parents before their
// children, and stops at its first error.
func Walk(r io.Reader, visit func(Line) error) error {
	d := dumper{visit: visit}
	if err := d.file(r); err != nil {
		return err
	}
	return d.err
}

type dumper struct {
	visit func(Line) error
	err   error // the first of visit
}

func (d *dumper) line(depth int, offset, size int64, kind, text string) {
	if d.err == nil {
		d.err = d.visit(Line{offset, size, depth, printable(kind), text})
	}
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

// starts lists the boxes that a file or a piece of one may begin with.
var starts = []string{"ftyp", "styp", "moov", "moof", "mdat", "sidx", "emsg", "prft", "free", "skip", "wide", "pdin", "uuid"}

func errNoMP4() error {
	return melodyud.Refuse(melodyud.ErrInvalid, "file.not-mp4",
		"The file is no MP4: it does not begin with a box. Give an .mp4, .m4a or .m4s file.")
}

func (d *dumper) file(r io.Reader) error {
	for offset := int64(0); d.err == nil; {
		var head [boxHeader]byte
		n, err := io.ReadFull(r, head[:])
		if err == io.EOF && offset > 0 {
			return nil
		}
		kind := string(head[4:])
		if offset == 0 && (n < boxHeader || !slices.Contains(starts, kind)) {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("dump: %w", err)
			}
			return errNoMP4()
		}
		if err != nil {
			return fmt.Errorf("dump at byte %d: %d bytes are left, too few for a box: %w", offset, n, err)
		}
		size, err := d.top(r, offset, int64(binary.BigEndian.Uint32(head[:])), kind)
		if err != nil {
			return fmt.Errorf("dump at byte %d: %w", offset, err)
		}
		offset += size
	}
	return nil
}

// top reads the box whose header was read and returns its size. Size 1 says that
// 64 bits of size follow, size 0 that the box goes on to the end.
func (d *dumper) top(r io.Reader, offset, size int64, kind string) (int64, error) {
	header := int64(boxHeader)
	if size == 1 {
		var large [8]byte
		if _, err := io.ReadFull(r, large[:]); err != nil {
			return 0, fmt.Errorf("size of box %q: %w", printable(kind), err)
		}
		header += int64(len(large))
		size = int64(min(binary.BigEndian.Uint64(large[:]), 1<<62))
	}
	if size < header && size != 0 {
		return 0, fmt.Errorf("box %q has size %d", printable(kind), size)
	}
	if kind == "mdat" {
		return d.mdat(r, offset, size, header)
	}
	if size > maxDumpedBox {
		return 0, fmt.Errorf("box %q has %d bytes, more than is looked at", printable(kind), size)
	}
	limit := size - header
	if size == 0 {
		limit = maxDumpedBox
	}
	body, err := io.ReadAll(io.LimitReader(r, limit))
	if err == nil && size > 0 && int64(len(body)) < limit {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, fmt.Errorf("box %q: %w", printable(kind), err)
	}
	size = header + int64(len(body))
	d.box(0, offset, box{kind, body, int(size)})
	return size, nil
}

func (d *dumper) mdat(r io.Reader, offset, size, header int64) (int64, error) {
	h := sha256.New()
	limit := size - header
	if size == 0 {
		limit = 1 << 62
	}
	n, err := io.Copy(h, io.LimitReader(r, limit))
	if err == nil && size > 0 && n < limit {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, fmt.Errorf("mdat: %w", err)
	}
	d.line(0, offset, header+n, "mdat", fmt.Sprintf("sha256=%.16x", h.Sum(nil)))
	return header + n, nil
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
