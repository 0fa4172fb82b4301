package ingest

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // tus names it; it guards against accidents, not attackers
	"crypto/sha1" //nolint:gosec // mandatory in tus
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"io"
	"strings"
)

// algorithms are those of the checksum extension; sha1 is mandatory.
const algorithms = "sha1,sha256,md5,crc32"

// checksum is the sum of one chunk as its sender computed it. A nil checksum
// agrees with everything.
type checksum struct {
	want []byte
	have hash.Hash
}

// parseChecksum reads "sha1 <base64>". Unknown names and malformed sums are refused.
func parseChecksum(header string) (*checksum, error) {
	name, sum, ok := strings.Cut(header, " ")
	h := newHash(name)
	if !ok || h == nil {
		return nil, errSumForm
	}
	want, err := base64.StdEncoding.DecodeString(sum)
	if err != nil || len(want) != h.Size() {
		return nil, errSumForm
	}
	return &checksum{want: want, have: h}, nil
}

func newHash(name string) hash.Hash {
	switch name {
	case "sha1":
		return sha1.New() //nolint:gosec // see above
	case "sha256":
		return sha256.New()
	case "md5":
		return md5.New() //nolint:gosec // see above
	case "crc32":
		return crc32.NewIEEE() // big endian, as RFC 1952's polynomial is usually written
	}
	return nil
}

func (c *checksum) write(p []byte) {
	if c != nil {
		c.have.Write(p)
	}
}

// verdict says whether the chunk may be stored, now that its body goes on (ended
// is nil), is over (io.EOF) or broke off: what could not be checked is not applied
// (TUS-1).
func (c *checksum) verdict(ended error) error {
	switch {
	case c == nil || ended == nil:
		return nil
	case ended != io.EOF:
		return ended
	case !bytes.Equal(c.have.Sum(nil), c.want):
		return errSum
	}
	return nil
}
