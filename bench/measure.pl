#!/usr/bin/perl
#
# bench/measure.pl: the measurements of bench/run, which starts it
#
#     perl measure.pl DATA_DIRECTORY FILES RUNS COUNT HISTORY PART...
#
# Each measurement has a database of its own, made from the same template as
# that of its rivals, and a first connection before the one that counts.  The
# rivals take turns, so that a machine that slows down slows all of them.
#
# Wall time is that of the whole psql process.  CPU time is that of psql and of
# its backend, read from /proc by each of them as its last act.

use strict;
use warnings;

use Cwd qw(getcwd);
use IO::Handle;
use JSON::PP;
use Time::HiRes qw(time);

my ($data, $files, $runs, $count, $history, @parts) = @ARGV;
my $sequence = 0;

# ---------------------------------------------------------------------------
# Tools
# ---------------------------------------------------------------------------

sub write_file
{
	my ($name, $text) = @_;

	open(my $file, '>', "$files/$name") or die "could not create $files/$name: $!\n";
	print $file $text;
	close($file) or die "could not write $files/$name: $!\n";
	return "$files/$name";
}

# Run SQL and return what psql prints.
sub sql
{
	my ($database, @statements) = @_;
	my @command =
	  ('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $database);

	# what a migration says is of interest to nobody here
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';

	open(my $psql, '-|', @command, map { ('-c', $_) } @statements)
	  or die "could not run psql: $!\n";
	my $said = do { local $/ = undef; <$psql> };
	close($psql) or die "failed in $database: @statements\n";
	$said = '' unless defined $said;
	chomp $said;
	return $said;
}

# Run a command with its output thrown away; returns its wall time in ms.
sub wall
{
	my (@command) = @_;
	my $start = time();
	my $pid = fork();

	die "could not fork: $!\n" unless defined $pid;
	if ($pid == 0)
	{
		open(STDOUT, '>', '/dev/null') or die;
		open(STDERR, '>', "$files/stderr") or die;
		exec(@command) or die;
	}
	waitpid($pid, 0);
	my $elapsed = (time() - $start) * 1000;

	if ($? != 0)
	{
		system('tail', '-n', '20', "$files/stderr");
		die "failed: @command\n";
	}
	return $elapsed;
}

# The SQL and psql commands with which both processes write down their CPU time.
sub reading
{
	return <<"END";
\\o $files/cpu.server
SELECT pg_catalog.pg_read_file('/proc/self/schedstat');
\\o
\\! cat /proc/\$PPID/schedstat >$files/cpu.client
END
}

# CPU time in ms of the two processes that reading() was run in.
sub cpu
{
	my $sum = 0;

	foreach my $side (qw(server client))
	{
		open(my $file, '<', "$files/cpu.$side") or die "no CPU time of the $side: $!\n";
		my $text = do { local $/ = undef; <$file> };
		close($file);
		die "no CPU time of the $side\n" unless $text =~ /(\d+) \d+ \d+/;
		$sum += $1 / 1e6;
	}
	return $sum;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $middle = int(@sorted / 2);

	return @sorted % 2
	  ? $sorted[$middle]
	  : ($sorted[ $middle - 1 ] + $sorted[$middle]) / 2;
}

sub new_database
{
	my ($template) = @_;
	my $name = 'bench_' . ++$sequence;

	sql('postgres', "CREATE DATABASE $name TEMPLATE $template");
	return $name;
}

sub drop_database
{
	my ($name) = @_;

	sql('postgres', "DROP DATABASE $name");
	return;
}

# ---------------------------------------------------------------------------
# Rivals
# ---------------------------------------------------------------------------

# Measure rivals against the first one.  Each is a name, a template, and what it
# does: a script for psql, a call that psql -c makes, or a command.
sub compare
{
	my ($title, @rivals) = @_;
	my $reading = write_file('reading.sql', reading());
	my (%wall, %cpu);

	foreach my $run (1 .. $runs)
	{
		foreach my $rival (@rivals)
		{
			my $database = new_database($rival->{template});

			sql($database, 'SELECT 1');
			sql('postgres', 'CHECKPOINT');
			if ($rival->{command})
			{
				push @{ $wall{ $rival->{name} } },
				  wall(@{ $rival->{command} }, '-d', $database);
			}
			else
			{
				my @does =
				  $rival->{call}
				  ? ('-c', $rival->{call}, '-f', $reading)
				  : ('-f', $rival->{script});

				push @{ $wall{ $rival->{name} } },
				  wall('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
					'-d', $database, @does);
				push @{ $cpu{ $rival->{name} } }, cpu();
			}
			die "$rival->{name}: the outcome is wrong\n"
			  if sql($database, $rival->{check}) ne 't';
			drop_database($database);
		}
	}

	printf "\n%-44s %9s %6s %9s %6s\n", $title, 'wall ms', 'ratio', 'CPU ms', 'ratio';
	my $first = $rivals[0]{name};
	foreach my $rival (@rivals)
	{
		my $name = $rival->{name};
		my $wall = median(@{ $wall{$name} });

		printf '%-44s %9.1f %6.2f', $name, $wall, $wall / median(@{ $wall{$first} });
		if ($cpu{$name})
		{
			my $cpu = median(@{ $cpu{$name} });

			printf ' %9.1f %6.2f', $cpu, $cpu / median(@{ $cpu{$first} });
		}
		print "\n";
	}
	return;
}

# A script for psql, with what reads the CPU time at its end.
sub script
{
	my ($name, $text) = @_;

	return write_file("$name.sql", $text . "\n" . reading());
}

sub dollar
{
	my ($text) = @_;

	return "\$bench\$$text\$bench\$";
}

# Up and down bodies of a part: [version, up, down].
sub bodies
{
	my ($part) = @_;

	return map {
		my $n = sprintf('%05d', $_);
		$part eq 'create'
		  ? [
			"1$n",
			"CREATE TABLE table_$n (id bigint PRIMARY KEY, name text);",
			"DROP TABLE table_$n;"
		  ]
		  : [
			"2$n",
			"ALTER TABLE table_$n ADD COLUMN amount numeric;",
			"ALTER TABLE table_$n DROP COLUMN amount;"
		  ]
	} 1 .. $count;
}

# What a loop and apply() find in the database before they start.
sub prepare
{
	my ($database, $part, @bodies) = @_;
	my %files =
	  map { ("$_->[0]_$part.sql" => "-- migrate:up\n$_->[1]\n-- migrate:down\n$_->[2]\n") }
	  @bodies;
	my $load = write_file("load_$part.sql",
		"SELECT count(*) FROM migrate.load("
		  . dollar(JSON::PP->new->canonical->encode(\%files))
		  . "::jsonb, prune => false);\n");

	mkdir "$files/$part";
	write_file("$part/$_", $files{$_}) foreach sort keys %files;
	my $insert = write_file("insert_$part.sql",
		"CREATE TABLE public.body (version text PRIMARY KEY, up text);\n"
		  . join('',
			map { "INSERT INTO public.body VALUES ('$_->[0]', " . dollar($_->[1]) . ");\n" }
			  @bodies)
		  . "ANALYZE public.body;\n");
	wall('psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-f', $_)
	  foreach $insert, $load;
	return $load;
}

sub measure_ddl
{
	my ($part, $title, $base, $done) = @_;
	my @bodies = bodies($part);
	my $up = join("\n", map { $_->[1] } @bodies);
	my $down = join("\n", map { $_->[2] } reverse @bodies);
	my $changed =
	  $part eq 'create'
	  ? "SELECT count(*) = $count FROM pg_class WHERE relname LIKE 'table\\_%' AND relkind = 'r'"
	  : "SELECT count(*) = $count FROM pg_attribute WHERE attname = 'amount'";
	my $unchanged = $changed;
	my $applied = 'SELECT * FROM migrate.apply()';
	my $loop = <<'SQL';
DO $loop$
DECLARE
	up text;
BEGIN
	FOR up IN SELECT b.up FROM public.body b ORDER BY version LOOP
		EXECUTE up;
		COMMIT;
	END LOOP;
END
$loop$
SQL

	$unchanged =~ s/= $count/= 0/;
	sql('postgres', "CREATE DATABASE ready_$part TEMPLATE $base");
	my $load = prepare("ready_$part", $part, @bodies);

	compare($title,
		{
			name => 'psql -1 -f',
			template => "ready_$part",
			script => script("psql_$part", "BEGIN;\n$up\nCOMMIT;"),
			check => $changed
		},
		{
			name => 'plpgsql loop, no records',
			template => "ready_$part",
			call => $loop =~ s/^\s*COMMIT;\n//mr,
			check => $changed
		},
		{
			name => 'apply()',
			template => "ready_$part",
			call => $applied,
			check => $changed
		},
		{
			name => 'load() and apply()',
			template => $base,
			script => script("load_apply_$part", "\\i $load\n$applied;"),
			check => $changed
		},
		{
			name => 'pg_migrate up --one-transaction',
			template => $base,
			command => [ 'pg_migrate', 'up', '--one-transaction', '--dir', "$files/$part" ],
			check => $changed
		});

	compare("$title, a transaction for each",
		{
			name => 'psql -1 -f',
			template => "ready_$part",
			script => script("psql_$part", "BEGIN;\n$up\nCOMMIT;"),
			check => $changed
		},
		{
			name => 'plpgsql loop with COMMIT, no records',
			template => "ready_$part",
			call => $loop,
			check => $changed
		},
		{
			name => 'the same with a NOTICE for each',
			template => "ready_$part",
			call => $loop =~ s/^(\s*)(COMMIT;\n)/$1$2$1RAISE NOTICE 'applied %', left(up, 30);\n/mr,
			check => $changed
		},
		{
			name => 'apply_each()',
			template => "ready_$part",
			call => 'CALL migrate.apply_each()',
			check => $changed
		},
		{
			name => 'apply_each() without NOTICEs',
			template => "ready_$part",
			script => script("apply_each_quiet_$part",
				"SET migrate.progress_notices = 'off';\nCALL migrate.apply_each();"),
			check => $changed
		});

	sql('postgres', "CREATE DATABASE $done TEMPLATE ready_$part");
	sql($done, 'SELECT count(*) FROM migrate.apply()', 'DROP TABLE public.body');
	compare("$title: back",
		{
			name => 'psql -1 -f',
			template => $done,
			script => script("psql_down_$part", "BEGIN;\n$down\nCOMMIT;"),
			check => $unchanged =~ s/attname = 'amount'/attname = 'amount' AND NOT attisdropped/r
		},
		{
			name => "rollback($count)",
			template => $done,
			script => script("rollback_$part", "SELECT * FROM migrate.rollback($count);"),
			check => $unchanged =~ s/attname = 'amount'/attname = 'amount' AND NOT attisdropped/r
		});
	sql('postgres', "DROP DATABASE ready_$part");
	return;
}

# rehearse() beside apply()
sub measure_rehearse
{
	my ($title, $base, $pattern, @bodies) = @_;
	my $ready = "ready_$pattern";

	sql('postgres', "CREATE DATABASE $ready TEMPLATE $base");
	prepare($ready, $pattern, @bodies);
	compare("$title: rehearsed",
		{
			name => 'apply()',
			template => $ready,
			script => script("apply_$pattern", 'SELECT * FROM migrate.apply();'),
			check => "SELECT count(*) = $count FROM migrate.applied"
		},
		{
			name => 'rehearse()',
			template => $ready,
			script => script("rehearse_$pattern", 'SELECT * FROM migrate.rehearse();'),
			check => 'SELECT count(*) = 0 FROM migrate.applied'
		},
		{
			name => 'rehearse_summary()',
			template => $ready,
			script => script("summary_$pattern", 'SELECT * FROM migrate.rehearse_summary();'),
			check => 'SELECT count(*) = 0 FROM migrate.applied'
		});
	sql('postgres', "DROP DATABASE $ready");
	return;
}

sub measure_rehearsals
{
	sql('postgres', 'CREATE DATABASE tables TEMPLATE base');
	wall('psql', '-X', '-q', '-1', '-d', 'tables', '-f',
		write_file('tables.sql', join("\n", map { $_->[1] } bodies('create'))));
	measure_rehearse("$count x CREATE TABLE", 'base', 'rehearse_create', bodies('create'));
	measure_rehearse("$count x ALTER TABLE, one each", 'tables', 'rehearse_alter', bodies('alter'));
	measure_rehearse(
		"$count x INSERT into the same table",
		'tables',
		'rehearse_insert',
		map { [ sprintf('3%05d', $_), "INSERT INTO table_00001 VALUES ($_);", 'SELECT 1;' ] } 1 .. $count);
	return;
}

# ---------------------------------------------------------------------------
# Nothing to do, and looking
# ---------------------------------------------------------------------------

sub fill_history
{
	my ($database, $number) = @_;

	sql('postgres', "CREATE DATABASE $database");
	sql($database, 'CREATE EXTENSION migrate');
	add_trivial($database, $number);
	sql($database, 'SELECT count(*) FROM migrate.apply()', 'VACUUM ANALYZE');
	return;
}

sub add_trivial
{
	my ($database, $number) = @_;
	my %files = map { (sprintf('%06d_trivial.sql', $_) => "SELECT $_;\n") } 1 .. $number;
	my $load = write_file('load_trivial.sql',
		'SELECT count(*) FROM migrate.load('
		  . dollar(JSON::PP->new->canonical->encode(\%files))
		  . "::jsonb);\n");

	wall('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-f', $load);
	return;
}

sub measure_noop
{
	my %wall;
	my @rivals = ('SELECT 1', 'SELECT migrate.apply()');

	foreach my $run (1 .. 40 * $runs)
	{
		push @{ $wall{$_} }, wall('psql', '-X', '-d', 'history', '-c', $_) foreach @rivals;
	}
	printf "\n%-44s %9s %6s\n", "nothing to do, $history applied: psql -c", 'wall ms', 'ratio';
	printf "%-44s %9.2f %6.2f\n", $_, median(@{ $wall{$_} }),
	  median(@{ $wall{$_} }) / median(@{ $wall{ $rivals[0] } })
	  foreach @rivals;
	return;
}

sub measure_status
{
	my %wall;
	my @rivals = (
		'SELECT count(*) FROM migrate.status()',
		'SELECT * FROM migrate.status()',
		'SELECT * FROM migrate.plan()',
		'SELECT migrate.check()',
		'SELECT * FROM migrate.schema_migrations');

	foreach my $run (1 .. $runs)
	{
		foreach my $query (@rivals)
		{
			# the second of two in a session
			my $script = write_file('status.sql',
				"\\o /dev/null\n$query;\n\\timing on\n$query;\n");
			my $said = `psql -X -q -v ON_ERROR_STOP=1 -d history -f $script`;

			die "failed: $query\n" unless $? == 0 && $said =~ /Time: ([\d.]+) ms/;
			push @{ $wall{$query} }, $1;
		}
	}
	printf "\n%-44s %9s\n", "looking at $history, in a session", 'wall ms';
	printf "%-44s %9.1f\n", $_, median(@{ $wall{$_} }) foreach @rivals;
	return;
}

# ---------------------------------------------------------------------------
# Linting
# ---------------------------------------------------------------------------

# Migrations that the linter has nothing against: of new tables, of tables that
# are there, and of very many statements.
sub measure_lint
{
	my %bodies = (
		'create' => [ bodies('create') ],
		'alter' => [ bodies('alter') ],
		'2 MB' => [
			[
				'1',
				join("\n",
					map { "INSERT INTO rows_of_2mb VALUES ($_, 'a text of some length, as they are');" }
					  1 .. 28500),
				'DELETE FROM rows_of_2mb WHERE id > 0;'
			]
		]);

	sql('postgres', 'CREATE DATABASE lint TEMPLATE base');
	sql('lint', 'CREATE TABLE rows_of_2mb (id int, note text)',
		map { $_->[1] } @{ $bodies{create} });
	foreach my $what (sort keys %bodies)
	{
		my %files =
		  map { ("$_->[0]_lint.sql" => "-- migrate:up\n$_->[1]\n-- migrate:down\n$_->[2]\n") }
		  @{ $bodies{$what} };
		my $load = write_file('load_lint.sql',
			'SELECT count(*) FROM migrate.load('
			  . dollar(JSON::PP->new->canonical->encode(\%files))
			  . "::jsonb, project => '$what');\n");

		wall('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'lint', '-f', $load);
	}

	# where the tables are not there yet
	sql('postgres', 'CREATE DATABASE lint_empty TEMPLATE lint');
	sql('lint_empty', map { $_->[2] } @{ $bodies{create} });

	printf "\n%-44s %9s\n", 'linting, in a session', 'wall ms';
	foreach my $case ([ "$count x CREATE TABLE", 'create', 'lint_empty' ],
		[ "$count x ALTER TABLE", 'alter', 'lint' ],
		[ 'one body of 2 MB', '2 MB', 'lint' ])
	{
		my ($title, $project, $database) = @$case;
		my $query = "SELECT count(*) FROM migrate.lint(project => '$project')";
		my @wall;

		foreach my $run (1 .. $runs)
		{
			my $script = write_file('lint.sql', "$query;\n\\timing on\n$query;\n");
			my $said = `psql -X -q -A -t -v ON_ERROR_STOP=1 -d $database -f $script`;

			die "failed: $query\n" unless $? == 0 && $said =~ /^0\n0\nTime: ([\d.]+) ms/;
			push @wall, $1;
		}
		printf "%-44s %9.1f\n", $title, median(@wall);
	}
	return;
}

# ---------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------

# Private memory of the backend in kB: its peak, estimated as the peak of all of
# it less what it shares now, what it has afterwards, and what its contexts hold
# while the last body runs.
sub memory_of
{
	my ($number, $how) = @_;
	my $database = new_database('template0');
	my $inside = 'CREATE TABLE public.inside AS SELECT sum(total_bytes) / 1024 AS kb '
	  . 'FROM pg_catalog.pg_backend_memory_contexts;';

	sql($database, 'CREATE EXTENSION migrate');
	add_trivial($database, $number);
	sql($database, "SELECT migrate.add('999999', " . dollar($inside) . ')',
		'CREATE TABLE public.body AS SELECT version, up FROM migrate.migration');
	my $process = sql($database, $how, <<'END');
SELECT 'peak ' || (sum(kb) FILTER (WHERE what = 'VmHWM')
	- sum(kb) FILTER (WHERE what IN ('RssFile', 'RssShmem')))
	|| ' after ' || sum(kb) FILTER (WHERE what = 'RssAnon')
FROM (SELECT m[1] AS what, m[2]::int AS kb
	FROM regexp_matches(pg_read_file('/proc/self/status'), '(\w+):\s+(\d+) kB', 'g') AS m) AS s
END
	my $contexts = sql($database, 'SELECT round(kb) FROM public.inside');

	drop_database($database);
	return $process =~ /peak (\d+) after (\d+)/, $contexts;
}

sub measure_memory
{
	my %how = (
		'plpgsql loop' =>
		  'DO $$DECLARE b text; BEGIN FOR b IN SELECT up FROM public.body ORDER BY version LOOP EXECUTE b; END LOOP; END$$',
		'apply()' => 'SELECT count(*) FROM migrate.apply()',
		'apply_each()' => 'CALL migrate.apply_each()');

	printf "\n%-44s %10s %10s %12s\n", 'memory of the backend', 'peak kB', 'after kB',
	  'contexts kB';
	foreach my $name ('plpgsql loop', 'apply()', 'apply_each()')
	{
		foreach my $number (1, 1000, 10000)
		{
			printf "%-44s %10d %10d %12d\n", "$name, $number trivial bodies",
			  memory_of($number, $how{$name});
		}
	}
	return;
}

# ---------------------------------------------------------------------------
# People at work
# ---------------------------------------------------------------------------

# For how long a report keeps its transaction open, in seconds.
my $report_seconds = 15;

# A psql in the background that is told what to do.
sub session_begin
{
	my ($database) = @_;

	open(my $psql, '|-', 'psql', '-X', '-q', '-o', '/dev/null', '-d', $database)
	  or die "could not run psql: $!\n";
	$psql->autoflush(1);
	return $psql;
}

sub background
{
	my (@command) = @_;
	my $pid = fork();

	die "could not fork: $!\n" unless defined $pid;
	return $pid if $pid != 0;
	open(STDOUT, '>', '/dev/null') or die;
	open(STDERR, '>', "$files/stderr") or die;
	exec(@command) or die;
}

# The latencies in ms, sorted, of the transactions that came in between two times,
# from when they came: pgbench's log has that with --rate.
sub latencies
{
	my ($prefix, $from, $to) = @_;
	my @found;

	foreach my $name (glob("$prefix.*"))
	{
		open(my $log, '<', $name) or die "could not open $name: $!\n";
		while (my $line = <$log>)
		{
			my (undef, undef, $us, undef, $seconds, $rest) = split(' ', $line);
			my $came = $seconds + $rest / 1e6 - $us / 1e6;

			push @found, $us / 1000 if $came >= $from && $came <= $to;
		}
		close($log);
		unlink($name);
	}
	return sort { $a <=> $b } @found;
}

# Fifty clients work on a table of two million rows, a report on it is idle in a
# transaction, and a migration adds a column to it.
sub measure_crowd
{
	my %how = (
		'psql' => 'ALTER TABLE crowd ADD note text',
		'apply_each()' => 'CALL migrate.apply_each()');
	my $script = write_file('work.sql', <<'END');
\set id random(1, 2000000)
BEGIN;
SELECT total FROM crowd WHERE id = :id;
UPDATE crowd SET total = total + 1 WHERE id = :id;
COMMIT;
END

	sql('base', 'CREATE TABLE crowd (id int PRIMARY KEY, total int)',
		'INSERT INTO crowd SELECT i, 0 FROM generate_series(1, 2000000) i',
		q{SELECT migrate.add('1', 'ALTER TABLE crowd ADD note text')});
	printf "\n%-44s %8s %8s %8s %8s %8s\n",
	  "50 clients, a report open for $report_seconds s", 'p50 ms', 'p99 ms', 'max ms', '> 1 s %', 'done s';
	foreach my $name ('psql', 'apply_each()')
	{
		my $database = new_database('base');
		my $pgbench = background('pgbench', '-n', '-c', 50, '-j', 2, '-T', $report_seconds + 8,
			'--rate', 400, '-l', "--log-prefix=$files/latency", '-f', $script, $database);
		my $report = session_begin($database);

		sleep(2);
		print $report "BEGIN; SELECT count(*) FROM crowd;\n";
		sleep(1);
		my $from = time();
		my $migration = background('psql', '-X', '-q', '-d', $database, '-c', $how{$name});
		sleep($report_seconds);
		my $ended = time();
		print $report "COMMIT;\n";
		waitpid($migration, 0);
		my $done = time() - $ended;
		die "failed: $how{$name}\n" if $?;
		close($report);
		waitpid($pgbench, 0);
		my @all = latencies("$files/latency", $from, $ended + $done);
		printf "%-44s %8.1f %8.1f %8.1f %8.1f %8.1f\n", $name, median(@all),
		  $all[ int($#all * 0.99) ], $all[-1],
		  100 * (grep { $_ > 1000 } @all) / @all, $done;
		drop_database($database);
	}
	sql('base', 'DROP TABLE crowd', q{SELECT migrate.remove('1')});
	return;
}

# ---------------------------------------------------------------------------

my %wanted = map { $_ => 1 } @parts;

mkdir $files;
sql('postgres', 'CREATE DATABASE base');
sql('base', 'CREATE EXTENSION migrate');
if ($wanted{create} || $wanted{alter})
{
	# alter starts where create ends
	measure_ddl('create', "$count x CREATE TABLE", 'base', 'created');
	measure_ddl('alter', "$count x ALTER TABLE", 'created', 'altered') if $wanted{alter};
}
measure_rehearsals() if $wanted{rehearse};
fill_history('history', $history) if $wanted{noop} || $wanted{status};
measure_noop() if $wanted{noop};
measure_status() if $wanted{status};
measure_memory() if $wanted{memory};
measure_lint() if $wanted{lint};
measure_crowd() if $wanted{crowd};
