-- +goose Up

-- Ads are tracks that no listener's list has (aside is 1), rendered with a gain, in
-- hundredths of a decibel, that gives them the loudness of music.
ALTER TABLE tracks ADD COLUMN aside BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tracks ADD COLUMN gain BIGINT NOT NULL DEFAULT 0;

-- House ads.
CREATE TABLE house_ads (
    track      TEXT   NOT NULL PRIMARY KEY,
    title      TEXT   NOT NULL,
    advertiser TEXT   NOT NULL,
    active     BIGINT NOT NULL, -- 0: kept, but not heard
    weight     BIGINT NOT NULL, -- how often, in proportion to the others
    added      BIGINT NOT NULL, -- unix milliseconds

    impressions BIGINT NOT NULL DEFAULT 0, -- first samples that players told of
    completions BIGINT NOT NULL DEFAULT 0, -- ends
    errors      BIGINT NOT NULL DEFAULT 0
);

-- Facts that are counted in house_ads, for as long as they may be told again.
CREATE TABLE ad_facts (
    event TEXT   NOT NULL PRIMARY KEY,
    told  BIGINT NOT NULL -- unix milliseconds
);

-- When each listener last heard a break. Unix milliseconds; listener is an account, as
-- tickets name it.
CREATE TABLE ad_listeners (
    listener TEXT   NOT NULL PRIMARY KEY,
    broke    BIGINT NOT NULL
);

-- Sessions whose tickets have a break before the music.
CREATE TABLE ad_breaks (
    session  TEXT   NOT NULL PRIMARY KEY,
    listener TEXT   NOT NULL,
    asked    BIGINT NOT NULL, -- unix milliseconds
    told     BIGINT NOT NULL  -- 1: its player tells what is heard of ads
);

-- +goose Down
DROP TABLE ad_breaks;
DROP TABLE ad_listeners;
DROP TABLE ad_facts;
DROP TABLE house_ads;
ALTER TABLE tracks DROP COLUMN gain;
ALTER TABLE tracks DROP COLUMN aside;
