package asynqueue

import (
	"net/http"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// Console is the asynqmon web console of this queue, for the path rootPath and
// everything below it, unstripped. readOnly refuses everything but GET. It has no
// access control of its own.
func (q *Queue) Console(rootPath string, readOnly bool) http.Handler {
	return asynqmon.New(asynqmon.Options{
		RootPath:     "/" + strings.Trim(rootPath, "/"),
		RedisConnOpt: q.Connection(),
		ReadOnly:     readOnly,
	})
}

// Connection lets Asynq's own tools use this queue's connections, which they must
// not close.
func (q *Queue) Connection() asynq.RedisConnOpt { return shared{q.redis} }

type shared struct{ client redis.UniversalClient }

func (s shared) MakeRedisClient() any { return s.client }
