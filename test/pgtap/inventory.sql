-- inventory.sql: a team whose revisions have hashes for names
--
-- Revisions are ordered by what they require and by nothing else.  Two
-- developers make one each, which gives two heads and then a merge; a column
-- is renamed in two releases; a migration is held and the rest goes on; state
-- is mended with stamps; a pipeline reads psql's exit status and a monitor
-- polls three queries.
--
--     pg_prove --set examples=/absolute/path/to/examples test/pgtap/inventory.sql
--
-- As superuser; psql must be in the PATH.  The story plays in a database of
-- its own, migrate_inventory.

\if :{?examples}
\else
\echo 'Bail out! --set examples=DIRECTORY is missing'
\quit
\endif

\set story inventory
\ir story.psql

-- The files of the given revisions, as a checkout of the project has them.
SELECT set_config('story.directory', :'examples' || '/inventory', false) AS directory \gset
CREATE FUNCTION tap.checkout(VARIADIC revisions text[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
	SELECT jsonb_object_agg(f, pg_read_file(current_setting('story.directory') || '/' || f))
	FROM pg_ls_dir(current_setting('story.directory')) f
	WHERE split_part(f, '_', 1) = ANY (revisions)
$$;

SELECT plan(68);

-- ---------------------------------------------------------------------------
-- Order by requirements alone
-- ---------------------------------------------------------------------------

SELECT is(
	(SELECT string_agg(version || ' ' || result, E'\n' ORDER BY version COLLATE "C")
	 FROM migrate.load(tap.checkout('3f9a1c2b7d10', 'a41be07c95d2', '0c7d52e8f1b4'))),
	$$0c7d52e8f1b4 added
3f9a1c2b7d10 added
a41be07c95d2 added$$,
	'load() stores three revisions');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.status()),
	'3f9a1c2b7d10 a41be07c95d2 0c7d52e8f1b4', 'status() shows them in the order of their requirements');

SELECT is(
	(SELECT string_agg(h, ' ') FROM migrate.heads() h),
	'0c7d52e8f1b4', 'there is one head');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply(note => 'task 1')),
	'3f9a1c2b7d10 a41be07c95d2 0c7d52e8f1b4', 'apply() follows the requirements');

SELECT is(migrate.current(), '0c7d52e8f1b4', 'current() is the last in that order');

INSERT INTO parent_items (name) VALUES ('SCREW');
INSERT INTO child_items (parent_item_id, name, unit_cost, discontinued_at)
SELECT id, v.name, v.cost, v.discontinued_at
FROM parent_items, (VALUES
	('SCREW-M4', 0.05, NULL),
	('SCREW-M20', 12.50, NULL),
	('SCREW-OLD', 1.00, timestamptz '2001-01-01')) v (name, cost, discontinued_at);

-- ---------------------------------------------------------------------------
-- The first half of a rename: name and sku side by side
-- ---------------------------------------------------------------------------

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.load(tap.checkout('9b20e6a3d714')) WHERE result = 'added'),
	'9b20e6a3d714', 'a fourth revision comes');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply()),
	'9b20e6a3d714', 'and is applied');

SELECT col_not_null('public', 'parent_items', 'sku', 'the new column is not null');
SELECT is(
	(SELECT count(*) FROM child_items WHERE sku = name), 3::bigint,
	'rows that were there have the new column filled');
INSERT INTO parent_items (name) VALUES ('written by the old release');
INSERT INTO parent_items (sku) VALUES ('written by the new release');
UPDATE parent_items SET sku = 'BOLT' WHERE name = 'written by the old release';
SELECT is(
	(SELECT string_agg(name || '=' || sku, ' ' ORDER BY id) FROM parent_items),
	'SCREW=SCREW BOLT=BOLT written by the new release=written by the new release',
	'both releases can write');

-- ---------------------------------------------------------------------------
-- Two developers, two heads, a merge
-- ---------------------------------------------------------------------------

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.load(tap.checkout('d27c94b1e05a')) WHERE result = 'added'),
	'd27c94b1e05a', 'the revision of one developer');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.load(tap.checkout('5e8f03c1a7b6')) WHERE result = 'added'),
	'5e8f03c1a7b6', 'the revision of the other one');
SELECT set_eq('SELECT migrate.heads()', ARRAY['5e8f03c1a7b6', 'd27c94b1e05a'],
	'heads() names the two heads');

-- One of them has reached this database before the other one was written.
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply(versions => ARRAY['d27c94b1e05a'])),
	'd27c94b1e05a', 'one of the two is applied alone');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.load(tap.checkout('7a1f6e30c8d9')) WHERE result = 'added'),
	'7a1f6e30c8d9', 'the merge revision comes');
SELECT is(
	(SELECT string_agg(h, ' ') FROM migrate.heads() h),
	'7a1f6e30c8d9', 'after which there is one head');

SELECT is(
	(SELECT string_agg(version || ' ' || statements, E'\n') FROM migrate.apply()),
	$$5e8f03c1a7b6 3
7a1f6e30c8d9 0$$,
	'requirements fix the place of the late one, and the merge has no statement');

SELECT col_not_null('public', 'child_items', 'reorder_level', 'the added column is not null');
SELECT col_hasnt_default('public', 'child_items', 'reorder_level', 'its default is dropped');
SELECT is(
	(SELECT string_agg(reorder_level::text, ' ' ORDER BY id) FROM child_items),
	'100 10 0', 'rows that were there are back-filled');
SELECT throws_ok(
	$$INSERT INTO child_items (parent_item_id, sku) VALUES (1, 'SCREW-M5')$$,
	'23502', NULL, 'a new row has to bring its own value');

-- ---------------------------------------------------------------------------
-- The second half of the rename waits, and blocks nobody else
-- ---------------------------------------------------------------------------

SELECT is(
	(SELECT string_agg(version, ' ' ORDER BY version COLLATE "C")
	 FROM migrate.load(tap.checkout('4c6b9d08f2e7', 'e90d5b7a2c31')) WHERE result = 'added'),
	'4c6b9d08f2e7 e90d5b7a2c31', 'two more revisions');
SELECT is(
	migrate.add('b81d4e6f9a20', 'COMMENT ON TABLE locations IS ''where stock lies''',
		'COMMENT ON TABLE locations IS NULL',
		name => 'comment_on_locations', requires => ARRAY['a41be07c95d2']),
	'b81d4e6f9a20', 'and one that is independent of them');

SELECT is(migrate.hold('4c6b9d08f2e7', 'the old release still runs'), '4c6b9d08f2e7',
	'hold() answers with the version');

\set said `psql -X -c 'SELECT version FROM migrate.apply()' 2>&1`
SELECT alike(:'said'::text, '%NOTICE:%4c6b9d08f2e7%', 'the runner says what it skips');
SELECT is(
	(SELECT string_agg(version, ' ' ORDER BY version COLLATE "C")
	 FROM migrate.applied WHERE version >= '4c6b' AND version NOT IN ('5e8f03c1a7b6', '7a1f6e30c8d9')),
	'9b20e6a3d714 a41be07c95d2 b81d4e6f9a20 d27c94b1e05a',
	'a held migration and what requires it are skipped, the rest is applied');
SELECT has_column('public', 'child_items', 'name', 'the old column is still there');
SELECT is(
	(SELECT state FROM migrate.status() WHERE version = '4c6b9d08f2e7'),
	'held', 'status() says that it is held');
SELECT is(
	(SELECT held_reason FROM migrate.migration WHERE version = '4c6b9d08f2e7'),
	'the old release still runs', 'and the reason is kept');

SELECT is(migrate.unhold('4c6b9d08f2e7'), '4c6b9d08f2e7', 'unhold() answers with the version');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply()),
	'4c6b9d08f2e7 e90d5b7a2c31', 'after which both are applied');
SELECT columns_are('public', 'parent_items', ARRAY['id', 'description', 'created_at', 'sku'],
	'the rename is complete');
SELECT is(
	(SELECT string_agg(sku, ' ' ORDER BY id) FROM child_items),
	'SCREW-M4 SCREW-M20', 'what nobody has had in stock for years is purged');

-- ---------------------------------------------------------------------------
-- Stamps and base
-- ---------------------------------------------------------------------------

SELECT throws_ok($$SELECT * FROM migrate.rollback_to('base')$$, 'MG007', NULL,
	'base cannot be reached over an irreversible migration');
SELECT is((SELECT count(*) FROM migrate.applied), 10::bigint, 'and nothing was undone');

SELECT is(
	(SELECT string_agg(action || ' ' || version, ' ') FROM migrate.unstamp('e90d5b7a2c31', note => 'mended by hand')),
	'unstamp e90d5b7a2c31', 'unstamp() says what it did');
SELECT is(
	(SELECT state FROM migrate.status() WHERE version = 'e90d5b7a2c31'),
	'pending', 'the ledger forgets it, nothing is run');

SELECT is(
	(SELECT string_agg(action || ' ' || version, ' ') FROM migrate.stamp('e90d5b7a2c31')),
	'stamp e90d5b7a2c31', 'stamp() says what it did');
SELECT is(
	(SELECT state || ' ' || origin FROM migrate.status() WHERE version = 'e90d5b7a2c31'),
	'applied stamp', 'the ledger has it as stamped');

SELECT is(
	(SELECT string_agg(version, ' ' ORDER BY version COLLATE "C") FROM migrate.stamp_to('9b20e6a3d714')),
	'4c6b9d08f2e7 5e8f03c1a7b6 7a1f6e30c8d9 b81d4e6f9a20 d27c94b1e05a e90d5b7a2c31',
	'stamp_to() takes back what lies after its target');
SELECT is(migrate.current(), '9b20e6a3d714', 'current() is the target');
SELECT is(
	(SELECT count(*) FROM migrate.stamp_to('head')), 6::bigint,
	'stamp_to(head) goes forward');
SELECT is(
	(SELECT string_agg(DISTINCT state, ' ') FROM migrate.status()),
	'applied', 'everything is recorded as applied');

SELECT is((SELECT count(*) FROM migrate.unstamp('e90d5b7a2c31')), 1::bigint,
	'without the irreversible one');
SELECT is(
	(SELECT count(*) FROM migrate.rollback_to('base', note => 'environment dismantled')),
	9::bigint, 'base is reached');
SELECT hasnt_table('public', 'parent_items', 'no table is left');
SELECT is_empty('SELECT * FROM migrate.applied', 'the ledger is empty');

SELECT throws_ok('SELECT * FROM migrate.rollback_to(NULL)', '22004', NULL,
	'a null target is an error, never everything');

-- ---------------------------------------------------------------------------
-- Every migration has a down, or says that there is none
-- ---------------------------------------------------------------------------

INSERT INTO migrate.policy (project, require_down) VALUES ('default', true);

SELECT throws_ok($$
	DO $do$
	BEGIN
		PERFORM migrate.add('c0ffee000001', 'CREATE TABLE forgotten (id integer)',
			requires => ARRAY['e90d5b7a2c31']);
		PERFORM migrate.apply();
	END
	$do$ $$,
	'MG007', NULL, 'with require_down a migration without a down is refused');
SELECT hasnt_table('public', 'forgotten', 'and not run');
SELECT is_empty('SELECT * FROM migrate.applied', 'nor is any other one');

SELECT is(
	(SELECT count(*) FROM migrate.apply()), 10::bigint,
	'those that have one, or say that they are irreversible, pass');

-- ---------------------------------------------------------------------------
-- The pipeline's gate and the monitor's queries
-- ---------------------------------------------------------------------------

SELECT migrate.add('d15ea5e00001',
	'INSERT INTO locations (code) VALUES (''A1''), (''A1'')',
	'DELETE FROM locations WHERE code = ''A1''',
	name => 'add_locations', requires => ARRAY['e90d5b7a2c31']) AS added \gset

\setenv PGOPTIONS '-c migrate.failure_quiet=0'
\set status `psql -X -q -v ON_ERROR_STOP=1 -c "SELECT migrate.apply(note => 'build 77')" >/dev/null 2>&1; echo $?`
SELECT isnt(:'status'::text, '0', 'a failure is seen in the exit status of psql');
SELECT is((SELECT count(*) FROM locations), 0::bigint, 'nothing of it is left');
SELECT is(
	(SELECT state FROM migrate.status() WHERE version = 'd15ea5e00001'),
	'failed', 'status() says that it failed');
SELECT is(
	(SELECT concat_ws(' ', version, name, sqlstate, statement, line, note) FROM migrate.failures(1)),
	'd15ea5e00001 add_locations 23505 1 1 build 77', 'failures() has it although its run was rolled back');

PREPARE alarm_failures (interval) AS
	SELECT version COLLATE "default" FROM migrate.failures WHERE started_at > now() - $1 ORDER BY run, seq;
PREPARE alarm_slow (double precision) AS
	SELECT version COLLATE "default" FROM migrate.history WHERE execution_ms > $1 ORDER BY run, seq;
PREPARE alarm_repeated (bigint) AS
	SELECT version COLLATE "default" FROM migrate.failures GROUP BY project, version HAVING count(*) >= $1;

SELECT results_eq($$EXECUTE alarm_failures ('1 day')$$, ARRAY['d15ea5e00001'],
	'alarm: a failure since the last poll');
SELECT is_empty('EXECUTE alarm_repeated (2)', 'a single failure is not a repeated one');

\set status `psql -X -q -v ON_ERROR_STOP=1 -c 'SELECT migrate.apply()' >/dev/null 2>&1; echo $?`
SELECT results_eq('EXECUTE alarm_repeated (2)', ARRAY['d15ea5e00001'], 'alarm: repeated failures');

SELECT is_empty('EXECUTE alarm_slow (300000)', 'no run took five minutes');
SELECT migrate.remove('d15ea5e00001') AS removed \gset
SELECT migrate.add('510000000001', 'SELECT pg_sleep(1)', 'SELECT 1', name => 'slow',
	requires => ARRAY['e90d5b7a2c31']) AS added \gset
\set status `psql -X -q -v ON_ERROR_STOP=1 -c 'SELECT migrate.apply()' >/dev/null 2>&1; echo $?`
SELECT is(:'status'::text, '0', 'success is seen in the exit status of psql too');
SELECT results_eq('EXECUTE alarm_slow (1000)', ARRAY['510000000001'],
	'alarm: a run took longer than it should');
\setenv PGOPTIONS

-- ---------------------------------------------------------------------------
-- Environments side by side: a project and a schema each
-- ---------------------------------------------------------------------------

CREATE SCHEMA staging;
INSERT INTO migrate.policy (project, search_path) VALUES ('staging', 'staging');

SELECT is(
	(SELECT count(*) FROM migrate.load_directory(:'examples' || '/inventory', project => 'staging')
	 WHERE result = 'added'),
	9::bigint, 'another project loads the same files');
SELECT is(
	(SELECT count(*) FROM migrate.apply('0c7d52e8f1b4', project => 'staging')),
	3::bigint, 'and applies some of them');
SELECT tables_are('staging', ARRAY['parent_items', 'child_items', 'locations', 'stock_levels', 'stock_movements'],
	'in the schema that its policy names');
SELECT is(
	(SELECT string_agg(migrate.current(p), ' ') FROM unnest(ARRAY['default', 'staging']) p),
	'510000000001 0c7d52e8f1b4', 'each has a ledger of its own');
SELECT is(
	(SELECT count(*) FROM migrate.rollback_to('base', project => 'staging')),
	3::bigint, 'one goes back to base');
SELECT has_table('public', 'parent_items', 'and the other one stays as it was');

SELECT * FROM finish();

\connect :home
DROP DATABASE migrate_inventory WITH (FORCE);
