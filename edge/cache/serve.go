package cache

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cachestatus"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Peer answers the questions of other edges, at PeerPath. It asks no third one, so
// that nothing goes in circles, and nobody but them: without proof of the deployment's
// secret the answer is 403, and 404 where there are no peers.
func (c *Cache) Peer() http.Handler { return http.HandlerFunc(c.servePeer) }

func (c *Cache) servePeer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if c.peers == nil {
		http.NotFound(w, r)
		return
	}
	if !c.peers.proven(r.Header.Get(peerAuth), r.URL.EscapedPath()) {
		http.Error(w, "This address is for edges with the same keys and the same time.", http.StatusForbidden)
		return
	}
	key, size, offset, length, ok := parsePeerPath(r.URL.Path)
	if !ok {
		http.Error(w, "no stretch of an object", http.StatusBadRequest)
		return
	}
	body := c.Reader(r.Context(), key, size, offset, length)
	body.local = true
	c.sendPeer(w, body, length)
}

// parsePeerPath reads <size>/<offset>/<length>/<key> below PeerPath.
func parsePeerPath(path string) (key string, size, offset, length int64, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(path, PeerPath), "/", 4)
	if len(parts) != 4 || objectstore.CheckKey(parts[3]) != nil {
		return "", 0, 0, 0, false
	}
	for i, n := range []*int64{&size, &offset, &length} {
		v, err := strconv.ParseInt(parts[i], 10, 64)
		if err != nil || v < 0 {
			return "", 0, 0, 0, false
		}
		*n = v
	}
	ok = offset <= size && length > 0 && length <= size-offset && length <= mostPeerRead
	return parts[3], size, offset, length, ok
}

// sendPeer sends what there is as soon as it is there.
func (c *Cache) sendPeer(w http.ResponseWriter, body *Reader, length int64) {
	if _, err := body.next(); err != nil {
		http.Error(w, "the block is not to be had here", peerStatus(err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	h.Set(cachestatus.Name, body.Status().Header("melodyud-peer"))
	c.meters.peerServed.Inc()
	out := http.NewResponseController(w)
	for {
		chunk, err := body.next()
		if err != nil {
			return // at the end, or the other edge sees a body that is too short
		}
		n, err := w.Write(chunk)
		body.at += int64(n)
		if err != nil || out.Flush() != nil {
			return
		}
	}
}

func peerStatus(err error) int {
	if errors.Is(err, melodyud.ErrNotFound) {
		return http.StatusNotFound
	}
	return http.StatusServiceUnavailable
}
