// Package decode turns a creator's file into samples without trusting a byte of
// it. Decoders run in a child process of the same binary that gives up, before
// it reads anything, its file system, its network and its claim to more memory
// and time than the limits say. A panic, a bomb or a hang costs that child and
// becomes a refusal; the caller only ever reads a bounded, framed stream.
//
//	caller -- Start --> child decode   fd 0: the master, read only
//	   ^                    |          stdout: facts, blocks of float32, a last word
//	   +---- Stream.Read ---+          no other descriptor, no environment
//
// Decoded here: WAV (RF64, BW64, extensible), AIFF and AIFF-C, FLAC, MP3, Ogg
// Vorbis, AAC-LC in MP4. Everything else, and the corners our decoders get
// wrong, goes through ffmpeg inside the same sandbox when it is installed and is
// refused when it is not: wrong sound is never published.
package decode
