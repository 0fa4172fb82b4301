package aac

import (
	"math"
	"testing"
)

func decibels(x float32) float64 { return 10 * math.Log10(float64(x)) }

func TestMaskingSpreadsUpMoreThanDown(t *testing.T) {
	t.Parallel()
	table := newBandTable(bandOffsets[44100].long, FrameSize, 44100)
	energy, got := make([]float32, table.bands()), make([]float32, table.bands())
	const loud = 24
	energy[loud] = 1e14
	table.threshold(got, energy)
	up := decibels(got[loud]/table.width[loud]) - decibels(got[loud+2]/table.width[loud+2])
	down := decibels(got[loud]/table.width[loud]) - decibels(got[loud-2]/table.width[loud-2])
	if !(up > 5 && down > up*1.5) {
		t.Errorf("two bands above the threshold is %.1f dB lower, two below %.1f dB", up, down)
	}
	if d := decibels(energy[loud]) - decibels(got[loud]); d < 3 || d > 20 {
		t.Errorf("the threshold is %.1f dB under the masker", d)
	}
}

func TestSilenceLeavesTheThresholdInQuiet(t *testing.T) {
	t.Parallel()
	table := newBandTable(bandOffsets[48000].long, FrameSize, 48000)
	got := make([]float32, table.bands())
	table.threshold(got, make([]float32, table.bands()))
	for b, v := range got {
		if v != table.quiet[b] || v <= 0 {
			t.Fatalf("band %d: %v, want %v", b, v, table.quiet[b])
		}
	}
	full := float32(FrameSize) * FrameSize * fullScale * fullScale // the energy of a full-scale sine
	if d := decibels(full / got[20]); d < 80 || d > 105 {
		t.Errorf("at 2 kHz the ear hears %.0f dB under full scale", d)
	}
}

func TestAttacksAreFoundWhereTheyAre(t *testing.T) {
	t.Parallel()
	for at := range 8 {
		var d transients
		x := make([]float64, FrameSize)
		for i := range x {
			x[i] = 0.001 * math.Sin(float64(i))
		}
		if got := d.attack(x); got > 0 {
			t.Fatalf("a soft tone has an attack at %d", got)
		}
		for i := range 40 {
			x[at*subBlock+i] += 0.5 * math.Sin(float64(i*i))
		}
		if got := d.attack(x); got != at {
			t.Errorf("the attack at %d is found at %d", at, got)
		}
	}
}

func TestASteadyToneHasNoAttack(t *testing.T) {
	t.Parallel()
	var d transients
	x := make([]float64, FrameSize)
	for n := range 10 {
		for i := range x {
			x[i] = math.Sin(float64(n*FrameSize+i) * 0.3)
		}
		if got := d.attack(x); n > 0 && got >= 0 {
			t.Fatalf("block %d has an attack at %d", n, got)
		}
	}
}

// frames analyses x, a slice a channel.
func frames(t *testing.T, cfg Config, x [][]float32, look func(*Frame)) {
	t.Helper()
	a, err := NewAnalyzer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.Write(x)
	a.Close()
	var f Frame
	for a.Next(&f) {
		look(&f)
	}
}

func TestAnAttackGetsShortWindowsBetweenTheirNeighbours(t *testing.T) { // ISO/IEC 14496-3 table 4.127
	t.Parallel()
	x := make([]float32, 20*FrameSize)
	for _, at := range []int{0, 3000, 7000, 7900, 12345, 18000} {
		for i := range 300 {
			x[at+i] = float32(math.Sin(float64(i*i)) * math.Exp(-float64(i)/100))
		}
	}
	may := map[blocks][]blocks{onlyLong: {onlyLong, longStart}, longStart: {eightShort}, eightShort: {eightShort, longStop}, longStop: {onlyLong, longStart}}
	last, seen, short := onlyLong, 0, 0
	frames(t, Config{SampleRate: 44100, Channels: 1}, [][]float32{x}, func(f *Frame) {
		if seen++; seen > 1 && may[last][0] != f.sequence && may[last][len(may[last])-1] != f.sequence {
			t.Fatalf("sequence %d follows %d", f.sequence, last)
		}
		if last = f.sequence; last == eightShort {
			short++
		}
		sum := 0
		for _, n := range f.groups {
			sum += int(n)
		}
		if want := map[bool]int{true: 8, false: 1}[f.sequence == eightShort]; sum != want {
			t.Fatalf("%d windows in groups, want %d", sum, want)
		}
		if got := int(f.edges[f.bandCount()]); got != FrameSize {
			t.Fatalf("the bands hold %d lines", got)
		}
	})
	if short < 5 || short > 10 {
		t.Errorf("6 attacks take %d frames of short windows", short)
	}
}

func TestEqualChannelsBecomeAMidWithoutSide(t *testing.T) {
	t.Parallel()
	x := make([]float32, 8*FrameSize)
	for i := range x {
		x[i] = float32(math.Sin(float64(i)*0.05) + 0.3*math.Sin(float64(i)*0.4))
	}
	seen := 0
	frames(t, Config{SampleRate: 48000, Channels: 2}, [][]float32{x, x}, func(f *Frame) {
		seen++
		for b, side := range f.side {
			if e := f.channel[1].energy[b]; side && e != 0 {
				t.Fatalf("side of band %d has energy %v", b, e)
			}
		}
		if seen == 4 && !f.side[5] {
			t.Error("a loud band common to both is coded twice")
		}
	})
}
