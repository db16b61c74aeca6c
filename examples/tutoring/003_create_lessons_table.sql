CREATE TABLE lessons (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    student_id bigint NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    tutor_id   bigint NOT NULL,
    subject_id integer NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    status     text NOT NULL DEFAULT 'booked',
    -- A tutor is booked for a subject that this tutor teaches.
    FOREIGN KEY (tutor_id, subject_id) REFERENCES tutor_subjects (tutor_id, subject_id),
    CONSTRAINT lessons_times_check CHECK (ends_at > starts_at),
    CONSTRAINT lessons_status_check CHECK (status IN ('booked', 'held', 'cancelled')),
    CONSTRAINT lessons_student_check CHECK (student_id <> tutor_id)
);

CREATE INDEX lessons_student_id_idx ON lessons (student_id, starts_at);
CREATE INDEX lessons_tutor_id_idx ON lessons (tutor_id, starts_at);
