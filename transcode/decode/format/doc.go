// Package format reads the sound formats: it sniffs what a file is, finds what it
// says of itself and decodes it. It trusts no length, but it is not proof against
// everything a decoder may do with hostile bytes: run it inside the child of
// package decode, never in a service.
package format
