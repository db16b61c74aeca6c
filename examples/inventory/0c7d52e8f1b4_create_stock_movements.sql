-- migrate:requires a41be07c95d2

-- migrate:up

CREATE TABLE stock_movements (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    child_item_id bigint NOT NULL REFERENCES child_items (id) ON DELETE RESTRICT,
    location_id   bigint NOT NULL REFERENCES locations (id) ON DELETE RESTRICT,
    quantity      integer NOT NULL,
    reason        text NOT NULL,
    moved_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_movements_quantity_check CHECK (quantity <> 0),
    CONSTRAINT stock_movements_reason_check
        CHECK (reason IN ('receipt', 'issue', 'transfer', 'correction'))
);

CREATE INDEX stock_movements_child_item_id_idx ON stock_movements (child_item_id);

-- migrate:down

DROP TABLE stock_movements;
