package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// journal remembers between runs which files are on the server, or on their way. It
// is a file of JSON lines that is only ever added to: a run that is killed at any
// moment leaves at most a torn last line, which is passed over.
type journal struct {
	path string

	mu   sync.Mutex
	file *os.File
	seen map[string]entry // by file
}

// entry is what is known of a file as it was at one time.
type entry struct {
	File     string `json:"file"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // unix nanoseconds
	Location string `json:"location,omitempty"`
	Track    string `json:"track,omitempty"`
	State    string `json:"state,omitempty"` // once all of it has arrived
}

// openJournal opens the journal for a server: at path, or where this user's programs
// keep such things.
func openJournal(path, server string) (*journal, error) {
	if path == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no place to remember what was uploaded: %w (name one with --state)", err)
		}
		sum := sha256.Sum256([]byte(server))
		path = filepath.Join(home, "melodyud", "uploads-"+hex.EncodeToString(sum[:4])+".jsonl")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: f, seen: map[string]entry{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			j.seen[e.File] = e
		}
	}
	return j, lines.Err()
}

// last returns what is known of the file, if it is still the same file.
func (j *journal) last(one *song) entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.seen[absolute(one.File)]
	if e.Size != one.size || e.Modified != one.modified.UnixNano() {
		return entry{}
	}
	return e
}

// note adds to what is known of a file, durably.
func (j *journal) note(one *song, news entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	news.File, news.Size, news.Modified = absolute(one.File), one.size, one.modified.UnixNano()
	if news.Location == "" {
		news.Location = j.seen[news.File].Location
	}
	j.seen[news.File] = news
	line, err := json.Marshal(news)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append([]byte("\n"), append(line, '\n')...)); err != nil {
		return fmt.Errorf("remember %s: %w", one.File, err)
	}
	return j.file.Sync()
}

func (j *journal) close() { _ = j.file.Close() } // all that counts was synced

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
