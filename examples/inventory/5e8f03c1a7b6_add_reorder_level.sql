-- migrate:requires 9b20e6a3d714

-- migrate:up

-- The default is there for the rows that exist.  From here on whoever inserts
-- an item has to say when it is to be ordered again.
ALTER TABLE child_items ADD COLUMN reorder_level integer NOT NULL DEFAULT 0;

UPDATE child_items
SET reorder_level = CASE WHEN unit_cost < 10 THEN 100 ELSE 10 END
WHERE discontinued_at IS NULL;

ALTER TABLE child_items
    ALTER COLUMN reorder_level DROP DEFAULT,
    ADD CONSTRAINT child_items_reorder_level_check CHECK (reorder_level >= 0);

-- migrate:down

ALTER TABLE child_items DROP COLUMN reorder_level;
