-- +goose Up

-- The tracks of one owner that bear the same album title are an album. A row is
-- made with the first of them and stays, so that addresses of an album last.
CREATE TABLE albums (
    id      TEXT   NOT NULL PRIMARY KEY,
    owner   TEXT   NOT NULL,
    title   TEXT   NOT NULL,
    created BIGINT NOT NULL, -- unix milliseconds
    UNIQUE (owner, title)
);
INSERT INTO albums (id, owner, title, created)
    SELECT 'alb_' || SUBSTR(MIN(id), 5), owner, album, MIN(created) FROM tracks WHERE album <> '' GROUP BY owner, album;

ALTER TABLE tracks ADD COLUMN disc BIGINT NOT NULL DEFAULT 0;   -- 0: unknown
ALTER TABLE tracks ADD COLUMN number BIGINT NOT NULL DEFAULT 0; -- within the disc; 0: unknown
CREATE INDEX tracks_by_album ON tracks (owner, album);

-- +goose Down
DROP INDEX tracks_by_album;
ALTER TABLE tracks DROP COLUMN number;
ALTER TABLE tracks DROP COLUMN disc;
DROP TABLE albums;
