CREATE TABLE payments (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lesson_id bigint NOT NULL REFERENCES lessons (id) ON DELETE RESTRICT,
    amount    numeric(10, 2) NOT NULL,
    currency  text NOT NULL DEFAULT 'EUR',
    paid_at   timestamptz,
    CONSTRAINT payments_amount_check CHECK (amount > 0),
    CONSTRAINT payments_currency_check CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE INDEX payments_lesson_id_idx ON payments (lesson_id);
CREATE INDEX payments_open_idx ON payments (id) WHERE paid_at IS NULL;
