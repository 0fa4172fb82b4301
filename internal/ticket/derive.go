package ticket

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// Derive returns a secret of 32 bytes for another purpose from each key, newest
// first: all processes of a deployment know the same ones without asking anybody
// (RFC 5869). Nothing about the keys can be told from them.
func (r *Keyring) Derive(purpose string) ([][]byte, error) {
	keys := r.all()
	secrets := make([][]byte, 0, len(keys))
	for _, k := range keys {
		s, err := hkdf.Key(sha256.New, k.Secret, nil, "melodyud v1\n"+purpose+"\n"+k.ID, 32)
		if err != nil {
			return nil, fmt.Errorf("derive %s: %w", purpose, err)
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}
