package format_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/melodyud/melodyud/transcode/decode/format"
)

func TestAConverterOutOfTimeIsToldFromABrokenOne(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]bool{
		"ulimit -t 1; while :; do :; done": true,
		"kill -KILL $$":                    false,
		"exit 1":                           false,
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		if err := cmd.Run(); err == nil {
			t.Fatalf("%s: ended well", script)
		}
		if got := format.Spent(cmd.ProcessState, time.Second); got != want {
			t.Errorf("%s: %v, want %v (%v, %v)", script, got, want, cmd.ProcessState, cmd.ProcessState.UserTime())
		}
	}
}
