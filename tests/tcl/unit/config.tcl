# Options: in a file, on the command line, by CONFIG. A server that cannot understand its options
# does not start, and says which file, which line and why.

# The program must refuse to start with these arguments; returns what it said.
proc assert_no_start {arguments {files {}}} {
    set id [launch $arguments $files]
    set ended [wait_exit $id]
    assert_equal exit [lindex $ended 0]
    assert {[lindex $ended 1] != 0} "it ended with status 0"
    set said [server_output $id]
    assert_equal "" [sanitizer_report $id]
    return $said
}

# The program must start with these arguments and answer on a port; returns a client.
proc assert_start {arguments port {files {}}} {
    set id [launch $arguments $files]
    set ::server($id,port) $port
    wait_ready $id
    return $::server($id,client)
}

test "an option that does not exist stops the start, with file, line and name" {
    set said [assert_no_start {my.conf} {my.conf "maxclients 10\n\nnosuch-option 5\n"}]
    assert_match "*my.conf*3*" $said
    assert_match "*nosuch-option*" $said
}

test "an option that is misspelt names the one that is meant" {
    assert_match "*my.conf:1: unknown option 'max-clients': did you mean maxclients?*" \
        [assert_no_start {my.conf} {my.conf "max-clients 5\n"}]
    assert_match "*command line: unknown option 'prot': did you mean --port?*" \
        [assert_no_start [list --prot [free_port]]]
}

# With a log file, the terminal hears of it too.
foreach more {{} {--daemonize yes}} {
    foreach {name arguments text} {
        "an option" {--port 99999} "command line: option 'port': argument must be between 0 and 65535, got '99999'"
        "a directory" {--dir /nosuch/directory} "option 'dir': '/nosuch/directory': No such file or directory"
        "a socket" {--port 0 --unixsocket /nosuch/socket} "can't listen on '/nosuch/socket': No such file or directory"
        "a log file" {--logfile /nosuch/log} "command line: option 'logfile': can't open the log file '/nosuch/log': *"
    } {
        test "a start that fails over $name says why on the terminal: --logfile $more" {
            set id [launch [list --logfile here.log {*}$::more {*}$::arguments]]
            assert_equal {exit 1} [wait_exit $id]
            assert_match "*tq-server: $::text*" [server_output $id]
            assert_match "*# $::text*" [read_file [file join $::server($id,dir) here.log]]
        }
    }
}

test "a server in the background that a signal ends before it is ready is told of" {
    set id [launch {--daemonize yes --port 0 --unixsocket s --memory-prefault 8gb}]
    set pid $::server($id,pid)
    wait_until {[read_file /proc/$pid/task/$pid/children] ne ""}
    signal_process KILL [string trim [read_file /proc/$pid/task/$pid/children]]
    assert_equal {exit 1} [wait_exit $id]
    assert_match "*tq-server: ended by signal 9 (Killed) before it was ready*" [server_output $id]
}

test "an option without a value stops the start, with file, line and name" {
    set said [assert_no_start {my.conf} {my.conf "# a comment\nmaxclients\n"}]
    assert_match "*my.conf*2*" $said
    assert_match "*maxclients*" $said
}

test "an option whose value is malformed stops the start, with file, line and name" {
    foreach {line name} {
        "maxclients abc" maxclients
        "maxclients -1" maxclients
        "maxclients 1.5" maxclients
        "maxclients 10 20" maxclients
        "maxclients 99999999999999999999" maxclients
        "maxclients \"\"" maxclients
        "port abc" port
        "port 65536" port
        "port -1" port
        "timeout abc" timeout
        "tcp-keepalive x" tcp-keepalive
        "maxmemory 10xb" maxmemory
        "maxmemory mb" maxmemory
        "maxmemory -1" maxmemory
        "maxmemory 99999999999gb" maxmemory
        "proto-max-bulk-len lots" proto-max-bulk-len
        "client-output-buffer-limit normal 1mb" client-output-buffer-limit
        "loglevel nosuch" loglevel
        "bind not.an.address.at.all." bind
    } {
        set said [assert_no_start {my.conf} [list my.conf "\n\n\n$line\n"]]
        assert_match "*my.conf*4*" $said
        assert_match "*$name*" $said
    }
}

test "a comment may stand behind a value" {
    set port [free_port]
    set conf "maxclients 77 # how many\nsave 3600 1   # after an hour\nport $port # no \"end\n"
    append conf "logfile \"#1 # log\" # quoted\n"
    set c [assert_start {my.conf} $port [list my.conf $conf]]
    set said [$c CONFIG GET maxclients save logfile]
    foreach {name value} {maxclients 77 save {3600 1} logfile {#1 # log}} {
        assert_equal $value [dict get $said $name]
    }
    assert_match "*my.conf*1*port*" [assert_no_start {my.conf} {my.conf "port 1#no blank before\n"}]
}

test "quotes without an end stop the start, with file and line" {
    set said [assert_no_start {my.conf} {my.conf "port 0\nlogfile \"abc\n"}]
    assert_match "*my.conf*2*" $said
}

test "a file that is not there stops the start and is named" {
    assert_match "*nosuch.conf*" [assert_no_start {nosuch.conf}]
}

test "a directory or rubbish in place of a file stops the start" {
    assert_no_start {.}
    assert_no_start {rubbish.conf} [list rubbish.conf [random_bytes 10000]]
    assert_no_start {long.conf} [list long.conf [string repeat x 1000000]]
    assert_no_start {nul.conf} [list nul.conf "maxclients 1\0 5\n"]
}

test "the same options stop the start on the command line, by name" {
    assert_match "*nosuch-option*" [assert_no_start {--nosuch-option 5}]
    assert_match "*maxclients*" [assert_no_start {--maxclients abc}]
    assert_match "*maxclients*" [assert_no_start {--maxclients}]
    assert_match "*port*" [assert_no_start {--port 70000}]
    assert_match "*port*" [assert_no_start {--port}]
}

test "a word on the command line that is no option stops the start" {
    assert_no_start [list tq.conf --port [free_port] stray extra] {tq.conf ""}
    assert_no_start {-x}
}

test "comments, blank lines, blanks and quotes are understood" {
    set port [free_port]
    set c [assert_start {my.conf} $port [list my.conf "
# a comment
   # another one

   port   $port
\tmaxclients\t77\r
TIMEOUT \"300\"
tcp-keepalive '60'
"]]
    assert_equal {maxclients 77} [$c CONFIG GET maxclients]
    assert_equal {timeout 300} [$c CONFIG GET timeout]
    assert_equal {tcp-keepalive 60} [$c CONFIG GET tcp-keepalive]
}

test "the last line of a file needs no end" {
    set port [free_port]
    set c [assert_start {my.conf} $port [list my.conf "port $port\nmaxclients 77"]]
    assert_equal {maxclients 77} [$c CONFIG GET maxclients]
}

test "options on the command line win over the file" {
    set port [free_port]
    set c [assert_start [list my.conf --port $port --maxclients 78] $port \
               {my.conf "port 1\nmaxclients 77\ntimeout 300\n"}]
    assert_equal {maxclients 78} [$c CONFIG GET maxclients]
    assert_equal {timeout 300} [$c CONFIG GET timeout]
}

test "a file is not needed" {
    set port [free_port]
    set c [assert_start [list --port $port --maxmemory 100mb] $port]
    assert_equal {maxmemory 104857600} [$c CONFIG GET maxmemory]
}

test "sizes have units" {
    foreach {text bytes} {
        1000000 1000000 2k 2000 2kb 2048 3m 3000000 3mb 3145728 3MB 3145728 1g 1000000000 1gb 1073741824
    } {
        set port [free_port]
        set c [assert_start [list --port $port --maxmemory $text] $port]
        assert_equal "maxmemory $bytes" [$c CONFIG GET maxmemory] $text
        put_away_launched
    }
}

test "a port that is taken stops the start and is named" {
    set port [free_port]
    assert_start [list --port $port] $port
    assert_match "*$port*" [assert_no_start [list --port $port]]
}

test "the log goes where logfile says" {
    set port [free_port]
    set c [assert_start [list --port $port --logfile here.log] $port]
    $c PING
    assert {[file size [file join $::server($::server_serial,dir) here.log]] > 0}
}

test "SIGHUP opens the log file anew, after it was moved away" {
    set port [free_port]
    set c [assert_start [list --port $port --logfile here.log] $port]
    set log [file join $::server($::server_serial,dir) here.log]
    file rename $log $log.1
    signal_process HUP $::server($::server_serial,pid)
    wait_until {[file exists $log] && [string match "*SIGHUP*" [read_file $log]]}
    assert_equal PONG [$c PING]
}

test "SIGHUP without a log file ends nothing" {
    set port [free_port]
    set c [assert_start [list --port $port] $port]
    signal_process HUP $::server($::server_serial,pid)
    assert_equal PONG [$c PING]
    assert_equal PONG [$c PING]
}

# Whatever opens a FIFO as a file waits for ever: nobody is at its other end.
foreach option {logfile pidfile dbfilename} {
    test "a pipe in place of the file of $option stops the start and is named" {
        set dir [file join $::work_dir pipe-$::option]
        file mkdir $dir
        exec mkfifo [file join $dir a.pipe]
        set value [expr {$::option eq "dbfilename" ? "a.pipe" : [file join $dir a.pipe]}]
        set said [assert_no_start [list --port 0 --unixsocket x.sock --dir $dir --$::option $value]]
        assert_match "*a.pipe*pipe*" $said
    }
}

test "a pid file that is a symbolic link stops the start, and what it points to is kept" {
    set dir [file join $::work_dir linked-pidfile]
    file mkdir $dir
    write_file [file join $dir precious] "some bytes"
    file link -symbolic [file join $dir link.pid] [file join $dir precious]
    set said [assert_no_start [list --port 0 --unixsocket x.sock --pidfile [file join $dir link.pid]]]
    assert_match "*link.pid*symbolic link*" $said
    assert_equal "some bytes" [read_file [file join $dir precious]]
}

test "the server listens on loopback only, IPv4 and IPv6" {
    set port [free_port]
    assert_start [list --port $port] $port
    set four [resp::open 127.0.0.1 $port]
    assert_equal PONG [$four PING]
    resp::close $four
    if {[catch {socket -server {} -myaddr ::1 0} probe]} {
        skip "this machine has no IPv6"
    }
    close $probe
    set six [resp::open ::1 $port]
    assert_equal PONG [$six PING]
    assert_match {*addr=\[::1\]:*} [$six CLIENT LIST]
    resp::close $six
}

test "bind says on which addresses the server listens" {
    set port [free_port]
    assert_start [list --port $port --bind "127.0.0.1"] $port
    if {![catch {resp::open ::1 $port} c]} {
        resp::close $c
        fail "it listens on ::1 too"
    }
}

test "several addresses may be bound" {
    set port [free_port]
    assert_start [list my.conf --port $port] $port {my.conf "bind 127.0.0.1 127.0.0.2\n"}
    set c [resp::open 127.0.0.2 $port]
    assert_equal PONG [$c PING]
    resp::close $c
}

start_own_server {maxclients 123} {
    test "CONFIG GET tells an option's value" {
        assert_equal {maxclients 123} [r CONFIG GET maxclients]
        assert_equal 123 [lindex [r CONFIG GET MaxClients] 1]
        assert_equal "port [srv port]" [r CONFIG GET port]
        assert_equal {} [r CONFIG GET nosuch]
    }

    test "CONFIG GET takes patterns, several at a time" {
        set all [r CONFIG GET *]
        assert {[dict size $all] > 10}
        assert_equal [llength $all] [llength [r CONFIG GET * max*]]
        foreach {name value} [r CONFIG GET max*] {
            assert_match max* $name
        }
        assert_same_set {maxclients port} [dict keys [r CONFIG GET maxclients port]]
        assert_error "ERR wrong number of arguments*" {r CONFIG GET}
    }

    test "CONFIG GET save and appendonly do not upset redis-benchmark" {
        r CONFIG GET save
        r CONFIG GET appendonly
    }

    test "CONFIG SET changes an option" {
        assert_equal OK [r CONFIG SET timeout 300]
        assert_equal {timeout 300} [r CONFIG GET timeout]
        assert_equal OK [r CONFIG SET maxmemory 100mb]
        assert_equal {maxmemory 104857600} [r CONFIG GET maxmemory]
        r CONFIG SET timeout 0
        r CONFIG SET maxmemory 0
    }

    test "CONFIG GET tells every size in bytes" {
        foreach {name value} [r CONFIG GET *] {
            if {$name in {unixsocket dir logfile pidfile}} { continue }
            assert {![regexp -nocase {(^| )[0-9]+[kmg]b?( |$)} $value]} "$name is $value"
        }
        assert_equal {client-output-pause {8388608 2097152}} [r CONFIG GET client-output-pause]
        assert_equal OK [r CONFIG SET client-output-pause "64KB 1000"]
        assert_equal {client-output-pause {65536 1000}} [r CONFIG GET client-output-pause]
        r CONFIG SET client-output-pause "8mb 2mb"
    }

    test "CONFIG SET of nonsense is an error that names the option and changes nothing" {
        set before [r CONFIG GET *]
        foreach {name value} {
            timeout abc timeout -1 timeout "" timeout 99999999999999999999 maxmemory 10xb maxmemory -5
            maxclients 0 maxclients abc loglevel nosuch proto-max-bulk-len 1
            client-output-buffer-limit nosuch nosuch-option 5
        } {
            assert_error "ERR *$name*" {r CONFIG SET $name $value}
        }
        assert_error "ERR *" {r CONFIG SET}
        assert_error "ERR *" {r CONFIG SET timeout}
        assert_equal $before [r CONFIG GET *]
    }

    test "what is fixed at the start cannot be set" {
        assert_error "ERR *unixsocket*" {r CONFIG SET unixsocket /tmp/elsewhere}
        assert_error "ERR *logfile*immutable*" {r CONFIG SET logfile /tmp/elsewhere}
        assert_error "ERR *pidfile*immutable*" {r CONFIG SET pidfile /tmp/elsewhere}
    }

    test "everything CONFIG GET tells can be given at a start" {
        set conf ""
        foreach {name value} [r CONFIG GET *] {
            if {$name ni {port unixsocket} && $value ne ""} {
                append conf "$name \"[string map {\\ \\\\ \" \\\"} $value]\"\n"
            }
        }
        set port [free_port]
        set c [assert_start [list my.conf --port $port] $port [list my.conf $conf]]
        assert_equal {maxclients 123} [$c CONFIG GET maxclients]
    }

    test "CONFIG RESETSTAT begins counting anew" {
        foreach i [range 1 50] { r PING }
        assert {[info_field total_commands_processed] >= 50}
        assert_equal OK [r CONFIG RESETSTAT]
        assert {[info_field total_commands_processed] < 10}
    }

    test "CONFIG subcommands that do not exist are errors" {
        assert_error "ERR *" {r CONFIG}
        assert_error "ERR unknown subcommand*" {r CONFIG NOSUCH}
        assert_error "ERR *" {r CONFIG RESETSTAT x}
    }
}
