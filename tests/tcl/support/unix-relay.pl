# Carries bytes between standard input/output and a unix socket, both ways, until either ends.
use strict;
use warnings;
use File::Basename;
use Socket;

my $path = shift @ARGV or die "usage: unix-relay.pl PATH\n";
# From its directory: the whole path may be longer than the 107 bytes of a socket's address.
chdir(dirname($path)) or die "chdir " . dirname($path) . ": $!\n";
socket(my $sock, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
connect($sock, sockaddr_un(basename($path))) or die "connect $path: $!\n";

sub forward {
    my ($from, $to) = @_;
    my $n = sysread($from, my $bytes, 65536);
    return 0 unless $n;
    for (my $off = 0; $off < $n;) {
        my $sent = syswrite($to, $bytes, $n - $off, $off);
        return 0 unless defined $sent;
        $off += $sent;
    }
    return 1;
}

$SIG{PIPE} = 'IGNORE';
while (1) {
    my $want = '';
    vec($want, fileno(STDIN), 1) = 1;
    vec($want, fileno($sock), 1) = 1;
    next if select($want, undef, undef, undef) < 0;
    last if vec($want, fileno($sock), 1) && !forward($sock, \*STDOUT);
    last if vec($want, fileno(STDIN), 1) && !forward(\*STDIN, $sock);
}
