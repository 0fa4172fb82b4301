package wire

// class is a set of kinds of bytes.
type class uint8

// The kinds of bytes in a head.
const (
	tokenChar class = 1 << iota // of methods and field names, RFC 9110 §5.6.2
	visible                     // of targets: 0x21 to 0x7e
	valueChar                   // of field values, RFC 9110 §5.5: no controls but tab
	hostChar                    // of Host: names, addresses and ports
	pathChar                    // of paths the short way takes
	digit
)

var classes = classTable()

func classTable() (t [256]class) {
	for c := range t {
		t[c] = classOf(byte(c))
	}
	return t
}

func classOf(c byte) (k class) {
	alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	for _, one := range []struct {
		kind   class
		others string
		holds  bool
	}{
		{tokenChar, "!#$%&'*+-.^_`|~", alnum},
		{visible, "", c > ' ' && c < 0x7f},
		{valueChar, "\t", c >= ' ' && c != 0x7f},
		{hostChar, "-._~:[]%!$&'()*+,;=", alnum},
		{pathChar, "-._/", alnum},
		{digit, "", c >= '0' && c <= '9'},
	} {
		if one.holds || index(one.others, c) {
			k |= one.kind
		}
	}
	return k
}

func index(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

// all reports whether b is of one kind and, but for values and hosts, not empty.
func all(b []byte, k class) bool {
	if len(b) == 0 {
		return k == valueChar || k == hostChar
	}
	for _, c := range b { // to the end: most are, and that is faster than to ask for each
		k &= classes[c]
	}
	return k != 0
}

func lower(to, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}
