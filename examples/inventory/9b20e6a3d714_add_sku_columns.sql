-- migrate:requires 0c7d52e8f1b4

-- migrate:up

-- "name" becomes "sku" in two releases.  This is the first one: both columns
-- exist and a trigger keeps them equal, so that the old and the new release
-- can run side by side.
ALTER TABLE parent_items ADD COLUMN sku text;
ALTER TABLE child_items ADD COLUMN sku text;

UPDATE parent_items SET sku = name;
UPDATE child_items SET sku = name;

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

ALTER TABLE parent_items
    ALTER COLUMN sku SET NOT NULL,
    ADD CONSTRAINT parent_items_sku_key UNIQUE (sku);
ALTER TABLE child_items
    ALTER COLUMN sku SET NOT NULL,
    ADD CONSTRAINT child_items_sku_key UNIQUE (sku);

-- migrate:down

DROP TRIGGER keep_sku_and_name_equal ON parent_items;
DROP TRIGGER keep_sku_and_name_equal ON child_items;
DROP FUNCTION keep_sku_and_name_equal();

ALTER TABLE child_items DROP COLUMN sku;
ALTER TABLE parent_items DROP COLUMN sku;

-- migrate:verify

SELECT NOT EXISTS (SELECT FROM parent_items WHERE sku IS DISTINCT FROM name)
    AND NOT EXISTS (SELECT FROM child_items WHERE sku IS DISTINCT FROM name);
