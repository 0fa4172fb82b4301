// Package elementary writes one coded stream as a file without a track file
// around it: AAC in ADTS (ISO/IEC 14496-3 §1.A.3.2), FLAC as native FLAC
// (RFC 9639). Both are media.Sinks.
//
// ADTS has no place for the length: a decoder gives the priming first and the
// padding of the last access unit at the end. Where that matters, use a track file.
package elementary
