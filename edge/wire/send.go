package wire

import (
	"time"
)

// leastRate is what a client must take of an answer, besides its stall time: a
// quarter of the lowest quality's rate.
const leastRate = 2 << 10 // bytes per second

// hurry gives the client until the stall time from now to take more, if it has not
// been at it for too long altogether (EDGE-16).
func (c *conn) hurry() error {
	size := int64(len(c.desk.answer.Head))
	for _, part := range c.desk.answer.Body {
		size += int64(len(part))
	}
	if c.desk.answer.File != nil {
		size += c.desk.answer.File.Size()
	}
	stall := c.wire.config.StallTimeout
	now := time.Now()
	last := c.desk.began.Add(stall + time.Duration(size/leastRate)*time.Second)
	if next := now.Add(stall); next.Before(last) {
		last = next
	}
	return c.SetWriteDeadline(last)
}

const copyBytes = 64 << 10

// copyOut writes the answer on the desk to what is no socket.
func (c *conn) copyOut() error {
	for _, part := range c.desk.parts() {
		for len(part) > 0 {
			if err := c.hurry(); err != nil {
				return err
			}
			n, err := c.Conn.Write(part[:min(len(part), copyBytes)])
			if err != nil {
				return err
			}
			part = part[n:]
		}
	}
	return c.SetWriteDeadline(time.Time{})
}

// parts is the answer on the desk, in pieces.
func (d *desk) parts() [][]byte {
	parts := [][]byte{d.first}
	if !d.head.request.Head {
		parts = append(parts, d.answer.Body...)
	}
	return parts
}
