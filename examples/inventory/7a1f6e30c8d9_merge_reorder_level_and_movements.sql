-- migrate:requires 5e8f03c1a7b6 d27c94b1e05a

-- migrate:up

-- Joins the two heads; changes nothing.

-- migrate:down

-- Nothing to undo.
