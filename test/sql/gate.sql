--
-- What is let into migrate.migration, and what is not
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;

-- versions of any text, in natural order
SELECT count(migrate.add(v, '')) FROM unnest(ARRAY['1', '01', '1.9', '1.10', '1.2',
	'20240101120000', '99999999999999999999', '100000000000000000000', 'a/b', 'a', 'b10', 'b9', 'é',
	'2024-01-02', '2024-01-10', repeat('x', 148), 'v1.2-rc1', 'v1.2', ' lead', 'x y']) v;
SELECT version FROM migrate.status();
SELECT bool_and(a.o = b.o) AS key_agrees
	FROM (SELECT version, row_number() OVER (ORDER BY migrate.version_key(version)) o FROM migrate.migration) a
	JOIN (SELECT version, ordinality o FROM migrate.status() WITH ORDINALITY) b USING (version);
SELECT count(migrate.remove(version)) FROM migrate.migration;

-- not versions
SELECT migrate.add('', '');
\echo :SQLSTATE
SELECT migrate.add('head', '');
SELECT migrate.add('base', '');
SELECT migrate.add(E'a\nb', '');
SELECT migrate.add(NULL, '');
\echo :SQLSTATE
SELECT migrate.add('1', NULL);
SELECT migrate.add('1', '', kind => 'sometimes');
SELECT migrate.add('1', '', 'SELECT 1', irreversible => true);
SELECT migrate.add('1', '', requires => ARRAY['a', NULL]);
\set VERBOSITY terse
INSERT INTO migrate.migration (version, up) VALUES (E'a\nb', '');
\set VERBOSITY default

-- syntax errors have line, column and the line's text
SELECT migrate.add('x', 'SELECT 1;
  CREATE TABEL t ();
SELECT 2');
\echo :SQLSTATE
SELECT migrate.add('x', 'SELECT ''é'', ''ü'' FORM t');
SELECT migrate.add('x', 'SELECT 1', E'-- down\n\nDROP TABL x');
SELECT migrate.add('x', 'SELECT 1', verify => 'SELEC 1');
SELECT migrate.add('x', 'SELECT ''no end');
SELECT migrate.add('x', 'CREATE TABLE t (');

-- what is for psql
SELECT migrate.add('x', E'SELECT 1;\n\\i other.sql\n');
SELECT migrate.add('x', E'COPY t FROM stdin;\n1\tone\n\\.\n');
SELECT migrate.add('x', 'COPY t FROM stdin');
\echo :SQLSTATE
SELECT migrate.add('x', 'COPY t TO stdout');

-- transaction control
SELECT migrate.add('x', 'CREATE TABLE t (); ROLLBACK; SELECT 1');
\echo :SQLSTATE
SELECT migrate.add('x', 'SAVEPOINT a');
SELECT migrate.add('x', E'\n\nPREPARE TRANSACTION ''x''');
SELECT migrate.add('x', 'BEGIN; SELECT 1');
SELECT migrate.add('x', 'BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT', transactional => true);
SELECT migrate.add('x', 'COMMIT AND CHAIN');
SELECT migrate.add('x', 'BEGIN; BEGIN; COMMIT');
-- a pair around all statements is taken off, others are transactions
SELECT migrate.add('tx1', 'BEGIN; CREATE TABLE tx1 (); COMMIT;', 'START TRANSACTION; DROP TABLE tx1; END;');
SELECT migrate.add('tx2', 'BEGIN; CREATE TABLE tx2 (); COMMIT; BEGIN; CREATE TABLE tx3 (); COMMIT');
SELECT migrate.add('tx3', 'CREATE TABLE tx4 (); COMMIT');
SELECT migrate.add('tx3', 'BEGIN; CREATE TABLE tx4 (); COMMIT; SELECT 1', transactional => true);
SELECT migrate.add('tx3', 'SELECT 1', verify => 'BEGIN; SELECT true; COMMIT; SELECT true');
SELECT migrate.add('tx4', 'SELECT 1', verify => 'BEGIN; SELECT true; ROLLBACK');
SELECT version, own_transaction, reason FROM migrate.plan();
SELECT version, statements FROM migrate.apply();
SELECT version, statements FROM migrate.apply(versions => ARRAY['tx1', 'tx4']);
SELECT count(*) FROM pg_class WHERE relname LIKE 'tx_';
DROP TABLE tx1;
SELECT count(version) FROM migrate.stamp_to('base');

-- this extension, and the syntax of strings
SELECT migrate.add('x', 'DROP EXTENSION IF EXISTS migrate');
SELECT migrate.add('x', 'ALTER EXTENSION migrate UPDATE');
SELECT migrate.add('x', 'SET standard_conforming_strings = off');
SELECT migrate.add('y', 'SET standard_conforming_strings = on; DROP EXTENSION IF EXISTS nosuch');
SET standard_conforming_strings = off;
SELECT migrate.add('scs', $$CREATE TABLE scs AS SELECT 'a\' AS backslash$$);
RESET standard_conforming_strings;
SELECT up FROM migrate.migration WHERE version = 'scs';

-- a dump of pg_dump, a byte-order mark, CRLF
SELECT migrate.add('dump', E'--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET client_encoding = ''UTF8'';\nSELECT pg_catalog.set_config(''search_path'', '''', false);\nCREATE TABLE public.dumped (a text DEFAULT ''\\restrict x'');\n\\unrestrict abc\n\n');
SELECT migrate.add('bom', E'\uFEFFSELECT 1');
SELECT migrate.add('crlf', E'SELECT 1;\r\nSELECT 2;\r\n');
SELECT version, checksum = encode(sha256(convert_to(replace(replace(up, E'\r\n', E'\n'), E'\uFEFF', ''), 'UTF8')), 'hex') AS normalized,
	octet_length(up) FROM migrate.migration WHERE version IN ('dump', 'bom', 'crlf') ORDER BY 1;

-- the same again is nothing, another text is an error
SELECT migrate.add('crlf', E'SELECT 1;\nSELECT 2;\n');
SELECT octet_length(up) FROM migrate.migration WHERE version = 'crlf';
SELECT migrate.add('crlf', E'SELECT 1;\n');
\echo :SQLSTATE
SELECT migrate.add('crlf', E'SELECT 1;\nSELECT 2;\n', 'SELECT 3');
SELECT migrate.add('crlf', E'SELECT 1;\nSELECT 2;\n', requires => ARRAY['bom']);
SELECT version, statements FROM migrate.apply(versions => ARRAY['dump', 'bom', 'crlf', 'scs']);
SELECT column_default FROM information_schema.columns WHERE table_name = 'dumped';
SELECT backslash FROM scs;
SELECT migrate.add('crlf', E'SELECT 1;\n');

-- plain statements meet the same gate
INSERT INTO migrate.policy (out_of_order) VALUES ('allow');
INSERT INTO migrate.migration (version, up) VALUES ('p1', 'SELEC 1');
INSERT INTO migrate.migration (version, up, down) VALUES ('p1', 'SELECT 1', 'SELECT 2');
SELECT checksum = encode(sha256('SELECT 1'), 'hex') AS up, down_checksum = encode(sha256('SELECT 2'), 'hex') AS down,
	added_by, added_at <= clock_timestamp() AS added FROM migrate.migration WHERE version = 'p1';
UPDATE migrate.migration SET up = 'SELECT 3' WHERE version = 'p1';
SELECT checksum = encode(sha256('SELECT 3'), 'hex') AS up FROM migrate.migration WHERE version = 'p1';
UPDATE migrate.migration SET up = 'SELEC 3' WHERE version = 'p1';
UPDATE migrate.migration SET checksum = 'forged' WHERE version = 'p1';
SELECT checksum = encode(sha256('SELECT 3'), 'hex') AS up FROM migrate.migration WHERE version = 'p1';
INSERT INTO migrate.migration (version, up, checksum) VALUES ('p2', 'SELECT 1', 'forged');
\echo :SQLSTATE
-- a row with its own checksum is hashed, not parsed, and never run unseen
INSERT INTO migrate.migration (version, up, checksum, added_by, added_at)
	VALUES ('p2', 'SELEC 1', encode(sha256('SELEC 1'), 'hex'), 'somebody', '2020-01-01 00:00+00');
SELECT added_by, added_at = '2020-01-01 00:00+00' AS kept FROM migrate.migration WHERE version = 'p2';
SELECT migrate.apply(versions => ARRAY['p2']);
UPDATE migrate.migration SET added_by = 'postgres' WHERE version = 'p2';
SELECT version FROM migrate.apply(versions => ARRAY['p2']);
UPDATE migrate.migration SET up_trusted = true WHERE version = 'p2';
SELECT version FROM migrate.apply(versions => ARRAY['p2']);
DELETE FROM migrate.migration WHERE version = 'p2';
-- what is applied
UPDATE migrate.migration SET up = 'SELECT 4' WHERE version = 'bom';
\echo :SQLSTATE
UPDATE migrate.migration SET down = 'SELECT 4' WHERE version = 'bom';
UPDATE migrate.migration SET version = 'mob' WHERE version = 'bom';
DELETE FROM migrate.migration WHERE version = 'bom';
TRUNCATE migrate.migration;
UPDATE migrate.migration SET name = 'new name' WHERE version = 'bom';
SELECT migrate.remove('bom');
\echo :SQLSTATE
SELECT migrate.remove('nosuch');
\echo :SQLSTATE
SELECT migrate.gate();

-- a gate that was switched off is noticed
ALTER TABLE migrate.migration DISABLE TRIGGER ALL;
UPDATE migrate.migration SET up = 'SELECT 666' WHERE version = 'p1';
ALTER TABLE migrate.migration ENABLE TRIGGER ALL;
SELECT version FROM migrate.apply(versions => ARRAY['p1']);
\echo :SQLSTATE

-- a body of 2 MB with 1,000 statements
SELECT migrate.add('zz', string_agg(format(E'-- %s\nSELECT %s;\n', repeat('x', 2000), i), ''))
	FROM generate_series(1, 1000) i;
SELECT version, statements FROM migrate.apply(versions => ARRAY['zz']);
SELECT statement, line, tag FROM migrate.statements((SELECT max(run) FROM migrate.journal)) ORDER BY statement DESC LIMIT 1;
DROP TABLE scs, dumped;
