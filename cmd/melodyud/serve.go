package main

import (
	"context"
	"fmt"
	"os"

	"github.com/melodyud/melodyud/internal/node"
	"github.com/melodyud/melodyud/internal/ops"
)

type serveCmd struct {
	node.Config `embed:""`
}

func (cmd serveCmd) Run(ctx context.Context, s std) error {
	log, err := ops.NewLogger(s.err, cmd.LogFormat, cmd.LogLevel)
	if err != nil {
		return coded{exitStart, err.Error()}
	}
	cmd.Config.Logger = log
	n, err := node.Open(ctx, cmd.Config)
	if err != nil {
		return coded{exitStart, err.Error()}
	}
	if link := n.SignInLink(); link != "" {
		fmt.Fprintf(s.out, "MelodyUD serves %s\nSign your browser in with this link, once: %s\n", n.URL(), link)
	} else {
		fmt.Fprintf(s.out, "MelodyUD serves %s\n", n.URL())
	}
	return n.Run(ctx)
}

// openFile opens a local audio file with a sentence for what can go wrong.
func openFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return f, nil
}
