-- migrate:requires 3f9a1c2b7d10

-- migrate:up

CREATE TABLE locations (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text NOT NULL UNIQUE,
    description text NOT NULL DEFAULT ''
);

CREATE TABLE stock_levels (
    child_item_id bigint NOT NULL REFERENCES child_items (id) ON DELETE CASCADE,
    location_id   bigint NOT NULL REFERENCES locations (id) ON DELETE RESTRICT,
    quantity      integer NOT NULL DEFAULT 0,
    counted_at    timestamptz,
    PRIMARY KEY (child_item_id, location_id),
    CONSTRAINT stock_levels_quantity_check CHECK (quantity >= 0)
);

CREATE INDEX stock_levels_location_id_idx ON stock_levels (location_id);

-- migrate:down

DROP TABLE stock_levels;
DROP TABLE locations;
