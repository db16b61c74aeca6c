-- migrate:requires 7a1f6e30c8d9

-- migrate:up

-- The second half of the rename: every running release knows "sku" alone.
DROP TRIGGER keep_sku_and_name_equal ON parent_items;
DROP TRIGGER keep_sku_and_name_equal ON child_items;
DROP FUNCTION keep_sku_and_name_equal();

ALTER TABLE parent_items DROP COLUMN name;
ALTER TABLE child_items DROP COLUMN name;

-- migrate:down

ALTER TABLE parent_items ADD COLUMN name text;
ALTER TABLE child_items ADD COLUMN name text;

UPDATE parent_items SET name = sku;
UPDATE child_items SET name = sku;

ALTER TABLE parent_items
    ALTER COLUMN name SET NOT NULL,
    ADD CONSTRAINT parent_items_name_key UNIQUE (name);
ALTER TABLE child_items
    ALTER COLUMN name SET NOT NULL,
    ADD CONSTRAINT child_items_name_key UNIQUE (name);

CREATE FUNCTION keep_sku_and_name_equal() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.sku := coalesce(NEW.sku, NEW.name);
        NEW.name := coalesce(NEW.name, NEW.sku);
    ELSIF NEW.sku IS DISTINCT FROM OLD.sku THEN
        NEW.name := NEW.sku;
    ELSE
        NEW.sku := NEW.name;
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER keep_sku_and_name_equal
    BEFORE INSERT OR UPDATE OF name, sku ON parent_items
    FOR EACH ROW EXECUTE FUNCTION keep_sku_and_name_equal();
CREATE TRIGGER keep_sku_and_name_equal
    BEFORE INSERT OR UPDATE OF name, sku ON child_items
    FOR EACH ROW EXECUTE FUNCTION keep_sku_and_name_equal();
