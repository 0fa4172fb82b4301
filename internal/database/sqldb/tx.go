package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/eventlog"
)

// tx is one transaction. After a statement failed every further one fails with
// the same error and the commit is refused, on both engines.
type tx struct {
	db      *DB
	under   *sql.Tx
	failed  error
	emitted bool
}

func (t *tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	args, err := t.ready(args)
	if err != nil {
		return 0, err
	}
	result, err := t.under.ExecContext(ctx, t.db.Rebind(query), args...)
	if err != nil {
		return 0, t.fail(ctx, err)
	}
	n, err := result.RowsAffected()
	return n, t.fail(ctx, err)
}

func (t *tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	args, err := t.ready(args)
	if err != nil {
		return nil, err
	}
	rows, err := t.under.QueryContext(ctx, t.db.Rebind(query), args...)
	return rows, t.fail(ctx, err)
}

func (t *tx) QueryRow(ctx context.Context, query string, args []any, dest ...any) error {
	args, err := t.ready(args)
	if err != nil {
		return err
	}
	err = t.under.QueryRowContext(ctx, t.db.Rebind(query), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return t.db.translate(ctx, err)
	}
	return t.fail(ctx, err)
}

// Emit writes facts to the outbox.
func (t *tx) Emit(ctx context.Context, topic string, events ...melodyud.Event) error {
	if err := eventlog.Check(topic, events...); err != nil {
		return err
	}
	for _, e := range events {
		body, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("write event %s: %w", e.ID, err)
		}
		if _, err := t.Exec(ctx, "INSERT INTO outbox (topic, event) VALUES (?, ?)", topic, string(body)); err != nil {
			return fmt.Errorf("emit event %s: %w", e.ID, err)
		}
	}
	t.emitted = len(events) > 0 || t.emitted
	return nil
}

func (t *tx) ready(args []any) ([]any, error) {
	if t.failed != nil {
		return nil, t.failed
	}
	return plain(args)
}

func (t *tx) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	t.failed = t.db.translate(ctx, err)
	return t.failed
}

// translate gives a driver's error its kind and keeps it in the chain. An error
// that has a kind already, or is not the driver's, stays as it is.
func (d *DB) translate(ctx context.Context, err error) error {
	switch {
	case err == nil || melodyud.Kind(err) != nil:
		return err
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: %w", melodyud.ErrNotFound, err)
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case ctx.Err() != nil, d.closed.Load(), errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%w: %w", melodyud.ErrUnavailable, err)
	}
	if kind := d.Kind(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

// plain turns arguments into what both engines take in the same way.
func plain(args []any) ([]any, error) {
	out := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case bool:
			out[i] = int64(0)
			if v {
				out[i] = int64(1)
			}
		case string:
			if !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
				return nil, fmt.Errorf("%w: argument %d of the statement is not a text (UTF-8 without NUL)", melodyud.ErrInvalid, i+1)
			}
			out[i] = v
		case time.Time:
			return nil, fmt.Errorf("argument %d of the statement is a time: use database.Millis", i+1)
		default:
			out[i] = a
		}
	}
	return out, nil
}
