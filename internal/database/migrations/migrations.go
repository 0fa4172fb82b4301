// Package migrations holds the schema of the database, one numbered file a step.
//
// A file is run by both dialects and must keep to what they share, unless its
// name ends in .sqlite.sql or .postgres.sql. A file that has been released is
// never changed: add the next number.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed *.sql
var files embed.FS

var suffixes = map[goose.Dialect]string{
	goose.DialectSQLite3:  ".sqlite.sql",
	goose.DialectPostgres: ".postgres.sql",
}

// Up brings the schema of db to the newest step. A schema of a newer program
// than this one is refused, so that an old binary cannot spoil new rows.
func Up(ctx context.Context, db *sql.DB, dialect goose.Dialect, options ...goose.ProviderOption) error {
	foreign, err := foreignTo(dialect)
	if err != nil {
		return err
	}
	options = append(options, goose.WithExcludeNames(foreign), goose.WithDisableGlobalRegistry(true))
	p, err := goose.NewProvider(dialect, db, files, options...)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return refuseNewer(ctx, p)
}

func refuseNewer(ctx context.Context, p *goose.Provider) error {
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > newest {
		return fmt.Errorf("the database has schema %d and this program knows only %d: start a newer melodyud, or restore the backup made before the update", current, newest)
	}
	return nil
}

// foreignTo lists the files written for another dialect.
func foreignTo(dialect goose.Dialect) ([]string, error) {
	all, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var names []string
	for _, name := range all {
		for other, suffix := range suffixes {
			if other != dialect && strings.HasSuffix(name, suffix) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}
