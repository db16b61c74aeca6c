-- migrate:up

CREATE TABLE device_types (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    manufacturer text NOT NULL,
    model        text NOT NULL,
    CONSTRAINT device_types_model_key UNIQUE (manufacturer, model)
);

CREATE TABLE devices (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    site_id         bigint NOT NULL REFERENCES sites (id) ON DELETE RESTRICT,
    device_group_id bigint NOT NULL REFERENCES device_groups (id) ON DELETE RESTRICT,
    device_type_id  bigint NOT NULL REFERENCES device_types (id) ON DELETE RESTRICT,
    serial_number   text NOT NULL UNIQUE,
    name            text NOT NULL DEFAULT '',
    latitude        double precision,
    longitude       double precision,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT devices_latitude_check CHECK (latitude BETWEEN -90 AND 90),
    CONSTRAINT devices_longitude_check CHECK (longitude BETWEEN -180 AND 180),
    CONSTRAINT devices_position_check CHECK ((latitude IS NULL) = (longitude IS NULL))
);

CREATE INDEX devices_organization_id_idx ON devices (organization_id);
CREATE INDEX devices_site_id_idx ON devices (site_id);
CREATE INDEX devices_device_group_id_idx ON devices (device_group_id);
CREATE INDEX devices_device_type_id_idx ON devices (device_type_id);

-- migrate:down

DROP TABLE devices;
DROP TABLE device_types;
