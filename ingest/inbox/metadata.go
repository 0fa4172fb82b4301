package inbox

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/objectstore"
)

const (
	mostSidecar = 64 << 10 // bytes
	mostTable   = 4 << 20
)

// said is what creators say of their files, by the file's name.
type said struct {
	tags    map[string]melodyud.Tags
	wrong   map[string]error               // folders and files that wait for a file to be corrected
	from    map[string]objectstore.Dropped // sidecars, by the file they tell of
	tables  map[string][]string            // names in a table, by the table's name
	dropped map[string]objectstore.Dropped // tables, by name
}

// listen to what sidecars and tables say.
func (s *Service) hear(ctx context.Context, files []objectstore.Dropped) (said, error) {
	all := said{
		tags: map[string]melodyud.Tags{}, wrong: map[string]error{}, from: map[string]objectstore.Dropped{},
		tables: map[string][]string{}, dropped: map[string]objectstore.Dropped{},
	}
	for _, d := range files { // tables first: a sidecar knows better
		if roleOf(d.Name) == table {
			if err := s.hearTable(ctx, d, &all); err != nil {
				return all, err
			}
		}
	}
	for _, d := range files {
		if roleOf(d.Name) == sidecar {
			if err := s.hearSidecar(ctx, d, &all); err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// of returns the tags of a file, or why it has to wait.
func (a said) of(name string) (melodyud.Tags, error) {
	if err := a.wrong[same(name)]; err != nil {
		return melodyud.Tags{}, err
	}
	return a.tags[same(name)], a.wrong[same(path.Dir(name))+"/"]
}

func (s *Service) hearTable(ctx context.Context, d objectstore.Dropped, all *said) error {
	folder := same(path.Dir(d.Name)) + "/"
	raw, err := s.read(ctx, d, mostTable)
	if err == nil {
		var rows []line
		if rows, err = parseTable(raw); err == nil {
			for _, r := range rows {
				all.tags[folder+same(r.file)] = r.tags
				all.tables[d.Name] = append(all.tables[d.Name], folder+same(r.file))
			}
			all.dropped[d.Name] = d
			return nil
		}
	}
	return all.misheard(d, folder, err)
}

func (s *Service) hearSidecar(ctx context.Context, d objectstore.Dropped, all *said) error {
	file := same(strings.TrimSuffix(d.Name, path.Ext(d.Name)))
	raw, err := s.read(ctx, d, mostSidecar)
	if err == nil {
		tags := all.tags[file]
		if err = parseSidecar(raw, &tags); err == nil {
			all.tags[file], all.from[file] = tags, d
			return nil
		}
	}
	return all.misheard(d, file, err)
}

// misheard makes what a file with a mistake tells of wait for its correction.
func (a *said) misheard(d objectstore.Dropped, whom string, err error) error {
	switch refusal, refused := melodyud.AsRefusal(err); {
	case refused:
		a.wrong[whom] = melodyud.Refuse(refusal.Kind, refusal.Code, fmt.Sprintf("%s: %s", path.Base(d.Name), refusal.Text))
	case errors.Is(err, melodyud.ErrNotFound) || errors.Is(err, melodyud.ErrConflict) || errors.Is(err, melodyud.ErrUnavailable):
		a.wrong[whom] = errMetadataMoves
	default:
		return err
	}
	return nil
}

func (s *Service) read(ctx context.Context, d objectstore.Dropped, most int64) ([]byte, error) {
	if d.Size > most {
		return nil, melodyud.Refuse(melodyud.ErrTooLarge, "inbox.metadata-size", fmt.Sprintf("This file may have %d kB at most. Split it up.", most>>10))
	}
	r, err := s.config.Box.Open(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}

func malformed(format string, args ...any) error {
	return melodyud.Refuse(melodyud.ErrInvalid, "inbox.metadata", fmt.Sprintf(format, args...)+" Correct it; the files it tells of wait for that.")
}

// parseSidecar reads {"title": …, "artist": …, "album": …, "disc": 1, "number": 2};
// what is left out stays.
func parseSidecar(raw []byte, tags *melodyud.Tags) error {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	d.DisallowUnknownFields()
	if err := d.Decode(tags); err != nil {
		return malformed(`This is no JSON object with "title", "artist", "album", "disc" or "number" (%s).`, plain(err))
	}
	if tags.Disc < 0 || tags.Disc > melodyud.MaxNumber || tags.Number < 0 || tags.Number > melodyud.MaxNumber {
		return malformed("Discs and numbers go from 1 to %d.", melodyud.MaxNumber)
	}
	return nil
}

// plain is what a parser says, without what it quotes.
func plain(err error) string {
	text := strings.TrimPrefix(strings.ToValidUTF8(err.Error(), "?"), "json: ")
	if utf8.RuneCountInString(text) > 120 {
		text = string([]rune(text)[:120]) + "…"
	}
	return text
}

// line is one row of a table.
type line struct {
	file string
	tags melodyud.Tags
}

// parseTable reads a CSV file whose first row names its columns: file, and any of
// title, artist, album, disc and number. Fields are parted by commas, semicolons or
// tabs, as spreadsheets do in different countries.
func parseTable(raw []byte) ([]line, error) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) {
		return nil, malformed("This file is not in UTF-8: save it as CSV in UTF-8.")
	}
	head, _, _ := bytes.Cut(raw, []byte("\n"))
	r := csv.NewReader(bytes.NewReader(raw))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	for _, comma := range ";\t" {
		if bytes.ContainsRune(head, comma) && !bytes.ContainsRune(head, r.Comma) {
			r.Comma = comma
		}
	}
	names, err := r.Read()
	if err != nil {
		return nil, malformed("The first row of this CSV file cannot be read (%s).", plain(err))
	}
	columns, err := columnsOf(names)
	if err != nil {
		return nil, err
	}
	var all []line
	for {
		fields, err := r.Read()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, malformed("This CSV file cannot be read (%s).", plain(err))
		}
		at, _ := r.FieldPos(0)
		one, err := lineOf(columns, fields, at)
		if err != nil {
			return nil, err
		}
		if one.file != "" {
			all = append(all, one)
		}
	}
}

func columnsOf(names []string) ([]string, error) {
	known := map[string]string{
		"file": "file", "filename": "file", "file_name": "file", "file name": "file", "title": "title", "artist": "artist", "album": "album",
		"disc": "disc", "number": "number", "track": "number", "track number": "number",
	}
	columns := make([]string, len(names))
	found := false
	for i, name := range names {
		columns[i] = known[strings.ToLower(strings.TrimSpace(name))]
		found = found || columns[i] == "file"
	}
	if !found {
		return nil, malformed(`The first row names no column "file". It has to, and may name title, artist, album, disc and number.`)
	}
	return columns, nil
}

func lineOf(columns, fields []string, at int) (one line, err error) {
	for i, value := range fields {
		value = strings.TrimSpace(value)
		if i >= len(columns) || value == "" {
			continue
		}
		switch columns[i] {
		case "file":
			one.file = value
		case "title":
			one.tags.Title = value
		case "artist":
			one.tags.Artist = value
		case "album":
			one.tags.Album = value
		case "disc":
			one.tags.Disc, err = numbered(value, at, err)
		case "number":
			one.tags.Number, err = numbered(value, at, err)
		}
	}
	return one, err
}

func numbered(value string, at int, before error) (int, error) {
	n, err := strconv.Atoi(value)
	if before == nil && (err != nil || n < 0 || n > melodyud.MaxNumber) {
		return 0, malformed("Row %d has a disc or number that is not one from 1 to %d.", at, melodyud.MaxNumber)
	}
	return n, before
}
