// Package offline is the form of a track file that a listener keeps: encrypted in
// chunks, so that it can be fetched in parts and decrypted while it plays, and
// authenticated, so that no changed or missing byte goes unnoticed (HLS-94).
//
//	header   24 bytes: "MUDOFF1\n", chunk size (uint32), 0 (uint32), clear size (uint64)
//	chunk i  AES-256-GCM of clear bytes [i*65536, (i+1)*65536), and 16 bytes of tag
//
// Numbers are big-endian. The nonce of chunk i is 0 (uint32) and i (uint64); the
// header is authenticated with every chunk. The same key is never used for two
// contents, so the same key and content always give the same bytes: parts fetched
// at different times fit together.
package offline

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	melodyud "github.com/melodyud/melodyud"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	magic      = "MUDOFF1\n"
	headerSize = 24
	chunkSize  = 64 << 10
	tagSize    = 16
	sealedSize = chunkSize + tagSize
	largest    = 1 << 40 // bytes of a file we believe in
)

// Size returns how many bytes a file of clear bytes takes encrypted.
func Size(clear int64) int64 {
	chunks := (clear + chunkSize - 1) / chunkSize
	return headerSize + clear + chunks*tagSize
}

func header(clear int64) []byte {
	h := append([]byte(magic), make([]byte, headerSize-len(magic))...)
	binary.BigEndian.PutUint32(h[8:], chunkSize)
	binary.BigEndian.PutUint64(h[16:], uint64(clear))
	return h
}

func clearSize(h []byte) (int64, error) {
	size := int64(binary.BigEndian.Uint64(h[16:]))
	if size <= 0 || size > largest || !bytes.Equal(h, header(size)) {
		return 0, errForm
	}
	return size, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("%w: an offline key has %d bytes, not %d", melodyud.ErrInvalid, KeySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(chunk int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(chunk))
}

// The refusals of a Reader.
var (
	errForm = melodyud.Refuse(melodyud.ErrInvalid, "offline.form",
		"This is no file for listening offline, or it is of a newer version.")
	errDamaged = melodyud.Refuse(melodyud.ErrInvalid, "offline.damaged",
		"This file is damaged, incomplete or was made for another device. Fetch it again.")
)

// sealer encrypts a file where it is read, and keeps the last chunk.
type sealer struct {
	clear io.ReadSeeker
	size  int64 // of the clear file
	head  []byte
	gcm   cipher.AEAD
	chunk int64 // in out; -1: none
	plain []byte
	out   []byte
}

// Seal returns the encrypted form of the size bytes that clear holds from its
// position 0, made as it is read, for one caller at a time. The key must be of this
// content alone.
func Seal(clear io.ReadSeeker, size int64, key []byte) (*io.SectionReader, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	if size <= 0 || size > largest {
		return nil, fmt.Errorf("%w: offline file of %d bytes", melodyud.ErrInvalid, size)
	}
	s := &sealer{clear: clear, size: size, head: header(size), gcm: gcm, chunk: -1}
	return io.NewSectionReader(s, 0, Size(size)), nil
}

// ReadAt implements io.ReaderAt.
func (s *sealer) ReadAt(p []byte, off int64) (n int, err error) {
	if off < headerSize {
		n = copy(p, s.head[off:])
		off += int64(n)
	}
	for n < len(p) && off < Size(s.size) {
		i := (off - headerSize) / sealedSize
		if err := s.seal(i); err != nil {
			return n, err
		}
		took := copy(p[n:], s.out[off-headerSize-i*sealedSize:])
		n, off = n+took, off+int64(took)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// seal makes chunk i the one at hand.
func (s *sealer) seal(i int64) error {
	if s.chunk == i {
		return nil
	}
	s.chunk = -1
	if _, err := s.clear.Seek(i*chunkSize, io.SeekStart); err != nil {
		return err
	}
	if s.plain == nil {
		s.plain = make([]byte, min(chunkSize, s.size))
	}
	plain := s.plain[:min(chunkSize, s.size-i*chunkSize)]
	if _, err := io.ReadFull(s.clear, plain); err != nil {
		return fmt.Errorf("read chunk %d: %w", i, err)
	}
	s.out = s.gcm.Seal(s.out[:0], nonce(i), plain, s.head)
	s.chunk = i
	return nil
}

// opener decrypts a file where it is asked to, and keeps the last chunk.
type opener struct {
	sealed io.ReaderAt
	size   int64 // of the clear file
	head   []byte
	gcm    cipher.AEAD

	mu    sync.Mutex
	chunk int64 // in clear; -1: none
	room  []byte
	clear []byte // within room
}

// Open returns the clear content of an encrypted file, decrypted where it is read.
// What is no such file, is damaged or has another key is a Refusal of kind
// ErrInvalid, at the latest when the damaged part is read.
func Open(sealed io.ReaderAt, key []byte) (*io.SectionReader, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	head := make([]byte, headerSize)
	if _, err := sealed.ReadAt(head, 0); err != nil {
		return nil, errForm.Because(err)
	}
	size, err := clearSize(head)
	if err != nil {
		return nil, err
	}
	o := &opener{sealed: sealed, size: size, head: head, gcm: gcm, chunk: -1, room: make([]byte, sealedSize)}
	return io.NewSectionReader(o, 0, size), nil
}

// ReadAt implements io.ReaderAt.
func (o *opener) ReadAt(p []byte, off int64) (n int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n < len(p) && off < o.size {
		i := off / chunkSize
		if err := o.open(i); err != nil {
			return n, err
		}
		took := copy(p[n:], o.clear[off-i*chunkSize:])
		n, off = n+took, off+int64(took)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// open makes chunk i the one at hand.
func (o *opener) open(i int64) error {
	if o.chunk == i {
		return nil
	}
	o.chunk = -1
	sealed := o.room[:min(chunkSize, o.size-i*chunkSize)+tagSize]
	if n, err := o.sealed.ReadAt(sealed, headerSize+i*sealedSize); n < len(sealed) {
		return errDamaged.Because(err)
	}
	clear, err := o.gcm.Open(sealed[:0], nonce(i), sealed, o.head)
	if err != nil {
		return errDamaged.Because(err)
	}
	o.chunk, o.clear = i, clear
	return nil
}
