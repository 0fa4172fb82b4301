package eventlog

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	melodyud "github.com/melodyud/melodyud"
)

// MaxEventBytes bounds the data of one event. It leaves room for the envelope
// under the message limit a Kafka broker has by default (1 MB).
const MaxEventBytes = 900_000

const maxTopic = 249

// Check says whether a log can take the events, so that a fact which no log
// would ever take is refused before it is committed. It fails with ErrInvalid or,
// for data over MaxEventBytes, ErrTooLarge.
func Check(topic string, events ...melodyud.Event) error {
	if !validTopic(topic) {
		return fmt.Errorf("%w: topic %q: want 1 to %d of a-z A-Z 0-9 . _ -", melodyud.ErrInvalid, topic, maxTopic)
	}
	for i := range events {
		if err := checkEvent(&events[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkEvent(e *melodyud.Event) error {
	switch {
	case e.ID == "" || e.Type == "":
		return fmt.Errorf("%w: an event needs an id and a type (CE-1)", melodyud.ErrInvalid)
	case len(e.Data) > MaxEventBytes:
		return fmt.Errorf("%w: event %s has %d bytes of data, the limit is %d", melodyud.ErrTooLarge, e.ID, len(e.Data), MaxEventBytes)
	case len(e.Data) > 0 && !(json.Valid(e.Data) && utf8.Valid(e.Data)):
		return fmt.Errorf("%w: the data of event %s is not JSON", melodyud.ErrInvalid, e.ID)
	}
	return nil
}

func validTopic(topic string) bool {
	for _, c := range []byte(topic) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return topic != "" && len(topic) <= maxTopic
}
