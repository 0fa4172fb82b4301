package main

import (
	"strings"
	"testing"
)

func TestUploadSaysWhatIsPublishedAlready(t *testing.T) {
	t.Parallel()
	p, file := serving(t), tone(t, 2)
	first := strings.Fields(p.must("upload", "--wait", file))[0]
	asked := p.run("upload", "--wait", file)
	if asked.code != 3 || !strings.Contains(asked.err, "upload.duplicate") || !strings.Contains(asked.err, first) || !strings.Contains(asked.err, "--duplicates keep") {
		t.Errorf("ask: %+v", asked)
	}
	if r := p.run("upload", "--duplicates", "discard", file); r.code != 0 || r.out != "" || !strings.Contains(r.err, first) {
		t.Errorf("discard: %+v", r)
	}
	if second := strings.Fields(p.must("upload", "--wait", "--duplicates", "keep", file)); second[0] == first || second[1] != "published" {
		t.Errorf("keep: %v", second)
	}
}
