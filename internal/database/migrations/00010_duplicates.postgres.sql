-- +goose Up

-- What each published track sounds like, for finding it again.
CREATE TABLE duplicate_prints (
	id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	track       TEXT   NOT NULL UNIQUE,
	owner       TEXT   NOT NULL,
	release     TEXT   NOT NULL,
	features    TEXT   NOT NULL, -- the features folder it was read from
	print       TEXT   NOT NULL, -- the whole Chromaprint, compressed
	duration_ms BIGINT NOT NULL,
	tempo_milli BIGINT NOT NULL, -- thousandths of a beat a minute; 0: none
	beats       BIGINT NOT NULL, -- tempo times duration, in hundredths of a beat: stays when the speed changes
	embedding   TEXT   NOT NULL, -- "hand-v1" as little-endian float32, base64; '': none
	created     BIGINT NOT NULL  -- unix milliseconds
);
CREATE INDEX duplicate_prints_by_beats ON duplicate_prints (beats, id);

-- The inverted index: in which prints 28 bits occur, and where. One narrow row a
-- posting, in the order it is read; nothing else is kept of it.
CREATE TABLE duplicate_keys (
	key      BIGINT  NOT NULL,
	print    BIGINT  NOT NULL,
	position INTEGER NOT NULL,
	PRIMARY KEY (key, print, position)
);

-- Tracks that may be the same. The first is the older one by its id.
CREATE TABLE duplicate_pairs (
	first        TEXT   NOT NULL,
	second       TEXT   NOT NULL,
	first_owner  TEXT   NOT NULL,
	second_owner TEXT   NOT NULL,
	kind         TEXT   NOT NULL, -- recording, review, speed
	offset_ms    BIGINT NOT NULL, -- where in the first one the second begins; negative: before it
	score        BIGINT NOT NULL, -- ten-thousandths: bits that differ, or of speed how alike they sound
	speed        BIGINT NOT NULL, -- thousandths: of the second against the first
	state        TEXT   NOT NULL, -- open, dismissed
	decided_by   TEXT   NOT NULL DEFAULT '',
	found        BIGINT NOT NULL, -- unix milliseconds
	decided      BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (first, second)
);
CREATE INDEX duplicate_pairs_by_second ON duplicate_pairs (second);
CREATE INDEX duplicate_pairs_by_state ON duplicate_pairs (state, first, second);

-- +goose Down
DROP TABLE duplicate_pairs;
DROP TABLE duplicate_keys;
DROP TABLE duplicate_prints;
