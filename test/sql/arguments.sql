-- a version is text and a count is a number: neither is taken for the other
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
\pset null '(null)'
SELECT migrate.add(v, format('CREATE TABLE t%s ()', v), format('DROP TABLE t%s', v))
FROM unnest('{101,102,103,104}'::text[]) v;
SELECT count(*) FROM migrate.apply();

-- '104' must not undo 104 migrations: with a name, NULLs, further arguments, a parameter
SELECT migrate.rollback('104');
\echo :SQLSTATE
SELECT version, action FROM migrate.rollback('2');
SELECT * FROM migrate.rollback(steps => '104', dry_run => true, confirm => 'x');
SELECT * FROM migrate.rollback('it''s', NULL, raise => false);
SELECT * FROM migrate.rollback(NULL);
SELECT * FROM migrate.rollback('104'::text);
PREPARE undo AS SELECT version FROM migrate.rollback($1);
EXECUTE undo('104');
DEALLOCATE undo;
SELECT version FROM migrate.plan_rollback('104');
SELECT version FROM migrate.redo('104', note => 'again');
SELECT version FROM migrate.rollback_run('1');
SELECT version, tag FROM migrate.rehearse_rollback('104');
SELECT version, tag FROM migrate.rehearse_rollback('104', versions => '{104}');
CALL migrate.rollback_each('104');
CALL migrate.rollback_each(steps => '1', note => 'x');
CALL migrate.rollback_each('1', NULL, 'note');
SELECT version FROM migrate.history('104');
SELECT version FROM migrate.failures('104');
SELECT version FROM migrate.failures(NULL);

-- nor a number a version
SELECT migrate.apply(2);
\echo :SQLSTATE
SELECT version FROM migrate.apply(target => 104, dry_run => true);
SELECT version FROM migrate.rollback_to(102);
SELECT version FROM migrate.rollback(versions => ARRAY[104]);
SELECT version FROM migrate.rollback(versions => ARRAY[104]::bigint[]);
SELECT * FROM migrate.plan(104);
SELECT migrate.check(104);
SELECT version FROM migrate.lint(104.5);
SELECT migrate.script(101);
SELECT migrate.report(target => 20240101120000);
SELECT migrate.add(105, 'SELECT 1');
SELECT migrate.remove(104);
SELECT migrate.amend(104, up => 'SELECT 1');
SELECT migrate.hold(3, 'reason');
SELECT migrate.unhold(3);
SELECT migrate.stamp(4);
SELECT migrate.unstamp(4);
SELECT migrate.stamp_to(4);
SELECT migrate.resume(4, at => 1);
SELECT migrate.start(4);
SELECT version FROM migrate.rehearse(104);
SELECT version FROM migrate.rehearse_rollback(target => 101);
CALL migrate.apply_each(2);
CALL migrate.rollback_each(target => 102);

-- what is right stays right
SELECT version FROM migrate.rollback(versions => '{104}');
SELECT version FROM migrate.rollback();
SELECT version FROM migrate.rollback(1::smallint);
SELECT version FROM migrate.rollback_to('101'::varchar, raise => true);
SELECT version FROM migrate.apply('102');
SELECT version FROM migrate.apply(NULL, '{103}');
SELECT version FROM migrate.apply(versions => ARRAY['104']);
SELECT version FROM migrate.rollback(versions => ARRAY['104', '103']::varchar[]);
PREPARE redo AS SELECT version FROM migrate.apply($1, $2);
EXECUTE redo('103', '{103}');
DEALLOCATE redo;
SELECT version FROM migrate.redo(1);
SET migrate.progress_notices = off;
CALL migrate.rollback_each(2) \gset
\echo :rolled_back
CALL migrate.apply_each(NULL, NULL) \gset
\echo :applied
CALL migrate.rollback_each(target => '101') \gset
\echo :rolled_back
SELECT count(*) FROM migrate.rollback_run(1, dry_run => true);
SELECT version FROM migrate.history(2);
SELECT migrate.check('101');
-- a number that is a version is no count, and a count is never "all there are"
SELECT version FROM migrate.apply('103');
SELECT version FROM migrate.rollback(103);
\echo :SQLSTATE
SELECT version FROM migrate.plan_rollback(103);
SELECT version FROM migrate.rehearse_rollback(103);
SELECT version FROM migrate.redo(103);
SELECT version FROM migrate.redo(4);
CALL migrate.rollback_each(103);
CALL migrate.rollback_each(4);
SELECT version FROM migrate.rollback(3, dry_run => true);
SELECT count(*) FROM migrate.rollback_to('base');
SELECT count(*) FROM migrate.rollback();

-- a note may be the message of a commit
SELECT version FROM migrate.apply('101', note => E'Add a table\r\n\r\n\tfor  people \n');
SELECT note FROM migrate.journal WHERE run = (SELECT max(run) FROM migrate.journal);
SELECT migrate.amend('101', up => 'CREATE TABLE t101 () -- now', note => E'a\nb');
SELECT version FROM migrate.rollback(note => E'\n');
SELECT note = '' FROM migrate.journal WHERE run = (SELECT max(run) FROM migrate.journal);
SELECT migrate.apply(note => E'a\x1bb');
