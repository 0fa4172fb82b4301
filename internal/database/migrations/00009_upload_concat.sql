-- +goose Up

-- The tus extension concatenation: "partial", or "final;" and the addresses of
-- partial uploads as their client gave them, or empty.
ALTER TABLE uploads ADD COLUMN concat TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE uploads DROP COLUMN concat;
