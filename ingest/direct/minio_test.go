package direct_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/ingest"
	"github.com/melodyud/melodyud/ingest/direct"
	"github.com/melodyud/melodyud/internal/objectstore"
	"github.com/melodyud/melodyud/internal/objectstore/s3"
	"github.com/melodyud/melodyud/internal/realtest"
)

func TestMinIOTakesAFileInPartsAndItBecomesATrack(t *testing.T) {
	t.Parallel()
	f, _ := startOnMinIO(t)
	defer f.run()()
	file := noise(partSize + 777)
	u := f.create(map[string]any{"file_name": "song.wav", "size": len(file), "sha256": sumOf(file)})
	f.put(f.address(u.ID, 2), file[partSize:])
	at := f.address(u.ID, 1)
	for _, body := range [][]byte{noise(partSize - 1), noise(partSize + 1), nil} { // faults.md A12: no size limit
		if res := f.put(at, body); res.StatusCode < 400 {
			t.Errorf("%d bytes instead of %d: %s", len(body), partSize, res.Status)
		}
	}
	f.send(u, file)
	f.await(u.ID, ingest.StateReceived)
	f.wantMaster(file, "song.wav")
	f.awaitEmpty()
	if res := f.put(at, file[:partSize]); res.StatusCode < 400 { // faults.md A12: replay after validation
		t.Errorf("a part after the end: %s", res.Status)
	}
}

func TestAbortedPartsLeaveMinIO(t *testing.T) {
	t.Parallel()
	f, _ := startOnMinIO(t)
	u := f.create(map[string]any{"file_name": "song.wav", "size": 4})
	at := f.address(u.ID, 1)
	f.put(at, []byte("RIFF"))
	f.want(204, "")(f.do("DELETE", "/v1/direct/"+string(u.ID), nil, nil))
	f.awaitEmpty()
	if res := f.put(at, []byte("RIFF")); res.StatusCode < 400 {
		t.Errorf("a part after the end: %s", res.Status)
	}
}

// TestASignedAddressCannotBeTurnedIntoACopyOfAMaster is the attack of CVE-2026-54330:
// an unsigned header makes a signed PUT a copy within the server (faults.md A12).
func TestASignedAddressCannotBeTurnedIntoACopyOfAMaster(t *testing.T) {
	t.Parallel()
	f, masters := startOnMinIO(t)
	defer f.run()()
	secret := []byte("somebody else's unpublished master")
	main := openS3(t, masters)
	key := "masters/" + sumOf(secret)
	if _, err := main.Put(t.Context(), key, bytes.NewReader(secret), int64(len(secret)), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	source := "/" + bucketOf(masters) + "/" + key
	u := f.create(map[string]any{"file_name": "thief.wav", "size": len(secret)})
	stolen := 0
	for _, headers := range [][]string{
		{"X-Amz-Copy-Source", source},
		{"X-Amz-Copy-Source", strings.TrimPrefix(source, "/")},
		{"x-amz-copy-source", source, "x-amz-copy-source-range", "bytes=0-10"},
		{"X-Amz-Copy-Source", source, "X-Amz-Metadata-Directive", "REPLACE"},
	} {
		for _, body := range [][]byte{nil, noise(len(secret))} {
			if res := f.put(f.address(u.ID, 1), body, headers...); res.StatusCode < 400 && f.get(u.ID).Arrived[0].ETag == md5Of(secret) {
				stolen++
				t.Errorf("%v was answered %s", headers, res.Status)
			}
		}
	}
	for _, p := range f.get(u.ID).Arrived {
		f.do("POST", "/v1/direct/"+string(u.ID)+"/complete", map[string]any{"parts": []direct.DirectPart{{Number: 1, ETag: p.ETag}}}, nil)
		f.await(u.ID, ingest.StateReceived)
	}
	for _, r := range f.catalog.receipts() {
		if r.Master.SHA256 == sumOf(secret) {
			t.Error("the thief has a track of the master")
		}
	}

	// The attack is none if the server would not copy for a key that may read both.
	broad := openS3(t, masters)
	id, err := broad.BeginParts(t.Context(), "direct/broad")
	if err != nil {
		t.Fatal(err)
	}
	at, err := broad.SignPart(t.Context(), "direct/broad", id, 1, int64(len(secret)), 60e9)
	if err != nil {
		t.Fatal(err)
	}
	res := f.put(at, noise(len(secret)), "X-Amz-Copy-Source", source)
	parts, err := broad.Parts(t.Context(), "direct/broad", id)
	t.Logf("a key that reads both buckets: %s, parts %+v, %v; the master's ETag is %s", res.Status, parts, err, md5Of(secret))
	if stolen > 0 {
		t.Errorf("%d of 8 attacks read the master", stolen)
	}
}

func TestAKeyThatReadsTheMastersIsFoundOut(t *testing.T) {
	t.Parallel()
	masters := realtest.MinIO(t)
	main := openS3(t, masters)
	other := realtest.MinIO(t)
	for name, c := range map[string]struct {
		address string
		reads   bool
	}{
		"a key of its own":        {realtest.MinIOAlone(t, other), false},
		"the main key":            {other, true},
		"the bucket of the other": {realtest.MinIOAlone(t, masters), true},
	} {
		got, err := openS3(t, c.address).Reads(t.Context(), main, "masters/")
		if err != nil || got != c.reads {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
	for info := range main.List(t.Context(), "") {
		t.Errorf("the probe %s is left", info.Key)
	}
}

func TestTheBucketDropsWhatWeForgot(t *testing.T) { // S3-3
	t.Parallel()
	store, err := s3.Open(t.Context(), realtest.MinIOAlone(t, realtest.MinIO(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.TidyUp(t.Context(), 7); err != nil && !strings.Contains(err.Error(), "CORS") { // MinIO has CORS for all buckets at once
		t.Error(err)
	}
}

func TestAddressesNameTheHostThatOthersReach(t *testing.T) {
	t.Parallel()
	store := openS3(t, realtest.MinIO(t)+"&public=https%3A%2F%2Fs3.example.org")
	at, err := store.SignPart(t.Context(), "direct/x", "id", 1, 5, 60e9)
	if err != nil || !strings.HasPrefix(at, "https://s3.example.org/") {
		t.Errorf("%s, %v", at, err)
	}
	if _, err := http.NewRequest(http.MethodPut, at, nil); err != nil {
		t.Error(err)
	}
}
