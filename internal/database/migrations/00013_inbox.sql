-- +goose Up

-- Files that creators dropped into the inbox and that were begun: each version of a
-- file, by its tag, once.
CREATE TABLE inbox_files (
	name    TEXT   NOT NULL, -- below the inbox, beginning with the owner
	tag     TEXT   NOT NULL,
	owner   TEXT   NOT NULL,
	upload  TEXT   NOT NULL DEFAULT '',
	track   TEXT   NOT NULL DEFAULT '',
	state   TEXT   NOT NULL, -- taking, received, published, refused, gone
	code    TEXT   NOT NULL DEFAULT '',
	reason  TEXT   NOT NULL DEFAULT '',
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	PRIMARY KEY (name, tag)
);
CREATE INDEX inbox_files_by_owner ON inbox_files (owner, updated);
CREATE INDEX inbox_files_by_state ON inbox_files (state, updated);

-- +goose Down
DROP TABLE inbox_files;
