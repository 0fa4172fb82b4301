// Command soundbench measures how well sound is understood. It renders sets with
// known truth, runs our engines and the tools others use, and prints a table: for
// each metric the value, its 95 % interval over n pieces, the gate G that must be
// passed and the target T. It ends with status 1 when a gate fails.
//
// The corpus is read from $MELODYUD_CORPUS (default ../shared/corpus); what is
// rendered or fetched is kept in $MELODYUD_SOUND (default .cache/sound). Tables
// whose tools or data are missing say so and are skipped.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

// table is one subject's figures.
type table struct {
	name string
	run  func(context.Context, *bench) ([]row, error)
}

// tables are all there are, in the order they are printed.
var tables = []table{
	{"scorer", scorerTable},
	{"tempo", tempoTable},
	{"held-out", heldOutTable},
	{"clicks", clicksTable},
	{"real", realTable},
	{"corpus", corpusTable},
	{"nothing", nothingTable},
	{"speed", speedTable},
	{"key-scorer", keyScorerTable},
	{"key", keyTable},
	{"key-corpus", keyCorpusTable},
	{"transposition", transpositionTable},
	{"atonal", atonalTable},
	{"boundaries", boundariesTable},
	{"fingerprint", fingerprintTable},
	{"duplicates", duplicatesTable},
	{"speeds", speedsTable},
	{"similarity", similarityTable},
	{"speech", speechTable},
}

// bench is what tables need.
type bench struct {
	corpus string // directory
	cache  string // directory
	others bool   // run other tools too
}

func main() {
	b := &bench{}
	flag.StringVar(&b.corpus, "corpus", environment("MELODYUD_CORPUS", "../shared/corpus"), "`directory` of the corpus")
	flag.StringVar(&b.cache, "cache", environment("MELODYUD_SOUND", ".cache/sound"), "`directory` for what is rendered and fetched")
	flag.BoolVar(&b.others, "others", true, "run other tools for comparison")
	only := flag.String("tables", "", "comma-separated `names` of the tables to print; default all of "+names())
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed, err := b.print(ctx, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soundbench:", err)
		os.Exit(2)
	}
	if failed > 0 {
		fmt.Printf("\n%d gates failed\n", failed)
		os.Exit(1)
	}
}

func environment(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func names() string {
	var all []string
	for _, t := range tables {
		all = append(all, t.name)
	}
	return strings.Join(all, ",")
}

// print runs the tables that are asked for and returns how many gates failed.
func (b *bench) print(ctx context.Context, only string) (failed int, err error) {
	if b.cache, err = filepath.Abs(b.cache); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(b.cache, 0o777); err != nil {
		return 0, fmt.Errorf("make the cache: %w", err)
	}
	for _, t := range tables {
		if only != "" && !strings.Contains(","+only+",", ","+t.name+",") {
			continue
		}
		fmt.Printf("\n%s\n", t.name)
		rows, err := t.run(ctx, b)
		for _, r := range rows {
			fmt.Println(r)
			if r.verdict() == failsGate {
				failed++
			}
		}
		switch {
		case ctx.Err() != nil:
			return failed, ctx.Err()
		case err != nil:
			fmt.Printf("  SKIPPED: %v\n", err)
		}
	}
	return failed, nil
}
