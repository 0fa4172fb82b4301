package node_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/node"
)

func TestPeersThatCannotBeAreRefusedInASentence(t *testing.T) {
	t.Parallel()
	for want, cache := range map[string]node.EdgeCache{
		"is not one of --peers": {Peers: []string{"http://a:1/"}, PeerURL: "http://b:1"},
		"is no web address":     {Peers: []string{"a:1"}},
	} {
		_, err := node.Open(t.Context(), node.Config{Data: t.TempDir(), EdgeCache: cache, LogOutput: io.Discard})
		if !errors.Is(err, melodyud.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", cache, err)
		}
	}
}
