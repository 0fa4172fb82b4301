package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// codeDuplicate is the server's for a file that is published already.
const codeDuplicate = "upload.duplicate"

// The answers of --duplicates.
const (
	duplicatesAsk     = "ask"
	duplicatesDiscard = "discard"
)

// describe returns what the server is told of a file: names, what it replaces, and
// what duplicates are told by.
func (cmd uploadCmd) describe(ctx context.Context, file string) (map[string]string, error) {
	sum, err := sum256(ctx, file)
	meta := map[string]string{
		"filename": filepath.Base(file), "title": cmd.Title, "artist": cmd.Artist, "album": cmd.Album,
		"replaces": cmd.Replaces, "sha256": sum,
	}
	if cmd.Duplicates != duplicatesAsk {
		meta["duplicates"] = cmd.Duplicates
	}
	return meta, err
}

// twin tells what to do about an upload that was refused because its file is
// published already: with discard that is as it should be.
func (cmd uploadCmd) twin(s std, file string, err error) (handled bool, _ error) {
	var p *problem
	if !errors.As(err, &p) || p.Code != codeDuplicate {
		return false, err
	}
	if cmd.Duplicates != duplicatesDiscard {
		return true, coded{exitRefused, p.Error() + " (--duplicates keep does, --duplicates discard passes over such files)"}
	}
	_, err = fmt.Fprintf(s.err, "%s: %s\n", file, p.Detail)
	return true, err
}

// sum256 returns a file's SHA-256 in hexadecimal.
func sum256(ctx context.Context, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	for {
		n, err := io.CopyN(hash, f, 16<<20)
		switch {
		case err == io.EOF:
			return hex.EncodeToString(hash.Sum(nil)), nil
		case err != nil:
			return "", err
		case ctx.Err() != nil:
			return "", ctx.Err()
		case n == 0:
			return "", io.ErrNoProgress
		}
	}
}
