// Package flac decodes the frames of a FLAC stream (RFC 9639, section 9) from
// untrusted bytes. It knows nothing of metadata: what STREAMINFO says is given.
//
// A frame is returned only if both its checksums hold and every bit of it made
// sense. Memory is bounded by the largest frame there can be.
package flac
