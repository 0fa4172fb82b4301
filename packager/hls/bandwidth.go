package hls

import "math"

// Bandwidth returns the peak and the average bit rate of segments of the given
// bytes and presented samples, in bits per second rounded up (HLS-40, HLS-41).
// The peak is taken over every run of segments that lasts between 0.5*target and
// 1.5*target + 0.5 seconds; a track with no such run peaks at its average.
func Bandwidth(sizes, samples []int64, rate, target int) (peak, average int) {
	shortest := float64(target) / 2 * float64(rate)
	longest := (1.5*float64(target) + 0.5) * float64(rate)
	var highest float64
	for i := range sizes {
		var bytes, length int64
		for j := i; j < len(sizes); j++ {
			bytes, length = bytes+sizes[j], length+samples[j]
			if float64(length) > longest {
				break
			}
			if float64(length) >= shortest {
				highest = max(highest, bitRate(bytes, length, rate))
			}
		}
	}
	mean := bitRate(sum(sizes), sum(samples), rate)
	if highest == 0 {
		highest = mean
	}
	return int(math.Ceil(highest)), int(math.Ceil(mean))
}

func bitRate(bytes, samples int64, rate int) float64 {
	return 8 * float64(bytes) * float64(rate) / float64(max(1, samples))
}
