package fmp4

import (
	"fmt"
	"math"

	"github.com/Eyevinn/mp4ff/mp4"

	melodyud "github.com/melodyud/melodyud"
)

// Codes of ISO/IEC 23003-4 Annex A, which ISO/IEC 14496-12 §12.2.7 uses in tlou.
const (
	programLoudness = 1 // method: loudness of the whole programme
	systemBS1770    = 2 // measured as ITU-R BS.1770-4 says
	unverified      = 1 // reliability: told by another
	accurate        = 3 // reliability: measured on this sound

	lowestLoudness = -57.75 // LUFS, code 0; a code is a quarter of a unit
	highestPeak    = 20.0   // dB full scale, code 0, which stands for undefined; a code is 1/32 dB
)

// Stated returns of l what the ludt box can say, as exactly as it can (NORM-6):
// integrated loudness in steps of 0.25 between -57.75 and 6 LUFS, peaks in steps of
// 1/32 dB between -107.97 and 19.97 dB. What is undefined or out of range is nil;
// without integrated loudness there is no box and nothing is stated.
func Stated(l melodyud.Loudness) melodyud.Loudness {
	code, ok := loudnessCode(l.Integrated)
	if !ok {
		return melodyud.Loudness{}
	}
	return melodyud.Loudness{
		Integrated: loudnessOf(code),
		TruePeak:   peakOf(peakCode(l.TruePeak)),
		SamplePeak: peakOf(peakCode(l.SamplePeak)),
	}
}

func loudnessCode(lufs *float64) (code uint8, ok bool) {
	if lufs == nil {
		return 0, false
	}
	n := math.Round(4 * (*lufs - lowestLoudness))
	return uint8(n), n >= 0 && n <= math.MaxUint8
}

func loudnessOf(code uint8) *float64 {
	lufs := lowestLoudness + float64(code)/4
	return &lufs
}

// peakCode is the 12-bit code of a peak, 0 if it has none.
func peakCode(db *float64) int16 {
	if db == nil {
		return 0
	}
	if n := math.Round(32 * (highestPeak - *db)); n >= 1 && n <= 1<<12-1 {
		return int16(n)
	}
	return 0
}

func peakOf(code int16) *float64 {
	if code == 0 {
		return nil
	}
	return new(highestPeak - float64(code)/32)
}

// peakReliability says that peaks are those of the source, which lossless has too;
// lossy coding moves them.
func (t Track) peakReliability() uint8 {
	if t.Codec == melodyud.CodecFLAC {
		return accurate
	}
	return unverified
}

// udta holds the track's loudness (NORM-6), nil if it is undefined.
func (t Track) udta() mp4.Box {
	loudness, ok := loudnessCode(t.Loudness.Integrated)
	if !ok {
		return nil
	}
	base := &mp4.LoudnessBase{
		BsSamplePeakLevel: peakCode(t.Loudness.SamplePeak), BsTruePeakLevel: peakCode(t.Loudness.TruePeak),
		MeasurementSystemForTP: systemBS1770, ReliabilityForTP: t.peakReliability(),
		Measurements: []mp4.LoudnessMeasurement{{
			MethodDefinition: programLoudness, MethodValue: loudness, MeasurementSystem: systemBS1770, Reliability: accurate,
		}},
	}
	ludt, udta := &mp4.LudtBox{}, &mp4.UdtaBox{}
	ludt.AddChild(&mp4.LoudnessBaseBox{Name: "tlou", LoudnessBases: []*mp4.LoudnessBase{base}})
	udta.AddChild(ludt)
	return udta
}

func readUdta(b []byte, h *Header) error {
	if b == nil {
		return nil
	}
	udta, err := children(b, "ludt")
	if err != nil {
		return err
	}
	ludt, err := children(udta["ludt"].body, "tlou")
	if err != nil {
		return fmt.Errorf("ludt: %w", err)
	}
	f := fields{b: ludt["tlou"].body}
	f.plain()
	f.zeros(2) // of all downmixes and dynamic ranges
	peaks := f.u8()<<16 | f.u16()
	f.expect("system and reliability of the peaks", f.u8(), systemBS1770<<4|int64(h.peakReliability()))
	f.expect("measurements", f.u8(), 1)
	f.expect("method", f.u8(), programLoudness)
	h.Loudness.Integrated = loudnessOf(uint8(f.u8()))
	h.Loudness.SamplePeak, h.Loudness.TruePeak = peakOf(int16(peaks>>12)), peakOf(int16(peaks&0xFFF))
	f.expect("system and reliability", f.u8(), systemBS1770<<4|accurate)
	if err := f.done(); err != nil {
		return fmt.Errorf("ludt: tlou: %w", err)
	}
	return nil
}

func describeTlou(f *fields) string {
	version, flags := f.full()
	s := fmt.Sprintf("version=%d flags=%06x", version, flags)
	if version > 0 { // several, of which the first is shown
		s += fmt.Sprintf(" bases=%d eq=%d", f.u8()&0x3F, f.u8())
	}
	s += fmt.Sprintf(" downmix_drc=%04x", f.u16())
	peaks := f.u8()<<16 | f.u16()
	s += fmt.Sprintf(" sample_peak=%s true_peak=%s system=%02x", decibels(peaks>>12), decibels(peaks&0xFFF), f.u8())
	for n := f.u8(); n > 0 && f.err == nil; n-- {
		method, value, system := f.u8(), f.u8(), f.u8()
		s += fmt.Sprintf(" method=%d value=%.2f system=%02x", method, lowestLoudness+float64(value)/4, system)
	}
	return s
}

func decibels(code int64) string {
	if code == 0 {
		return "undefined"
	}
	return fmt.Sprintf("%.5g", highestPeak-float64(code)/32)
}
