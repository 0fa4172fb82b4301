package front_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/internal/front"
)

// echo tells every request where it seems to come from.
func echo(t *testing.T, trusted ...string) (addr string) {
	t.Helper()
	p, err := front.ParseProxies(trusted)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })}
	done := make(chan error, 1)
	go func() { done <- s.Serve(p.Listen(l)) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}

// says sends bytes and returns the body of the answer; "" if there is none.
func says(t *testing.T, addr string, pieces ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, piece := range pieces {
		if _, err := io.WriteString(c, piece); err != nil {
			return ""
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		return res.Status
	}
	return string(body)
}

const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// v2 is a block of version 2.
func v2(command, family byte, body []byte) string {
	var b bytes.Buffer
	b.WriteString("\r\n\r\n\x00\r\nQUIT\n")
	b.Write([]byte{command, family})
	_ = binary.Write(&b, binary.BigEndian, uint16(len(body)))
	b.Write(body)
	return b.String()
}

func TestProxiesMayNameTheClientFirst(t *testing.T) {
	t.Parallel()
	addr := echo(t, "127.0.0.0/8")
	four := []byte{198, 51, 100, 1, 192, 0, 2, 1, 0x12, 0x67, 0, 80}
	six := append(append(net.ParseIP("2001:db8::1"), net.ParseIP("2001:db8::2")...), 0x12, 0x67, 0, 80)
	for name, c := range map[string]struct{ said, from string }{
		"version 1":            {"PROXY TCP4 198.51.100.1 192.0.2.1 4711 80\r\n", "198.51.100.1:4711"},
		"version 1, IPv6":      {"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n", "[2001:db8::1]:4711"},
		"version 1, unknown":   {"PROXY UNKNOWN\r\n", "127.0.0.1"},
		"version 2":            {v2(0x21, 0x11, four), "198.51.100.1:4711"},
		"version 2, IPv6":      {v2(0x21, 0x21, six), "[2001:db8::1]:4711"},
		"version 2, more":      {v2(0x21, 0x11, append(bytes.Clone(four), "\x04\x00\x01a"...)), "198.51.100.1:4711"},
		"version 2, itself":    {v2(0x20, 0x00, nil), "127.0.0.1"},
		"version 2, a socket":  {v2(0x21, 0x31, make([]byte, 216)), "127.0.0.1"},
		"nothing":              {"", "127.0.0.1"},
		"bad address":          {"PROXY TCP4 198.51.100.256 192.0.2.1 4711 80\r\n", ""},
		"bad family":           {"PROXY TCP6 198.51.100.1 192.0.2.1 4711 80\r\n", ""},
		"endless":              {"PROXY " + strings.Repeat("a", 200), ""},
		"version 3":            {v2(0x31, 0x11, four), ""},
		"version 2, too short": {v2(0x21, 0x11, four[:8]), ""},
		"version 2, too long":  {v2(0x21, 0x11, make([]byte, 5000)), ""},
	} {
		for _, pieces := range [][]string{{c.said + request}, strings.SplitAfter(c.said+request, "")} {
			got := says(t, addr, pieces...)
			if (got == "") != (c.from == "") || !strings.HasPrefix(got, c.from) {
				t.Errorf("%s: from %q, want %q", name, got, c.from)
			}
		}
	}
}

func TestStrangersCannotNameAClient(t *testing.T) {
	t.Parallel()
	addr := echo(t, "10.0.0.0/8")
	if got := says(t, addr, "PROXY TCP4 198.51.100.1 192.0.2.1 4711 80\r\n"+request); strings.HasPrefix(got, "198") {
		t.Errorf("a stranger is believed: %s", got)
	}
	if got := says(t, addr, request); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("a stranger is not served: %q", got)
	}
}

func TestAConnectionThatSaysNothingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	addr := echo(t, "127.0.0.0/8")
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if got := says(t, addr, request); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("%q", got)
	}
}
