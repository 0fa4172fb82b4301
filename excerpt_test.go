package melodyud_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	melodyud "github.com/melodyud/melodyud"
)

func TestAnExcerptBeginsAtTheNearestBoundaryAndIsNeverTooLong(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int{8000, 44100, 48000, 192000}).Draw(t, "rate")
		m := melodyud.Manifest{SampleRate: rate}
		m.Segments = rapid.SliceOfN(rapid.Int64Range(1, int64(rate)*9/2), 1, 60).Draw(t, "segments")
		for _, n := range m.Segments {
			m.Samples += n
		}
		start := time.Duration(rapid.Int64Range(-int64(time.Second), int64(5*time.Minute)).Draw(t, "start"))
		longest := time.Duration(rapid.Int64Range(int64(5*time.Second), int64(30*time.Second)).Draw(t, "longest"))
		from, to := m.Excerpt(start, longest)
		if from < 0 || to > len(m.Segments) || from >= to {
			t.Fatalf("segments %d to %d of %d", from, to, len(m.Segments))
		}
		begins, length := m.Span(from, to)
		if length > longest {
			t.Fatalf("%v of at most %v", length, longest)
		}
		if to < len(m.Segments) {
			if _, more := m.Span(from, to+1); more <= longest {
				t.Fatalf("%v, and %v would do", length, more)
			}
		}
		off := (begins - start).Abs()
		for i := range m.Segments {
			if other, _ := m.Span(i, i+1); (other - start).Abs() < off-2*time.Second/time.Duration(rate) {
				t.Fatalf("%v begins at %v, segment %d at %v is nearer", start, begins, i, other)
			}
		}
	})
}

func TestASpanIsExactToTheSample(t *testing.T) {
	t.Parallel()
	m := melodyud.Manifest{SampleRate: 44100, Segments: []int64{44032, 44032, 90112, 176128, 7}}
	start, length := m.Span(2, 5)
	if want := time.Duration(88064) * time.Second / 44100; start != want {
		t.Errorf("begins at %v, want %v", start, want)
	}
	if want := time.Duration(90112+176128+7) * time.Second / 44100; length != want {
		t.Errorf("lasts %v, want %v", length, want)
	}
}
