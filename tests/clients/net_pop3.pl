#!/usr/bin/perl
# Fetches every message with Net::POP3 into numbered files: net_pop3.pl MODE PORT USER PASSWORD CA FOLDER
use strict;
use warnings;
use Net::POP3;

my ($mode, $port, $user, $password, $ca, $folder) = @ARGV;
my @tls = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost', SSL_hostname => 'localhost');
my $pop = Net::POP3->new('localhost', Port => $port, Timeout => 120, $mode eq 'tls' ? (SSL => 1, @tls) : ())
    or die "no connection: $@\n";
if ($mode eq 'stls') { $pop->starttls(@tls) or die "STLS: " . $pop->message }
defined $pop->login($user, $password) or die "login: " . $pop->message;
my $sizes = $pop->list or die "LIST: " . $pop->message;
for my $number (sort { $a <=> $b } keys %$sizes) {
    my $lines = $pop->get($number) or die "RETR $number: " . $pop->message;
    open my $file, '>:raw', "$folder/$number" or die "$folder/$number: $!\n";
    print $file @$lines;
    close $file or die "$folder/$number: $!\n";
}
$pop->quit or die "QUIT: " . $pop->message;
