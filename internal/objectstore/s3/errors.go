package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// kinds are the answers that say something of the request. Every other failure,
// denied access included, is the store's and may pass.
var kinds = map[string]error{
	minio.NoSuchKey:               melodyud.ErrNotFound,
	minio.PreconditionFailed:      melodyud.ErrConflict,
	conditionalRequestConflict:    melodyud.ErrConflict,
	minio.InvalidRange:            melodyud.ErrInvalid,
	keyTooLong:                    melodyud.ErrInvalid,
	minio.XMinioInvalidObjectName: melodyud.ErrInvalid,
	parentIsObject:                melodyud.ErrInvalid,
	objectExistsAsDirectory:       melodyud.ErrInvalid,
	minio.EntityTooLarge:          melodyud.ErrTooLarge,
}

const (
	conditionalRequestConflict = "ConditionalRequestConflict" // a racing writer is being served
	keyTooLong                 = "KeyTooLongError"
	parentIsObject             = "XMinioParentIsObject"
	objectExistsAsDirectory    = "XMinioObjectExistsAsDirectory"
)

// answerOf finds the server's answer in err's chain, where the client library looks
// at err alone. It is zero when there was no answer.
func answerOf(err error) (answer minio.ErrorResponse) {
	errors.As(err, &answer)
	return answer
}

// translate gives err its kind, unless it is the caller's own cancellation.
func translate(ctx context.Context, doing, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", doing, key, context.Cause(ctx))
	case melodyud.Kind(err) != nil:
		return fmt.Errorf("%s %s: %w", doing, key, err)
	}
	answer := answerOf(err)
	kind := kinds[answer.Code]
	if kind == nil && answer.StatusCode == http.StatusPreconditionFailed {
		kind = melodyud.ErrConflict
	}
	if answer.StatusCode == http.StatusInsufficientStorage {
		kind = fmt.Errorf("%w: %w", melodyud.ErrUnavailable, objectstore.ErrFull)
	}
	if kind == nil {
		kind = melodyud.ErrUnavailable
	}
	return fmt.Errorf("%s %s: %w: %w", doing, key, kind, err)
}
