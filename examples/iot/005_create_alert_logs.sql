-- migrate:requires 001 004

-- migrate:up

CREATE TABLE alert_logs (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    condition_id    bigint NOT NULL REFERENCES conditions (id) ON DELETE CASCADE,
    value           double precision NOT NULL,
    raised_at       timestamptz NOT NULL DEFAULT now(),
    acknowledged_at timestamptz,
    acknowledged_by bigint REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT alert_logs_acknowledged_check CHECK (acknowledged_at >= raised_at)
);

CREATE INDEX alert_logs_condition_id_idx ON alert_logs (condition_id, raised_at DESC);
CREATE INDEX alert_logs_acknowledged_by_idx ON alert_logs (acknowledged_by);
CREATE INDEX alert_logs_open_idx ON alert_logs (raised_at) WHERE acknowledged_at IS NULL;

-- migrate:down

DROP TABLE alert_logs;
