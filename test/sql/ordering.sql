--
-- The order of migrations: versions, requirements, targets, heads
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;

-- numbered
SELECT count(migrate.add(i::text, '', '')) FROM generate_series(8, 12) i;
SELECT array_agg(version) FROM migrate.plan();
SELECT array_agg(version) FROM migrate.plan('10');
SELECT array_agg(version) FROM migrate.plan('head');
SELECT * FROM migrate.plan('base');
SELECT * FROM migrate.plan('13');
\echo :SQLSTATE
SELECT version FROM migrate.apply('9');
SELECT version FROM migrate.apply('9');
SELECT version FROM migrate.apply(versions => ARRAY['11']);
SELECT migrate.current();

-- out of order
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT * FROM migrate.plan();
INSERT INTO migrate.policy (out_of_order) VALUES ('allow');
SELECT version FROM migrate.apply('10');
UPDATE migrate.policy SET out_of_order = 'error';
SELECT version FROM migrate.apply();
SELECT migrate.add('11.5', '', '');
SELECT version FROM migrate.apply();
-- one way out: say what it requires
SELECT migrate.remove('11.5');
SELECT migrate.add('11.5', '', '', requires => ARRAY['11']);
SELECT version FROM migrate.apply();
-- in the reverse order of application, not of versions
SELECT version FROM migrate.rollback(2);
SELECT version FROM migrate.rollback_to('9');
SELECT version FROM migrate.rollback_to('nosuch');
SELECT version FROM migrate.rollback_to(NULL);
\echo :SQLSTATE
SELECT version FROM migrate.rollback(-1);
SELECT version FROM migrate.rollback(NULL);
SELECT version FROM migrate.rollback(0);
SELECT version FROM migrate.rollback_to('head');
SELECT version FROM migrate.rollback_to('base');

-- versions that are named, and none
SELECT version FROM migrate.apply(versions => ARRAY['8', '9']);
SELECT version FROM migrate.apply(versions => ARRAY['8', '9']);
SELECT version FROM migrate.apply(versions => '{}');
SELECT version FROM migrate.apply(versions => ARRAY['nosuch']);
SELECT version FROM migrate.rollback(versions => '{}');
SELECT version FROM migrate.rollback(versions => ARRAY['10']);
SELECT version FROM migrate.rollback(versions => ARRAY['8']);
SELECT version, state FROM migrate.status();

-- revision ids, ordered by requirements alone
SELECT migrate.add('f3', '', '', requires => ARRAY['0a'], project => 'ids');
SELECT migrate.add('0a', '', '', requires => ARRAY['c7'], project => 'ids');
SELECT migrate.add('c7', '', '', project => 'ids');
SELECT array_agg(version) FROM migrate.plan(project => 'ids');
SELECT array_agg(h) FROM migrate.heads('ids') h;
SELECT migrate.add('1b', '', '', requires => ARRAY['0a'], project => 'ids');
SELECT array_agg(h) FROM migrate.heads('ids') h;
SELECT array_agg(version) FROM migrate.plan('1b', project => 'ids');
SELECT version FROM migrate.apply('1b', project => 'ids');
SELECT version FROM migrate.apply(project => 'ids');
SELECT migrate.add('9d', '', '', requires => ARRAY['f3', '1b'], name => 'merge', project => 'ids');
SELECT array_agg(h) FROM migrate.heads('ids') h;
SELECT version FROM migrate.apply(project => 'ids');
SELECT migrate.current('ids');
SELECT version FROM migrate.rollback(versions => ARRAY['0a'], project => 'ids');
\echo :SQLSTATE
SELECT version FROM migrate.rollback_to('1b', project => 'ids');
SELECT version, state FROM migrate.status('ids');

-- circles and gaps are named
SELECT migrate.add('a', '', requires => ARRAY['c'], project => 'circle');
SELECT migrate.add('b', '', requires => ARRAY['a'], project => 'circle');
SELECT migrate.add('c', '', requires => ARRAY['b', 'd'], project => 'circle');
SELECT * FROM migrate.plan(project => 'circle');
\echo :SQLSTATE
SELECT migrate.add('d', '', project => 'circle');
SELECT * FROM migrate.apply(project => 'circle');
\echo :SQLSTATE
SELECT version, state FROM migrate.status('circle');
SELECT migrate.add('self', '', requires => ARRAY['self'], project => 'self');
SELECT * FROM migrate.plan(project => 'self');

-- other projects
SELECT migrate.add('2', '', requires => ARRAY['base:1'], project => 'top');
SELECT * FROM migrate.apply(project => 'top');
\echo :SQLSTATE
SELECT migrate.add('1', '', project => 'base');
SELECT * FROM migrate.apply(project => 'top');
SELECT version FROM migrate.apply(project => 'base');
SELECT version FROM migrate.apply(project => 'top');
-- a version may contain a colon
SELECT migrate.add('12:30', '', project => 'colon');
SELECT migrate.add('12:31', '', requires => ARRAY['12:30'], project => 'colon');
SELECT version FROM migrate.apply(project => 'colon');

-- a versioned migration that requires a repeatable one does not stand in the way
SELECT migrate.add('R', 'CREATE FUNCTION rf() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'DROP FUNCTION rf', kind => 'repeatable', project => 'mixed');
SELECT migrate.add('2', 'CREATE VIEW rv AS SELECT rf() AS f', 'DROP VIEW rv', requires => ARRAY['R'], project => 'mixed');
SELECT version FROM migrate.apply(project => 'mixed');
SELECT migrate.add('9', '', '', project => 'mixed');
SELECT version FROM migrate.apply(project => 'mixed');
SELECT version FROM migrate.rollback(project => 'mixed');
-- the repeatable one has run again, and still goes after what requires it
SELECT result FROM migrate.load('{"R.sql": "-- migrate:repeatable\n-- migrate:up\nCREATE OR REPLACE FUNCTION rf() RETURNS int LANGUAGE sql AS ''SELECT 2'';\n-- migrate:down\nDROP FUNCTION rf;"}'::jsonb, 'name', project => 'mixed');
SELECT version FROM migrate.apply(project => 'mixed');
SELECT version FROM migrate.rollback_to('base', project => 'mixed');
-- roll-backs see requirements of other projects, and no pending nonsense
SELECT migrate.amend('1', down => '', project => 'base');
SELECT version FROM migrate.rollback(project => 'base');
\echo :SQLSTATE
SELECT migrate.add('3', '', requires => ARRAY['nosuch'], project => 'mixed');
SELECT version FROM migrate.rollback(project => 'mixed');

-- what is out of order is named by all who look, with a way out that works
SELECT count(*) FROM migrate.load('{"1_a.sql": "", "2_b.sql": "", "3_c.sql": "", "5_e.sql": ""}', project => 'late');
SELECT version FROM migrate.apply(versions => '{1,3}', project => 'late');
SELECT count(*) FROM migrate.load('{"1_a.sql": "", "3_c.sql": "", "4_b.sql": "", "5_e.sql": ""}', project => 'late');
SELECT migrate.check(project => 'late');
SELECT migrate.check('1', 'late');
SELECT version, state FROM migrate.status('late');
SELECT version FROM migrate.apply(project => 'late');
SELECT migrate.hold('2', 'not yet', project => 'late');
SELECT migrate.check(project => 'late');
SELECT migrate.unhold('2', project => 'late');
INSERT INTO migrate.policy (project, out_of_order) VALUES ('late', 'allow');
SELECT migrate.check(project => 'late');
SELECT version, state FROM migrate.status('late') WHERE state <> 'applied';
DELETE FROM migrate.policy WHERE project = 'late';
SELECT migrate.remove('2', project => 'late');
SELECT version FROM migrate.apply(project => 'late');
SELECT migrate.check(project => 'late');

-- many, to see that it is not quadratic
SELECT count(migrate.add('r' || i, '', requires => CASE WHEN i > 1 THEN ARRAY['r' || i - 1] END, project => 'chain'))
	FROM generate_series(1, 300) i;
SELECT array_agg(version) = (SELECT array_agg('r' || i) FROM generate_series(1, 300) i) AS in_order
	FROM migrate.plan(project => 'chain');
