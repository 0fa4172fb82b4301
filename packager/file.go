package packager

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// temporary is what the names of unfinished files look like.
var temporary = regexp.MustCompile(`^\.[a-z0-9-]+(\.(mp4|m3u8|mpd|json))?\.[0-9]+\.tmp$`)

// removeLeftovers removes unfinished files from dir and nothing else.
func removeLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && temporary.MatchString(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// writeFile makes name in dir from what write gives, under a temporary name until
// it is whole. It returns size and SHA-256.
func writeFile(dir, name string, write func(io.Writer) error) (size int64, sum string, err error) {
	f, err := os.CreateTemp(dir, "."+name+".*.tmp")
	if err != nil {
		return 0, "", fmt.Errorf("write %s: %w", name, err)
	}
	h := sha256.New()
	n := &counter{w: io.MultiWriter(f, h)}
	err = write(n)
	if err == nil {
		err = f.Chmod(0o644)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return 0, "", fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	return n.size, hex.EncodeToString(h.Sum(nil)), nil
}

// writeBytes is writeFile for content already made.
func writeBytes(dir, name string, content []byte) error {
	_, _, err := writeFile(dir, name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	return err
}

type counter struct {
	w    io.Writer
	size int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.size += int64(n)
	return n, err
}
