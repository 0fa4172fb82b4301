package ingest

import (
	"context"
	"hash"
	"io"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// Unknown is a length that was not declared.
const Unknown = unknown

// Announcement is what a client says of a file whose bytes it will send.
type Announcement struct {
	Owner    melodyud.UserID
	Length   int64  // bytes, or Unknown
	SHA256   string // of the whole file, in hexadecimal; empty: not known
	Metadata string // in the form of tus' Upload-Metadata
	FileName string // where Metadata names none; never used as a path
}

// Begin opens an upload, for dialects in packages of their own. Refusals are those
// of a creation by tus.
func (s *Service) Begin(ctx context.Context, a Announcement) (View, error) {
	m, err := parseMetadata(a.Metadata)
	if err != nil {
		return View{}, err
	}
	if m.fileName == "" {
		m.set("filename", a.FileName)
	}
	u, err := s.create(ctx, creation{Owner: a.Owner, Length: a.Length, Metadata: m, SHA256: a.SHA256})
	return viewOf(u), err
}

// Chunk is bytes for an upload as a request brings them.
type Chunk struct {
	Offset   int64 // where the client believes the upload stands
	Length   int64 // of the whole file, declared now; or Unknown
	Size     int64 // of Body, or Unknown
	Body     io.Reader
	Hash     hash.Hash             // of Body; nil: not to be checked
	Sum      []byte                // what Hash has to give
	Deadline func(time.Time) error // sets the time by which Body has to go on
	HangUp   func()                // makes the transport serve nothing else on this connection; may be nil
	Stored   func(offset int64)    // hears of every offset that became durable; may be nil
}

// Write appends c to the owner's upload and hands it over with its last byte. It
// returns the upload as it stands then, also beside an error, as far as it is known.
func (s *Service) Write(ctx context.Context, owner melodyud.UserID, id string, c Chunk) (View, error) {
	u, err := s.find(ctx, owner, id)
	if err != nil {
		return View{}, err
	}
	in := chunk{
		Offset: c.Offset, Length: c.Length, Size: c.Size, Body: c.Body, Deadline: c.Deadline, HangUp: c.HangUp, Stored: c.Stored,
	}
	if c.Hash != nil {
		in.Sum = &checksum{want: c.Sum, have: c.Hash}
	}
	u, err = s.write(ctx, u, in)
	if now, lost := s.find(ctx, owner, id); lost == nil {
		u = now // handed over, or moved by another request
	}
	return viewOf(u), err
}

// Settle returns the owner's upload once whoever still writes it has stored what
// arrived and left.
func (s *Service) Settle(ctx context.Context, owner melodyud.UserID, id string) (View, error) {
	u, err := s.settle(ctx, owner, id)
	return viewOf(u), err
}
