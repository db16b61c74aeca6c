# Guard: what the guards that are written in Perl have in common
#
# functions() reads the layout that .ci/format makes, not C.

package Guard;

use strict;
use warnings;

use Exporter qw(import);
use File::Find;
use FindBin;

our @EXPORT = qw(guard_without_arguments report source_files slurp code_only
  functions);

# --help shows the comment at the top of the guard, anything else is refused.
# Goes to the top of the tree.
sub guard_without_arguments
{
	if (@ARGV)
	{
		my $help = @ARGV == 1 && $ARGV[0] =~ /^(?:-h|--help)$/;
		my ($comment) = slurp($0) =~ /\A#!.*\n#\n((?:#.*\n)+)/;

		print { $help ? *STDOUT : *STDERR } $comment =~ s/^# ?//gmr;
		exit($help ? 0 : 2);
	}
	chdir("$FindBin::RealBin/..") or die "could not change directory: $!\n";
	return;
}

# Show what is wrong, and end.
sub report
{
	my (@bad) = @_;

	splice(@bad, 50, @bad - 50, '...') if @bad > 50;
	print map { "$_\n" } @bad;
	exit(@bad ? 1 : 0);
}

# The C files, headers too.
sub source_files
{
	my @files;

	find({ wanted => sub { push @files, $_ if /\.[ch]$/ }, no_chdir => 1 }, 'src');
	return sort @files;
}

sub slurp
{
	my ($file) = @_;

	open(my $in, '<', $file) or die "could not open $file: $!\n";
	local $/ = undef;
	return scalar(<$in>);
}

# A text with its comments and strings blanked, and the same lines.
sub code_only
{
	my ($text) = @_;

	$text =~ s{(/\*.*?\*/|"(?:\\.|[^"\\\n])*")}{ $1 =~ tr/\n//cdr }gse;
	return $text;
}

# The functions of a file, in order: name, static, the line of the name, the
# number of lines with braces, and whether a comment stands above.
sub functions
{
	my ($file) = @_;
	my @lines = split /\n/, slurp($file);
	my (@found, $current);

	foreach my $i (0 .. $#lines)
	{
		my $line = $lines[$i];

		if (my ($name) = $line =~ /^(\w+)\(.*[^;]$/)
		{
			$current = {
				file => $file,
				name => $name,
				line => $i + 1,
				static => $lines[ $i - 1 ] =~ /^static\b/ || 0,
				commented => $i >= 2 && $lines[ $i - 2 ] =~ m{\*/$} || 0,
			};
		}
		elsif ($current && $line eq '{')
		{
			$current->{start} = $i;
		}
		elsif ($current && $line eq '}' && defined $current->{start})
		{
			$current->{length} = $i - $current->{start} + 1;
			push @found, $current;
			$current = undef;
		}
		elsif ($current && $line =~ /;$/ && !defined $current->{start})
		{
			$current = undef;
		}
	}
	return @found;
}

1;
