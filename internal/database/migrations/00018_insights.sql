-- +goose Up

-- What facts of listening add up to. All of it can be made anew from the facts.

-- How often it has been made anew; one row.
CREATE TABLE play_generations (
    id         BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
);

-- Plays of the last days, for as long as more may be told of them.
CREATE TABLE plays (
    session   TEXT   NOT NULL,
    play      TEXT   NOT NULL,
    release   TEXT   NOT NULL,
    length_ms BIGINT NOT NULL,
    heard     TEXT   NOT NULL, -- different stretches of the track, as "from-to,from-to"
    heard_ms  BIGINT NOT NULL, -- their sum
    ended     BIGINT NOT NULL, -- 1: its end was reached
    counted   BIGINT NOT NULL, -- 1: it is in play_days, as are the next two
    completed BIGINT NOT NULL,
    skipped   BIGINT NOT NULL,
    touched   BIGINT NOT NULL, -- when the newest fact of it happened
    PRIMARY KEY (session, play)
);
CREATE INDEX plays_by_time ON plays (touched);

-- Sessions of the last days: nobody hears more than there is time for.
CREATE TABLE play_sessions (
    session  TEXT   NOT NULL PRIMARY KEY,
    issued   BIGINT NOT NULL, -- 0: not known
    heard_ms BIGINT NOT NULL,
    plays    BIGINT NOT NULL,
    touched  BIGINT NOT NULL
);
CREATE INDEX play_sessions_by_time ON play_sessions (touched);

-- What counts, by release and day. A day is the number of days since 1970, in UTC.
CREATE TABLE play_days (
    release     TEXT   NOT NULL,
    day         BIGINT NOT NULL,
    plays       BIGINT NOT NULL,
    completions BIGINT NOT NULL,
    skips       BIGINT NOT NULL,
    early_skips BIGINT NOT NULL,
    heard_ms    BIGINT NOT NULL,
    PRIMARY KEY (release, day)
);

-- Who had a counted play on a day, under a pseudonym.
CREATE TABLE play_listeners (
    release  TEXT   NOT NULL,
    day      BIGINT NOT NULL,
    listener TEXT   NOT NULL,
    PRIMARY KEY (release, day, listener)
);

-- Which track a release is of, and whose that is.
CREATE TABLE play_releases (
    release TEXT NOT NULL PRIMARY KEY,
    track   TEXT NOT NULL,
    owner   TEXT NOT NULL
);
CREATE INDEX play_releases_by_track ON play_releases (track);

-- +goose Down
DROP TABLE play_releases;
DROP TABLE play_listeners;
DROP TABLE play_days;
DROP TABLE play_sessions;
DROP TABLE plays;
DROP TABLE play_generations;
