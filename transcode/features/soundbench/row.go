package main

import (
	"fmt"
	"math"
)

// row is one line of a table.
type row struct {
	metric    string // such as "tempo Accuracy1"
	data      string // the set
	who       string // "" for us
	value     float64
	low, high float64 // 95 % interval; both 0 for none
	n         int
	gate      bound
	target    bound
	note      string
}

// bound is a limit that a value must keep; the zero bound keeps everything.
type bound struct {
	set, most bool
	at        float64
}

func atLeast(x float64) bound { return bound{set: true, at: x} }
func atMost(x float64) bound  { return bound{set: true, most: true, at: x} }

func (b bound) kept(x float64) bool {
	switch {
	case !b.set:
		return true
	case b.most:
		return x <= b.at
	default:
		return x >= b.at
	}
}

func (b bound) String() string {
	switch {
	case !b.set:
		return ""
	case b.most:
		return fmt.Sprintf("<=%.3g", b.at)
	default:
		return fmt.Sprintf(">=%.3g", b.at)
	}
}

// What a row comes to.
const (
	noVerdict  = ""
	failsGate  = "G FAILED"
	passesGate = "G"
	onTarget   = "G T"
)

func (r row) verdict() string {
	switch {
	case !r.gate.set && !r.target.set:
		return noVerdict
	case !r.gate.kept(r.value) || math.IsNaN(r.value):
		return failsGate
	case r.target.set && r.target.kept(r.value):
		return onTarget
	default:
		return passesGate
	}
}

func (r row) String() string {
	interval := ""
	if r.low != 0 || r.high != 0 {
		interval = fmt.Sprintf("[%.3f %.3f]", r.low, r.high)
	}
	who := r.who
	if who == "" {
		who = "ours"
	}
	return fmt.Sprintf("  %-24s %-22s %-10s %9.3f %-15s n=%-4d %-7s %-7s %-8s %s",
		r.metric, r.data, who, r.value, interval, r.n, r.gate, r.target, r.verdict(), r.note)
}

// share is a row of how many of n were right, with Wilson's interval.
func share(metric, data string, right, n int) row {
	r := row{metric: metric, data: data, n: n}
	if n == 0 {
		r.value = math.NaN()
		return r
	}
	const z = 1.96
	p, m := float64(right)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	reach := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	r.value, r.low, r.high = p, max(0, middle-reach), min(1, middle+reach)
	return r
}

// mean is a row of a mean with its normal interval.
func mean(metric, data string, values []float64) row {
	r := row{metric: metric, data: data, n: len(values)}
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	n := float64(len(values))
	r.value = sum / n
	for _, v := range values {
		squares += (v - r.value) * (v - r.value)
	}
	reach := 1.96 * math.Sqrt(squares/max(1, n-1)/max(1, n))
	r.low, r.high = r.value-reach, r.value+reach
	return r
}

// by returns r as another tool's.
func (r row) by(who string) row {
	r.who = who
	return r
}

// must returns r with its gate and target.
func (r row) must(gate, target bound) row {
	r.gate, r.target = gate, target
	return r
}
