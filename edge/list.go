package edge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/edge/cache"
	"github.com/melodyud/melodyud/edge/cmcd"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/fmp4"
	"github.com/melodyud/melodyud/packager/hls"
)

const (
	// headBytes holds the boxes before a segment's first packet many times over.
	headBytes = 16 << 10
	// atOnce is how many manifests of a list are read at the same time.
	atOnce = 8
)

// list is one authorised request for tracks that play one after the other.
type list struct {
	*sequence
	ids      []melodyud.ReleaseID
	releases []*release
	claims   ticket.Claims
	timing   timing
	form     form
	cipher   *cbc // nil: segments are clear
}

type listHandler func(w http.ResponseWriter, r *http.Request, l list) error

// registerLists hangs the addresses of lists on r:
//
//	/l/<ticket>/<digest>/<releases>/<form>/index.m3u8, hifi.m3u8
//	                                       <rendition>/index.m3u8
//	                                       <rendition>/init/<run>.mp4
//	                                       <rendition>/s/<n>.m4s
//	                                       ads/breaks/<break>
//	/l/<ticket>/encrypted/aes-128/<secret>/<digest>/…   the same, encrypted
//	                                       <form>/<n>.key
func (e *Edge) registerLists(r *api.Router) {
	const (
		tracks = "{digest}/{releases}/{form}/"
		root   = "/l/{ticket}/" + tracks
		sealed = "/l/{ticket}/encrypted/aes-128/{secret}/" + tracks
	)
	for pattern, serve := range map[string]listHandler{
		"index.m3u8": func(w http.ResponseWriter, r *http.Request, l list) error {
			return e.multivariantList(w, r, l, hls.Standard)
		},
		"hifi.m3u8":               e.hifiList,
		"{rendition}/index.m3u8":  e.listMedia,
		"{rendition}/init/{run}":  e.listInit,
		"{rendition}/s/{segment}": e.toldList(e.listSegment),
	} {
		r.Mux.Handle("GET "+root+pattern, e.openList(serve))
		r.Mux.Handle("GET "+sealed+pattern, e.openList(e.encryptedList(serve)))
	}
	r.Mux.Handle("GET "+sealed+"{key}", e.openList(e.encryptedList(
		func(w http.ResponseWriter, r *http.Request, l list) error { return l.cipher.send(w, r) })))
	r.Mux.HandleFunc("GET /l/", gone)
	r.Mux.HandleFunc("OPTIONS /l/", preflight)
}

func (e *Edge) openList(serve listHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		l, err := e.admitList(r)
		if err == nil {
			err = serve(w, r, l)
		}
		if err != nil {
			fail(w, r, err)
		}
	})
}

// admitList checks the ticket before any cache is asked (TOK-7), then finds the
// tracks.
func (e *Edge) admitList(r *http.Request) (list, error) {
	t := timing{began: e.config.Now()}
	claims, err := e.allowed(r, "/l/")
	if err != nil {
		return list{}, err
	}
	t.auth = e.config.Now().Sub(t.began)
	ids, err := ticket.ParseList(r.PathValue("digest"), r.PathValue("releases"))
	if err != nil {
		return list{}, err
	}
	l := list{ids: ids, claims: claims, timing: t, form: form(r.PathValue("form"))}
	if l.form != plain && l.form != exact {
		return list{}, errGone
	}
	// A segment needs the other tracks only for their lengths, which never change;
	// whether its own track is still published is asked when it is served.
	find := e.releases.get
	if r.PathValue("segment") != "" || r.PathValue("run") != "" {
		find = e.releases.settled
	} else if err := e.permitted(r, &claims, ids...); err != nil {
		return list{}, err
	}
	if l.releases, err = all(r.Context(), ids, find); err != nil {
		return list{}, err
	}
	l.sequence, err = newSequence(l.releases)
	return l, err
}

// still returns nil while a track of a list is published and its listener may hear it.
func (e *Edge) still(r *http.Request, l list, k int) error {
	if err := e.permitted(r, &l.claims, l.ids[k]); err != nil {
		return err
	}
	_, err := e.releases.get(r.Context(), l.ids[k])
	return err
}

// all finds the releases of ids, a few at a time.
func all(ctx context.Context, ids []melodyud.ReleaseID,
	find func(context.Context, melodyud.ReleaseID) (*release, error),
) ([]*release, error) {
	found := make([]*release, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, id := range ids {
		group.Go(func() (err error) {
			found[i], err = find(ctx, id)
			return err
		})
	}
	return found, group.Wait()
}

func (e *Edge) hifiList(w http.ResponseWriter, r *http.Request, l list) error {
	if l.claims.Tier != ticket.Premium {
		return errTier
	}
	return e.multivariantList(w, r, l, hls.Hifi)
}

func (e *Edge) multivariantList(w http.ResponseWriter, r *http.Request, l list, f hls.Flavour) error {
	body, err := l.printMultivariant(f)
	return e.text(w, r, typeHLS, body, err)
}

func (l list) printMultivariant(f hls.Flavour) ([]byte, error) {
	return hls.Multivariant(offered(l.whole(), l.claims), hls.Options{Flavour: f, Protection: l.cipher.protection()})
}

func (e *Edge) listMedia(w http.ResponseWriter, r *http.Request, l list) error {
	name, err := l.allowed(r)
	if err != nil {
		return err
	}
	body, err := l.playlist(l.cipher.protection(), l.ivName(name), l.interstitials(e.config.Ads))
	return e.text(w, r, typeHLS, body, err)
}

// allowed is the name of the rendition of the path, if the listener may have it.
func (l list) allowed(r *http.Request) (string, error) {
	name := r.PathValue("rendition")
	if !l.has(name) {
		return "", errGone
	}
	if !opens(l.claims, l.rendition(0, name)) {
		return "", errTier
	}
	return name, nil
}

func (e *Edge) listInit(w http.ResponseWriter, r *http.Request, l list) error {
	name, err := l.allowed(r)
	if err != nil {
		return err
	}
	run, ok := numbered(r.PathValue("run"), ".mp4", len(l.runs))
	if !ok {
		return errGone
	}
	k := l.runs[run]
	if err := e.still(r, l, k); err != nil {
		return err
	}
	found := l.rendition(k, name)
	key := keyOf(l.manifests[k], found)
	stored := e.blocks.Reader(r.Context(), key, found.Size, 0, found.InitSize)
	raw, err := io.ReadAll(stored)
	if err != nil {
		return err
	}
	l.timing.tell(w.Header(), e.config.Now(), stored.Status())
	body, err := fmp4.SequenceInit(raw)
	if err != nil {
		return fmt.Errorf("init segment of %s: %w", key, err)
	}
	return media(w, r, fmt.Sprintf(`"%.20s-i"`, found.SHA256), bytes.NewReader(body))
}

// numbered reads "<n>" + ending with 0 <= n < end.
func numbered(s, ending string, end int) (int, bool) {
	digits, ok := strings.CutSuffix(s, ending)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0 && n < end && digits == strconv.Itoa(n)
}

func (e *Edge) listSegment(w http.ResponseWriter, r *http.Request, l list) error {
	name, err := l.allowed(r)
	if err != nil {
		return err
	}
	n, ok := numbered(r.PathValue("segment"), ".m4s", l.numbers[len(l.numbers)-1])
	if !ok {
		return errGone
	}
	k, i, _ := l.locate(n)
	if err := e.still(r, l, k); err != nil {
		return err
	}
	found, starts := l.rendition(k, name), l.releases[k].offsets[name]
	from, length := starts[i], starts[i+1]-starts[i]
	key := keyOf(l.manifests[k], found)
	stored := e.blocks.Reader(r.Context(), key, found.Size, from, min(length, headBytes))
	head, err := io.ReadAll(stored)
	if err != nil {
		return err
	}
	l.timing.tell(w.Header(), e.config.Now(), stored.Status())
	w.Header().Set("CMSD-Static", cmcd.Static(found.AverageBandwidth, found.Length(i)))
	place := l.place(k, i, name, l.form)
	moved, rest, err := fmp4.Relocate(head, place)
	if err != nil {
		return fmt.Errorf("segment %d of %s: %w", i, key, err)
	}
	tail := e.blocks.Reader(r.Context(), key, found.Size, from+rest, length-rest)
	as := clear
	if l.cipher != nil {
		if as, err = l.cipher.segment(l.ivName(name), n); err != nil {
			return err
		}
	}
	body, err := as.apply(joined(moved, tail, length-rest), int64(len(moved))+length-rest)
	if err != nil {
		return err
	}
	tag := fmt.Sprintf(`"%.20s-%x-%x-%s%s"`, found.SHA256, from, place.Shift, l.form, as.tag)
	return media(w, r, tag, body)
}

// encryptedList serves what is below the encrypted form's address.
func (e *Edge) encryptedList(serve listHandler) listHandler {
	return func(w http.ResponseWriter, r *http.Request, l list) (err error) {
		stream := ticket.Stream{KeyID: r.PathValue("secret"), Release: melodyud.ReleaseID(r.PathValue("digest"))}
		if l.cipher, err = e.cipherOf(stream, l.numbers[len(l.numbers)-1]); err != nil {
			return err
		}
		return serve(w, r, l)
	}
}

// ivName tells the segments of a rendition in one form from those in the other,
// whose bytes differ.
func (l list) ivName(rendition string) string { return rendition + "." + string(l.form) }

// joined is head and then the length bytes of tail. It reads for one caller at a
// time.
func joined(head []byte, tail *cache.Reader, length int64) *io.SectionReader {
	return io.NewSectionReader(&joint{head, tail}, 0, int64(len(head))+length)
}

type joint struct {
	head []byte
	tail *cache.Reader
}

// ReadAt implements io.ReaderAt.
func (j *joint) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(j.head)) {
		n = copy(p, j.head[off:])
	}
	if n == len(p) {
		return n, nil
	}
	if _, err := j.tail.Seek(off+int64(n)-int64(len(j.head)), io.SeekStart); err != nil {
		return n, err
	}
	rest, err := io.ReadFull(j.tail, p[n:])
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n + rest, err
}
