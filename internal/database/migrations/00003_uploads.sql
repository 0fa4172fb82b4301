-- +goose Up

-- One row an upload. version grows with every change: writers compare and swap it.
CREATE TABLE uploads (
	id        TEXT   PRIMARY KEY,
	owner     TEXT   NOT NULL,
	track     TEXT   NOT NULL, -- reserved at creation
	state     TEXT   NOT NULL, -- open, complete, received, refused, expired, ended
	length    BIGINT NOT NULL, -- -1 while not declared
	progress  BIGINT NOT NULL, -- durable bytes: the Upload-Offset
	hash      TEXT   NOT NULL, -- SHA-256 state over them, base64
	metadata  TEXT   NOT NULL, -- Upload-Metadata as given
	file_name TEXT   NOT NULL,
	title     TEXT   NOT NULL,
	artist    TEXT   NOT NULL,
	album     TEXT   NOT NULL,
	sha256    TEXT   NOT NULL DEFAULT '', -- of the whole, once complete
	code      TEXT   NOT NULL DEFAULT '', -- why it failed
	reason    TEXT   NOT NULL DEFAULT '',
	version   BIGINT NOT NULL,
	attempt   BIGINT NOT NULL DEFAULT 0, -- tries to hand it over
	due       BIGINT NOT NULL,           -- next look by the janitor; expiry while open
	created   BIGINT NOT NULL,
	updated   BIGINT NOT NULL
);
CREATE INDEX uploads_by_owner ON uploads (owner, state);
CREATE INDEX uploads_by_due ON uploads (due);

-- The objects that hold an upload's bytes, without gaps.
CREATE TABLE upload_parts (
	upload TEXT   NOT NULL,
	start  BIGINT NOT NULL,
	size   BIGINT NOT NULL,
	name   TEXT   NOT NULL, -- object key
	PRIMARY KEY (upload, start)
);

-- +goose Down
DROP TABLE upload_parts;
DROP TABLE uploads;
