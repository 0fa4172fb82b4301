// Package dash prints MPDs from a manifest: the same bytes as HLS, for DASH
// players.
//
// MPD and Standard use the edge's virtual segment URLs (SegmentTemplate and
// SegmentTimeline, DASH-3), OnDemand the track files beside it (SegmentBase).
// XML and types are dash-mpd's; nothing here is written past it.
package dash
