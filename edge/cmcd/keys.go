package cmcd

// Key is one of the keys that are understood.
type Key uint8

// The keys, with their units. Those from Event on are of the second version, or
// rather of what this package needs of it.
const (
	Buffer       Key = iota // bl: buffer length, ms
	BitRate                 // br: of what is asked for, kbps
	Starved                 // bs: the buffer ran dry since the last report
	Content                 // cid
	Duration                // d: of what is asked for, ms
	Deadline                // dl: ms
	Throughput              // mtp: measured, kbps
	Next                    // nor: what is asked for next; see Data.NextObject
	NextRange               // nrr
	Object                  // ot: m a v av i c tt k o
	Rate                    // pr: of playing, in thousandths
	MaxRate                 // rtp: most that is wanted, kbps
	Format                  // sf: d h s o
	Session                 // sid
	Stream                  // st: v l
	Urgent                  // su: at a start, after a seek or a stall
	TopBitRate              // tb: kbps
	Version                 // v
	Event                   // e: what happened
	StallLength             // bsd: ms
	ErrorCode               // ec
	StartupDelay            // msd: ms
	Sequence                // sn: from 0 in each session
	State                   // sta: s p k r a e f q d
	Time                    // ts: ms since 1970
	keys
)

// kind is what values a key has.
type kind uint8

const (
	number kind = iota
	decimal
	flag
	text
	token
)

// shard is which header a key belongs to.
type shard uint8

const (
	ofObject shard = iota
	ofRequest
	ofSession
	ofStatus
	shards
)

var headers = [shards]string{"CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status"}

// canonical is how package http writes them.
var canonical = [shards]string{"Cmcd-Object", "Cmcd-Request", "Cmcd-Session", "Cmcd-Status"}

// rule is what the standards say of a key. most is the greatest number, or the
// most bytes of a text in each version.
type rule struct {
	name   string
	kind   kind
	shard  shard
	most   [2]int64
	tokens [2]string // with spaces between them
	listed bool      // in parentheses in the second version (CMCD-4)
	second bool      // there is none in the first version
}

const (
	day  = 24 * 60 * 60 * 1000 // ms
	kbps = 10_000_000
)

var rules = [keys]rule{
	Buffer:       {name: "bl", shard: ofRequest, most: both(day), listed: true},
	BitRate:      {name: "br", shard: ofObject, most: both(kbps), listed: true},
	Starved:      {name: "bs", kind: flag, shard: ofStatus},
	Content:      {name: "cid", kind: text, shard: ofSession, most: [2]int64{64, 128}},
	Duration:     {name: "d", shard: ofObject, most: both(day)},
	Deadline:     {name: "dl", shard: ofRequest, most: both(day)},
	Throughput:   {name: "mtp", shard: ofRequest, most: both(kbps), listed: true},
	Next:         {name: "nor", kind: text, shard: ofRequest, most: both(1024), listed: true},
	NextRange:    {name: "nrr", kind: text, shard: ofRequest, most: [2]int64{64, -1}},
	Object:       {name: "ot", kind: token, shard: ofObject, tokens: same("m a v av i c tt k o")},
	Rate:         {name: "pr", kind: decimal, shard: ofSession, most: both(100_000)},
	MaxRate:      {name: "rtp", shard: ofStatus, most: both(kbps)},
	Format:       {name: "sf", kind: token, shard: ofSession, tokens: [2]string{"d h s o", "d h s e o"}},
	Session:      {name: "sid", kind: text, shard: ofSession, most: both(64)},
	Stream:       {name: "st", kind: token, shard: ofSession, tokens: [2]string{"v l", "v l ll"}},
	Urgent:       {name: "su", kind: flag, shard: ofRequest},
	TopBitRate:   {name: "tb", shard: ofObject, most: both(kbps), listed: true},
	Version:      {name: "v", shard: ofSession, most: both(1000)},
	Event:        {name: "e", kind: token, shard: ofRequest, tokens: same("ps e t rr c b bc pr h m um pe pc abs abe as ae sk ce"), second: true},
	StallLength:  {name: "bsd", shard: ofStatus, most: both(day), listed: true, second: true},
	ErrorCode:    {name: "ec", kind: text, shard: ofStatus, most: both(64), listed: true, second: true},
	StartupDelay: {name: "msd", shard: ofSession, most: both(day), second: true},
	Sequence:     {name: "sn", shard: ofRequest, most: both(1 << 31), second: true},
	State:        {name: "sta", kind: token, shard: ofRequest, tokens: same("s p k r a e f q d"), second: true},
	Time:         {name: "ts", shard: ofRequest, most: both(1 << 43), second: true},
}

func both(n int64) [2]int64 { return [2]int64{n, n} }

func same(s string) [2]string { return [2]string{s, s} }

// byName finds keys.
var byName = func() map[string]Key {
	m := make(map[string]Key, keys)
	for k := range rules {
		m[rules[k].name] = Key(k)
	}
	return m
}()
