// Package fmp4 writes and reads CMAF track files: one audio stream as an init
// segment, a file-level index (sidx) and one fragment per segment (HLS-74).
//
//	ftyp moov | sidx | styp moof mdat | styp moof mdat | …
//	init        index  segment 0        segment 1
//
// It promises: the boxes of standards.md 2.1-2.3 and no others; boundaries of
// the common timeline (ALIGN-1..4); sample-exact start and end (GAP-2, GAP-3);
// the same packets give the same bytes on every machine and day.
//
// Boxes are written with mp4ff. Three things are ours: cutting packets into
// segments, the sizes and rates inside esds (mp4ff leaves them 0), and the whole
// reader, because it must stay bounded on hostile bytes and must not share a
// mistake with the writer it checks.
//
// It does not encode, encrypt, or read files of other makers beyond dumping them.
package fmp4
