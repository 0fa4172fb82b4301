-- +goose Up

-- What names accounts in tickets; see ticket_keys.
CREATE TABLE listener_keys (
    id      TEXT   NOT NULL PRIMARY KEY,
    secret  TEXT   NOT NULL, -- base64
    created BIGINT NOT NULL  -- unix milliseconds
);

-- Where tracks may be heard, as tickets write it: "+" or "-" and countries. A track
-- without a row may be heard everywhere.
CREATE TABLE territories (
    track   TEXT   NOT NULL PRIMARY KEY,
    rule    TEXT   NOT NULL,
    changed BIGINT NOT NULL
);

-- +goose Down
DROP TABLE territories;
DROP TABLE listener_keys;
