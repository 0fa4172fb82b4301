package node_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/internal/node"
)

type playsJSON struct {
	Total struct {
		Plays, Listeners, Completions int64
	} `json:"total"`
}

func TestAPlayToldToAServerThatDiesOverItCountsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a process; left out by -short")
	}
	t.Parallel()
	data := t.TempDir()
	c := node.Config{Data: data, Addr: freeAddr(t), Ladder: oneQuality()}
	first := spawn(t, c, "telemetry.kept:kill:1")
	p := as(t, first.base, data)
	id := p.upload("song.wav", song(t, 4, 9))
	p.await(id)
	address := p.press(id)
	died := make(chan bool, 1)
	go func() {
		died <- first.killed()
		spawnAgain(t, c)
	}()
	// Died between keeping and answering: who has no answer tells again.
	events := strings.TrimSuffix(address, "index.m3u8") + "events"
	const body = `{"events":[{"type":"started","play":"p","sequence":0},{"type":"ended","play":"p","sequence":1,"heard":[{"from":0,"to":4000}]}]}`
	for range 2 {
		if a := p.ask("POST", events, []byte(body), "Content-Type", "text/plain"); a.status != http.StatusNoContent {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if !<-died {
		t.Fatal("the process was not killed at this point")
	}
	var plays playsJSON
	p.eventually("the play", func() bool {
		p.json("GET", "/v1/tracks/"+id+"/plays", nil, &plays)
		return plays.Total.Plays > 0
	})
	// A play of somebody else comes behind all that was told of the first one.
	events = strings.TrimSuffix(p.press(id), "index.m3u8") + "events"
	p.ask("POST", events, []byte(body), "Content-Type", "text/plain")
	p.eventually("the second play", func() bool {
		p.json("GET", "/v1/tracks/"+id+"/plays", nil, &plays)
		return plays.Total.Plays > 1
	})
	if got, _ := json.Marshal(plays.Total); string(got) != `{"Plays":2,"Listeners":1,"Completions":2}` {
		t.Errorf("%s", got)
	}
}
