-- migrate:requires 001

-- migrate:up

CREATE TYPE device_status AS ENUM ('provisioned', 'online', 'offline', 'retired');

CREATE TABLE devices (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id      bigint NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    serial_number text NOT NULL UNIQUE,
    name          text NOT NULL,
    model         text NOT NULL,
    status        device_status NOT NULL DEFAULT 'provisioned',
    last_seen_at  timestamptz,
    settings      jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT devices_settings_check CHECK (jsonb_typeof(settings) = 'object')
);

CREATE INDEX devices_owner_id_idx ON devices (owner_id);

-- "Which devices went quiet?" is asked every minute, of the living ones only.
CREATE INDEX devices_last_seen_at_idx ON devices (last_seen_at)
    WHERE status IN ('online', 'offline');

-- migrate:down

DROP TABLE devices;
DROP TYPE device_status;

-- migrate:verify

SELECT to_regclass('devices') IS NOT NULL AND to_regtype('device_status') IS NOT NULL;
