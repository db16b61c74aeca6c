-- migrate:up

CREATE TABLE sites (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            text NOT NULL,
    time_zone       text NOT NULL DEFAULT 'UTC',
    CONSTRAINT sites_name_key UNIQUE (organization_id, name)
);

CREATE TABLE device_groups (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            text NOT NULL,
    CONSTRAINT device_groups_name_key UNIQUE (organization_id, name)
);

-- migrate:down

DROP TABLE device_groups;
DROP TABLE sites;
