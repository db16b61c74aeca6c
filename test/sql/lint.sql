--
-- lint(): every rule has a case that fires and a near miss that does not
--
SET client_min_messages = warning;
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
CREATE SCHEMA lint;
SET search_path = lint, public;
INSERT INTO migrate.policy (search_path) VALUES ('lint, public');

-- What the rules look at.  Sizes are what the catalog says they are.
CREATE TABLE big (id bigint PRIMARY KEY, a int, b text, c int NOT NULL,
	code varchar(10), price numeric(10,2), at timestamp, used int, called int,
	proved int CONSTRAINT proved_is_there CHECK (proved IS NOT NULL AND proved > 0),
	maybe int,
	fk bigint, fk_indexed bigint, fk_partly bigint, generated int GENERATED ALWAYS AS (c + 1) STORED)
	WITH (autovacuum_enabled = off);
ALTER TABLE big ADD CONSTRAINT maybe_is_there CHECK (maybe IS NOT NULL) NOT VALID;
CREATE INDEX big_b ON big (b);
CREATE INDEX big_at ON big (at);
CREATE INDEX big_fk_indexed ON big (fk_indexed);
CREATE INDEX big_fk_partly ON big (fk_partly) WHERE fk_partly IS NOT NULL;
CREATE INDEX big_maybe ON big (maybe) WHERE maybe IS NOT NULL AND a IS NOT NULL;
CREATE UNIQUE INDEX big_a ON big (a);
CREATE UNIQUE INDEX big_c ON big (c);
CREATE INDEX big_broken ON big (used);
CREATE TABLE middle (id int PRIMARY KEY, a int) WITH (autovacuum_enabled = off);
CREATE TABLE few (id int PRIMARY KEY, a int, big_id bigint) WITH (autovacuum_enabled = off);
CREATE TABLE none (id int PRIMARY KEY, a int, big_id bigint);
CREATE TABLE child (id int PRIMARY KEY, few_id int CONSTRAINT child_few REFERENCES few);
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')
	WITH (autovacuum_enabled = off);
CREATE TABLE apart (id int, at date) WITH (autovacuum_enabled = off);
CREATE TABLE apart_checked (id int, at date CHECK (at >= '2022-01-01' AND at < '2023-01-01' AND at IS NOT NULL))
	WITH (autovacuum_enabled = off);
CREATE TABLE ancestor (id int PRIMARY KEY, v int, big_id bigint);
CREATE TABLE descendant () INHERITS (ancestor) WITH (autovacuum_enabled = off);
CREATE TYPE unused AS ENUM ('a');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN anything AS int;
CREATE TABLE with_domain (id int PRIMARY KEY, v anything) WITH (autovacuum_enabled = off);
CREATE DOMAIN lonely AS int;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE other AS (a text);
CREATE FUNCTION to_other(text) RETURNS other IMMUTABLE LANGUAGE sql AS 'SELECT ROW($1)::lint.other';
CREATE CAST (text AS other) WITH FUNCTION to_other(text) AS ASSIGNMENT;
CREATE VIEW shows AS SELECT id, used FROM big;
CREATE FUNCTION calls() RETURNS bigint LANGUAGE plpgsql AS
	$$ BEGIN RETURN (SELECT sum(called) FROM lint.big); END $$;
CREATE FUNCTION steady() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION fickle() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
CREATE DOMAIN drawn AS int DEFAULT fickle();
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE defaulted (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE defaulted_1 PARTITION OF defaulted FOR VALUES FROM (1) TO (10);
CREATE TABLE defaulted_rest PARTITION OF defaulted DEFAULT;
INSERT INTO defaulted VALUES (1, 1);
CREATE INDEX parted_at ON parted (at);
CREATE TABLE has_mood (m mood, list mood[]);
CREATE SCHEMA lint_views CREATE VIEW over AS SELECT id FROM lint.parted;
CREATE TRIGGER noted BEFORE UPDATE ON big FOR EACH ROW EXECUTE FUNCTION note();

INSERT INTO big SELECT n, n, 'x', n, 'y', 1, now(), 1, 1, 1, 1, 1, 1, 1 FROM generate_series(1, 100) n;
INSERT INTO middle SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO few SELECT n, n, n FROM generate_series(1, 10) n;
INSERT INTO child VALUES (1, 1);
INSERT INTO parted VALUES (1, '2020-05-05');
INSERT INTO descendant SELECT n, n, n FROM generate_series(1, 100) n;
INSERT INTO apart VALUES (1, '2022-05-05');
INSERT INTO apart_checked VALUES (1, '2022-05-05');
INSERT INTO with_domain VALUES (1, 1);
CREATE MATERIALIZED VIEW summary WITH (autovacuum_enabled = off) AS SELECT count(*) FROM big;
CREATE MATERIALIZED VIEW blank AS SELECT count(*) FROM big WITH NO DATA;
UPDATE pg_class SET reltuples = 40000000, relpages = 1
	WHERE oid IN ('big'::regclass, 'parted_1'::regclass, 'apart'::regclass, 'apart_checked'::regclass, 'with_domain'::regclass, 'descendant'::regclass);
UPDATE pg_class SET relpages = pg_relation_size('big') / current_setting('block_size')::int WHERE oid = 'big'::regclass;
UPDATE pg_class SET reltuples = 20000, relpages = 1 WHERE oid IN ('middle'::regclass, 'summary'::regclass);
UPDATE pg_class SET reltuples = 10, relpages = 1 WHERE oid = 'few'::regclass;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'big_broken'::regclass;

-- findings of one rule in one migration
CREATE FUNCTION severities(rule text, up text, down text DEFAULT 'SELECT 1', version text DEFAULT '1',
		transactional bool DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	PERFORM migrate.add(version, up, down, transactional => severities.transactional);
	SELECT string_agg(l.severity, ' ' ORDER BY l.body DESC, l.statement) INTO found
		FROM migrate.lint() l WHERE l.rule = severities.rule;
	PERFORM migrate.remove(version);
	RETURN found;
END $$;

CREATE TABLE cases (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, rule text NOT NULL,
	fires text, up text NOT NULL, down text NOT NULL DEFAULT 'SELECT 1', transactional bool);

INSERT INTO cases (rule, fires, up) VALUES
('create-index-blocks-writes', 'error', 'CREATE INDEX ON big (used)'),
('create-index-blocks-writes', 'warning', 'CREATE INDEX ON middle (a)'),
('create-index-blocks-writes', 'note', 'CREATE INDEX ON few (a)'),
('create-index-blocks-writes', 'error', 'CREATE INDEX ON parted (id)'),
('create-index-blocks-writes', NULL, 'CREATE INDEX ON ONLY parted (id)'),
('create-index-blocks-writes', NULL, 'CREATE INDEX CONCURRENTLY ON big (used)'),
('create-index-blocks-writes', NULL, 'CREATE INDEX ON none (a)'),
('create-index-blocks-writes', NULL, 'CREATE INDEX ON ancestor (v)'),
('create-index-blocks-writes', NULL, 'CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE INDEX ON t (a)'),
('create-index-blocks-writes', NULL, 'TRUNCATE big; CREATE INDEX ON big (used)'),
('index-concurrently-on-partitioned', 'error', 'CREATE INDEX CONCURRENTLY ON parted (id)'),
('index-concurrently-on-partitioned', 'error', 'DROP INDEX CONCURRENTLY parted_at'),
('index-concurrently-on-partitioned', NULL, 'DROP INDEX CONCURRENTLY big_b'),
('index-concurrently-on-partitioned', NULL, 'CREATE INDEX CONCURRENTLY ON parted_1 (id)'),
('index-with-many-columns', 'note', 'CREATE INDEX ON none (id, a, big_id, (a + 1))'),
('index-with-many-columns', NULL, 'CREATE INDEX ON none (id, a, big_id)'),
('index-with-many-columns', NULL, 'CREATE UNIQUE INDEX ON none (id, a, big_id, (a + 1))'),
('duplicate-index', 'warning', 'CREATE INDEX another ON big (b)'),
('duplicate-index', 'warning', 'CREATE TABLE t (a int PRIMARY KEY); CREATE INDEX ON t (a)'),
('duplicate-index', NULL, 'CREATE INDEX another ON big (b, a)'),
('duplicate-index', NULL, 'CREATE INDEX another ON big (b text_pattern_ops)'),
('duplicate-index', NULL, 'DROP INDEX big_b; CREATE INDEX another ON big (b)'),
('invalid-index-is-kept', 'error', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS big_broken ON big (used)'),
('invalid-index-is-kept', NULL, 'CREATE INDEX CONCURRENTLY IF NOT EXISTS big_b ON big (b)'),
('drop-index-blocks', 'warning', 'DROP INDEX big_b'),
('drop-index-blocks', 'warning', 'DROP INDEX parted_at'),
('drop-index-blocks', NULL, 'DROP INDEX CONCURRENTLY big_b'),
('drop-index-blocks', NULL, 'DROP INDEX big_pkey'),
('drop-index-blocks', NULL, 'CREATE INDEX n ON none (a); DROP INDEX n'),
('reindex-blocks', 'error', 'REINDEX TABLE big'),
('reindex-blocks', 'error', 'REINDEX INDEX big_b'),
('reindex-blocks', NULL, 'REINDEX TABLE CONCURRENTLY big'),
('reindex-blocks', NULL, 'REINDEX TABLE none'),
('detach-partition-blocks', 'warning', 'ALTER TABLE parted DETACH PARTITION parted_1'),
('detach-partition-blocks', NULL, 'ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY'),
('attach-partition-scans', 'error', $$ALTER TABLE parted ATTACH PARTITION apart FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')$$),
('attach-partition-scans', NULL, $$ALTER TABLE parted ATTACH PARTITION apart_checked FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')$$),
('attach-partition-scans', NULL, $$CREATE TABLE p (LIKE parted); ALTER TABLE parted ATTACH PARTITION p FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')$$),
('partition-of-blocks', 'warning', $$CREATE TABLE p PARTITION OF parted FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')$$),
('partition-of-blocks', NULL, $$CREATE TABLE q (a int) PARTITION BY LIST (a); CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1)$$),
('refresh-blocks-reads', 'warning', 'REFRESH MATERIALIZED VIEW summary'),
('refresh-blocks-reads', NULL, 'REFRESH MATERIALIZED VIEW CONCURRENTLY summary'),
('refresh-blocks-reads', NULL, 'REFRESH MATERIALIZED VIEW blank'),
('rewrite-table', 'error', 'VACUUM FULL big'),
('rewrite-table', 'error', 'CLUSTER big USING big_pkey'),
('rewrite-table', 'error', 'ALTER TABLE big SET UNLOGGED'),
('rewrite-table', NULL, 'VACUUM big'),
('rewrite-table', NULL, 'ALTER TABLE none SET UNLOGGED'),
('lock-table', 'warning', 'LOCK TABLE big'),
('lock-table', NULL, 'LOCK TABLE big IN ROW EXCLUSIVE MODE'),
('lock-table', NULL, 'LOCK TABLE none'),
('foreign-key-validates', 'error', 'ALTER TABLE big ADD FOREIGN KEY (fk_indexed) REFERENCES few'),
('foreign-key-validates', NULL, 'ALTER TABLE big ADD FOREIGN KEY (fk_indexed) REFERENCES few NOT VALID'),
('foreign-key-validates', NULL, 'ALTER TABLE big ADD COLUMN n int REFERENCES few'),
('foreign-key-validates', 'error', 'ALTER TABLE big ADD COLUMN n int DEFAULT 1 REFERENCES few'),
('foreign-key-validates', NULL, 'ALTER TABLE ancestor ADD FOREIGN KEY (big_id) REFERENCES big'),
('foreign-key-validates', 'error', 'ALTER TABLE descendant ADD FOREIGN KEY (big_id) REFERENCES big'),
('foreign-key-validates', NULL, 'ALTER TABLE none ADD FOREIGN KEY (big_id) REFERENCES big'),
('foreign-key-without-index', 'error', 'ALTER TABLE big ADD FOREIGN KEY (fk) REFERENCES few NOT VALID'),
('foreign-key-without-index', 'note', 'CREATE TABLE t (a int REFERENCES few)'),
('foreign-key-without-index', NULL, 'ALTER TABLE nowhere ADD FOREIGN KEY (fk) REFERENCES few; CREATE TABLE two ()'),
('foreign-key-without-index', NULL, 'ALTER TABLE big ADD FOREIGN KEY (fk_indexed) REFERENCES few NOT VALID'),
('foreign-key-without-index', NULL, 'CREATE TABLE t (a int REFERENCES few); CREATE INDEX ON t (a, (a + 1))'),
('foreign-key-without-index', NULL, 'CREATE TABLE t (a int PRIMARY KEY REFERENCES few)'),
('foreign-key-without-index', NULL, 'CREATE TABLE t (a int REFERENCES few); CREATE INDEX ON t (a) WHERE a IS NOT NULL'),
('foreign-key-without-index', NULL, 'CREATE TABLE t (a int REFERENCES few, b int); CREATE INDEX ON t (a) WHERE b > 1 OR NOT a IS NULL; ALTER TABLE t RENAME a TO c'),
('foreign-key-without-index', 'note', 'CREATE TABLE t (a int REFERENCES few, b int); CREATE INDEX ON t (a) WHERE a IS NOT NULL AND b IS NOT NULL'),
('foreign-key-without-index', 'note', 'CREATE TABLE t (a int REFERENCES few); CREATE INDEX ON t (a) WHERE a > 0'),
('foreign-key-without-index', 'note', 'CREATE TABLE t (a int REFERENCES few); CREATE INDEX ON t (a) WHERE a IS NULL'),
('foreign-key-without-index', NULL, 'ALTER TABLE big ADD FOREIGN KEY (fk_partly) REFERENCES few NOT VALID'),
('foreign-key-without-index', NULL, 'ALTER TABLE big RENAME fk_partly TO renamed; ALTER TABLE big ADD FOREIGN KEY (renamed) REFERENCES few NOT VALID'),
('foreign-key-without-index', 'error', 'ALTER TABLE big ADD FOREIGN KEY (maybe) REFERENCES few NOT VALID'),
('foreign-key-without-index', NULL, 'CREATE TABLE t (a int REFERENCES few); ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME a TO b; CREATE INDEX ON u (b)'),
('foreign-key-without-index', 'note', 'CREATE TABLE t (a int REFERENCES few); ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME a TO b'),
('foreign-key-without-index', NULL, 'CREATE TABLE t (a int REFERENCES few, b int); ALTER TABLE t DROP COLUMN a'),
('foreign-key-without-index', 'note', 'CREATE TABLE t (a int REFERENCES few, b int); ALTER TABLE t DROP COLUMN b'),
('foreign-key-without-index', NULL, 'CREATE TABLE t (a int CONSTRAINT f REFERENCES few); ALTER TABLE t DROP CONSTRAINT f'),
('check-validates', 'error', 'ALTER TABLE big ADD CHECK (a > 0)'),
('check-validates', NULL, 'ALTER TABLE big ADD CHECK (a > 0) NOT VALID'),
('check-validates', 'error', 'ALTER TABLE ancestor ADD CHECK (v > 0)'),
('check-validates', NULL, 'ALTER TABLE none ADD CHECK (a > 0)'),
('unique-blocks', 'error', 'ALTER TABLE big ADD UNIQUE (a)'),
('unique-blocks', 'warning', 'ALTER TABLE middle ADD UNIQUE (a)'),
('unique-blocks', NULL, 'ALTER TABLE big ADD CONSTRAINT u UNIQUE USING INDEX big_a'),
('unique-blocks', NULL, 'ALTER TABLE ancestor ADD UNIQUE (v)'),
('unique-blocks', NULL, 'ALTER TABLE none ADD UNIQUE (a)'),
('exclusion-blocks', 'error', 'ALTER TABLE big ADD EXCLUDE (a WITH =)'),
('exclusion-blocks', NULL, 'CREATE TABLE t (a int, EXCLUDE (a WITH =)); ALTER TABLE t ADD EXCLUDE (a WITH =)'),
('primary-key-sets-not-null', 'error', 'ALTER TABLE big DROP CONSTRAINT big_pkey, ADD PRIMARY KEY USING INDEX big_a'),
('primary-key-sets-not-null', NULL, 'ALTER TABLE big DROP CONSTRAINT big_pkey, ADD PRIMARY KEY USING INDEX big_c'),
('set-not-null-scans', 'error', 'ALTER TABLE big ALTER a SET NOT NULL'),
('set-not-null-scans', 'error', 'ALTER TABLE big ALTER maybe SET NOT NULL'),
('set-not-null-scans', NULL, 'ALTER TABLE big ALTER proved SET NOT NULL'),
('set-not-null-scans', NULL, 'ALTER TABLE big ALTER c SET NOT NULL'),
('set-not-null-scans', NULL, 'ALTER TABLE big ADD CONSTRAINT k CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT k; ALTER TABLE big ALTER a SET NOT NULL'),
('set-not-null-scans', 'error', 'ALTER TABLE big ADD CONSTRAINT k CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE big ALTER a SET NOT NULL'),
('set-not-null-scans', 'error', 'ALTER TABLE ancestor ALTER v SET NOT NULL'),
('set-not-null-scans', NULL, 'ALTER TABLE ONLY ancestor ALTER v SET NOT NULL'),
('set-not-null-scans', NULL, 'ALTER TABLE none ALTER a SET NOT NULL'),
('validate-in-same-migration', 'error', 'ALTER TABLE big ADD CONSTRAINT k CHECK (a > 0) NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT k'),
('validate-in-same-migration', NULL, 'ALTER TABLE big VALIDATE CONSTRAINT maybe_is_there'),
('refused-on-partitioned', 'error', 'ALTER TABLE parted ADD CONSTRAINT u UNIQUE USING INDEX parted_at'),
('refused-on-partitioned', 'error', 'ALTER TABLE defaulted DETACH PARTITION defaulted_1 CONCURRENTLY'),
('refused-on-partitioned', NULL, 'ALTER TABLE parted ADD FOREIGN KEY (id) REFERENCES few, ADD CHECK (id > 0) NOT VALID, ADD UNIQUE (id, at)'),
('refused-on-partitioned', NULL, 'ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY'),
('refused-on-partitioned', NULL, 'ALTER TABLE parted_1 ADD FOREIGN KEY (id) REFERENCES few NOT VALID'),
('domain-constraint-validates', 'error', 'ALTER DOMAIN anything ADD CHECK (VALUE > 0)'),
('domain-constraint-validates', NULL, 'ALTER DOMAIN anything ADD CHECK (VALUE > 0) NOT VALID'),
('domain-constraint-validates', NULL, 'ALTER DOMAIN lonely ADD CHECK (VALUE > 0)'),
('domain-with-constraint', 'note', 'CREATE DOMAIN d AS int CHECK (VALUE > 0)'),
('domain-with-constraint', NULL, 'CREATE DOMAIN d AS int DEFAULT 1'),
('add-column-volatile-default', 'error', 'ALTER TABLE big ADD COLUMN n uuid DEFAULT gen_random_uuid()'),
('add-column-volatile-default', 'error', 'ALTER TABLE big ADD COLUMN n int DEFAULT fickle()'),
('add-column-volatile-default', NULL, 'ALTER TABLE big ADD COLUMN n timestamptz DEFAULT now()'),
('add-column-volatile-default', NULL, 'ALTER TABLE big ADD COLUMN n int DEFAULT steady()'),
('add-column-volatile-default', NULL, 'CREATE FUNCTION calm() RETURNS int STABLE LANGUAGE sql AS ''SELECT 1''; ALTER TABLE big ADD COLUMN n int DEFAULT calm()'),
('add-column-volatile-default', NULL, 'ALTER TABLE none ADD COLUMN n uuid DEFAULT gen_random_uuid()'),
('add-column-rewrites', 'error', 'ALTER TABLE big ADD COLUMN n bigserial'),
('add-column-rewrites', 'error', 'ALTER TABLE big ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY'),
('add-column-rewrites', 'error', 'ALTER TABLE big ADD COLUMN n int GENERATED ALWAYS AS (a + 1) STORED'),
('add-column-rewrites', 'error', 'ALTER TABLE big ADD COLUMN n positive'),
('add-column-rewrites', NULL, 'ALTER TABLE big ADD COLUMN n anything'),
('add-column-rewrites', NULL, 'ALTER TABLE none ADD COLUMN n bigserial'),
('add-column-rewrites', 'error', 'CREATE DOMAIN d AS int CHECK (VALUE > 0); ALTER TABLE big ADD COLUMN n d'),
('add-column-rewrites', 'error', 'CREATE DOMAIN lint.d AS int NOT NULL; CREATE DOMAIN e AS lint.d; ALTER TABLE big ADD COLUMN n lint.e'),
('add-column-rewrites', 'error', 'CREATE DOMAIN d AS positive; ALTER TABLE big ADD COLUMN n d DEFAULT 1'),
('add-column-rewrites', 'error', 'ALTER DOMAIN anything ADD CHECK (VALUE > 0); ALTER TABLE big ADD COLUMN n anything'),
('add-column-rewrites', 'error', 'CREATE DOMAIN d AS positive; ALTER DOMAIN d RENAME TO e; ALTER TABLE big ADD COLUMN n e'),
('add-column-rewrites', 'error', 'CREATE DOMAIN d AS int DEFAULT fickle(); ALTER TABLE big ADD COLUMN n d'),
('add-column-rewrites', 'error', 'ALTER DOMAIN anything SET DEFAULT fickle(); ALTER TABLE big ADD COLUMN n anything'),
('add-column-rewrites', 'error', 'ALTER TABLE big ADD COLUMN n drawn'),
('add-column-rewrites', NULL, 'ALTER TABLE big ADD COLUMN n drawn DEFAULT 1'),
('add-column-rewrites', NULL, 'ALTER DOMAIN drawn DROP DEFAULT; ALTER TABLE big ADD COLUMN n drawn'),
('add-column-rewrites', NULL, 'CREATE DOMAIN d AS int DEFAULT steady(); ALTER TABLE big ADD COLUMN n d'),
('add-column-rewrites', NULL, 'CREATE DOMAIN d AS int CHECK (VALUE > 0); ALTER TABLE big ADD COLUMN n d[]'),
('add-column-rewrites', NULL, 'CREATE DOMAIN d AS int CHECK (VALUE > 0); DROP DOMAIN d; CREATE DOMAIN d AS int; ALTER TABLE big ADD COLUMN n d'),
('add-column-not-null', 'error', 'ALTER TABLE few ADD COLUMN n int NOT NULL'),
('add-column-not-null', NULL, 'ALTER TABLE few ADD COLUMN n int NOT NULL DEFAULT 1'),
('add-column-not-null', 'error', 'ALTER TABLE ancestor ADD COLUMN n int NOT NULL'),
('add-column-not-null', NULL, 'ALTER TABLE ancestor ADD COLUMN n int NOT NULL DEFAULT 1'),
('add-column-not-null', NULL, 'ALTER TABLE none ADD COLUMN n int NOT NULL'),
('add-column-not-null', NULL, 'ALTER TABLE few ADD COLUMN IF NOT EXISTS a int NOT NULL'),
('add-column-unique', 'error', 'ALTER TABLE big ADD COLUMN n int UNIQUE'),
('add-column-unique', NULL, 'ALTER TABLE big ADD COLUMN n int'),
('add-column-check', 'error', 'ALTER TABLE big ADD COLUMN n int CHECK (n > 0)'),
('add-column-check', NULL, 'ALTER TABLE none ADD COLUMN n int CHECK (n > 0)'),
('add-json-column', 'warning', 'ALTER TABLE few ADD COLUMN n json'),
('add-json-column', NULL, 'ALTER TABLE few ADD COLUMN n jsonb'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER a TYPE bigint'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER code TYPE varchar(5)'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER price TYPE numeric(10,3)'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER b TYPE int'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER b TYPE int USING b::int'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER b TYPE text COLLATE "C"'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER proved TYPE oid'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER a TYPE positive'),
('change-type-rewrites', 'error', 'ALTER TABLE big ALTER b TYPE other'),
('change-type-rewrites', NULL, 'ALTER TABLE big ALTER used TYPE anything'),
('change-type-rewrites', NULL, 'ALTER TABLE big ALTER code TYPE varchar(20)'),
('change-type-rewrites', NULL, 'ALTER TABLE big ALTER code TYPE text'),
('change-type-rewrites', NULL, 'ALTER TABLE big ALTER code TYPE text USING code::text'),
('change-type-rewrites', NULL, 'ALTER TABLE big ALTER price TYPE numeric(12,2)'),
('change-type-rewrites', NULL, 'ALTER TABLE big ALTER price TYPE numeric'),
('change-type-rewrites', NULL, 'ALTER TABLE big ALTER b TYPE varchar'),
('change-type-rewrites', NULL, 'ALTER TABLE none ALTER a TYPE bigint'),
('drop-not-null', 'note', 'ALTER TABLE big ALTER c DROP NOT NULL'),
('drop-not-null', NULL, 'ALTER TABLE none ALTER id DROP NOT NULL'),
('drop-table', 'error', 'DROP TABLE big CASCADE'),
('drop-table', 'warning', 'DROP TABLE child'),
('drop-table', NULL, 'DROP TABLE none'),
('drop-table', NULL, 'CREATE TABLE t (a int); DROP TABLE t'),
('drop-column', 'warning', 'ALTER TABLE big DROP COLUMN price'),
('drop-column', NULL, 'ALTER TABLE big ADD COLUMN n int; ALTER TABLE big DROP COLUMN n'),
('drop-column', NULL, 'ALTER TABLE none DROP COLUMN a'),
('drop-schema', 'error', 'DROP SCHEMA lint CASCADE'),
('drop-schema', NULL, 'CREATE SCHEMA s; DROP SCHEMA s CASCADE'),
('drop-schema', NULL, 'DROP SCHEMA lint'),
('drop-database', 'error', 'DROP DATABASE nothing'),
('drop-database', NULL, 'COMMENT ON DATABASE nothing IS NULL'),
('drop-cascade', 'note', 'DROP VIEW shows CASCADE'),
('drop-cascade', NULL, 'DROP VIEW shows'),
('truncate-loses-rows', 'error', 'TRUNCATE big'),
('truncate-loses-rows', 'warning', 'TRUNCATE child'),
('truncate-loses-rows', NULL, 'TRUNCATE none'),
('truncate-cascade', 'error', 'TRUNCATE few CASCADE'),
('truncate-cascade', NULL, 'TRUNCATE few, child'),
('write-all-rows', 'error', 'UPDATE big SET b = 1'),
('write-all-rows', 'warning', 'DELETE FROM middle'),
('write-all-rows', NULL, 'UPDATE big SET b = 1 WHERE id = 1'),
('write-all-rows', NULL, 'UPDATE none SET a = 1'),
('rename-column', 'warning', 'ALTER TABLE big RENAME a TO z'),
('rename-column', NULL, 'ALTER TABLE none RENAME a TO z'),
('rename-column', NULL, 'ALTER VIEW shows RENAME COLUMN used TO z'),
('rename-table', 'warning', 'ALTER TABLE big RENAME TO z'),
('rename-table', NULL, 'CREATE TABLE t (a int); ALTER TABLE t RENAME TO z'),
('rename-schema', 'warning', 'ALTER SCHEMA lint RENAME TO z'),
('rename-schema', NULL, 'CREATE SCHEMA s; ALTER SCHEMA s RENAME TO z'),
('move-to-schema', 'warning', 'ALTER TABLE big SET SCHEMA public'),
('move-to-schema', NULL, 'ALTER TABLE none SET SCHEMA public'),
('still-used', 'error', 'ALTER TABLE big DROP COLUMN used'),
('still-used', 'warning', 'ALTER TABLE big DROP COLUMN called'),
('still-used', 'warning', 'ALTER TABLE big RENAME called TO z'),
('still-used', 'error', 'ALTER TABLE big DROP COLUMN c'),
('still-used', 'error', 'DROP TABLE few'),
('still-used', 'warning', 'DROP TABLE few CASCADE'),
('still-used', 'error', 'DROP TYPE mood'),
('still-used', 'warning', 'DROP TYPE mood CASCADE'),
('still-used', 'error', 'DROP DOMAIN anything'),
('still-used', 'error', 'CREATE TABLE t (u unused[]); DROP TYPE unused'),
('still-used', 'error', 'CREATE TYPE z AS ENUM (''a''); CREATE TABLE t (z z); DROP TYPE z'),
('still-used', 'error', 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (t_id int REFERENCES t); DROP TABLE t'),
('still-used', 'error', 'ALTER TABLE none ADD FOREIGN KEY (a) REFERENCES middle; DROP TABLE middle'),
('still-used', 'error', 'CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t; DROP TABLE t'),
('still-used', 'error', 'CREATE TABLE t (a int, b int); CREATE VIEW v AS SELECT a FROM t; ALTER TABLE t DROP a'),
('still-used', 'warning', 'CREATE TABLE t (a int, b int); CREATE VIEW v AS SELECT b FROM t WHERE a > 1; ALTER TABLE t DROP a CASCADE'),
('still-used', 'error', 'CREATE VIEW v AS SELECT * FROM none; ALTER TABLE none DROP a'),
('still-used', NULL, 'CREATE TABLE t (a int, b int); CREATE VIEW v AS SELECT b FROM t; ALTER TABLE t DROP a'),
('still-used', NULL, 'CREATE TABLE t (a int, b int); CREATE VIEW v AS SELECT a FROM t; DROP VIEW v; ALTER TABLE t DROP a'),
('still-used', 'error', 'DROP INDEX big_pkey'),
('still-used', 'error', 'DROP INDEX parted_1_at_idx'),
('still-used', 'error', 'CREATE TABLE t (a int CONSTRAINT k UNIQUE); DROP INDEX k'),
('still-used', NULL, 'DROP TYPE unused'),
('still-used', NULL, 'DROP TABLE has_mood; DROP TYPE mood'),
('still-used', NULL, 'ALTER TABLE has_mood DROP COLUMN m, ALTER list TYPE text[]; DROP TYPE mood'),
('still-used', NULL, 'CREATE TABLE t (u unused); ALTER TABLE t ALTER u TYPE text; DROP TYPE unused'),
('still-used', NULL, 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (t_id int REFERENCES t); DROP TABLE t, u'),
('still-used', NULL, 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (t_id int REFERENCES t); ALTER TABLE u DROP COLUMN t_id; DROP TABLE t'),
('still-used', NULL, 'ALTER TABLE none ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES middle; ALTER TABLE none DROP CONSTRAINT k; DROP TABLE middle'),
('still-used', NULL, 'CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t; DROP VIEW v; DROP TABLE t'),
('still-used', NULL, 'CREATE OR REPLACE VIEW shows AS SELECT id, 1 AS used FROM few; ALTER TABLE big DROP COLUMN used'),
('still-used', NULL, 'DROP INDEX big_b'),
('still-used', NULL, 'DROP VIEW shows; ALTER TABLE big DROP COLUMN used'),
('still-used', NULL, 'ALTER TABLE big DROP COLUMN price'),
('still-used', NULL, 'DROP TABLE few, child'),
('still-used', NULL, 'ALTER TABLE big DROP COLUMN called; CREATE OR REPLACE FUNCTION calls() RETURNS bigint LANGUAGE sql AS ''SELECT 1::bigint'''),
('still-used', NULL, 'ALTER TABLE big RENAME called TO was_called; ALTER TABLE big ADD COLUMN called int'),
('still-used', NULL, 'ALTER TABLE child DROP CONSTRAINT child_few; DROP TABLE few'),
('still-used', NULL, 'CREATE OR REPLACE FUNCTION calls() RETURNS bigint LANGUAGE sql AS ''SELECT 1::bigint''; ALTER TABLE big DROP COLUMN called'),
('type-of-used-column', 'error', 'ALTER TABLE big ALTER used TYPE bigint'),
('type-of-used-column', NULL, 'DROP VIEW shows; ALTER TABLE big ALTER used TYPE bigint'),
('disable-trigger', 'warning', 'ALTER TABLE big DISABLE TRIGGER noted'),
('disable-trigger', NULL, 'ALTER TABLE big ENABLE TRIGGER noted'),
('small-key', 'note', 'CREATE TABLE t (a serial PRIMARY KEY)'),
('small-key', 'note', 'CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (a))'),
('small-key', NULL, 'CREATE TABLE t (a bigserial PRIMARY KEY)'),
('small-key', NULL, 'CREATE TABLE t (a int PRIMARY KEY)'),
('serial-column', 'note', 'CREATE TABLE t (a bigserial)'),
('serial-column', NULL, 'CREATE TABLE t (a bigint GENERATED ALWAYS AS IDENTITY)'),
('limited-text', 'note', 'CREATE TABLE t (a varchar(20))'),
('limited-text', NULL, 'CREATE TABLE t (a varchar)'),
('padded-text', 'note', 'ALTER TABLE none ADD COLUMN n char(3)'),
('padded-text', 'note', 'CREATE TABLE t (a char(3), b char(4)); ALTER TABLE t ADD COLUMN c char'),
('padded-text', 'note note', 'CREATE TABLE t (a char(3)); CREATE TABLE u (a char(3))'),
('padded-text', NULL, 'ALTER TABLE none ADD COLUMN n "char"'),
('timestamp-without-zone', 'note', 'CREATE TABLE t (a timestamp)'),
('timestamp-without-zone', NULL, 'CREATE TABLE t (a timestamptz)'),
('new-enum', 'note', 'CREATE TYPE e AS ENUM (''x'')'),
('new-enum', NULL, 'CREATE TYPE e AS (x int)'),
('enum-value-without-place', 'note', 'ALTER TYPE mood ADD VALUE ''calm'''),
('enum-value-without-place', NULL, 'ALTER TYPE mood ADD VALUE ''calm'' AFTER ''sad'''),
('enum-value-used-at-once', 'error', 'ALTER TYPE mood ADD VALUE ''calm''; CREATE TABLE t (m mood DEFAULT ''calm'')'),
('enum-value-used-at-once', 'error', 'ALTER TYPE mood ADD VALUE ''calm''; SELECT ''calm''::mood'),
('enum-value-used-at-once', NULL, 'ALTER TYPE mood ADD VALUE ''calm''; SELECT ''calm''::text, ''sad''::mood'),
('unknown-object', 'error', 'ALTER TABLE nowhere ADD COLUMN a int'),
('unknown-object', 'error', 'ALTER TABLE big DROP COLUMN nothing'),
('unknown-object', 'error', 'INSERT INTO big (id, nothing) VALUES (1, 2)'),
('unknown-object', 'error', 'UPDATE few SET nothing = 1'),
('unknown-object', 'error', 'CREATE TABLE t (a int REFERENCES few (nothing))'),
('unknown-object', 'error', 'WITH w AS (SELECT 1) SELECT * FROM w, nowhere'),
('unknown-object', 'error', 'DROP TABLE nowhere'),
('unknown-object', 'error', 'CREATE TABLE t (a int); ALTER TABLE t RENAME TO u; DROP TABLE t'),
('unknown-object', 'error', 'ALTER TABLE big VALIDATE CONSTRAINT nothing'),
('unknown-object', 'error', 'CREATE TABLE t (a int); ALTER TABLE t DROP CONSTRAINT t_a_key'),
('unknown-object', 'error', 'CREATE TABLE t (a int REFERENCES few, CHECK (a > 0)); ALTER TABLE t DROP CONSTRAINT t_check'),
('unknown-object', 'error', 'CREATE TABLE t (LIKE few); ALTER TABLE t DROP CONSTRAINT t_pkey'),
('unknown-object', NULL, 'CREATE TABLE t (a int UNIQUE REFERENCES few, b int, c int CHECK (c > 0) CHECK (c < 9), d int PRIMARY KEY, CHECK (a > b), UNIQUE (a, b), EXCLUDE (a WITH =));
	ALTER TABLE t DROP CONSTRAINT t_a_key, DROP CONSTRAINT t_a_fkey, DROP CONSTRAINT t_c_check, DROP CONSTRAINT t_c_check1, DROP CONSTRAINT t_pkey,
	DROP CONSTRAINT t_check, DROP CONSTRAINT t_a_b_key, DROP CONSTRAINT t_a_excl; CREATE INDEX ON t (lower(a::text)); DROP INDEX t_lower_idx'),
('unknown-object', NULL, 'CREATE TABLE t (LIKE few INCLUDING ALL); ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE TABLE u () INHERITS (child); ALTER TABLE u DROP CONSTRAINT x'),
('unknown-object', NULL, 'ALTER TABLE IF EXISTS nowhere ADD COLUMN a int; DROP TABLE IF EXISTS nowhere'),
('unknown-object', NULL, 'WITH w AS (SELECT 1) SELECT * FROM w, pg_class, information_schema.tables'),
('unknown-object', NULL, 'DO $x$ BEGIN EXECUTE ''CREATE TABLE nowhere (a int)''; END $x$; DROP TABLE nowhere'),
('unknown-object', NULL, 'CREATE TABLE t (LIKE big); ALTER TABLE t DROP COLUMN price; CREATE TABLE u (a int); ALTER TABLE u RENAME a TO b; CREATE INDEX ON u (b)'),
('unknown-object', NULL, 'CREATE SCHEMA s; CREATE TABLE s.t (a int); SET search_path = s; ALTER TABLE t ADD COLUMN b int; SELECT b FROM t FOR UPDATE OF t'),
('unknown-object', NULL, 'SELECT * FROM few f FOR UPDATE OF f'),
('unknown-object', 'error', 'ALTER TABLE child RENAME CONSTRAINT child_few TO other; ALTER TABLE child DROP CONSTRAINT child_few'),
('unknown-object', NULL, 'ALTER TABLE child RENAME CONSTRAINT child_few TO other; ALTER TABLE child DROP CONSTRAINT other'),
('unknown-object', NULL, 'CREATE SEQUENCE s; CREATE FOREIGN TABLE f (a int) SERVER x; ALTER SEQUENCE s OWNED BY f.a; COPY f FROM ''/nowhere''; DROP SEQUENCE s; DROP FOREIGN TABLE f'),
('unknown-object', NULL, 'CREATE SCHEMA s CREATE TABLE t (a int); SELECT set_config(''search_path'', ''s'', true); ALTER TABLE t ADD COLUMN b int'),
('unknown-object', 'error', 'CREATE SCHEMA s CREATE TABLE t (a int); SET search_path = s; RESET search_path; ALTER TABLE t ADD COLUMN b int'),
('unknown-object', NULL, 'DROP EXTENSION hstore; ALTER TABLE nowhere ADD COLUMN b int'),
('unknown-object', NULL, 'CREATE SCHEMA AUTHORIZATION app CREATE TABLE t (a int); ALTER TABLE app.t ADD COLUMN b int'),
('unknown-type', 'error', 'CREATE TABLE t (a color)'),
('unknown-type', 'error', 'ALTER TABLE few ALTER a TYPE bigserial'),
('unknown-type', 'error', 'CREATE TABLE t (a int); ALTER TABLE t ALTER a TYPE serial'),
('unknown-type', NULL, 'ALTER TABLE few ADD COLUMN n bigserial'),
('unknown-type', NULL, 'ALTER TYPE mood RENAME TO temper; CREATE TYPE span AS RANGE (subtype = int4); CREATE TYPE shell; CREATE TABLE t (a temper, b span, c shell)'),
('unknown-type', NULL, 'CREATE TYPE color AS ENUM (''red''); CREATE TABLE t (a color, b mood, c big, d mood[])'),
('already-exists', 'error', 'CREATE TABLE few (a int)'),
('already-exists', 'error', 'ALTER TABLE few ADD COLUMN a int'),
('already-exists', 'error', 'CREATE INDEX big_b ON big (b, a)'),
('already-exists', NULL, 'CREATE TABLE IF NOT EXISTS few (a int); ALTER TABLE few ADD COLUMN IF NOT EXISTS a int'),
('already-exists', NULL, 'DROP TABLE big; CREATE TABLE big (b text); CREATE INDEX big_b ON big (b)'),
('already-exists', NULL, 'DROP TABLE child; CREATE TABLE child (a int); ALTER TABLE none DROP COLUMN a, ADD COLUMN a text'),
('name-too-long', 'warning', 'CREATE TABLE a2345678901234567890123456789012345678901234567890123456789012345 (a int)'),
('name-too-long', NULL, 'CREATE TABLE a23456789012345678901234567890123456789012345678901234567890123 (a int); SELECT ''a23456789012345678901234567890123456789012345678901234567890123456789'' /* a23456789012345678901234567890123456789012345678901234567890123456789 */'),
('secret-in-body', 'warning', 'CREATE ROLE somebody PASSWORD ''geheim'''),
('secret-in-body', 'warning', 'INSERT INTO big (b) VALUES (''postgres://me:geheim@host/db'')'),
('secret-in-body', 'warning', 'SELECT 1; SELECT $x$AKIAABCDEFGHIJKLMNOP$x$'),
('secret-in-body', NULL, 'CREATE ROLE somebody LOGIN; ALTER ROLE somebody PASSWORD NULL; SELECT ''https://host/path'', ''AKIA'''),
('could-be-cut', 'note', 'ALTER TABLE big ADD CONSTRAINT k FOREIGN KEY (fk) REFERENCES few NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT k'),
('could-be-cut', 'note', 'ALTER TABLE few ADD COLUMN n int; SELECT 1; UPDATE big SET b = 1'),
('could-be-cut', 'note', 'ALTER TABLE few ADD COLUMN n int; ALTER TABLE child ADD COLUMN n int'),
('could-be-cut', 'note note', 'ALTER TABLE few ADD COLUMN n int; ALTER TABLE child ADD COLUMN n int; CREATE INDEX ON middle (a)'),
('could-be-cut', NULL, 'ALTER TABLE few ADD COLUMN n int; ALTER TABLE few ADD COLUMN m int; UPDATE none SET a = 1'),
('could-be-cut', NULL, 'CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int; UPDATE big SET b = 1'),
('could-be-cut', NULL, 'CREATE INDEX CONCURRENTLY ON big (used); UPDATE big SET b = 1'),
('lock-held-long', 'error', 'ALTER TABLE few ADD COLUMN n int; UPDATE big SET b = 1 WHERE a > 1'),
('lock-held-long', 'error', 'ALTER TABLE big ADD COLUMN n int; UPDATE big SET n = 1'),
('lock-held-long', 'warning', 'ALTER TABLE few ADD COLUMN n int; CREATE INDEX ON middle (a)'),
('lock-held-long', NULL, 'UPDATE big SET b = 1 WHERE a > 1; ALTER TABLE few ADD COLUMN n int'),
('lock-held-long', NULL, 'ALTER TABLE few ADD COLUMN n int; UPDATE few SET n = 1'),
('lock-held-long', NULL, 'ALTER TABLE big ADD COLUMN n int; ALTER TABLE big ALTER a SET NOT NULL'),
('merge-alter-table', 'note', 'ALTER TABLE big ADD COLUMN n int; ALTER TABLE big ALTER a SET NOT NULL'),
('merge-alter-table', NULL, 'ALTER TABLE big ADD COLUMN n int, ALTER a SET NOT NULL'),
('lock-timeout-off', 'warning', 'SET lock_timeout = 0'),
('lock-timeout-off', 'warning', 'SET LOCAL lock_timeout TO ''0'''),
('lock-timeout-off', NULL, 'SET lock_timeout = ''2s''; SET statement_timeout = 0'),
('lint-off-unknown', 'warning', '-- migrate:lint-off no-such-rule
SELECT 1'),
('lint-off-unknown', NULL, '-- migrate:lint-off drop-table
SELECT 1');

-- what is in the way may have gone in code that nobody reads
INSERT INTO cases (rule, fires, up)
	SELECT rule, left(fires, after.severity), concat(after.up, '; ', refused.up)
	FROM (VALUES ('still-used', 'error', 'DROP TABLE parted'),
		('still-used', 'error', 'ALTER TABLE big DROP COLUMN used'),
		('still-used', 'error', 'DROP TABLE few'),
		('still-used', 'error', 'DROP INDEX few_pkey'),
		('still-used', 'error', 'DROP TYPE mood'),
		('still-used', 'error', 'DROP DOMAIN anything'),
		('type-of-used-column', 'error', 'ALTER TABLE big ALTER used TYPE bigint'),
		('index-concurrently-on-partitioned', 'error', 'CREATE INDEX CONCURRENTLY ON parted (id)'),
		('refused-on-partitioned', 'error', 'ALTER TABLE parted ADD PRIMARY KEY USING INDEX parted_at'),
		('invalid-index-is-kept', 'error', 'CREATE INDEX IF NOT EXISTS big_broken ON big (used)'),
		('unknown-type', 'error', 'ALTER TABLE few ADD COLUMN c nothing'),
		('already-exists', 'error', 'CREATE TABLE few (a int)'),
		('unknown-object', 'error', 'DROP TABLE nowhere')) AS refused (rule, fires, up),
	(VALUES (NULL, 'DO $x$ BEGIN EXECUTE ''anything''; END $x$'),
		(NULL, 'SELECT calls()'),
		(NULL, 'CALL anything()'),
		(NULL, 'INSERT INTO none (id) SELECT fickle()'),
		(NULL, 'UPDATE none SET a = fickle() WHERE id = 1'),
		(NULL, 'DELETE FROM none WHERE id = anything()'),
		(NULL, 'CREATE TABLE made AS SELECT fickle()'),
		(NULL, 'COPY (SELECT fickle()) TO ''/nowhere'''),
		(NULL, 'EXPLAIN ANALYZE SELECT fickle()'),
		(10, 'INSERT INTO none (id) SELECT steady()'),
		(10, 'INSERT INTO none (id) SELECT hashint4(7)'),
		(10, 'CREATE VIEW made AS SELECT fickle()')) AS after (severity, up);
INSERT INTO cases (rule, fires, up) VALUES
('add-column-not-null', 'warning', 'SELECT calls(); ALTER TABLE few ADD COLUMN n int NOT NULL'),
('change-type-rewrites', 'warning', 'SELECT calls(); ALTER TABLE few ALTER a TYPE mood'),
('still-used', 'warning', 'SELECT calls(); ALTER TABLE big DROP COLUMN called'),
('still-used', NULL, 'DROP SCHEMA lint_views CASCADE; ALTER TABLE parted DROP COLUMN id');

-- of the way back
-- what PostgreSQL 18 takes and those before refuse
INSERT INTO cases (rule, fires, up)
	SELECT 'refused-on-partitioned', CASE WHEN current_setting('server_version_num')::int < 180000 THEN 'error' END, up
	FROM (VALUES ('ALTER TABLE parted ADD FOREIGN KEY (id) REFERENCES few NOT VALID'),
		('CREATE TABLE t (a int) PARTITION BY LIST (a); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES few NOT VALID')) AS refused (up);
INSERT INTO cases (rule, fires, up, down) VALUES
('down-loses-data', 'error', 'ALTER TABLE big ADD COLUMN n int', 'ALTER TABLE big DROP COLUMN n; ALTER TABLE big DROP COLUMN price'),
('down-loses-data', 'warning', 'SELECT 1', 'DROP TABLE child'),
('down-loses-data', 'warning', 'SELECT 1', 'DELETE FROM child'),
('down-loses-data', NULL, 'ALTER TABLE big ADD COLUMN n int; CREATE TABLE t (a int)', 'DROP TABLE t; ALTER TABLE big DROP COLUMN n'),
('down-loses-data', NULL, 'SELECT 1', 'DELETE FROM child WHERE id = 2'),
('down-does-not-restore', 'note', 'ALTER TABLE big DROP COLUMN price', 'ALTER TABLE big ADD COLUMN price numeric'),
('down-does-not-restore', 'note', 'DROP TABLE child', 'CREATE TABLE child (id int)'),
('down-does-not-restore', NULL, 'DROP TABLE none', 'CREATE TABLE none (id int)'),
('create-index-blocks-writes', 'error', 'DROP INDEX CONCURRENTLY big_b', 'CREATE INDEX big_b ON big (b)'),
('already-exists', NULL, 'CREATE TABLE t (a int); CREATE INDEX i ON t (a)', 'DROP TABLE t; CREATE TABLE t (b int); CREATE INDEX i ON t (b)'),
('unknown-object', NULL, 'CREATE TABLE t (a int); ALTER TABLE big RENAME TO huge', 'DROP TABLE t; ALTER TABLE huge RENAME TO big');

INSERT INTO cases (rule, fires, up, transactional) VALUES
('concurrently-in-transaction', 'error', 'CREATE INDEX CONCURRENTLY ON big (used)', true),
('concurrently-in-transaction', NULL, 'CREATE INDEX CONCURRENTLY ON big (used)', NULL),
('enum-value-used-at-once', NULL, 'ALTER TYPE mood ADD VALUE ''calm''; SELECT ''calm''::mood', false),
('validate-in-same-migration', NULL, 'ALTER TABLE big ADD CONSTRAINT k CHECK (a > 0) NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT k', false),
('lock-held-long', NULL, 'ALTER TABLE few ADD COLUMN n int; UPDATE big SET b = 1 WHERE a > 1', false);

-- what is not as it should be
SELECT c.n, c.rule, c.fires AS expected, s.found, c.up, c.down
	FROM cases c CROSS JOIN LATERAL severities(c.rule, c.up, c.down, transactional => c.transactional) AS s (found)
	WHERE c.fires IS DISTINCT FROM s.found ORDER BY c.n;
-- rules without a case that fires, or without a near miss
SELECT rule FROM cases GROUP BY rule HAVING bool_and(fires IS NULL) OR bool_and(fires IS NOT NULL);

-- whole findings
SELECT migrate.add('1', E'CREATE INDEX ON big (used);\n\n  ALTER TABLE "few" ADD COLUMN n int NOT NULL;', name => 'first');
\x on
SELECT * FROM migrate.lint();
\x off
SELECT migrate.remove('1');

-- what messages name
SELECT migrate.add('1', 'CREATE TABLE names ("a ""quoted"" name that is longer than the sixty-three bytes of a name of the server" int,
	A_Name_That_Is_Not_Quoted_And_Longer_Than_The_Sixty_Three_Bytes_Of_The_Server int, c char(2), d char(3), v varchar(4), s serial, t timestamp)', 'SELECT 1');
SELECT migrate.add('2', 'ALTER TABLE names ADD COLUMN e char(4);
ALTER TABLE big ADD CONSTRAINT key FOREIGN KEY (fk_indexed) REFERENCES few NOT VALID;
ALTER TABLE big VALIDATE CONSTRAINT key;
CREATE INDEX ON parted (id);
ALTER TABLE parted ADD UNIQUE (id, at);
DROP INDEX parted_at;
ALTER TABLE defaulted DETACH PARTITION defaulted_1;
CREATE TABLE defaulted_2 PARTITION OF defaulted FOR VALUES FROM (10) TO (20);', 'SELECT 1');
SELECT version, line, rule, message, instead FROM migrate.lint();
SELECT migrate.remove(v) FROM unnest('{1,2}'::text[]) v;

-- busy tables: a load is no traffic, and what a rehearsal has rolled back is
-- neither that nor rows
SELECT pg_stat_reset();
CREATE TABLE busy (id int PRIMARY KEY, a int) WITH (autovacuum_enabled = off);
INSERT INTO busy SELECT n, n FROM generate_series(1, 300000) n;
CREATE TABLE rehearsed (id int PRIMARY KEY, a int) WITH (autovacuum_enabled = off);
INSERT INTO rehearsed SELECT n, n FROM generate_series(1, 15000) n;
ANALYZE busy, rehearsed;
SELECT migrate.add('1', 'UPDATE rehearsed SET a = a + 1; INSERT INTO rehearsed SELECT n, n FROM generate_series(20000, 60000) n', 'SELECT 1');
SELECT count(*) FROM generate_series(1, 6) n, LATERAL migrate.rehearse(project => left('default', n + 7)) r WHERE r.sqlstate IS NULL;
SELECT migrate.remove('1');
SELECT pg_stat_force_next_flush();
SELECT migrate.add('1', 'CREATE INDEX ON rehearsed (a)', 'SELECT 1');
SELECT severity, relation_rows, message FROM migrate.lint();
SELECT migrate.remove('1');
SELECT severities('lock-on-busy-table', 'ALTER TABLE busy ADD COLUMN n int');
SELECT severities('create-index-blocks-writes', 'CREATE INDEX ON busy (a)');
-- many transactions that are committed are traffic, but for rows that are only
-- inserted into a new database: they may be a load
SET synchronous_commit = off;
CREATE TABLE loaded (id int) WITH (autovacuum_enabled = off);
DO $$ BEGIN FOR i IN 1 .. 185000 LOOP UPDATE lint.busy SET a = a + 1 WHERE id = i; INSERT INTO lint.loaded VALUES (i); COMMIT; END LOOP; END $$;
RESET synchronous_commit;
SELECT pg_stat_force_next_flush();
SELECT severities('lock-on-busy-table', 'ALTER TABLE busy ADD COLUMN n int');
SELECT severities('lock-on-busy-table', 'ALTER TABLE few ADD COLUMN n int');
SELECT severities('lock-on-busy-table', 'ALTER TABLE loaded ADD COLUMN n int');
SELECT severities('foreign-key-to-busy-table', 'CREATE TABLE t (a int REFERENCES busy)');
SELECT severities('foreign-key-to-busy-table', 'CREATE TABLE t (a int REFERENCES few)');
SELECT severities('create-index-blocks-writes', 'CREATE INDEX ON busy (a)');

-- numbering
SELECT migrate.add(v, 'SELECT 1', 'SELECT 1') FROM unnest('{1,2,3,5}'::text[]) v;
SELECT version, body, rule, severity, message FROM migrate.lint();
SELECT severities('version-gap', 'SELECT 1', version => '6');
SELECT severities('version-gap', 'SELECT 1', version => '4');
SELECT severities('version-duplicate', 'SELECT 1', version => '05');
SELECT severities('version-duplicate', 'SELECT 1', version => '50');
SELECT migrate.stamp('5');
SELECT version, rule, severity, message FROM migrate.lint();
SELECT version, rule FROM migrate.lint(versions => '{2}');
SELECT version, rule FROM migrate.lint('1');
UPDATE migrate.policy SET out_of_order = 'allow';
SELECT severities('version-out-of-order', 'SELECT 1', version => '4');
UPDATE migrate.policy SET out_of_order = 'error';
SELECT migrate.unstamp('5');
SELECT migrate.remove(v) FROM unnest('{1,2,3,5}'::text[]) v;
SELECT severities('missing-down', 'SELECT 1', NULL);
SELECT migrate.add(v, 'SELECT 1') FROM unnest('{1,2,3}'::text[]) v;
SELECT migrate.add('4', '-- migrate:lint-off-file missing-down
SELECT 1');
SELECT version, severity, message FROM migrate.lint();
UPDATE migrate.policy SET require_down = true;
SELECT version, severity FROM migrate.lint();
UPDATE migrate.policy SET require_down = false;
SELECT migrate.remove(v) FROM unnest('{1,2,3,4}'::text[]) v;
SELECT severities('missing-down', 'SELECT 1');
SELECT migrate.add('1', 'SELECT 1', irreversible => true);
SELECT * FROM migrate.lint();
SELECT migrate.remove('1');
SELECT severities('empty-body', E'-- later\n', 'SELECT 1');
SELECT severities('empty-body', 'SELECT 1', '-- nothing');
SELECT severities('empty-down', 'SELECT 1', down), down FROM unnest(ARRAY['', E' \n-- TODO', 'BEGIN; /* XXX */ COMMIT;', ';']) down;
SELECT severities('empty-down', up, down), up, down FROM (VALUES ('SELECT 1', 'SELECT 1'), ('-- later', '-- later'), ('SELECT 1', NULL)) v (up, down);
SELECT version, result FROM migrate.load('{"1_a.up.sql": "SELECT 1", "1_a.down.sql": "DROP IF"}');
SELECT version, body, rule, severity, message FROM migrate.lint();
SELECT migrate.remove('1');
SELECT severities('body-refused', 'SELECT 1', 'SELECT 1');

-- verify bodies that pass, whatever they find
CREATE FUNCTION verify_severities(rule text, verify text, source text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	PERFORM migrate.add('1', 'SELECT 1', 'SELECT 1', verify => verify, provenance => jsonb_build_object('source', source));
	SELECT string_agg(l.severity, ' ') INTO found FROM migrate.lint() l WHERE l.rule = verify_severities.rule;
	PERFORM migrate.remove('1');
	RETURN found;
END $$;
SELECT verify_severities('verify-cannot-fail', v), v FROM unnest(ARRAY[
	'SELECT count(*) FROM pg_class WHERE relname = ''nosuch''',
	'SELECT count(*) FROM few',
	'select 1 from pg_class where relname = ''nosuch''',
	'SELECT relname, relkind = ''r'' FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace',
	'SELECT table_name FROM information_schema.tables WHERE table_name = ''nosuch''',
	'SELECT count(*)::int FROM pg_class UNION SELECT 2',
	'SELECT EXISTS (SELECT FROM pg_class)::int',
	'SELECT (SELECT count(*) FROM pg_class) AS n',
	'SELECT true', 'SELECT 1; SELECT ''f''', 'SET search_path = lint', '-- later', 'VALUES (1)',
	'SELECT * FROM pg_class WHERE relname = ''nosuch''']) v;
-- near misses
SELECT severities('verify-cannot-fail', 'SELECT count(*) FROM big');
SELECT verify_severities('verify-cannot-fail', v), v FROM unnest(ARRAY[
	'SELECT count(*) = 1 FROM pg_class', 'SELECT EXISTS (SELECT FROM pg_class)', 'SELECT 1 / count(*) FROM pg_class',
	'SELECT id FROM few LIMIT 0', 'SELECT 1 FROM few WHERE false', 'SELECT FROM few', 'SELECT ''few''::regclass', 'SELECT false', 'SELECT NULL',
	'SELECT count(*) FROM pg_class WHERE oid = ''few''::regclass', 'SELECT count(*) FROM calls()',
	'SELECT sum(id) FROM few', 'SELECT relispopulated FROM pg_class', 'SELECT count(*) FROM few; SELECT id FROM few LIMIT 0',
	'DO $d$ BEGIN ASSERT false; END $d$', 'DELETE FROM few', 'SELECT calls()']) v;
SELECT verify_severities('verify-cannot-fail', v, 'sqitch'), v FROM unnest(ARRAY['SELECT count(*) FROM few', 'SELECT count(*) FROM pg_class']) v;

-- an enum value that an earlier migration of the same run adds
SELECT migrate.add('1', 'ALTER TYPE mood ADD VALUE ''calm'' AFTER ''sad''', 'SELECT 1');
SELECT migrate.add('2', 'SELECT ''calm''::mood', 'SELECT 1');
SELECT version, rule, severity, message FROM migrate.lint();
SELECT migrate.remove(v) FROM unnest('{1,2}'::text[]) v;

-- what an earlier migration makes is there for a later one
SELECT migrate.add('1', 'CREATE TABLE t (a int); ALTER TABLE big DROP COLUMN price', 'DROP TABLE t');
SELECT migrate.add('2', 'CREATE INDEX ON t (a); ALTER TABLE big ALTER price SET DEFAULT 1', 'SELECT 1');
SELECT version, rule, severity, message FROM migrate.lint() WHERE version = '2';
SELECT migrate.remove(v) FROM unnest('{1,2}'::text[]) v;

-- switched off: by a comment before the statement, for the body, for the project
SELECT severities('create-index-blocks-writes', 'CREATE INDEX ON big (used);
-- migrate:lint-off drop-table, create-index-blocks-writes
CREATE INDEX ON big (called); CREATE INDEX ON big (price)');
SELECT severities('create-index-blocks-writes', '/* migrate:lint-off create-index-blocks-writes */ CREATE INDEX ON big (used)');
SELECT severities('create-index-blocks-writes', '-- migrate:lint-off create-index
CREATE INDEX ON big (used)');
SELECT severities('create-index-blocks-writes', '-- migrate:lint-off-file create-index-blocks-writes
CREATE INDEX ON big (used); CREATE INDEX ON big (price)', 'CREATE INDEX ON big (used)');
SELECT severities('missing-down', '-- migrate:lint-off-file missing-down
SELECT 1', NULL);
SELECT severities('create-index-blocks-writes', 'SELECT ''-- migrate:lint-off create-index-blocks-writes''; CREATE INDEX ON big (used)');
UPDATE migrate.policy SET lint_off = '{create-index-blocks-writes,no-such-rule}';
SELECT severities('create-index-blocks-writes', 'CREATE INDEX ON big (used)');
SELECT severities('drop-table', 'DROP TABLE child');
SELECT version, rule, severity, message FROM migrate.lint();
UPDATE migrate.policy SET lint_off = '{}';

-- the comments in files
SELECT version, result FROM migrate.load('{"1_a.sql": "-- migrate:up\n-- migrate:lint-off create-index-blocks-writes\nCREATE INDEX ON big (used);\n-- migrate:down\nDROP INDEX IF EXISTS x; -- migrate:lint-off\n"}');
SELECT version, rule FROM migrate.lint();
SELECT migrate.remove('1');
SELECT migrate.load('{"1_a.sql": "-- migrate:lint-of create-index-blocks-writes\nCREATE INDEX ON big (used);\n"}');
SELECT migrate.load('{"1_a.sql": "-- migrate:lint-off-file missing-down\n-- migrate:up\nSELECT 1;\n"}');
SELECT version, result FROM migrate.load('{"1_a.sql": "-- migrate:lint-off-file missing-down\nSELECT 1;\n"}');
SELECT version, rule FROM migrate.lint();
SELECT migrate.remove('1');

-- what a body that cannot be run would have made is not missed
SET client_min_messages = error;
SELECT version, result FROM migrate.load('{"1_a.up.sql": "CREATE TABLE refused (a int); COMMIT; CREATE TABL x", "2_b.up.sql": "ALTER TABLE refused ADD COLUMN b nothing; DROP TABLE parted", "3_c.up.sql": "CREATE INDEX i ON refused (a); SELECT * FROM x"}');
SELECT version, rule, message FROM migrate.lint() WHERE severity = 'error';
SELECT migrate.remove(v) FROM unnest('{3,2,1}'::text[]) v;
SET client_min_messages = warning;
SELECT version, result FROM migrate.load('{"1_a.up.sql": "CREATE TABLE fine (a int)", "1_a.down.sql": "DROP TABL fine", "2_b.up.sql": "ALTER TABLE refused ADD COLUMN b int"}');
SELECT version, rule, message FROM migrate.lint() WHERE severity = 'error';
SELECT migrate.remove(v) FROM unnest('{2,1}'::text[]) v;

-- what apply() makes of it
SET client_min_messages = notice;
SELECT migrate.add('1', 'ALTER TABLE few ADD COLUMN j json; CREATE TABLE made (a varchar(3))', 'DROP TABLE nowhere');
SELECT migrate.add('2', E'CREATE TABLE made_too (a int);\nALTER TABLE few ADD COLUMN k json;\nDROP TABLE nowhere;');
UPDATE migrate.policy SET lint = 'error';
SELECT version FROM migrate.apply();
\echo :LAST_ERROR_SQLSTATE
CALL migrate.apply_each();
SELECT to_regclass('made'), count(*) FROM migrate.journal;
SELECT version FROM migrate.apply('1');
UPDATE migrate.policy SET lint = 'warn';
SELECT version, action FROM migrate.apply(raise => false);
UPDATE migrate.policy SET lint = 'off';
SELECT version, action FROM migrate.apply(raise => false);
SELECT migrate.remove('2');

-- with the line of the file, if there is one
SELECT version FROM migrate.load('{"7_a.sql": "-- a comment\n\n-- migrate:up\nSELECT 1;\nDROP TABLE nowhere;\n-- migrate:down\nSELECT 1;\n"}') WHERE result <> 'unchanged';
SELECT version, statement, line, rule FROM migrate.lint();
UPDATE migrate.policy SET lint = 'error';
SELECT version FROM migrate.apply();
UPDATE migrate.policy SET lint = 'off';
SELECT migrate.remove('7');

-- what is not there, and what is not right
SELECT * FROM migrate.lint('nothing');
SELECT * FROM migrate.lint(project => NULL);
UPDATE migrate.policy SET lint_off = '{NULL}';
SELECT * FROM migrate.lint(project => 'another');

SET client_min_messages = warning;
DROP SCHEMA lint, lint_views CASCADE;
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
