-- Facts that were committed with their rows and wait for the relay. seq is the
-- order of commit within a subject; a subject's transactions exclude each other.

-- +goose Up
CREATE TABLE outbox (
	seq   INTEGER PRIMARY KEY AUTOINCREMENT,
	topic TEXT NOT NULL,
	event TEXT NOT NULL
);

-- +goose Down
DROP TABLE outbox;
