package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/ticket"
	"github.com/melodyud/melodyud/packager/hls"
)

// breaks decides what is heard in a break, at once and from memory. Asked again for
// the same break, it answers the same as far as it can.
type breaks interface {
	Break(b melodyud.Break) []melodyud.Spot
}

// signer signs tickets.
type signer interface {
	Sign(c ticket.Claims) (string, error)
}

// AdsConfig says what listeners hear whose tickets have ads.
type AdsConfig struct {
	Breaks breaks // nil: breaks stay empty
	Signer signer // required with Breaks: an ad is played with a ticket of its own
	// BaseURL is where players find this edge, such as "https://edge.example.org":
	// the addresses of ads are absolute (AD-8). Default: what the request says.
	BaseURL string
	// Every is how many of several tracks that play as one are between two breaks, and
	// Gap how much music at least; default 3 and 10 min.
	Every int
	Gap   time.Duration

	answers *prometheus.CounterVec
}

func (c AdsConfig) withDefaults(metrics prometheus.Registerer) (AdsConfig, error) {
	if c.Breaks != nil && c.Signer == nil {
		return c, fmt.Errorf("%w: ads need somebody who signs their tickets", melodyud.ErrInvalid)
	}
	if c.Every <= 0 {
		c.Every = 3
	}
	if c.Gap <= 0 {
		c.Gap = 10 * time.Minute
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	c.answers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "melodyud_edge_breaks_total", Help: "Breaks that players asked about, by whether an ad was there for them: filled or empty.",
	}, []string{"answer"})
	if metrics == nil {
		return c, nil
	}
	return c, metrics.Register(c.answers)
}

// registerBreaks hangs up what is heard in breaks, beside the playlists that name them.
func (e *Edge) registerBreaks(r *api.Router) {
	const (
		track, list = "/p/{ticket}/{track}/{release}/", "{digest}/{releases}/{form}/"
		sealed      = "encrypted/aes-128/{secret}/"
		asked       = "ads/breaks/{break}"
	)
	for _, root := range []string{track, track + sealed} {
		r.Mux.Handle("GET "+root+asked, e.open(e.trackBreak))
	}
	for _, root := range []string{"/l/{ticket}/", "/l/{ticket}/" + sealed} {
		r.Mux.Handle("GET "+root+list+asked, e.openList(e.listBreak))
	}
}

const (
	preRoll  = "pre"
	joinRoll = "join-" // and the number of the track behind it, from 0
)

// interruption is a break called id as every media playlist has it: they are all one
// folder below the asset lists (AD-1, AD-2, AD-10).
func interruption(id string) hls.Interstitial {
	return hls.Interstitial{
		ID: id, Pre: id == preRoll, Snap: id != preRoll,
		AssetList: "../ads/breaks/" + id + "?_HLS_interstitial_id=" + id,
	}
}

// interstitials are the breaks of a track. They depend on the ticket's policy on ads
// alone, so that there are two forms of a playlist, and both can be kept.
func (p play) interstitials() []hls.Interstitial {
	if p.claims.Ads != ticket.HouseAds {
		return nil
	}
	return []hls.Interstitial{interruption(preRoll)}
}

// interstitials are the breaks of several tracks: before the first, and at joins.
func (l list) interstitials(c AdsConfig) (all []hls.Interstitial) {
	switch l.claims.Ads {
	case ticket.HouseAds:
		all = append(all, interruption(preRoll))
	case ticket.BetweenAds:
	default:
		return nil
	}
	since := 0
	for k := 1; k < len(l.manifests); k++ {
		if k-since < c.Every || l.start(k)-l.start(since) < c.Gap.Seconds() {
			continue
		}
		one := interruption(joinRoll + strconv.Itoa(k))
		one.At = time.Duration(math.Round(l.start(k)*1000)) * time.Millisecond
		all, since = append(all, one), k
	}
	return all
}

// asset is one ad in an asset list (AD-8). What begins with X- is ours, for players
// that say what is heard and tell us of it.
type asset struct {
	URI        string             `json:"URI"`
	Duration   float64            `json:"DURATION"` // seconds
	Ad         melodyud.TrackID   `json:"X-AD"`
	Release    melodyud.ReleaseID `json:"X-RELEASE"`
	Title      string             `json:"X-TITLE,omitempty"`
	Advertiser string             `json:"X-ADVERTISER,omitempty"`
}

// assetList is the answer to what is heard in a break.
type assetList struct {
	Assets []asset `json:"ASSETS"`
}

func (e *Edge) trackBreak(w http.ResponseWriter, r *http.Request, p play) error {
	b := melodyud.Break{ID: r.PathValue("break"), Place: melodyud.BreakPre, Release: melodyud.ReleaseID(r.PathValue("release"))}
	return e.sendAssets(w, r, p.claims, b, named(p.interstitials(), b.ID))
}

func (e *Edge) listBreak(w http.ResponseWriter, r *http.Request, l list) error {
	b := melodyud.Break{ID: r.PathValue("break"), Place: melodyud.BreakPre, Release: l.ids[0]}
	known := named(l.interstitials(e.config.Ads), b.ID)
	if k, ok := strings.CutPrefix(b.ID, joinRoll); ok && known {
		n, err := strconv.Atoi(k)
		if err != nil {
			return errGone.Because(err)
		}
		b.Place, b.Release = melodyud.BreakBetween, l.ids[n]
	}
	return e.sendAssets(w, r, l.claims, b, known)
}

func named(all []hls.Interstitial, id string) bool {
	return slices.ContainsFunc(all, func(one hls.Interstitial) bool { return one.ID == id })
}

// sendAssets answers which ads are heard in b: none where the ticket has no such
// break, and none rather than an error (AD-8). It is the only answer that is one
// listener's own.
func (e *Edge) sendAssets(w http.ResponseWriter, r *http.Request, c ticket.Claims, b melodyud.Break, known bool) error {
	list := assetList{Assets: []asset{}}
	if known && e.config.Ads.Breaks != nil {
		b.Session, b.Account = c.Session, c.Account
		list.Assets = append(list.Assets, e.assets(r, c, e.config.Ads.Breaks.Break(b))...)
	}
	answer := "filled"
	if len(list.Assets) == 0 {
		answer = "empty"
	}
	e.config.Ads.answers.WithLabelValues(answer).Inc()
	body, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode asset list: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "private, no-store")
	// Of a list that is not the same twice, no part helps anybody.
	http.ServeContent(w, withRange(r), "", time.Time{}, bytes.NewReader(body))
	return nil
}

// patience is how long a break waits to learn of an ad nobody asked for before: the
// music waits with it (AD-9).
const patience = 150 * time.Millisecond

func (e *Edge) assets(r *http.Request, c ticket.Claims, spots []melodyud.Spot) (all []asset) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	for _, s := range spots {
		one, err := e.asset(ctx, baseOf(e.config.Ads.BaseURL, r), c, s)
		if err != nil {
			e.config.Logger.WarnContext(r.Context(), "ad left out", slog.String("ad", string(s.Track)), slog.Any("error", err))
			continue
		}
		all = append(all, one)
	}
	return all
}

// asset makes a ticket for an ad, which ends with the listener's and is theirs in
// all else: asked again, it is the same.
func (e *Edge) asset(ctx context.Context, base string, c ticket.Claims, s melodyud.Spot) (asset, error) {
	known, err := e.releases.get(ctx, s.Release)
	if err != nil {
		return asset{}, err
	}
	c.Prefix = ticket.ReleasePrefix(s.Track, s.Release)
	if !c.Issued.IsZero() {
		c.Ads = ticket.NoAds
	}
	token, err := e.config.Ads.Signer.Sign(c)
	if err != nil {
		return asset{}, err
	}
	m := known.manifest
	return asset{
		URI: base + "/p/" + token + c.Prefix + "index.m3u8", Duration: float64(m.Samples) / float64(max(1, m.SampleRate)),
		Ad: s.Track, Release: s.Release, Title: s.Title, Advertiser: s.Advertiser,
	}, nil
}

// baseOf is where the players of r find this edge: as configured, or where they asked.
func baseOf(configured string, r *http.Request) string {
	switch {
	case configured != "":
		return configured
	case r.TLS != nil, strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"):
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
