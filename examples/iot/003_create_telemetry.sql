-- migrate:requires 002

-- migrate:up

-- One partition per month is made by a job; what arrives outside of them is
-- kept in the default partition.
CREATE TABLE telemetry (
    device_id   bigint NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    recorded_at timestamptz NOT NULL,
    metric      text NOT NULL,
    value       double precision NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, metric, recorded_at)
) PARTITION BY RANGE (recorded_at);

CREATE TABLE telemetry_default PARTITION OF telemetry DEFAULT;

CREATE INDEX telemetry_recorded_at_idx ON telemetry USING brin (recorded_at);

-- migrate:down

DROP TABLE telemetry;
