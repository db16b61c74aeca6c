-- migrate:requires 002

-- migrate:up

CREATE TABLE conditions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id   bigint NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    metric      text NOT NULL,
    operator    text NOT NULL,
    threshold   double precision NOT NULL,
    hold_for    interval NOT NULL DEFAULT '0 seconds',
    severity    text NOT NULL DEFAULT 'warning',
    enabled     boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conditions_operator_check CHECK (operator IN ('<', '<=', '=', '<>', '>=', '>')),
    CONSTRAINT conditions_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT conditions_hold_for_check CHECK (hold_for >= interval '0')
);

CREATE INDEX conditions_device_id_metric_idx ON conditions (device_id, metric) WHERE enabled;

-- migrate:down

DROP TABLE conditions;
