-- migrate:requires 4c6b9d08f2e7
-- migrate:irreversible

-- migrate:up

-- Items that nobody has had in stock for seven years go with their records;
-- the tax authority does not ask for them any longer.
CREATE TEMPORARY TABLE purged ON COMMIT DROP AS
SELECT i.id
FROM child_items i
WHERE i.discontinued_at < now() - interval '7 years'
    AND NOT EXISTS (
        SELECT FROM stock_levels l WHERE l.child_item_id = i.id AND l.quantity > 0
    );

DELETE FROM stock_movements WHERE child_item_id IN (SELECT id FROM purged);
DELETE FROM child_items WHERE id IN (SELECT id FROM purged);

DROP TABLE purged;
