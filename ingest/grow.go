package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// growTime is how often what a slow client sends is acknowledged.
const growTime = 5 * time.Second

// grow appends up to a part's worth of the body to the upload's last object, as it
// arrives.
func (d *draft) grow(ctx context.Context, body io.Reader) (ended, err error) {
	in := &intake{from: body, hash: d.hash, left: min(d.room(), int64(d.s.config.PartSize)), until: time.Now().Add(growTime)}
	if in.some() {
		if err := d.extend(ctx, in); err != nil {
			return in.ended, err
		}
	}
	if in.ended == nil && d.room() == 0 {
		return d.over(body)
	}
	return in.ended, nil
}

// extend makes what in gives durable.
func (d *draft) extend(ctx context.Context, in *intake) error {
	if err := fault.Point("upload.chunk"); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	var p part
	n, err := int64(0), melodyud.ErrConflict
	if len(d.tail) > 0 {
		p = d.tail[len(d.tail)-1]
		n, err = d.s.grower.Append(ctx, p.Name, p.Size, in)
	}
	fresh := errors.Is(err, melodyud.ErrConflict)
	if fresh { // none yet, or one with bytes of a crashed or racing writer behind ours
		p = part{Start: d.offset, Name: fmt.Sprintf("%s%d-%s", folder(d.row.ID), d.offset, rand.Text())}
		n, err = d.s.grower.Append(ctx, p.Name, 0, in)
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", p.Name, err)
	}
	p.Size += n
	if fresh {
		d.replace(0, p)
	} else {
		d.replace(1, p)
	}
	d.offset += n
	d.s.metrics.bytes.Add(float64(n))
	return fault.Point("upload.synced")
}

// intake is the next bytes of a body. It ends without an error however the body
// ends, so that what arrived is stored.
type intake struct {
	from  io.Reader
	hash  hash.Hash
	left  int64     // to be read
	until time.Time // when to stop
	ended error     // why the body gives no more, or nil

	held  []byte // read and not passed on yet
	first [512]byte
}

// some waits for the first bytes and reports whether there are any, so that nothing
// is opened for an empty body.
func (in *intake) some() bool {
	for len(in.held) == 0 && in.left > 0 && in.ended == nil {
		in.held = in.first[:in.take(in.first[:])]
	}
	return len(in.held) > 0
}

func (in *intake) take(p []byte) int {
	n, err := in.from.Read(p[:min(int64(len(p)), in.left)])
	in.hash.Write(p[:n])
	in.left -= int64(n)
	in.ended = err
	return n
}

// Read implements io.Reader.
func (in *intake) Read(p []byte) (int, error) {
	if len(in.held) > 0 {
		n := copy(p, in.held)
		in.held = in.held[n:]
		return n, nil
	}
	if in.left == 0 || in.ended != nil || !time.Now().Before(in.until) {
		return 0, io.EOF
	}
	return in.take(p), nil
}

// joinMaster reads all parts, to check them, and has the store make the master.
func (s *Service) joinMaster(ctx context.Context, key string, r *verified, parts []part) error {
	spans := make([]objectstore.Span, len(parts))
	for i, p := range parts {
		spans[i] = objectstore.Span{Key: p.Name, Size: p.Size}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return s.grower.Join(ctx, key, spans)
}

// sizeIn returns the size of the part of that name, or 0.
func sizeIn(parts []part, name string) int64 {
	for _, p := range parts {
		if p.Name == name {
			return p.Size
		}
	}
	return 0
}
