-- +goose Up
CREATE TABLE tracks (
    id              TEXT PRIMARY KEY,
    owner           TEXT NOT NULL,
    upload          TEXT NOT NULL,
    state           TEXT NOT NULL,
    title           TEXT NOT NULL,
    artist          TEXT NOT NULL,
    album           TEXT NOT NULL,
    file_name       TEXT NOT NULL,
    master_sha256   TEXT NOT NULL,
    master_size     BIGINT NOT NULL,
    refusal_code    TEXT NOT NULL DEFAULT '',
    refusal_text    TEXT NOT NULL DEFAULT '',
    render_hash     TEXT NOT NULL DEFAULT '', -- handed over by the render step
    next_release    TEXT NOT NULL DEFAULT '', -- the id reserved for what is being published
    current_release TEXT NOT NULL DEFAULT '', -- what listeners hear
    stage           TEXT NOT NULL,
    percent         BIGINT NOT NULL DEFAULT 0,
    attempt         BIGINT NOT NULL DEFAULT 0,
    fence           BIGINT NOT NULL DEFAULT 0, -- of the last claim; never goes back
    version         BIGINT NOT NULL DEFAULT 1, -- grows with every visible change
    created         BIGINT NOT NULL,
    updated         BIGINT NOT NULL
);
CREATE INDEX tracks_by_owner ON tracks (owner, id);
CREATE INDEX tracks_by_state ON tracks (state, id);
CREATE INDEX tracks_by_master ON tracks (master_sha256);
CREATE INDEX tracks_by_updated ON tracks (updated);

CREATE TABLE releases (
    id          TEXT PRIMARY KEY,
    track       TEXT NOT NULL,
    number      BIGINT NOT NULL,
    render_hash TEXT NOT NULL,
    duration_ns BIGINT NOT NULL,
    has_cover   BIGINT NOT NULL,
    published   BIGINT NOT NULL,
    UNIQUE (track, number)
);

-- Work still owed to a track, and the lease of whoever does it. A track that is
-- owed nothing has no row, so the sweep reads only what is unfinished.
CREATE TABLE claims (
    track   TEXT PRIMARY KEY,
    step    TEXT NOT NULL,
    holder  TEXT NOT NULL DEFAULT '',
    fence   BIGINT NOT NULL DEFAULT 0,
    expires BIGINT NOT NULL DEFAULT 0, -- end of the lease; 0 when nobody holds one
    due     BIGINT NOT NULL,           -- not before
    attempt BIGINT NOT NULL DEFAULT 0, -- counted tries
    waits   BIGINT NOT NULL DEFAULT 0, -- tries in a row that met an outage; not counted
    since   BIGINT NOT NULL
);
CREATE INDEX claims_by_due ON claims (due);

CREATE TABLE dead_letters (
    track   TEXT PRIMARY KEY,
    step    TEXT NOT NULL,
    reason  TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    died    BIGINT NOT NULL
);

-- Every folder media/<render_hash>/ that may hold objects made of a master.
CREATE TABLE renders (
    render_hash   TEXT PRIMARY KEY,
    master_sha256 TEXT NOT NULL
);
CREATE INDEX renders_by_master ON renders (master_sha256);

-- Masters whose objects are being deleted: no track may be received on one.
CREATE TABLE collecting (
    master_sha256 TEXT NOT NULL,
    track         TEXT NOT NULL,
    PRIMARY KEY (master_sha256, track)
);

-- +goose Down
DROP TABLE collecting;
DROP TABLE renders;
DROP TABLE dead_letters;
DROP TABLE claims;
DROP TABLE releases;
DROP TABLE tracks;
