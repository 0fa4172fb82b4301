package ticket

import (
	melodyud "github.com/melodyud/melodyud"
)

// Listeners names accounts in tickets without telling who they are: whoever has no
// database cannot find the account, and the same account always has the same name
// (CE-4). It is immutable and safe for concurrent use.
type Listeners struct {
	secret Key
}

// NewListeners returns the names that belong to a secret. One that is too short or
// unnamed is ErrInvalid.
func NewListeners(secret Key) (*Listeners, error) {
	if err := checkKeys([]Key{secret}); err != nil {
		return nil, err
	}
	return &Listeners{secret: secret}, nil
}

// Account returns the name of an account, as Claims have it, or "" for nobody.
func (l *Listeners) Account(user melodyud.UserID) string {
	if user == "" {
		return ""
	}
	return "acc_" + b64.EncodeToString(l.secret.mac([]byte("melodyud\nv1\naccount\n" + string(user)))[:16])
}
