-- tutoring.sql: a team with a home-made runner and a table schema_migrations
--
-- Its plain files load unchanged; status, dry run and run are one JSON value
-- each; the view has the six columns its dashboard reads.  Then its wish list:
-- downs, a syntax check before anything runs, dependencies, notifications of
-- failures, figures, migrations of data alone, and a preview for review.
--
--     pg_prove --set examples=/absolute/path/to/examples test/pgtap/tutoring.sql
--
-- As superuser; psql must be in the PATH.  The story plays in a database of
-- its own, migrate_tutoring.

\if :{?examples}
\else
\echo 'Bail out! --set examples=DIRECTORY is missing'
\quit
\endif

\set story tutoring
\ir story.psql

SELECT plan(63);

-- ---------------------------------------------------------------------------
-- The files load unchanged
-- ---------------------------------------------------------------------------

SELECT is(
	(SELECT string_agg(concat_ws(' ', version, name, result), E'\n' ORDER BY version)
	 FROM migrate.load_directory(:'examples' || '/tutoring')),
	$$001 create_users_table added
002 create_subjects_table added
003 create_lessons_table added
004 seed_subjects added
005 create_payments_table added
006 add_lesson_rating added$$,
	'each .sql file is a migration, what lies beside it is none');

SELECT is(
	(SELECT count(*) FROM migrate.migration
	 WHERE up = pg_read_file(:'examples' || '/tutoring/' || version || '_' || name || '.sql')
	   AND down = pg_read_file(:'examples' || '/tutoring/' || version || '_' || name || '.down.sql')),
	6::bigint, 'the bodies are the files, byte for byte');

SELECT is(
	(SELECT array_agg(version::text ORDER BY version) FROM migrate.migration
	 WHERE CASE WHEN verify IS NOT NULL THEN verify =
		pg_read_file(:'examples' || '/tutoring/' || version || '_' || name || '.verify.sql') END),
	ARRAY['004', '006'], 'two have a verify body');

-- ---------------------------------------------------------------------------
-- status, dry run, run: one JSON value each
-- ---------------------------------------------------------------------------

SELECT json_agg(s) AS value FROM migrate.status() s \gset
SELECT is(json_array_length(:'value'), 6, 'status as one JSON value');
SELECT is(:'value'::json #>> '{0,version}', '001', 'with the version');
SELECT is(:'value'::json #>> '{0,state}', 'pending', 'and the state');
SELECT is(:'value'::json #>> '{5,name}', 'add_lesson_rating', 'and the name');

SELECT json_agg(a) AS value FROM migrate.apply(dry_run => true) a \gset
SELECT is(json_array_length(:'value'), 6, 'a dry run as one JSON value');
SELECT is(:'value'::json #>> '{5,version}', '006', 'with what would be applied');
SELECT hasnt_table('public', 'users', 'a dry run leaves nothing');
SELECT is_empty('SELECT * FROM migrate.schema_migrations', 'and records nothing');
SELECT is_empty($$SELECT * FROM migrate.journal WHERE action = 'apply'$$, 'not even in the journal');

SELECT json_agg(a) AS value FROM migrate.apply() a \gset
SELECT is(json_array_length(:'value'), 6, 'a run as one JSON value');
SELECT is(
	(SELECT string_agg(a ->> 'version', ' ') FROM json_array_elements(:'value') a
	 WHERE a ->> 'action' = 'apply' AND a ->> 'error' IS NULL),
	'001 002 003 004 005 006', 'with what was applied');
SELECT tables_are('public', ARRAY['users', 'subjects', 'tutor_subjects', 'lessons', 'payments'],
	'the tables are there');
SELECT has_view('public', 'tutor_ratings', 'and the view');

-- ---------------------------------------------------------------------------
-- The view that its dashboard reads
-- ---------------------------------------------------------------------------

SELECT columns_are('migrate', 'schema_migrations',
	ARRAY['version', 'name', 'applied_at', 'checksum', 'execution_time_ms', 'success'],
	'schema_migrations has the six columns');
SELECT is(
	(SELECT string_agg(version || ' ' || name, E'\n' ORDER BY version) FROM migrate.schema_migrations
	 WHERE success AND execution_time_ms >= 0 AND applied_at <= clock_timestamp()),
	$$001 create_users_table
002 create_subjects_table
003 create_lessons_table
004 seed_subjects
005 create_payments_table
006 add_lesson_rating$$,
	'with a row for each migration');
SELECT is(
	(SELECT count(*) FROM migrate.schema_migrations
	 WHERE checksum = encode(sha256(pg_read_binary_file(
		:'examples' || '/tutoring/' || version || '_' || name || '.sql')), 'hex')),
	6::bigint, 'whose checksum is the SHA-256 of the file');

-- ---------------------------------------------------------------------------
-- Data alone
-- ---------------------------------------------------------------------------

SELECT is((SELECT count(*) FROM subjects), 6::bigint, 'a migration may insert data alone');
SELECT is((SELECT name FROM subjects WHERE code = 'FRAN'), 'Français', 'of any language');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.rollback(3)),
	'006 005 004', 'three steps back');
SELECT is_empty('SELECT * FROM subjects', 'its down deletes the rows');
SELECT has_table('public', 'subjects', 'and leaves the table');
SELECT is((SELECT count(*) FROM migrate.apply()), 3::bigint, 'three steps forward');
SELECT is(
	(SELECT string_agg(action || ' ' || version, E'\n') FROM migrate.redo(2)),
	$$rollback 006
rollback 005
apply 005
apply 006$$,
	'redo() goes back and forward in one run');

-- ---------------------------------------------------------------------------
-- The syntax is checked before anything runs
-- ---------------------------------------------------------------------------

SELECT throws_ok(
	$$SELECT migrate.add('007', 'CREATE TABLE reviews (id bigint,)')$$,
	'42601', NULL, 'a syntax error is refused when the migration is stored');
SELECT throws_ok($$
	SELECT * FROM migrate.load(jsonb_build_object(
		'007_create_reviews.sql', 'CREATE TABLE reviews (id bigint)',
		'008_broken.sql', E'ALTER TABLE reviews\n  ADD COLUM text text TEXT'))$$,
	'42601', NULL, 'a set of files with one in it is refused');
SELECT is_empty($$SELECT * FROM migrate.migration WHERE version >= '007'$$, 'as a whole');

-- ---------------------------------------------------------------------------
-- Dependencies
-- ---------------------------------------------------------------------------

SELECT throws_ok($$
	SELECT * FROM migrate.load(jsonb_build_object(
		'008_create_replies.sql',
		E'-- migrate:requires 007\n-- migrate:up\nCREATE TABLE replies (id bigint);\n'))$$,
	'MG005', NULL, 'a requirement that is not there is refused');

SELECT is(
	migrate.add('008', 'CREATE TABLE review_replies (
		review_id bigint NOT NULL REFERENCES reviews (id),
		body      text NOT NULL)',
		'DROP TABLE review_replies', name => 'create_review_replies', requires => ARRAY['007']),
	'008', 'a migration may be stored before what it requires');
SELECT throws_ok('SELECT * FROM migrate.apply()', 'MG005', NULL, 'but not run');
SELECT is(
	migrate.add('007', 'CREATE TABLE reviews (
		id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		lesson_id bigint NOT NULL REFERENCES lessons (id),
		body      text NOT NULL)',
		'DROP TABLE reviews', name => 'create_reviews'),
	'007', 'what it requires comes');

-- ---------------------------------------------------------------------------
-- A preview for review
-- ---------------------------------------------------------------------------

SELECT json_agg(p ORDER BY p.step) AS value FROM migrate.plan() p \gset
SELECT is(
	(SELECT string_agg(p ->> 'version' || ' ' || (p ->> 'name'), E'\n') FROM json_array_elements(:'value') p),
	$$007 create_reviews
008 create_review_replies$$,
	'the plan as one JSON value');
SELECT alike(migrate.script('006', 'head'), '%CREATE TABLE reviews (%CREATE TABLE review_replies (%',
	'the SQL as text');

SELECT is((SELECT count(*) FROM migrate.apply()), 2::bigint, 'what was reviewed is applied');

-- ---------------------------------------------------------------------------
-- A run stops at the first failure, which is a row as well as an error
-- ---------------------------------------------------------------------------

SELECT is((SELECT string_agg(version || ' ' || result, E'\n' ORDER BY version)
	FROM migrate.load(jsonb_build_object(
		'009_create_badges.sql', 'CREATE TABLE badges (code text PRIMARY KEY);',
		'009_create_badges.down.sql', 'DROP TABLE badges;',
		'010_seed_badges.sql', E'INSERT INTO badges VALUES (''gold'');\nINSERT INTO badges VALUES (''gold'');\n',
		'010_seed_badges.down.sql', 'DELETE FROM badges;',
		'011_grow_badges.sql', 'ALTER TABLE badges ADD COLUMN points integer;',
		'011_grow_badges.down.sql', 'ALTER TABLE badges DROP COLUMN points;'))
	WHERE result <> 'absent'),
	$$009 added
010 added
011 added$$,
	'three more files, one of which cannot run');

SELECT throws_ok('SELECT * FROM migrate.apply()', '23505',
	'duplicate key value violates unique constraint "badges_pkey"',
	'a failure is an error with the SQLSTATE of the server');

SELECT json_agg(a) AS value FROM migrate.apply(raise => false, note => 'deployment 12') a \gset
SELECT is(json_array_length(:'value'), 1, 'raise => false returns the failed migration');
SELECT is(:'value'::json #>> '{0,version}', '010', 'with its version');
SELECT is(:'value'::json #>> '{0,error,sqlstate}', '23505', 'the SQLSTATE');
SELECT is(:'value'::json #>> '{0,error,message}',
	'duplicate key value violates unique constraint "badges_pkey"', 'the message');
SELECT is(:'value'::json #>> '{0,error,line}', '2', 'and the line of the file');

SELECT hasnt_table('public', 'badges', 'nothing of the run is left');
SELECT is(migrate.current(), '008', 'the ledger is where it was');
SELECT is(
	(SELECT string_agg(state, ' ') FROM migrate.status() WHERE version >= '009'),
	'pending failed pending', 'status() points at the one that failed');
SELECT alike(
	(SELECT error FROM migrate.status() WHERE version = '010'),
	'%badges_pkey%', 'and says why');
SELECT is(
	(SELECT string_agg(concat_ws(' ', version, sqlstate, statement, line, note), E'\n')
	 FROM migrate.failures(1)),
	'010 23505 2 2 deployment 12', 'failures() has it');

\setenv PGOPTIONS '-c migrate.failure_quiet=0'
\set said `psql -X -q -c 'LISTEN migrate' -c 'SELECT version FROM migrate.apply(raise => false)' 2>&1`
\setenv PGOPTIONS
SELECT matches(:'said'::text, 'notification "migrate" with payload .*23505',
	'whoever listens is told of a failure');
SELECT unalike(:'said'::text, '%payload%badges_pkey%', 'without the message, which may hold data');

-- ---------------------------------------------------------------------------
-- Mended by mending the file: no row is deleted by hand
-- ---------------------------------------------------------------------------

SELECT throws_ok($$SELECT migrate.add('010', 'INSERT INTO badges VALUES (''gold'')')$$,
	'MG002', NULL, 'add() does not replace a text by another one');
SELECT is((SELECT string_agg(version || ' ' || result, E'\n' ORDER BY version)
	FROM migrate.load(jsonb_build_object(
		'010_seed_badges.sql', E'INSERT INTO badges VALUES (''gold'');\nINSERT INTO badges VALUES (''silver'');\n',
		'010_seed_badges.down.sql', 'DELETE FROM badges;'))
	WHERE result <> 'absent'),
	'010 changed', 'load() does while the migration is pending');
SELECT is(
	(SELECT string_agg(version, ' ') FROM migrate.apply()),
	'009 010 011', 'and the next run goes through');
SELECT is((SELECT count(*) FROM migrate.status() WHERE state <> 'applied'), 0::bigint,
	'nothing is failed any longer');

SELECT throws_ok($$
	SELECT * FROM migrate.load(jsonb_build_object(
		'001_create_users_table.sql', 'CREATE TABLE users (id bigint);'))$$,
	'MG002', NULL, 'an edit of an applied file is refused');

-- ---------------------------------------------------------------------------
-- A verify body that is not satisfied fails the migration
-- ---------------------------------------------------------------------------

SELECT migrate.add('012', 'INSERT INTO badges VALUES (''bronze'')',
	'DELETE FROM badges WHERE code = ''bronze''',
	verify => 'SELECT count(*) = 4 FROM badges') AS added \gset
SELECT throws_ok('SELECT * FROM migrate.apply()', 'MG010', NULL,
	'a verify body that says false fails its migration');
SELECT is((SELECT count(*) FROM badges), 2::bigint, 'and takes back what it did');
SELECT is(
	(SELECT string_agg(concat_ws(' ', version, error ->> 'sqlstate', error ->> 'body'), E'\n')
	 FROM migrate.apply(raise => false)),
	'012 MG010 verify', 'as a row, too');
SELECT is((SELECT count(*) FROM badges), 2::bigint, 'which takes back what it did as well');
SELECT is(migrate.remove('012'), '012', 'it is withdrawn');
SELECT is(
	(SELECT string_agg(concat_ws(' ', version, ok), E'\n') FROM migrate.verify()),
	$$004 t
006 t$$,
	'verify() runs the verify bodies of what is applied');

-- ---------------------------------------------------------------------------
-- Figures
-- ---------------------------------------------------------------------------

SELECT run FROM migrate.journal
WHERE version = '010' AND outcome = 'success' ORDER BY run DESC LIMIT 1 \gset
SELECT is(
	(SELECT string_agg(concat_ws(' ', version, statement, line, tag, row_count), E'\n' ORDER BY seq, statement)
	 FROM migrate.statements(:run) WHERE version IN ('010', '011')),
	$$010 1 1 INSERT 1
010 2 2 INSERT 1
011 1 1 ALTER TABLE 0$$,
	'statements() lists every statement of a run');
SELECT ok(
	(SELECT bool_and(s.execution_ms >= 0) AND sum(s.execution_ms) <= (
		SELECT sum(h.execution_ms) FROM migrate.history h WHERE h.run = :run)
	 FROM migrate.statements(:run) s),
	'with times that add up to no more than the run');

SELECT * FROM finish();

\connect :home
DROP DATABASE migrate_tutoring WITH (FORCE);
