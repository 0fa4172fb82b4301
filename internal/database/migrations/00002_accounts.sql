-- +goose Up

-- API keys. Secrets have 256 random bits, so their plain SHA-256 gives nothing away.
CREATE TABLE account_keys (
	id      TEXT   PRIMARY KEY,
	hash    TEXT   NOT NULL UNIQUE,
	user_id TEXT   NOT NULL,
	name    TEXT   NOT NULL,
	roles   TEXT   NOT NULL, -- separated by commas
	tier    TEXT   NOT NULL,
	created BIGINT NOT NULL,
	revoked BIGINT NOT NULL DEFAULT 0
);

-- Browsers that signed in with a key; they end with it.
CREATE TABLE account_sessions (
	hash    TEXT   PRIMARY KEY,
	key_id  TEXT   NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX account_sessions_by_expiry ON account_sessions (expires);
CREATE INDEX account_sessions_by_key ON account_sessions (key_id);

-- +goose Down
DROP TABLE account_sessions;
DROP TABLE account_keys;
