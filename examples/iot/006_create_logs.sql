-- migrate:requires 001 002

-- migrate:up

CREATE TABLE logs (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    logged_at timestamptz NOT NULL DEFAULT now(),
    level     text NOT NULL,
    source    text NOT NULL,
    message   text NOT NULL,
    context   jsonb,
    user_id   bigint REFERENCES users (id) ON DELETE SET NULL,
    device_id bigint REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT logs_level_check CHECK (level IN ('debug', 'info', 'warning', 'error'))
);

CREATE INDEX logs_logged_at_idx ON logs USING brin (logged_at);
CREATE INDEX logs_user_id_idx ON logs (user_id);
CREATE INDEX logs_device_id_idx ON logs (device_id);

-- migrate:down

DROP TABLE logs;
