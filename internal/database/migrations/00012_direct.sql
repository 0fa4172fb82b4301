-- +goose Up

-- On which way an upload's bytes come: direct, inbox, or empty for requests to us.
ALTER TABLE uploads ADD COLUMN via TEXT NOT NULL DEFAULT '';

-- As tracks have them: 0 is unknown.
ALTER TABLE uploads ADD COLUMN disc BIGINT NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN number BIGINT NOT NULL DEFAULT 0;

-- Uploads whose bytes go straight to a bucket.
CREATE TABLE direct_uploads (
	upload    TEXT   NOT NULL PRIMARY KEY,
	object    TEXT   NOT NULL, -- key in the bucket
	multipart TEXT   NOT NULL, -- the bucket's name for the parts
	part_size BIGINT NOT NULL,
	size      BIGINT NOT NULL,
	state     TEXT   NOT NULL, -- open, joining (the parts are being made one object), joined, over
	due       BIGINT NOT NULL, -- next look by the janitor
	attempt   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX direct_uploads_by_due ON direct_uploads (due);

-- Secrets that sign the addresses of parts, where our own server takes them.
CREATE TABLE direct_keys (
	id      TEXT   NOT NULL PRIMARY KEY,
	secret  TEXT   NOT NULL,
	created BIGINT NOT NULL
);

-- +goose Down
DROP TABLE direct_keys;
DROP TABLE direct_uploads;
ALTER TABLE uploads DROP COLUMN number;
ALTER TABLE uploads DROP COLUMN disc;
ALTER TABLE uploads DROP COLUMN via;
