-- +goose Up

-- Every folder features/<hash>/ that may hold what was heard of a master.
CREATE TABLE feature_sets (
    features_hash TEXT   NOT NULL PRIMARY KEY,
    master_sha256 TEXT   NOT NULL,
    version       BIGINT NOT NULL -- of the analyzer
);
CREATE INDEX feature_sets_by_master ON feature_sets (master_sha256);

ALTER TABLE tracks ADD COLUMN features_hash TEXT NOT NULL DEFAULT '';   -- handed over by the render step
ALTER TABLE releases ADD COLUMN features_hash TEXT NOT NULL DEFAULT ''; -- '': nobody listened yet

-- +goose Down
ALTER TABLE releases DROP COLUMN features_hash;
ALTER TABLE tracks DROP COLUMN features_hash;
DROP TABLE feature_sets;
