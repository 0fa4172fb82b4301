package tables

import (
	"context"
	"fmt"
)

// Lag is how far a consumer group is behind.
type Lag struct {
	Topic  string `json:"topic"`
	Group  string `json:"group"`
	Events int64  `json:"events"` // that the group has not finished
}

// Lags lists the groups that have finished a batch, for operators.
func (l *Log) Lags(ctx context.Context) ([]Lag, error) {
	rows, err := l.DB.Query(ctx, `SELECT g.topic, g.name,
			(SELECT COUNT(*) FROM eventlog_events e WHERE e.topic = g.topic AND e.position > g.position)
		FROM eventlog_groups g ORDER BY g.topic, g.name`)
	if err != nil {
		return nil, fmt.Errorf("read consumer groups: %w", err)
	}
	defer rows.Close()
	var all []Lag
	for rows.Next() {
		var one Lag
		if err := rows.Scan(&one.Topic, &one.Group, &one.Events); err != nil {
			return nil, fmt.Errorf("read consumer groups: %w", err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read consumer groups: %w", err)
	}
	return all, nil
}
