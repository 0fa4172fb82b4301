package api

import (
	"net/http"
	"time"
)

// Limits of NewServer, against clients that hold connections without using them
// (faults.md C7 and section 10). There is no deadline for whole requests: uploads
// and media take as long as they make progress, which their handlers watch.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 16 << 10 // bytes
)

// NewServer returns a server for h with these limits. The caller listens and shuts down.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
}
