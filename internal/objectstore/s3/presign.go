package s3

import (
	"context"
	"fmt"
	"net/http"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	minTTL = time.Second
	maxTTL = 7 * 24 * time.Hour
)

// Presign signs with this store's own key. On some servers a presigned PUT can be
// turned into a copy of any object that key may read (A12): give PUT URLs only to
// parts of the platform itself.
func (s *Store) Presign(ctx context.Context, method, key string, ttl time.Duration) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	if method != http.MethodGet && method != http.MethodPut {
		return "", fmt.Errorf("%w: presign %s: only GET and PUT can be presigned", melodyud.ErrInvalid, method)
	}
	if ttl < minTTL || ttl > maxTTL {
		return "", fmt.Errorf("%w: presign for %s: want 1 s to 7 days", melodyud.ErrInvalid, ttl)
	}
	u, err := s.signer.Presign(ctx, method, s.bucket, key, ttl, nil)
	if err != nil {
		return "", translate(ctx, "presign object", key, err)
	}
	return u.String(), nil
}
