package telemetry

import (
	"context"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/fault"
)

var (
	errBusy = melodyud.Refuse(melodyud.ErrLimited, "telemetry.busy",
		"Too many players report at once. Send this again a little later.")
	errOften = melodyud.Refuse(melodyud.ErrLimited, "telemetry.too-often",
		"This player reports too often. Send more in one report, a little later.")
	errAway = melodyud.Refuse(melodyud.ErrUnavailable, "telemetry.unavailable",
		"This cannot be kept right now. Send it again in a moment.")
)

// offer is facts that somebody waits to see kept.
type offer struct {
	facts []melodyud.Event
	done  chan error // has room for the answer
}

// keep returns nil once the facts are durable. With too many that wait already it
// is ErrLimited at once; a log that is away or too slow is ErrUnavailable, and the
// facts may have been kept or not.
func (t *Intake) keep(ctx context.Context, facts []melodyud.Event) error {
	if len(facts) == 0 {
		return nil
	}
	o := &offer{facts, make(chan error, 1)}
	select {
	case t.offered <- o:
	default:
		return errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, t.c.Patience)
	defer cancel()
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return errAway.Because(ctx.Err())
	}
}

// answer appends what is offered, all that waits at once, until ctx ends and
// nobody waits any more.
func (t *Intake) answer(ctx context.Context) {
	for {
		select {
		case first := <-t.offered:
			t.commit(ctx, t.gather(first))
			continue
		default:
		}
		select {
		case first := <-t.offered:
			t.commit(ctx, t.gather(first))
		case <-ctx.Done():
			return
		}
	}
}

// gather takes what waits behind first, about atOnce facts of it.
func (t *Intake) gather(first *offer) []*offer {
	all, n := []*offer{first}, len(first.facts)
	for n < atOnce {
		select {
		case o := <-t.offered:
			all = append(all, o)
			n += len(o.facts)
		default:
			return all
		}
	}
	return all
}

// commit appends the facts of all offers and answers each.
func (t *Intake) commit(ctx context.Context, all []*offer) {
	var facts []melodyud.Event
	for _, o := range all {
		facts = append(facts, o.facts...)
	}
	err := t.append(ctx, facts)
	if err == nil {
		err = fault.Point("telemetry.kept")
	}
	if err != nil {
		t.c.Logger.Warn("what players told could not be kept", "facts", len(facts), "error", err)
		err = errAway.Because(err)
	}
	for _, o := range all {
		o.done <- err
	}
}
