# With `appendfsync always` a reply leaves after the frame of its turn was written and synced. The system calls of the
# server's thread say so, as strace lists them, for each way in which a client becomes writable.

set trace_script {#!/bin/sh
exec strace -D -f -qq -y -s 3000 -o calls -e trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fdatasync "%s" "$@"
}

proc can_trace {} {
    return [expr {[auto_execok strace] ne "" && ![catch {exec strace -D -o /dev/null true}]}]
}

# Runs the body with servers whose calls are listed in the file `calls` of their directory.
proc with_trace {body} {
    if {$::list_only || ![can_trace] || $::server_path eq ""} {
        uplevel 1 $body
        return
    }
    set path $::server_path
    set ::server_path [file join $::work_dir traced-server]
    write_file $::server_path [format $::trace_script $path]
    file attributes $::server_path -permissions 0755
    try {
        uplevel 1 $body
    } finally {
        set ::server_path $path
    }
}

proc need_trace {} {
    if {![can_trace]} {
        skip "strace is not installed, or may not trace"
    }
}

# The calls of the thread that serves, in order.
proc calls {} {
    set mine {}
    foreach line [split [read_file [file join [srv dir] calls]] \n] {
        if {[string match "[srv pid] *" $line]} {
            lappend mine $line
        }
    }
    return $mine
}

# The first call from `from` on that matches; -1: none.
proc find_call {calls from pattern} {
    return [lsearch -start $from -glob $calls $pattern]
}

# Its descriptor in the server.
proc descriptor {c} {
    regexp {fd=(\d+)} [r CLIENT LIST ID [$c CLIENT ID]] - fd
    return $fd
}

# The command with this key arrived, was logged and synced, and only then something was sent to each of these clients (with
# `reply`: something that holds the word). All of them have had their replies.
proc assert_logged_before_sent {key descriptors {reply ""}} {
    set reply [string map {* \\* \\ \\\\} $reply]
    wait_until {[find_call [calls] 0 "*write*.tql>*$key*"] >= 0}
    set calls [calls]
    set arrived [lsearch -regexp $calls "(read|recv)\[a-z\]*\\(\\d+<\[^>\]*\[^l\]>.*$key"]
    assert {$arrived >= 0}
    set logged [find_call $calls $arrived "*write*.tql>*$key*"]
    set synced [find_call $calls $logged "*fdatasync(*.tql>*"]
    assert {$logged > $arrived && $synced > $logged}
    foreach fd $descriptors {
        set pattern "* \[ws\]*($fd<*$reply*"
        wait_until {[find_call [calls] $arrived $pattern] >= 0}
        set sent [find_call [calls] $arrived $pattern]
        if {$sent < $synced} {
            fail "sent before the frame of '$key' was synced:\n[join [lrange $calls $arrived $synced] \n]"
        }
    }
}

# The server ends untraced: leaks can't be looked for under strace.
proc end_trace {} {
    if {[catch {read_file /proc/[srv pid]/status} status] || ![regexp {TracerPid:\s+([1-9]\d*)} $status - tracer]} {
        return
    }
    signal_process KILL $tracer
    wait_until {[regexp {TracerPid:\s+0} [read_file /proc/[srv pid]/status]]}
}

# Of the bytes that the server sent to this client, how many the system still holds.
proc in_flight {c} {
    set mine [lindex [split [resp::local_address $c] :] end]
    set held 0
    foreach line [lrange [split [string trim [read_file /proc/net/tcp]] \n] 1 end] {
        lassign $line - local remote - queues
        scan $queues %x:%x sends receives
        scan [lindex [split $local :] 1] %x from
        scan [lindex [split $remote :] 1] %x to
        if {$from == [srv port] && $to == $mine} {
            incr held $sends
        } elseif {$from == $mine && $to == [srv port]} {
            incr held $receives
        }
    }
    return $held
}

# Reads what has come, a little at a time, into the buffer of the client.
proc pull {c} {
    append resp::conn($c,buf) [read [resp::channel $c] 65536]
}

# The client's input that the server holds, and its output that does not fit into the socket.
proc held {id} {
    regexp {qbuf=(\d+) .*omem=(\d+)} [r CLIENT LIST ID $id] - input output
    return [list $input $output]
}

proc ask_for_megabytes {c n} {
    resp::send_all $c [lrepeat $n {TQ.MGET big KEYS 1 k FIELDS 1 f}]
}

proc have_megabytes {c n} {
    foreach i [range 1 $n] {
        assert_equal 1000000 [string length [lindex [resp::receive $c] 0 0]]
    }
}

# A client with a full socket and little behind it, whose server began to watch for input later than for room in the socket:
# it waited, had sent more than a client may that waits, and was woken. Returns client, descriptor, replies before the last.
proc full_and_woken {} {
    while 1 {
        set c [client]
        set id [$c CLIENT ID]
        set fd [descriptor $c]
        ask_for_megabytes $c 8
        take_later $c waits t 1 BLOCK 0
        wait_blocked 1
        resp::send_all $c [lrepeat 10 [list ECHO [string repeat e 30000]]]
        wait_until {[lindex [held $id] 0] >= 16384}
        r TQ.PUT waits key$fd FIELDS 1 f v
        wait_until {[lindex [held $id] 0] == 0}
        for {set left 1} {$left > 0} {} {
            pull $c
            set left [lindex [held $id] 1]
            if {$left > 0 && $left < 2500000} {
                return [list $c $fd]
            }
        }
        resp::close $c
    }
}

with_trace {
    start_own_server {appendonly yes appendfsync always} {
        test "a reply leaves after its frame is synced" {
            need_trace
            set c [client]
            set fd [descriptor $c]
            assert_equal 1 [$c TQ.PUT p plain-key FIELDS 1 f v]
            assert_logged_before_sent plain-key $fd
        }

        test "a client whose socket was full becomes readable and writable at once: its reply leaves after its frame is synced" {
            need_trace
            r CONFIG SET client-output-pause "64mb 32mb"
            r TQ.PUT big k FIELDS 1 f [string repeat x 1000000]
            lassign [full_and_woken] c fd
            # Now it is readable and writable at once.
            signal_process STOP [srv pid]
            try {
                wait_until {[find_call [calls] 0 "*stopped by SIGSTOP*"] >= 0}
                wait_until {[pull $c; in_flight $c] == 0}
                resp::send $c TQ.PUT p full-key FIELDS 1 f v
            } finally {
                signal_process CONT [srv pid]
            }
            have_megabytes $c 8
            assert_equal key$fd [resp::receive $c]
            foreach i [range 1 10] {
                assert_equal 30000 [string length [resp::receive $c]]
            }
            assert_equal 1 [resp::receive $c]
            assert_logged_before_sent full-key $fd
        }

        test "a write that waited while its client was not read from has its reply after its frame is synced" {
            need_trace
            r CONFIG SET client-output-pause "2mb 1mb"
            r TQ.PUT big k FIELDS 1 f [string repeat x 1000000]
            set c [client]
            set id [$c CLIENT ID]
            set fd [descriptor $c]
            # All in one piece, so that the write waits in the server's memory.
            set commands [lrepeat 24 {TQ.MGET big KEYS 1 k FIELDS 1 f}]
            resp::send_all $c [list {*}$commands {TQ.PUT p resumed-key FIELDS 1 f v}]
            wait_until {[lindex [held $id] 0] > 0 && [lindex [held $id] 1] > 1000000}
            have_megabytes $c 24
            assert_equal 1 [resp::receive $c]
            assert_logged_before_sent resumed-key $fd {:1\r\n"}
        }

        test "a waiter that a write woke has its samples after the frame is synced" {
            need_trace
            set writer [client]
            set waiters [list [client] [client]]
            set fds [list [descriptor $writer] {*}[lmap c $waiters {descriptor $c}]]
            foreach c $waiters task {a b} {
                take_later $c p $task 1 BLOCK 0
            }
            wait_blocked 2
            assert_equal 1 [$writer TQ.PUT p woken-key FIELDS 1 f v]
            foreach c $waiters {
                assert_equal woken-key [resp::receive $c]
            }
            assert_logged_before_sent woken-key $fds
        }

        test "a message that a transaction publishes leaves after the frame of its writes is synced" {
            need_trace
            set writer [client]
            set hears [client]
            set fds [list [descriptor $writer] [descriptor $hears]]
            $hears SUBSCRIBE news
            resp::send_all $writer {MULTI {TQ.PUT p published-key FIELDS 1 f v} {PUBLISH news hello} EXEC}
            assert_equal {message news hello} [resp::receive $hears]
            foreach expected {OK QUEUED QUEUED {1 1}} {
                assert_equal $expected [resp::receive $writer]
            }
            assert_logged_before_sent published-key $fds
        }

        test "replies that are turned off and on again leave after the frames between are synced" {
            need_trace
            set c [client]
            set fd [descriptor $c]
            resp::send_all $c {{CLIENT REPLY OFF} {TQ.PUT p silent-key FIELDS 1 f v} {CLIENT REPLY ON} PING}
            assert_equal OK [resp::receive $c]
            assert_equal PONG [resp::receive $c]
            assert_logged_before_sent silent-key $fd
        }

        test "an event that a write causes leaves after the frame of the write is synced" {
            need_trace
            r CONFIG SET notify-events yes
            set writer [client]
            set hears [client]
            set fds [list [descriptor $writer] [descriptor $hears]]
            $hears SUBSCRIBE __tq__:p
            assert_equal 1 [$writer TQ.PUT p event-key FIELDS 1 f v]
            assert_match "message __tq__:p *" [resp::receive $hears]
            assert_logged_before_sent event-key $fds
        }

        test "the last replies of a client that quits leave after the frame of its write is synced" {
            need_trace
            set c [client]
            set fd [descriptor $c]
            resp::send_all $c {{TQ.PUT p quit-key FIELDS 1 f v} QUIT}
            assert_equal 1 [resp::receive $c]
            assert_equal OK [resp::receive $c]
            assert_logged_before_sent quit-key $fd
        }
        end_trace
    }
}
