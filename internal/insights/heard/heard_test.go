package heard_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/insights/heard"
)

// TestTheSetIsWhatWasRenderedHoweverItIsTold compares with a track whose tenths of
// seconds are ticked off one by one.
func TestTheSetIsWhatWasRenderedHoweverItIsTold(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		const length = 400
		ticks := [length]bool{}
		var told []melodyud.Interval
		for range random.IntN(12) {
			from := random.IntN(length - 1)
			i := melodyud.Interval{From: int64(from) * 100, To: int64(from+1+random.IntN(length-from)) * 100}
			i.To = min(i.To, length*100)
			switch random.IntN(5) {
			case 0:
				i.Rate = 2
			case 1:
				i.Rate = 1
			}
			told = append(told, i)
			for n := i.From / 100; i.Normal() && n < i.To/100; n++ {
				ticks[n] = true
			}
		}
		want := int64(0)
		for _, t := range ticks {
			if t {
				want += 100
			}
		}
		var set heard.Set
		grown := int64(0)
		told = append(told, told...) // at least once, in any order
		random.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
		for _, i := range told {
			grown += set.Add(i)
		}
		back, err := heard.Parse(set.String())
		if set.Length() != want || grown != want || err != nil || back.String() != set.String() || back.Length() != want {
			t.Fatalf("%v: %d (%s), grown %d, want %d, %v", told, set.Length(), set.String(), grown, want, err)
		}
		if heard.Counts(set.Length(), length*100, false) != (want >= 30_000) {
			t.Fatal("the rule")
		}
	}
}

func TestThePlayCountsByThe30SecondRule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		heard, length int64
		ended         bool
		counts        bool
		completes     bool
	}{
		{29_999, 200_000, false, false, false},
		{30_000, 200_000, false, true, false},
		{5_000, 200_000, true, false, true}, // jumped to the end
		{180_000, 200_000, false, true, true},
		{30_000, 0, false, true, false},
		{29_999, 0, true, false, true},
		{20_000, 20_000, false, false, true}, // short: at its end
		{20_000, 20_000, true, true, true},
		{18_000, 20_000, true, true, true},
		{17_999, 20_000, true, false, true},
		{29_999, 29_999, true, true, true},
		{29_999, 30_000, true, false, true},
		{30_000, 30_000, false, true, true},
	} {
		if got := heard.Counts(c.heard, c.length, c.ended); got != c.counts {
			t.Errorf("%+v: counts %v", c, got)
		}
		if got := heard.Completes(c.heard, c.length, c.ended); got != c.completes {
			t.Errorf("%+v: completes %v", c, got)
		}
	}
}

func TestASetIsBounded(t *testing.T) {
	t.Parallel()
	var set heard.Set
	for n := range int64(10_000) {
		set.Add(melodyud.Interval{From: 2 * n, To: 2*n + 1})
	}
	if n := set.Length(); n != 500 {
		t.Errorf("%d stretches", n)
	}
	if set.Add(melodyud.Interval{From: 0, To: 30_000}); set.Length() != 30_000 || set.String() != "0-30000" {
		t.Errorf("what joins them is not added: %s", set.String())
	}
}

func TestWhatIsNoSetIsNotRead(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"x", "1", "1-", "-1-5", "5-1", "0-5,3-9", "0-5,", "5-5"} {
		if _, err := heard.Parse(bad); !errors.Is(err, melodyud.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
