// Package packager turns coded packets into what players fetch: one CMAF track
// file per rendition, the manifest the edge reads, and playlists that work from
// any plain file server.
//
//	Create ── Open(stream) ── WritePacket… Finish ──┐
//	      └── Open(stream) ── WritePacket… Finish ──┴── Seal ── Close
//
// It promises: all renditions have the same segments (ALIGN-1..4, HLS-55); memory
// is bounded by one segment and a runt per rendition, whatever the track's
// length; the same packets give the same bytes (no times, no random numbers);
// every file appears whole, by rename. It does not encode, store or serve, and it
// does not sync to disk: who acknowledges the files copies them to a store that does.
//
// fmp4 makes and reads the boxes, hls and dash print the playlists.
package packager
