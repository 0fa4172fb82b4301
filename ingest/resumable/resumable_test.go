package resumable_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/resumable"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database/databasetest"
	"github.com/melodyud/melodyud/internal/objectstore/dir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partSize = 4096

type catalog struct {
	mu  sync.Mutex
	got map[melodyud.UploadID]melodyud.Receipt
}

func (c *catalog) Receive(_ context.Context, r melodyud.Receipt) (melodyud.Track, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got[r.Upload] = r
	return melodyud.Track{ID: r.Track}, nil
}

func (c *catalog) receipt(location string) (melodyud.Receipt, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.got[melodyud.UploadID(location[strings.LastIndexByte(location, '/')+1:])]
	return r, ok
}

type people map[string]api.Principal

func (p people) Authenticate(_ context.Context, secret string) (api.Principal, error) {
	who, ok := p[secret]
	if !ok {
		return who, melodyud.ErrUnauthenticated
	}
	return who, nil
}

type fixture struct {
	t       *testing.T
	catalog *catalog
	url     string
}

func newFixture(t *testing.T, change ...func(*ingest.Config)) *fixture {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: filepath.Join(t.TempDir(), "objects")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &fixture{t: t, catalog: &catalog{got: map[melodyud.UploadID]melodyud.Receipt{}}}
	c := ingest.Config{DB: databasetest.Open(t), Store: store, Tracks: f.catalog, PartSize: partSize, MaxSize: 64 * partSize}
	for _, one := range change {
		one(&c)
	}
	uploads, err := ingest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := resumable.New(resumable.Config{Uploads: uploads, MaxSize: c.MaxSize})
	if err != nil {
		t.Fatal(err)
	}
	r, err := api.NewRouter(api.Config{Logger: slog.New(slog.DiscardHandler), Auth: people{
		"ada": {User: "usr_ada", Roles: []api.Role{api.RoleCreator}},
		"bob": {User: "usr_bob", Roles: []api.Role{api.RoleCreator}},
		"lin": {User: "usr_lin", Roles: []api.Role{api.RoleListener}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.Register(r)
	uploads.Register(r)
	server := httptest.NewServer(r.Handler())
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(method, path string, body io.Reader, headers ...string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ada")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// begin opens an upload of ten bytes that stands at offset four.
func (f *fixture) begin(headers ...string) string {
	f.t.Helper()
	a := f.do("POST", "/v1/resumable", strings.NewReader("1234"), append([]string{"Upload-Complete", "?0", "Upload-Length", "10"}, headers...)...)
	if a.status != 201 {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

func sum256(data string) string {
	s := sha256.Sum256([]byte(data))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(s[:]) + ":"
}

func sum512(data string) string {
	s := sha512.Sum512([]byte(data))
	return "sha-512=:" + base64.StdEncoding.EncodeToString(s[:]) + ":"
}

type row struct {
	name    string
	method  string
	path    string // default: the upload
	headers string // "Name: value | Name: value"
	body    string
	status  int
	code    string
	want    string // headers; "*" is anything, empty is absent
	offset  string // afterwards; default 4; "-" not to be asked
}

const partial = "Content-Type: application/partial-upload | "

func table() []row {
	const collection = "/v1/resumable"
	return []row{
		{"discovery", "OPTIONS", collection, "Authorization: ", "", 204, "", "Accept-Patch: application/partial-upload | Upload-Limit: max-size=262144", "-"},

		{"creation without bytes", "POST", collection, "Upload-Complete: ?0", "", 201, "", "Location: * | Upload-Complete: ?0 | Upload-Offset: 0 | Upload-Limit: * | Upload-Length: ", "-"},
		{"creation with some bytes", "POST", collection, "Upload-Complete: ?0 | Upload-Length: 10", "12345", 201, "", "Location: * | Upload-Complete: ?0 | Upload-Offset: 5 | Upload-Length: 10", "-"},
		{"creation with all bytes", "POST", collection, "Upload-Complete: ?1", "12345", 201, "", "Location: * | Upload-Complete: ?1 | Upload-Offset: 5 | Upload-Length: 5 | Melodyud-Track: * | Repr-Digest: " + sum256("12345"), "-"},
		{"any method creates", "PUT", collection, "Upload-Complete: ?1", "12345", 201, "", "Location: * | Upload-Complete: ?1", "-"},
		{"ordinary upload without the draft's headers", "POST", collection, "Content-Type: audio/flac", "12345", 201, "", "Location: * | Upload-Complete: ?1", "-"},
		{"Upload-Complete that is no Boolean is ignored", "POST", collection, "Upload-Complete: yes", "12345", 201, "", "Upload-Complete: ?1", "-"},
		{"creation with parameters of structured fields", "POST", collection, "Upload-Complete: ?0;a=1 | Upload-Length: 10;b", "12345", 201, "", "Upload-Complete: ?0 | Upload-Length: 10", "-"},
		{"creation with inconsistent lengths", "POST", collection, "Upload-Complete: ?1 | Upload-Length: 10", "12345", 400, "upload.length", "Location: ", "-"},
		{"creation with a malformed length", "POST", collection, "Upload-Complete: ?0 | Upload-Length: ten", "", 400, "upload.length", "", "-"},
		{"creation of nothing", "POST", collection, "Upload-Complete: ?1", "", 400, "upload.empty", "Location: ", "-"},
		{"creation past the limit", "POST", collection, "Upload-Complete: ?0 | Upload-Length: 262145", "", 413, "upload.too-large", "Upload-Limit: * | Location: ", "-"},
		{"creation signed out", "POST", collection, "Upload-Complete: ?0 | Authorization: ", "", 401, "auth.missing", "", "-"},
		{"creation without the role", "POST", collection, "Upload-Complete: ?0 | Authorization: Bearer lin", "", 403, "auth.role", "", "-"},
		{"creation with bad metadata", "POST", collection, "Upload-Complete: ?0 | Upload-Metadata: a !", "", 400, "upload.metadata", "", "-"},
		{"creation with a right digest of its content", "POST", collection, "Upload-Complete: ?1 | Content-Digest: " + sum256("12345"), "12345", 201, "", "", "-"},
		{"creation with a wrong digest of its content", "POST", collection, "Upload-Complete: ?0 | Content-Digest: " + sum256("x"), "12345", 400, "upload.checksum", "Location: *", "-"},
		{"creation with a malformed digest", "POST", collection, "Upload-Complete: ?0 | Content-Digest: sha-256=abc", "12345", 400, "resumable.digest", "", "-"},
		{"creation with a deprecated digest", "POST", collection, "Upload-Complete: ?1 | Content-Digest: md5=:AAAA:", "12345", 201, "", "", "-"},
		{"creation with a right digest of the file", "POST", collection, "Upload-Complete: ?1 | Repr-Digest: " + sum512("x") + ", " + sum256("12345"), "12345", 201, "", "", "-"},

		{"offset", "HEAD", "", "", "", 204, "", "Upload-Offset: 4 | Upload-Complete: ?0 | Upload-Length: 10 | Upload-Limit: * | Cache-Control: no-store", ""},
		{"offset of another's upload", "HEAD", "", "Authorization: Bearer bob", "", 404, "", "Upload-Offset: ", ""},
		{"offset of no upload", "HEAD", "/v1/resumable/upl_01ARZ3NDEKTSV4RRFFQ69G5FAV", "", "", 404, "", "", "-"},

		{"append", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?0", "56", 204, "", "Upload-Offset: 6 | Upload-Complete: ?0", "6"},
		{"append the rest", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?1", "567890", 204, "", "Upload-Offset: 10 | Upload-Complete: ?1 | Repr-Digest: " + sum256("1234567890"), "10"},
		{"append in interop version 5", "PATCH", "", "Upload-Draft-Interop-Version: 5 | Upload-Offset: 4 | Upload-Complete: ?0", "56", 201, "", "Upload-Offset: 6 | Upload-Complete: ?0", "6"},
		{"append in interop version 6", "PATCH", "", partial + "Upload-Draft-Interop-Version: 6 | Upload-Offset: 4 | Upload-Complete: ?0", "56", 204, "", "Upload-Offset: 6", "6"},
		{"append at another offset", "PATCH", "", partial + "Upload-Offset: 7 | Upload-Complete: ?0", "56", 409, "upload.offset", "Upload-Offset: 4 | Upload-Complete: ?0", ""},
		{"append without an offset", "PATCH", "", partial + "Upload-Complete: ?0", "56", 400, "resumable.headers", "", ""},
		{"append with a malformed offset", "PATCH", "", partial + "Upload-Offset: -4 | Upload-Complete: ?0", "56", 400, "resumable.headers", "", ""},
		{"append without completeness", "PATCH", "", partial + "Upload-Offset: 4", "56", 400, "resumable.headers", "", ""},
		{"append of another type", "PATCH", "", "Content-Type: audio/flac | Upload-Offset: 4 | Upload-Complete: ?0", "56", 415, "resumable.content-type", "", ""},
		{"append of less than the length as the rest", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?1", "56", 400, "upload.length", "", ""},
		{"append of more than the length", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?0", "5678901", 413, "upload.overflow", "Upload-Limit: *", ""},
		{"append with another length", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?0 | Upload-Length: 11", "56", 400, "upload.length", "", ""},
		{"append to another's upload", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?0 | Authorization: Bearer bob", "56", 404, "upload.unknown", "", ""},
		{"append with a right digest", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?0 | Content-Digest: " + sum512("56"), "56", 204, "", "", "6"},
		{"append with a wrong digest", "PATCH", "", partial + "Upload-Offset: 4 | Upload-Complete: ?0 | Content-Digest: " + sum512("65"), "56", 400, "upload.checksum", "", ""},

		{"cancel", "DELETE", "", "", "", 204, "", "", "-"},
		{"cancel another's upload", "DELETE", "", "Authorization: Bearer bob", "", 404, "upload.unknown", "", ""},
	}
}

func pairs(text string) [][2]string {
	var all [][2]string
	for pair := range strings.SplitSeq(strings.TrimSuffix(text, " | "), " | ") {
		if name, value, ok := strings.Cut(pair, ":"); ok {
			all = append(all, [2]string{name, strings.TrimSpace(value)})
		}
	}
	return all
}

func TestEveryAnswerIsTheOneTheDraftRequires(t *testing.T) { // standards.md 7.3
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.MaxOpen = 1000 })
	for _, c := range table() {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{t: t, catalog: f.catalog, url: f.url}
			upload := f.begin()
			if c.path == "" {
				c.path = upload
			}
			var headers []string
			for _, h := range pairs(c.headers) {
				headers = append(headers, h[0], h[1])
			}
			a := f.do(c.method, c.path, strings.NewReader(c.body), headers...)
			var p api.Problem
			_ = json.Unmarshal([]byte(a.body), &p)
			if a.status != c.status || p.Code != c.code {
				t.Errorf("%d %q, want %d %q: %s", a.status, p.Code, c.status, c.code, a.body)
			}
			for _, h := range pairs(c.want) {
				if got := a.header.Get(h[0]); got != h[1] && (h[1] != "*" || got == "") {
					t.Errorf("%s: %q, want %q", h[0], got, h[1])
				}
			}
			if c.offset == "-" {
				return
			}
			if got := f.do("HEAD", upload, nil).header.Get("Upload-Offset"); got != c.offset && (c.offset != "" || got != "4") {
				t.Errorf("the upload stands at %s", got)
			}
		})
	}
}

func TestProblemsHaveTheDraftsTypesAndMembers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const registry = "https://iana.org/assignments/http-problem-types#"
	upload := f.begin()
	for _, c := range []struct{ offset, complete, body, kind, members string }{
		{"7", "?0", "56", registry + "mismatching-upload-offset", `"expected-offset":4,"provided-offset":7`},
		{"4", "?1", "56", registry + "inconsistent-upload-length", `"detail":`},
		{"4", "?0", "5678901", registry + "inconsistent-upload-length", `"code":"upload.overflow"`},
	} {
		a := f.do("PATCH", upload, strings.NewReader(c.body), "Content-Type", "application/partial-upload", "Upload-Offset", c.offset, "Upload-Complete", c.complete)
		var p struct{ Type string }
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Type != c.kind || !strings.Contains(a.body, c.members) ||
			a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %v %v", a.body, err, a.header)
		}
	}
}

func (f *fixture) wantFile(location, data string) melodyud.Receipt {
	f.t.Helper()
	r, ok := f.catalog.receipt(location)
	want := sha256.Sum256([]byte(data))
	if !ok || r.Master.SHA256 != hex.EncodeToString(want[:]) || r.Master.Size != int64(len(data)) {
		f.t.Errorf("%s became %+v", location, r)
	}
	return r
}

func TestFileSentInOnePieceOfUnknownLengthArrives(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	data := strings.Repeat("chunked ", 3*partSize)
	a := f.do("POST", "/v1/resumable", struct{ io.Reader }{strings.NewReader(data)}, "Content-Disposition", `inline; filename*=UTF-8''s%C5%82o%C5%84ce.flac`)
	if a.status != 201 || a.header.Get("Upload-Complete") != "?1" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if r := f.wantFile(a.header.Get("Location"), data); r.FileName != "słońce.flac" {
		t.Errorf("%+v", r)
	}
}

func TestFileWithAnotherDigestIsNeverHandedOver(t *testing.T) { // RFC 9530, faults.md A4
	t.Parallel()
	f := newFixture(t)
	location := f.begin("Repr-Digest", sum256("another file"))
	a := f.do("PATCH", location, strings.NewReader("567890"), "Content-Type", "application/partial-upload", "Upload-Offset", "4", "Upload-Complete", "?1")
	if _, ok := f.catalog.receipt(location); ok {
		t.Errorf("it was handed over: %d %s", a.status, a.body)
	}
	if a.status/100 == 2 {
		t.Errorf("%d", a.status)
	}
}

func TestCompleteUploadTakesNoMore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	location := f.begin()
	finish := func(offset, body string) answer {
		return f.do("PATCH", location, strings.NewReader(body), "Content-Type", "application/partial-upload", "Upload-Offset", offset, "Upload-Complete", "?1")
	}
	finish("4", "567890")
	if a := finish("10", ""); a.status != 204 || a.header.Get("Upload-Complete") != "?1" {
		t.Errorf("the same end again: %d %s", a.status, a.body)
	}
	if a := finish("10", "1"); a.status != 400 {
		t.Errorf("more: %d %s", a.status, a.body)
	}
	f.wantFile(location, "1234567890")
}

func TestCancelledUploadIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	location := f.begin()
	f.do("DELETE", location, nil)
	for _, method := range []string{"HEAD", "DELETE"} {
		if a := f.do(method, location, nil); a.status != 410 {
			t.Errorf("%s: %d", method, a.status)
		}
	}
}

func TestBothDialectsSpeakOfTheSameUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	location := f.begin()
	tus := strings.Replace(location, "/v1/resumable/", "/v1/uploads/", 1)
	a := f.do("PATCH", tus, strings.NewReader("567890"), "Tus-Resumable", "1.0.0", "Content-Type", "application/offset+octet-stream", "Upload-Offset", "4")
	if a.status != 204 || f.do("HEAD", location, nil).header.Get("Upload-Complete") != "?1" {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.wantFile(location, "1234567890")
}

// client speaks HTTP by hand, to see interim answers as they come.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *textproto.Reader
}

func (f *fixture) dial() *client {
	f.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return &client{f.t, conn, textproto.NewReader(bufio.NewReader(conn))}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) answer() (status int, header textproto.MIMEHeader) {
	c.t.Helper()
	line, err := c.in.ReadLine()
	if err != nil {
		c.t.Fatal(err)
	}
	if header, err = c.in.ReadMIMEHeader(); err != nil {
		c.t.Fatal(err)
	}
	status, _ = strconv.Atoi(strings.Fields(line)[1])
	return status, header
}

func head(method, path string, size int, headers ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\nContent-Length: %d\r\n%s\r\n",
		method, path, size, strings.Join(append(headers, ""), "\r\n"))
}

func TestInterimAnswersTellTheAddressAndTheProgress(t *testing.T) { // 104 Upload Resumption Supported
	t.Parallel()
	for _, version := range []string{"5", "6", "8"} {
		t.Run("interop "+version, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			data := string(bytes.Repeat([]byte("0123456789abcdef"), partSize/4))
			c := f.dial()
			c.send(head("POST", "/v1/resumable", len(data), "Upload-Complete: ?1", "Upload-Draft-Interop-Version: "+version))
			status, h := c.answer()
			location := h.Get("Location")
			if status != 104 || location == "" || h.Get("Upload-Limit") == "" || h.Get("Upload-Draft-Interop-Version") != version {
				t.Fatalf("%d %v", status, h)
			}
			c.send(data[:2*partSize]) // only now: the address is known before a byte was sent
			var offsets []string
			for len(offsets) < 2 {
				if status, h = c.answer(); status != 104 || h.Get("Location") != "" {
					t.Fatalf("%d %v", status, h)
				}
				offsets = append(offsets, h.Get("Upload-Offset"))
			}
			if !slices.Equal(offsets, []string{strconv.Itoa(partSize), strconv.Itoa(2 * partSize)}) {
				t.Errorf("offsets %v", offsets)
			}
			_ = c.conn.Close()
			c = f.dial()
			c.send(head("HEAD", location, 0))
			if status, h = c.answer(); status != 204 || h.Get("Upload-Offset") != strconv.Itoa(2*partSize) || h.Get("Upload-Complete") != "?0" {
				t.Errorf("%d %v", status, h)
			}
			c.send(head("PATCH", location, len(data)-2*partSize, "Upload-Complete: ?1", "Upload-Offset: "+strconv.Itoa(2*partSize),
				"Content-Type: application/partial-upload", "Upload-Draft-Interop-Version: "+version) + data[2*partSize:])
			for status = 104; status == 104; {
				status, h = c.answer()
			}
			if status != 204 || h.Get("Upload-Complete") != "?1" {
				t.Errorf("%d %v", status, h)
			}
			f.wantFile(location, data)
		})
	}
}

func TestNoInterimAnswersForClientsThatNameNoVersionWeKnow(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Upload-Draft-Interop-Version: 99", "X-Other: 1"} {
		f := newFixture(t)
		c := f.dial()
		c.send(head("POST", "/v1/resumable", 5, "Upload-Complete: ?1", header) + "12345")
		if status, h := c.answer(); status != 201 || h.Get("Upload-Complete") != "?1" {
			t.Errorf("%s: %d %v", header, status, h)
		}
	}
}

func TestNewerRequestTakesOver(t *testing.T) { // the draft's section on concurrency
	t.Parallel()
	f := newFixture(t)
	data := strings.Repeat("x", 3*partSize)
	c := f.dial()
	c.send(head("POST", "/v1/resumable", len(data), "Upload-Complete: ?1", "Upload-Draft-Interop-Version: 8") + data[:partSize+9])
	_, h := c.answer()
	location := h.Get("Location")
	c.answer() // the first part is stored
	at, err := strconv.Atoi(f.do("HEAD", location, nil).header.Get("Upload-Offset"))
	if err != nil || at < partSize || at > partSize+9 { // what was still on the way need not be there
		t.Fatalf("offset %d, %v", at, err)
	}
	for status := 104; status < 200; {
		if status, _ = c.answer(); status == 423 {
			break
		}
	}
	a := f.do("PATCH", location, strings.NewReader(data[at:]), "Content-Type", "application/partial-upload", "Upload-Offset", strconv.Itoa(at), "Upload-Complete", "?1")
	if a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.wantFile(location, data)
}

func TestOtherSitesPagesMayUploadWithAKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	pre := f.do("OPTIONS", "/v1/resumable", nil, "Origin", "https://studio.example", "Authorization", "")
	got := f.do("POST", "/v1/resumable", nil, "Origin", "https://studio.example", "Upload-Complete", "?0").header
	if pre.header.Get("Access-Control-Allow-Origin") != "*" || got.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "Upload-Complete") ||
		!strings.Contains(got.Get("Access-Control-Expose-Headers"), "Location") {
		t.Errorf("%v %v", pre.header, got)
	}
}

func TestSilentClientIsCutOff(t *testing.T) { // faults.md C7
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.ReadTimeout = 50 * time.Millisecond })
	c := f.dial()
	c.send(head("POST", "/v1/resumable", 2*partSize, "Upload-Complete: ?1", "Upload-Draft-Interop-Version: 8") + "0123456789")
	_, h := c.answer()
	if status, _ := c.answer(); status != 503 {
		t.Errorf("%d", status)
	}
	if got := f.do("HEAD", h.Get("Location"), nil).header.Get("Upload-Offset"); got != "10" {
		t.Errorf("offset %s", got)
	}
}

func TestDialectWithoutUploadsIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := resumable.New(resumable.Config{}); err == nil {
		t.Error("accepted")
	}
}
