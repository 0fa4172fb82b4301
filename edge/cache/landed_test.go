package cache_test

import (
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/melodyud/melodyud/edge/cache"
)

func TestABlockThatHasJustLandedIsNotFetchedAgain(t *testing.T) { // EDGE-8
	t.Parallel()
	m := &memory{data: pattern(100)}
	c, err := cache.New(cache.Config{Origin: m, Block: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const keys = 3000 // without care about one in 400 is fetched twice
	for i := range keys {
		var crowd sync.WaitGroup
		for range 4 {
			crowd.Go(func() { _, _ = io.ReadAll(c.Reader(t.Context(), fmt.Sprint(i), 100, 0, 100)) })
		}
		crowd.Wait()
	}
	if n := m.opens.Load(); n != keys {
		t.Errorf("%d blocks were fetched %d times", keys, n)
	}
}
