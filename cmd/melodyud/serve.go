package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/melodyud/melodyud/internal/node"
)

type serveCmd struct {
	node.Config `embed:""`
}

// Help is printed under the flags.
func (serveCmd) Help() string {
	return `Without flags everything runs in this one process and is kept in ./data.

The same program is every part of a cluster: give each process its roles and the
URLs of the shared backends.

  melodyud serve --roles work --db postgres://… --objects s3://… --queue redis://…`
}

func (cmd serveCmd) Run(ctx context.Context, s std) error {
	cmd.LogOutput = s.err
	if err := node.RouteLibraryLogs(cmd.Config); err != nil {
		return coded{exitStart, err.Error()}
	}
	n, err := node.Open(ctx, cmd.Config)
	if err != nil {
		return coded{exitStart, err.Error()}
	}
	fmt.Fprintf(s.out, "MelodyUD serves %s\n", n.URL())
	if secure := n.TLSURL(); secure != "" {
		fmt.Fprintf(s.out, "and %s, with HTTP/2 and HTTP/3\n", secure)
	}
	if link, fresh := n.SignInLink(); link != "" && (fresh || interactive(s)) {
		fmt.Fprintf(s.out, "Sign your browser in: %s\n", link)
	}
	return n.Run(ctx)
}

// interactive says whether a person reads standard output: the sign-in link is a
// secret and does not belong into a log.
func interactive(s std) bool {
	f, ok := s.out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
