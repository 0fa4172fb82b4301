package melodyud_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/melodyud/melodyud"

// shared is what every service may import besides the root: the ports and the
// conventions.
var shared = []string{
	"internal/database", "internal/objectstore", "internal/eventlog", "internal/queue",
	"internal/fault", "internal/plain", "internal/ticket", "internal/api", "internal/ops",
}

// arrows is the house: which package may import which of ours. The root is
// allowed everywhere. Adding an arrow means editing this table in review.
var arrows = map[string][]string{
	"": {}, // the root imports nothing of ours

	// Ports and conventions.
	"internal/fault":       {},
	"internal/plain":       {},
	"internal/ticket":      {},
	"internal/ops":         {},
	"internal/media":       {},
	"internal/offline":     {},
	"internal/front":       {"internal/api"},
	"internal/database":    {},
	"internal/objectstore": {},
	"internal/eventlog":    {},
	"internal/queue":       {},
	"internal/api":         {"internal/ticket"},

	// Adapters: their port and one SDK each.
	"internal/database/migrations": {},
	"internal/database/pause":      {},
	"internal/database/lease":      {"internal/database", "internal/database/pause"},
	"internal/database/sqldb":      {"internal/database", "internal/database/pause", "internal/eventlog"},
	"internal/database/sqlite":     {"internal/database", "internal/database/migrations", "internal/database/sqldb"},
	"internal/database/postgres":   {"internal/database", "internal/database/migrations", "internal/database/sqldb"},
	"internal/database/relay":      {"internal/database", "internal/database/lease", "internal/database/pause", "internal/eventlog", "internal/fault"},
	"internal/eventlog/tables":     {"internal/database", "internal/database/lease", "internal/database/pause", "internal/eventlog"},
	"internal/objectstore/dir":     {"internal/objectstore"},
	"internal/objectstore/s3":      {"internal/objectstore"},
	"internal/queue/asynqueue":     {"internal/queue"},

	// Engines: no rows, no HTTP, no queue.
	"transcode":                      {"internal/media", "internal/fault", "transcode/pcm", "transcode/aac", "transcode/decode", "transcode/decode/flac", "transcode/encode", "transcode/features", "transcode/features/model"},
	"transcode/pcm":                  {},
	"transcode/decode":               {"transcode/pcm", "transcode/decode/cover", "transcode/decode/format"},
	"transcode/decode/cover":         {},
	"transcode/decode/format":        {"transcode/pcm", "transcode/decode/cover", "transcode/decode/faststart", "transcode/decode/flac", "transcode/decode/label", "transcode/decode/ogg"},
	"transcode/decode/faststart":     {},
	"transcode/decode/flac":          {},
	"transcode/decode/label":         {"transcode/decode/cover"},
	"transcode/decode/ogg":           {},
	"transcode/encode":               {"internal/media", "transcode/aac", "transcode/pcm"},
	"transcode/aac":                  {},
	"transcode/aac/gen":              {},
	"transcode/features":             {"transcode/pcm", "transcode/features/embedding", "transcode/features/fingerprint", "transcode/features/model", "transcode/features/perceptual", "transcode/features/quality", "transcode/features/rhythm", "transcode/features/spectrum", "transcode/features/structure", "transcode/features/timbre", "transcode/features/tonal"},
	"transcode/features/spectrum":    {"transcode/pcm"},
	"transcode/features/plot":        {"transcode/pcm", "transcode/features/spectrum"},
	"transcode/features/rhythm":      {"transcode/features/spectrum"},
	"transcode/features/timbre":      {"transcode/features/spectrum"},
	"transcode/features/tonal":       {"transcode/features/spectrum"},
	"transcode/features/structure":   {"transcode/features/tonal"},
	"transcode/features/embedding":   {"transcode/features/spectrum", "transcode/features/timbre"},
	"transcode/features/fingerprint": {"transcode/pcm", "transcode/features/spectrum"},
	"transcode/features/perceptual":  {"transcode/features/timbre"},
	"transcode/features/quality":     {"transcode/pcm", "transcode/features/spectrum"},
	"transcode/features/model":       {"transcode/pcm", "transcode/features/spectrum"},
	"transcode/features/soundbench":  {"internal/database/sqlite", "internal/duplicates", "internal/objectstore/dir", "transcode/pcm", "transcode/features", "transcode/features/embedding", "transcode/features/fingerprint", "transcode/features/model", "transcode/features/perceptual", "transcode/features/rhythm", "transcode/features/spectrum", "transcode/features/structure", "transcode/features/timbre", "transcode/features/tonal"},
	"packager":                       {"internal/media", "packager/fmp4", "packager/hls", "packager/dash"},
	"packager/fmp4":                  {"internal/media"},
	"packager/elementary":            {"internal/media"},
	"packager/hls":                   {},
	"packager/dash":                  {},

	// Services: never each other, but for the engines they run.
	"ingest":               append([]string{"ingest/buffer"}, shared...),
	"ingest/buffer":        {},
	"ingest/decision":      append([]string{"ingest"}, shared...),
	"ingest/resumable":     append([]string{"ingest"}, shared...),
	"ingest/quota":         shared,
	"ingest/direct":        append([]string{"ingest"}, shared...),
	"ingest/inbox":         append([]string{"ingest", "internal/database/lease"}, shared...),
	"internal/accounts":    shared,
	"internal/ads":         shared,
	"internal/catalog":     append([]string{"internal/catalog/feed", "internal/catalog/hearing"}, shared...),
	"internal/playback":    shared,
	"internal/signing":     shared,
	"internal/geo":         {},
	"internal/sound":       append([]string{"internal/sound/table"}, shared...),
	"internal/sound/table": {},
	"internal/insights":    append([]string{"internal/insights/heard"}, shared...),
	"internal/duplicates":  append([]string{"transcode/features/fingerprint"}, shared...),
	"workers":              append([]string{"transcode", "packager", "internal/media"}, shared...),
	"edge":                 append([]string{"edge/bearer", "edge/cmcd", "edge/telemetry", "edge/cache", "edge/wire", "edge/cachestatus", "edge/priority", "packager", "packager/fmp4", "packager/hls", "packager/dash", "internal/offline"}, shared...),
	"edge/notices":         {"internal/ticket"},
	"edge/cat":             {},
	"edge/bearer":          {"edge/cat", "internal/ticket"},
	"edge/cache":           {"edge/cachestatus", "internal/objectstore"},
	"edge/wire":            {},
	"edge/wire/wirebench":  {"internal/objectstore", "internal/objectstore/dir", "internal/ticket"},
	"edge/load":            {},
	"edge/cachestatus":     {},
	"edge/httpcache":       {"edge/cachestatus", "edge/cmcd"},
	"edge/streams":         {"internal/ticket"},
	"edge/pace":            {"internal/ticket"},
	"edge/cmcd":            {},
	"edge/priority":        {"edge/cmcd"},
	"edge/telemetry":       append([]string{"edge/cmcd", "edge/pace"}, shared...),

	// Parts of services.
	"internal/catalog/hearing": {},
	"internal/insights/heard":  {},
	"internal/catalog/feed":    {"internal/api"},

	// Parts of the command.
	"cmd/melodyud/board": {},

	// The page, and the suites, which only tests import.
	"web":                                  {},
	"web/e2e/cable":                        {},
	"fixtures":                             {},
	"fixtures/generate":                    {"fixtures"},
	"internal/realtest":                    {},
	"internal/clocktest":                   {},
	"internal/api/apitest":                 {"internal/api", "internal/ticket"},
	"internal/catalog/catalogtest":         {"internal/api", "internal/catalog", "internal/clocktest", "internal/database", "internal/objectstore", "internal/objectstore/dir", "internal/queue"},
	"internal/database/databasetest":       {"internal/database", "internal/database/sqlite", "internal/database/postgres", "internal/realtest"},
	"internal/eventlog/eventlogtest":       {"internal/eventlog"},
	"internal/objectstore/objectstoretest": {"internal/objectstore"},
	"internal/queue/queuetest":             {"internal/queue"},
	"packager/packagertest":                {"internal/media", "packager", "packager/dash", "packager/hls"},
	"transcode/features/embedding/learn":   {"transcode/pcm", "transcode/features/embedding", "transcode/features/spectrum", "transcode/features/timbre"},
	"transcode/pcm/pcmtest":                {"transcode/pcm"},
}

// everybody may import all of the house.
var everybody = []string{"internal/node"}

func TestImportsFollowTheHouse(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, illegal := range illegalArrows(string(out)) {
		t.Error(illegal)
	}
}

func TestAPlantedIllegalImportIsRejected(t *testing.T) {
	t.Parallel()
	for planted, want := range map[string]string{
		module + "/ingest " + module + "/edge":                   "ingest -> edge",
		module + " " + module + "/internal/media":                "root -> internal/media",
		module + "/transcode " + module + "/internal/database":   "transcode -> internal/database",
		module + "/edge/cache " + module + "/internal/node":      "edge/cache -> internal/node",
		module + "/surprise fmt":                                 "surprise is not in the table",
		module + "/cmd/melodyud " + module + "/internal/catalog": "cmd/melodyud -> internal/catalog",
	} {
		got := illegalArrows("fmt errors\n" + planted + "\n")
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("planted %q: got %q", want, got)
		}
	}
}

// illegalArrows reads lines of a package and its imports and returns a sentence
// for each arrow the table does not have.
func illegalArrows(list string) []string {
	var illegal []string
	for line := range strings.Lines(list) {
		pkgs := strings.Fields(line)
		if len(pkgs) == 0 || !ours(pkgs[0]) {
			continue
		}
		from := short(pkgs[0])
		allowed, known := arrows[from]
		switch {
		case slices.Contains(everybody, from):
			continue
		case from == "cmd/melodyud":
			allowed = []string{"internal/node", "cmd/melodyud/board"}
		case !known:
			illegal = append(illegal, from+" is not in the table of imports")
			continue
		}
		for _, imported := range pkgs[1:] {
			to := short(imported)
			if ours(imported) && to != "" && !slices.Contains(allowed, to) {
				illegal = append(illegal, fmt.Sprintf("%s -> %s is not allowed", name(from), to))
			}
		}
	}
	return illegal
}

func ours(pkg string) bool { return pkg == module || strings.HasPrefix(pkg, module+"/") }

func short(pkg string) string { return strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/") }

func name(pkg string) string {
	if pkg == "" {
		return "root"
	}
	return pkg
}
