-- migrate:requires 002

-- migrate:up

CREATE TABLE firmware_releases (
    version     text PRIMARY KEY,
    checksum    bytea NOT NULL UNIQUE,
    released_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT firmware_releases_checksum_check CHECK (octet_length(checksum) = 32)
);

ALTER TABLE devices
    ADD COLUMN firmware_version text REFERENCES firmware_releases (version);

CREATE INDEX devices_firmware_version_idx ON devices (firmware_version);

-- migrate:down

ALTER TABLE devices DROP COLUMN firmware_version;

DROP TABLE firmware_releases;

-- migrate:verify

SELECT count(*) = 1
FROM pg_attribute
WHERE attrelid = 'devices'::regclass
    AND attname = 'firmware_version'
    AND NOT attisdropped;
