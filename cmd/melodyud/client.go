package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// remote is how commands find the server.
type remote struct {
	Server string `env:"MELODYUD_SERVER" default:"http://127.0.0.1:8080" help:"Address of the server."`
	Key    string `env:"MELODYUD_KEY" help:"Your key. Without one, the local server's own key in its data directory is used."`
	Data   string `env:"MELODYUD_DATA" default:"data" type:"path" help:"Data directory of a server on this machine, for its key."`
}

// client speaks to a server's API.
type client struct {
	base *url.URL
	key  string
	http *http.Client
}

func (r remote) client() (*client, error) {
	base, err := url.Parse(r.Server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("%q is no server address: write http://host:port", r.Server)
	}
	key := r.Key
	if key == "" {
		raw, err := os.ReadFile(filepath.Join(r.Data, "local.key"))
		if err != nil {
			return nil, fmt.Errorf("no key: give --key, set MELODYUD_KEY, or point --data at the data directory of a server on this machine")
		}
		key = strings.TrimSpace(string(raw))
	}
	return &client{base: base, key: key, http: &http.Client{Transport: transport()}}, nil
}

func transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 2 * time.Minute // the last bytes of an upload are hashed and stored first
	return t
}

// problem is an RFC 9457 answer.
type problem struct {
	Status   int    `json:"status"`
	Title    string `json:"title"`
	Code     string `json:"code"`
	Detail   string `json:"detail"`
	Incident string `json:"incident"`
}

func (p *problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if p.Code != "" {
		text = p.Code + ": " + text
	}
	if p.Incident != "" {
		text += " (incident " + p.Incident + ")"
	}
	return text
}

// call asks the server once: see client.call.
func (r remote) call(ctx context.Context, method, path string, in, out any) error {
	c, err := r.client()
	if err != nil {
		return err
	}
	return c.call(ctx, method, path, in, out)
}

// with returns a client whose calls carry a query.
func (c *client) with(q url.Values) *client {
	scoped, base := *c, *c.base
	base.RawQuery = q.Encode()
	scoped.base = &base
	return &scoped
}

// call sends a JSON request and decodes the JSON answer into out, if not nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := c.request(ctx, method, c.base.JoinPath(path).String(), body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("the server's answer to %s %s is no JSON: %w", method, path, err)
	}
	return nil
}

func (c *client) request(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	return req, nil
}

// do sends req; a status of 400 or more is a *problem.
func (c *client) do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(c.base, err)
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	defer res.Body.Close()
	p := &problem{Status: res.StatusCode, Title: res.Status}
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err := json.Unmarshal(raw, p); err != nil { // not ours: a proxy's page, say
		p.Detail = fmt.Sprintf("the server at %s answered %s", c.base.Host, res.Status)
	}
	return nil, p
}

// errUnreachable marks connection failures, which are worth another try.
var errUnreachable = errors.New("unreachable")

func unreachable(base *url.URL, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("server %s is %w (is it running? start it with: melodyud serve): %v", base.Host, errUnreachable, err)
}

// track is the API's track.
type track struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Title    string    `json:"title"`
	Artist   string    `json:"artist"`
	Album    string    `json:"album"`
	FileName string    `json:"file_name"`
	Created  time.Time `json:"created"`
	Progress struct {
		Stage   string `json:"stage"`
		Percent int    `json:"percent"`
		Attempt int    `json:"attempt"`
	} `json:"progress"`
	Refusal *struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"refusal,omitempty"`
	Release *struct {
		ID       string  `json:"id"`
		Number   int     `json:"number"`
		Duration float64 `json:"duration_seconds"`
	} `json:"release,omitempty"`
}

// playback is the API's answer to a wish to play.
type playback struct {
	URL     string    `json:"url"`
	HifiURL string    `json:"hifi_url,omitempty"`
	DashURL string    `json:"dash_url,omitempty"`
	Expires time.Time `json:"expires"`
}

func (c *client) track(ctx context.Context, id string) (track, error) {
	var t track
	return t, c.call(ctx, http.MethodGet, "/v1/tracks/"+url.PathEscape(id), nil, &t)
}

// play asks for the right to play a track; addresses are made absolute.
func (c *client) play(ctx context.Context, id string, encrypt bool) (playback, error) {
	var p playback
	asked := c
	if encrypt {
		asked = c.with(url.Values{"encrypt": {"true"}})
	}
	if err := asked.call(ctx, http.MethodPost, "/v1/tracks/"+url.PathEscape(id)+"/playback", nil, &p); err != nil {
		return p, err
	}
	for _, u := range []*string{&p.URL, &p.HifiURL, &p.DashURL} {
		if *u == "" {
			continue
		}
		abs, err := c.base.Parse(*u)
		if err != nil {
			return p, fmt.Errorf("playback address %q: %w", *u, err)
		}
		*u = abs.String()
	}
	return p, nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
