-- +goose Up

-- One row per topic. Appenders update it first, so they commit one after the
-- other in the order of positions and no reader passes a position still open.
CREATE TABLE eventlog_topics (
	topic TEXT   PRIMARY KEY,
	head  BIGINT NOT NULL
);

CREATE TABLE eventlog_events (
	topic    TEXT   NOT NULL,
	position BIGINT NOT NULL,
	id       TEXT   NOT NULL,
	event    TEXT   NOT NULL,
	PRIMARY KEY (topic, position)
);

CREATE UNIQUE INDEX eventlog_events_id ON eventlog_events (topic, id);

-- The last position a consumer group has finished.
CREATE TABLE eventlog_groups (
	topic    TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	position BIGINT NOT NULL,
	PRIMARY KEY (topic, name)
);

-- Who alone does a thing. A holder raises beat; whoever sees the same beat for
-- the whole term may take over. No clock is compared between machines.
CREATE TABLE leases (
	name   TEXT   PRIMARY KEY,
	holder TEXT   NOT NULL,
	beat   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE leases;
DROP TABLE eventlog_groups;
DROP TABLE eventlog_events;
DROP TABLE eventlog_topics;
