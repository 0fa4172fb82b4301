-- +goose Up

-- Secrets that the keys of encrypted sound are derived from.
CREATE TABLE media_keys (
    id      TEXT   NOT NULL PRIMARY KEY,
    secret  TEXT   NOT NULL, -- base64
    created BIGINT NOT NULL  -- unix milliseconds
);

-- Where the creator wants the preview to begin, in milliseconds; -1: we choose.
ALTER TABLE tracks ADD COLUMN preview_ms BIGINT NOT NULL DEFAULT -1;

-- +goose Down
ALTER TABLE tracks DROP COLUMN preview_ms;
DROP TABLE media_keys;
