-- tenants.sql: a service whose every container migrates when it starts
--
-- Sixteen containers start at once, later sixteen of an old and a new release.
-- The numbered history holds 005, without which a device cannot be inserted;
-- it goes back and forward with the data kept.  Nothing is ever half applied,
-- a reviewer sees what will happen, a branch that was merged late is refused
-- with the ways out, and production is frozen and protected in an emergency.
--
--     pg_prove --set examples=/absolute/path/to/examples test/pgtap/tenants.sql
--
-- As superuser; psql must be in the PATH.  The story plays in a database of
-- its own, migrate_tenants.

\if :{?examples}
\else
\echo 'Bail out! --set examples=DIRECTORY is missing'
\quit
\endif

\set story tenants
\ir story.psql

-- The files of the given versions, as an image of that release has them.
-- Other sessions read the directory's name from the database's setting.
SELECT format('ALTER DATABASE migrate_tenants SET story.directory = %L', :'examples' || '/tenants') AS command \gset
:command;
SELECT set_config('story.directory', :'examples' || '/tenants', false) AS directory \gset
CREATE FUNCTION tap.image(VARIADIC versions text[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
	SELECT jsonb_object_agg(f, pg_read_file(current_setting('story.directory') || '/' || f))
	FROM pg_ls_dir(current_setting('story.directory')) f
	WHERE split_part(f, '_', 1) = ANY (versions)
$$;

SELECT plan(64);

-- ---------------------------------------------------------------------------
-- Sixteen containers of one release start at the same moment
-- ---------------------------------------------------------------------------

\set statuses `{ for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do psql -X -q -v ON_ERROR_STOP=1 -c "SELECT migrate.load(tap.image('001', '002', '003', '004'))" -c 'SELECT migrate.apply()' >/dev/null 2>&1 & pids="$pids $!"; done; for p in $pids; do wait $p; echo $?; done; } | sort | uniq -c | tr -s ' '`
SELECT is(:'statuses'::text, ' 16 0', 'all sixteen succeed');
SELECT is(
	(SELECT string_agg(concat_ws(' ', version, outcome), E'\n' ORDER BY run, seq)
	 FROM migrate.journal WHERE action = 'apply'),
	$$001 success
002 success
003 success
004 success$$,
	'and the work is done once');
SELECT is((SELECT count(DISTINCT run) FROM migrate.applied), 1::bigint, 'by one of them');
SELECT tables_are('public', ARRAY['organizations', 'users', 'sites', 'device_groups',
	'device_types', 'devices', 'readings'], 'the tables are there');

-- ---------------------------------------------------------------------------
-- 005, without which a device cannot be inserted
-- ---------------------------------------------------------------------------

INSERT INTO organizations (slug, name) VALUES ('harbour', 'Harbour');
INSERT INTO sites (organization_id, name) VALUES (1, 'Pier 1');
INSERT INTO device_groups (organization_id, name) VALUES (1, 'Cranes');
INSERT INTO device_types (manufacturer, model) VALUES ('Acme', 'C-1');
INSERT INTO devices (organization_id, site_id, device_group_id, device_type_id, serial_number, latitude, longitude)
VALUES (1, 1, 1, 1, 'A-1', 53.5, 9.9);

SELECT throws_ok($$INSERT INTO devices (serial_number) VALUES ('A-2')$$, '23502',
	'null value in column "organization_id" of relation "devices" violates not-null constraint',
	'before 005 a device needs its parents');

SELECT is(
	(SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.load(tap.image('005', '006'))
	 WHERE result = 'added'),
	'005 006', 'the next release has two more migrations');

SELECT is(
	(SELECT string_agg(concat_ws(' ', step, version, name, action, own_transaction), E'\n' ORDER BY step)
	 FROM migrate.plan()),
	$$1 005 make_device_parents_nullable apply f
2 006 replace_coordinates_by_location apply f$$,
	'a reviewer sees the plan');
SELECT alike(migrate.script('004', 'head'),
	'%ALTER COLUMN organization_id DROP NOT NULL%ADD COLUMN location point%',
	'and the SQL');

SELECT is((SELECT string_agg(version, ' ') FROM migrate.apply()), '005 006', 'it is applied');
SELECT col_is_null('public', 'devices', 'organization_id', 'organization_id is nullable');
SELECT col_is_null('public', 'devices', 'site_id', 'site_id is nullable');
SELECT col_is_null('public', 'devices', 'device_group_id', 'device_group_id is nullable');
SELECT col_is_null('public', 'devices', 'device_type_id', 'device_type_id is nullable');
SELECT lives_ok($$INSERT INTO devices (serial_number, site_id) VALUES ('A-2', 1)$$,
	'a device without its parents is inserted');

-- ---------------------------------------------------------------------------
-- Back and forward with the data kept
-- ---------------------------------------------------------------------------

CREATE TEMPORARY TABLE before AS
SELECT id, organization_id, site_id, device_group_id, device_type_id, serial_number,
	location[0] AS longitude, location[1] AS latitude
FROM devices;

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.rollback_to('004')),
	'006 005', 'rollback_to() takes both back');
SELECT is(
	(SELECT string_agg(concat_ws(' ', d.serial_number, o.slug, s.name, g.name, latitude, longitude), E'\n' ORDER BY d.id)
	 FROM devices d JOIN organizations o ON o.id = d.organization_id
		JOIN sites s ON s.id = d.site_id JOIN device_groups g ON g.id = d.device_group_id),
	$$A-1 harbour Pier 1 Cranes 53.5 9.9
A-2 unassigned-devices Pier 1 unassigned$$,
	'every device is kept, with what it had');
SELECT col_not_null('public', 'devices', 'organization_id', 'the old constraint holds');

SELECT is((SELECT string_agg(version, ' ') FROM migrate.apply()), '005 006', 'forward again');
SELECT results_eq(
	'SELECT id, organization_id, site_id, device_group_id, device_type_id, serial_number,
		location[0], location[1] FROM devices ORDER BY id',
	'SELECT * FROM before ORDER BY id', 'every device is what it was before');
SELECT is((SELECT count(*) FROM organizations), 1::bigint, 'and the stand-in is gone');

-- ---------------------------------------------------------------------------
-- Nothing is ever half applied
-- ---------------------------------------------------------------------------

SELECT migrate.add('007', 'CREATE TABLE alarms (id bigint PRIMARY KEY); CREATE INDEX ON alarms (nothing_like_it)',
	'DROP TABLE alarms', name => 'create_alarms') AS added \gset
\set status `psql -X -q -v ON_ERROR_STOP=1 -c 'SELECT migrate.apply()' >/dev/null 2>&1; echo $?`
SELECT isnt(:'status'::text, '0', 'a container with a migration that fails does not start');
SELECT hasnt_table('public', 'alarms', 'the part that worked is not there either');
SELECT is(migrate.current(), '006', 'nor in the ledger');
SELECT is(
	(SELECT concat_ws(' ', version, sqlstate, statement) FROM migrate.failures(1)),
	'007 42703 2', 'the failure is on record');
SELECT is(migrate.remove('007'), '007', 'the migration is withdrawn, and no row mended by hand');

-- What was done by hand on the server is recorded without a row of SQL.
CREATE TABLE alarms (id bigint PRIMARY KEY);
SELECT migrate.add('007', 'CREATE TABLE alarms (id bigint PRIMARY KEY)', 'DROP TABLE alarms',
	name => 'create_alarms') AS added \gset
SELECT throws_ok('SELECT * FROM migrate.apply()', '42P07', NULL, 'a table that is there already');
SELECT is((SELECT count(*) FROM migrate.stamp('007', note => 'made by hand')), 1::bigint, 'is stamped');
SELECT lives_ok('SELECT migrate.check()', 'after which check() is content');
SELECT is(
	(SELECT string_agg(concat_ws(' ', action, version, note), E'\n') FROM migrate.history(1)),
	'stamp 007 made by hand', 'history() says so');
SELECT is((SELECT count(*) FROM migrate.unstamp('007')), 1::bigint, 'a stamp can be taken back');
SELECT throws_ok('SELECT migrate.check()', 'MG020', NULL, 'after which check() is not content');
SELECT has_table('public', 'alarms', 'nothing was run for it');
DROP TABLE alarms;
SELECT is(migrate.remove('007'), '007', 'the migration is withdrawn again');

-- ---------------------------------------------------------------------------
-- An old and a new release start at the same moment
-- ---------------------------------------------------------------------------

SELECT is((SELECT count(*) FROM migrate.rollback_to('004')), 2::bigint, 'back to the old release');
SELECT is(migrate.remove('005') || ' ' || migrate.remove('006'), '005 006', 'and to its files');
SELECT max(run) AS newest FROM migrate.journal \gset

\set statuses `{ for i in 1 2 3 4 5 6 7 8; do psql -X -q -v ON_ERROR_STOP=1 -c "SELECT migrate.load(tap.image('001', '002', '003', '004'))" -c "SELECT migrate.apply(versions => ARRAY['001', '002', '003', '004'])" >/dev/null 2>&1 & pids="$pids $!"; psql -X -q -v ON_ERROR_STOP=1 -c "SELECT migrate.load_directory('$EXAMPLES/tenants')" -c 'SELECT migrate.apply()' >/dev/null 2>&1 & pids="$pids $!"; done; for p in $pids; do wait $p; echo $?; done; } | sort | uniq -c | tr -s ' '`
SELECT is(:'statuses'::text, ' 16 0', 'all sixteen succeed');
SELECT is(
	(SELECT string_agg(concat_ws(' ', action, version, outcome), E'\n' ORDER BY run, seq)
	 FROM migrate.journal WHERE run > :newest AND version IS NOT NULL AND action IN ('apply', 'rollback')),
	$$apply 005 success
apply 006 success$$,
	'neither undoes nor repeats the work of the other');
SELECT is(migrate.current(), '006', 'the database is that of the new release');

\set status `psql -X -q -v ON_ERROR_STOP=1 -c "SELECT migrate.load(tap.image('001', '002', '003', '004'))" -c 'SELECT migrate.apply()' >/dev/null 2>&1; echo $?`
SELECT is(:'status'::text, '0', 'the old release starts against the newer ledger');
SELECT is(
	(SELECT string_agg(version || ' ' || result, E'\n' ORDER BY version)
	 FROM migrate.load(tap.image('001', '002', '003', '004'))),
	$$001 unchanged
002 unchanged
003 unchanged
004 unchanged
005 absent
006 absent$$,
	'and is told what it does not know');
SELECT is((SELECT count(*) FROM migrate.status() WHERE state = 'applied'), 6::bigint, 'nothing is lost by that');

-- ---------------------------------------------------------------------------
-- Two branches
-- ---------------------------------------------------------------------------

SELECT throws_ok($$
	SELECT * FROM migrate.load(jsonb_build_object(
		'007_create_alarms.sql', E'-- migrate:up\nCREATE TABLE alarms (id bigint);\n',
		'007_create_invoices.sql', E'-- migrate:up\nCREATE TABLE invoices (id bigint);\n'))$$,
	'MG012', NULL, 'two files with one version are refused');
\set said `psql -X -c "SELECT migrate.load('{\"007_create_alarms.sql\": \"-- migrate:up\\nSELECT 1\", \"007_create_invoices.sql\": \"-- migrate:up\\nSELECT 2\"}')" 2>&1`
SELECT matches(:'said'::text, '007_create_alarms\.sql.*007_create_invoices\.sql', 'and both are named');

SELECT is(
	migrate.add('010', 'CREATE TABLE invoices (id bigint PRIMARY KEY)', 'DROP TABLE invoices',
		name => 'create_invoices'),
	'010', 'the branch that was merged first');
SELECT is((SELECT string_agg(version, ' ') FROM migrate.apply()), '010', 'is deployed');
SELECT is(
	migrate.add('008', 'CREATE TABLE alarms (id bigint PRIMARY KEY)', 'DROP TABLE alarms',
		name => 'create_alarms'),
	'008', 'the branch that was merged later has a lower number');
SELECT throws_ok('SELECT * FROM migrate.apply()', 'MG006', NULL, 'which is refused');
\set said `psql -X -c 'SELECT * FROM migrate.apply()' 2>&1`
SELECT alike(:'said'::text, '%008%', 'by its name');
SELECT matches(:'said'::text, 'HINT:  [^\n]*higher versions[^\n]*require[^\n]*out_of_order', 'with the three ways out');

-- The first way: a number of its own.
SELECT is(migrate.remove('008'), '008', 'it is taken out');
SELECT migrate.add('011', 'CREATE TABLE alarms (id bigint PRIMARY KEY)', 'DROP TABLE alarms',
	name => 'create_alarms') AS added \gset
SELECT is((SELECT string_agg(version, ' ') FROM migrate.apply()), '011', 'renumbered it goes in');

-- The second way: a requirement that fixes its place.
SELECT migrate.add('009', 'ALTER TABLE invoices ADD COLUMN total numeric', 'ALTER TABLE invoices DROP COLUMN total',
	name => 'add_total', requires => ARRAY['010']) AS added \gset
SELECT is((SELECT string_agg(version, ' ') FROM migrate.apply()), '009', 'with a requirement it goes in');

-- The third way: the project allows it.
SELECT migrate.add('008', 'ALTER TABLE alarms ADD COLUMN raised_at timestamptz',
	'ALTER TABLE alarms DROP COLUMN raised_at', name => 'add_raised_at') AS added \gset
SELECT throws_ok('SELECT * FROM migrate.apply()', 'MG006', NULL, 'without one it is refused again');
INSERT INTO migrate.policy (project, out_of_order) VALUES ('default', 'allow');
SELECT is((SELECT string_agg(version, ' ') FROM migrate.apply()), '008', 'where it is allowed it goes in');
UPDATE migrate.policy SET out_of_order = 'error';

-- ---------------------------------------------------------------------------
-- Emergency: stop, roll back, verify, start
-- ---------------------------------------------------------------------------

UPDATE migrate.policy SET protected = true, frozen_reason = 'incident 42';
SELECT migrate.add('012', 'CREATE TABLE too_late (id bigint)', 'DROP TABLE too_late') AS added \gset
SELECT throws_ok('SELECT * FROM migrate.apply()', 'MG015', NULL, 'a frozen project runs nothing');
SELECT throws_ok('SELECT * FROM migrate.rollback(confirm => current_database())', 'MG015', NULL,
	'forward or back');
UPDATE migrate.policy SET frozen_reason = NULL;

SELECT throws_ok('SELECT * FROM migrate.rollback()', 'MG018', NULL,
	'in a protected project a rollback has to be confirmed');
SELECT throws_ok($$SELECT * FROM migrate.rollback(confirm => 'some_other_database')$$, 'MG018', NULL,
	'with the name of this database');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.rollback(confirm => current_database(), note => 'incident 42')),
	'008', 'after which it is done');
SELECT is(
	(SELECT state FROM migrate.status() WHERE version = '008'),
	'held', 'and what was undone is held');
SELECT is((SELECT string_agg(concat_ws(' ', version, ok), ' ') FROM migrate.verify()), '005 t',
	'verify() is content');

\set status `psql -X -q -v ON_ERROR_STOP=1 -c 'SELECT migrate.apply()' >/dev/null 2>&1; echo $?`
SELECT is(:'status'::text, '0', 'the containers start');
SELECT hasnt_column('public', 'alarms', 'raised_at', 'what was rolled back stays out');
SELECT has_table('public', 'too_late', 'and the rest goes on');

SELECT * FROM finish();

\connect :home
DROP DATABASE migrate_tenants WITH (FORCE);
