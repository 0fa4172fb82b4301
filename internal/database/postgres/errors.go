package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	melodyud "github.com/melodyud/melodyud"
)

// kind reads the SQLSTATE (PostgreSQL documentation, appendix A).
func kind(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		if cut(err) {
			return melodyud.ErrUnavailable
		}
		return nil
	}
	switch {
	case e.Code == "23505": // unique_violation
		return melodyud.ErrConflict
	case slices.Contains(away, e.Code), slices.Contains(awayClasses, e.Code[:min(2, len(e.Code))]):
		return melodyud.ErrUnavailable
	}
	return nil
}

// awayClasses are connection exceptions, lost transactions, too few resources,
// operator intervention (shutdown, statement timeout) and input/output errors.
var awayClasses = []string{"08", "40", "53", "57", "58"}

var away = []string{
	"25006", // read_only_sql_transaction: we reached a standby
	"25P03", // idle_in_transaction_session_timeout
	"55P03", // lock_not_available: lock_timeout
}

// lost says whether the transaction fell to another one and had no effect:
// serialization_failure or deadlock_detected.
func lost(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// refused says whether the server answered and does not want us: class 28 is
// authorization, 3D000 a database that does not exist.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (strings.HasPrefix(e.Code, "28") || e.Code == "3D000")
}

// cut says whether the connection broke, or none could be made.
func cut(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err)
}

func flatten(text string) string { return strings.Join(strings.Fields(text), " ") }
