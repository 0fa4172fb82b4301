// Package dir keeps objects as files of one directory: the default object store.
// The key media/x/flac.mp4 is the file media/x/flac.mp4, so any static server or
// backup tool can read the tree.
//
// A Put is written to ~tmp/ ("~" cannot be in a key), synced, and only then moved
// to its name, and it returns after every directory on the way has been synced. Several
// processes may share one directory. Two limits follow from files: an object a/b
// and an object a/b/c cannot both exist (the second is ErrInvalid), and content types are not kept.
package dir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

const (
	tempDir  = "~tmp"
	dirMode  = 0o750
	fileMode = 0o640
)

// Config says where the objects are and who may be sent to them directly.
type Config struct {
	// Path is the directory; it is made when absent. Required.
	Path string
	// BaseURL is where Handler is reachable, such as "https://music.example/objects".
	// Empty: Presign refuses and Handler answers 404.
	BaseURL string
	// Secret signs presigned URLs; all processes sharing BaseURL need the same one, at
	// least 16 bytes. Empty: a random one, so URLs end with the process.
	Secret []byte
	// MaxPut bounds the body of a presigned PUT, in bytes. Zero: 5 GiB, as on S3.
	MaxPut int64
	// Abandoned is the age at which Open removes a temporary file as left by a dead
	// process. Zero: 24 h.
	Abandoned time.Duration
	// Now is the clock for expiry and abandonment. Nil: time.Now.
	Now func() time.Time
}

// Store is an objectstore.Store and objectstore.Presigner on a directory.
type Store struct {
	cfg  Config
	root *os.Root // nothing, not even a symbolic link, leads out of it
	base *url.URL // nil without BaseURL

	buffers sync.Pool // of *[]byte with copyBuffer bytes, for Append
}

// Open opens the store, making the directory when absent and sweeping abandoned
// temporary files. Close it after use.
func Open(cfg Config) (*Store, error) {
	base, err := complete(&cfg)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Path, dirMode); err != nil {
		return nil, translate("open object directory", cfg.Path, err)
	}
	root, err := os.OpenRoot(cfg.Path)
	if err != nil {
		return nil, translate("open object directory", cfg.Path, err)
	}
	s := &Store{cfg: cfg, root: root, base: base}
	s.buffers.New = func() any { b := make([]byte, copyBuffer); return &b }
	if err := s.sweep(); err != nil {
		return nil, errors.Join(translate("sweep object directory", cfg.Path, err), root.Close())
	}
	return s, nil
}

// Close releases the directory; readers that are still open stay valid.
func (s *Store) Close() error { return s.root.Close() }

func complete(cfg *Config) (*url.URL, error) {
	if cfg.Path == "" {
		return nil, fmt.Errorf("%w: the object directory has no path", melodyud.ErrInvalid)
	}
	if cfg.MaxPut == 0 {
		cfg.MaxPut = 5 << 30
	}
	if cfg.Abandoned == 0 {
		cfg.Abandoned = 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Secret) == 0 {
		cfg.Secret = make([]byte, 32)
		_, _ = rand.Read(cfg.Secret) // never fails: crypto/rand aborts the process instead
	}
	if len(cfg.Secret) < 16 {
		return nil, fmt.Errorf("%w: the secret for presigned URLs needs at least 16 bytes, it has %d", melodyud.ErrInvalid, len(cfg.Secret))
	}
	return parseBase(cfg.BaseURL)
}

func parseBase(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.TrimRight(s, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%w: base URL %q of the object directory: want http(s)://host/path", melodyud.ErrInvalid, s)
	}
	return u, nil
}

// sweep makes the temporary directory and removes what died in it.
func (s *Store) sweep() error {
	if err := s.root.Mkdir(tempDir, dirMode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	d, err := s.root.Open(tempDir)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.sweepOne(tempDir + "/" + name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *Store) sweepOne(name string) error {
	fi, err := s.root.Lstat(name)
	if err != nil || s.cfg.Now().Sub(fi.ModTime()) < s.cfg.Abandoned {
		return err
	}
	return s.root.Remove(name)
}
