package edge

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/hls"
)

// runLength is how many segments share a key: about a minute of sound. It is part
// of what an address means and so no option.
const runLength = 15

// cbc encrypts the segments of one release as AES-128 of HLS (HLS-91). The same
// address always gives the same bytes, so caches and ranges work as ever.
type cbc struct {
	keys   mediaKeys
	stream ticket.Stream
	last   int // the last run
}

// encrypted serves what is below the encrypted form's address.
func (e *Edge) encrypted(serve handler) handler {
	return func(w http.ResponseWriter, r *http.Request, p play) (err error) {
		if p.cipher, err = e.cipherOf(streamOf(r), len(p.manifest.Segments)); err != nil {
			return err
		}
		return serve(w, r, p)
	}
}

// cipherOf returns how a stream of so many segments is encrypted; one with a secret
// we do not have is not there.
func (e *Edge) cipherOf(s ticket.Stream, segments int) (*cbc, error) {
	if e.config.MediaKeys == nil {
		return nil, errGone
	}
	if _, known := e.config.MediaKeys.SegmentKey(s, 0); !known {
		return nil, errGone
	}
	return &cbc{keys: e.config.MediaKeys, stream: s, last: (segments - 1) / runLength}, nil
}

func streamOf(r *http.Request) ticket.Stream {
	return ticket.Stream{
		KeyID: r.PathValue("secret"), Track: melodyud.TrackID(r.PathValue("track")), Release: melodyud.ReleaseID(r.PathValue("release")),
	}
}

func (e *Edge) key(w http.ResponseWriter, r *http.Request, p play) error { return p.cipher.send(w, r) }

// send hands out the key of one run. It is as secret as the ticket: nobody keeps it
// (EDGE-13, HLS-94).
func (c *cbc) send(w http.ResponseWriter, r *http.Request) error {
	run, ok := numbered(r.PathValue("key"), ".key", c.last+1)
	if !ok {
		return errGone
	}
	key, ok := c.keys.SegmentKey(c.stream, run)
	if !ok {
		return errGone
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream") // HLS-81
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Length", strconv.Itoa(len(key)))
	_, _ = w.Write(key) // the listener may hang up
	return nil
}

// protection is how playlists tell of c; nil of nil.
func (c *cbc) protection() *hls.Protection {
	if c == nil {
		return nil
	}
	uri := func(run int) string { return strconv.Itoa(run) + ".key" }
	return &hls.Protection{
		Every: runLength,
		Keys: func(rendition string, run int) []hls.Key {
			iv, _ := c.keys.SegmentIV(c.stream, rendition, run) // the secret is known: see encrypted
			return []hls.Key{{Method: hls.AES128, URI: "../" + uri(run), IV: "0x" + hex.EncodeToString(iv)}}
		},
		Session: func(run int) []hls.Key { return []hls.Key{{Method: hls.AES128, URI: uri(run)}} },
	}
}

// segment is the shape of segment i of a rendition.
func (c *cbc) segment(rendition string, i int) (shape, error) {
	run := i / runLength
	key, known := c.keys.SegmentKey(c.stream, run)
	iv, _ := c.keys.SegmentIV(c.stream, rendition, run)
	if !known {
		return shape{}, errGone
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return shape{}, fmt.Errorf("key of run %d: %w", run, err)
	}
	return shape{
		tag: fmt.Sprintf("-%x", iv[:8]),
		apply: func(body io.ReadSeeker, length int64) (io.ReadSeeker, error) {
			return newCBC(body, length, block, iv), nil
		},
	}, nil
}

// padded is the length of n bytes with their PKCS7 padding, which is never empty
// (RFC 5652 §6.3).
func padded(n int64) int64 { return n + aes.BlockSize - n%aes.BlockSize }

const cbcChunk = 32 << 10 // bytes; a multiple of the block size

// newCBC returns the CBC form with PKCS7 padding of the size bytes of clear, for one
// caller at a time. Each block depends on all before it, so reading back begins
// anew.
func newCBC(clear io.ReadSeeker, size int64, block cipher.Block, iv []byte) *io.SectionReader {
	return io.NewSectionReader(&cbcForm{clear: clear, size: size, block: block, iv: iv}, 0, padded(size))
}

type cbcForm struct {
	clear io.ReadSeeker
	size  int64 // of clear
	block cipher.Block
	iv    []byte

	mode cipher.BlockMode // nil: begin anew
	made int64            // bytes made since the beginning
	room []byte
	out  []byte // the last of them, within room
}

// ReadAt implements io.ReaderAt.
func (c *cbcForm) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < padded(c.size) {
		if err := c.reach(off); err != nil {
			return n, err
		}
		took := copy(p[n:], c.out[int64(len(c.out))-(c.made-off):])
		n, off = n+took, off+int64(took)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// reach makes the chunk at hand the one that holds byte off.
func (c *cbcForm) reach(off int64) error {
	if c.mode == nil || off < c.made-int64(len(c.out)) {
		if err := c.begin(); err != nil {
			return err
		}
	}
	for off >= c.made {
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cbcForm) begin() error {
	if _, err := c.clear.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if c.room == nil {
		c.room = make([]byte, min(cbcChunk, padded(c.size)))
	}
	c.mode, c.made, c.out = cipher.NewCBCEncrypter(c.block, c.iv), 0, nil
	return nil
}

// next makes the next chunk.
func (c *cbcForm) next() error {
	take := min(int64(len(c.room)), c.size-c.made)
	if _, err := io.ReadFull(c.clear, c.room[:take]); err != nil {
		c.mode = nil
		return fmt.Errorf("read clear segment: %w", err)
	}
	end := take
	if rest := padded(c.size) - c.made; rest <= int64(len(c.room)) { // the last one, with the padding
		end = rest
		for i := take; i < end; i++ {
			c.room[i] = byte(end - take)
		}
	}
	c.out = c.room[:end]
	c.mode.CryptBlocks(c.out, c.out)
	c.made += end
	return nil
}
