# Histories that the tools themselves have made: each applies what it has, adopt()
# takes it over, one more is applied and one rolled back here, the tool goes on,
# and adopt() is called again.  And the tool cannot run while adopt() does.
#
# Packages: sqitch libdbd-pg-perl python3-alembic python3-psycopg2 python3-django

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $work = PostgreSQL::Test::Utils::tempdir();
my $python = '/usr/bin/python3';
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init(extra => [ '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf',
	"timezone = 'UTC'\nmigrate.progress_notices = off\n");
$ENV{PGUSER} = 'postgres';
$node->start;

sub sql
{
	my ($db, $query) = @_;
	return $node->safe_psql($db, $query);
}

sub sql_error
{
	my ($db, $query) = @_;
	my ($status, $out, $err) =
	  $node->psql($db, "\\set VERBOSITY verbose\n$query");

	isnt($status, 0, "$query is an error");
	return $err;
}

sub write_file
{
	my ($path, $text) = @_;
	my ($directory) = "$work/$path" =~ m{(.*)/};

	system('mkdir', '-p', $directory) == 0 or die "mkdir $directory";
	unlink "$work/$path";
	append_to_file("$work/$path", $text);
	return;
}

# Run a command of a tool in a directory; it must succeed.
sub tool
{
	my ($directory, @command) = @_;
	my $output = '';
	my $ok = IPC::Run::run(
		\@command, '<', \undef, '>', \$output, '2>', \$output,
		init => sub { chdir "$work/$directory" or die $! });

	ok($ok, "@command") or diag $output;
	return $output;
}

sub create_database
{
	my ($db) = @_;

	sql('postgres', "CREATE DATABASE $db");
	sql($db, 'CREATE EXTENSION migrate');
	@ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, $db);
	return;
}

# version:action of the rows of adopt(), without those that were there before
sub adopt
{
	my ($db, $arguments) = @_;
	return sql($db, "SELECT string_agg(coalesce(version, entry) || ':' || action, ' ' ORDER BY place)"
		  . " FROM migrate.adopt($arguments) WITH ORDINALITY AS a (run, version, name, action, entry, applied_at, detail, place)"
		  . " WHERE action <> 'applied'");
}

# What the tool has applied is applied, with its dates.
sub dates_are_those_of
{
	my ($db, $times) = @_;

	is( sql($db, "SELECT count(*) FROM migrate.applied a WHERE origin = 'adopt'"
		  . " AND NOT EXISTS (SELECT FROM ($times) t (at) WHERE t.at = a.applied_at)"),
		0, "$db: the dates are the tool's");
	return;
}

# ---------------------------------------------------------------------------
# Sqitch
# ---------------------------------------------------------------------------

create_database('of_sqitch');
mkdir "$work/sqitch";
tool('sqitch', qw(sqitch init shop --engine pg));
tool('sqitch', qw(sqitch config user.name Ada));
tool('sqitch', qw(sqitch config user.email ada@example.com));

sub add_change
{
	my ($name, @options) = @_;

	tool('sqitch', 'sqitch', 'add', $name, '-n', "adds $name", @options);
	write_file("sqitch/deploy/$name.sql",
		"-- Deploy shop:$name to pg\n\nBEGIN;\n\nCREATE TABLE $name (id bigint PRIMARY KEY);\n\nCOMMIT;\n");
	write_file("sqitch/revert/$name.sql",
		"-- Revert shop:$name from pg\n\nBEGIN;\n\nDROP TABLE $name;\n\nCOMMIT;\n");
	write_file("sqitch/verify/$name.sql",
		"-- Verify shop:$name on pg\n\nBEGIN;\n\nSELECT id FROM $name WHERE false;\n\nROLLBACK;\n");
	return;
}

# The files as load() takes them.
sub load_files
{
	my ($db, $directory, $project, @arguments) = @_;
	my $files = '';

	foreach my $path (split /\n/, `cd '$work/$directory' && find . -type f | sort`)
	{
		$path =~ s{^\./}{};
		next if $path =~ /\.conf$/;
		$files .= ($files eq '' ? '' : ', ')
		  . MigrateTest::quote($path) . ', '
		  . MigrateTest::quote(slurp_file("$work/$directory/$path"));
	}
	return sql($db, "SELECT string_agg(result, ' ') FROM migrate.load("
		  . join(', ', "jsonb_build_object($files)", "project => '$project'", @arguments)
		  . ')');
}

my $target = "db:pg://postgres\@/of_sqitch";

add_change('users');
add_change('orders', '--requires', 'users');
tool('sqitch', qw(sqitch deploy), $target);
add_change('items', '--requires', 'orders');
is(load_files('of_sqitch', 'sqitch', 'shop'), 'added added added', 'sqitch: files');
is(sql('of_sqitch', 'SELECT tool, ledger, state, entries, newest FROM migrate.detect()'),
	'sqitch|sqitch.changes|ok|2|orders', 'sqitch: detect()');
is(adopt('of_sqitch', "project => 'shop'"),
	'users:adopt orders:adopt items:pending', 'sqitch: adopt()');
dates_are_those_of('of_sqitch', 'SELECT committed_at FROM sqitch.changes');
is(sql('of_sqitch', "SELECT DISTINCT applied_by FROM migrate.applied"),
	'Ada', 'sqitch: the committer is the author');
is(sql('of_sqitch', "SELECT version, action FROM migrate.apply(project => 'shop')"),
	'items|apply', 'sqitch: one more is applied here');
is(sql('of_sqitch', "SELECT version, action FROM migrate.rollback(2, project => 'shop')"),
	"items|rollback\norders|rollback", 'sqitch: two are rolled back here');
like(sql('of_sqitch', "SELECT to_regclass('orders') IS NULL, to_regclass('users')"),
	qr/^t\|users$/, 'sqitch: and are gone');

# the tool still believes in orders; it takes back what it knows of
sql('of_sqitch', 'CREATE TABLE orders ()');
tool('sqitch', qw(sqitch revert -y --to users), $target);
tool('sqitch', qw(sqitch deploy), $target);
is(adopt('of_sqitch', "project => 'shop'"),
	'orders:adopt items:adopt', 'sqitch: adopt() again after the tool has run');

# a deploy script that is not the one that was deployed
sql('of_sqitch', "SELECT FROM migrate.unstamp('items', project => 'shop')");
write_file('sqitch/deploy/items.sql', "-- Deploy shop:items to pg\nCREATE TABLE items ();\n");
load_files('of_sqitch', 'sqitch', 'shop');
like(sql_error('of_sqitch', "SELECT migrate.adopt(project => 'shop')"),
	qr/MG042.*other texts.*"items"/s, 'sqitch: another text is refused');
is(adopt('of_sqitch', "dry_run => true, project => 'shop'"),
	'items:different', 'sqitch: and told by a dry run');

# ---------------------------------------------------------------------------
# Alembic
# ---------------------------------------------------------------------------

create_database('of_alembic');
mkdir "$work/alembic";
write_file('alembic/alembic.ini', <<"END");
[alembic]
script_location = revisions
sqlalchemy.url = postgresql:///of_alembic
END
write_file('alembic/revisions/env.py', <<'END');
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
END

sub add_revision
{
	my ($revision, $after, $table) = @_;
	my $down = @$after == 0 ? 'None' : '(' . join('', map { "'$_', " } @$after) . ')';

	write_file("alembic/revisions/versions/${revision}_$table.py", <<"END");
revision = '$revision'
down_revision = $down
from alembic import op

def upgrade():
    op.execute('CREATE TABLE $table ()')

def downgrade():
    op.execute('DROP TABLE $table')
END
	my $requires = join ',', @$after;
	sql('of_alembic', "SELECT migrate.add('$revision', 'CREATE TABLE $table ()', 'DROP TABLE $table', '$table', requires => '{$requires}')");
	return;
}

my @alembic = ($python, '-m', 'alembic');

add_revision('5e8f03c1a7b6', [], 'users');
add_revision('d27c94b1e05a', ['5e8f03c1a7b6'], 'orders');
add_revision('b81d4e6f9a20', ['5e8f03c1a7b6'], 'items');
tool('alembic', @alembic, qw(upgrade heads));
add_revision('e90d5b7a2c31', [ 'd27c94b1e05a', 'b81d4e6f9a20' ], 'merged');
is(sql('of_alembic', 'SELECT tool, state, entries FROM migrate.detect()'),
	'alembic|ok|2', 'alembic: detect() counts two heads');
is(adopt('of_alembic', ''),
	'5e8f03c1a7b6:adopt d27c94b1e05a:adopt b81d4e6f9a20:adopt e90d5b7a2c31:pending',
	'alembic: adopt() takes what the heads require');
is(sql('of_alembic', 'SELECT version FROM migrate.apply()'), 'e90d5b7a2c31',
	'alembic: one more is applied here');
is(sql('of_alembic', 'SELECT version FROM migrate.rollback()'), 'e90d5b7a2c31',
	'alembic: and rolled back');
tool('alembic', @alembic, qw(upgrade heads));
is(adopt('of_alembic', ''), 'e90d5b7a2c31:adopt', 'alembic: adopt() again');
is(sql('of_alembic', 'SELECT state FROM migrate.status() GROUP BY state'),
	'applied', 'alembic: all are applied');

# ---------------------------------------------------------------------------
# Django
# ---------------------------------------------------------------------------

create_database('of_django');
write_file('django/settings.py', <<'END');
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "of_django"}}
INSTALLED_APPS = ["shop", "other"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "x"
USE_TZ = True
END

sub add_django
{
	my ($app, $name, $after, $table) = @_;
	my $dependencies = $after ? "('$app', '$after')," : '';

	write_file("django/$app/__init__.py", '');
	write_file("django/$app/migrations/__init__.py", '');
	write_file("django/$app/migrations/$name.py", <<"END");
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [$dependencies]
    operations = [migrations.RunSQL('CREATE TABLE $table ()', 'DROP TABLE $table')]
END
	sql('of_django', "SELECT migrate.add('$name', 'CREATE TABLE $table ()', 'DROP TABLE $table', project => '$app')");
	return;
}

my @django = ($python, '-m', 'django');
local $ENV{DJANGO_SETTINGS_MODULE} = 'settings';
local $ENV{PYTHONPATH} = "$work/django";

add_django('other', '0001_initial', undef, 'others');
add_django('shop', '0001_initial', undef, 'users');
tool('django', @django, 'migrate');
add_django('shop', '0002_orders', '0001_initial', 'orders');
is(adopt('of_django', "project => 'shop'"),
	'0001_initial:adopt 0002_orders:pending', 'django: adopt() of an app');
dates_are_those_of('of_django', "SELECT applied FROM django_migrations WHERE app = 'shop'");
is(adopt('of_django', "project => 'other'"), '0001_initial:adopt', 'django: and of another one');
is(sql('of_django', "SELECT version FROM migrate.apply(project => 'shop')"),
	'0002_orders', 'django: one more is applied here');
is(sql('of_django', "SELECT version FROM migrate.rollback(2, project => 'shop')"),
	"0002_orders\n0001_initial", 'django: both are rolled back');
is(sql('of_django', "SELECT to_regclass('users') IS NULL AND to_regclass('orders') IS NULL"),
	't', 'django: and gone');

# ---------------------------------------------------------------------------
# Not at the same time
# ---------------------------------------------------------------------------

my $session = MigrateTest::session($node, 'of_sqitch');
my $other = MigrateTest::session($node, 'of_sqitch');

# 75474063 is what Sqitch locks
MigrateTest::ask($session, 'BEGIN; SELECT pg_advisory_xact_lock(75474063);');
is(sql('of_sqitch', 'SELECT state FROM migrate.detect()'), 'locked', 'detect() sees that the tool is running');
like(sql_error('of_sqitch', "SELECT migrate.adopt(accept => true, project => 'shop')"),
	qr/55P03.*sqitch is running/s, 'adopt() does not run beside the tool');
MigrateTest::ask($session, 'ROLLBACK;');

MigrateTest::ask($session, "BEGIN; SELECT count(*) FROM migrate.adopt(accept => true, project => 'shop');");
is( (MigrateTest::ask($other, 'SELECT pg_try_advisory_lock(75474063);'))[0], 'f',
	'the tool cannot have its lock while adopt() runs');
MigrateTest::ask($other, "SET lock_timeout = '100ms';");
like(join("\n", MigrateTest::ask($other, 'DELETE FROM sqitch.changes;')),
	qr/55P03/, 'and its ledger cannot be changed');
is( (MigrateTest::ask($other, 'SELECT count(*) > 0 FROM sqitch.changes;'))[0], 't', 'but read');
MigrateTest::ask($session, 'COMMIT;');
is( (MigrateTest::ask($other, 'SELECT pg_try_advisory_lock(75474063);'))[0], 't',
	'the lock is free after it');
is(sql('of_sqitch', "SELECT state FROM migrate.status('shop') WHERE version = 'items'"),
	'applied', 'and what was accepted is applied');
$session->quit;
$other->quit;
$node->stop;
done_testing();
