package streams

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

const (
	prefix  = "melodyud:streams:"
	news    = prefix + "news" // "<edge> <account>" when a stream began or was ended
	batch   = 500             // accounts in one question to Redis
	reach   = 2 * time.Second // bounds each question
	columns = 5               // numbers and strings that tell of a stream
)

// merge keeps the streams of an account, KEYS[1], as "life began until ended" in a
// hash, on the clock of Redis in milliseconds. ARGV[1] is how long it is kept; then
// come id, life, age, time left and time since the end (-1: not ended) of the
// streams that an edge tells of. It answers with the same of all that count. A
// later life of a stream replaces earlier ones.
var merge = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local held, count = {}, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local life, began, till, ended = string.match(all[i+1], '^(%d+) (%d+) (%d+) (%d+)$')
  if till and tonumber(till) > now then
    held[all[i]] = {tonumber(life), tonumber(began), tonumber(till), tonumber(ended)}
    count = count + 1
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
for i = 2, #ARGV, 5 do
  local id, life, began, till = ARGV[i], tonumber(ARGV[i+1]), now - ARGV[i+2], now + ARGV[i+3]
  local ended = 0
  if tonumber(ARGV[i+4]) >= 0 then ended = now - ARGV[i+4] end
  local h = held[id]
  if h and h[1] > life then
    life, began, ended = h[1], h[2], h[4]
  elseif h and h[1] == life then
    began, ended = math.min(began, h[2]), math.max(ended, h[4])
  end
  if h then till = math.max(till, h[3]) end
  if h or count < 256 then
    if not h then count = count + 1 end
    held[id] = {life, began, till, ended}
    redis.call('HSET', KEYS[1], id, string.format('%d %d %d %d', life, began, till, ended))
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local out = {}
for id, h in pairs(held) do
  local ended = -1
  if h[4] > 0 then ended = now - h[4] end
  for _, v in ipairs({id, string.format('%d', h[1]), string.format('%d', now - h[2]), string.format('%d', h[3] - now), string.format('%d', ended)}) do
    table.insert(out, v)
  end
end
return out
`)

func newID() string { return rand.Text()[:10] }

type meters struct {
	refused   prometheus.Counter
	unlimited prometheus.Counter
}

func (g *Gate) measure(r prometheus.Registerer) error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "melodyud_streams_" + name, Help: help})
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "melodyud_streams_" + name, Help: help}, f)
	}
	g.meters = meters{
		refused:   counter("refused_total", "Requests refused because the account plays too many streams."),
		unlimited: counter("unlimited_total", "Requests let through uncounted because too many accounts play at once."),
	}
	if r == nil {
		return nil
	}
	for _, m := range []prometheus.Collector{
		g.meters.refused, g.meters.unlimited,
		gauge("accounts", "Accounts whose streams are remembered.", func() float64 { return float64(g.Accounts()) }),
		gauge("shared", "1 while streams are shared with the other edges, 0 while Redis is away or there is none.", func() float64 {
			if g.c.Redis == nil || g.away.Load() {
				return 0
			}
			return 1
		}),
	} {
		if err := r.Register(m); err != nil {
			return err
		}
	}
	return nil
}

// Accounts is how many accounts are remembered now.
func (g *Gate) Accounts() int {
	n := 0
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		n += len(s.accounts)
		s.mu.Unlock()
	}
	return n
}

// Run shares streams with other edges and forgets those that ended, until ctx ends.
// Trouble with Redis is logged once and never an error.
func (g *Gate) Run(ctx context.Context) error {
	if g.c.Redis != nil {
		listening := g.c.Redis.Subscribe(ctx, news)
		defer listening.Close()
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			for m := range listening.Channel() {
				g.hear(m.Payload)
			}
		}()
		defer func() {
			_ = listening.Close() // ends the channel
			<-heard
		}()
	}
	share, tidy := time.NewTicker(g.c.Every), time.NewTicker(g.c.Linger/2)
	defer share.Stop()
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-share.C:
			g.share(ctx)
		case <-tidy.C:
			g.tidy()
		}
	}
}

// hear queues an account that another edge has news of, if it plays here.
func (g *Gate) hear(payload string) {
	from, name, ok := strings.Cut(payload, " ")
	if !ok || from == g.id {
		return
	}
	s := g.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[name]; a != nil {
		s.enqueue(a)
	}
}

// tidy forgets what no longer counts.
func (g *Gate) tidy() {
	now := g.c.Now().UnixMilli()
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for name, a := range s.accounts {
			if a.forget(now); len(a.streams) == 0 {
				delete(s.accounts, name)
			}
		}
		s.mu.Unlock()
	}
}

// question is what Redis is told and asked about one account.
type question struct {
	account string
	args    []any
	sent    []stream
	news    bool
	answer  *redis.Cmd
}

// share tells Redis what changed here and learns what changed elsewhere.
func (g *Gate) share(ctx context.Context) {
	if g.c.Redis == nil {
		return
	}
	questions, err := g.questions(), error(nil)
	if len(questions) == 0 && g.away.Load() {
		err = g.ping(ctx)
	}
	for some := range slices.Chunk(questions, batch) {
		if err == nil {
			err = g.ask(ctx, some)
		}
		g.settle(some, err)
	}
	if err != nil {
		g.lost(ctx, err)
	} else if g.away.Swap(false) {
		g.c.Logger.InfoContext(ctx, "streams are shared with the other edges again")
	}
}

func (g *Gate) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	return g.c.Redis.Ping(ctx).Err()
}

// lost says once that each edge counts by itself now.
func (g *Gate) lost(ctx context.Context, err error) {
	if ctx.Err() == nil && !g.away.Swap(true) {
		g.c.Logger.WarnContext(ctx, "streams cannot be shared with the other edges: each counts its own until Redis is back",
			slog.Any("error", err))
	}
}

// questions empties the queues.
func (g *Gate) questions() (all []*question) {
	now := g.c.Now().UnixMilli()
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for _, name := range s.queue {
			if a := s.accounts[name]; a != nil {
				a.queued = false
				all = append(all, a.question(g.c, now))
			}
		}
		s.queue = nil
		s.mu.Unlock()
	}
	return all
}

func (a *account) question(c Config, now int64) *question {
	q := &question{account: a.name, args: []any{(c.Ahead + c.Linger).Milliseconds()}}
	for _, one := range a.streams {
		if one.dirty && one.until > now {
			q.sent = append(q.sent, one)
			q.args = append(q.args, one.id, one.life, now-one.began, one.until-now, since(one.ended, now))
			q.news = q.news || one.told == 0 || one.ended != 0 || one.lived != one.life
		}
	}
	return q
}

func since(instant, now int64) int64 {
	if instant == 0 {
		return -1
	}
	return max(0, now-instant)
}

// settle takes over the answers; after an error the accounts wait in the queue again.
func (g *Gate) settle(questions []*question, err error) {
	now := g.c.Now().UnixMilli()
	for _, q := range questions {
		s := g.shardOf(q.account)
		s.mu.Lock()
		if a := s.accounts[q.account]; a != nil && err != nil {
			s.enqueue(a)
		} else if a != nil {
			a.told(q.sent)
			a.learn(q.answer, now)
		}
		s.mu.Unlock()
	}
}

// ask sends all questions in one go. A Redis that does not know the script yet is
// told it.
func (g *Gate) ask(ctx context.Context, questions []*question) error {
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	err := g.pipe(ctx, questions, merge.EvalSha)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		err = g.pipe(ctx, questions, merge.Eval)
	}
	return err
}

func (g *Gate) pipe(ctx context.Context, questions []*question,
	run func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd,
) error {
	p := g.c.Redis.Pipeline()
	for _, q := range questions {
		q.answer = run(ctx, p, []string{prefix + "{" + q.account + "}"}, q.args...)
	}
	for _, q := range questions {
		if q.news {
			p.Publish(ctx, news, g.id+" "+q.account)
		}
	}
	_, err := p.Exec(ctx)
	return err
}

// told notes that Redis knows what was sent.
func (a *account) told(sent []stream) {
	for _, was := range sent {
		for i := range a.streams {
			if one := &a.streams[i]; one.id == was.id {
				one.told, one.lived = was.until, was.life
				one.dirty = one.life != was.life || one.ended != was.ended
			}
		}
	}
}

// learn takes over what Redis knows of the account: the order of streams from one
// answer is the same on every edge.
func (a *account) learn(answer *redis.Cmd, now int64) {
	rows, err := answer.StringSlice()
	if err != nil {
		return
	}
	for row := range slices.Chunk(rows, columns) {
		if len(row) < columns {
			return
		}
		var n [columns]int64
		for i := 1; i < columns; i++ {
			n[i], _ = strconv.ParseInt(row[i], 10, 64) // our own script's numbers
		}
		known := stream{id: row[0], life: n[1], lived: n[1], began: now - n[2], until: now + n[3], told: now + n[3]}
		if n[4] >= 0 {
			known.ended = now - n[4]
		}
		a.adopt(known)
	}
}

func (a *account) adopt(known stream) {
	for i := range a.streams {
		one := &a.streams[i]
		if one.id != known.id {
			continue
		}
		if known.life >= one.life {
			if one.dirty && known.life == one.life { // ended, or not any more, since the question
				known.ended = one.ended
			}
			one.life, one.lived, one.began, one.ended = known.life, known.life, known.began, known.ended
		}
		one.until = max(one.until, known.until)
		return
	}
	if len(a.streams) < mostStreams {
		a.streams = append(a.streams, known)
	}
}
