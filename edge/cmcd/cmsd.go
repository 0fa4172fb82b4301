package cmcd

import (
	"strconv"
	"time"
)

// Static is the CMSD-Static field of a segment of recorded sound (CTA-5006): its rate,
// given in bits per second, and its length.
func Static(rate int, length time.Duration) string {
	b := strconv.AppendInt([]byte("br="), int64(rate+500)/1000, 10)
	if length > 0 {
		b = strconv.AppendInt(append(b, ",d="...), length.Round(time.Millisecond).Milliseconds(), 10)
	}
	return string(append(b, ",ot=a,st=v"...))
}
