package resumable

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/ingest"
)

// request is what the headers of a request with bytes say.
type request struct {
	version   int  // 5, 6 or 8; 0: the client names none that we know
	told      bool // there is an Upload-Complete
	complete  bool // its value
	resumable bool // the client asks to be able to resume
	chunk     ingest.Chunk
}

func (in *request) size() int64 { return in.chunk.Offset + max(0, in.chunk.Size) }

// read reads the headers. Fields that are not of their type are ignored, as
// structured fields have to be; a wrong length or digest is refused, because to ignore
// it could spoil a file.
func (d *Dialect) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	in := &request{version: interop(r.Header.Get(interopHeader))}
	in.complete, in.told = boolean(r.Header.Get("Upload-Complete"))
	in.chunk = ingest.Chunk{
		Offset: -1, Length: ingest.Unknown, Size: r.ContentLength, Body: r.Body,
		Deadline: http.NewResponseController(w).SetReadDeadline,
		HangUp:   func() { w.Header().Set("Connection", "close") },
	}
	if in.chunk.Size != 0 {
		_ = in.chunk.Deadline(time.Now().Add(d.config.ReadTimeout)) // also for a body that is refused and only drained
	}
	if n, ok := integer(r.Header.Get("Upload-Offset")); ok {
		in.chunk.Offset = n
	}
	if r.Method != http.MethodPatch {
		in.chunk.Offset = 0
	}
	if field := r.Header.Get("Upload-Length"); field != "" {
		n, ok := integer(field)
		if !ok {
			return nil, errInconsistent
		}
		in.chunk.Length = n
	}
	var err error
	in.chunk.Hash, in.chunk.Sum, err = digest(r.Header.Values("Content-Digest"))
	return in, err
}

func interop(field string) int {
	switch field {
	case "5", "6", "8":
		return int(field[0] - '0')
	}
	return 0
}

// announcement is what a creation says of the whole file.
func (in *request) announcement(r *http.Request, owner melodyud.UserID) (ingest.Announcement, error) {
	a := ingest.Announcement{Owner: owner, Length: in.chunk.Length, Metadata: r.Header.Get("Upload-Metadata")}
	if in.complete && in.chunk.Size >= 0 {
		if a.Length != ingest.Unknown && a.Length != in.chunk.Size {
			return a, errInconsistent
		}
		a.Length = in.chunk.Size
	}
	if _, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Disposition")); err == nil {
		a.FileName = parameters["filename"]
	}
	h, sum, err := digest(r.Header.Values("Repr-Digest"))
	if err == nil && h != nil && len(sum) == sha256.Size {
		a.SHA256 = hex.EncodeToString(sum)
	}
	return a, err
}

func isPartial(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == partialType
}

// boolean reads an Item that is a Boolean (RFC 8941, 3.3.6), whose parameters mean
// nothing here.
func boolean(field string) (value, ok bool) {
	item, _, _ := strings.Cut(strings.TrimSpace(field), ";")
	return item == "?1", item == "?1" || item == "?0"
}

// integer reads an Item that is a non-negative Integer (RFC 8941, 3.3.1).
func integer(field string) (int64, bool) {
	item, _, _ := strings.Cut(strings.TrimSpace(field), ";")
	if item == "" || len(item) > 15 || strings.Trim(item, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(item, 10, 64)
	return n, err == nil
}

// digest reads Content-Digest or Repr-Digest (RFC 9530): a dictionary of algorithms
// with their sums. SHA-256 goes before SHA-512; others are deprecated and ignored.
func digest(fields []string) (hash.Hash, []byte, error) {
	sums := map[string]string{}
	for member := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		sums[name], _, _ = strings.Cut(value, ";")
	}
	for _, known := range []struct {
		name string
		hash func() hash.Hash
	}{{"sha-256", sha256.New}, {"sha-512", sha512.New}} {
		value, ok := sums[known.name]
		if !ok {
			continue
		}
		h := known.hash()
		sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(strings.TrimPrefix(value, ":"), ":"))
		if err != nil || len(sum) != h.Size() || len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
			return nil, nil, errDigestForm
		}
		return h, sum, nil
	}
	return nil, nil, nil
}

// reprDigest is the field's value for a SHA-256 in hexadecimal.
func reprDigest(sha string) string {
	sum, err := hex.DecodeString(sha)
	if err != nil || len(sum) == 0 {
		return ""
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
}
