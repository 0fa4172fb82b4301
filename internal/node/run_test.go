package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

var errBroken = errors.New("broken")

func TestOnlyWhatWentWrongIsReportedAtTheEnd(t *testing.T) {
	t.Parallel()
	until := func(err error) func(context.Context) error {
		return func(ctx context.Context) error { <-ctx.Done(); return err }
	}
	for name, test := range map[string]struct {
		run   func(context.Context) error
		asked bool // the process is asked to stop
		want  error
	}{
		"asked to stop, it stopped":           {run: until(nil), asked: true},
		"asked to stop in the middle of work": {run: until(fmt.Errorf("read rows: %w", context.Canceled)), asked: true},
		"failed while it was stopping":        {run: until(errBroken), asked: true, want: errBroken},
		"failed before anybody asked":         {run: func(context.Context) error { return errBroken }, want: errBroken},
		"a call of its own was cut short": {
			run:  func(context.Context) error { return context.Canceled },
			want: context.Canceled,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.asked {
				cancel()
			}
			err := runAll(ctx, []runner{{name: "one", phase: working, run: test.run}})
			if !errors.Is(err, test.want) {
				t.Errorf("runAll = %v, want %v", err, test.want)
			}
		})
	}
}
