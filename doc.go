// Package melodyud is the dictionary of the MelodyUD platform: the nouns
// (Track, Release, Rendition, Ladder), the facts about them (Event) and the one
// error vocabulary everybody speaks (the Err kinds and Refusal).
//
// It does no I/O and imports only the standard library. Every other package
// may import it; it imports none of them.
package melodyud
