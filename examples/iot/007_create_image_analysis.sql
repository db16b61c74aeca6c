-- migrate:requires 002

-- migrate:up

CREATE TABLE image_analysis (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id   bigint NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    object_key  text NOT NULL UNIQUE,
    captured_at timestamptz NOT NULL,
    model       text NOT NULL,
    labels      text[] NOT NULL DEFAULT '{}',
    confidence  numeric(4, 3),
    result      jsonb NOT NULL DEFAULT '{}',
    analysed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT image_analysis_confidence_check CHECK (confidence BETWEEN 0 AND 1)
);

CREATE INDEX image_analysis_device_id_idx ON image_analysis (device_id, captured_at DESC);
CREATE INDEX image_analysis_labels_idx ON image_analysis USING gin (labels);

-- migrate:down

DROP TABLE image_analysis;
