package dir

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// PartsPath is where PartsHandler has to be mounted on the host of BaseURL.
const PartsPath = "/objects/parts/"

const (
	partsFolder = "parts/"
	maxParts    = 10_000
)

// A part is the object parts/<id>/<number>-<etag>; the ETag is made of nothing but
// chance. parts/<id>/0 says that the id is open, and holds the key.

func openMark(id string) string { return partsFolder + id + "/0" }

// BeginParts implements objectstore.Multipart.
func (s *Store) BeginParts(ctx context.Context, key string) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	id := rand.Text()
	_, err := s.Put(ctx, openMark(id), strings.NewReader(key), int64(len(key)), objectstore.PutOptions{IfAbsent: true})
	return id, err
}

// begun fails with ErrNotFound unless id is open for key.
func (s *Store) begun(ctx context.Context, key, id string) error {
	if strings.Contains(id, "/") {
		return fmt.Errorf("%w: no parts are called %q", melodyud.ErrNotFound, id)
	}
	r, _, err := s.Open(ctx, openMark(id), 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err == nil && string(raw) != key {
		err = fmt.Errorf("%w: parts %s belong to another object", melodyud.ErrNotFound, id)
	}
	return err
}

// SignPart implements objectstore.Multipart: an address that PartsHandler honours,
// without a host if the store has no BaseURL.
func (s *Store) SignPart(_ context.Context, key, id string, number int, size int64, ttl time.Duration) (string, error) {
	if number < 1 || number > maxParts || size < 1 || ttl < minTTL || ttl > maxTTL || strings.Contains(id, "/") {
		return "", fmt.Errorf("%w: address of part %d of %d bytes for %s", melodyud.ErrInvalid, number, size, ttl)
	}
	p := address{id: id, number: strconv.Itoa(number), size: strconv.FormatInt(size, 10), expires: strconv.FormatInt(s.cfg.Now().Add(ttl).Unix(), 10)}
	q := url.Values{"size": {p.size}, "expires": {p.expires}, "signature": {s.signPart(p)}}
	at := PartsPath + id + "/" + p.number + "?" + q.Encode()
	if s.base != nil {
		at = s.base.Scheme + "://" + s.base.Host + at
	}
	return at, nil
}

// address is what the address of a part says; every field is signed.
type address struct{ id, number, size, expires string }

func (s *Store) signPart(p address) string {
	mac := hmac.New(sha256.New, s.cfg.Secret)
	_, _ = mac.Write([]byte("melodyud part\n" + p.id + "\n" + p.number + "\n" + p.size + "\n" + p.expires))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// PartsHandler takes parts at their signed addresses, also from pages of other
// sites. It answers 403 to an address that we have not signed or that has expired,
// 400 to a body of another size and 404 once the parts were joined or dropped, as S3 does.
func (s *Store) PartsHandler() http.Handler { return http.HandlerFunc(s.servePart) }

func (s *Store) servePart(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag")
	switch r.Method {
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "PUT")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPut:
		etag, code, text := s.takePart(w, r)
		if code != 0 {
			http.Error(w, text, code)
			return
		}
		h.Set("ETag", `"`+etag+`"`)
		w.WriteHeader(http.StatusOK)
	default:
		http.Error(w, "this address takes PUT", http.StatusMethodNotAllowed)
	}
}

func (s *Store) takePart(w http.ResponseWriter, r *http.Request) (etag string, code int, text string) {
	q := r.URL.Query()
	id, number, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, PartsPath), "/")
	p := address{id: id, number: number, size: q.Get("size"), expires: q.Get("expires")}
	if !hmac.Equal([]byte(s.signPart(p)), []byte(q.Get("signature"))) {
		return "", http.StatusForbidden, "this address is not one of ours"
	}
	size, err := strconv.ParseInt(p.size, 10, 64)
	at, err2 := strconv.ParseInt(p.expires, 10, 64)
	n, err3 := strconv.Atoi(number)
	if errors.Join(err, err2, err3) != nil || !s.cfg.Now().Before(time.Unix(at, 0)) {
		return "", http.StatusForbidden, "this address has expired; ask for a new one"
	}
	if r.ContentLength != size {
		return "", http.StatusBadRequest, "this part has to have " + p.size + " bytes, with a Content-Length"
	}
	etag, err = s.putPart(r.Context(), id, n, http.MaxBytesReader(w, r.Body, size), size)
	switch {
	case errors.Is(err, melodyud.ErrNotFound):
		return "", http.StatusNotFound, "this upload is over"
	case errors.Is(err, melodyud.ErrInvalid):
		return "", http.StatusBadRequest, "the body ended too early"
	case err != nil:
		return "", http.StatusServiceUnavailable, "the part could not be stored; send it again"
	}
	return etag, 0, ""
}

// putPart stores a part and then drops what was there of the same number.
func (s *Store) putPart(ctx context.Context, id string, number int, body io.Reader, size int64) (string, error) {
	if _, err := s.Stat(ctx, openMark(id)); err != nil {
		return "", err
	}
	older, err := s.stored(ctx, id)
	if err != nil {
		return "", err
	}
	etag := rand.Text()
	if _, err := s.Put(ctx, partName(id, number, etag), body, size, objectstore.PutOptions{}); err != nil {
		return "", err
	}
	if _, err := s.Stat(ctx, openMark(id)); err != nil {
		return "", errors.Join(err, s.Delete(context.WithoutCancel(ctx), partName(id, number, etag))) // dropped meanwhile
	}
	for _, p := range older {
		if p.Number == number {
			if err := s.Delete(context.WithoutCancel(ctx), partName(id, number, p.ETag)); err != nil {
				return "", err
			}
		}
	}
	return etag, nil
}

func partName(id string, number int, etag string) string {
	return partsFolder + id + "/" + strconv.Itoa(number) + "-" + etag
}

// stored lists everything put for id; of racing requests for one number there may be
// several.
func (s *Store) stored(ctx context.Context, id string) ([]stored, error) {
	var all []stored
	for info, err := range s.List(ctx, partsFolder+id+"/") {
		if err != nil {
			return nil, err
		}
		number, etag, _ := strings.Cut(strings.TrimPrefix(info.Key, partsFolder+id+"/"), "-")
		if n, err := strconv.Atoi(number); err == nil && n > 0 {
			all = append(all, stored{objectstore.Part{Number: n, Size: info.Size, ETag: etag}, info.Modified})
		}
	}
	slices.SortFunc(all, func(a, b stored) int { return cmp.Or(cmp.Compare(a.Number, b.Number), a.at.Compare(b.at)) })
	return all, nil
}

type stored struct {
	objectstore.Part
	at time.Time
}

// Parts implements objectstore.Multipart.
func (s *Store) Parts(ctx context.Context, key, id string) ([]objectstore.Part, error) {
	if err := s.begun(ctx, key, id); err != nil {
		return nil, translate("list parts of", key, err)
	}
	all, err := s.stored(ctx, id)
	if err != nil {
		return nil, translate("list parts of", key, err)
	}
	var newest []objectstore.Part
	for i, p := range all {
		if i+1 == len(all) || all[i+1].Number != p.Number {
			newest = append(newest, p.Part)
		}
	}
	return newest, nil
}

// JoinParts implements objectstore.Multipart.
func (s *Store) JoinParts(ctx context.Context, key, id string, parts []objectstore.Part) (objectstore.Info, error) {
	if err := s.begun(ctx, key, id); err != nil {
		return objectstore.Info{}, translate("join parts of", key, err)
	}
	j := &joiner{ctx: ctx, s: s, id: id, parts: parts}
	defer j.close()
	info, err := s.Put(ctx, key, j, -1, objectstore.PutOptions{})
	if errors.Is(err, melodyud.ErrNotFound) {
		err = fmt.Errorf("%w: a part is missing or another one: %v", melodyud.ErrInvalid, err)
	}
	if err != nil {
		return objectstore.Info{}, err
	}
	return info, s.DropParts(ctx, key, id)
}

// DropParts implements objectstore.Multipart. The mark goes first: no part is taken
// any more, and whatever a crash leaves the next call finds.
func (s *Store) DropParts(ctx context.Context, key, id string) error {
	err := s.begun(ctx, key, id)
	if err == nil {
		err = s.Delete(ctx, openMark(id))
	}
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		return translate("drop parts of", key, err)
	}
	all, err := s.stored(ctx, id)
	if err != nil {
		return translate("drop parts of", key, err)
	}
	var keys []string
	for _, p := range all {
		keys = append(keys, partName(id, p.Number, p.ETag))
	}
	return s.Delete(ctx, keys...)
}

// joiner reads parts one behind the other.
type joiner struct {
	ctx   context.Context //nolint:containedctx // io.Reader has no place for it; lives for one Put
	s     *Store
	id    string
	parts []objectstore.Part
	open  io.ReadCloser
}

// Read implements io.Reader.
func (j *joiner) Read(p []byte) (int, error) {
	for {
		if j.open == nil {
			if len(j.parts) == 0 {
				return 0, io.EOF
			}
			r, _, err := j.s.Open(j.ctx, partName(j.id, j.parts[0].Number, j.parts[0].ETag), 0, -1)
			if err != nil {
				return 0, err
			}
			j.open, j.parts = r, j.parts[1:]
		}
		n, err := j.open.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := j.close(); err != nil || n > 0 {
			return n, err
		}
	}
}

func (j *joiner) close() error {
	if j.open == nil {
		return nil
	}
	err := j.open.Close()
	j.open = nil
	return err
}
