package node_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/melodyud/melodyud/internal/node"
)

func TestTheProxyCachesAnotherServersFilesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "file")
	}))
	defer behind.Close()
	ctx, stop := context.WithCancel(t.Context())
	listens, ended := make(chan string, 1), make(chan error, 1)
	p := node.Proxy{
		Origin: behind.URL, Addr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0", Memory: 1 << 20, Object: 1 << 10,
		StaleAway: time.Minute, LogFormat: "text", LogLevel: "info", LogOutput: t.Output(),
	}
	go func() { ended <- p.Run(ctx, func(url string) { listens <- url }) }()
	url := <-listens
	for range 2 {
		r, err := http.Get(url + "/ad.mp3")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if string(body) != "file" || !strings.HasPrefix(r.Header.Get("Cache-Status"), "melodyud-edge; ") {
			t.Errorf("got %q, %v", body, r.Header)
		}
	}
	stop()
	if err := <-ended; err != nil || asked.Load() != 1 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
}

func TestAProxyThatCannotWorkSaysWhy(t *testing.T) {
	t.Parallel()
	for _, p := range []node.Proxy{{Origin: "files", Memory: 1 << 20}, {Origin: "http://\x7f"}, {Origin: "http://a", Memory: 1}, {Origin: "http://a", Memory: 1 << 20, Addr: "nowhere:x"}} {
		p.LogFormat, p.LogLevel = "text", "info"
		if err := p.Run(t.Context(), func(string) { t.Error("it listens") }); err == nil {
			t.Errorf("%+v runs", p)
		}
	}
}
