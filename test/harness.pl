#!/usr/bin/perl
#
# test/harness.pl: run files that speak TAP, and count
#
#     perl test/harness.pl COUNT_FILE JOBS FILE...
#
# A .sql file is run by psql the way pg_prove does it, with the variable examples
# set to the directory of that name, anything else by perl.
# Like prove and pg_prove, but writes "passed failed" to COUNT_FILE, counts a
# file that dies, breaks its plan or skips everything as a failure, and shows
# what a failed file said.

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Temp;
use TAP::Harness;

my ($count_file, $jobs, @files) = @ARGV;
my $dump = File::Temp->newdir();

# a file that hangs is ended after this many seconds, and has failed; those that
# are told how long to run have longer, two seconds for each run that is killed
my $seconds = $ENV{MIGRATE_TEST_TIMEOUT} || 300;
$seconds += $ENV{$_} || 0 foreach qw(MIGRATE_FUZZ_SECONDS MIGRATE_RACE_SECONDS);
$seconds += 2 * ($ENV{MIGRATE_KILLS} || 0);
my @limit = ('timeout', '--foreground', '--kill-after=10', $seconds);

# the raw output of each file goes to a file of the same path below this
local $ENV{PERL_TEST_HARNESS_DUMP_TAP} = "$dump";

sub command_for
{
	my (undef, $file) = @_;

	return [ @limit, $^X, $file ] if $file !~ /\.sql$/;
	return [
		@limit,
		qw(psql --no-psqlrc --no-align --quiet --pset pager=off
		  --pset tuples_only=true --set ON_ERROR_STOP=1),
		'--set', 'examples=' . getcwd() . '/examples',
		'--file', $file
	];
}

# The failed tests of a file with the comments that follow them.
sub explain
{
	my ($file) = @_;
	my $failing = 0;
	my $shown = 0;

	open(my $tap, '<', "$dump/$file") or return;
	while (my $line = <$tap>)
	{
		$failing = 0 if $line =~ /^ok\b/;
		$failing = 1 if $line =~ /^not ok\b/;
		print "    $line"
		  if ($failing || $line !~ /^(?:ok\b|#|\d+\.\.)/) && $shown++ < 200;
	}
	close($tap);
	return;
}

# The end of the log that PostgreSQL::Test keeps for a file.
sub show_log
{
	my ($file) = @_;
	my ($name) = $file =~ m{([^/]+)\.pl$} or return;

	open(my $log, '<', "tmp_check/log/regress_log_$name") or return;
	my @lines = <$log>;
	close($log);
	splice(@lines, 0, @lines - 40) if @lines > 40;
	print map { "    | $_" } @lines;
	return;
}

my $harness = TAP::Harness->new(
	{
		jobs => $jobs,
		timer => 1,
		exec => \&command_for,
	});
my $aggregate = $harness->runtests(@files);
my ($passed, $failed) = (0, 0);

foreach my $file ($aggregate->descriptions)
{
	my ($parser) = $aggregate->parsers($file);
	my $bad = scalar($parser->failed);
	my $skipped_all = $parser->skip_all;

	$bad = 1 if !$bad && ($parser->has_problems || $skipped_all);
	$passed += scalar($parser->passed);
	$failed += $bad;
	if ($bad)
	{
		my $why =
		    $skipped_all ? ": skipped, which is a failure here: $skipped_all"
		  : $parser->exit == 124 ? ": ended after $seconds s"
		  : '';

		print "--- $file$why\n";
		explain($file);

		# failed tests have explained themselves, a death has not
		show_log($file) if $parser->parse_errors || !$parser->failed;
	}
	elsif ($parser->skipped)
	{
		print "--- $file: skipped tests ", join(', ', $parser->skipped), "\n";
	}
}

open(my $count, '>', $count_file) or die "could not open $count_file: $!\n";
print $count "$passed $failed\n";
close($count) or die "could not write $count_file: $!\n";
exit($failed ? 1 : 0);
