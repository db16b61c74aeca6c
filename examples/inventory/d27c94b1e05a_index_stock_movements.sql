-- migrate:requires 9b20e6a3d714

-- migrate:up

DROP INDEX stock_movements_child_item_id_idx;
CREATE INDEX stock_movements_item_idx ON stock_movements (child_item_id, moved_at DESC);
CREATE INDEX stock_movements_location_idx ON stock_movements (location_id, moved_at DESC);

-- migrate:down

DROP INDEX stock_movements_location_idx;
DROP INDEX stock_movements_item_idx;
CREATE INDEX stock_movements_child_item_id_idx ON stock_movements (child_item_id);
