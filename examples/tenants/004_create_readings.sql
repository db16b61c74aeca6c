-- migrate:up

CREATE TABLE readings (
    device_id bigint NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    read_at   timestamptz NOT NULL,
    metric    text NOT NULL,
    value     double precision NOT NULL,
    PRIMARY KEY (device_id, metric, read_at)
);

CREATE INDEX readings_read_at_idx ON readings USING brin (read_at);

-- migrate:down

DROP TABLE readings;
