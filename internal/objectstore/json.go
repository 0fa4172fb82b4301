package objectstore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// opener is the part of a Store that reads.
type opener interface {
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error)
}

// ReadJSON decodes an object of JSON into out. One of more than limit bytes is an error.
func ReadJSON(ctx context.Context, store opener, key string, limit int64, out any) error {
	body, info, err := store.Open(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("open %s: %w", key, err)
	}
	defer body.Close()
	if info.Size > limit {
		return fmt.Errorf("%s has %d bytes", key, info.Size)
	}
	if err := json.NewDecoder(io.LimitReader(body, limit)).Decode(out); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}
