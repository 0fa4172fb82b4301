package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

// mostEntries are the newest files a report tells of, beside those still there.
const mostEntries = 1000

// Report is the file report.json in a creator's folder.
type Report struct {
	Creator string   `json:"creator"`
	Problem *Problem `json:"problem,omitempty"` // nothing of this folder is taken
	Files   []Entry  `json:"files"`             // those that wait first, then the newest
}

// Problem says why a whole folder is not looked at.
type Problem struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Entry is what became of one version of a file.
type Entry struct {
	File    string            `json:"file"`  // below the creator's folder
	State   string            `json:"state"` // waiting, ignored, taking, received, published, refused or gone
	Upload  melodyud.UploadID `json:"upload,omitempty"`
	Track   melodyud.TrackID  `json:"track,omitempty"`
	Code    string            `json:"code,omitempty"` // of what is wrong
	Text    string            `json:"text,omitempty"` // the same for people
	Updated *time.Time        `json:"updated,omitempty"`
}

// report writes what became of the creator's files.
func (f *folder) report(ctx context.Context) error {
	slices.SortFunc(f.waiting, func(a, b Entry) int { return strings.Compare(a.File, b.File) })
	var count, newest int64
	err := f.s.config.DB.QueryRow(ctx, `SELECT COUNT(*), COALESCE(MAX(updated), 0) FROM inbox_files WHERE owner = ?`, []any{f.name}, &count, &newest)
	stand := fmt.Sprint(count, newest, f.waiting)
	if err != nil || f.s.written[f.name] == stand {
		return err
	}
	rows, err := f.s.query(ctx, `WHERE owner = ? ORDER BY updated DESC, name LIMIT ?`, f.name, mostEntries)
	if err != nil {
		return err
	}
	r := Report{Creator: f.name, Files: f.waiting}
	known := map[string]bool{}
	for _, e := range f.waiting {
		known[e.File] = true
	}
	for _, one := range rows {
		e := Entry{File: f.inside(one.name), State: one.state, Upload: one.upload, Track: one.track, Code: one.code, Text: one.reason, Updated: &one.updated}
		if one.state == taking && known[e.File] {
			continue // it waits, as said above
		}
		r.Files = append(r.Files, e)
	}
	return f.s.write(ctx, f.name, r, stand)
}

// reportProblem tells why a whole folder is not looked at.
func (s *Service) reportProblem(ctx context.Context, folder string, why *melodyud.Refusal) error {
	if s.written[folder] == why.Code {
		return nil
	}
	return s.write(ctx, folder, Report{Creator: folder, Problem: &Problem{why.Code, why.Text}}, why.Code)
}

// write puts a report; stand tells what it was made of.
func (s *Service) write(ctx context.Context, folder string, r Report, stand string) error {
	if r.Files == nil {
		r.Files = []Entry{}
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = s.config.Box.Put(ctx, folder+"/"+reportName, append(raw, '\n'))
	}
	if err != nil {
		return fmt.Errorf("report on %s: %w", folder, err)
	}
	s.written[folder] = stand
	return nil
}

// validText makes any name fit to be told.
func validText(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
