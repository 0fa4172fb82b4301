-- +goose Up

-- A back-fill: published tracks that a newer analyzer listens to, one after the
-- other in the order of their ids.
CREATE TABLE reanalyses (
    id       TEXT   NOT NULL PRIMARY KEY,
    state    TEXT   NOT NULL,            -- running, done or cancelled
    of_track TEXT   NOT NULL DEFAULT '', -- the condition: a track, a creator,
    of_owner TEXT   NOT NULL DEFAULT '',
    below    BIGINT NOT NULL DEFAULT 0,  -- analyzer versions below this; 0: all
    per_hour BIGINT NOT NULL,            -- most tracks an hour
    next     BIGINT NOT NULL,            -- the next track is not begun before
    after    TEXT   NOT NULL DEFAULT '', -- the last track handed out
    drained  BIGINT NOT NULL DEFAULT 0,  -- 1: there is no track behind it
    total    BIGINT NOT NULL,            -- tracks counted at the start, and their
    sound_ms BIGINT NOT NULL,            -- length
    done     BIGINT NOT NULL DEFAULT 0,
    skipped  BIGINT NOT NULL DEFAULT 0,  -- withdrawn or replaced meanwhile
    failed   BIGINT NOT NULL DEFAULT 0,
    reason   TEXT   NOT NULL DEFAULT '', -- of the last failure
    created  BIGINT NOT NULL,
    updated  BIGINT NOT NULL
);

-- Tracks of a back-fill that somebody holds, or held when it died.
CREATE TABLE reanalysis_leases (
    reanalysis TEXT   NOT NULL,
    track      TEXT   NOT NULL,
    fence      TEXT   NOT NULL, -- who holds it proves it by this
    expires    BIGINT NOT NULL,
    attempt    BIGINT NOT NULL, -- 1 for the first
    PRIMARY KEY (reanalysis, track)
);

-- Facts of what was heard that no Parquet file has yet.
CREATE TABLE feature_rows (
    event TEXT   NOT NULL PRIMARY KEY,
    told  BIGINT NOT NULL,
    fact  TEXT   NOT NULL -- a TrackFact, as JSON
);
CREATE INDEX feature_rows_by_time ON feature_rows (told, event);

-- +goose Down
DROP TABLE feature_rows;
DROP TABLE reanalysis_leases;
DROP TABLE reanalyses;
