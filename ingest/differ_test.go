package ingest_test

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/ingest"
)

// step is one request of the script that both servers get. "{a}" in path or
// headers is the address the step named a was answered with.
type step struct {
	name, method, path, headers, body string
}

const patchType = "Content-Type: " + octets + " | "

// script is everything a client may do right or wrong that both servers claim to
// know.
var script = []step{
	{"a", "POST", "/v1/uploads", "Upload-Length: 10 | Upload-Metadata: filename c8WCb8WEY2U=", ""},
	{"head of a new upload", "HEAD", "{a}", "", ""},
	{"patch", "PATCH", "{a}", patchType + "Upload-Offset: 0", "1234"},
	{"head in mid-way", "HEAD", "{a}", "", ""},
	{"patch at a wrong offset", "PATCH", "{a}", patchType + "Upload-Offset: 3", "x"},
	{"patch of another type", "PATCH", "{a}", "Content-Type: text/plain | Upload-Offset: 4", "x"},
	{"patch without an offset", "PATCH", "{a}", patchType, "x"},
	{"patch at a negative offset", "PATCH", "{a}", patchType + "Upload-Offset: -1", "x"},
	{"patch of another version", "PATCH", "{a}", patchType + "Upload-Offset: 4 | Tus-Resumable: 0.2.0", "x"},
	{"patch without a version", "PATCH", "{a}", patchType + "Upload-Offset: 4 | Tus-Resumable: ", "x"},
	{"head without a version", "HEAD", "{a}", "Tus-Resumable: ", ""},
	{"patch past the length", "PATCH", "{a}", patchType + "Upload-Offset: 4", "5678901"},
	{"length again", "PATCH", "{a}", patchType + "Upload-Offset: 4 | Upload-Length: 11", "5"},
	{"head after refusals", "HEAD", "{a}", "", ""},
	{"patch to the end", "PATCH", "{a}", patchType + "Upload-Offset: 4", "567890"},
	{"head at the end", "HEAD", "{a}", "", ""},
	{"empty patch at the end", "PATCH", "{a}", patchType + "Upload-Offset: 10", ""},

	{"b", "POST", "/v1/uploads", "Upload-Defer-Length: 1", ""},
	{"head of a deferred upload", "HEAD", "{b}", "", ""},
	{"patch of a deferred upload", "PATCH", "{b}", patchType + "Upload-Offset: 0", "1234"},
	{"length declared too small", "PATCH", "{b}", patchType + "Upload-Offset: 4 | Upload-Length: 3", ""},
	{"length declared too large", "PATCH", "{b}", patchType + "Upload-Offset: 4 | Upload-Length: 2000", ""},
	{"length declared at last", "PATCH", "{b}", patchType + "Upload-Offset: 4 | Upload-Length: 6", "56"},
	{"head of what was deferred", "HEAD", "{b}", "", ""},

	{"c", "POST", "/v1/uploads", patchType + "Upload-Length: 10", "12345"},
	{"head after creation with upload", "HEAD", "{c}", "", ""},
	{"delete", "DELETE", "{c}", "", ""},
	{"head of a deleted upload", "HEAD", "{c}", "", ""},
	{"patch of a deleted upload", "PATCH", "{c}", patchType + "Upload-Offset: 5", "7"},
	{"delete of a deleted upload", "DELETE", "{c}", "", ""},

	{"d", "POST", "/v1/uploads", "Upload-Length: 10", ""},
	{"override", "POST", "{d}", patchType + "X-HTTP-Method-Override: PATCH | Upload-Offset: 0", "1234"},

	{"neither length", "POST", "/v1/uploads", "", ""},
	{"both lengths", "POST", "/v1/uploads", "Upload-Length: 1 | Upload-Defer-Length: 1", ""},
	{"defer length not 1", "POST", "/v1/uploads", "Upload-Defer-Length: 2", ""},
	{"length not a number", "POST", "/v1/uploads", "Upload-Length: ten", ""},
	{"length negative", "POST", "/v1/uploads", "Upload-Length: -1", ""},
	{"length above the maximum", "POST", "/v1/uploads", "Upload-Length: 1001", ""},
	{"metadata malformed", "POST", "/v1/uploads", "Upload-Length: 1 | Upload-Metadata: a YQ==,a YQ==", ""},
	{"create without a version", "POST", "/v1/uploads", "Upload-Length: 1 | Tus-Resumable: ", ""},
	{"create of another version", "POST", "/v1/uploads", "Upload-Length: 1 | Tus-Resumable: 0.2.0", ""},
	{"create of nothing", "POST", "/v1/uploads", "Upload-Length: 0", ""},
	{"head of an unknown upload", "HEAD", "/v1/uploads/upl_01ARZ3NDEKTSV4RRFFQ69G5FAV", "", ""},
	{"discovery", "OPTIONS", "/v1/uploads", "Tus-Resumable: ", ""},
}

// known are the differences that we want, and why.
var known = map[string]string{
	"patch of another type: status 415, theirs 400":                 "standards.md 7.1: 415, as the protocol recommends",
	"patch without an offset: status 400, theirs 403":               "standards.md 7.1: 400",
	"patch of another version: status 412, theirs 400":              "the protocol demands 412",
	"create of another version: status 412, theirs 400":             "the protocol demands 412",
	"patch of another version: Tus-Version \"1.0.0\", theirs \"\"":  "the protocol demands it beside 412",
	"create of another version: Tus-Version \"1.0.0\", theirs \"\"": "the protocol demands it beside 412",
	"patch without a version: Tus-Version \"1.0.0\", theirs \"\"":   "the protocol demands it beside 412",
	"create without a version: Tus-Version \"1.0.0\", theirs \"\"":  "the protocol demands it beside 412",
	"head without a version: Tus-Version \"1.0.0\", theirs \"\"":    "the protocol demands it beside 412",
	"head of a deleted upload: status 410, theirs 404":              "we remember what was cancelled",
	"patch of a deleted upload: status 410, theirs 404":             "we remember what was cancelled",
	"delete of a deleted upload: status 410, theirs 404":            "we remember what was cancelled",
	"override: status 204, theirs 400":                              "theirs asks the POST for what only a PATCH has",
	"override: Upload-Offset \"4\", theirs \"\"":                    "theirs asks the POST for what only a PATCH has",
	"create of nothing: status 400, theirs 201":                     "ADR 5: an empty file is refused at once",
	"create of nothing: Location absent, theirs present":            "ADR 5: an empty file is refused at once",
}

func TestOnlyKnownDifferencesFromAnotherServer(t *testing.T) { // standards.md 7.2
	t.Parallel()
	if os.Getenv("MELODYUD_OUTSIDE") != "1" {
		t.Skip("set MELODYUD_OUTSIDE=1 to compare the server with @tus/server; needs node and npm packages")
	}
	f := newFixture(t, func(c *ingest.Config) { c.MaxSize = 1000 })
	ours := f.play()
	theirs := (&fixture{t: t, url: otherServer(t, installOutside(t))}).play()
	found := map[string]bool{}
	for i, s := range script {
		for _, d := range differences(ours[i], theirs[i]) {
			found[s.name+": "+d] = true
		}
	}
	for _, d := range slices.Sorted(maps.Keys(found)) {
		if known[d] == "" {
			t.Errorf("a difference nobody knows: %s", d)
		}
	}
	for d := range known {
		if !found[d] {
			t.Errorf("a difference that is none: %s", d)
		}
	}
}

// otherServer starts @tus/server and returns its address.
func otherServer(t *testing.T, work string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "server.mjs")
	cmd.Dir, cmd.Stderr = work, t.Output()
	cmd.Env = append(os.Environ(), "DIRECTORY="+t.TempDir(), "MAX_SIZE=1000")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// play sends the script and returns the answers.
func (f *fixture) play() []answer {
	f.t.Helper()
	var all []answer
	places := map[string]string{}
	for _, s := range script {
		path, headers := s.path, []string(nil)
		for name, place := range places {
			path = strings.ReplaceAll(path, "{"+name+"}", place)
		}
		for pair := range strings.SplitSeq(strings.TrimSuffix(s.headers, " | "), " | ") {
			if name, value, ok := strings.Cut(pair, ":"); ok {
				headers = append(headers, name, strings.TrimSpace(value))
			}
		}
		a := f.do(s.method, path, strings.NewReader(s.body), headers...)
		if u, err := url.Parse(a.Header.Get("Location")); err == nil && u.Path != "" {
			places[s.name] = u.Path
		}
		all = append(all, a)
	}
	return all
}

// differences compares what clients look at.
func differences(ours, theirs answer) []string {
	var all []string
	if ours.StatusCode != theirs.StatusCode {
		all = append(all, fmt.Sprintf("status %d, theirs %d", ours.StatusCode, theirs.StatusCode))
	}
	for _, name := range []string{"Tus-Resumable", "Tus-Version", "Tus-Max-Size", "Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Cache-Control"} {
		if a, b := ours.Header.Get(name), theirs.Header.Get(name); a != b && (name != "Cache-Control" || ours.StatusCode < 300) {
			all = append(all, fmt.Sprintf("%s %q, theirs %q", name, a, b))
		}
	}
	if a, b := present(ours.Header), present(theirs.Header); a != b {
		all = append(all, fmt.Sprintf("Location %s, theirs %s", a, b))
	}
	return all
}

func present(h http.Header) string {
	if h.Get("Location") != "" {
		return "present"
	}
	return "absent"
}
