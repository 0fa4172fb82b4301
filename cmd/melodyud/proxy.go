package main

import (
	"context"
	"fmt"

	"github.com/melodyud/melodyud/internal/node"
)

type proxyCmd struct {
	node.Proxy `embed:""`
}

// Help is printed under the flags.
func (proxyCmd) Help() string {
	return `A shared HTTP cache (RFC 9111) for what is not music of this platform: an ad server's files, pictures,
a web site. It needs nothing of a MelodyUD server.

  melodyud proxy --origin https://ads.example.com --addr :8081`
}

func (cmd proxyCmd) Run(ctx context.Context, s std) error {
	cmd.LogOutput = s.err
	err := cmd.Proxy.Run(ctx, func(url string) { fmt.Fprintf(s.out, "MelodyUD serves %s from %s\n", url, cmd.Origin) })
	if err != nil {
		return coded{exitStart, err.Error()}
	}
	return nil
}
