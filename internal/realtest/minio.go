package realtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const minioRegion = "us-east-1"

var sharedMinIO shared[*minioServer]

// MinIO returns the URL of an empty bucket, like
// s3://ACCESS:SECRET@127.0.0.1:9000/bucket?region=us-east-1&tls=false. The server is
// shared by the tests of one program; the bucket is the caller's own unless
// MELODYUD_TEST_S3 names one. The program is MELODYUD_MINIO, or minio in PATH, or
// .cache/minio at the root of the repository.
func MinIO(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("MELODYUD_TEST_S3"); url != "" {
		return url
	}
	program := minioProgram()
	if program == "" {
		missing(t, "minio is not installed: name it in MELODYUD_MINIO or put it at .cache/minio")
	}
	s := sharedMinIO.use(t, func() (*minioServer, error) { return newMinIO(program) })
	url, err := s.create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// MinIOAlone returns bucketURL, of MinIO, with temporary credentials that reach
// nothing but its bucket: what a bucket that others put into should have.
func MinIOAlone(t testing.TB, bucketURL string) string {
	t.Helper()
	u, err := url.Parse(bucketURL)
	if err != nil {
		t.Fatal(err)
	}
	bucket := strings.Trim(u.Path, "/")
	secret, _ := u.User.Password()
	sts, err := credentials.NewSTSAssumeRole("http://"+u.Host, credentials.STSAssumeRoleOptions{
		AccessKey: u.User.Username(), SecretKey: secret, Location: minioRegion, DurationSeconds: 3600,
		Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],` +
			`"Resource":["arn:aws:s3:::` + bucket + `","arn:aws:s3:::` + bucket + `/*"]}]}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	own, err := sts.GetWithContext(&credentials.CredContext{Client: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatalf("temporary credentials: %v", err)
	}
	query := u.Query()
	query.Set("token", own.SessionToken)
	u.User, u.RawQuery = url.UserPassword(own.AccessKeyID, own.SecretAccessKey), query.Encode()
	return u.String()
}

type minioServer struct {
	p              *process
	access, secret string
}

func newMinIO(program string) (*minioServer, error) {
	dir, err := os.MkdirTemp("", "melodyud-minio-")
	if err != nil {
		return nil, err
	}
	s := &minioServer{access: "a" + strings.ToLower(rand.Text()[:15]), secret: rand.Text()}
	s.p = &process{name: "minio", dir: dir, quit: syscall.SIGTERM, ready: pingMinIO,
		env: []string{"MINIO_ROOT_USER=" + s.access, "MINIO_ROOT_PASSWORD=" + s.secret,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME=" + dir},
		args: func(port int) []string {
			return []string{program, "server", dir + "/data", "--address", host(port), "--quiet"}
		}}
	if err := s.p.begin(); err != nil {
		return nil, fmt.Errorf("%w (%v)", err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *minioServer) close() {
	s.p.stop(syscall.SIGKILL)
	_ = os.RemoveAll(s.p.dir)
}

// create makes a bucket and returns its URL.
func (s *minioServer) create(ctx context.Context) (string, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	c, err := minio.New(host(s.p.port), &minio.Options{
		Creds: credentials.NewStaticV4(s.access, s.secret, ""), Region: minioRegion, Transport: transport,
	})
	if err != nil {
		return "", err
	}
	bucket := "t" + strings.ToLower(rand.Text())
	if err := c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: minioRegion}); err != nil {
		return "", fmt.Errorf("create bucket: %w", err)
	}
	return fmt.Sprintf("s3://%s:%s@%s/%s?region=%s&tls=false", s.access, s.secret, host(s.p.port), bucket, minioRegion), nil
}

func pingMinIO(ctx context.Context, port int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host(port)+"/minio/health/ready", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("minio is not ready: %s", response.Status)
	}
	return nil
}

func minioProgram() string {
	if path := os.Getenv("MELODYUD_MINIO"); path != "" {
		return path
	}
	if path, err := exec.LookPath("minio"); err == nil {
		return path
	}
	path := filepath.Join(root(), ".cache", "minio")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// root walks up to the directory that holds go.mod.
func root() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for at := dir; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		}
	}
	return dir
}
