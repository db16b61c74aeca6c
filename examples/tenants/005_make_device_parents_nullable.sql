-- migrate:up

-- A device reports before anybody has said whose it is and where it stands.
ALTER TABLE devices
    ALTER COLUMN organization_id DROP NOT NULL,
    ALTER COLUMN site_id DROP NOT NULL,
    ALTER COLUMN device_group_id DROP NOT NULL,
    ALTER COLUMN device_type_id DROP NOT NULL;

-- What the way back has given to "unassigned-devices" has no parent again.
UPDATE devices SET site_id = NULL
WHERE site_id IN (
    SELECT s.id
    FROM sites s JOIN organizations o ON o.id = s.organization_id
    WHERE o.slug = 'unassigned-devices'
);
UPDATE devices SET device_group_id = NULL
WHERE device_group_id IN (
    SELECT g.id
    FROM device_groups g JOIN organizations o ON o.id = g.organization_id
    WHERE o.slug = 'unassigned-devices'
);
UPDATE devices SET organization_id = NULL
WHERE organization_id IN (SELECT id FROM organizations WHERE slug = 'unassigned-devices');
UPDATE devices SET device_type_id = NULL
WHERE device_type_id IN (
    SELECT id FROM device_types WHERE manufacturer = '' AND model = 'unassigned'
);

DELETE FROM organizations WHERE slug = 'unassigned-devices';
DELETE FROM device_types WHERE manufacturer = '' AND model = 'unassigned';

-- migrate:down

-- No device is lost: what has no parent goes to the organization
-- "unassigned-devices" and to a site, a group and a type of its own there.
INSERT INTO organizations (slug, name) VALUES ('unassigned-devices', 'Unassigned devices');

INSERT INTO sites (organization_id, name)
SELECT id, 'unassigned' FROM organizations WHERE slug = 'unassigned-devices';

INSERT INTO device_groups (organization_id, name)
SELECT id, 'unassigned' FROM organizations WHERE slug = 'unassigned-devices';

INSERT INTO device_types (manufacturer, model) VALUES ('', 'unassigned');

UPDATE devices d
SET organization_id = coalesce(d.organization_id, o.id),
    site_id = coalesce(d.site_id, s.id),
    device_group_id = coalesce(d.device_group_id, g.id),
    device_type_id = coalesce(d.device_type_id, t.id)
FROM organizations o
    JOIN sites s ON s.organization_id = o.id
    JOIN device_groups g ON g.organization_id = o.id
    CROSS JOIN device_types t
WHERE o.slug = 'unassigned-devices'
    AND t.manufacturer = '' AND t.model = 'unassigned'
    AND num_nulls(d.organization_id, d.site_id, d.device_group_id, d.device_type_id) > 0;

ALTER TABLE devices
    ALTER COLUMN organization_id SET NOT NULL,
    ALTER COLUMN site_id SET NOT NULL,
    ALTER COLUMN device_group_id SET NOT NULL,
    ALTER COLUMN device_type_id SET NOT NULL;

-- migrate:verify

SELECT count(*) = 4
FROM pg_attribute
WHERE attrelid = 'devices'::regclass
    AND attname IN ('organization_id', 'site_id', 'device_group_id', 'device_type_id')
    AND NOT attnotnull;
