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

-- an array is no version, whatever it is of, where one is wanted
SELECT migrate.remove(ARRAY['104']);
\echo :SQLSTATE
SELECT migrate.hold('{104}'::varchar[], 'reason');
SELECT migrate.unhold(ARRAY['104', '103']);
SELECT migrate.amend(ARRAY[104], up => 'SELECT 1');
SELECT migrate.stamp(ARRAY['104']);
SELECT migrate.unstamp(ARRAY['104']);
SELECT migrate.stamp_to(NULL::text[]);
SELECT migrate.resume(ARRAY['104'], at => 1);
SELECT migrate.check(ARRAY['104']);
SELECT version FROM migrate.plan(ARRAY['104']);
SELECT version FROM migrate.rollback_to(ARRAY['104']);
SELECT migrate.script(to_version => ARRAY['104']);
SELECT migrate.report(target => ARRAY['104']);
CALL migrate.rollback_each(target => ARRAY['104']);

-- in any argument, of any type of number, with others beside it
SELECT version FROM migrate.apply(20240101120000);
SELECT version, action FROM migrate.apply(101::smallint, '{101}', raise => false);
SELECT migrate.apply(versions => ARRAY[101, 102]);
SELECT migrate.apply('102', ARRAY[101]);
SELECT migrate.apply(NULL, ARRAY[101.5, NULL]);
SELECT migrate.apply(ARRAY['101']);
SELECT migrate.apply(true);
SELECT migrate.apply(NULL::int);
CALL migrate.apply_each(versions => ARRAY[101]);
CALL migrate.apply_each(101, '{102}', note => 'x');
SELECT migrate.start(versions => ARRAY[101]);
SELECT version FROM migrate.lint(versions => ARRAY[101]);
SELECT version FROM migrate.rehearse(versions => ARRAY[101]);
SELECT version FROM migrate.rehearse_rollback(versions => ARRAY[101]);
SELECT version FROM migrate.rehearse_rollback(1, 101);
SELECT version FROM migrate.rehearse_rollback(steps => 1, target => 101);
SELECT version FROM migrate.rehearse_rollback(1.5);
SELECT version FROM migrate.rehearse_rollback(-1);
SELECT version FROM migrate.rehearse_rollback('NaN'::float8);
SELECT version FROM migrate.rehearse_rollback(20240101120000);
SELECT version FROM migrate.rehearse_rollback(1e30);
SELECT version, statement FROM migrate.rehearse_rollback(1::smallint);
SELECT version, statement FROM migrate.rehearse_rollback(1::bigint, NULL);
SELECT version, statement FROM migrate.rehearse_rollback(1, '103');
SELECT outcome FROM migrate.rehearse_summary(101);
SELECT outcome FROM migrate.rehearse_summary(versions => ARRAY[101]);
SELECT migrate.add('105', 'SELECT 1', requires => ARRAY[101, 102]);
SELECT migrate.add(105, 'SELECT 1', requires => ARRAY[101, 102]);
SELECT migrate.script(1, 5);
SELECT migrate.script('1', 5);
SELECT migrate.script(to_version => 5);
SELECT migrate.report(101);
SELECT migrate.report('101');
SELECT migrate.report(101, '102', rehearse => true);
SELECT migrate.hold(101);
SELECT migrate.hold('101');
SELECT migrate.unhold(101::bigint);
SELECT version FROM migrate.rollback(20240101120000);
SELECT version FROM migrate.history('elsewhere');
-- who has no such number is told the way of the same mode, to something that is there
CALL migrate.rollback_each('all');
SELECT version FROM migrate.rehearse_rollback('all');
SELECT version FROM migrate.rollback('all');
SELECT version FROM migrate.plan_rollback('all');
SELECT version FROM migrate.rollback_run('base');
SELECT version FROM migrate.redo('ALL');
-- nobody is told how to undo more than was named
SELECT version FROM migrate.redo('3');
SELECT version FROM migrate.rollback_run('103');
SELECT version FROM migrate.rollback('003');
SELECT version FROM migrate.rollback('20240101120000 ');
-- a function that is called, a procedure that is selected
CALL migrate.apply();
CALL migrate.apply('101');
CALL migrate.rollback(1);
CALL migrate.rollback_to('101', confirm => 'x');
CALL migrate.redo();
CALL migrate.stamp('101');
CALL migrate.lint();
CALL migrate.load('{}'::jsonb);
SELECT migrate.apply_each();
SELECT * FROM migrate.rollback_each('101');
SELECT migrate.apply_each(101);

-- what is right stays right
SELECT version FROM migrate.rollback(versions => '{104}');
SELECT version FROM migrate.rollback();
SELECT version FROM migrate.rollback(1::smallint);
SELECT version FROM migrate.rollback_to('101'::varchar, raise => true);
SELECT version FROM migrate.apply('102');
SELECT version FROM migrate.apply(NULL, '{103}');
SELECT version FROM migrate.apply(versions => ARRAY['104']);
SELECT version FROM migrate.rollback(versions => ARRAY['104', '103']::varchar[]);
-- the types of drivers, and of tables: parameters without a type, an empty list, other texts
CREATE DOMAIN number_of_version AS varchar(20);
SELECT version FROM migrate.apply('101'::number_of_version, ARRAY[]::text[], dry_run => true);
SELECT version FROM migrate.apply('101'::name, '{}', dry_run => true);
SELECT version FROM migrate.apply('101'::char(9), ARRAY['101']::number_of_version[], dry_run => true);
SELECT version FROM migrate.apply(NULL, NULL, dry_run => true);
SELECT version FROM migrate.apply(NULL::text, NULL::varchar[], dry_run => true);
PREPARE hold AS SELECT migrate.add($1, $2, $3, requires => $4), migrate.hold($1, $5), migrate.unhold($1), migrate.remove($1);
EXECUTE hold('105', 'SELECT 1', NULL, '{101}', 'why');
DEALLOCATE hold;
PREPARE each AS SELECT count(*) FROM migrate.lint($1, $2, $3);
EXECUTE each('101', '{101}', 'default');
DEALLOCATE each;
PREPARE script AS SELECT migrate.script($1, $2) LIKE '%101%', migrate.report($3, $2) <> '';
EXECUTE script('base', '102', 'json');
DEALLOCATE script;
SELECT migrate.script() = migrate.script('base', 'head'), migrate.script('101', NULL) = migrate.script('101');
DROP DOMAIN number_of_version;
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
-- a run that nobody has made, and one that did nothing that is left
SELECT count(*) FROM migrate.rollback_run(102);
\echo :SQLSTATE
SELECT count(*) FROM migrate.rollback_run(0);
SELECT count(*) FROM migrate.rollback_run(2);
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
