package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

var errFull = fmt.Errorf("%w: %w", melodyud.ErrUnavailable, objectstore.ErrFull)

// down are the conditions that pass, or that an operator must end: read-only,
// broken or out of descriptors.
var down = []syscall.Errno{
	syscall.EROFS, syscall.EIO,
	syscall.ESTALE, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
}

// translate gives err its kind and says what was being done to which key.
func translate(doing, key string, err error) error {
	kind := kindOf(err)
	switch {
	case err == nil:
		return nil
	case kind == nil:
		return fmt.Errorf("%s %s: %w", doing, key, err)
	}
	return fmt.Errorf("%s %s: %w: %w", doing, key, kind, err)
}

func kindOf(err error) error {
	if k := melodyud.Kind(err); k != nil {
		return nil // it has one
	}
	if errors.Is(err, fs.ErrNotExist) {
		return melodyud.ErrNotFound
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errFull
	}
	for _, e := range down {
		if errors.Is(err, e) {
			return melodyud.ErrUnavailable
		}
	}
	return nil
}
