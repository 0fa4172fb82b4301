package realtest_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/realtest"
)

// suicidal tells a copy of the test program to be killed while its server runs.
const suicidal = "MELODYUD_REALTEST_SUICIDAL"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAServerDiesWithATestProgramThatIsKilled(t *testing.T) {
	t.Parallel()
	if os.Getenv(suicidal) != "" {
		fmt.Println(realtest.StartRedis(t).URL)
		must(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
		select {}
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), suicidal+"=1")
	out, err := child.Output()
	if err == nil {
		t.Fatalf("the child was not killed: %s", out)
	}
	where, err := url.Parse(strings.TrimSpace(string(out)))
	if err != nil || where.Host == "" {
		t.Fatalf("no server was started: %s", out)
	}
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", where.Host)
		if err != nil {
			return
		}
		_ = c.Close()
		if time.Now().After(late) {
			t.Fatalf("the server on %s lives on", where.Host)
		}
	}
}

func TestAnotherServerMayBeNamed(t *testing.T) {
	other := realtest.StartPostgres(t)
	t.Setenv("MELODYUD_TEST_POSTGRES", other.URL)
	run(t, other.URL, "CREATE TABLE theirs (n BIGINT)")
	run(t, realtest.Postgres(t), "CREATE TABLE theirs (n BIGINT)")
	t.Setenv("MELODYUD_TEST_REDIS", "redis://example.net")
	t.Setenv("MELODYUD_TEST_S3", "s3://example.net/b")
	if realtest.Redis(t) != "redis://example.net" || realtest.MinIO(t) != "s3://example.net/b" {
		t.Error("a named server is not used")
	}
}

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
	run(t, s.URL, "CREATE TABLE kept (n BIGINT)")
	s.Stop()
	s.Start()
	run(t, s.URL, "INSERT INTO kept VALUES (1)")
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

func run(t *testing.T, url, statement string) {
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
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
