package aac

import (
	"os"
	"strconv"
)

type tuning struct {
	up, down, quiet float64
	mask0, mask1    float64
	wexp            float64
	round           float64
	kbd             float64
	ms              float64
	lmin            float64
	kp, ki          float64
	cut             float64
	pre, fwd        float64
	v               [10]float64
}

func (t tuning) mask(z float64) float64 { return t.mask0 + t.mask1*z }

func env(name string, v float64) float64 {
	if s := os.Getenv("AAC_" + name); s != "" {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			panic(err)
		}
		return f
	}
	return v
}

var tune = tuning{
	up: env("UP", 15), down: env("DOWN", 27), quiet: env("QUIET", 0),
	mask0: env("MASK0", 6), mask1: env("MASK1", 0), wexp: env("WEXP", 1), round: env("ROUND", 0.4054),
	kbd: env("KBD", 0), ms: env("MS", 1), kp: env("KP", 2), ki: env("KI", 0.2), cut: env("CUT", 1),
	pre: env("PRE", 0), fwd: env("FWD", 0),
	v: [10]float64{env("V0", 0.4), env("V1", 2), env("V2", 2), env("V3", 3), env("V4", 3), env("V5", 0), env("V6", 0), env("V7", 0), env("V8", 10), env("V9", 0)},
}
