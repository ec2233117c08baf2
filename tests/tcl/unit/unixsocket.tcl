# The unix socket: the same server by another door.

proc start_on_socket {arguments} {
    set id [launch $arguments]
    set ::server($id,port) 0
    set path [file join $::server($id,dir) tq.sock]
    wait_until {[file exists $path] || ![process_runs $::server($id,pid)]}
    return $id
}

# A client over the unix socket of a launched server, once it answers.
proc socket_client {id} {
    if {[auto_execok perl] eq ""} {
        skip "Tcl needs perl's help to open a unix socket"
    }
    set path [file join $::server($id,dir) tq.sock]
    set deadline [expr {[clock milliseconds] + $::patience}]
    while {[clock milliseconds] < $deadline} {
        set c [resp::open_unix $path]
        lappend ::test_clients $c
        if {![catch {$c PING}]} {
            return $c
        }
        resp::close $c
        pause 20
    }
    fail "no PONG from $path\n[server_output $id]"
}

test "a server may listen on a unix socket alone" {
    set id [start_on_socket {--port 0 --unixsocket tq.sock}]
    set c [socket_client $id]
    assert_equal PONG [$c PING]
    assert_equal 1 [$c TQ.PUT p k FIELDS 1 f "a\0b\r\n"]
    assert_equal [list [list "a\0b\r\n"]] [$c TQ.MGET p KEYS 1 k FIELDS 1 f]
    assert_equal socket [file type [file join $::server($id,dir) tq.sock]]
}

test "a unix socket and a port lead to the same data" {
    set port [free_port]
    set id [launch [list --port $port --unixsocket tq.sock]]
    set ::server($id,port) $port
    wait_ready $id
    set c [socket_client $id]
    $c TQ.PUT p k FIELDS 1 f v
    assert_equal v [$::server($id,client) TQ.MGET p KEYS 1 k FIELDS 1 f]
}

test "large values go through a unix socket" {
    set id [start_on_socket {--port 0 --unixsocket tq.sock}]
    set c [socket_client $id]
    set value [random_bytes 5000000]
    assert_equal 1 [$c TQ.PUT p k FIELDS 1 f $value]
    assert_equal [list [list $value]] [$c TQ.MGET p KEYS 1 k FIELDS 1 f]
}

test "many clients share a unix socket, and one may wait on it" {
    set id [start_on_socket {--port 0 --unixsocket tq.sock}]
    set waits [socket_client $id]
    resp::send $waits TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS BLOCK 0
    set c [socket_client $id]
    wait_until {[regexp {blocked_clients:1\r} [$c INFO clients]]}
    $c TQ.PUT p k FIELDS 1 f v
    assert_equal k [resp::receive $waits]
}

test "a socket that a killed server left is no obstacle" {
    set first [start_on_socket {--port 0 --unixsocket tq.sock}]
    socket_client $first
    set path [file join $::server($first,dir) tq.sock]
    kill_server $first
    assert {[file exists $path]}
    run_server $first {--port 0 --unixsocket tq.sock}
    assert_equal PONG [[socket_client $first] PING]
}

test "a file that is no socket is left alone and stops the start" {
    set id [launch {--port 0 --unixsocket precious} {precious "do not delete"}]
    assert {[lindex [wait_exit $id] 1] != 0}
    assert_equal "do not delete" [read_file [file join $::server($id,dir) precious]]
}

test "the socket is gone after a clean end" {
    set id [start_on_socket {--port 0 --unixsocket tq.sock}]
    socket_client $id
    signal_process TERM $::server($id,pid)
    assert_equal {exit 0} [wait_exit $id]
    assert {![file exists [file join $::server($id,dir) tq.sock]]}
}

test "a socket path that cannot be is an error that names it" {
    set id [launch {--port 0 --unixsocket /nosuch/directory/tq.sock}]
    assert {[lindex [wait_exit $id] 1] != 0}
    assert_match "*/nosuch/directory/tq.sock*" [server_output $id]
    set id [launch [list --port 0 --unixsocket [string repeat x 200]]]
    assert {[lindex [wait_exit $id] 1] != 0}
}
