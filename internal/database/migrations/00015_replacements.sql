-- +goose Up

-- What each release was made of: an older one can be restored.
ALTER TABLE releases ADD COLUMN master_sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE releases ADD COLUMN master_size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE releases ADD COLUMN file_name TEXT NOT NULL DEFAULT '';
UPDATE releases SET
    master_sha256 = (SELECT t.master_sha256 FROM tracks t WHERE t.id = releases.track),
    master_size = (SELECT t.master_size FROM tracks t WHERE t.id = releases.track),
    file_name = (SELECT t.file_name FROM tracks t WHERE t.id = releases.track);
CREATE INDEX releases_by_master ON releases (master_sha256);

-- Every upload that was taken over as a track's master, so that taking it over again
-- changes nothing however many followed it.
CREATE TABLE track_uploads (
    upload TEXT NOT NULL PRIMARY KEY,
    track  TEXT NOT NULL
);
INSERT INTO track_uploads (upload, track) SELECT upload, id FROM tracks;

-- What a replacement that never was published leaves: the collector's, not before
-- due (unix milliseconds), when nobody writes any more of it.
CREATE TABLE orphans (
    track  TEXT   NOT NULL,
    kind   TEXT   NOT NULL, -- master, release
    name   TEXT   NOT NULL,
    due    BIGINT NOT NULL,
    PRIMARY KEY (track, kind, name)
);

-- +goose Down
DROP TABLE orphans;
DROP TABLE track_uploads;
DROP INDEX releases_by_master;
ALTER TABLE releases DROP COLUMN file_name;
ALTER TABLE releases DROP COLUMN master_size;
ALTER TABLE releases DROP COLUMN master_sha256;
