-- migrate:up

CREATE TABLE parent_items (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    description text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT parent_items_name_key UNIQUE (name)
);

CREATE TABLE child_items (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_item_id  bigint NOT NULL REFERENCES parent_items (id) ON DELETE RESTRICT,
    name            text NOT NULL,
    unit            text NOT NULL DEFAULT 'piece',
    unit_cost       numeric(12, 2) NOT NULL DEFAULT 0,
    discontinued_at timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT child_items_name_key UNIQUE (name),
    CONSTRAINT child_items_unit_cost_check CHECK (unit_cost >= 0)
);

CREATE INDEX child_items_parent_item_id_idx ON child_items (parent_item_id);

-- migrate:down

DROP TABLE child_items;
DROP TABLE parent_items;
