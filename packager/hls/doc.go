// Package hls prints HLS playlists from a manifest, and reads its own back.
//
// Two flavours of Multivariant playlist exist, because players start in FLAC
// whenever they can afford it and never come back (HLS-31, HLS-32): standard has
// the AAC ladder only, hifi has FLAC and the ladder, with SCORE on all (HLS-34).
// Two URL styles exist: virtual URLs that the edge maps to byte ranges, and
// BYTERANGE into the track files for plain file servers (HLS-74).
//
// EXT-X-MEDIA (HLS-19) is not written: no player at hand shows the depth and rate
// it carries, and audio groups make several fetch a playlist twice.
//
// Breaks for ads are interstitials (Interstitial): date ranges that name a list of
// assets, which the server answers for each listener. A playlist without any is the
// same as ever.
//
// Encryption is a list of keys for each run of segments (Protection): what they
// open, and who may have them, is the server's. DRM systems plug in as further keys
// of the list with a format of their own (HLS-94).
//
// Printing and parsing are hls-m3u8's. It always writes EXT-X-VERSION and puts
// EXT-X-TARGETDURATION after EXT-X-PLAYLIST-TYPE, which RFC 8216 allows. Its
// parser ignores what it does not know and panics on some cut lines; the checks
// around it are ours: Read.
package hls
