package melodyud

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of failure. Adapters translate their SDK's errors into these at the
// border; HTTP, workers and logs each read them in their own way (see
// docs/design.md, section 4). Compare with errors.Is.
var (
	ErrInvalid         = errors.New("invalid")
	ErrUnauthenticated = errors.New("unauthenticated")
	ErrForbidden       = errors.New("forbidden")
	ErrNotFound        = errors.New("not found")
	ErrConflict        = errors.New("conflict")
	ErrTooLarge        = errors.New("too large")
	ErrLimited         = errors.New("limited")
	ErrUnavailable     = errors.New("unavailable")
)

var kinds = []error{
	ErrInvalid, ErrUnauthenticated, ErrForbidden, ErrNotFound,
	ErrConflict, ErrTooLarge, ErrLimited, ErrUnavailable,
}

// Kind returns which of the Err kinds err belongs to, or nil when it belongs to
// none: a fault of ours, whose text nobody outside may see.
func Kind(err error) error {
	for _, k := range kinds {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}

// Refusal is the only error whose text a caller may see. Code is stable and
// made for programs ("audio.too-short"); Text is a sentence made for people,
// saying what is wrong and what to do.
type Refusal struct {
	Kind  error // one of the Err kinds
	Code  string
	Text  string
	Cause error // for the log only; may be nil
}

// Refuse returns a Refusal of the given kind.
func Refuse(kind error, code, text string) *Refusal {
	return &Refusal{Kind: kind, Code: code, Text: text}
}

// Because returns a copy of r that carries cause for the log.
func (r *Refusal) Because(cause error) *Refusal {
	c := *r
	c.Cause = cause
	return &c
}

// After returns r with the time until the answer will be another one, which is told
// with a 429 or 503 (Retry-After).
func (r *Refusal) After(wait time.Duration) error { return later{r, wait} }

// later is a refusal that ends by itself.
type later struct {
	*Refusal
	wait time.Duration
}

// RetryAfter is how long to wait before asking again.
func (l later) RetryAfter() time.Duration { return l.wait }

// Unwrap gives the refusal.
func (l later) Unwrap() error { return l.Refusal }

// Error returns code, text and cause, for the log.
func (r *Refusal) Error() string {
	if r.Cause != nil {
		return fmt.Sprintf("%s: %s (%v)", r.Code, r.Text, r.Cause)
	}
	return r.Code + ": " + r.Text
}

// Unwrap gives errors.Is both the kind and the cause.
func (r *Refusal) Unwrap() []error {
	if r.Cause != nil {
		return []error{r.Kind, r.Cause}
	}
	return []error{r.Kind}
}

// AsRefusal finds the Refusal in err's chain.
func AsRefusal(err error) (*Refusal, bool) {
	var r *Refusal
	ok := errors.As(err, &r)
	return r, ok
}
