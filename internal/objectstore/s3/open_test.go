package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestAWrongURLIsInvalidAndKeepsItsSecret(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	for _, u := range []string{
		"", "s3://", "http://a:hunter2@h/b", "s3://a:hunter2@h", "s3://a:hunter2@h/", "s3://a:hunter2@h/b/c", "s3://h/b", "s3://a@h/b",
		"s3://a:hunter2/x@h/b", "s3://a:hunter2%@h/b", "s3://a:hunter2@h/b?tsl=false", "s3://a:hunter2@h/b?tls=nay",
		"s3://a:hunter2@h/b?lookup=auto", "s3://a:hunter2@h:port/b", "s3://a:hunter2@/b", "s3://a:hunter2@h/b?%zz",
	} {
		_, err := s3.Open(t.Context(), u)
		if !errors.Is(err, melodyud.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v, want ErrInvalid without the secret", u, err)
		}
	}
}

func TestAnUnreachableServerIsOneClearError(t *testing.T) {
	t.Parallel()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = s3.Open(ctx, "s3://key:hunter2@"+shut.Addr().String()+"/bucket?tls=false&region=r")
	if !errors.Is(err, melodyud.ErrUnavailable) {
		t.Fatalf("Open = %v, want ErrUnavailable", err)
	}
	text := err.Error()
	if strings.Contains(text, "hunter2") || strings.Contains(text, "\n") || !strings.Contains(text, shut.Addr().String()+"/bucket") || !strings.Contains(text, "tls=false") {
		t.Errorf("the error is %q, want one line with the address and advice, without the secret", text)
	}
}

func TestAMissingBucketIsMade(t *testing.T) {
	t.Parallel()
	u := parsed(t, realtest.MinIO(t))
	u.Path += "-made"
	for range 2 {
		s, err := s3.Open(t.Context(), u.String())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Put(t.Context(), "k", strings.NewReader("x"), 1, objectstore.PutOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func TestAWrongSecretIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	u := parsed(t, realtest.MinIO(t))
	u.User = url.UserPassword(u.User.Username(), "hunter2hunter2")
	_, err := s3.Open(t.Context(), u.String())
	if !errors.Is(err, melodyud.ErrUnavailable) || !strings.Contains(err.Error(), "check access key") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Open = %v, want advice without the secret", err)
	}
}

func TestTheSecretMayComeFromTheEnvironment(t *testing.T) {
	u := parsed(t, realtest.MinIO(t))
	secret, _ := u.User.Password()
	t.Setenv("AWS_ACCESS_KEY_ID", u.User.Username())
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	u.User = nil
	s, err := s3.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
}

func parsed(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// scripted opens a store on a server that answers by script, with any bucket there.
func scripted(t *testing.T, script http.HandlerFunc) *s3.Store {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && strings.Count(r.URL.Path, "/") == 2 && strings.HasSuffix(r.URL.Path, "/") {
			return
		}
		script(w, r)
	}))
	t.Cleanup(server.Close)
	s, err := s3.Open(t.Context(), "s3://key:secret@"+server.Listener.Addr().String()+"/bucket?tls=false&region=r&lookup=path")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAnAnswerThatIsCutIsNoEnd(t *testing.T) { // A8
	t.Parallel()
	s := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, "half of it")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r, _, err := s.Open(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); !errors.Is(err, melodyud.ErrUnavailable) {
		t.Errorf("read %q, %v; want ErrUnavailable", b, err)
	}
}

func TestServersAnswersHaveKinds(t *testing.T) {
	t.Parallel()
	for answer, kind := range map[string]error{
		"404 NoSuchKey":                   melodyud.ErrNotFound,
		"404 NoSuchBucket":                melodyud.ErrUnavailable,
		"403 AccessDenied":                melodyud.ErrUnavailable,
		"403 SignatureDoesNotMatch":       melodyud.ErrUnavailable,
		"409 ConditionalRequestConflict":  melodyud.ErrConflict,
		"412 PreconditionFailed":          melodyud.ErrConflict,
		"400 EntityTooLarge":              melodyud.ErrTooLarge,
		"400 KeyTooLongError":             melodyud.ErrInvalid,
		"507 XMinioStorageFull":           melodyud.ErrUnavailable,
		"501 NotImplemented":              melodyud.ErrUnavailable,
		"418 SomethingNobodyHasHeardOfIt": melodyud.ErrUnavailable,
	} {
		s := scripted(t, func(w http.ResponseWriter, r *http.Request) {
			var status int
			var code string
			_, _ = fmt.Sscan(answer, &status, &code)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		})
		_, err := s.Put(t.Context(), "k", strings.NewReader("x"), 1, objectstore.PutOptions{})
		if melodyud.Kind(err) != kind {
			t.Errorf("Put answered by %s = %v, want kind %v", answer, err, kind)
		}
		if _, _, err := s.Open(t.Context(), "k", 0, -1); melodyud.Kind(err) != kind {
			t.Errorf("Open answered by %s = %v, want kind %v", answer, err, kind)
		}
	}
}
