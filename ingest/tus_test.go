package ingest_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/ingest"
)

const octets = "application/offset+octet-stream"

// tusCase is one row of standards.md section 7.1: a request against an upload of
// ten bytes that stands at offset four, and what has to come back.
type tusCase struct {
	name    string
	method  string
	given   func(f *fixture) string // makes another upload to ask
	path    string                  // default: the upload
	headers []string                // "{this}" is the upload's path
	body    string
	status  int
	code    string            // of the problem
	want    map[string]string // headers; "" means absent, "*" anything
	offset  string            // afterwards; default unchanged
}

func creates(headers ...string) tusCase {
	return tusCase{method: "POST", path: "/v1/uploads", headers: headers, offset: "-"}
}

func (c tusCase) gives(name string, status int, code string) tusCase {
	c.name, c.status, c.code = name, status, code
	return c
}

func (c tusCase) with(headers map[string]string) tusCase { c.want = headers; return c }

func patches(body string, headers ...string) tusCase {
	return tusCase{method: "PATCH", body: body, headers: append([]string{"Content-Type", octets, "Upload-Offset", "4"}, headers...)}
}

func (c tusCase) moves(offset string) tusCase { c.offset = offset; return c }

func tusTable() []tusCase {
	long := strings.Repeat("x", 65)
	return []tusCase{
		{
			name: "discovery", method: "OPTIONS", path: "/v1/uploads", headers: []string{"Tus-Resumable", "", "Authorization", ""}, status: 204,
			want: map[string]string{
				"Tus-Version": "1.0.0", "Tus-Max-Size": "64", "Tus-Checksum-Algorithm": "sha1,sha256,md5,crc32",
				"Tus-Extension": "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration,concatenation",
			},
		},
		{name: "discovery ignores the version", method: "OPTIONS", headers: []string{"Tus-Resumable", "9.9"}, status: 204},

		creates("Upload-Length", "10").gives("create", 201, "").with(map[string]string{"Location": "*", "Melodyud-Track": "*", "Upload-Expires": "*", "Upload-Offset": ""}),
		creates("Upload-Defer-Length", "1").gives("create deferred", 201, "").with(map[string]string{"Location": "*"}),
		creates("Upload-Length", "64").gives("create largest", 201, ""),
		creates("Upload-Length", "65").gives("create exceeding max size", 413, "upload.too-large").with(map[string]string{"Location": ""}),
		creates().gives("neither length header", 400, "upload.length"),
		creates("Upload-Length", "10", "Upload-Defer-Length", "1").gives("both length headers", 400, "upload.length"),
		creates("Upload-Defer-Length", "2").gives("defer length not 1", 400, "upload.length"),
		creates("Upload-Length", "-1").gives("negative length", 400, "upload.length"),
		creates("Upload-Length", "ten").gives("length not a number", 400, "upload.length"),
		creates("Upload-Length", "+10").gives("length with a sign", 400, "upload.length"),
		creates("Upload-Length", "99999999999999999999").gives("length beyond 63 bits", 400, "upload.length"),
		creates("Upload-Length", "0").gives("TUS-4: empty upload is refused at creation", 400, "upload.empty").with(map[string]string{"Location": ""}),
		creates("Upload-Length", "10", "Upload-Metadata", "filename d29ybGQ=,empty, x").gives("metadata", 201, ""),
		creates("Upload-Length", "10", "Upload-Metadata", "a YQ==,a YQ==").gives("metadata key twice", 400, "upload.metadata"),
		creates("Upload-Length", "10", "Upload-Metadata", "a YQ==,,b YQ==").gives("metadata key empty", 400, "upload.metadata"),
		creates("Upload-Length", "10", "Upload-Metadata", "a !!!").gives("metadata not base64", 400, "upload.metadata"),
		creates("Upload-Length", "10", "Tus-Resumable", "").gives("create without version", 412, "tus.version").with(map[string]string{"Tus-Version": "1.0.0", "Location": ""}),
		creates("Upload-Length", "10", "Tus-Resumable", "0.2.2").gives("create with other version", 412, "tus.version").with(map[string]string{"Tus-Version": "1.0.0"}),
		creates("Upload-Length", "10", "Authorization", "").gives("create signed out", 401, "auth.missing"),
		creates("Upload-Length", "10", "Authorization", "Bearer lin").gives("create without the role", 403, "auth.role"),

		{name: "create with upload", method: "POST", path: "/v1/uploads", body: "12345", headers: []string{"Upload-Length", "10", "Content-Type", octets}, status: 201, want: map[string]string{"Upload-Offset": "5", "Location": "*"}, offset: "-"},
		{name: "create with whole upload", method: "POST", path: "/v1/uploads", body: "1234567890", headers: []string{"Upload-Length", "10", "Content-Type", octets}, status: 201, want: map[string]string{"Upload-Offset": "10", "Upload-Expires": ""}, offset: "-"},
		{name: "create with too much", method: "POST", path: "/v1/uploads", body: "12345678901", headers: []string{"Upload-Length", "10", "Content-Type", octets}, status: 413, code: "upload.overflow", want: map[string]string{"Location": ""}, offset: "-"},
		{name: "create deferred with too much", method: "POST", path: "/v1/uploads", body: long, headers: []string{"Upload-Defer-Length", "1", "Content-Type", octets}, status: 413, code: "upload.too-large", want: map[string]string{"Location": ""}, offset: "-"},
		{name: "create ignores bodies of other types", method: "POST", path: "/v1/uploads", body: "hello", headers: []string{"Upload-Length", "10", "Content-Type", "text/plain"}, status: 201, want: map[string]string{"Upload-Offset": ""}, offset: "-"},
		{name: "create with a wrong checksum", method: "POST", path: "/v1/uploads", body: "12345", headers: []string{"Upload-Length", "10", "Content-Type", octets, "Upload-Checksum", "sha1 " + base64.StdEncoding.EncodeToString(make([]byte, 20))}, status: 460, code: "upload.checksum", want: map[string]string{"Location": "*"}, offset: "-"},

		{name: "head", method: "HEAD", status: 200, want: map[string]string{"Upload-Offset": "4", "Upload-Length": "10", "Upload-Defer-Length": "", "Upload-Metadata": "filename c8WCb8WEY2UuZmxhYw==", "Cache-Control": "no-store", "Upload-Expires": "*"}},
		{name: "head without version", method: "HEAD", headers: []string{"Tus-Resumable", ""}, status: 412, want: map[string]string{"Tus-Version": "1.0.0"}},
		{name: "head signed out", method: "HEAD", headers: []string{"Authorization", ""}, status: 401},
		{name: "TUS-6: head of another's upload", method: "HEAD", headers: []string{"Authorization", "Bearer bob"}, status: 404, want: map[string]string{"Upload-Offset": "", "Upload-Length": ""}},
		{name: "head of unknown upload", method: "HEAD", path: "/v1/uploads/upl_01ARZ3NDEKTSV4RRFFQ69G5FAV", status: 404},
		{name: "head of impossible id", method: "HEAD", path: "/v1/uploads/..%2f..%2fetc%2fpasswd", status: 404},

		patches("567890").gives("patch to the end", 204, "").with(map[string]string{"Upload-Offset": "10", "Upload-Expires": ""}).moves("10"),
		patches("56").gives("patch", 204, "").with(map[string]string{"Upload-Offset": "6", "Upload-Expires": "*"}).moves("6"),
		patches("").gives("empty patch", 204, "").with(map[string]string{"Upload-Offset": "4"}),
		patches("56", "Upload-Offset", "3").gives("offset too low", 409, "upload.offset"),
		patches("56", "Upload-Offset", "5").gives("offset too high", 409, "upload.offset"),
		patches("56", "Upload-Offset", "").gives("offset missing", 400, "tus.offset"),
		patches("56", "Upload-Offset", "-4").gives("offset negative", 400, "tus.offset"),
		patches("56", "Upload-Offset", "four").gives("offset not a number", 400, "tus.offset"),
		patches("56", "Content-Type", "application/octet-stream").gives("other content type", 415, "tus.content-type"),
		patches("56", "Content-Type", "").gives("no content type", 415, "tus.content-type"),
		patches("56", "Content-Type", octets+"; charset=x").gives("content type with parameter", 204, "").moves("6"),
		patches("5678901").gives("body past the length", 413, "upload.overflow"),
		patches("56", "Upload-Length", "10").gives("same length again", 204, "").moves("6"),
		patches("56", "Upload-Length", "11").gives("other length", 400, "upload.length"),
		patches("56", "Upload-Length", "x").gives("malformed length", 400, "upload.length"),
		patches("56", "Tus-Resumable", "").gives("patch without version", 412, "tus.version").with(map[string]string{"Tus-Version": "1.0.0"}),
		patches("56", "Authorization", "Bearer bob").gives("TUS-6: patch of another's upload", 404, "upload.unknown"),
		patches("56", "Authorization", "Bearer lin").gives("patch without the role", 403, "auth.role"),
		patches("56", "Authorization", "").gives("patch signed out", 401, "auth.missing"),

		patches("56", "Upload-Checksum", sum("sha1", "56")).gives("sha1", 204, "").moves("6"),
		patches("56", "Upload-Checksum", sum("sha256", "56")).gives("sha256", 204, "").moves("6"),
		patches("56", "Upload-Checksum", sum("md5", "56")).gives("md5", 204, "").moves("6"),
		patches("56", "Upload-Checksum", sum("crc32", "56")).gives("crc32", 204, "").moves("6"),
		patches("56", "Upload-Checksum", sum("sha1", "65")).gives("checksum differs", 460, "upload.checksum"),
		patches("567890", "Upload-Checksum", sum("sha256", "x")).gives("checksum of the last chunk differs", 460, "upload.checksum"),
		patches("56", "Upload-Checksum", "sha3 aGk=").gives("algorithm unknown", 400, "upload.checksum-form"),
		patches("56", "Upload-Checksum", "sha1 !").gives("checksum not base64", 400, "upload.checksum-form"),
		patches("56", "Upload-Checksum", "sha1 aGk=").gives("checksum of wrong size", 400, "upload.checksum-form"),
		patches("56", "Upload-Checksum", "sha1").gives("checksum missing", 400, "upload.checksum-form"),

		{name: "TUS-3: override with PATCH", method: "POST", body: "56", headers: []string{"X-HTTP-Method-Override", "PATCH", "Content-Type", octets, "Upload-Offset", "4"}, status: 204, want: map[string]string{"Upload-Offset": "6"}, offset: "6"},
		{name: "TUS-3: override with HEAD", method: "POST", headers: []string{"X-HTTP-Method-Override", "HEAD"}, status: 200, want: map[string]string{"Upload-Offset": "4"}},
		{name: "TUS-3: override with DELETE", method: "POST", headers: []string{"X-HTTP-Method-Override", "DELETE"}, status: 204, offset: "-"},
		{name: "TUS-3: override with anything else", method: "POST", headers: []string{"X-HTTP-Method-Override", "PUT"}, status: 400, code: "tus.method"},

		{name: "terminate", method: "DELETE", status: 204, offset: "-"},
		{name: "terminate without version", method: "DELETE", headers: []string{"Tus-Resumable", ""}, status: 412, code: "tus.version"},
		{name: "TUS-6: terminate another's upload", method: "DELETE", headers: []string{"Authorization", "Bearer bob"}, status: 404, code: "upload.unknown"},
		{name: "terminate signed out", method: "DELETE", headers: []string{"Authorization", ""}, status: 401, code: "auth.missing"},
		{name: "terminate a terminated upload", given: ended, method: "DELETE", status: 410, code: "upload.gone", offset: "-"},
		{name: "head of a terminated upload", given: ended, method: "HEAD", status: 410, offset: "-"},
		{name: "patch of an expired upload", given: expired, method: "PATCH", body: "5", headers: []string{"Content-Type", octets, "Upload-Offset", "4"}, status: 410, code: "upload.gone", offset: "-"},
		{name: "TUS-7: head of an expired upload says gone, not signed out", given: expired, method: "HEAD", status: 410, offset: "-"},
		{name: "head of a deferred upload", given: deferred, method: "HEAD", status: 200, want: map[string]string{"Upload-Defer-Length": "1", "Upload-Length": "", "Upload-Offset": "4"}},
		patches("56", "Upload-Length", "6").on(deferred).gives("length declared with the last bytes", 204, "").with(map[string]string{"Upload-Offset": "6", "Upload-Expires": ""}).moves("6"),
		patches("", "Upload-Length", "3").on(deferred).gives("length declared below the offset", 400, "upload.length"),
		patches("", "Upload-Length", "65").on(deferred).gives("length declared past the maximum", 413, "upload.too-large"),
		patches(long).on(deferred).gives("overflow without a length", 413, "upload.too-large"),
		{name: "head of a complete upload", given: whole, method: "HEAD", status: 200, want: map[string]string{"Upload-Offset": "4", "Upload-Length": "4", "Upload-Expires": ""}},
		patches("").on(whole).gives("TUS-4: patch to a complete upload at its offset", 204, "").with(map[string]string{"Upload-Offset": "4"}),
		patches("5").on(whole).gives("patch past a complete upload", 413, "upload.overflow"),

		creates("Upload-Length", "10", "Upload-Concat", "partial").gives("TUS-5: create partial", 201, "").with(map[string]string{"Location": "*", "Upload-Expires": "*", "Melodyud-Track": ""}),
		creates("Upload-Length", "0", "Upload-Concat", "partial").gives("TUS-5: an empty piece is allowed", 201, "").with(map[string]string{"Location": "*"}),
		creates("Upload-Concat", "partial").gives("TUS-5: partial without a length", 400, "upload.length"),
		{name: "TUS-5: head of an unfinished partial", given: partial, method: "HEAD", status: 200, want: map[string]string{"Upload-Concat": "partial", "Upload-Offset": "4", "Upload-Length": "10", "Upload-Expires": "*"}},
		patches("567890").on(partial).gives("TUS-5: partial to its end", 204, "").with(map[string]string{"Upload-Offset": "10", "Upload-Expires": "*"}).moves("10"),
		{name: "TUS-5: head of a finished partial", given: stored, method: "HEAD", status: 200, want: map[string]string{"Upload-Concat": "partial", "Upload-Offset": "4", "Upload-Length": "4", "Upload-Expires": "*"}},
		patches("").on(stored).gives("TUS-5: empty patch of a finished partial", 204, ""),
		creates("Upload-Concat", "final;{this}").on(stored).gives("TUS-5: final of one", 201, "").with(map[string]string{"Location": "*", "Melodyud-Track": "*", "Upload-Expires": "", "Upload-Offset": ""}),
		creates("Upload-Concat", "final; https://music.example{this}  {this} ").on(stored).gives("TUS-5: absolute addresses, repeated, loosely spaced", 201, ""),
		creates("Upload-Concat", "final;{this}", "Upload-Length", "4").on(stored).gives("TUS-5: final with a length", 400, "upload.length"),
		creates("Upload-Concat", "final;{this}", "Upload-Metadata", "a !").on(stored).gives("TUS-5: final with bad metadata", 400, "upload.metadata"),
		creates("Upload-Concat", "final;{this}").on(partial).gives("TUS-5: final of an unfinished partial", 400, "upload.concat-unfinished"),
		creates("Upload-Concat", "final;{this}").gives("TUS-5: final of an upload that is not partial", 400, "upload.concat"),
		creates("Upload-Concat", "final;{this}").on(final).gives("TUS-5: final of a final", 400, "upload.concat"),
		creates("Upload-Concat", "final;{this}").on(ended).gives("TUS-5: final of a terminated upload", 400, "upload.concat"),
		creates("Upload-Concat", "final;{this}").on(lapsed).gives("TUS-5: final of an expired partial", 400, "upload.concat"),
		creates("Upload-Concat", "final;{this}", "Authorization", "Bearer bob").on(stored).gives("TUS-5, TUS-6: final of another's partial", 400, "upload.concat"),
		creates("Upload-Concat", "final;/v1/uploads/upl_01ARZ3NDEKTSV4RRFFQ69G5FAV").gives("TUS-5: final of an unknown id", 400, "upload.concat"),
		creates("Upload-Concat", "final;/files/a").gives("TUS-5: final of a foreign address", 400, "upload.concat"),
		creates("Upload-Concat", "final;").gives("TUS-5: final of nothing", 400, "upload.concat"),
		creates("Upload-Concat", "whole", "Upload-Length", "4").gives("TUS-5: neither partial nor final", 400, "upload.concat"),
		creates("Upload-Concat", "final;"+strings.Repeat("{this} ", 17)).on(stored).gives("TUS-5: final past the maximum", 413, "upload.too-large"),
		{name: "TUS-5: final with bytes", given: stored, method: "POST", path: "/v1/uploads", body: "x", headers: []string{"Upload-Concat", "final;{this}", "Content-Type", octets}, status: 403, code: "upload.final", offset: "-"},
		{name: "TUS-5: head of a final", given: final, method: "HEAD", status: 200, want: map[string]string{"Upload-Concat": "*", "Upload-Offset": "8", "Upload-Length": "8", "Upload-Expires": "", "Upload-Metadata": "title U29uZw=="}, offset: "8"},
		patches("x").on(final).gives("TUS-5: patch of a final", 403, "upload.final").moves("8"),
		{name: "TUS-5: empty patch of a final at its end", given: final, method: "PATCH", headers: []string{"Content-Type", octets, "Upload-Offset", "8"}, status: 403, code: "upload.final", offset: "8"},
		{name: "TUS-5: terminate a partial", given: stored, method: "DELETE", status: 204, offset: "-"},

		{name: "describe without the version", method: "GET", headers: []string{"Tus-Resumable", ""}, status: 200},
		{name: "TUS-6: describe another's upload", method: "GET", headers: []string{"Authorization", "Bearer bob"}, status: 404, code: "upload.unknown"},
	}
}

func (c tusCase) on(given func(f *fixture) string) tusCase { c.given = given; return c }

// The uploads a row may ask, standing at offset four.

func begun(f *fixture, length int, headers ...string) string {
	f.t.Helper()
	path := f.create(length, headers...)
	if a := f.patch(path, 0, []byte("1234")); a.StatusCode != 204 {
		f.t.Fatalf("set up: %d %s", a.StatusCode, a.body)
	}
	return path
}

func open(f *fixture) string {
	return begun(f, 10, "Upload-Metadata", "filename c8WCb8WEY2UuZmxhYw==")
}
func deferred(f *fixture) string { return begun(f, -1) }
func whole(f *fixture) string    { return begun(f, 4) }
func partial(f *fixture) string  { return begun(f, 10, "Upload-Concat", "partial") }
func stored(f *fixture) string   { return begun(f, 4, "Upload-Concat", "partial") }

func final(f *fixture) string {
	one := stored(f)
	return f.join([]string{one, one}, "Upload-Metadata", "title U29uZw==")
}

func ended(f *fixture) string {
	path := open(f)
	f.do("DELETE", path, nil)
	return path
}

func expired(f *fixture) string {
	path := open(f)
	f.clock.Pass(25 * time.Hour)
	return path
}

func lapsed(f *fixture) string {
	path := stored(f)
	f.clock.Pass(25 * time.Hour)
	return path
}

func sum(algorithm, data string) string {
	var raw []byte
	switch algorithm {
	case "sha1":
		s := sha1.Sum([]byte(data))
		raw = s[:]
	case "sha256":
		s := sha256.Sum256([]byte(data))
		raw = s[:]
	case "md5":
		s := md5.Sum([]byte(data))
		raw = s[:]
	case "crc32":
		raw = binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(data)))
	}
	return algorithm + " " + base64.StdEncoding.EncodeToString(raw)
}

func TestEveryAnswerIsTheOneTusRequires(t *testing.T) { // standards.md 7.1
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.MaxSize, c.MaxOpen = 64, 1000 })
	for _, c := range tusTable() {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{Service: f.Service, t: t, db: f.db, store: f.store, catalog: f.catalog, clock: f.clock, url: f.url}
			if c.given == nil {
				c.given = open
			}
			f.check(c, c.given(f))
		})
	}
}

func (f *fixture) check(c tusCase, upload string) {
	f.t.Helper()
	path := c.path
	if path == "" {
		path = upload
	}
	headers := slices.Clone(c.headers)
	for i := range headers {
		headers[i] = strings.ReplaceAll(headers[i], "{this}", upload)
	}
	a := f.do(c.method, path, strings.NewReader(c.body), headers...)
	if a.StatusCode != c.status || c.method != "HEAD" && a.code() != c.code {
		f.t.Errorf("%d %q, want %d %q: %s", a.StatusCode, a.code(), c.status, c.code, a.body)
	}
	if got := a.Header.Get("Tus-Resumable"); got != "1.0.0" && c.method != "GET" {
		f.t.Errorf("Tus-Resumable %q", got)
	}
	for name, want := range c.want {
		if got := a.Header.Get(name); got != want && (want != "*" || got == "") {
			f.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if v := a.Header.Get("Tus-Version"); (v != "") != (c.method == "OPTIONS" || c.status == 412) {
		f.t.Errorf("Tus-Version %q", v)
	}
	if c.offset == "-" {
		return
	}
	want := c.offset
	if want == "" {
		want = "4"
	}
	if got := f.offset(upload); got != want {
		f.t.Errorf("offset is %s, want %s", got, want)
	}
}

func TestOverrideOfOffsetKeepsTheUploadUntouched(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.create(10)
	if a := f.patch(path, 4, []byte("x")); a.StatusCode != 409 {
		t.Errorf("%d", a.StatusCode)
	}
	if len(f.parts()) != 0 {
		t.Errorf("a refused chunk left %v", f.parts())
	}
}

func TestTerminatedUploadIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.create(10)
	f.patch(path, 0, []byte("1234"))
	f.do("DELETE", path, nil)
	for _, method := range []string{"HEAD", "DELETE", "GET"} {
		if a := f.do(method, path, nil); a.StatusCode != 410 {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
	if a := f.patch(path, 4, []byte("5")); a.StatusCode != 410 || a.code() != "upload.gone" {
		t.Errorf("PATCH: %d %s", a.StatusCode, a.body)
	}
	if len(f.parts()) != 0 {
		t.Errorf("parts stay: %v", f.parts())
	}
}

func TestExpiredUploadIsGoneAtOnceAndItsPartsSoon(t *testing.T) { // expiration extension
	t.Parallel()
	f := newFixture(t)
	path := f.create(10)
	f.patch(path, 0, []byte("1234"))
	f.clock.Pass(23 * time.Hour)
	if a := f.patch(path, 4, []byte("56")); a.StatusCode != 204 {
		t.Fatalf("%d", a.StatusCode)
	}
	f.clock.Pass(23 * time.Hour) // The last bytes came 23 hours ago, not 46.
	expires, err := http.ParseTime(f.do("HEAD", path, nil).Header.Get("Upload-Expires"))
	if left := expires.Sub(f.clock.Now()); err != nil || left > time.Hour || left < time.Hour-time.Minute {
		t.Errorf("expires in %v, %v", left, err)
	}
	f.clock.Pass(time.Hour)
	for range 2 {
		if a := f.do("HEAD", path, nil); a.StatusCode != 410 {
			t.Errorf("HEAD: %d", a.StatusCode)
		}
		if a := f.patch(path, 6, []byte("7")); a.StatusCode != 410 {
			t.Errorf("PATCH: %d", a.StatusCode)
		}
		stop := f.run()
		for range patience {
			if len(f.parts()) == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		stop()
	}
	if len(f.parts()) != 0 {
		t.Errorf("parts stay: %v", f.parts())
	}
}

func TestCompleteUploadAcceptsTheSameOffsetAgain(t *testing.T) { // TUS-4
	t.Parallel()
	f := newFixture(t)
	path := f.create(4)
	f.patch(path, 0, []byte("1234"))
	for body, status := range map[string]int{"": 204, "5": 413} {
		a := f.patch(path, 4, []byte(body))
		if a.StatusCode != status || status == 204 && a.Header.Get("Upload-Offset") != "4" {
			t.Errorf("%q: %d %v", body, a.StatusCode, a.Header)
		}
	}
	if a := f.patch(path, 0, []byte("1234")); a.StatusCode != 409 {
		t.Errorf("%d", a.StatusCode)
	}
	f.wantMaster([]byte("1234"))
}

func TestLengthMayBeDeclaredLater(t *testing.T) { // creation-defer-length, faults.md A3
	t.Parallel()
	for name, declare := range map[string]func(f *fixture, path string) answer{
		"with the last bytes": func(f *fixture, path string) answer {
			return f.patch(path, 4, []byte("56"), "Upload-Length", "6")
		},
		"after them": func(f *fixture, path string) answer {
			f.patch(path, 4, []byte("56"))
			return f.patch(path, 6, nil, "Upload-Length", "6")
		},
		"before them": func(f *fixture, path string) answer {
			f.patch(path, 4, nil, "Upload-Length", "6")
			return f.patch(path, 4, []byte("56"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			path := f.create(-1)
			f.patch(path, 0, []byte("1234"))
			head := f.do("HEAD", path, nil).Header
			if head.Get("Upload-Defer-Length") != "1" || head.Get("Upload-Length") != "" || head.Get("Upload-Offset") != "4" {
				t.Errorf("%v", head)
			}
			if a := declare(f, path); a.StatusCode != 204 || a.Header.Get("Upload-Offset") != "6" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			if head := f.do("HEAD", path, nil).Header; head.Get("Upload-Length") != "6" || head.Get("Upload-Defer-Length") != "" {
				t.Errorf("%v", head)
			}
			f.wantMaster([]byte("123456"))
		})
	}
}

func TestBadLateLengthsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *ingest.Config) { c.MaxSize = 64 })
	path := f.create(-1)
	if a := f.patch(path, 0, nil, "Upload-Length", "0"); a.StatusCode != 400 || a.code() != "upload.empty" {
		t.Errorf("empty: %d %s", a.StatusCode, a.body)
	}
	f.patch(path, 0, []byte("1234"))
	for length, status := range map[string]int{"3": 400, "65": 413, "4.0": 400} {
		if a := f.patch(path, 4, nil, "Upload-Length", length); a.StatusCode != status {
			t.Errorf("%s: %d %s", length, a.StatusCode, a.body)
		}
	}
	if a := f.patch(path, 4, make([]byte, 61)); a.StatusCode != 413 || a.code() != "upload.too-large" {
		t.Errorf("too much: %d %s", a.StatusCode, a.body)
	}
	if f.offset(path) != "4" {
		t.Error("the upload moved")
	}
}

// chunked hides a reader's size, so that the request has no Content-Length.
type chunked struct{ *bytes.Reader }

func (c chunked) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (f *fixture) patchChunked(path string, offset int, data []byte, headers ...string) answer {
	f.t.Helper()
	headers = append([]string{"Content-Type", octets, "Upload-Offset", strconv.Itoa(offset)}, headers...)
	return f.do("PATCH", path, struct{ chunked }{chunked{bytes.NewReader(data)}}, headers...)
}

func TestBodyWithoutContentLengthIsTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	data := noise(3*partSize+7, 1)
	path := f.create(len(data))
	if a := f.patchChunked(path, 0, data[:partSize+1]); a.StatusCode != 204 || a.Header.Get("Upload-Offset") != strconv.Itoa(partSize+1) {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if a := f.patchChunked(path, partSize+1, data[partSize+1:]); a.StatusCode != 204 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	f.wantMaster(data)
}

func TestBodyWithoutContentLengthStoresNothingPastTheEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, n := range []int{10, partSize, 2 * partSize} {
		path := f.create(n)
		if a := f.patchChunked(path, 0, make([]byte, n+1)); a.StatusCode != 413 || a.code() != "upload.overflow" {
			t.Errorf("%d: %d %s", n, a.StatusCode, a.body)
		}
		if v := f.view(path); v.State != ingest.StateOpen || v.Offset >= int64(n) {
			t.Errorf("%d: %+v", n, v)
		}
	}
}

func TestChecksumCoversChunksOfManyParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	data := noise(3*partSize+7, 2)
	path := f.create(len(data))
	if a := f.patch(path, 0, data, "Upload-Checksum", sum("sha256", "other")); a.StatusCode != 460 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if f.offset(path) != "0" || len(f.parts()) != 0 {
		t.Errorf("a bad chunk moved the upload to %s and left %v", f.offset(path), f.parts())
	}
	if a := f.patch(path, 0, data, "Upload-Checksum", sum("sha256", string(data))); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	f.wantMaster(data)
}

func TestBrowsersOnOtherSitesMayUploadWithAKey(t *testing.T) { // standards.md 7.1, CORS
	t.Parallel()
	f := newFixture(t)
	pre := f.do("OPTIONS", "/v1/uploads", nil, "Origin", "https://studio.example", "Access-Control-Request-Method", "POST",
		"Authorization", "", "Tus-Resumable", "")
	if pre.StatusCode != 204 || pre.Header.Get("Access-Control-Allow-Origin") != "*" || pre.Header.Get("Access-Control-Max-Age") != "86400" {
		t.Errorf("%d %v", pre.StatusCode, pre.Header)
	}
	for _, method := range []string{"POST", "HEAD", "PATCH", "OPTIONS", "GET", "DELETE"} {
		if !strings.Contains(pre.Header.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("method %s is missing", method)
		}
	}
	for _, name := range strings.Split("Authorization, Origin, X-Requested-With, X-Request-ID, X-HTTP-Method-Override, Content-Type, "+
		"Upload-Length, Upload-Offset, Tus-Resumable, Upload-Metadata, Upload-Defer-Length, Upload-Concat, Upload-Checksum", ", ") {
		if !strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("header %s is missing", name)
		}
	}
	for _, a := range []answer{
		f.do("POST", "/v1/uploads", nil, "Upload-Length", "10", "Origin", "https://studio.example"),
		f.do("POST", "/v1/uploads", nil, "Upload-Length", "10", "Origin", "https://studio.example", "Authorization", ""),
	} {
		if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%d %v", a.StatusCode, a.Header)
		}
		for _, name := range strings.Split("Upload-Offset, Location, Upload-Length, Tus-Version, Tus-Resumable, Tus-Max-Size, "+
			"Tus-Extension, Upload-Metadata, Upload-Defer-Length, Upload-Concat, Upload-Expires", ", ") {
			if !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("%s is not exposed", name)
			}
		}
	}
}

func TestDescriptionTellsPeopleWhatBecameOfTheUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.create(4, "Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte("słońce.flac")))
	if v := f.view(path); v.State != ingest.StateOpen || v.FileName != "słońce.flac" || *v.Length != 4 || v.Expires == nil || string(v.ID) != id(path) {
		t.Errorf("%+v", v)
	}
	f.patch(path, 0, []byte("1234"))
	if v := f.view(path); v.State != ingest.StateReceived || v.SHA256 == "" || v.Expires != nil || v.Track == "" {
		t.Errorf("%+v", v)
	}
}
