package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/cors"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const partsPage = 1000

// BeginParts implements objectstore.Multipart.
func (s *Store) BeginParts(ctx context.Context, key string) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, key, minio.PutObjectOptions{ContentType: "application/octet-stream"})
	return id, partError(ctx, "begin parts of", key, err)
}

// SignPart implements objectstore.Multipart. The length is among the signed headers,
// so the address takes no other body. Whoever has it can still make a server without
// the usual check copy an object that this store's key may read (A12): the key must
// read nothing but the bucket.
func (s *Store) SignPart(ctx context.Context, key, id string, number int, size int64, ttl time.Duration) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	if number < 1 || number > maxParts || size < 1 || ttl < minTTL || ttl > maxTTL {
		return "", fmt.Errorf("%w: address of part %d of %d bytes for %s", melodyud.ErrInvalid, number, size, ttl)
	}
	query := url.Values{"partNumber": {strconv.Itoa(number)}, "uploadId": {id}}
	header := http.Header{"Content-Length": {strconv.FormatInt(size, 10)}}
	u, err := s.signer.PresignHeader(ctx, http.MethodPut, s.bucket, key, ttl, query, header)
	if err != nil {
		return "", translate(ctx, "presign part of", key, err)
	}
	return u.String(), nil
}

// Parts implements objectstore.Multipart.
func (s *Store) Parts(ctx context.Context, key, id string) ([]objectstore.Part, error) {
	var all []objectstore.Part
	for marker := 0; ; {
		page, err := s.core.ListObjectParts(ctx, s.bucket, key, id, marker, partsPage)
		if err != nil {
			return nil, partError(ctx, "list parts of", key, err)
		}
		for _, p := range page.ObjectParts {
			all = append(all, objectstore.Part{Number: p.PartNumber, Size: p.Size, ETag: strings.Trim(p.ETag, `"`)})
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return all, nil
		}
		marker = page.NextPartNumberMarker
	}
}

// JoinParts implements objectstore.Multipart.
func (s *Store) JoinParts(ctx context.Context, key, id string, parts []objectstore.Part) (objectstore.Info, error) {
	named := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		named[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag}
	}
	_, err := s.core.CompleteMultipartUpload(ctx, s.bucket, key, id, named, minio.PutObjectOptions{})
	if err != nil {
		return objectstore.Info{}, partError(ctx, "join parts of", key, err)
	}
	return s.written(ctx, key)
}

// DropParts implements objectstore.Multipart.
func (s *Store) DropParts(ctx context.Context, key, id string) error {
	err := partError(ctx, "drop parts of", key, s.core.AbortMultipartUpload(ctx, s.bucket, key, id))
	if errors.Is(err, melodyud.ErrNotFound) {
		return nil
	}
	return err
}

// partKinds are the answers that only parts get.
var partKinds = map[string]error{
	minio.NoSuchUpload:   melodyud.ErrNotFound,
	minio.InvalidPart:    melodyud.ErrInvalid,
	"InvalidPartOrder":   melodyud.ErrInvalid,
	minio.EntityTooSmall: melodyud.ErrInvalid,
}

func partError(ctx context.Context, doing, key string, err error) error {
	if kind := partKinds[answerOf(err).Code]; kind != nil {
		return fmt.Errorf("%s %s: %w: %w", doing, key, kind, err)
	}
	return translate(ctx, doing, key, err)
}

// Reads reports whether this store's key can read objects of another store's
// bucket, or list them. It asks this store's server: what another server holds is out
// of the key's reach. It puts a probe below prefix there and deletes it.
func (s *Store) Reads(ctx context.Context, other *Store, prefix string) (bool, error) {
	if s.core.EndpointURL().Host != other.core.EndpointURL().Host {
		return false, nil
	}
	if s.bucket == other.bucket {
		return true, nil
	}
	probe := prefix + "probe-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	if _, err := other.Put(ctx, probe, strings.NewReader("probe"), 5, objectstore.PutOptions{}); err != nil {
		return false, err
	}
	defer func() { _ = other.Delete(context.WithoutCancel(ctx), probe) }() // five bytes stay at worst
	_, err := s.core.StatObject(ctx, other.bucket, probe, minio.StatObjectOptions{})
	if err == nil {
		return true, nil
	}
	if answerOf(err).StatusCode != http.StatusForbidden {
		return false, translate(ctx, "look whether the key reads", other.bucket, err)
	}
	for o := range s.core.ListObjectsIter(ctx, other.bucket, minio.ListObjectsOptions{MaxKeys: 1, Recursive: true}) {
		return o.Err == nil, nil
	}
	return true, nil // it listed the bucket, and the probe is gone already
}

// TidyUp asks the server to drop parts and objects that are older than days by
// itself, and to let pages of other sites read ETags. Either may not be allowed or
// not be known to the server; then the error says which.
func (s *Store) TidyUp(ctx context.Context, days int) error {
	rules := lifecycle.NewConfiguration()
	rules.Rules = []lifecycle.Rule{{
		ID: "melodyud-abandoned", Status: "Enabled",
		AbortIncompleteMultipartUpload: lifecycle.AbortIncompleteMultipartUpload{DaysAfterInitiation: lifecycle.ExpirationDays(days)},
		Expiration:                     lifecycle.Expiration{Days: lifecycle.ExpirationDays(days)},
	}}
	err := s.core.SetBucketLifecycle(ctx, s.bucket, rules)
	if err != nil {
		err = fmt.Errorf("set lifecycle rule: %w", err)
	}
	sharing := cors.NewConfig([]cors.Rule{{
		AllowedOrigin: []string{"*"}, AllowedMethod: []string{http.MethodPut}, AllowedHeader: []string{"*"}, ExposeHeader: []string{"ETag"}, MaxAgeSeconds: 86400,
	}})
	if failed := s.core.SetBucketCors(ctx, s.bucket, sharing); failed != nil {
		err = errors.Join(err, fmt.Errorf("set CORS: %w", failed))
	}
	return err
}
