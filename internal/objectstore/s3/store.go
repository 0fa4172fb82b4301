// Package s3 keeps objects in a bucket of MinIO, Ceph or any other S3.
//
// Parts are read whole into memory before they are sent (at most PartSize per Put), so
// every request can be repeated, a reader's failure never looks like its end, and an
// object that fits one part is one request.
package s3

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	// PartSize is the memory a Put may need, and times 10,000 parts the largest object.
	PartSize = 16 << 20

	maxParts = 10_000
	attempts = 4 // of each request, with growing pauses of up to a second
	patience = 10 * time.Second
	again    = 250 * time.Millisecond
)

// Store is an objectstore.Store and objectstore.Presigner on one bucket.
type Store struct {
	core      minio.Core
	signer    *minio.Client // makes addresses for others
	bucket    string
	transport *http.Transport
}

// Open opens the bucket of a URL:
//
//	s3://ACCESS:SECRET@host:port/bucket?tls=false&region=us-east-1&lookup=path&token=…&public=https://s3.example.org
//
// Access and secret are percent-encoded where they hold characters like "/"; without
// them they come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN. tls defaults to true; region to what the server says; lookup (path,
// dns) to what suits the host. token goes with temporary credentials. public is where
// others reach the server, for presigned URLs; default host. A missing bucket is created where that is allowed.
// Open waits up to 10 s for a server that is still starting; then the error is
// ErrUnavailable. A wrong URL is ErrInvalid. No error shows the secret.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	a, err := parse(rawURL, os.Getenv)
	if err != nil {
		return nil, err
	}
	s := &Store{bucket: a.bucket, transport: newTransport()}
	options := minio.Options{
		Creds:        credentials.NewStaticV4(a.access, a.secret, a.token),
		Secure:       a.tls,
		Region:       a.region,
		BucketLookup: a.lookup,
		Transport:    s.transport,
		MaxRetries:   attempts,
	}
	client, err := minio.New(a.host, &options)
	if err != nil {
		return nil, fmt.Errorf("%w: object store %s: %w", melodyud.ErrInvalid, a, err)
	}
	s.core, s.signer = minio.Core{Client: client}, client
	if a.public != nil {
		options.Secure = a.public.Scheme == "https"
		options.Region = cmp.Or(a.region, "us-east-1") // or it would ask the public address for it
		if s.signer, err = minio.New(a.public.Host, &options); err != nil {
			return nil, fmt.Errorf("%w: public address of %s: %w", melodyud.ErrInvalid, a, err)
		}
	}
	if err := s.reach(ctx, a); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close drops the connections that are idle. Readers stay valid.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true, // bytes are stored as they are sent
	}
}

// reach waits for the server and makes sure of the bucket.
func (s *Store) reach(ctx context.Context, a address) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	var last error
	for {
		err := s.ensure(ctx)
		if err == nil {
			return nil
		}
		var refused *bucketError
		if errors.As(err, &refused) {
			return fmt.Errorf("object store %s: %w: %w", a, melodyud.ErrUnavailable, err)
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("object store %s: %w: no answer within %s; is it running there, and is tls=%t right? %w",
				a, melodyud.ErrUnavailable, time.Since(began).Round(time.Second), a.tls, last)
		case <-time.After(again):
		}
	}
}

// bucketError is an answer of the server that waiting does not change.
type bucketError struct {
	advice string
	cause  error
}

func (e *bucketError) Error() string { return e.advice + ": " + e.cause.Error() }
func (e *bucketError) Unwrap() error { return e.cause }

func (s *Store) ensure(ctx context.Context) error {
	found, err := s.core.BucketExists(ctx, s.bucket)
	if found && err == nil {
		return nil
	}
	if err != nil {
		return refusal("the bucket cannot be looked at: check access key, secret and the right s3:ListBucket", err)
	}
	err = s.core.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{})
	if answerOf(err).Code == minio.BucketAlreadyOwnedByYou {
		return nil // another process was first
	}
	return refusal("the bucket does not exist and cannot be created: create it, or allow s3:CreateBucket", err)
}

// refusal tells an answer from the lack of one.
func refusal(advice string, err error) error {
	if status := answerOf(err).StatusCode; err != nil && status >= 400 && status < 500 {
		return &bucketError{advice, err}
	}
	return err
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return objectstore.Info{}, err
	}
	o, err := s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return objectstore.Info{}, translate(ctx, "stat object", key, err)
	}
	return objectstore.Info{Key: key, Size: o.Size, Modified: o.LastModified}, nil
}
