package edge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/melodyud/melodyud/internal/ticket"
)

// BenchmarkEncryptedSegment sends a cached segment of 0.7 MB, clear and encrypted.
func BenchmarkEncryptedSegment(b *testing.B) {
	s := newStage(b)
	for name, base := range map[string]string{
		"clear":     s.base(b, ticket.Premium),
		"encrypted": s.at(b, ticket.Premium, ticket.EncryptedPrefix(s.stream("m2"))),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s.files["flac"])))
			for b.Loop() {
				w := httptest.NewRecorder()
				s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, base+"flac/s/1.m4s", nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
