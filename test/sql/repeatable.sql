-- Repeatable migrations over the roll-back of versioned ones.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS migrate CASCADE;
CREATE EXTENSION migrate;
SET migrate.progress_notices = 'off';
RESET client_min_messages;

SELECT migrate.add('0', 'CREATE TABLE base (a int)', 'DROP TABLE base');
SELECT migrate.add('R0', 'CREATE OR REPLACE VIEW older AS SELECT a FROM base', kind => 'repeatable');
CALL migrate.apply_each() \gset
SELECT migrate.add('1', 'CREATE TABLE t (a int)', 'DROP TABLE t CASCADE');
SELECT migrate.add('2', 'CREATE TABLE u (a int)', 'DROP TABLE u CASCADE');
SELECT migrate.add('R1', 'CREATE OR REPLACE VIEW v AS SELECT a FROM t', kind => 'repeatable');
SELECT migrate.add('R2', 'CREATE OR REPLACE VIEW w AS SELECT a FROM base', 'DROP VIEW w', kind => 'repeatable');
SELECT version, action FROM migrate.apply();

-- what was applied before what goes stays as it is
SELECT version, action FROM migrate.rollback(versions => '{1}');
SELECT version, state FROM migrate.status();
SELECT to_regclass('v'), (SELECT complete FROM migrate.state);
SELECT action, version, outcome FROM migrate.journal
	WHERE run = (SELECT max(run) FROM migrate.journal) ORDER BY seq;
SELECT version, action FROM migrate.plan();
INSERT INTO migrate.policy (out_of_order) VALUES ('allow');
SELECT version, action FROM migrate.apply();
SELECT to_regclass('v');

-- nothing of it by a dry run
SELECT version, action FROM migrate.rollback(versions => '{1}', dry_run => true);
SELECT version, state FROM migrate.status() WHERE state <> 'applied';

-- in several transactions, the same
CALL migrate.rollback_each(2) \gset
SELECT version, state FROM migrate.status();
SELECT action, version, seq FROM migrate.journal
	WHERE run = (SELECT max(run) FROM migrate.journal) ORDER BY seq;
CALL migrate.apply_each() \gset
SELECT to_regclass('v'), (SELECT complete FROM migrate.state);

-- a roll-back that needs a transaction of its own
SELECT migrate.add('3', 'CREATE TABLE x (a int)', 'DROP INDEX CONCURRENTLY IF EXISTS nosuch; DROP TABLE x CASCADE');
SELECT migrate.add('R3', 'CREATE OR REPLACE VIEW y AS SELECT a FROM x', kind => 'repeatable');
CALL migrate.apply_each() \gset
CALL migrate.rollback_each(1) \gset
SELECT version, state FROM migrate.status() WHERE state <> 'applied';
CALL migrate.apply_each() \gset
SELECT to_regclass('y');

-- a redo runs it again itself
SELECT migrate.add('4', 'CREATE TABLE z (a int)', 'DROP TABLE z CASCADE');
SELECT migrate.add('R4', 'CREATE OR REPLACE VIEW yy AS SELECT a FROM z', kind => 'repeatable');
CALL migrate.apply_each() \gset
SELECT version, action FROM migrate.redo();
SELECT to_regclass('yy'), (SELECT complete FROM migrate.state);

-- what is held keeps it from being run: what it needs is not there
SELECT version, action FROM migrate.rollback(hold => true);
SELECT version, state FROM migrate.status() WHERE state <> 'applied';
SELECT version, action FROM migrate.apply();
SELECT migrate.unhold('4'), migrate.unhold('R4');
SELECT version, action FROM migrate.apply();
CALL migrate.rollback_each(1, hold => true) \gset
SELECT version, state FROM migrate.status() WHERE state <> 'applied';

-- what was applied between two that are undone goes with the older one only
SELECT migrate.add('1', 'CREATE TABLE b1 ()', 'SELECT 1/0', project => 'between');
SELECT version FROM migrate.apply(project => 'between');
SELECT migrate.add('R', 'SELECT 1', kind => 'repeatable', project => 'between');
SELECT version FROM migrate.apply(project => 'between');
SELECT migrate.add('2', 'CREATE TABLE b2 ()', 'DROP TABLE b2', project => 'between');
SELECT version FROM migrate.apply(project => 'between');
\set VERBOSITY terse
CALL migrate.rollback_each(2, project => 'between') \gset
\set VERBOSITY default
SELECT version, state FROM migrate.status('between');

SET client_min_messages = warning;
DROP TABLE base, t, u, x, b1 CASCADE;
