package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/ticket"
)

// Role is what a principal may do.
type Role string

// The roles. One principal may have several.
const (
	RoleCreator  Role = "creator"  // uploads tracks and manages its own
	RoleListener Role = "listener" // plays what is published
	RoleOps      Role = "ops"      // sees queues, retries work, manages keys
)

// Principal is who sent a request.
type Principal struct {
	User  melodyud.UserID
	Name  string
	Roles []Role
	Tier  ticket.Tier
	// SignIn is alike for all requests with the same key or browser session, and
	// tells nothing about it: 16 letters, digits, "-" and "_".
	SignIn string
}

// SignInOf returns the SignIn of whoever comes with a secret.
func SignInOf(secret string) string {
	sum := sha256.Sum256([]byte("sign-in\n" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Has reports whether p has the role.
func (p Principal) Has(role Role) bool { return slices.Contains(p.Roles, role) }

// The refusals of Require.
var (
	errNoKey = melodyud.Refuse(melodyud.ErrUnauthenticated, "auth.missing",
		"Sign in first, or send your key in the header \"Authorization: Bearer <key>\".")
	errRole = melodyud.Refuse(melodyud.ErrForbidden, "auth.role",
		"Your key does not allow this. Ask the operator for a key with the right role.")
)

type identityKey struct{}

// identity finds out who is asking, at most once a request and only when somebody
// wants to know: the edge serves segments without asking any row.
type identity struct {
	once sync.Once
	load func(context.Context) (Principal, error)
	who  Principal
	err  error
}

func (i *identity) resolve(ctx context.Context) (Principal, error) {
	i.once.Do(func() { i.who, i.err = i.load(ctx) })
	return i.who, i.err
}

func identify(ctx context.Context) (Principal, error) {
	i, ok := ctx.Value(identityKey{}).(*identity)
	if !ok {
		return Principal{}, errNoKey
	}
	return i.resolve(ctx)
}

// PrincipalFrom returns who sent the request, or false when nobody proved to be
// anybody.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, err := identify(ctx)
	return p, err == nil
}

// WithPrincipal returns a context in which p is asking: for handlers called
// without a Router.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, identityKey{}, &identity{
		load: func(context.Context) (Principal, error) { return p, nil },
	})
}

// RequireAny returns who is asking, whatever their roles. Errors are those of
// Require.
func RequireAny(ctx context.Context) (Principal, error) { return identify(ctx) }

// StillSignedIn asks again, behind an answer that goes on for long, whether the
// key or session it began with is good. ErrUnauthenticated means that it is not
// any more; other errors say that nobody knows.
func StillSignedIn(ctx context.Context) error {
	i, ok := ctx.Value(identityKey{}).(*identity)
	if !ok {
		return errNoKey
	}
	_, err := i.load(ctx)
	return err
}

// Require returns who is asking if they have one of the roles. Errors are Refusals:
// ErrUnauthenticated without a valid key, ErrForbidden without the role, and
// ErrUnavailable when the accounts could not be read.
func Require(ctx context.Context, roles ...Role) (Principal, error) {
	p, err := identify(ctx)
	if err != nil {
		return Principal{}, err
	}
	if !slices.ContainsFunc(roles, p.Has) {
		return Principal{}, errRole
	}
	return p, nil
}
