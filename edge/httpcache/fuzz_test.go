package httpcache_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/melodyud/melodyud/edge/httpcache"
)

// FuzzFieldsReadTheSameTwice gives one line to all that reads lines: Cache-Control,
// targeted fields, dates, and fields that Vary names.
func FuzzFieldsReadTheSameTwice(f *testing.F) {
	for _, s := range []string{
		"max-age=60, public", `private="a, b", no-cache`, `x="\"", max-age="1"`, "=,=;,", `"`, "MAX-AGE=1,max-age=2",
		now.Format(http.TimeFormat), now.Format(time.RFC850), now.Format(time.ANSIC), "Thu, 18  Aug  2050 2:01:18 gmt",
		"en, de;q=0.50", `a,"b,c" ,d`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		checkDirectives(t, line)
		checkDate(t, line)
		checkNormalised(t, line)
		httpcache.ParseTargeted([]string{line})
	})
}

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func checkDirectives(t *testing.T, line string) {
	once := httpcache.ParseDirectives([]string{line})
	var lines []string
	for name, value := range once {
		if name != strings.ToLower(name) || name == "" || name != strings.Trim(name, " \t") {
			t.Fatalf("directive %q", name)
		}
		if strings.ContainsAny(name, `",=\`) {
			return // malformed: it has no other way to be written
		}
		lines = append(lines, name+"="+quoted(value))
	}
	if again := httpcache.ParseDirectives(lines); fmt.Sprint(again) != fmt.Sprint(once) {
		t.Fatalf("%q is %q and then %q", line, once, again)
	}
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func FuzzARangeLiesWithinTheLength(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-1", "bytes=5-", "bytes=-0", "bytes=9-4", "bytes=0-1,2-3", "bytes 0-1/2", "bytes=-"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, field string, length int64) {
		if length < 0 {
			return
		}
		from, to, answer := httpcache.ParseRange([]string{field}, length)
		switch {
		case answer == 1 && (from < 0 || from >= to || to > length):
			t.Fatalf("%q of %d is %d-%d", field, length, from, to)
		case answer != 1 && (from != 0 || to != 0):
			t.Fatalf("%q of %d is no range and yet %d-%d", field, length, from, to)
		case answer == 1:
			again, until, _ := httpcache.ParseRange([]string{fmt.Sprintf("bytes=%d-%d", from, to-1)}, length)
			if again != from || until != to {
				t.Fatalf("%q of %d is %d-%d and then %d-%d", field, length, from, to, again, until)
			}
		}
		if from, to, whole, ok := httpcache.ParseContentRange(field); ok && (from < 0 || from >= to || to > whole) {
			t.Fatalf("%q is %d-%d of %d", field, from, to, whole)
		}
	})
}

func checkDate(t *testing.T, s string) {
	got, ok := httpcache.ParseDate(s, now)
	if !ok {
		return
	}
	if n := len(s) - 3; strings.EqualFold(s[n:], "GMT") {
		s = s[:n] + "GMT"
	}
	want, err := http.ParseTime(s)
	if err != nil || !got.Equal(want) && !got.Equal(want.AddDate(-100, 0, 0)) {
		t.Fatalf("%q is %s, not %s (%v)", s, got, want, err)
	}
}

func checkNormalised(t *testing.T, value string) {
	once, absent := httpcache.Normalised(http.Header{"Foo": {value}}, "Foo")
	if again, _ := httpcache.Normalised(http.Header{"Foo": {once}}, "Foo"); absent || again != once {
		t.Fatalf("%q becomes %q and then %q", value, once, again)
	}
	sorted, _ := httpcache.Normalised(http.Header{"Accept-Language": {value}}, "Accept-Language")
	if parts := strings.Split(sorted, ","); !strings.Contains(value, `"`) && !slices.IsSorted(parts) {
		t.Fatalf("%q is not in order", sorted)
	}
}
