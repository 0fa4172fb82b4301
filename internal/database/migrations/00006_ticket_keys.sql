-- +goose Up
CREATE TABLE ticket_keys (
    id      TEXT   NOT NULL PRIMARY KEY,
    secret  TEXT   NOT NULL, -- base64
    created BIGINT NOT NULL  -- unix milliseconds
);

-- +goose Down
DROP TABLE ticket_keys;
