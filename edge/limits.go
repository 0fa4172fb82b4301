package edge

import (
	"net/netip"

	"github.com/melodyud/melodyud/internal/ticket"
)

// streams limits how many streams an account plays at once.
type streams interface {
	// Allow reports whether claims, of a ticket that opens path, may have it now.
	Allow(claims *ticket.Claims, path string) error
}

// pace keeps requests from coming too fast.
type pace interface {
	// Listener counts a request with a valid ticket.
	Listener(claims *ticket.Claims) error
	// Stranger counts a request from an address whose ticket is not valid.
	Stranger(from netip.Addr) error
}

// limited refuses what the listener may not have now, though the ticket opens it.
// It decides from memory.
func (e *Edge) limited(c *ticket.Claims, path string) error {
	if e.config.Pace != nil {
		if err := e.config.Pace.Listener(c); err != nil {
			return err
		}
	}
	if e.config.Streams != nil {
		return e.config.Streams.Allow(c, path)
	}
	return nil
}

// unknown is err, of a ticket that is not valid, unless such tickets come too fast
// from there.
func (e *Edge) unknown(from netip.Addr, err error) error {
	if e.config.Pace != nil {
		if slow := e.config.Pace.Stranger(from); slow != nil {
			return slow
		}
	}
	return err
}
