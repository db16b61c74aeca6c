# What the tests of rights (030_rights_*.pl) have in common: a server, its
# roles, a template database with the extension, and ways to attack it.
#
# The roles: owner owns the databases and installed the (trusted) extension;
# looker, writer, runner and mender have one right each; low has none.  None
# of them is a superuser, and what they must never change is read by books().

package Rights;

use strict;
use warnings;

use Exporter qw(import);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw($node $super @roles start_server stop_server database drop_database run
  allowed observe value refused refused_each harmless books privileges session
  log_size log_since);

our $node;
our $super = getpwuid($<);
our @roles = qw(low looker writer runner mender owner);

# database => a superuser's session in it
my %observers;

# Roles are the server's, everything else is in the template.
my $roles_sql = join('', map { "CREATE ROLE $_ LOGIN;\n" } @roles);

# A migration that the owner has applied, so that there are books to change,
# and a place for each role's own objects.
my $template_sql = <<'END';
SELECT migrate.grant('look', 'looker'), migrate.grant('write', 'writer'),
	migrate.grant('run', 'runner'), migrate.grant('repair', 'mender');
SELECT migrate.add('001', 'CREATE TABLE public.users (id int)',
	down => 'DROP TABLE public.users', name => 'users',
	verify => 'SELECT true');
SELECT migrate.apply();
END

# Start a server with the roles and the template.  More settings can be given
# as lines of postgresql.conf.  A slow machine must not make a difference: no
# notice of what took long, no time limit for the locks that tests hold.
sub start_server
{
	my ($settings) = @_;

	$node = PostgreSQL::Test::Cluster->new('rights');
	$node->init;
	$node->append_conf('postgresql.conf',
		"migrate.wait_timeout = '5s'\nmigrate.progress_notices = off\n"
		  . "migrate.lock_timeout = 0\n"
		  . ($settings // ''));
	$node->start;
	$node->safe_psql('postgres',
		$roles_sql . 'CREATE DATABASE template_rights OWNER owner');
	allowed('owner', 'template_rights',
		"CREATE EXTENSION migrate; $template_sql");
	allowed($super, 'template_rights',
		join('', map { "CREATE SCHEMA own_$_ AUTHORIZATION $_;\n" } @roles));
	return;
}

# Stop the server; one that is gone already is no error.
sub stop_server
{
	foreach my $observer (values %observers)
	{
		eval { $observer->close };
	}
	%observers = ();
	$node->stop('immediate', fail_ok => 1);
	return;
}

# A new database with the extension; its name is returned.
sub database
{
	my ($name) = @_;

	$node->safe_psql('postgres',
		"CREATE DATABASE $name TEMPLATE template_rights OWNER owner");
	return $name;
}

sub drop_database
{
	my ($name) = @_;

	(delete $observers{$name})->close if $observers{$name};
	$node->safe_psql('postgres', "DROP DATABASE $name WITH (FORCE)");
	return;
}

# Run SQL as a role: exit status of psql, output, messages with SQLSTATEs.
# Stops at the first error unless told otherwise.
sub run
{
	my ($role, $db, $sql, %option) = @_;
	my ($out, $err);
	my $status = $node->psql(
		$db, $sql,
		stdout => \$out,
		stderr => \$err,
		on_error_stop => $option{on_error_stop} // 1,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);

	return ($status, $out, $err);
}

# SQL that must work, or there is nothing to test.
sub allowed
{
	my ($role, $db, $sql) = @_;
	my ($status, $out, $err) = run($role, $db, $sql);

	die "$role in $db: $sql\n$err" if $status != 0;
	return $out;
}

# What a superuser's query says.  There are many of them, so each database has
# a session for them that stays open.
sub observe
{
	my ($db, $sql) = @_;

	$observers{$db} //= session($super, $db);
	my ($out, $err) = $observers{$db}->query("$sql\n;");

	die "$db: $sql\n$err" if $err =~ /(ERROR|FATAL):/;
	return $out;
}

# The value of an expression, as a superuser sees it.
sub value
{
	my ($db, $expression) = @_;

	return observe($db, "SELECT $expression");
}

# All that nobody but a superuser may change: the rows of the books, what the
# tables, functions and the schema are, whose they are and who may use them,
# and every role's attributes.  policy is the owner's and left out.
my $books_sql = <<'END';
SELECT md5(string_agg(line, E'\n' ORDER BY line)) FROM (
	SELECT 'migration ' || t::text FROM migrate.migration t
	UNION ALL SELECT 'applied ' || t::text FROM migrate.applied t
	UNION ALL SELECT 'journal ' || t::text FROM migrate.journal t
	UNION ALL SELECT 'body ' || t::text FROM migrate.executed_text t
	UNION ALL SELECT 'state ' || t::text FROM migrate.state t
	UNION ALL SELECT 'catalog ' || line FROM catalog
) AS lines(line)
END

my $catalog_sql = <<'END';
WITH mine AS (
	SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('migrate')
), catalog(line) AS (
	SELECT 'relation ' || concat_ws(' ', c.oid, relname, relkind, relowner,
		relacl, relrowsecurity, relforcerowsecurity, relhasrules,
		reltriggers.n, relchecks, relnatts, relpersistence, reloptions,
		relhassubclass AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid))
	FROM pg_class c JOIN mine USING (oid)
		CROSS JOIN LATERAL (SELECT string_agg(concat(tgname, tgenabled, tgfoid), ' ' ORDER BY tgname)
			FROM pg_trigger WHERE tgrelid = c.oid) AS reltriggers(n)
	UNION ALL SELECT 'column ' || concat_ws(' ', attrelid, attnum, attname,
		atttypid, attnotnull, atthasdef, attisdropped, attacl)
	FROM pg_attribute JOIN mine ON attrelid = oid
	UNION ALL SELECT 'constraint ' || concat_ws(' ', conname, conrelid,
		pg_get_constraintdef(c.oid))
	FROM pg_constraint c JOIN mine ON conrelid = mine.oid
	UNION ALL SELECT 'rule ' || concat_ws(' ', rulename, ev_class, md5(ev_action::text))
	FROM pg_rewrite JOIN mine ON ev_class = mine.oid
	UNION ALL SELECT 'policy ' || polname FROM pg_policy JOIN mine ON polrelid = mine.oid
	UNION ALL SELECT 'index ' || indexrelid FROM pg_index JOIN mine ON indrelid = mine.oid
	UNION ALL SELECT 'statistics ' || stxname
	FROM pg_statistic_ext JOIN mine ON stxrelid = mine.oid
	UNION ALL SELECT 'publication ' || prpubid
	FROM pg_publication_rel JOIN mine ON prrelid = mine.oid
	UNION ALL SELECT 'function ' || concat_ws(' ', oid, proname, proowner, proacl,
		prosecdef, proconfig, prosrc, probin, proleakproof, md5(prosqlbody::text))
	FROM pg_proc WHERE pronamespace = to_regnamespace('migrate')
	UNION ALL SELECT 'type ' || concat_ws(' ', typname, typowner, typacl)
	FROM pg_type WHERE typnamespace = to_regnamespace('migrate')
	UNION ALL SELECT 'schema ' || concat_ws(' ', oid, nspname, nspowner, nspacl)
	FROM pg_namespace WHERE nspname = 'migrate'
	UNION ALL SELECT 'extension ' || concat_ws(' ', oid, extowner, extnamespace, extversion)
	FROM pg_extension WHERE extname = 'migrate'
	UNION ALL SELECT 'role ' || concat_ws(' ', rolname, rolsuper, rolcreaterole,
		rolcreatedb, rolreplication, rolbypassrls)
	FROM pg_authid
	UNION ALL SELECT 'member ' || concat_ws(' ', roleid, member, admin_option)
	FROM pg_auth_members
	UNION ALL SELECT 'database ' || concat_ws(' ', datname, datdba, datacl)
	FROM pg_database WHERE datname = current_database()
	UNION ALL SELECT 'default rights ' || d::text FROM pg_default_acl d
	UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
)
END

sub books
{
	my ($db) = @_;

	return observe($db, $catalog_sql . $books_sql);
}

# The same without the rows of the books: for attacks from a body, whose
# failure is journalled.
sub privileges
{
	my ($db) = @_;

	return observe($db,
		$catalog_sql . 'SELECT md5(string_agg(line, E\'\n\' ORDER BY line)) FROM catalog');
}

# SQL that must fail with this message, and change nothing in the books.
sub refused
{
	my ($role, $db, $sql, $pattern, $name) = @_;
	my $before = books($db);
	my ($status, $out, $err) = run($role, $db, $sql);
	my $ok = ok($status != 0 && $err =~ $pattern && books($db) eq $before,
		"$role: $name");

	diag("status $status, output \"$out\", messages:\n$err",
		books($db) eq $before ? '' : "\nand the books have changed")
	  if !$ok;
	return $ok;
}

# The same for many statements of one line each, none of which needs another
# one, in one session.
sub refused_each
{
	my ($role, $db, $pattern, @statements) = @_;
	my $before = books($db);
	my (undef, $out, $err) =
	  run($role, $db, join("\n", @statements) . "\n", on_error_stop => 0);
	my %messages;

	while ($err =~ /^psql:[^\n]*?:(\d+): ((?:ERROR|WARNING|FATAL):[^\n]*)/mg)
	{
		$messages{$1} .= "$2\n";
	}
	foreach my $i (1 .. @statements)
	{
		like($messages{$i} // 'no error', $pattern,
			"$role: $statements[$i - 1]");
	}
	is(books($db), $before, "$role has not changed the books");
	return;
}

# SQL that may fail or not, but must give nobody any rights.
sub harmless
{
	my ($role, $db, $sql, $name) = @_;
	my $before = privileges($db);
	my ($status, $out, $err) = run($role, $db, $sql, on_error_stop => 0);
	my $ok = is(privileges($db), $before, "$role: $name");

	diag("status $status, output \"$out\", messages:\n$err") if !$ok;
	return $ok;
}

# A session that stays open.  send() does not wait, answer() waits for what was
# sent and returns its output and messages, query() does both.
sub session
{
	my ($role, $db, %environment) = @_;
	my $self = bless { in => '', out => '', err => '' }, 'Rights::Session';

	local %ENV = (%ENV, %environment);
	$self->{run} = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-v',
			'VERBOSITY=verbose', '-U', $role, '-d', $node->connstr($db), '-f', '-'
		],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $self;
}

# The server's log from a place on.
sub log_size
{
	return -s $node->logfile;
}

sub log_since
{
	my ($offset) = @_;

	return slurp_file($node->logfile, $offset);
}

package Rights::Session;

sub send
{
	my ($self, $sql) = @_;

	$self->{in} .= "$sql\n\\echo <done>\n\\warn <done>\n";
	$self->{run}->pump_nb;
	return $self;
}

sub answer
{
	my ($self) = @_;
	my $done = qr/^(?:psql:[^\n]*: )?<done>\n/m;

	$self->{run}->pump
	  until $self->{out} =~ $done && $self->{err} =~ $done;
	my ($out, $err) = @$self{qw(out err)};
	$self->{out} = $self->{err} = '';
	s/$done// for $out, $err;
	chomp $out;
	return wantarray ? ($out, $err) : $out . $err;
}

sub query
{
	my ($self, $sql) = @_;

	return $self->send($sql)->answer;
}

sub close
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	$self->{run}->finish;
	return;
}

1;
