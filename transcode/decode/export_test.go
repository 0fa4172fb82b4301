package decode

import (
	"bytes"
	"encoding/json"
)

// Enclose confines this process as a child is, for the escape tests.
func Enclose(arg string) error {
	var job errand
	if err := json.Unmarshal([]byte(arg), &job); err != nil {
		return err
	}
	return enclose(job)
}

// Seal is the second step of the confinement.
func Seal() error { return seal() }

// Listen reads b as the words of a child.
func Listen(b []byte, channels int) (words int, err error) {
	e := ear{r: bytes.NewReader(b), channels: channels}
	for {
		kind, body, err := e.listen()
		if err != nil {
			return words, err
		}
		if kind == wordBlock {
			if _, err := e.block(body); err != nil {
				return words, err
			}
		}
		words++
	}
}
