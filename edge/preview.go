package edge

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/melodyud/melodyud/internal/offline"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/hls"
)

// preview serves a run of a release's segments as if there were no others. The
// ticket of a preview opens its run alone, because the run stands in the address.
func preview(serve handler) handler {
	return func(w http.ResponseWriter, r *http.Request, p play) error {
		from, to, ok := segmentRange(r.PathValue("range"))
		if !ok {
			return errGone
		}
		clip, err := hls.Clip(p.manifest, from, to)
		if err != nil {
			return err
		}
		p.manifest, p.first, p.claims.Ads = clip, from, ticket.NoAds
		return serve(w, r, p)
	}
}

// segmentRange reads "3-10", written as we write it.
func segmentRange(s string) (from, to int, ok bool) {
	a, b, _ := strings.Cut(s, "-")
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	return from, to, err1 == nil && err2 == nil && s == fmt.Sprintf("%d-%d", from, to)
}

// offline sends a whole track file encrypted for one device (HLS-94). What the
// device gets depends on it alone, so no cache in between should keep it.
func (e *Edge) offline(w http.ResponseWriter, r *http.Request, p play) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".mud")
	found, known := p.manifest.Rendition(name)
	if !ok || !known || e.config.MediaKeys == nil {
		return errGone
	}
	if p.claims.Tier != ticket.Premium {
		return ticket.ErrOfflineTier
	}
	device := r.PathValue("device")
	key, ok := e.config.MediaKeys.OfflineKey(streamOf(r), device, name)
	if !ok {
		return errGone
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "private, no-store")
	return e.stretch(w, r, p, found, part{0, found.Size}, offlineShape(key, r.PathValue("secret"), device))
}

// offlineShape is the shape of offline files under a key. The ETag names what the
// key depends on: a download that broke off goes on only with the same bytes.
func offlineShape(key []byte, secret, device string) shape {
	sum := sha256.Sum256([]byte(secret + "\n" + device))
	return shape{
		tag: fmt.Sprintf("-%x", sum[:8]),
		apply: func(body io.ReadSeeker, length int64) (io.ReadSeeker, error) {
			return offline.Seal(body, length, key)
		},
	}
}
