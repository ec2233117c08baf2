# How a server ends.

# The current server must end with status 0.
proc assert_ends {} {
    assert_equal {exit 0} [wait_exit [lindex $::server_stack end]]
    assert_equal "" [sanitizer_report [lindex $::server_stack end]]
}

foreach signal {TERM INT} {
    start_own_server {} {
        test "SIG$signal ends the server cleanly" {
            fill p 1 100
            signal_process $::signal [srv pid]
            assert_ends
        }
    }

    start_own_server {} {
        test "SIG$signal ends the server cleanly with clients in every state" {
            [client] PING
            resp::write_bytes [client] "*2\r\n\$4\r\nEC"
            resp::write_bytes [client] "PIN"
            set waits [client]
            take_later $waits p t 1 BLOCK 0
            take_later [client] p t 1 BLOCK 100000
            wait_blocked 2
            r TQ.PUT q k FIELDS 1 f [random_bytes 3000000]
            foreach i {1 2 3} {
                resp::send [client] TQ.MGET q KEYS 1 k
            }
            begin_put [client] p k 40000000 [random_bytes 1000000]
            barrier
            signal_process $::signal [srv pid]
            assert_closed $waits
            assert_ends
        }
    }
}

start_own_server {} {
    test "SHUTDOWN ends the server without a reply" {
        fill p 1 10
        resp::send [r] SHUTDOWN
        assert_equal "" [assert_closed [r]]
        assert_ends
    }
}

start_own_server {} {
    test "SHUTDOWN NOSAVE ends the server as well" {
        resp::send [r] SHUTDOWN NOSAVE
        assert_equal "" [assert_closed [r]]
        assert_ends
    }
}

start_own_server {} {
    test "SHUTDOWN with nonsense is an error and ends nothing" {
        assert_error "ERR *" {r SHUTDOWN NOSUCH}
        assert_error "ERR *" {r SHUTDOWN SAVE extra NOSUCH}
        assert_equal PONG [r PING]
    }
}

start_own_server {} {
    test "SIGPIPE is no one's death" {
        signal_process PIPE [srv pid]
        assert_equal PONG [r PING]
        assert {[process_runs [srv pid]]}
    }

    test "a server that was stopped and goes on answers" {
        signal_process STOP [srv pid]
        signal_process CONT [srv pid]
        assert_equal PONG [r PING]
    }
}

test "a crash leaves a backtrace and says what was going on" {
    set port [free_port]
    set id [launch [list --port $port]]
    set ::server($id,port) $port
    wait_ready $id
    $::server($id,client) TQ.PUT p k FIELDS 1 f v
    signal_process SEGV $::server($id,pid)
    set ended [wait_exit $id]
    assert {$ended ne {exit 0}}
    set said [string tolower [server_output $id]]
    assert {[string match "*sigsegv*" $said] || [string match "*signal*11*" $said] ||
            [string match "*segmentation*" $said] || [string match "*addresssanitizer*" $said]} $said
}

test "a server that starts again where one was killed finds its port free" {
    set port [free_port]
    foreach i {1 2} {
        set id [launch [list --port $port]]
        set ::server($id,port) $port
        wait_ready $id
        kill_server $id
    }
}
