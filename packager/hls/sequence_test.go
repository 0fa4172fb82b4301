package hls_test

import (
	"strings"
	"testing"

	"github.com/melodyud/melodyud/packager/hls"
)

func TestRunsOfASequenceAreDividedByADiscontinuityAndAMap(t *testing.T) { // HLS-50, HLS-53, HLS-57
	t.Parallel()
	one := func(uri string) hls.Segment { return hls.Segment{Part: hls.Part{URI: uri}, Microseconds: 1_500_001} }
	got, err := hls.Sequence{TargetDuration: 4, Runs: []hls.Run{
		{Init: "init/0.mp4", Segments: []hls.Segment{one("s/0.m4s"), one("s/1.m4s")}},
		{Init: "init/1.mp4", Segments: []hls.Segment{one("s/2.m4s")}},
	}}.Encode()
	want := `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init/0.mp4"
#EXTINF:1.500001,
s/0.m4s
#EXTINF:1.500001,
s/1.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init/1.mp4"
#EXTINF:1.500001,
s/2.m4s
#EXT-X-ENDLIST
`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	for _, empty := range []hls.Sequence{{}, {Runs: []hls.Run{{Init: "init/0.mp4"}}}} {
		if b, err := empty.Encode(); err == nil || strings.Contains(string(b), "ENDLIST") {
			t.Errorf("nothing to play prints %q", b)
		}
	}
}
