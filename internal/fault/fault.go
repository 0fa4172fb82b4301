// Package fault names the places where a test can hurt a real process. Without
// the FAULT environment variable a point costs one nil check.
//
//	FAULT=publish.flipped:kill:1        SIGKILL ourselves at the first pass
//	FAULT=upload.synced:err:3           the third pass returns an error
//	FAULT=render.decode:sleep:1         the first pass blocks for ten seconds
//
// Several are separated by commas.
package fault

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	melodyud "github.com/melodyud/melodyud"
)

const nap = 10 * time.Second

type rule struct {
	action string
	left   atomic.Int64
}

var rules = parse(os.Getenv("FAULT"))

// Point is passed at the named place. It returns nil unless a test asked for an
// error there, which is ErrUnavailable.
func Point(name string) error {
	if rules == nil {
		return nil
	}
	return hit(rules[name], name)
}

func hit(r *rule, name string) error {
	if r == nil || r.left.Add(-1) != 0 {
		return nil
	}
	switch r.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "sleep":
		time.Sleep(nap)
		return nil
	}
	return fmt.Errorf("%w: fault point %s", melodyud.ErrUnavailable, name)
}

// parse panics on a malformed FAULT: a test that asks for a fault which never
// comes would prove nothing.
func parse(spec string) map[string]*rule {
	if spec == "" {
		return nil
	}
	all := map[string]*rule{}
	for one := range strings.SplitSeq(spec, ",") {
		parts := strings.Split(one, ":")
		if len(parts) != 3 || (parts[1] != "kill" && parts[1] != "err" && parts[1] != "sleep") {
			panic("fault: FAULT wants name:kill|err|sleep:count, got " + one)
		}
		n, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil || n < 1 {
			panic("fault: bad count in " + one)
		}
		r := &rule{action: parts[1]}
		r.left.Store(n)
		all[parts[0]] = r
	}
	return all
}
