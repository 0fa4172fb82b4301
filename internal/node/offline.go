package node

import (
	"io"

	"github.com/melodyud/melodyud/internal/offline"
)

// OpenOffline returns the clear track file in an encrypted one, decrypted where it
// is read. What is damaged or has another key is a *melodyud.Refusal, at the latest
// when the damaged part is read.
func OpenOffline(sealed io.ReaderAt, key []byte) (*io.SectionReader, error) {
	return offline.Open(sealed, key)
}
