package packager

import "github.com/melodyud/melodyud/packager/hls"

// Bandwidth is hls.Bandwidth.
func Bandwidth(sizes, samples []int64, rate, target int) (peak, average int) {
	return hls.Bandwidth(sizes, samples, rate, target)
}

func total(n []int64) (sum int64) {
	for _, v := range n {
		sum += v
	}
	return sum
}
