package accounts

import (
	"context"
	"fmt"
	"slices"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
)

// IsCreator reports whether somebody has a key, not revoked, with which this user
// may upload.
func (s *Service) IsCreator(ctx context.Context, user melodyud.UserID) (bool, error) {
	rows, err := s.config.DB.Query(ctx, `SELECT roles FROM account_keys WHERE user_id = ? AND revoked = 0`, string(user))
	if err != nil {
		return false, fmt.Errorf("look for creator %s: %w", user, err)
	}
	defer rows.Close()
	for rows.Next() {
		var roles string
		if err := rows.Scan(&roles); err != nil {
			return false, fmt.Errorf("look for creator %s: %w", user, err)
		}
		if slices.Contains(splitRoles(roles), api.RoleCreator) {
			return true, nil
		}
	}
	return false, rows.Err()
}
