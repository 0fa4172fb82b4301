package dir

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	minTTL = time.Second
	maxTTL = 7 * 24 * time.Hour
)

// types are the content types of what we store, by extension. Everything else is
// bytes: a creator's file never becomes a page of ours.
var types = map[string]string{
	".mp4":  "audio/mp4",
	".m3u8": "application/vnd.apple.mpegurl",
	".mpd":  "application/dash+xml",
	".json": "application/json",
	".jpg":  "image/jpeg",
	".png":  "image/png",
}

// Presign returns a URL under BaseURL that Handler honours for this method, key
// and time only. A GET URL also allows HEAD.
func (s *Store) Presign(_ context.Context, method, key string, ttl time.Duration) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	if method != http.MethodGet && method != http.MethodPut {
		return "", fmt.Errorf("%w: presign %s: only GET and PUT can be presigned", melodyud.ErrInvalid, method)
	}
	if ttl < minTTL || ttl > maxTTL {
		return "", fmt.Errorf("%w: presign for %s: want 1 s to 7 days", melodyud.ErrInvalid, ttl)
	}
	if s.base == nil {
		return "", fmt.Errorf("%w: presign: the object directory has no base URL", melodyud.ErrInvalid)
	}
	expires := strconv.FormatInt(s.cfg.Now().Add(ttl).Unix(), 10)
	q := url.Values{"expires": {expires}, "signature": {s.sign(method, key, expires)}}
	return s.base.String() + "/" + key + "?" + q.Encode(), nil
}

// sign covers method, key and expiry; none of them can contain a newline.
func (s *Store) sign(method, key, expires string) string {
	mac := hmac.New(sha256.New, s.cfg.Secret)
	_, _ = mac.Write([]byte("melodyud object\n" + method + "\n" + key + "\n" + expires))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Handler serves presigned URLs. Mount it at the path of BaseURL, unstripped.
// It answers 403 to a URL we have not signed and 410 to one that has expired.
func (s *Store) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Store) serve(w http.ResponseWriter, r *http.Request) {
	key, ok := s.keyOf(r.URL.Path)
	if !ok {
		http.Error(w, "no such object", http.StatusNotFound)
		return
	}
	if code, text := s.admit(r, key); code != 0 {
		http.Error(w, text, code)
		return
	}
	if r.Method == http.MethodPut {
		s.servePut(w, r, key)
		return
	}
	s.serveGet(w, r, key)
}

func (s *Store) keyOf(p string) (string, bool) {
	if s.base == nil {
		return "", false
	}
	key, ok := strings.CutPrefix(p, s.base.Path+"/")
	return key, ok && objectstore.CheckKey(key) == nil
}

// admit checks the signature before it believes the expiry.
func (s *Store) admit(r *http.Request, key string) (code int, text string) {
	method := r.Method
	switch method {
	case http.MethodHead:
		method = http.MethodGet
	case http.MethodGet, http.MethodPut:
	default:
		return http.StatusMethodNotAllowed, "this URL allows GET or PUT"
	}
	q := r.URL.Query()
	expires := q.Get("expires")
	if !hmac.Equal([]byte(s.sign(method, key, expires)), []byte(q.Get("signature"))) {
		return http.StatusForbidden, "this URL is not valid for this request"
	}
	if at, err := strconv.ParseInt(expires, 10, 64); err != nil || !s.cfg.Now().Before(time.Unix(at, 0)) {
		return http.StatusGone, "this URL has expired; ask for a new one"
	}
	return 0, ""
}

func (s *Store) serveGet(w http.ResponseWriter, r *http.Request, key string) {
	f, fi, err := s.file(key)
	if err != nil {
		fail(w, err)
		return
	}
	defer f.Close()
	contentType := types[path.Ext(key)]
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", fi.ModTime(), f)
}

func (s *Store) servePut(w http.ResponseWriter, r *http.Request, key string) {
	if r.ContentLength > s.cfg.MaxPut {
		fail(w, &http.MaxBytesError{Limit: s.cfg.MaxPut})
		return
	}
	body := http.MaxBytesReader(w, r.Body, s.cfg.MaxPut)
	if _, err := s.Put(r.Context(), key, body, r.ContentLength, objectstore.PutOptions{}); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func fail(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, fmt.Sprintf("the body is larger than the %d bytes this URL allows", tooLarge.Limit), http.StatusRequestEntityTooLarge)
	case errors.Is(err, melodyud.ErrNotFound):
		http.Error(w, "no such object", http.StatusNotFound)
	case errors.Is(err, melodyud.ErrInvalid):
		http.Error(w, "the body or the key is not valid", http.StatusBadRequest)
	case errors.Is(err, melodyud.ErrUnavailable):
		w.Header().Set("Retry-After", "30")
		http.Error(w, "the store is not available; try again later", http.StatusServiceUnavailable)
	default:
		http.Error(w, "the object could not be handled", http.StatusInternalServerError)
	}
}
