package cmcd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/melodyud/melodyud/edge/cmcd"
)

func parse(t *testing.T, set string) cmcd.Data {
	t.Helper()
	d, err := cmcd.Parse([]byte(set))
	if err != nil {
		t.Fatalf("%s: %v", set, err)
	}
	return d
}

func TestASetIsReadAsTheStandardHasIt(t *testing.T) { // CMCD-1
	t.Parallel()
	d := parse(t, `bl=2100,br=128,nor="seg%202.m4s",ot=a,pr=1.25,sid="a\"b\\",su,bs`)
	if d.Number(cmcd.Buffer) != 2100 || d.Number(cmcd.BitRate) != 128 || d.Number(cmcd.Rate) != 1250 {
		t.Errorf("numbers %d %d %d", d.Number(cmcd.Buffer), d.Number(cmcd.BitRate), d.Number(cmcd.Rate))
	}
	if string(d.Text(cmcd.Session)) != `a"b\` || string(d.Text(cmcd.Object)) != "a" {
		t.Errorf("texts %q %q", d.Text(cmcd.Session), d.Text(cmcd.Object))
	}
	if !d.Is(cmcd.Urgent) || !d.Is(cmcd.Starved) || d.Has(cmcd.Throughput) || d.Version() != 1 {
		t.Error("flags, or what was not told")
	}
	if next, ok := d.NextObject(); !ok && next != "" {
		t.Errorf("a name with a space is no file name of ours: %q", next)
	}
}

func TestWhatIsNotUnderstoodIsLeftOut(t *testing.T) { // CMCD-5, CMCD-6
	t.Parallel()
	for set, want := range map[string]string{
		`xyz=1,br=128,com.melodyud-tier="free"`: `br=128`, // unknown keys
		`su,br=128,bl=200`:                      `bl=200,br=128,su`,
		`br=128, bl=200`:                        `bl=200,br=128`,
		`br="128",bl=x,su=1,sid=abc,ot="a"`:     ``, // wrong types
		`br=-3,bl=1.5,d=99999999999999999`:      ``, // out of range
		`br=10000001,d=86400001`:                ``,
		`ot=zz,sf=e,st=ll,st=l`:                 `st=l`, // tokens of no or a later version
		`ot=a,ot=zz`:                            ``,     // the last one is told
		`br=(128),sta=p,bsd=(3)`:                ``,     // the second version's
		`v=2,br=128,bl=(200 300),pr=2`:          `bl=(200),pr=2,v=2`,
		`v=2,nrr="0-9",sta=p,su=?0,bs=?1,e=ps`:  `bs,e=ps,sta=p,v=2`,
		`v=2,nor=("a.m4s";r="0-99" "b.m4s")`:    `nor=("a.m4s"),v=2`,
		`v=2,br=()`:                             `v=2`,
		`v=1,br=1,pr=1,bs=?0`:                   `br=1`,
		`pr=0.5,pr=1.2345`:                      ``,
		`sid="` + strings.Repeat("x", 65) + `"`: ``,
		`cid="` + strings.Repeat("x", 65) + `"`: ``,
		`v=0,br=1`:                              ``,
		``:                                      ``,
	} {
		d := parse(t, set)
		if got := string(d.Append(nil)); got != want {
			t.Errorf("%s is read as %s, not %s", set, got, want)
		}
	}
}

func TestWhatIsNoSetCountsForNothing(t *testing.T) { // CMCD-5, CMCD-9
	t.Parallel()
	for set, want := range map[string]error{
		`br=128,`:                             cmcd.ErrSyntax,
		`,br=128`:                             cmcd.ErrSyntax,
		`br=`:                                 cmcd.ErrSyntax,
		`=1`:                                  cmcd.ErrSyntax,
		`br 128`:                              cmcd.ErrSyntax,
		`sid="abc`:                            cmcd.ErrSyntax,
		`sid="a\n"`:                           cmcd.ErrSyntax,
		"sid=\"a\nb\"":                        cmcd.ErrSyntax,
		`sid="a"b`:                            cmcd.ErrSyntax,
		`br=(1`:                               cmcd.ErrSyntax,
		`br=(1;)`:                             cmcd.ErrSyntax,
		`br=(1"x")`:                           cmcd.ErrSyntax,
		"\x00":                                cmcd.ErrSyntax,
		`br=128,v=3`:                          cmcd.ErrVersion,
		`cid="` + strings.Repeat("x", 9<<10):  cmcd.ErrLong,
		strings.Repeat("a,", cmcd.MaxQuery/2): cmcd.ErrSyntax,
	} {
		d, err := cmcd.Parse([]byte(set))
		if !errors.Is(err, want) || len(d.Append(nil)) > 0 {
			t.Errorf("%.40q: %v", set, err)
		}
	}
}

func TestHeadersWinOverTheQuery(t *testing.T) { // CMCD-2, CMCD-5
	t.Parallel()
	h := http.Header{}
	query := "a=1&CMCD=br%3D128%2Csid%3D%22x%20y%22"
	d, err := cmcd.FromRequest(h, query)
	if got := string(d.Append(nil)); err != nil || got != `br=128,sid="x y"` {
		t.Errorf("query: %s, %v", got, err)
	}
	h.Set("CMCD-Status", "su,br=64") // any key in any of them
	h.Add("CMCD-Object", `bl=100`)
	h.Add("CMCD-Object", `d=4000`)
	d, err = cmcd.FromRequest(h, query)
	if got := string(d.Append(nil)); err != nil || got != `bl=100,br=64,d=4000,su` {
		t.Errorf("headers: %s, %v", got, err)
	}
	for _, bad := range []string{"CMCD=%", "CMCD=%zz", "CMCD=br%3D1%2"} {
		if _, err := cmcd.FromRequest(nil, bad); !errors.Is(err, cmcd.ErrSyntax) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, none := range []string{"", "cmcd=br%3D1", "x&y=&=z"} {
		if d, err := cmcd.FromRequest(nil, none); err != nil || len(d.Append(nil)) > 0 {
			t.Errorf("%s: %v", none, err)
		}
	}
}

func TestASetIsWrittenAsItIsRead(t *testing.T) { // CMCD-1, CMCD-2, CMCD-4
	t.Parallel()
	const set = `bl=(2100),br=(128),ec=("x\"\\"),mtp=(0),ot=a,pr=0.05,sid="x",sn=0,sta=p,su,ts=1700000000000,v=2`
	d := parse(t, set)
	if got := string(d.Append([]byte("x"))); got != "x"+set {
		t.Error(got)
	}
	h := http.Header{}
	d.Headers(h)
	if h.Get("CMCD-Object") != `br=(128),ot=a` || !strings.Contains(h.Get("CMCD-Status"), "pr=0.05") || len(h) != 4 {
		t.Errorf("%v", h)
	}
	back, err := cmcd.FromRequest(h, "")
	if err != nil || string(back.Append(nil)) != set {
		t.Errorf("%s, %v", back.Append(nil), err)
	}
	back, err = cmcd.FromRequest(nil, d.Query())
	if err != nil || string(back.Append(nil)) != set {
		t.Errorf("%s, %v", back.Append(nil), err)
	}
	var own cmcd.Data
	if own.Query() != "" || own.SetNumber(cmcd.Buffer, -1) || own.SetNumber(cmcd.Session, 1) || own.SetNumber(cmcd.Urgent, 2) ||
		own.SetText(cmcd.Object, []byte("z")) || own.SetText(cmcd.Session, []byte("ä")) || own.SetText(cmcd.Buffer, nil) {
		t.Error("what no key may have is taken")
	}
}

func TestTheNextObjectStaysOnTheTrack(t *testing.T) { // CMCD-9
	t.Parallel()
	for nor, want := range map[string]string{
		"3.m4s": "3.m4s", "s/3.m4s": "s/3.m4s",
		"..%2F3.m4s": "", "%2Fetc%2Fpasswd": "", "a%2F..%2F..%2Fb": "", "https%3A%2F%2Fx%2Fy": "", "%2F%2Fx": "",
		"a%20b": "", "a%5Cb": "", "a%3Fb": "", "%zz": "", "": "", ".": ".", "a%2F": "", "%2e%2e": "", "a%00": "",
	} {
		d := parse(t, `nor="`+nor+`"`)
		if got, ok := d.NextObject(); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", nor, got, ok)
		}
	}
}

func TestCacheKeysHaveNothingOfPlayers(t *testing.T) { // CMCD-8
	t.Parallel()
	for query, want := range map[string]string{
		"": "", "a=1": "a=1", "CMCD=x": "", "a=1&CMCD=x&b": "a=1&b", "CMCD=x&CMCD=y&_HLS_msn=1": "_HLS_msn=1", "XCMCD=1": "XCMCD=1",
	} {
		if got := cmcd.StripQuery(query); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}

func TestEventsAreReadLineByLine(t *testing.T) { // CMCD-3
	t.Parallel()
	seen := 0
	bad, err := cmcd.Records([]byte("e=ps,sta=p,ts=1,v=2\r\n\nv=9\nbr=\ne=t,ts=2,v=2"), func(d *cmcd.Data) error {
		seen++
		if d.Number(cmcd.Time) != int64(seen) {
			t.Errorf("%s", d.Append(nil))
		}
		return nil
	})
	if bad != 2 || err != nil || seen != 2 {
		t.Errorf("%d bad, %d read, %v", bad, seen, err)
	}
	if _, err := cmcd.Records([]byte("su"), func(*cmcd.Data) error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestReadingASegmentsQueryNeedsNoMemory(t *testing.T) {
	room := make([]byte, 0, cmcd.MaxQuery)
	const query = "CMCD=bl%3D2100%2Cbr%3D128%2Cd%3D4012%2Cmtp%3D12300%2Cnor%3D%2213.m4s%22%2Cot%3Da%2Csf%3Dh%2Csid%3D%22f3b7%22%2Cst%3Dv%2Ctb%3D256"
	if n := testing.AllocsPerRun(100, func() {
		if d, err := cmcd.FromQuery(query, room); err != nil || d.Number(cmcd.TopBitRate) != 256 {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFromQuery(b *testing.B) {
	room := make([]byte, 0, cmcd.MaxQuery)
	const query = "CMCD=bl%3D2100%2Cbr%3D128%2Cd%3D4012%2Cmtp%3D12300%2Cnor%3D%2213.m4s%22%2Cot%3Da%2Csf%3Dh%2Csid%3D%22f3b7%22%2Cst%3Dv%2Ctb%3D256"
	b.ReportAllocs()
	for b.Loop() {
		_, _ = cmcd.FromQuery(query, room)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`bl=2100,br=128,nor="seg%202.m4s",ot=a,pr=1.25,sid="a\"b\\",su,bs`))
	f.Add([]byte(`v=2,nor=("a.m4s";r="0-99" "b.m4s"),br=(1;a 2;v), su=?0,pr=0.005`))
	f.Add([]byte(`v=3`))
	f.Fuzz(func(t *testing.T, set []byte) {
		before := bytes.Clone(set)
		d, err := cmcd.Parse(set)
		if !bytes.Equal(set, before) {
			t.Fatal("what was read was changed")
		}
		if err != nil {
			return
		}
		printed := d.Append(nil)
		back, err := cmcd.Parse(printed)
		if again := back.Append(nil); err != nil || !bytes.Equal(again, printed) {
			t.Fatalf("%q is printed as %q, and that as %q: %v", set, printed, again, err)
		}
		query, err := cmcd.FromRequest(nil, d.Query())
		if again := query.Append(nil); err != nil || !bytes.Equal(again, printed) {
			t.Fatalf("%q in a query is %q: %v", printed, again, err)
		}
		d.NextObject()
	})
}

// TestTheReferenceUnderstandsUsAndWeIt reads what @svta/cml-cmcd writes, has it read
// what we write, and asks it whether that is valid.
func TestTheReferenceUnderstandsUsAndWeIt(t *testing.T) {
	t.Parallel()
	if os.Getenv("MELODYUD_INTEGRATION") != "1" {
		t.Skip("set MELODYUD_INTEGRATION=1 to compare with @svta/cml-cmcd")
	}
	web, err := filepath.Abs("../../web")
	if err != nil {
		t.Fatal(err)
	}
	sets := []string{
		`bl=2100,br=128,d=4012,mtp=12300,nor="seg%202.m4s",ot=a,pr=1.25,sf=h,sid="a\"b\\",st=v,su,tb=256`,
		`bs,cid="x y",dl=300,nrr="0-99",rtp=1500`,
		`bl=(2100),br=(128),bsd=(120),e=ps,ec=("x"),msd=300,nor=("seg 2.m4s"),ot=a,sid="a\"b",sn=3,sta=p,su,ts=1700000000000,v=2`,
	}
	in, err := json.Marshal(sets)
	if err != nil {
		t.Fatal(err)
	}
	const script = `
import { decodeCmcd, encodeCmcd, validateCmcdRequest, validateCmcdEvents } from "@svta/cml-cmcd";
const sets = JSON.parse(process.argv[1]);
console.log(JSON.stringify(sets.map((set) => {
  const told = decodeCmcd(set);
  if (typeof told.nor === "string") told.nor = decodeURIComponent(told.nor);
  const version = told.v ?? 1;
  const check = told.e ? validateCmcdEvents(set) : validateCmcdRequest(new Request("http://x/?CMCD=" + encodeURIComponent(set)));
  return { set: encodeCmcd(told, { version, reportingMode: told.e ? "event" : "request" }), issues: (check.issues ?? []).filter((i) => i.severity === "error").map((i) => i.message) };
})));`
	cmd := exec.Command("node", "--input-type=module", "-e", script, string(in))
	cmd.Dir = web
	out, err := cmd.Output()
	if err != nil {
		if _, gone := os.Stat(filepath.Join(web, "node_modules", "@svta", "cml-cmcd")); gone != nil {
			t.Skip("web/node_modules has no @svta/cml-cmcd: run npm ci in web")
		}
		t.Fatalf("node: %v", err)
	}
	var answers []struct {
		Set    string
		Issues []string
	}
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(sets) {
		t.Fatalf("%s: %v", out, err)
	}
	for i, a := range answers {
		ours, theirs := parse(t, sets[i]), parse(t, a.Set)
		if string(ours.Append(nil)) != sets[i] || string(theirs.Append(nil)) != sets[i] {
			t.Errorf("%s is written as %s by us and %s by them", sets[i], ours.Append(nil), theirs.Append(nil))
		}
		if len(a.Issues) > 0 {
			t.Errorf("%s: %q", sets[i], a.Issues)
		}
	}
}
