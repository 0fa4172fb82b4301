package rhythm

import "math"

const (
	tightness = 300.0 // how much an uneven beat costs
	bassShare = 6     // how much a rise in the bass says of beats, against other rises
)

// track returns the frames of the beats: the way through the onsets that is
// strong and even (D. Ellis, Beat Tracking by Dynamic Programming, 2007).
func track(strength []float32, period float64) []int {
	n := len(strength)
	local := scaled(strength)
	from, to := max(1, int(math.Round(period/2))), int(math.Round(2*period))
	cost := make([]float32, to+1)
	for d := from; d <= to; d++ {
		l := math.Log(float64(d) / period)
		cost[d] = float32(tightness * l * l)
	}
	score, before := make([]float32, n), make([]int32, n)
	for i := range n {
		best, at := float32(0), int32(-1)
		for d := from; d <= min(to, i); d++ {
			if s := score[i-d] - cost[d]; s > best {
				best, at = s, int32(i-d)
			}
		}
		score[i], before[i] = local[i]+best, at
	}
	return trace(score, before, to)
}

// trace follows the best way back from the last good end.
func trace(score []float32, before []int32, reach int) []int {
	n := len(score)
	end := max(0, n-1)
	for i := max(0, n-reach); i < n; i++ {
		if score[i] > score[end] {
			end = i
		}
	}
	var beats []int
	for at := int32(end); at >= 0; at = before[at] {
		beats = append(beats, int(at))
	}
	for i, j := 0, len(beats)-1; i < j; i, j = i+1, j-1 {
		beats[i], beats[j] = beats[j], beats[i]
	}
	return beats
}

// scaled returns x over its standard deviation.
func scaled(x []float32) []float32 {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(max(1, len(x)))
	out := make([]float32, len(x))
	if variance := squares/n - (sum/n)*(sum/n); variance > 0 {
		gain := float32(1 / math.Sqrt(variance))
		for i, v := range x {
			out[i] = v * gain
		}
	}
	return out
}

// beatTimes returns when beats are, in seconds.
func beatTimes(strength []float32, beats []int) []float64 {
	times := make([]float64, 0, len(beats))
	for _, b := range beats {
		at := float64(b)
		if isPeak(strength, b) {
			at = vertex(strength, b)
		}
		times = append(times, *number(frameTime(at)))
	}
	return times
}

// stability is 1 less the coefficient of variation of the beats' distances.
func stability(times []float64) float64 {
	if len(times) < 3 {
		return 0
	}
	n := float64(len(times) - 1)
	mean, squares := (times[len(times)-1]-times[0])/n, 0.0
	for i := range times[1:] {
		d := times[i+1] - times[i] - mean
		squares += d * d
	}
	return max(0, 1-math.Sqrt(squares/n)/mean)
}

// beatStrength compares what begins on beats with what begins anywhere: 0 where
// beats are like the rest, towards 1 where all onsets are beats.
func beatStrength(strength []float32, beats []int) float64 {
	on, all := 0.0, 0.0
	for _, b := range beats {
		on += float64(strength[b])
	}
	for _, v := range strength {
		all += float64(v)
	}
	if len(beats) == 0 || all == 0 {
		return 0
	}
	on /= float64(len(beats))
	all /= float64(len(strength))
	return max(0, 1-all/max(on, all))
}

// tatums divides every beat evenly.
func tatums(times []float64, division int) []float64 {
	var out []float64
	for i, t := range times {
		for k := range division {
			if i+1 == len(times) {
				out = append(out, t)
				break
			}
			out = append(out, *number(t + (times[i+1]-t)*float64(k)/float64(division)))
		}
	}
	return out
}

// division returns into how many tatums beats are divided: 1, 2, 3 or 4, by where
// between the beats clearly more begins than at odd places.
func division(strength []float32, beats []int) int {
	at := func(places ...float64) float64 {
		sum := 0.0
		for _, p := range places {
			sum += placed(strength, beats, p)
		}
		return sum / float64(len(places))
	}
	odd := max(at(1./7, 6./7, 3./7, 4./7), leastRise/4)
	half, thirds, quarters := at(1./2), at(1./3, 2./3), at(1./4, 3./4)
	switch {
	case thirds > stands*odd && thirds > half && thirds > quarters:
		return 3
	case quarters > stands*odd && half > odd:
		return 4
	case half > stands*odd:
		return 2
	default:
		return 1
	}
}

// stands is how many times the strength at odd places a division must have.
const stands = 1.6

// placed is the mean strength at a place between beats.
func placed(strength []float32, beats []int, place float64) float64 {
	sum := 0.0
	for i := 0; i+1 < len(beats); i++ {
		at := float64(beats[i]) + place*float64(beats[i+1]-beats[i])
		k := int(math.Round(at))
		peak := strength[k]
		if k > 0 {
			peak = max(peak, strength[k-1])
		}
		if k+1 < len(strength) {
			peak = max(peak, strength[k+1])
		}
		sum += float64(peak)
	}
	return sum / float64(max(1, len(beats)-1))
}
