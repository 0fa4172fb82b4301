package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/melodyud/melodyud/internal/node"
)

// TestMain lets this test binary be the decoding child and, for tests that kill
// real processes, a whole server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "child":
			os.Exit(node.ChildMain(os.Args[2:]))
		case "render":
			os.Exit(renderAlone(os.Args[2], os.Args[3]))
		case "serve":
			os.Exit(serve(os.Args[2]))
		}
	}
	goleak.VerifyTestMain(m)
}

// serve runs a node with a configuration in JSON and tells its address on
// standard output.
func serve(config string) int {
	var c node.Config
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	c.Child = child()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := node.Open(ctx, c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fmt.Println(n.URL())
	if err := n.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func child() []string { return []string{self(), "child"} }

func self() string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exe
}
