// Package aac encodes AAC-LC (ISO/IEC 14496-3) at several bit rates at once.
//
// An Analyzer turns samples into Frames: filterbank, block switching, masking,
// temporal noise shaping and mid/side. None of that depends on the bit rate, so it
// is done once. A Coder per bit rate then chooses scale factors and codebooks and
// writes the access unit. Ladder joins them in one goroutine; a caller with more
// processors runs one Analyzer and hands its Frames to Coders of their own.
//
// The rate is constrained variable: see Coder. The same samples give the same
// bytes however they are cut into blocks, and on every machine: floating-point
// products are rounded before they are added, and tables are rounded past the last
// bits of a platform's mathematics.
//
// Access units come without framing. A player needs AudioSpecificConfig beside
// them, and to drop the first Priming samples.
package aac
