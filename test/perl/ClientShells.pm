# ClientShells: what the tests of bin/pg_migrate share that run it in every shell
#
# A server, the shells, each with its tools, calls of the client, directories of
# files, and what is stored and applied.

package ClientShells;

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use Exporter qw(import);
use File::Path qw(make_path remove_tree);
use FindBin;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(
  $client $work $node $left $bindir $applets %shells $shell %files $hostile
  set_up program start_client finish_client client load up directory wait_until
  query database stored expected applied
);

our ($client, $work, $node, $left, $bindir, $applets, %shells, $shell);
my ($system_path, $superuser);

# ---------------------------------------------------------------------------
# A server, and shells: each with the tools of the system, busybox with its own
# tools only
# ---------------------------------------------------------------------------

sub set_up
{
	$client = "$FindBin::RealBin/../../bin/pg_migrate";
	$work = PostgreSQL::Test::Utils::tempdir();
	$superuser = getpwuid($<);
	$left = "$work/left behind";
	make_path($left);
	$node = PostgreSQL::Test::Cluster->new('main');
	$bindir = $node->config_data('--bindir');
	$system_path = "$bindir:$ENV{PATH}";
	my $busybox = program('busybox');
	$applets = "$work/applets";
	make_path($applets);
	foreach my $applet (split /\n/, `$busybox --list`)
	{
		symlink($busybox, "$applets/$applet") or die "$applet: $!";
	}
	symlink("$bindir/psql", "$applets/psql") or die $!;
	make_path("$work/isready");
	symlink("$bindir/pg_isready", "$work/isready/pg_isready") or die $!;
	%shells = (
		dash => { command => [ program('dash') ], path => $system_path },
		bash => { command => [ program('bash') ], path => $system_path },
		busybox => {
			command => [ $busybox, 'sh' ],
			path => "$applets:$work/isready"
		});
	$shell = $shells{dash};
	$node->init(allows_streaming => 0);
	my $hba = $node->data_dir . '/pg_hba.conf';
	my $hba_lines = slurp_file($hba);
	unlink $hba or die $!;
	append_to_file($hba, "local all secret scram-sha-256\n$hba_lines");
	$node->start;
	query('postgres', q{CREATE ROLE app LOGIN;
		CREATE ROLE secret LOGIN SUPERUSER PASSWORD 'pass word''s @secret'});
	delete @ENV{qw(PGPASSWORD PGSERVICE PGCLIENTENCODING PGAPPNAME PGOPTIONS)};
	$ENV{PGHOST} = $node->host;
	$ENV{PGPORT} = $node->port;
	$ENV{PGDATABASE} = 'postgres';
	$ENV{PGUSER} = 'app';
	return;
}

# ---------------------------------------------------------------------------
# Calls of the client, and what they have done
# ---------------------------------------------------------------------------

# Where a program is; a missing one must not pass as a test that was skipped.
sub program
{
	my ($name) = @_;
	foreach my $dir (split /:/, $system_path)
	{
		return "$dir/$name" if -x "$dir/$name" && !-d _;
	}
	BAIL_OUT("$name is not installed");
}

# Start the client, without a terminal as in a pipeline.  Options: stdin, path.
sub start_client
{
	my ($args, %opt) = @_;
	my $h = { stdin => $opt{stdin} // '', out => '', err => '' };
	local $ENV{PATH} = $opt{path} // $shell->{path};
	local $ENV{TMPDIR} = $left;
	$h->{started} = time;
	$h->{run} = IPC::Run::start([ @{ $shell->{command} }, $client, @$args ],
		'<', \$h->{stdin}, '>', \$h->{out}, '2>', \$h->{err},
		init => sub { POSIX::setsid() },
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $h;
}

# Its exit status, output and messages, and the seconds that it took.
sub finish_client
{
	my ($h) = @_;
	$h->{run}->finish;
	my $status = $h->{run}->full_result(0);
	return ($status >> 8, $h->{out}, $h->{err}, time - $h->{started});
}

sub client
{
	my ($args, %opt) = @_;
	return finish_client(start_client($args, %opt));
}

# "load" and "up" with the files of a directory, and more arguments
sub load
{
	my ($args, %opt) = @_;
	return client([ 'load', @$args ], %opt);
}

sub up
{
	my ($args, %opt) = @_;
	return client([ 'up', '--dir', @$args ], %opt);
}

# A directory with these files, given as path => content.
sub directory
{
	my ($name, %files) = @_;
	my $dir = "$work/$name";
	remove_tree($dir);
	make_path($dir);
	while (my ($path, $content) = each %files)
	{
		my ($parent) = "$dir/$path" =~ m{^(.*)/};
		make_path($parent);
		open my $fh, '>:raw', "$dir/$path" or die "$path: $!";
		print $fh $content;
		close $fh or die "$path: $!";
	}
	return $dir;
}

sub wait_until
{
	my ($what, $condition) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	until ($condition->())
	{
		die "timed out waiting until $what" if time > $end;
		usleep(20_000);
	}
}

sub query
{
	my ($db, $sql) = @_;
	local @ENV{qw(PGUSER PGCLIENTENCODING)} = ($superuser, 'UTF8');
	return $node->safe_psql($db, $sql);
}

# A database with the extension, owned by a role without further rights.
sub database
{
	my ($db, $options) = @_;
	$options //= '';
	query('postgres', "CREATE DATABASE $db OWNER app $options");
	local $ENV{PGUSER} = 'app';
	$node->safe_psql($db, 'CREATE EXTENSION migrate');
}

# What is stored, as "version path sha256" lines.
sub stored
{
	my ($db, $project) = @_;
	return query($db, qq{
		SELECT string_agg(format('%s %s %s', version, path,
			encode(sha256(convert_to(up, 'UTF8')), 'hex')), E'\\n' ORDER BY path COLLATE "C")
		FROM migrate.migration WHERE project = '$project'});
}

# The same of files in the form of directory(), by version.
sub expected
{
	my (%files) = @_;
	return join "\n", map {
		my ($version) = m{([0-9]+)_[^/]*$};
		"$version $_ " . sha256_hex($files{$_})
	} sort keys %files;
}

sub applied
{
	my ($db) = @_;
	return query($db,
		q{SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.applied});
}

# ---------------------------------------------------------------------------
# Files with everything that could go wrong on the way
# ---------------------------------------------------------------------------

our $hostile = join '', '$x$', "it's \"quoted\" \\ \\\\ \\n \\. :name :'name' ",
  "%s \$do\$ `id` \${HOME}\n\\.\n\\q\n-- migrated:up\n\ttab\r\n",
  encode_utf8("\x{e4}\x{20ac}\x{1f600} \x{feff}end"), '$x$';
our %files = (
	'0001_first.sql' => "CREATE TABLE texts (id int, t text);\n",
	encode_utf8("sub dir/0002_it's \"q\" \\back\\t %s \x{e4}\x{1f600}.sql") =>
	  "INSERT INTO texts VALUES (2, $hostile);\r\nSELECT 1;\r\n",
	'sub dir/deep/0003_no line end.sql' => 'INSERT INTO texts VALUES (3, $$x$$)',
	'0004_empty.sql' => '',
	'0005_only_line_ends.sql' => "\n\n\r\n",
	" leading/0006_colon:'x'.sql" => "SELECT 1 -- \\");

1;
