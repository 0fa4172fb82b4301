package httpcache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/melodyud/melodyud/edge/cachestatus"
)

// flight is one request to the origin. It belongs to nobody: who asked first leads
// it, others with the same question follow, and a leader who hangs up ends nothing
// (EDGE-8).
type flight struct {
	sign   string // where others find it
	cancel context.CancelFunc
	herald *herald       // tells the leader of interim responses; nil: there is no leader
	left   chan struct{} // closed when the leader reads no more
	ready  chan struct{} // closed when what follows is known

	status  int         // what the origin said; 0: nothing
	shared  *stored     // for everybody whom it matches; its content may be arriving
	header  http.Header // of shared for the leader: with what is not stored of it
	private *arrived    // for the leader alone
	err     error
	stores  bool // shared goes into the store when it is all here

	void atomic.Bool // the address was invalidated meanwhile (RFC 9111 §4.4)
}

// question is a request with what is known of its answer.
type question struct {
	*http.Request
	key   string
	seen  *stored // what the store had, if anything
	found *stored // the same, if it is to be validated
	why   cachestatus.Reason
	alone bool // nobody is made to wait for this one
}

// signature is the same for questions that one answer is likely to serve.
func (q question) signature(latest []selecting) string {
	var b strings.Builder
	b.WriteString(q.key)
	for _, name := range []string{"Range", "If-Range"} {
		fmt.Fprintf(&b, "\n%q", q.Header.Values(name))
	}
	fmt.Fprintf(&b, "\n%t", q.Header.Get("Authorization") != "")
	for _, f := range latest {
		fmt.Fprintf(&b, "\n%+q", normalised(q.Header, f.name).value)
	}
	return b.String()
}

// join returns the flight for a question and whether the caller leads it. Without
// one, the store has changed since it was looked into.
func (c *Cache) join(q question, tell *herald) (f *flight, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.alone {
		c.loners++
		return c.start(q, tell, fmt.Sprintf("%s\nalone %d", q.key, c.loners)), true
	}
	sign := q.signature(c.store.selecting(q.key))
	if f, ok := c.flights[sign]; ok {
		return f, false
	}
	if now, _ := c.store.find(q.key, q.Header); now != q.seen {
		return nil, false
	}
	return c.start(q, tell, sign), true
}

// start begins a flight, which others find under sign. The caller holds mu.
func (c *Cache) start(q question, tell *herald, sign string) *flight {
	ctx, cancel := context.WithCancel(c.life)
	f := &flight{sign: sign, cancel: cancel, herald: tell, left: make(chan struct{}), ready: make(chan struct{})}
	if tell == nil {
		close(f.left)
	}
	c.flights[sign] = f
	request := c.request(ctx, q)
	c.work.Go(func() {
		defer cancel()
		defer c.land(f)
		c.fly(f, q, request)
	})
	return f
}

// land lets nobody join f any more.
func (c *Cache) land(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[f.sign] == f {
		delete(c.flights, f.sign)
	}
}

// request is what the origin is asked.
func (c *Cache) request(ctx context.Context, q question) *http.Request {
	r := c.ask(ctx, q.Request)
	r.Method = http.MethodGet
	switch {
	case q.found != nil:
		validate(r, q.found)
	case !q.alone && len(q.Header.Values("Range")) == 0:
		wholly(r)
	}
	return r
}

// fly asks the origin and settles f with what comes.
func (c *Cache) fly(f *flight, q question, request *http.Request) {
	a, body, err := c.patiently(f, request)
	if err == nil && a.StatusCode == http.StatusNotModified && q.found != nil {
		if one := c.refreshed(q.Request, q.found, a); one != nil {
			_ = body.Close()
			f.header = updated(q.found.header, a.Header)
			c.revive(f, q, one)
			return
		}
		_ = body.Close() // it spoke of something we do not have: RFC 9111 §4.3.4
		wholly(request)
		a, body, err = c.patiently(f, request)
	}
	if err == nil {
		defer body.Close()
		f.status = a.StatusCode
	}
	if c.mayStandIn(q.found, a, err) {
		f.shared, f.header = q.found, q.found.header
	} else if one := c.shareable(q, a, err); one != nil {
		f.header = a.Header
		c.receive(f, q, one, body)
		return
	}
	c.land(f)
	if f.shared == nil {
		f.private, f.err = a, err
	}
	close(f.ready)
	if f.private != nil {
		<-f.left
	}
}

// patiently sends a request and calls it off when the origin is silent for too long.
func (c *Cache) patiently(f *flight, request *http.Request) (*arrived, io.ReadCloser, error) {
	timer := time.AfterFunc(c.config.Silence, f.cancel)
	a, err := c.exchange(request, f.herald.tell)
	timer.Stop()
	if err != nil {
		return nil, nil, err
	}
	a.Body = patient{a.Body, timer, c.config.Silence}
	return a, a.Body, nil
}

// revive settles f with a response that the origin confirmed.
func (c *Cache) revive(f *flight, q question, one *stored) {
	f.status, f.shared = http.StatusNotModified, one
	if f.stores = one.policy.storable(q.Request, one.status, one.header); f.stores {
		c.keep(f, q, one)
	} else {
		c.store.drop(q.key)
	}
	close(f.ready)
}

// mayStandIn reports whether a stale response may be used because the origin failed
// (RFC 9111 §4.2.4, RFC 5861 §4).
func (c *Cache) mayStandIn(old *stored, a *arrived, err error) bool {
	if old == nil || err == nil && !failed(a.StatusCode) {
		return false
	}
	allowed := old.policy.staleOnError
	if err != nil {
		c.config.Logger.Warn("origin does not answer", slog.Any("error", err))
		if !old.policy.saysError {
			allowed = max(0, c.config.StaleAway)
		}
	}
	return old.staleFor(allowed, c.config.Now())
}

// shareable returns what may be stored of an answer and given to everybody, if
// there is room for it. If there never is, others need not wait for such answers.
func (c *Cache) shareable(q question, a *arrived, err error) *stored {
	if err != nil {
		return nil
	}
	one := c.storedOf(q.Request, a)
	if one != nil && one.content.size <= c.config.Object && c.reserve(max(0, one.content.size)) {
		return one
	}
	if failed(a.StatusCode) || len(q.Header.Values("Range")) > 0 || one != nil && one.content.size <= c.config.Object {
		return nil
	}
	if one != nil || c.storedOf(anonymous(q.Request), a) == nil {
		c.store.pass(q.key, c.config.Now().Add(passFor))
	}
	return nil
}

// anonymous is r without what in a request keeps its answer out of the store.
func anonymous(r *http.Request) *http.Request {
	one := &http.Request{Header: r.Header.Clone()}
	for _, name := range []string{"Authorization", "Cache-Control", "Cookie"} {
		one.Header.Del(name)
	}
	return one
}

// reserve takes room for n arriving bytes, if there is any.
func (c *Cache) reserve(n int64) bool {
	if c.arriving.Add(n) <= c.config.Bytes {
		return true
	}
	c.arriving.Add(-n)
	return false
}

// receive settles f with a response that goes into the store when it is all here.
func (c *Cache) receive(f *flight, q question, one *stored, body io.Reader) {
	f.shared, f.stores = one, true
	close(f.ready)
	reserved := max(0, one.content.size)
	defer func() { c.arriving.Add(-reserved) }()
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if one.content.size < 0 && n > 0 {
			if !c.grow(one.content, &reserved, n) {
				c.land(f)
				c.store.pass(q.key, c.config.Now().Add(passFor))
				one.content.handOver(io.MultiReader(bytes.NewReader(buf[:n]), body))
				<-f.left
				return
			}
		}
		one.content.add(buf[:n])
		switch {
		case err == io.EOF:
			one.content.finish(nil)
			c.keep(f, q, one)
			return
		case err != nil:
			one.content.finish(fmt.Errorf("%w: %v", errCut, err))
			return
		}
	}
}

// grow makes room for n more bytes of a response whose length is not known.
func (c *Cache) grow(content *content, reserved *int64, n int) bool {
	if *reserved+int64(n) > c.config.Object || !c.reserve(int64(n)) {
		return false
	}
	*reserved += int64(n)
	return true
}

// keep stores a response whose bytes are all here.
func (c *Cache) keep(f *flight, q question, one *stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.void.Load() {
		return
	}
	if one.parts == nil {
		c.store.put(q.key, one)
		return
	}
	kept := *one
	data := one.content.look().data
	kept.content, kept.parts = nil, []part{{one.parts[0].span, data}}
	if int64(len(data)) == kept.parts[0].length() {
		c.store.combine(q.key, &kept)
	}
}

// invalidate drops what is stored under an address and what is about to be (RFC
// 9111 §4.4).
func (c *Cache) invalidate(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for sign, f := range c.flights {
		if strings.HasPrefix(sign, key+"\n") {
			f.void.Store(true)
			delete(c.flights, sign)
		}
	}
	c.store.drop(key)
}
