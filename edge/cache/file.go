package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"
)

// id names a block on disk. Blocks of other sizes have other ids.
type id [16]byte

func idOf(b block, blockSize int64) (i id) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%d", b.key, b.index, blockSize)
	copy(i[:], h.Sum(nil))
	return i
}

func (i id) fingerprint() uint64 { return binary.LittleEndian.Uint64(i[:]) }

// fileName is where a block of n bytes is, below the tier's directory. It tells all
// the index needs.
func (i id) fileName(n int32) string {
	s := hex.EncodeToString(i[:])
	return s[:2] + "/" + s + "." + strconv.Itoa(int(n))
}

func parseFileName(name string) (i id, n int32, ok bool) {
	digits, size, _ := strings.Cut(name, ".")
	raw, err1 := hex.DecodeString(digits)
	v, err2 := strconv.ParseInt(size, 10, 32)
	if err1 != nil || err2 != nil || len(raw) != len(i) || v < 1 {
		return i, 0, false
	}
	copy(i[:], raw)
	return i, int32(v), strings.HasSuffix(i.fileName(int32(v)), "/"+name)
}

// onDisk is what a block of n bytes takes, in whole pages of the file system.
func onDisk(n int64) int64 { return (n + trailerRoom + 4095) &^ 4095 }

const (
	magic       = "MUDBLOCK1\n"
	trailerRoom = 256
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errCorrupt = errors.New("not what was written")

// trailer follows a block's bytes: what block it is, and the sum of all before.
func trailer(b block, e *entry) []byte {
	t := fmt.Appendf(nil, "%s%s\n%d\n%d\n", magic, b.key, b.index, e.size)
	sum := crc32.Update(crc32.Checksum(e.data, castagnoli), castagnoli, t)
	return binary.BigEndian.AppendUint32(t, sum)
}

// writeBlock writes a block to a file of another name first, so that nobody finds
// half of it. Nothing is synced: what a crash leaves damaged is found when it is read.
func writeBlock(path string, b block, e *entry) error {
	f, err := os.OpenFile(path+tempSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(e.data)
	if err == nil {
		_, err = f.Write(trailer(b, e))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+tempSuffix, path)
	}
	if err != nil {
		_ = os.Remove(path + tempSuffix)
	}
	return err
}

const tempSuffix = ".new"

// readBlock fills data with the block of a file, or finds that it is not in it.
func readBlock(path string, b block, e *entry) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.ReadFull(f, e.data); err != nil {
		return fmt.Errorf("%w: %w", errCorrupt, err)
	}
	rest, err := io.ReadAll(io.LimitReader(f, 2*trailerRoom))
	if err != nil {
		return err
	}
	if string(rest) != string(trailer(b, e)) {
		return errCorrupt
	}
	return nil
}
