# Limits: each is kept, each is said clearly, and whoever runs into one costs no one else anything.

start_own_server {maxclients 5} {
    test "maxclients: one more is told so and closed" {
        r PING
        foreach i {1 2 3 4} {
            set c [client]
            assert_equal PONG [$c PING]
        }
        set extra [client]
        assert_match "-ERR max number of clients reached*\r\n" [assert_closed $extra]
        assert_equal PONG [$c PING]
    }

    test "maxclients: when one leaves, another may come" {
        r PING
        foreach i {1 2 3 4} {
            set c [client]
            $c PING
        }
        resp::close $c
        wait_until {[info_field connected_clients] == 4}
        assert_equal PONG [[client] PING]
    }

    test "maxclients: a client that sends before it reads is told so, however much it sends" {
        r PING
        foreach i {1 2 3 4} { [client] PING }
        foreach bytes {10 100000 20000000} {
            set request "*2\r\n\$4\r\nECHO\r\n\$$bytes\r\n[string repeat x $bytes]\r\n"
            set extra [client]
            fconfigure [resp::channel $extra] -blocking 1
            resp::write_bytes $extra $request
            assert_equal "-ERR max number of clients reached\r\n" [assert_closed $extra]
        }
        assert_match "*is refused: 5 are connected, and maxclients is 5*" [server_output [lindex $::server_stack end]]
    }

    test "maxclients: few of those who are refused and stay are waited for" {
        r PING
        foreach i {1 2 3 4} { [client] PING }
        set before [llength [glob /proc/[srv pid]/fd/*]]
        foreach i [range 1 200] { client }
        wait_until {[info_field rejected_connections] >= 200}
        assert {[llength [glob /proc/[srv pid]/fd/*]] <= $before + 40}
        assert_equal 5 [info_field connected_clients]
        assert_equal 5 [llength [split [string trim [r CLIENT LIST]] \n]]
    }

    test "maxclients: many who are refused leave nothing behind" {
        r PING
        foreach i {1 2 3 4} { [client] PING }
        foreach i [range 1 200] {
            set c [client]
            catch {$c PING}
            resp::close $c
        }
        assert_equal 5 [info_field connected_clients]
    }
}

start_own_server {proto-max-bulk-len 1mb} {
    test "proto-max-bulk-len: an argument of just that length is taken" {
        set value [random_bytes 1048576]
        assert_equal 1 [r TQ.PUT p k FIELDS 1 f $value]
        assert_equal $value [cell p k f]
    }

    test "proto-max-bulk-len: a longer one is an error and the end of the connection" {
        foreach length {1048577 2000000000 99999999999} {
            set c [client]
            resp::write_bytes $c "*2\r\n\$4\r\nECHO\r\n\$$length\r\n"
            assert_match "-ERR Protocol error: invalid bulk length*\r\n" [assert_closed $c]
        }
        assert_equal PONG [r PING]
    }
}

start_own_server {max-arguments 2000} {
    test "max-arguments: that many are taken, more are an error and the end of the connection" {
        assert_error "ERR unknown command*" {r NOSUCH {*}[lrepeat 1999 x]}
        set c [client]
        resp::write_bytes $c "*2001\r\n"
        assert_match "-ERR Protocol error: invalid multibulk length*\r\n" [assert_closed $c]
        assert_equal PONG [r PING]
    }
}

start_own_server {client-query-buffer-limit 1mb} {
    test "client-query-buffer-limit: arguments that are too long together end the connection" {
        set c [client]
        set piece [string repeat x 100000]
        resp::write_bytes $c "*100\r\n\$4\r\nECHO\r\n"
        catch {
            foreach i [range 1 50] {
                resp::write_bytes $c "\$100000\r\n$piece\r\n"
            }
        }
        catch {assert_closed $c}
        assert_equal PONG [r PING]
        wait_until {[info_field connected_clients] == 1}
    }

    test "client-query-buffer-limit: a pipeline of small commands may be longer" {
        set c [client]
        foreach i [range 1 5000] {
            resp::send $c ECHO [string repeat x 1000]
        }
        foreach i [range 1 5000] {
            assert_equal 1000 [string length [resp::receive $c]]
        }
    }
}

start_own_server {client-output-buffer-limit {normal 4mb 0 0}} {
    test "a client that does not read is cut off at its limit, the others go on" {
        r TQ.PUT p k FIELDS 1 f [random_bytes 100000]
        set before [info_field used_memory]
        set deaf [client]
        set id [$deaf CLIENT ID]
        foreach i [range 1 2000] {
            if {[catch {resp::send $deaf ECHO [string repeat x 50000]}]} {
                break
            }
            if {$i % 100 == 0} {
                assert_equal PONG [r PING]
            }
        }
        wait_until {![string match "*id=$id *" [r CLIENT LIST]]} \
            "the client was not cut off"
        assert_match "*client $id at *: * bytes of output wait for it, beyond the hard client-output-buffer-limit*" \
            [server_output [lindex $::server_stack end]]
        wait_until {[info_field used_memory] - $before < 3000000} \
            {used_memory was $before, is [info_field used_memory]}
        assert_equal PONG [r PING]
    }

    test "a client that asks for more than it reads is told so, and reads what there was room for" {
        r TQ.PUT p k FIELDS 1 f [random_bytes 3000000]
        set slow [client]
        resp::send_all $slow [lrepeat 500 {TQ.MGET p KEYS 1 k FIELDS 1 f}]
        assert_equal 3000000 [string length [lindex [resp::receive $slow] 0 0]]
        set refused 0
        foreach i [range 2 500] {
            if {[catch {resp::receive $slow} said]} {
                assert_match "ERR the reply would have * client-output-buffer-limit normal is 4194304 bytes*" $said
                incr refused
            } else {
                assert_equal 3000000 [string length [lindex $said 0 0]]
            }
        }
        assert {$refused > 0}
        assert_equal 3000000 [string length [cell p k f]]
    }

    test "a client that reads is not cut off, however much it asks for" {
        r TQ.PUT p k FIELDS 1 f [random_bytes 500000]
        set c [client]
        foreach i [range 1 100] {
            assert_equal 500000 [string length [lindex [$c TQ.MGET p KEYS 1 k FIELDS 1 f] 0 0]]
        }
    }
}

start_own_server {} {
    test "timeout: an idle client is closed, ones that wait in TQ.SAMPLE or are subscribed are not" {
        set waits [client]
        take_later $waits p t 1 BLOCK 0
        wait_blocked 1
        set subscribed [client3]
        resp::send $subscribed SUBSCRIBE news
        set idle [client]
        $idle PING
        # Nothing has to happen within the second: the two that go on are never idle.
        assert_equal OK [$subscribed CONFIG SET timeout 1]
        assert_equal "" [assert_closed $idle]
        assert_equal "" [assert_closed [client]] ;# by then the others have been looked at too
        assert_equal 1 [$subscribed TQ.PUT p k1 FIELDS 1 f v]
        assert_equal k1 [resp::receive $waits]
    }
}

start_own_server {tcp-keepalive 60} {
    test "tcp-keepalive is an option like any other" {
        assert_equal {tcp-keepalive 60} [r CONFIG GET tcp-keepalive]
        assert_equal PONG [r PING]
    }
}

start_own_server {maxmemory 64mb} {
    test "maxmemory: a write that finds no room is OOM, and nothing of it is written" {
        set value [random_bytes 1000000]
        set n 0
        while {![catch {r TQ.PUT p k[incr n] TAGS 1 t x FIELDS 2 f $value g v} reply]} {
            assert {$n < 100} "100 MB went into 64"
        }
        assert_match "OOM *" $reply
        assert {$n > 20} "only $n MB went in"
        assert_equal [expr {$n - 1}] [r TQ.COUNT p]
        assert_equal (nil) [lindex [r TQ.MGET p KEYS 1 k$n] 0]
        assert_equal [expr {$n - 1}] [r TQ.COUNT p FIELDS 2 f g]
        assert_equal [expr {$n - 1}] [r TQ.COUNT p WHERE 1 t = x]
        assert_error "OOM *" {r TQ.PUT fresh k FIELDS 1 f $value}
        assert_equal 0 [r EXISTS fresh]
    }

    test "maxmemory: new partitions are OOM also without samples, and those that are there are changed" {
        set value [random_bytes 1000000]
        set n 0
        while {![catch {r TQ.PUT p k[incr n] FIELDS 1 f $value}]} {}
        r CONFIG SET maxmemory 32mb
        foreach command {{TQ.CREATE fresh FIELDS 1 f i64} {TQ.CREATE fresh OR ALTER MAXSAMPLES 5}
                         {TQ.EXPECT fresh 5} {TQ.SEAL fresh}} {
            assert_error "OOM *" {r {*}$command}
        }
        assert_equal 0 [r EXISTS fresh]
        assert_equal OK [r TQ.CREATE p OR ALTER RETIRE 1 t]
        assert_equal OK [r TQ.SEAL p]
        r CONFIG SET maxmemory 64mb
    }

    test "maxmemory: an overwrite that finds no room keeps the old value" {
        set value [random_bytes 1000000]
        set n 0
        while {![catch {r TQ.PUT p k[incr n] FIELDS 1 f $value}]} {}
        r TQ.CLEAR p KEYS 1 k[expr {$n - 1}]
        r TQ.PUT p small FIELDS 1 f old
        set big [string repeat [random_bytes 1000000 2] 5]
        assert_error "OOM *" {r TQ.PUT p small TAGS 1 t x FIELDS 1 f $big}
        assert_equal old [cell p small f]
        assert_equal {} [tags p small]
    }

    test "maxmemory: reading, taking and clearing go on, and clearing makes room" {
        set value [random_bytes 1000000]
        set n 0
        while {![catch {r TQ.PUT p k[incr n] FIELDS 1 f $value}]} {}
        assert_equal $value [cell p k1 f]
        assert_equal {k1 k2} [take p t 2]
        assert_equal 10 [r TQ.CLEAR p KEYS 10 {*}[names k 1 10]]
        assert_equal 1 [r TQ.PUT p again FIELDS 1 f $value]
        r TQ.CLEAR p
        assert_equal 1 [r TQ.PUT p k1 FIELDS 1 f $value]
    }

    test "maxmemory: small samples run into it as well" {
        set refused 0
        set c [client]
        set n 0
        while {!$refused && $n < 5000000} {
            set commands {}
            foreach i [range 1 1000] {
                lappend commands [list TQ.PUT p k[incr n] TAGS 1 t [string repeat x 4000] FIELDS 1 f v]
            }
            foreach reply [pipeline $c $commands] {
                if {[string match "(error) OOM *" $reply]} {
                    set refused 1
                } else {
                    assert {$reply eq "1" || $refused}
                }
            }
        }
        assert {$refused}
        assert {$n < 25000} "[expr {$n * 4}] KB went into 64 MB"
        r TQ.CLEAR p
        assert_equal 1 [r TQ.PUT p k FIELDS 1 f v]
    }

    test "maxmemory: a value larger than all memory is OOM, others are served meanwhile" {
        set c [client]
        set value [string repeat x 100000000]
        resp::send $c TQ.PUT p k FIELDS 1 f $value
        foreach i [range 1 20] {
            assert_equal PONG [r PING]
        }
        if {![catch {resp::receive $c} reply how]} {
            fail "100 MB went into 64"
        }
        assert {[lindex [dict get $how -errorcode] 1] eq "CLOSED" || [string match "OOM *" $reply]} $reply
        assert_equal 0 [r EXISTS p]
        assert_equal 1 [r TQ.PUT p k FIELDS 1 f small]
    }

    test "maxmemory: what is on its way in counts, and comes back when its sender leaves" {
        set piece [string repeat x 10000000]
        set clients {}
        foreach i [range 1 10] {
            set c [client]
            catch {begin_put $c p k$i 20000000 $piece}
            lappend clients $c
        }
        barrier
        assert {[info_field used_memory] < 100000000} "used_memory is [info_field used_memory]"
        foreach c $clients {
            resp::close $c
        }
        wait_until {[info_field used_memory] < 20000000} \
            {used_memory is [info_field used_memory]}
        assert_equal 1 [r TQ.PUT p k FIELDS 1 f $piece]
    }

    test "maxmemory can be raised while running" {
        set value [random_bytes 1000000]
        set n 0
        while {![catch {r TQ.PUT p k[incr n] FIELDS 1 f $value}]} {}
        r CONFIG SET maxmemory 80mb
        assert_equal 1 [r TQ.PUT p k$n FIELDS 1 f $value]
        r TQ.CLEAR p
        r CONFIG SET maxmemory 64mb
    }
}

# Memory of the server's process, in bytes; 0 under a sanitizer, whose allocator keeps what was freed.
proc resident {} {
    if {[info_field mem_allocator] eq "libc"} {
        return 0
    }
    regexp {VmRSS:\s+(\d+) kB} [read_file /proc/[srv pid]/status] - kb
    return [expr {$kb * 1024}]
}

start_own_server {} {
    foreach request {
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:6399\r\nContent-Length: 8\r\n\r\nFLUSHALL\r\n"
        "post /x\r\nFLUSHALL\r\n"
        "GET / HTTP/1.0\r\n\r\nFLUSHALL\r\n"
        "PUT /x HTTP/1.1\r\nFLUSHALL\r\n"
        "Host: 127.0.0.1\r\nFLUSHALL\r\n"
        "PING\r\nhost: a\r\nFLUSHALL\r\n"
        "*2\r\n\$4\r\nPOST\r\n\$1\r\n/\r\nFLUSHALL\r\n"
    } {
        test "HTTP is closed before anything behind it runs: [string map {\r\n { }} $request]" {
            fill p 1 3
            set c [client]
            resp::write_bytes $c $::request
            set said [assert_closed $c]
            assert {$said in [list "" "+PONG\r\n"]} $said
            assert_equal 3 [r TQ.COUNT p]
            assert_match "*sent HTTP*" [server_output [lindex $::server_stack end]]
        }
    }

    test "a value that looks like HTTP is a value" {
        assert_equal 1 [r TQ.PUT p k FIELDS 1 f HTTP/1.1]
        assert_equal 1 [r TQ.PUT p Host: FIELDS 1 f POST]
    }
}

start_own_server {proto-max-bulk-len 1mb client-query-buffer-limit 4mb} {
    # A client that sends all before it reads must read why, and no reset.
    test "a request refused for its size is told so, however much is still on its way" {
        foreach request [list \
            "*2\r\n\$4\r\nECHO\r\n\$30000000\r\n[string repeat x 30000000]\r\n" \
            "*40\r\n[string repeat "\$1000000\r\n[string repeat x 1000000]\r\n" 40]" \
            "*9999999\r\n[string repeat "\$1\r\nx\r\n" 2000000]"] {
            set c [client]
            fconfigure [resp::channel $c] -blocking 1
            resp::write_bytes $c $request
            assert_match "-ERR Protocol error*at most*" [assert_closed $c]
        }
        assert_equal PONG [r PING]
    }
}

start_own_server {client-request-timeout 1} {
    test "half a command and then nothing ends the connection" {
        set half [client]
        resp::write_bytes $half "*2\r\n\$4\r\nECHO\r\n\$10\r\nhal"
        set large [client]
        begin_put $large p k 40000000 [random_bytes 100000]
        set whole [client]
        $whole PING
        assert_equal "" [assert_closed $half]
        assert_equal "" [assert_closed $large]
        assert_match "*client-request-timeout*" [server_output [lindex $::server_stack end]]
        assert_equal PONG [$whole PING]
    }
}

start_own_server {client-output-buffer-limit "normal 1mb 0 0"} {
    test "a reply beyond the client's limit is refused before anything is taken" {
        foreach i [range 1 30] {
            r TQ.PUT p k$i FIELDS 1 f [string repeat x 100000]
        }
        foreach form {ROWS COLUMNS} {
            assert_error "ERR *client-output-buffer-limit normal is 1048576 bytes*" {
                r TQ.SAMPLE p t COUNT 20 FIELDS 1 f AS $form
            }
            assert_error "ERR *client-output-buffer-limit*" {r TQ.SAMPLE p t COUNT 20 FIELDS 1 f LEASE 10000 AS $form}
            assert_error "ERR *client-output-buffer-limit*" {
                r TQ.MGET p KEYS 20 {*}[lmap i [range 1 20] {set _ k$i}] FIELDS 1 f AS $form
            }
        }
        assert_error "ERR *client-output-buffer-limit*" {r TQ.MGET p KEYS 20 {*}[lrepeat 20 k1] FIELDS 1 f}
        assert_equal 30 [r TQ.COUNT p FIELDS 1 f TASK t]
        set c [client]
        resp::send $c TQ.SAMPLE q t COUNT 20 FIELDS 1 f BLOCK 0
        wait_blocked 1
        foreach i [range 1 20] {
            r TQ.PUT q k$i FIELDS 1 f [string repeat x 100000]
        }
        assert {[catch {resp::receive $c} said]}
        assert_match "ERR *client-output-buffer-limit*" $said
        assert_equal 20 [r TQ.COUNT q FIELDS 1 f TASK t]
        assert_equal 9 [llength [r TQ.SAMPLE p t COUNT 9 FIELDS 1 f]]
    }
}

start_own_server {client-output-buffer-limit "normal 100kb 0 0"} {
    test "a command that changes nothing is refused where its reply is beyond the client's limit, which lives on" {
        set limit "ERR the reply would have *client-output-buffer-limit normal is 102400 bytes*ask for less"
        set c [client]
        set keys [lmap i [range 1 300] {format %01000d $i}]
        pipeline $c [lmap key $keys {list TQ.PUT p $key TAGS 1 t $key FIELDS 1 f v}]
        pipeline $c [lmap i [range 1 600] {list TQ.CREATE [format %0250d $i]}]
        foreach from {1 101 201 301 401 501} {
            set values {}
            foreach i [range $from [expr {$from + 99}]] { lappend values [format %0250d $i] v }
            r TQ.PUT wide k FIELDS 100 {*}$values
        }
        fill q 1 1500
        pipeline $c [lrepeat 1500 {TQ.SAMPLE q t COUNT 1 FIELDS 1 f LEASE 600000 AS KEYS}]
        foreach i [range 1 120] {
            set named [client]
            $named CLIENT SETNAME [string repeat n 255]
            $named CLIENT SETINFO lib-name [string repeat l 255]
            $named CLIENT SETINFO lib-ver [string repeat v 255]
        }
        set again [list KEYS 300 {*}[lrepeat 300 [lindex $keys 0]] FIELDS 1 f]
        set long [string repeat x 200000]
        foreach command [list {TQ.LIST} {TQ.LIST p} {TQ.LIST p WITH TAGS} {TQ.LIST wide WITH FIELDS} \
            {TQ.SCHEMA wide} {TQ.STATUS wide} {TQ.LEASES q} {KEYS *} {SCAN 0 COUNT 10000} {TQ.MGET wide KEYS 1 k} \
            {TQ.MGET wide KEYS 1 k AS TEXT} {TQ.MGET wide KEYS 1 k AS COLUMNS} [list TQ.MGET p {*}$again AS COLUMNS] \
            {CLIENT LIST} [list ECHO $long] [list PING $long] {TQ.SAMPLE p t COUNT 300 FIELDS 1 f AS KEYS} \
            {TQ.SAMPLE p t COUNT 300 FIELDS 1 f AS TEXT} {TQ.SAMPLE p t COUNT 300 FIELDS 1 f LEASE 9000 AS KEYS}] {
            assert_error $limit {r {*}$command}
        }
        assert_equal 300 [r TQ.COUNT p TASK t]
        assert_equal 50 [llength [r TQ.SAMPLE p t COUNT 50 FIELDS 1 f AS KEYS]]
        r MULTI
        foreach i {1 2 3} { r TQ.LIST p COUNT 40 }
        set types [lmap item [lindex [typed EXEC] 1] {lindex $item 0}]
        assert_equal {array array error} $types
    }
}

set ::bound [expr {125 * 1024 * 1024 + 64 * 1024 * 1024}]

# A server of its own each: what an allocator keeps of one attack is not counted for the next.
start_own_server {maxmemory 100mb} {
    test "clients that pipeline and never read do not take the server beyond maxmemory" {
        r TQ.PUT p k FIELDS 1 f [random_bytes 4000]
        set request "*6\r\n\$7\r\nTQ.MGET\r\n\$1\r\np\r\n\$4\r\nKEYS\r\n\$1\r\n1\r\n\$1\r\nk\r\n"
        set request [string map {*6 *5} $request]
        foreach i {1 2 3 4 5 6 7 8} {
            lappend readers [client]
            fconfigure [resp::channel [lindex $readers end]] -blocking 0 -buffersize 1000000
            resp::write_bytes [lindex $readers end] [string repeat $request 20000]
        }
        foreach i [range 1 20] {
            update
            assert_equal PONG [r PING]
            assert {[resident] < $::bound} "resident are [resident]"
        }
        wait_until {[info_field used_memory] < 104857600}
        assert_equal 1 [r TQ.PUT p other FIELDS 1 f v]
    }
}

start_own_server {maxmemory 100mb} {
    test "many clients that read nothing and each have little waiting do not either" {
        r TQ.PUT p k FIELDS 1 f [random_bytes 4000]
        foreach i [range 1 80] {
            set c [client]
            catch {resp::send_all $c [lrepeat 1700 {TQ.MGET p KEYS 1 k}]}
        }
        assert {[resident] < $::bound} "resident are [resident]"
        wait_until {![catch {r TQ.PUT p other FIELDS 1 f v}]}
        assert {[resident] < $::bound} "resident are [resident]"
    }
}

foreach {what size} {"30,000 bytes" 30000 "one byte" 1} {
    start_own_server {maxmemory 100mb} {
        test "a half-sent command of arguments of $what does not take the server beyond maxmemory" {
            r TQ.PUT p k FIELDS 1 f v
            set bulk "\$$::size\r\n[string repeat x $::size]\r\n"
            set piece [string repeat $bulk [expr {3000000 / [string length $bulk]}]]
            set n [expr {[string length $piece] / [string length $bulk]}]
            set clients {}
            foreach i [range 1 [expr {$::size > 1 ? 3 : 10}]] {
                lappend clients [client]
                resp::write_bytes [lindex $clients end] "*[expr {$n * ($::size > 1 ? 50 : 2) + 2}]\r\n\$4\r\nECHO\r\n"
            }
            set begin [info_field total_net_input_bytes]
            foreach i [range 1 [expr {$::size > 1 ? 50 : 2}]] {
                foreach c $clients {
                    resp::write_bytes $c $piece
                }
                assert {[resident] < $::bound} "resident are [resident]"
            }
            set sent [expr {[llength $clients] * [string length $piece] * ($::size > 1 ? 50 : 2)}]
            wait_until {[info_field total_net_input_bytes] - $begin > $sent}
            assert {[resident] < $::bound} "resident are [resident]"
            foreach c $clients {
                resp::write_bytes $c "\$1\r\nx\r\n"
                set said [catch {resp::receive $c} reply]
                assert {$reply eq "OOM command not allowed when used memory > 'maxmemory'." ||
                        [string match "ERR wrong number*" $reply]} $reply
                assert_equal PONG [$c PING]
            }
            assert_equal 1 [r TQ.COUNT p]
        }
    }
}

start_own_server {maxmemory 100mb} {
    test "readers that never read what was overwritten meanwhile are closed when memory is full" {
        set keys [lmap i [range 1 20] {set _ k$i}]
        set value [random_bytes 1000000]
        foreach key $keys {
            r TQ.PUT p $key FIELDS 1 f $value
        }
        foreach i {1 2 3 4 5 6} {
            set c [client]
            resp::send $c TQ.MGET p KEYS 20 {*}$keys FIELDS 1 f
            foreach key $keys {
                wait_until {![catch {r TQ.PUT p $key FIELDS 1 f $value}]}
            }
        }
        assert {[resident] < $::bound} "resident are [resident]"
        assert_match "*does not read its replies, of which * bytes wait, and memory is beyond maxmemory*" \
            [server_output [lindex $::server_stack end]]
    }
}

start_own_server {client-output-pause "40mb 30mb" client-output-buffer-limit "normal 0 0 0"} {
    test "the commands of a client that reads go on when less than LOW of client-output-pause waits" {
        set value [random_bytes 4000000]
        r TQ.PUT p k FIELDS 1 f $value
        set c [client]
        set commands [lrepeat 16 {TQ.MGET p KEYS 1 k FIELDS 1 f}]
        lappend commands {TQ.PUT p marker FIELDS 1 f v}
        resp::send_all $c $commands
        barrier
        assert_equal 1 [r TQ.COUNT p]
        foreach line [split [r CLIENT LIST] "\n"] {
            if {[regexp {^id=(\d+) .*omem=(\d+)} $line -> number bytes] && $bytes > 20000000} {
                set id $number
            }
        }
        # What waits shrinks only as far as the client reads, and by what the system buffers.
        while {[r TQ.COUNT p] == 1} { resp::receive $c }
        regexp {omem=(\d+)} [r CLIENT LIST ID $id] -> waiting
        # Had it waited for all of it to go, no more than the last 5 replies would wait.
        assert {$waiting > 22000000} "the command ran with $waiting bytes waiting"
    }
}

start_own_server {maxmemory 100mb} {
    test "what frees memory passes inside of MULTI when there is none left" {
        set value [random_bytes 1000000]
        set n 0
        while {![catch {r TQ.PUT p k[incr n] FIELDS 1 f $value}]} {}
        while {![catch {r TQ.PUT p small[incr n] FIELDS 1 f [string repeat x 10000]}]} {}
        while {![catch {r TQ.PUT p small[incr n] FIELDS 1 f v}]} {}
        r MULTI
        assert_equal QUEUED [r TQ.CLEAR p KEYS 2 k1 k2]
        assert_error "OOM *" {r TQ.PUT p k1 FIELDS 1 f v}
        assert_error "EXECABORT*" {r EXEC}
        r MULTI
        assert_equal QUEUED [r TQ.CLEAR p KEYS 2 k1 k2]
        assert_equal 2 [r EXEC]
        assert_equal 1 [r TQ.PUT p k1 FIELDS 1 f v]
    }
}

start_server {} {
    foreach command {{TQ.LIST p MATCH} KEYS {SCAN 0 MATCH} PSUBSCRIBE {PUBSUB CHANNELS} {CONFIG GET}
                     {COMMAND LIST FILTERBY PATTERN}} {
        test "a pattern has at most 1,024 bytes: [join $command]" {
            fill p 1 1
            set c [client]
            $c {*}$::command [string repeat a* 512]
            assert_error "ERR a pattern has at most 1024 bytes, got 1025" {[client] {*}$::command [string repeat a 1025]}
        }
    }
}
