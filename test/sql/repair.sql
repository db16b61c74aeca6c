--
-- Down bodies that are not there, hold, stamp, amend, policy, repeatable ones
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;

-- all that lack a down are named before anything runs
SELECT migrate.add('1', 'CREATE TABLE one ()', 'DROP TABLE one');
SELECT migrate.add('2', 'CREATE TABLE two ()');
SELECT migrate.add('3', 'CREATE TABLE three ()', irreversible => true);
SELECT migrate.add('4', 'CREATE TABLE four ()', 'DROP TABLE four');
SELECT version FROM migrate.apply();
SELECT version FROM migrate.rollback(4);
\echo :SQLSTATE
SELECT * FROM migrate.plan_rollback(2);
SELECT to_regclass('four');

-- amend: on purpose, and the old text is kept
SELECT migrate.amend('2', down => 'DROP TABLE two', note => 'forgotten');
SELECT migrate.amend('3', down => 'DROP TABLE thre');
SELECT migrate.amend('3', down => 'DROP TABLE three');
SELECT migrate.amend('3', down => 'DROP TABL three');
SELECT migrate.amend('1', up => 'CREATE TABLE one (id int)', verify => 'SELECT true');
SELECT version, irreversible, up, down, verify FROM migrate.migration ORDER BY version;
SELECT version, state FROM migrate.status();
SELECT run, seq, action, version, body, note FROM migrate.journal WHERE action = 'amend' ORDER BY 1, 2;
SELECT j.version, j.body, b.text FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash WHERE j.action = 'amend' ORDER BY j.run, j.seq;
SELECT migrate.amend('nosuch', up => '');
\echo :SQLSTATE
SELECT version FROM migrate.rollback(4);
SELECT migrate.amend('4', up => '');
\echo :SQLSTATE

SELECT migrate.amend('4');
SELECT version FROM migrate.apply();
SELECT migrate.amend('4');
\echo :SQLSTATE
SELECT version, result FROM migrate.load('{"4.sql": "-- migrate:repeatable\n-- migrate:up\nCREATE TABLE four ()"}'::jsonb);
\echo :SQLSTATE
UPDATE migrate.migration SET kind = 'repeatable' WHERE version = '4';
SELECT migrate.unhold('4');
SELECT version FROM migrate.rollback(4);

-- what was changed behind the gate's back
SELECT version FROM migrate.apply();
ALTER TABLE migrate.migration DISABLE TRIGGER ALL;
UPDATE migrate.migration SET up = 'SELECT 1', checksum = encode(sha256('SELECT 1'), 'hex') WHERE version = '2';
UPDATE migrate.migration SET down = 'SELECT 1', down_checksum = encode(sha256('SELECT 1'), 'hex') WHERE version = '4';
ALTER TABLE migrate.migration ENABLE TRIGGER ALL;
SELECT version, state FROM migrate.status();
SELECT migrate.check();
\echo :SQLSTATE
SELECT migrate.add('5', '');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT version FROM migrate.rollback();
\echo :SQLSTATE
SELECT version, action FROM migrate.stamp('2', note => 'I know');
SELECT version, action FROM migrate.stamp('4');
SELECT version, state FROM migrate.status();
SELECT version, action FROM migrate.apply();
DELETE FROM migrate.applied WHERE version IN ('4', '5');
SELECT migrate.remove('5');
SELECT migrate.remove('4');
DROP TABLE four;

-- stamp and unstamp, one each
SELECT migrate.add('4', 'CREATE TABLE four ()', 'DROP TABLE four');
SELECT version, action FROM migrate.stamp('4', note => 'made by hand');
SELECT version, action FROM migrate.stamp('4');
SELECT version, state, origin FROM migrate.status();
SELECT to_regclass('four');
SELECT version, action FROM migrate.unstamp('4');
SELECT version, action FROM migrate.unstamp('4');
SELECT * FROM migrate.stamp('nosuch');
SELECT * FROM migrate.unstamp('nosuch');
SELECT * FROM migrate.stamp('4', origin => 'magic');
SELECT version, action FROM migrate.stamp_to('2');
SELECT version, action FROM migrate.stamp_to('head');
SELECT version, action FROM migrate.stamp_to('head');
SELECT version, action FROM migrate.stamp_to('base');
SELECT version, action FROM migrate.stamp_to('nosuch');
SELECT action, version, note FROM migrate.history(3);

-- hold: skipped with what requires it, the rest goes on
DROP TABLE one, two, three;
SELECT count(migrate.remove(v)) FROM unnest(ARRAY['1', '2', '3', '4']) v;
SELECT migrate.add('1', 'CREATE TABLE one ()', 'DROP TABLE one');
SELECT migrate.add('2', 'CREATE TABLE two ()', 'DROP TABLE two');
SELECT migrate.add('3', 'CREATE TABLE three ()', 'DROP TABLE three', requires => ARRAY['2']);
SELECT migrate.add('4', 'CREATE TABLE four ()', 'DROP TABLE four');
SELECT migrate.hold('2', 'waits for the auditors');
SELECT migrate.hold('2', NULL);
SELECT migrate.hold('nosuch', 'why');
SELECT version FROM migrate.apply();
SELECT version, state FROM migrate.status();
SELECT migrate.check();
SELECT version FROM migrate.apply();
SELECT version FROM migrate.apply(versions => ARRAY['3']);
SELECT migrate.unhold('2');
SELECT version FROM migrate.apply();
UPDATE migrate.policy SET out_of_order = 'allow';
INSERT INTO migrate.policy (out_of_order) VALUES ('allow');
SELECT version FROM migrate.apply();
SELECT action, version, note FROM migrate.journal WHERE action IN ('hold', 'unhold') ORDER BY run;

-- what is rolled back to stay out stays out
SELECT version FROM migrate.rollback(hold => true);
SELECT version, held_reason FROM migrate.migration WHERE held_reason IS NOT NULL;
SELECT version FROM migrate.apply();
SELECT count(migrate.unhold(version)) FROM migrate.status() WHERE state = 'held';
SELECT version FROM migrate.apply();

-- rollback_run
SELECT migrate.add('5', '', '');
SELECT migrate.add('6', '', '');
SELECT DISTINCT run AS last FROM migrate.apply() \gset
SELECT version FROM migrate.rollback_run(:last);
SELECT version FROM migrate.apply();
SELECT version FROM migrate.rollback_run();
SELECT version FROM migrate.rollback_run(999999);

-- protected
UPDATE migrate.policy SET protected = true;
SELECT version FROM migrate.rollback();
\echo :SQLSTATE
SELECT version FROM migrate.rollback(confirm => 'postgres');
SELECT version FROM migrate.unstamp('4');
SELECT version FROM migrate.stamp_to('head');
SELECT version FROM migrate.redo();
SELECT version FROM migrate.rollback(dry_run => true);
SELECT version FROM migrate.rollback(confirm => current_database());
SELECT version, state FROM migrate.status();
SELECT version FROM migrate.rollback(confirm => current_database(), hold => false);
SELECT version, state FROM migrate.status();
UPDATE migrate.policy SET protected = false;

-- frozen, the wrong role, required downs
UPDATE migrate.policy SET frozen_reason = 'black Friday';
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT version FROM migrate.rollback();
SELECT version FROM migrate.stamp('5');
UPDATE migrate.policy SET frozen_reason = NULL, role = 'deployer';
SELECT version FROM migrate.apply();
\echo :SQLSTATE
UPDATE migrate.policy SET role = NULL, require_down = true;
SELECT migrate.add('7', '');
\echo :SQLSTATE
SELECT migrate.add('7', '', irreversible => true);
SELECT version, result FROM migrate.load('{"8_x.sql": "", "9_y.sql": ""}'::jsonb);
UPDATE migrate.policy SET require_down = false;
SELECT migrate.add('8', '');
UPDATE migrate.policy SET require_down = true;
SELECT version FROM migrate.apply();
SELECT * FROM migrate.plan();
UPDATE migrate.policy SET out_of_order = 'sometimes';

-- repeatable: after the versioned ones, and again when the text changes
SELECT result FROM migrate.load('{"1_t.sql": "CREATE TABLE t (a int)", "v_b.sql": "-- migrate:repeatable\n-- migrate:requires v_a\n-- migrate:up\nCREATE OR REPLACE VIEW b AS SELECT a FROM a;", "v_a.sql": "-- migrate:repeatable\n-- migrate:up\nCREATE OR REPLACE VIEW a AS SELECT a FROM t;"}'::jsonb, 'name', project => 'rep');
SELECT version, kind FROM migrate.status('rep');
SELECT version, action FROM migrate.apply(project => 'rep');
SELECT version, action FROM migrate.apply(project => 'rep');
SELECT version, result FROM migrate.load('{"1_t.sql": "CREATE TABLE t (a int)", "v_b.sql": "-- migrate:repeatable\n-- migrate:requires v_a\n-- migrate:up\nCREATE OR REPLACE VIEW b AS SELECT a FROM a;", "v_a.sql": "-- migrate:repeatable\n-- migrate:up\nCREATE OR REPLACE VIEW a AS SELECT a, 1 AS one FROM t;"}'::jsonb, 'name', project => 'rep');
SELECT version, state FROM migrate.status('rep');
SELECT version, action FROM migrate.apply(project => 'rep');
SELECT count(*) FROM migrate.applied WHERE project = 'rep';
SELECT version, state FROM migrate.status('rep');
-- an older release that comes up again does not put the old view back
SELECT version, result FROM migrate.load('{"1_t.sql": "CREATE TABLE t (a int)", "v_a.sql": "-- migrate:repeatable\n-- migrate:up\nCREATE OR REPLACE VIEW a AS SELECT a FROM t;"}'::jsonb, 'name', project => 'rep');
SELECT version, action FROM migrate.apply(project => 'rep');
SELECT migrate.add('v_a', E'CREATE OR REPLACE VIEW a AS SELECT a FROM t;', kind => 'repeatable', project => 'rep');
-- rollback passes repeatable ones by unless they have a down
SELECT version FROM migrate.rollback(project => 'rep');
DROP VIEW a, b;
SELECT migrate.amend('1_t', down => 'DROP TABLE t', project => 'rep');
SELECT version FROM migrate.rollback(project => 'rep');
SELECT version, state FROM migrate.status('rep');

-- prune
SELECT migrate.prune_journal('1 day');
SELECT migrate.prune_journal(NULL);
SELECT migrate.prune_journal('-1000 years');
SELECT count(*) > 0 AS has_timings FROM migrate.journal WHERE statements IS NOT NULL AND project = 'default';
SELECT migrate.prune_journal('0', note => 'spring cleaning') > 0 AS pruned;
SELECT count(*) > 0 AS has_timings FROM migrate.journal WHERE statements IS NOT NULL AND project = 'default';
SELECT count(*) FROM migrate.failures(1000);
SELECT action, note FROM migrate.history(1);
SELECT count(*) > 0 AS has_rows FROM migrate.journal WHERE action = 'apply';
DROP TABLE one, four;
