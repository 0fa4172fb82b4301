// Command melodyud is the whole platform in one binary: the server in any role,
// the client that uploads and asks, and the engine on local files.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/melodyud/melodyud/internal/node"
)

// Exit codes, as --help says.
const (
	exitOK      = 0
	exitFailed  = 1
	exitStart   = 2 // the server could not start as configured
	exitRefused = 3 // a file was refused: the reason is on stderr
)

const description = `A music platform's engine: upload a track, and seconds later it streams.

  melodyud serve                    run everything on this machine
  melodyud upload song.flac --wait  upload and wait until it plays
  melodyud probe song.mp3           say whether a file would be accepted, and why
  melodyud analyze song.mp3         say what it sounds like: tempo, key, loudness
  melodyud render song.wav --out d  the whole engine on one file, without a server

Every flag can also be set by its environment variable, shown beside it.
Exit codes: 0 done, 1 failed, 2 the server could not start as configured,
3 a file was refused (code and sentence on standard error).`

type cli struct {
	Serve     serveCmd     `cmd:"" help:"Run the server: everything, or the roles you name."`
	Upload    uploadCmd    `cmd:"" help:"Upload files to a server."`
	Tracks    tracksCmd    `cmd:"" help:"List your tracks."`
	Track     trackCmd     `cmd:"" help:"Show one track."`
	Releases  releasesCmd  `cmd:"" help:"List what listeners heard under a track, as its audio was replaced."`
	Restore   restoreCmd   `cmd:"" help:"Let listeners hear an older release again."`
	PlayURL   playURLCmd   `cmd:"" name:"play-url" help:"Print an address that plays a track in any HLS player."`
	Preview   previewCmd   `cmd:"" help:"Print an address that plays half a minute of a track."`
	Offline   offlineCmd   `cmd:"" help:"Keep tracks on this device, encrypted, and play them."`
	Probe     probeCmd     `cmd:"" help:"Say whether files would be accepted, and why."`
	Analyze   analyzeCmd   `cmd:"" help:"Hear what a track sounds like: tempo, key, loudness, sections; print or draw it."`
	Render    renderCmd    `cmd:"" help:"Run the whole engine on a local file, without a server."`
	Encode    encodeCmd    `cmd:"" help:"Encode a local file into one other, to hear or measure the encoders."`
	Dump      dumpCmd      `cmd:"" help:"Show the boxes of an MP4 file as text."`
	Queue     queueCmd     `cmd:"" help:"For operators: what waits, what failed for good, and trying it again."`
	Features  featuresCmd  `cmd:"" help:"For operators: what was heard of all tracks, as one file."`
	Ads       adsCmd       `cmd:"" help:"For operators: house ads, which free listeners hear before and between tracks."`
	Reanalyze reanalyzeCmd `cmd:"" help:"For operators: listen to published tracks again, with a newer analyzer."`
	Revoke    revokeCmd    `cmd:"" help:"For operators: stop playback of a session, a listener or a track, before its addresses expire."`
	Keys      keysCmd      `cmd:"" help:"For operators: list, rotate and retire the keys that sign playback addresses."`
	Proxy     proxyCmd     `cmd:"" help:"Put the edge's HTTP cache in front of another web server."`
	Health    healthCmd    `cmd:"" help:"Ask a server whether it can take work."`
	Bench     benchCmd     `cmd:"" help:"For operators: measure a running server."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// std is where a command reads and writes.
type std struct {
	out, err io.Writer
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(node.ChildMain(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], std{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, s std) int {
	code, exited := exitOK, false
	parser, err := kong.New(&cli{},
		kong.Name("melodyud"), kong.Description(description),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("MELODYUD"), kong.Vars{"encoders": strings.Join(node.Encoders(), ","), "encoder": node.Encoders()[0]},
		kong.Writers(s.out, s.err),
		kong.Exit(func(c int) { code, exited = c, true }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s),
	)
	if err != nil {
		panic(err) // the command table itself is wrong
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exited { // --help
		return code
	}
	if err != nil {
		fmt.Fprintf(s.err, "melodyud: %v\nTry: melodyud --help\n", err)
		return exitFailed
	}
	return exitCode(command.Run(), s)
}

// coded is an error that chose its exit code. An empty text was already told.
type coded struct {
	code int
	text string
}

func (c coded) Error() string { return c.text }

func exitCode(err error, s std) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var c coded
	if errors.As(err, &c) {
		code = c.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(s.err, "melodyud: "+text)
	}
	return code
}

type versionCmd struct{}

func (versionCmd) Run(s std) error {
	fmt.Fprintln(s.out, "melodyud", node.Version())
	return nil
}
