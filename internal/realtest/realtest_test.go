package realtest_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestARedisForgetsWhenItIsKilledAndKeepsItsPort(t *testing.T) {
	t.Parallel()
	s := realtest.StartRedis(t)
	c := dial(t, s.URL)
	set(t, c)
	s.FlushAll()
	wantGone(t, c)
	set(t, c)
	s.Kill()
	s.Start()
	wantGone(t, c)
}

func TestARedisPersistsWhenAsked(t *testing.T) {
	t.Parallel()
	s := realtest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	c := dial(t, s.URL)
	set(t, c)
	s.Stop()
	s.Start()
	if err := c.Get(t.Context(), "k").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAFrozenRedisAnswersNothingUntilItThaws(t *testing.T) {
	t.Parallel()
	s := realtest.StartRedis(t)
	c := dial(t, s.URL)
	set(t, c)
	s.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Get(ctx, "k").Err(); err == nil {
		t.Fatal("a frozen server answered")
	}
	s.Thaw()
	if err := c.Get(t.Context(), "k").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestEachCallerGetsAnEmptyPostgresOfItsOwn(t *testing.T) {
	t.Parallel()
	for range 2 {
		c, err := pgx.Connect(t.Context(), realtest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "CREATE TABLE only_once (n BIGINT)"); err != nil {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAPostgresComesBackWithItsRows(t *testing.T) {
	t.Parallel()
	s := realtest.StartPostgres(t)
	exec(t, s.URL, "CREATE TABLE kept (n BIGINT)")
	s.Stop()
	s.Start()
	exec(t, s.URL, "INSERT INTO kept VALUES (1)")
}

func TestEachCallerGetsABucketOfItsOwn(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(realtest.MinIO(t))
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	c, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(u.User.Username(), secret, ""), Region: u.Query().Get("region"),
	})
	if err != nil {
		t.Fatal(err)
	}
	bucket := strings.Trim(u.Path, "/")
	_, err = c.PutObject(t.Context(), bucket, "hello", strings.NewReader("hello"), 5, minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if realtest.MinIO(t) == u.String() {
		t.Fatal("the same bucket twice")
	}
}

func exec(t *testing.T, url, statement string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func set(t *testing.T, c *redis.Client) {
	t.Helper()
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func wantGone(t *testing.T, c *redis.Client) {
	t.Helper()
	if err := c.Get(t.Context(), "k").Err(); err != redis.Nil {
		t.Fatalf("want nothing, got %v", err)
	}
}
