package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest/buffer"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/fault"
	"github.com/melodyud/melodyud/internal/objectstore"
)

// part is an object that holds bytes [Start, Start+Size) of an upload.
type part struct {
	Start, Size int64
	Name        string
}

// putTimeout bounds one store or database call for bytes that have already
// arrived; it does not end with the request that brought them.
const putTimeout = time.Minute

// tailParts is how many of an upload's last parts a writer looks at: more than
// the merge rule can leave unmerged.
const tailParts = 64

// draft is what one writer has stored but not yet acknowledged.
type draft struct {
	s      *Service
	row    upload // as committed
	length int64  // declared by this request, or row.Length
	offset int64  // behind the last stored byte
	hash   hash.Hash

	tail     []part // the upload's last parts, stored or acknowledged, oldest first
	added    []part // stored, not acknowledged
	replaced []part // acknowledged, merged into one of added
	loose    []string
	unsure   bool // a commit whose outcome is not known
}

func (s *Service) draft(ctx context.Context, u upload, length int64) (*draft, error) {
	h, err := loadHash(u.Hash)
	if err != nil {
		return nil, fmt.Errorf("upload %s: %w", u.ID, err)
	}
	tail, err := s.parts(ctx, u.ID, tailParts)
	if err != nil {
		return nil, err
	}
	if n := len(tail); n > 0 && tail[n-1].Start+tail[n-1].Size != u.Offset {
		return nil, errOffset // another process moved it between two reads
	}
	return &draft{s: s, row: u, length: length, offset: u.Offset, hash: h, tail: tail}, nil
}

// parts returns the last limit parts of an upload in order.
func (s *Service) parts(ctx context.Context, id melodyud.UploadID, limit int) ([]part, error) {
	rows, err := s.config.DB.Query(ctx, `SELECT start, size, name FROM (SELECT start, size, name FROM upload_parts
		WHERE upload = ? ORDER BY start DESC LIMIT ?) AS newest ORDER BY start`, string(id), limit)
	if err != nil {
		return nil, fmt.Errorf("read parts of %s: %w", id, err)
	}
	defer rows.Close()
	var all []part
	for rows.Next() {
		var p part
		if err := rows.Scan(&p.Start, &p.Size, &p.Name); err != nil {
			return nil, fmt.Errorf("read part of %s: %w", id, err)
		}
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read parts of %s: %w", id, err)
	}
	return all, nil
}

// room is how many bytes the upload still takes.
func (d *draft) room() int64 {
	u := upload{Length: d.length, Offset: d.offset}
	return u.room(d.s.config.MaxSize)
}

// fill reads up to one part. ended is nil while the body goes on; err is a body
// that goes on behind the upload's end, of which the last part is not stored.
func (d *draft) fill(buf *buffer.Buffer, body io.Reader) (ended, err error) {
	if ended = buf.Fill(body, d.room()); ended != nil || int64(buf.Len()) < d.room() {
		return ended, nil
	}
	return d.over(body)
}

// over looks for bytes behind the upload's end.
func (d *draft) over(body io.Reader) (ended, err error) {
	var extra [1]byte
	n, ended := io.ReadFull(body, extra[:])
	switch {
	case n == 0:
		return ended, nil
	case d.length == unknown:
		return nil, errTooLarge
	}
	return nil, errOverflow
}

// put stores what buf holds as a part, together with the short parts before it,
// and empties buf.
func (d *draft) put(ctx context.Context, buf *buffer.Buffer) error {
	if buf.Len() == 0 {
		return nil
	}
	if err := fault.Point("upload.chunk"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	fresh := int64(buf.Len())
	d.hash.Write(buf.Bytes())
	short := d.short(fresh)
	if err := d.gather(ctx, short, buf); err != nil {
		return err
	}
	p := part{Start: d.offset + fresh - int64(buf.Len()), Size: int64(buf.Len())}
	p.Name = fmt.Sprintf("%s%d-%d-%s", folder(d.row.ID), p.Start, p.Start+p.Size, rand.Text())
	if _, err := d.s.config.Store.Put(ctx, p.Name, bytes.NewReader(buf.Bytes()), p.Size, objectstore.PutOptions{}); err != nil {
		return fmt.Errorf("store part %s: %w", p.Name, err)
	}
	d.replace(short, p)
	d.offset += fresh
	buf.Reset()
	d.s.metrics.bytes.Add(float64(fresh))
	return fault.Point("upload.synced")
}

func folder(id melodyud.UploadID) string { return "uploads/" + string(id) + "/" }

// short returns how many of the last parts are to be stored anew together with
// fresh bytes: those at most twice as large as what follows them, while all fit
// one part. So sizes at least halve from part to part, the parts of a million tiny
// requests stay as few as those of one large request plus a dozen, and a byte is
// copied a number of times that grows with the logarithm only.
func (d *draft) short(fresh int64) int {
	n := 0
	for n < len(d.tail) {
		size := d.tail[len(d.tail)-1-n].Size
		if size > 2*fresh || size+fresh > int64(d.s.config.PartSize) {
			break
		}
		fresh += size
		n++
	}
	return n
}

// gather reads the last n parts in front of what buf holds.
func (d *draft) gather(ctx context.Context, n int, buf *buffer.Buffer) error {
	last := d.tail[len(d.tail)-n:]
	var total int64
	for _, p := range last {
		total += p.Size
	}
	if total == 0 {
		return nil
	}
	room := buf.Prepend(int(total))
	for _, p := range last {
		if err := d.s.readPart(ctx, p, room[:p.Size]); err != nil {
			return err
		}
		room = room[p.Size:]
	}
	return nil
}

func (s *Service) readPart(ctx context.Context, p part, into []byte) error {
	r, info, err := s.config.Store.Open(ctx, p.Name, 0, p.Size)
	if errors.Is(err, melodyud.ErrNotFound) {
		return errOffset.Because(err) // another process merged it away
	}
	if err != nil {
		return fmt.Errorf("open part %s: %w", p.Name, err)
	}
	defer r.Close()
	if info.Size < p.Size {
		return fmt.Errorf("part %s has %d bytes, its row says %d", p.Name, info.Size, p.Size)
	}
	if _, err := io.ReadFull(r, into); err != nil {
		return fmt.Errorf("read part %s: %w", p.Name, err)
	}
	return nil
}

// replace puts p in the place of the last n parts.
func (d *draft) replace(n int, p part) {
	cut := len(d.tail) - n
	for _, old := range d.tail[cut:] {
		if i := index(d.added, old); i >= 0 {
			d.added = append(d.added[:i], d.added[i+1:]...)
			if old.Name != p.Name {
				d.loose = append(d.loose, old.Name)
			}
		} else {
			d.replaced = append(d.replaced, old)
		}
	}
	d.tail = append(d.tail[:cut], p)
	d.added = append(d.added, p)
}

func index(parts []part, p part) int {
	for i := range parts {
		if parts[i] == p {
			return i
		}
	}
	return -1
}

// commit acknowledges everything stored, if nobody else moved the upload.
func (d *draft) commit(ctx context.Context) error {
	if len(d.added) == 0 && d.length == d.row.Length {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	next := d.next()
	if want := d.row.SHA256; want != "" && next.State != StateOpen && next.SHA256 != want {
		return errOtherFile
	}
	err := d.s.config.DB.InTx(ctx, func(tx database.Tx) error { return d.advance(ctx, tx, next) })
	if err != nil {
		_, refused := melodyud.AsRefusal(err)
		d.unsure = !refused
		return fmt.Errorf("advance upload %s: %w", d.row.ID, err)
	}
	for _, p := range d.replaced {
		if sizeIn(d.added, p.Name) == 0 {
			d.loose = append(d.loose, p.Name)
		}
	}
	d.row, d.added, d.replaced = next, nil, nil
	if next.State != StateOpen {
		d.s.metrics.uploads.WithLabelValues(string(next.State)).Inc()
	}
	if next.State == StateComplete {
		return nil // write passes the point after the hand-over
	}
	return fault.Point("upload.offset")
}

// next is the row as it will be.
func (d *draft) next() upload {
	now := d.s.config.Now()
	u := d.row
	u.Offset, u.Length, u.Hash = d.offset, d.length, saveHash(d.hash)
	u.Updated, u.Due = now, now.Add(d.s.config.TTL)
	u.Version++
	if u.Offset != u.Length {
		return u
	}
	u.SHA256 = hex.EncodeToString(d.hash.Sum(nil))
	if u.State = StateStored; u.Concat != partialUpload {
		u.State, u.Due = StateComplete, now.Add(lease(u.Length))
	}
	return u
}

func (d *draft) advance(ctx context.Context, tx database.Tx, u upload) error {
	if more := u.reserved() - d.row.reserved(); more > 0 { // the length was not known when it was created
		if err := d.s.config.Quotas.Reserve(ctx, tx, u.Owner, more, 0); err != nil {
			return err
		}
	}
	n, err := tx.Exec(ctx, `UPDATE uploads SET state = ?, length = ?, progress = ?, hash = ?, sha256 = ?, due = ?, updated = ?, version = ?
		WHERE id = ? AND version = ? AND state = ?`,
		string(u.State), u.Length, u.Offset, u.Hash, u.SHA256, database.Millis(u.Due), database.Millis(u.Updated), u.Version,
		string(u.ID), d.row.Version, string(StateOpen))
	if err != nil {
		return err
	}
	if n == 0 {
		return errOffset
	}
	for _, p := range d.replaced {
		if _, err := tx.Exec(ctx, `DELETE FROM upload_parts WHERE upload = ? AND start = ?`, string(u.ID), p.Start); err != nil {
			return err
		}
	}
	for _, p := range d.added {
		_, err := tx.Exec(ctx, `INSERT INTO upload_parts (upload, start, size, name) VALUES (?, ?, ?, ?)`,
			string(u.ID), p.Start, p.Size, p.Name)
		if err != nil {
			return err
		}
	}
	return nil
}

// discard deletes the objects nobody refers to. After a commit of unknown outcome
// they may be referred to: the janitor will know.
func (d *draft) discard(ctx context.Context) {
	keys := d.loose
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	var err error
	for _, p := range d.added {
		switch before := sizeIn(d.replaced, p.Name); {
		case d.unsure:
		case before > 0:
			err = errors.Join(err, d.s.grower.Cut(ctx, p.Name, p.Size, before))
		default:
			keys = append(keys, p.Name)
		}
	}
	if len(keys) > 0 {
		err = errors.Join(err, d.s.config.Store.Delete(ctx, keys...))
	}
	if err != nil {
		d.s.config.Logger.Info("replaced parts are left to the janitor", "upload", string(d.row.ID), "error", err)
	}
}
