// Package dash prints MPDs from a manifest: the same bytes as HLS, for DASH
// players.
//
// MPD and Standard use the edge's virtual segment URLs (SegmentTemplate and
// SegmentTimeline, DASH-3), OnDemand the track files beside it (SegmentBase).
// Types and printing are dash-mpd's. Reading back is ours, on encoding/xml, because
// dash-mpd's parser never returns on some cut-off documents.
package dash
