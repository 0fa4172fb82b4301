package rhythm

// weights are those of the clues, in their order. fit_test.go says how to find them
// again.
var weights = clues{
	// all onsets, a quarter of a beat to four beats apart
	-0.423, -0.318, 1.867, -0.919, 2.579, -1.071, 0.984, -3.384, 0.968,
	// low, middle and high onsets
	-0.635, -1.501, 0.820, 0.982, -0.030,
	1.276, 1.829, -1.140, 0.871, 0.557,
	0.426, 0.984, 0.536, 0.630, -0.455,
	// the first high autocorrelation; a bare pulse
	4.655, 2.000,
	// tempo, its square, the density of onsets
	-1.553, -2.746, -0.690,
	// style
	2.023, 1.329, 0.701, 0.697,
}
