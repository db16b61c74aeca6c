-- migrate:up

ALTER TABLE devices ADD COLUMN location point;

UPDATE devices SET location = point(longitude, latitude)
WHERE latitude IS NOT NULL;

ALTER TABLE devices
    DROP COLUMN latitude,
    DROP COLUMN longitude,
    ADD CONSTRAINT devices_location_check
        CHECK (location <@ box(point(-180, -90), point(180, 90)));

CREATE INDEX devices_location_idx ON devices USING gist (location);

-- migrate:down

ALTER TABLE devices
    ADD COLUMN latitude double precision,
    ADD COLUMN longitude double precision,
    ADD CONSTRAINT devices_latitude_check CHECK (latitude BETWEEN -90 AND 90),
    ADD CONSTRAINT devices_longitude_check CHECK (longitude BETWEEN -180 AND 180),
    ADD CONSTRAINT devices_position_check CHECK ((latitude IS NULL) = (longitude IS NULL));

UPDATE devices SET latitude = location[1], longitude = location[0]
WHERE location IS NOT NULL;

ALTER TABLE devices DROP COLUMN location;
