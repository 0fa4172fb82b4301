package wire

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// refuse answers a request that cannot be let through and ends the connection: what
// else came on it means nothing any more.
func (c *conn) refuse(why refusal) error {
	w := c.wire
	w.refused.WithLabelValues(why.code).Inc()
	w.config.Logger.Debug("request refused", slog.String("code", why.code), slog.String("remote", c.from.String()))
	_ = c.SetDeadline(time.Now().Add(lingerTime)) // what fails here fails below
	if _, err := io.WriteString(c.Conn, why.answer(w.today(time.Now()))); err == nil && c.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // closing on unread bytes would take the answer back
	}
	return io.EOF
}

func (r refusal) answer(today string) string {
	body := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"code":%q,"detail":%q}`+"\n",
		http.StatusText(r.status), r.status, r.code, r.detail)
	return "HTTP/1.1 " + strconv.Itoa(r.status) + " " + http.StatusText(r.status) +
		"\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) +
		"\r\nContent-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\nDate: " + today + "\r\n\r\n" + body
}
