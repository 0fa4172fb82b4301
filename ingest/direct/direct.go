// Package direct takes creators' files straight into a bucket: a client puts parts
// at signed addresses, and the bytes of thousands of uploads do not pass through us.
//
// The bucket is one of its own, with a key that can read nothing else: on some stores
// the bearer of a signed address can make the server copy any object the key may
// read into the part. An address is good for one part of one size for at most 15 minutes.
// What has arrived whole is read once, into the same state machine as every other
// upload: hash, master, hand-over, quotas and refusals are that one's.
//
//	open --(complete)--> joining --(one object)--> joined --(fetched)--> gone
//
// A row goes with its parts and its object once the upload is over, however it
// ended; every step may be repeated by any process.
package direct

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// Bucket is where clients put parts.
type Bucket interface {
	objectstore.Store
	objectstore.Multipart
}

// Config configures a Service.
type Config struct {
	DB      database.DB     // required
	Bucket  Bucket          // required; nothing else may be in it
	Uploads *ingest.Service // required
	Logger  *slog.Logger    // default: discards

	SignFor time.Duration    // an address of a part is valid for so long; default and most 15 min
	Sweep   time.Duration    // how often Run looks for work; default 5 s
	Now     func() time.Time // default time.Now
}

// The measures of parts (S3-1).
const (
	leastPart = 8 << 20
	mostParts = 9000
	partUnit  = 1 << 20
	mostSign  = 15 * time.Minute
)

// Service takes uploads into a bucket. Safe for concurrent use.
type Service struct {
	config Config
	nudge  chan struct{}
}

// New returns a service. What has arrived waits until Run.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Bucket == nil || c.Uploads == nil {
		return nil, errors.New("direct: Config needs DB, Bucket and Uploads")
	}
	if c.SignFor < 0 || c.SignFor > mostSign {
		return nil, fmt.Errorf("%w: addresses of parts may be valid for up to %s", melodyud.ErrInvalid, mostSign)
	}
	if c.SignFor == 0 {
		c.SignFor = mostSign
	}
	if c.Sweep == 0 {
		c.Sweep = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{config: c, nudge: make(chan struct{}, 1)}, nil
}

// partSize is how large the parts of a file are, but for its last (S3-1).
func partSize(size int64) int64 {
	n := max(leastPart, (size+mostParts-1)/mostParts)
	return (n + partUnit - 1) / partUnit * partUnit
}

type state string

const (
	open    state = "open"
	joining state = "joining" // all parts are there and are being made one object
	joined  state = "joined"
)

// row is what we know of an upload beside what package ingest knows.
type row struct {
	Upload    melodyud.UploadID
	Object    string
	Multipart string
	PartSize  int64
	Size      int64
	State     state
	Attempt   int64
}

func (r row) parts() int { return int((r.Size + r.PartSize - 1) / r.PartSize) }

// length is the size of a part, from number 1.
func (r row) length(number int) int64 {
	return min(r.PartSize, r.Size-int64(number-1)*r.PartSize)
}

// create expects the file and opens the bucket for its parts.
func (s *Service) create(ctx context.Context, a ingest.Arrival) (ingest.View, row, error) {
	v, err := s.config.Uploads.Expect(ctx, a)
	if err != nil {
		return v, row{}, err
	}
	r := row{Upload: v.ID, Object: "direct/" + string(v.ID) + "/" + rand.Text(), PartSize: partSize(a.Size), Size: a.Size, State: open}
	if r.Multipart, err = s.config.Bucket.BeginParts(ctx, r.Object); err == nil {
		err = s.insert(ctx, r)
	}
	if err != nil {
		return v, row{}, errors.Join(fmt.Errorf("open bucket for upload %s: %w", v.ID, err), s.drop(ctx, a.Owner, r))
	}
	return v, r, nil
}

// drop undoes a creation that failed half-way; what fails here expires.
func (s *Service) drop(ctx context.Context, owner melodyud.UserID, r row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := s.config.Uploads.Cancel(ctx, owner, string(r.Upload))
	if r.Multipart != "" {
		err = errors.Join(err, s.config.Bucket.DropParts(ctx, r.Object, r.Multipart))
	}
	return err
}

func (s *Service) insert(ctx context.Context, r row) error {
	_, err := s.config.DB.Exec(ctx, `INSERT INTO direct_uploads (upload, object, multipart, part_size, size, state, due) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		string(r.Upload), r.Object, r.Multipart, r.PartSize, r.Size, string(r.State), database.Millis(s.config.Now().Add(glance)))
	return err
}

func (s *Service) load(ctx context.Context, id melodyud.UploadID) (row, error) {
	r := row{Upload: id}
	err := s.config.DB.QueryRow(ctx, `SELECT object, multipart, part_size, size, state, attempt FROM direct_uploads WHERE upload = ?`,
		[]any{string(id)}, &r.Object, &r.Multipart, &r.PartSize, &r.Size, &r.State, &r.Attempt)
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		err = fmt.Errorf("read direct upload %s: %w", id, err)
	}
	return r, err
}

// find returns the owner's upload. The row is zero once the bucket is done with it.
func (s *Service) find(ctx context.Context, owner melodyud.UserID, id string) (ingest.View, row, error) {
	v, err := s.config.Uploads.Find(ctx, owner, id)
	if err != nil {
		return v, row{}, err
	}
	r, err := s.load(ctx, v.ID)
	if errors.Is(err, melodyud.ErrNotFound) {
		if v.State == ingest.StateOpen {
			return v, row{}, errOtherWay
		}
		return v, row{}, nil
	}
	return v, r, err
}

// signed is the address of a part.
type signed struct {
	number int
	size   int64
	url    string
}

// sign gives out the addresses of parts. The upload's life begins anew with it.
func (s *Service) sign(ctx context.Context, r row, numbers []int) ([]signed, error) {
	if r.State != open {
		return nil, errCompleted
	}
	if err := s.config.Uploads.Keep(ctx, r.Upload, s.config.Now().Add(s.config.Uploads.TTL())); err != nil {
		return nil, err
	}
	var all []signed
	for _, n := range numbers {
		if n < 1 || n > r.parts() {
			return nil, melodyud.Refuse(melodyud.ErrInvalid, "direct.number", fmt.Sprintf("There is no part %d: the parts are 1 to %d.", n, r.parts()))
		}
		url, err := s.config.Bucket.SignPart(ctx, r.Object, r.Multipart, n, r.length(n), s.config.SignFor)
		if err != nil {
			return nil, fmt.Errorf("sign part %d of %s: %w", n, r.Upload, err)
		}
		all = append(all, signed{n, r.length(n), url})
	}
	return all, nil
}

// arrived lists the parts in the bucket; once they are joined there are none.
func (s *Service) arrived(ctx context.Context, r row) ([]objectstore.Part, error) {
	if r.State != open {
		return nil, nil
	}
	parts, err := s.config.Bucket.Parts(ctx, r.Object, r.Multipart)
	if err != nil && !errors.Is(err, melodyud.ErrNotFound) {
		return nil, fmt.Errorf("list parts of %s: %w", r.Upload, err)
	}
	return parts, nil
}

// complete checks every part against what the client says and what it announced,
// and starts making them one object. Saying so twice does no harm.
func (s *Service) complete(ctx context.Context, r row, etags map[int]string) error {
	if r.State != open {
		return nil
	}
	parts, err := s.arrived(ctx, r)
	if err != nil {
		return err
	}
	if err := r.check(parts, etags); err != nil {
		return err
	}
	// From here on the bytes are ours to keep, however long we are away.
	if err := s.config.Uploads.Keep(ctx, r.Upload, s.config.Now().Add(kept)); err != nil {
		return err
	}
	_, err = s.config.DB.Exec(ctx, `UPDATE direct_uploads SET state = ?, due = ?, attempt = 0 WHERE upload = ? AND state = ?`,
		string(joining), database.Millis(s.config.Now()), string(r.Upload), string(open))
	if err != nil {
		return fmt.Errorf("complete direct upload %s: %w", r.Upload, err)
	}
	s.wake()
	return nil
}

func (s *Service) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}
