package edge_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/melodyud/melodyud/internal/ticket"
)

// EDGE-6: whatever a player asks for, what it gets is what the answer says it is.
func FuzzARangeOfASegmentIsWhatItsAnswerSays(f *testing.F) {
	s := newStage(f)
	path := s.base(f, ticket.Premium) + segmentPath
	whole := s.files["aac-64"][800:1800]
	tag := func() string {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Header().Get("ETag")
	}()
	f.Add("bytes=0-0", "", "")
	f.Add("bytes=-1", tag, "")
	f.Add("bytes=999-", "W/"+tag, `"x", `+tag)
	f.Add("bytes=1000-,0-1", "Sun, 01 Mar 2026 12:00:00 GMT", "*")
	f.Add("bytes=0-0", tag+"v\xe7\x84", "")
	f.Fuzz(func(t *testing.T, field, ifRange, ifNoneMatch string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		for name, value := range map[string]string{"Range": field, "If-Range": ifRange, "If-None-Match": ifNoneMatch} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		got, says := w.Body.Bytes(), w.Header().Get("Content-Range")
		var from, to, size int
		switch w.Code {
		case http.StatusOK:
			if !bytes.Equal(got, whole) || says != "" {
				t.Fatalf("%q: a whole of %d bytes, %q", field, len(got), says)
			}
		case http.StatusPartialContent:
			if n, _ := fmt.Sscanf(says, "bytes %d-%d/%d", &from, &to, &size); n != 3 || size != len(whole) || !bytes.Equal(got, whole[from:to+1]) {
				t.Fatalf("%q: %d bytes, %q", field, len(got), says)
			}
			if ifRange != "" && ifRange != tag {
				t.Fatalf("If-Range %q lets %q stand", ifRange, field)
			}
		case http.StatusNotModified:
			if len(got) > 0 || ifNoneMatch == "" {
				t.Fatalf("%q: 304 with %d bytes", ifNoneMatch, len(got))
			}
		case http.StatusRequestedRangeNotSatisfiable:
			if says != "bytes */1000" {
				t.Fatalf("%q: %q", field, says)
			}
		default:
			t.Fatalf("%q: %d", field, w.Code)
		}
	})
}
