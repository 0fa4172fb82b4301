package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
)

// head is what a listener wants to know of the head of an answer. A general parser
// keeps all of it, which for 10,000 listeners is most of the work.
type head struct {
	status     int
	length     int64 // of the body; -1: to the end of the connection, or chunked
	chunked    bool
	zipped     bool
	closes     bool
	cache      string // Cache-Status
	retryAfter string
}

var errHead = errors.New("not an HTTP/1.1 answer")

// readHead reads the head of the final answer.
func readHead(in *bufio.Reader) (h head, err error) {
	for {
		if h, err = readOneHead(in); err != nil || h.status >= http.StatusOK {
			return h, err
		}
	}
}

func readOneHead(in *bufio.Reader) (head, error) {
	h := head{length: -1}
	line, err := readLine(in)
	if err != nil {
		return h, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if h.status, err = strconv.Atoi(string(code)); err != nil || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return h, fmt.Errorf("%w: %.40q", errHead, line)
	}
	h.closes = string(version) == "HTTP/1.0"
	for {
		if line, err = readLine(in); err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return h, fmt.Errorf("%w: %.40q", errHead, line)
		}
		if err := h.field(name, bytes.TrimSpace(value)); err != nil {
			return h, err
		}
	}
}

func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return bytes.TrimRight(line, "\r\n"), err
}

func (h *head) field(name, value []byte) (err error) {
	is := func(known string) bool { return len(name) == len(known) && bytes.EqualFold(name, []byte(known)) }
	has := func(word string) bool { return bytes.Contains(bytes.ToLower(value), []byte(word)) }
	switch {
	case is("Content-Length"):
		h.length, err = strconv.ParseInt(string(value), 10, 64)
	case is("Transfer-Encoding"):
		h.chunked = has("chunked")
	case is("Content-Encoding"):
		h.zipped = has("gzip")
	case is("Connection"):
		h.closes = has("close")
	case is("Cache-Status"):
		if h.cache != "" {
			h.cache += ", "
		}
		h.cache += string(value)
	case is("Retry-After"):
		h.retryAfter = string(value)
	}
	return err
}

// body is what follows the head.
func (h head) body(in *bufio.Reader) io.Reader {
	switch {
	case h.status == http.StatusNoContent || h.status == http.StatusNotModified:
		return http.NoBody
	case h.chunked:
		return &trailed{Reader: httputil.NewChunkedReader(in), in: in}
	case h.length >= 0:
		return &whole{in: in, left: h.length}
	}
	return in
}

// whole is a body of known length.
type whole struct {
	in   io.Reader
	left int64
}

func (w *whole) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, io.EOF
	}
	n, err := w.in.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if errors.Is(err, io.EOF) && w.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// trailed is a chunked body; its trailer is passed over.
type trailed struct {
	io.Reader
	in   *bufio.Reader
	over bool
}

func (t *trailed) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if errors.Is(err, io.EOF) && !t.over {
		t.over = true
		for {
			line, err := readLine(t.in)
			if err != nil {
				return n, err
			}
			if len(line) == 0 {
				break
			}
		}
	}
	return n, err
}
