package wire_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/wire"
)

const post = "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\n\r\nhello"

// listens takes turns at both ways on one connection.
func (l *line) listens(s *shop, turns int) {
	l.t.Helper()
	for i := range turns {
		l.say(get + "\r\n")
		if res, body := l.hear("GET"); res.Header.Get("From") == "" || body != string(s.sound) {
			l.t.Errorf("turn %d: not the sound from memory", i)
			return
		}
		if i%7 > 0 {
			continue
		}
		l.say(post)
		if _, body := l.hear("POST"); body != `POST /x 5 "hello"` {
			l.t.Errorf("turn %d: %s", i, body)
			return
		}
	}
}

func TestManyListenersAtOnceAllGetTheirs(t *testing.T) {
	t.Parallel()
	s, address := open(t)
	var all sync.WaitGroup
	for range 3 * 32 {
		l := dial(t, address)
		if err := l.Conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil { // it takes more than one write
			t.Fatal(err)
		}
		all.Go(func() { l.listens(s, 15) })
	}
	all.Wait()
	if s.cut.Load() > 0 {
		t.Errorf("%d answers were cut", s.cut.Load())
	}
}

func TestAListenerWhoTakesNothingHoldsUpNobody(t *testing.T) { // EDGE-16
	t.Parallel()
	s, address := open(t)
	deaf := dial(t, address)
	deaf.listens(s, 2)
	deaf.say(strings.Repeat(get+"\r\n", 100)) // 10 MB, more than the sockets hold
	others := dial(t, address)
	others.listens(s, 20)
	for range 100 {
		if _, body := deaf.hear("GET"); body != string(s.sound) {
			t.Fatal("an answer was lost meanwhile")
		}
	}
}

func TestAConnectionWithoutRequestsIsLetGo(t *testing.T) {
	t.Parallel()
	s := &shop{sound: []byte("sound")}
	address, _, _ := serve(t, wire.Config{Source: s, IdleTimeout: 200 * time.Millisecond}, s.handler())
	l := dial(t, address)
	l.listens(s, 3)
	l.over()
}

func TestAPanicInAnAnswerEndsOneConnection(t *testing.T) {
	t.Parallel()
	s := &shop{sound: []byte("sound")}
	broken := make(chan bool, 1)
	s.before = func() {
		select {
		case <-broken:
			panic("broken")
		default:
		}
	}
	address, _, _ := serve(t, wire.Config{Source: s}, s.handler())
	one, other := dial(t, address), dial(t, address)
	one.listens(s, 2)
	other.listens(s, 2)
	broken <- true
	one.say(get + "\r\n")
	one.over()
	other.listens(s, 2)
}

func TestAStopEndsConnectionsThatWait(t *testing.T) {
	t.Parallel()
	s := &shop{sound: []byte("sound")}
	address, server, w := serve(t, wire.Config{Source: s}, s.handler())
	var all []*line
	for i := range 20 {
		l := dial(t, address)
		l.listens(s, 1+i%2)
		l.say(get + "\r\n")
		l.hear("GET")
		all = append(all, l)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		l.over()
	}
}

func TestClosingUnderLoadLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := &shop{sound: []byte("sound")}
	address, server, _ := serve(t, wire.Config{Source: s}, s.handler())
	var all sync.WaitGroup
	for range 40 {
		l := dial(t, address)
		all.Go(func() {
			for {
				_, err1 := io.WriteString(l, get+"\r\n")
				res, err2 := http.ReadResponse(l.r, nil)
				if err1 != nil || err2 != nil {
					return
				}
				_, _ = io.Copy(io.Discard, res.Body) // the next request would fail
				res.Body.Close()
			}
		})
	}
	for s.sent.Load() < 2000 {
		time.Sleep(time.Millisecond)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}
