-- migrate:up

CREATE TABLE users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email         text NOT NULL,
    display_name  text NOT NULL,
    password_hash text NOT NULL,
    is_active     boolean NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_email_check CHECK (position('@' IN email) > 1)
);

-- Addresses that differ in case alone belong to one person.
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

-- migrate:down

DROP TABLE users;
