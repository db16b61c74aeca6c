CREATE TABLE subjects (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL
);

CREATE TABLE tutor_subjects (
    tutor_id    bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    subject_id  integer NOT NULL REFERENCES subjects (id) ON DELETE RESTRICT,
    hourly_rate numeric(8, 2) NOT NULL,
    PRIMARY KEY (tutor_id, subject_id),
    CONSTRAINT tutor_subjects_hourly_rate_check CHECK (hourly_rate > 0)
);

CREATE INDEX tutor_subjects_subject_id_idx ON tutor_subjects (subject_id);
