package node_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"testing"

	"github.com/melodyud/melodyud/internal/node"
)

var update = flag.Bool("update", false, "rewrite docs/openapi.json")

func TestTheCommittedOpenAPIIsWhatTheServerServes(t *testing.T) {
	t.Parallel()
	const committed = "../../docs/openapi.json"
	p := &person{t: t, base: start(t, node.Config{})}
	a, err := p.once("GET", "/openapi.json", nil)
	if err != nil || a.status != http.StatusOK {
		t.Fatal(a.status, err)
	}
	var served bytes.Buffer
	if err := json.Indent(&served, a.body, "", "  "); err != nil {
		t.Fatal(err)
	}
	served.WriteByte('\n')
	if *update {
		if err := os.WriteFile(committed, served.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(served.Bytes(), want) {
		t.Error("docs/openapi.json differs from what is served: run go test ./internal/node -run OpenAPI -update")
	}
}
