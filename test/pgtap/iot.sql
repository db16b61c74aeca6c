-- iot.sql: a device platform that is deployed by a build job
--
-- The seven commands that its build job ran outside of the database (current,
-- history, revision, upgrade, downgrade by steps, downgrade to a version, and
-- upgrade as SQL only), a release that failed and is taken back in one call,
-- and the builds after that.
--
--     pg_prove --set examples=/absolute/path/to/examples test/pgtap/iot.sql
--
-- As superuser; psql and pg_dump must be in the PATH.  The story plays in two
-- databases of its own, migrate_iot and migrate_iot_offline.

\if :{?examples}
\else
\echo 'Bail out! --set examples=DIRECTORY is missing'
\quit
\endif

\set story iot
\ir story.psql
DROP DATABASE IF EXISTS migrate_iot_offline WITH (FORCE);
CREATE DATABASE migrate_iot_offline TEMPLATE template0;

SELECT plan(65);

-- ---------------------------------------------------------------------------
-- Loading
-- ---------------------------------------------------------------------------

SELECT is(
	(SELECT string_agg(concat_ws(' ', version, name, result), E'\n' ORDER BY version)
	 FROM migrate.load_directory(:'examples' || '/iot')),
	$$001 create_users added
002 create_devices added
003 create_telemetry added
004 create_conditions added
005 create_alert_logs added
006 create_logs added
007 create_image_analysis added
008 add_device_firmware added$$,
	'load_directory() stores the eight files');

SELECT is(
	(SELECT string_agg(DISTINCT result, ' ')
	 FROM migrate.load_directory(:'examples' || '/iot')),
	'unchanged', 'loading the same files again changes nothing');

SELECT is(
	(SELECT requires::text[] FROM migrate.migration WHERE version = '005'),
	ARRAY['001', '004'], 'a requires line is stored as requirements');

SELECT is(
	(SELECT array_agg(version ORDER BY version) FROM migrate.migration
	 WHERE down IS NULL OR up = ''),
	NULL, 'every migration has an up and a down body');

SELECT is(
	(SELECT array_agg(version::text ORDER BY version) FROM migrate.migration
	 WHERE verify IS NOT NULL),
	ARRAY['002', '008'], 'two have a verify body');

-- ---------------------------------------------------------------------------
-- current, history, upgrade head
-- ---------------------------------------------------------------------------

SELECT is(migrate.current(), NULL, 'current() of an empty ledger is null');

SELECT is(
	(SELECT string_agg(DISTINCT state, ' ') FROM migrate.status()),
	'pending', 'everything is pending');

SELECT is(
	(SELECT string_agg(concat_ws(' ', step, version, action, own_transaction), E'\n' ORDER BY step)
	 FROM migrate.plan('003')),
	$$1 001 apply f
2 002 apply f
3 003 apply f$$,
	'plan() lists the steps to a target');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply(dry_run => true)),
	'001 002 003 004 005 006 007 008', 'a dry run runs all of them');

SELECT hasnt_table('public', 'users', 'a dry run leaves no table');
SELECT is(migrate.current(), NULL, 'a dry run leaves no ledger row');

CREATE TEMPORARY TABLE first_run AS
SELECT row_number() OVER () AS place, a.*
FROM migrate.apply(note => 'release 1') a;

SELECT is(
	(SELECT string_agg(version, ' ' ORDER BY place) FROM first_run),
	'001 002 003 004 005 006 007 008', 'apply() runs all of them in order');

SELECT is(
	(SELECT count(*) FROM first_run
	 WHERE action = 'apply' AND error IS NULL AND execution_ms >= 0
	   AND run = (SELECT min(run) FROM first_run)),
	8::bigint, 'apply() returns a row per migration, of one run');

SELECT is(
	(SELECT statements FROM first_run WHERE version = '001'),
	2, 'the row says how many statements ran');

SELECT tables_are('public', ARRAY['users', 'devices', 'telemetry', 'telemetry_default',
	'conditions', 'alert_logs', 'logs', 'image_analysis', 'firmware_releases'],
	'the tables are there');
SELECT col_is_pk('public', 'telemetry', ARRAY['device_id', 'metric', 'recorded_at'],
	'telemetry has its primary key');
SELECT fk_ok('public', 'devices', 'owner_id', 'public', 'users', 'id');
SELECT fk_ok('public', 'alert_logs', 'condition_id', 'public', 'conditions', 'id');
SELECT fk_ok('public', 'alert_logs', 'acknowledged_by', 'public', 'users', 'id');
SELECT fk_ok('public', 'image_analysis', 'device_id', 'public', 'devices', 'id');
SELECT index_is_unique('public', 'users', 'users_email_key', 'an address is unique');
SELECT has_index('public', 'devices', 'devices_last_seen_at_idx', 'an index is there');
SELECT enum_has_labels('public', 'device_status',
	ARRAY['provisioned', 'online', 'offline', 'retired']);

SELECT is(migrate.current(), '008', 'current() is the newest');

SELECT is(
	(SELECT count(*) FROM migrate.status()
	 WHERE state = 'applied' AND origin = 'apply' AND applied_by = current_user
	   AND applied_at <= clock_timestamp() AND error IS NULL),
	8::bigint, 'status() says who applied them, when and how');

SELECT is(
	(SELECT count(*) FROM migrate.applied a JOIN migrate.migration m USING (project, version)
	 WHERE a.checksum = encode(sha256(convert_to(m.up, 'UTF8')), 'hex')
	   AND a.down_checksum = encode(sha256(convert_to(m.down, 'UTF8')), 'hex')),
	8::bigint, 'the ledger has the SHA-256 of the bodies');

SELECT is(
	(SELECT string_agg(concat_ws(' ', action, version, outcome, note), E'\n')
	 FROM migrate.history(2)),
	$$apply 008 success release 1
apply 007 success release 1$$,
	'history() begins with the newest');

SELECT is_empty('SELECT * FROM migrate.apply()', 'a second apply() has nothing to do');

\set said `psql -X -c 'SELECT * FROM migrate.apply()' 2>&1`
SELECT alike(:'said'::text, '%nothing to apply: 8 applied, newest "008"%',
	'a run with nothing to do says so');

SELECT is(
	(SELECT count(*) FROM migrate.journal WHERE action = 'apply'),
	8::bigint, 'a run with nothing to do writes nothing');

SELECT lives_ok('SELECT migrate.check()', 'check() is content');

\set schema_at_008 `pg_dump -s -n public | grep -v '^.restrict\|^.unrestrict' | cksum`

-- ---------------------------------------------------------------------------
-- downgrade -1, downgrade 001, upgrade to a target
-- ---------------------------------------------------------------------------

SELECT is(
	(SELECT string_agg(concat_ws(' ', action, version), E'\n') FROM migrate.rollback()),
	'rollback 008', 'rollback() undoes the newest');
SELECT hasnt_column('public', 'devices', 'firmware_version', 'its column is gone');
SELECT is(migrate.current(), '007', 'current() follows');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply()),
	'008', 'apply() brings it back');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.rollback_to('001')),
	'008 007 006 005 004 003 002', 'rollback_to() goes back in reverse order');
SELECT tables_are('public', ARRAY['users'], 'the target stays applied');
SELECT hasnt_type('public', 'device_status', 'types went with their tables');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply('004')),
	'002 003 004', 'apply() stops at its target');
SELECT throws_ok('SELECT migrate.check()', 'MG020', NULL, 'check() raises for what is pending');
SELECT lives_ok($$SELECT migrate.check('004')$$, 'check() is content up to its target');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply('head')),
	'005 006 007 008', 'apply(head) applies the rest');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.rollback_to('004')),
	'008 007 006 005', 'rollback_to() undoes what comes after its target and nothing else');
SELECT has_table('public', 'telemetry', 'what comes before it stays, required by it or not');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply()),
	'005 006 007 008', 'and forward again');

\set schema_again `pg_dump -s -n public | grep -v '^.restrict\|^.unrestrict' | cksum`
SELECT is(:'schema_again'::text, :'schema_at_008', 'the schema is the one it was before');

-- ---------------------------------------------------------------------------
-- A release that failed: back in one call, and out through the next builds
-- ---------------------------------------------------------------------------

SELECT is(
	migrate.add('009', 'CREATE TABLE device_shadows (
		device_id bigint PRIMARY KEY REFERENCES devices (id),
		reported  jsonb NOT NULL)',
		'DROP TABLE device_shadows', name => 'create_device_shadows', requires => ARRAY['002']),
	'009', 'add() stores a new revision');
SELECT is(
	migrate.add('010', 'ALTER TABLE device_shadows ADD COLUMN desired jsonb',
		'ALTER TABLE device_shadows DROP COLUMN desired',
		name => 'add_desired_state', requires => ARRAY['009']),
	'010', 'add() stores another one');

\set status `psql -X -q -v ON_ERROR_STOP=1 -c "SELECT migrate.apply(note => 'release 2')" >/dev/null 2>&1; echo $?`
SELECT is(:'status'::text, '0', 'the build applies the release');
SELECT has_column('public', 'device_shadows', 'desired', 'the release is in');

SELECT is(
	(SELECT string_agg(version, ' ')
	 FROM migrate.rollback_run(hold => true, note => 'release 2 loses messages')),
	'010 009', 'one call takes back what the last run applied');
SELECT hasnt_table('public', 'device_shadows', 'its table is gone');
SELECT is(
	(SELECT string_agg(concat_ws(' ', version, state), E'\n' ORDER BY version)
	 FROM migrate.status() WHERE version >= '009'),
	$$009 held
010 held$$,
	'what was taken back is held');

-- The next build does what every build does: load, then apply.
\set status `psql -X -q -v ON_ERROR_STOP=1 -c "SELECT migrate.load_directory('$EXAMPLES/iot')" -c 'SELECT migrate.apply()' >/dev/null 2>&1; echo $?`
SELECT is(:'status'::text, '0', 'the next build succeeds');
SELECT hasnt_table('public', 'device_shadows', 'what was taken back stays out');

SELECT is(migrate.unhold('009'), '009', 'unhold() lets it in again');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply()),
	'009', 'apply() applies what is held no longer');

SELECT is(
	(SELECT string_agg(concat_ws(' ', version, action), E'\n' ORDER BY step)
	 FROM migrate.plan_rollback(2)),
	$$009 rollback
008 rollback$$,
	'plan_rollback() lists what rollback() would undo');

SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.rollback()),
	'009', 'and rollback() undoes the newest');
SELECT throws_ok($$SELECT migrate.remove('010')$$, 'MG014', NULL,
	'what is held cannot be removed');
SELECT is(migrate.unhold('010') || ' ' || migrate.unhold('009'), '010 009',
	'but let go');
SELECT is(migrate.remove('010') || ' ' || migrate.remove('009'), '010 009',
	'pending migrations can be removed');

-- ---------------------------------------------------------------------------
-- upgrade head --sql
-- ---------------------------------------------------------------------------

\set file `mktemp`
\pset format unaligned
\pset tuples_only on
\o :file
SELECT migrate.script('base', 'head');
\o

\setenv PGDATABASE migrate_iot_offline
\set status `psql -X -q -v ON_ERROR_STOP=1 -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION migrate' -f :'file' 2>&1 >/dev/null; echo $?`
SELECT is(:'status'::text, '0', 'psql runs the script of script() unchanged in an empty database');

\set schema_offline `pg_dump -s -n public | grep -v '^.restrict\|^.unrestrict' | cksum`
SELECT is(:'schema_offline'::text, :'schema_at_008', 'the script leaves the schema that apply() leaves');

SELECT string_agg(concat_ws(' ', version, name, checksum, down_checksum), ';' ORDER BY version) AS ledger
FROM migrate.applied \gset
\set ledger_offline `psql -X -At -c "SELECT string_agg(concat_ws(' ', version, name, checksum, down_checksum), ';' ORDER BY version) FROM migrate.applied"`
SELECT is(:'ledger_offline'::text, :'ledger', 'the script leaves the ledger that apply() leaves');

SELECT * FROM finish();

\set ignored `rm -f :'file'`
\connect :home
DROP DATABASE migrate_iot WITH (FORCE);
DROP DATABASE migrate_iot_offline WITH (FORCE);
