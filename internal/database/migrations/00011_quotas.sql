-- +goose Up

-- What an owner may use where it is not the default; -1 leaves the default, 0 is no limit.
CREATE TABLE quotas (
	owner    TEXT   NOT NULL PRIMARY KEY,
	bytes    BIGINT NOT NULL,
	sound_ms BIGINT NOT NULL,
	uploads  BIGINT NOT NULL -- a day
);
CREATE INDEX uploads_by_day ON uploads (owner, created);

-- +goose Down
DROP INDEX uploads_by_day;
DROP TABLE quotas;
