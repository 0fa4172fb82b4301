package asynqueue

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	melodyud "github.com/melodyud/melodyud"
)

const dialling = 2 * time.Second

// Open opens a queue on a real Redis:
//
//	redis://[user:password@]host[:6379][/database]          rediss:// for TLS
//	redis-sentinel://[user:password@]host[:26379],host/database?master=name
//	redis-cluster://[user:password@]host[:6379],host,...
//
// The last two take tls=true; a sentinel with a password of its own takes
// sentinel_password=. An unreachable server is ErrUnavailable within 5 s, a wrong URL
// ErrInvalid; no error shows a password. The server should persist (AOF) and never
// evict: Open warns of one that evicts.
func Open(ctx context.Context, rawURL string, cfg Config) (*Queue, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	o, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	q := &Queue{cfg: cfg, redis: o.client(), stop: func() {}}
	if err := q.Ping(ctx); err != nil {
		_ = q.Close()
		return nil, fmt.Errorf("queue at %s: is Redis running there, and are user and password right? %w", strings.Join(o.addrs, ","), err)
	}
	q.warn(ctx)
	return q, nil
}

// warn looks for a server that throws tasks away to save memory. One that does
// not answer the question is taken as it is.
func (q *Queue) warn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	memory, err := q.redis.Info(ctx, "memory").Result()
	if err != nil {
		return
	}
	_, rest, found := strings.Cut(memory, "maxmemory_policy:")
	policy, _, _ := strings.Cut(rest, "\r\n")
	if found && policy != "noeviction" {
		q.cfg.Logger.Warn("this Redis may evict queued tasks; set maxmemory-policy to noeviction", "policy", policy)
	}
}

// server is what the URL says.
type server struct {
	scheme           string
	addrs            []string
	user, password   string
	database         int
	master           string
	sentinelPassword string
	tls              bool
}

// parse reads the URL. Its errors never quote it: it holds the password.
func parse(raw string) (server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return server{}, malformed("it cannot be read; percent-encode user and password")
	}
	o := server{scheme: u.Scheme, user: u.User.Username(), tls: u.Scheme == "rediss"}
	o.password, _ = u.User.Password()
	port := map[string]string{"redis": "6379", "rediss": "6379", "redis-cluster": "6379", "redis-sentinel": "26379"}[u.Scheme]
	if port == "" {
		return server{}, malformed("want redis://, rediss://, redis-sentinel:// or redis-cluster://")
	}
	for host := range strings.SplitSeq(u.Host, ",") {
		o.addrs = append(o.addrs, withPort(host, port))
	}
	if u.Hostname() == "" {
		return server{}, malformed("it names no host")
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		if o.database, err = strconv.Atoi(path); err != nil || o.database < 0 {
			return server{}, malformed("the database after the host is a number")
		}
	}
	return o.with(u.Query())
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func (o server) with(query url.Values) (server, error) {
	for name, values := range query {
		value := values[len(values)-1]
		switch name {
		case "master":
			o.master = value
		case "sentinel_password":
			o.sentinelPassword = value
		case "tls":
			secure, err := strconv.ParseBool(value)
			if err != nil {
				return server{}, malformed("tls is true or false")
			}
			o.tls = secure
		default:
			return server{}, malformed(fmt.Sprintf("unknown option %q: it takes tls, master and sentinel_password", name))
		}
	}
	return o, o.check()
}

func (o server) check() error {
	switch {
	case o.scheme == "redis-sentinel" && o.master == "":
		return malformed("redis-sentinel:// needs ?master=name")
	case o.scheme == "redis-cluster" && o.database != 0:
		return malformed("a cluster has no databases")
	case len(o.addrs) > 1 && (o.scheme == "redis" || o.scheme == "rediss"):
		return malformed("several hosts need redis-sentinel:// or redis-cluster://")
	}
	return nil
}

func malformed(why string) error {
	return fmt.Errorf("%w: URL of the queue: %s", melodyud.ErrInvalid, why)
}

// client gives every connection the same deadlines, so that a Redis that hangs is
// noticed by who asks it.
func (o server) client() redis.UniversalClient {
	var secure *tls.Config
	if o.tls {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	switch o.scheme {
	case "redis-cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: o.addrs, Username: o.user, Password: o.password, TLSConfig: secure,
			DialTimeout: dialling, ContextTimeoutEnabled: true,
		})
	case "redis-sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: o.master, SentinelAddrs: o.addrs, SentinelPassword: o.sentinelPassword,
			Username: o.user, Password: o.password, DB: o.database, TLSConfig: secure,
			DialTimeout: dialling, ContextTimeoutEnabled: true,
		})
	}
	return redis.NewClient(&redis.Options{
		Addr: o.addrs[0], Username: o.user, Password: o.password, DB: o.database, TLSConfig: secure,
		DialTimeout: dialling, ContextTimeoutEnabled: true,
	})
}
