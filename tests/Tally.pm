package Tally;
# prove --formatter=Tally: prove's own console report, then why checks were skipped, and one line
# that counts all checks of all files: 'N passed, N failed, N skipped'.  A file that dies or breaks
# its plan without a failed check counts as one failure, a file skipped whole as one skip.
use strict;
use warnings;
use TAP::Formatter::Console;
use TAP::Formatter::File;

# As prove itself chooses: no progress into a file.
our @ISA = (-t STDOUT ? 'TAP::Formatter::Console' : 'TAP::Formatter::File');

my %why;

sub open_test {
    my ($self, $test, $parser) = @_;
    $parser->callback(test => sub {
        my $r = shift;
        $why{$r->explanation || 'no reason given'}{$test}++ if $r->has_skip;
    });
    return $self->SUPER::open_test($test, $parser);
}

sub summary {
    my ($self, $all, $interrupted) = @_;
    $self->SUPER::summary($all, $interrupted);
    my $skipped = $all->skipped;
    my $passed = $all->passed - $skipped;
    my $failed = $all->failed;
    for my $test ($all->descriptions) {
        my ($parser) = $all->parsers($test);
        if (defined $parser->skip_all) {
            $skipped++;
            $why{$parser->skip_all}{$test}++;
        } elsif ($parser->has_problems && !$parser->failed) {
            $failed++;
        }
    }
    for my $reason (sort keys %why) {
        print "skipped: $reason (", join(', ', sort keys %{$why{$reason}}), ")\n";
    }
    $failed++ if $interrupted;
    print "$passed passed, $failed failed, $skipped skipped\n";
}

1;
