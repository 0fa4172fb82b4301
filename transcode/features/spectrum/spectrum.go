// Package spectrum turns sound into what every feature is made of: mono at two
// rates, power spectra of overlapping frames, mel bands, and a fast logarithm.
// The same input gives the same bits on every machine: nothing is fused, nothing
// depends on how wide a processor's vectors are.
package spectrum

// The two short-time transforms that all features share.
const (
	RateR, SizeR, HopR = 22050, 1024, 256  // rhythm, timbre
	RateT, SizeT, HopT = 11025, 4096, 2048 // tonal
)
