//go:build !linux || !(amd64 || arm64)

package wire

import (
	"context"
	"net"
	"time"
)

// rawConn is for Linux; elsewhere connections are read and written as usual.
type rawConn struct{}

func newRawConn(net.Conn) *rawConn { return nil }

func (*rawConn) fill(*conn) error { return nil }

func (*rawConn) send(*conn) error { return nil }

type vector struct{}

func (*vector) reset() {}

func (*desk) lay() {}

func (c *conn) transmit() error { return c.copyOut() }

// loop is for Linux; elsewhere each connection waits by itself.
type loop struct{ wire *Wire }

func (*loop) Run(context.Context) error { return nil }

func (*loop) carry(*conn, time.Duration) (bool, error) { return false, nil }

func (*loop) let(*conn, error) {}
