package ingest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/melodyud/melodyud/ingest/buffer"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// chunk is bytes for an upload, as a dialect read them from a request.
type chunk struct {
	Offset int64     // where the client believes the upload stands
	Length int64     // the whole upload's, declared now; or unknown
	Size   int64     // of Body, or unknown
	Sum    *checksum // nil: none given
	Body   io.Reader
	Via    string // on which way it comes; empty: in a request
	// Deadline sets the time by which the body has to go on; nil if the transport
	// cannot do that.
	Deadline func(time.Time) error
	// HangUp makes the transport serve nothing else on this connection; may be nil.
	HangUp func()
	// Stored hears of every offset that is durable before the body's end; may be nil.
	Stored func(int64)
}

func (c chunk) deadline(t time.Time) {
	if c.Deadline != nil {
		_ = c.Deadline(t) // Where it is not supported the server's own limits remain.
	}
}

// write appends c to u and returns the upload as it stands then, also beside an
// error: what arrived before a connection broke is kept (TUS-1). Once every byte
// is durable the upload is handed over, here and now if it is not too large.
func (s *Service) write(ctx context.Context, u upload, c chunk) (upload, error) {
	u, err := s.take(ctx, u, c)
	if err != nil || u.State != StateComplete {
		return u, err
	}
	if err := fault.Point("upload.last"); err != nil {
		return u, err
	}
	s.finishSoon(ctx, u)
	return u, fault.Point("upload.offset")
}

// take is write without the hand-over. Of several requests the newest writes (TUS-2).
func (s *Service) take(ctx context.Context, u upload, c chunk) (upload, error) {
	w, err := s.writers.enter(ctx, u, func() { c.deadline(time.Unix(1, 0)) })
	if err != nil {
		return u, err
	}
	s.metrics.writers.Inc()
	defer func() {
		s.metrics.writers.Dec()
		s.writers.leave(u.ID, w)
	}()
	now, err := s.find(ctx, u.Owner, string(u.ID)) // The older writer may have moved it.
	if err != nil {
		return u, err
	}
	if now.final() {
		return now, errFinal
	}
	if now.Via != c.Via {
		return now, errElsewhere
	}
	if u, err = s.declare(now, c); err != nil || now.State != StateOpen {
		return u, err
	}
	u, err = s.stream(ctx, now, u.Length, c, w)
	if errors.Is(err, objectstore.ErrFull) {
		err = errFull.Because(err)
	}
	return u, err
}

// declare checks the chunk against the upload and returns the upload with the
// length that is declared only now.
func (s *Service) declare(u upload, c chunk) (upload, error) {
	if c.Offset != u.Offset {
		return u, errOffset
	}
	if c.Length != unknown && c.Length != u.Length {
		if u.Length != unknown || c.Length < u.Offset {
			return u, errLength
		}
		if err := s.checkLength(c.Length, u.Concat == partialUpload); err != nil {
			return u, err
		}
		u.Length = c.Length
	}
	if c.Size <= u.room(s.config.MaxSize) {
		return u, nil
	}
	if u.Length == unknown {
		return u, errTooLarge
	}
	return u, errOverflow
}

// stream moves the body into durable parts, each acknowledged in the row, until it
// ends. With a checksum nothing is acknowledged before the end.
func (s *Service) stream(ctx context.Context, u upload, length int64, c chunk, w *writer) (upload, error) {
	d, err := s.draft(ctx, u, length)
	if err != nil {
		return u, err
	}
	defer d.discard(ctx)
	body := &source{chunk: c, writer: w, timeout: s.config.ReadTimeout}
	buf := s.buffers.Lend(c.Size)
	defer buf.Release()
	for {
		ended, err := d.store(ctx, buf, body)
		if err == nil && (c.Sum == nil || ended != nil) {
			err = d.commit(ctx)
		}
		if err != nil {
			return d.row, err
		}
		if ended == io.EOF || d.row.State != StateOpen {
			return d.row, nil
		}
		if c.Stored != nil && ended == nil {
			c.Stored(d.row.Offset)
		}
		if ended != nil {
			return d.row, ended // The deadline stays, so that the server does not wait for the rest.
		}
	}
}

// store makes the next bytes of the body durable: in an object that grows, where
// the store knows such, or as a part of its own.
func (d *draft) store(ctx context.Context, buf *buffer.Buffer, body *source) (ended, err error) {
	if d.s.grower != nil {
		ended, err = d.grow(ctx, body)
		return ended, cmp.Or(err, body.Sum.verdict(ended))
	}
	if ended, err = d.fill(buf, body); err == nil {
		err = body.Sum.verdict(ended)
	}
	if err == nil {
		err = d.put(ctx, buf)
	}
	return ended, err
}

// source is the body of a request. It ends with io.EOF, or with a refusal when the
// connection broke or somebody asked the writer to stop.
type source struct {
	chunk
	writer  *writer
	timeout time.Duration
}

// Read gives the client until the timeout to send anything at all, so that slow
// clients are bounded and long uploads are not.
func (s *source) Read(p []byte) (int, error) {
	if err := s.writer.unlessAsked(func() { s.deadline(time.Now().Add(s.timeout)) }); err != nil {
		return 0, err
	}
	n, err := s.Body.Read(p)
	s.Sum.write(p[:n])
	if err == io.EOF && !s.writer.ended(func() { s.deadline(time.Time{}) }) && s.HangUp != nil {
		s.HangUp() // Somebody set a deadline that the connection's next request would meet.
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	if why := s.writer.asked(); why != nil {
		return n, why
	}
	return n, errInterrupted.Because(err)
}
