package edge

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/dash"
	"github.com/melodyud/melodyud/packager/hls"
)

const (
	typeHLS  = "application/vnd.apple.mpegurl" // HLS-80
	typeDASH = "application/dash+xml"          // DASH-1

	// whileFresh is how long a playlist may be kept (EDGE-13).
	whileFresh = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=86400"
)

func (e *Edge) standard(w http.ResponseWriter, r *http.Request, p play) error {
	return e.multivariant(w, r, p, hls.Standard)
}

func (e *Edge) hifi(w http.ResponseWriter, r *http.Request, p play) error {
	if p.claims.Tier != ticket.Premium {
		return errTier
	}
	return e.multivariant(w, r, p, hls.Hifi)
}

func (e *Edge) multivariant(w http.ResponseWriter, r *http.Request, p play, f hls.Flavour) error {
	p.made.Add(w.Header())
	body, err := p.printMultivariant(melodyud.TrackID(r.PathValue("track")), f)
	return e.text(w, r, typeHLS, body, err)
}

func (p play) printMultivariant(track melodyud.TrackID, f hls.Flavour) ([]byte, error) {
	return hls.Multivariant(offered(p.manifest, p.claims), hls.Options{Flavour: f, Track: track, First: p.first, Protection: p.cipher.protection()})
}

func (e *Edge) media(w http.ResponseWriter, r *http.Request, p play) error {
	found, err := p.rendition(r)
	if err != nil {
		return err
	}
	p.made.Add(w.Header())
	body, err := p.printMedia(found.Name)
	return e.text(w, r, typeHLS, body, err)
}

func (p play) printMedia(rendition string) ([]byte, error) {
	return hls.Media(p.manifest, rendition, hls.Options{
		First: p.first, Protection: p.cipher.protection(), Interstitials: p.interstitials(),
	})
}

func (e *Edge) dash(w http.ResponseWriter, r *http.Request, p play) error {
	print := dash.Standard
	if p.claims.Tier == ticket.Premium {
		print = dash.MPD
	}
	p.made.Add(w.Header())
	body, err := print(offered(p.manifest, p.claims))
	return e.text(w, r, typeDASH, body, err)
}

// text answers with a playlist, compressed for those who can take it (HLS-80).
// The compressed form has an ETag of its own (EDGE-14).
func (e *Edge) text(w http.ResponseWriter, r *http.Request, contentType string, body []byte, err error) error {
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", whileFresh)
	h.Add("Vary", "Accept-Encoding")
	suffix := ""
	if acceptsGzip(strings.Join(r.Header.Values("Accept-Encoding"), ",")) {
		if body, err = e.hot.zip(r.Context(), body); err != nil {
			return err
		}
		h.Set("Content-Encoding", "gzip")
		suffix = "-gzip"
	}
	sum := sha256.Sum256(body)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:10])+suffix+`"`)
	// A playlist is read whole; a range of its compressed form helps nobody.
	content(w, withRange(r), bytes.NewReader(body), int64(len(body)))
	return nil
}

// acceptsGzip reads Accept-Encoding as RFC 9110 §12.5.3 says, for gzip alone.
func acceptsGzip(encodings string) bool {
	for one := range strings.SplitSeq(encodings, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(one), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q := strings.ReplaceAll(strings.ToLower(params), " ", "")
		return strings.Trim(strings.TrimPrefix(q, "q="), "0.") != "" || !strings.HasPrefix(q, "q=")
	}
	return false
}

func compress(body []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
