package asynqueue

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// Console is the asynqmon web console of this queue, for the path rootPath and
// everything below it, unstripped. readOnly refuses everything but GET. It has no
// access control of its own. Its answers carry a Content-Security-Policy that lets
// its page run and loads nothing from other hosts.
func (q *Queue) Console(rootPath string, readOnly bool) http.Handler {
	root := "/" + strings.Trim(rootPath, "/")
	console := asynqmon.New(asynqmon.Options{RootPath: root, RedisConnOpt: q.Connection(), ReadOnly: readOnly})
	policy := policyFor(console, root)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		console.ServeHTTP(w, r)
	})
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// policyFor allows the scripts that stand in the console's own page, by their
// hashes, and no other inline script. Styles are made by its scripts as it runs.
func policyFor(console http.Handler, root string) string {
	page := &page{header: http.Header{}}
	console.ServeHTTP(page, &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: strings.TrimRight(root, "/") + "/"}, Header: http.Header{}, Body: http.NoBody,
	})
	scripts := "'self'"
	for _, script := range inlineScript.FindAllSubmatch(page.body.Bytes(), -1) {
		sum := sha256.Sum256(script[1])
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'self'; script-src " + scripts + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// page takes an answer into memory.
type page struct {
	header http.Header
	body   bytes.Buffer
}

func (p *page) Header() http.Header         { return p.header }
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }
func (p *page) WriteHeader(int)             {}

// Connection lets Asynq's own tools use this queue's connections, which they must
// not close.
func (q *Queue) Connection() asynq.RedisConnOpt { return shared{q.redis} }

type shared struct{ client redis.UniversalClient }

func (s shared) MakeRedisClient() any { return s.client }
