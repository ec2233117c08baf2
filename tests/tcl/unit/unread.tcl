# What waits for clients that do not read, and what they subscribe to, while memory is full.

# Samples k1 … of 1,000 bytes, and then others until not even a small one is accepted.
proc fill_memory {n} {
    r TQ.MPUT p KEYS $n {*}[names k 1 $n] COLUMNS 1 f {u8[1000]} "" [string repeat x [expr {1000 * $n}]]
    set i 0
    while {![catch {r TQ.PUT full k[incr i] FIELDS 1 f [string repeat x 30000]}]} {}
    while {![catch {r TQ.PUT full small[incr i] FIELDS 1 f x}]} {}
}

# Bytes that wait for a client.
proc waiting_for {id} {
    set list [r CLIENT LIST ID $id]
    regexp {omem=(\d+)} $list -> bytes
    return $bytes
}

# Lets a client ask for n KB at a time, without reading, until some of it does not leave the server.
# Before that it asks `at_once` times for 20 KB. Returns how often it asked.
proc ask_until_unread {c n at_once} {
    set id [$c CLIENT ID]
    resp::send_all $c [lrepeat $at_once [list TQ.MGET p KEYS 20 {*}[names k 1 20] FIELDS 1 f]]
    for {set asked 0} {![waiting_for $id]} {incr asked} {
        resp::send $c TQ.MGET p KEYS $n {*}[names k 1 $n] FIELDS 1 f
        barrier
    }
    return $asked
}

start_own_server {maxmemory 40mb} {
    test "clients that read nothing give way to a reply that needs the room, however little they hold" {
        fill_memory 5400
        # All replies together may hold 5.1 MB, and this one has 4.9.
        set command [list TQ.MGET p KEYS 4850 {*}[names k 1 4850] FIELDS 1 f]
        assert_equal 4850 [llength [r {*}$command]]
        set first [client]
        set at_once [expr {[ask_until_unread $first 20 0] - 10}]
        resp::close $first
        # Those for which more than 64 KiB wait were closed before, too.
        for {set silent 0} {$silent < 16} {} {
            set c [client]
            set id [$c CLIENT ID]
            ask_until_unread $c 5 $at_once
            if {[waiting_for $id] < 60000} {
                incr silent
            } else {
                resp::close $c
                incr at_once -20
            }
        }
        set begin [llength [split [r CLIENT LIST] "\n"]]
        wait_until {![catch {r {*}$command} reply]}
        assert_equal 4850 [llength $reply]
        assert {[llength [split [r CLIENT LIST] "\n"]] < $begin} "nobody was closed"
        assert_match "*does not read its replies, of which * bytes wait, and memory is beyond maxmemory*" \
            [server_output [lindex $::server_stack end]]
        # Nothing is taken for one that can't have room at all.
        assert_error "OOM *Nothing was done*" {r TQ.SAMPLE p t COUNT 5400 FIELDS 1 f}
        assert_equal 5400 [r TQ.COUNT p TASK t]
        assert_equal 4850 [llength [r TQ.SAMPLE p t COUNT 4850 FIELDS 1 f]]
    }
}

start_own_server {maxmemory 20mb} {
    test "messages to subscribers that read nothing do not take memory beyond maxmemory" {
        foreach i [range 1 8] {
            [client] SUBSCRIBE news
        }
        set reader [client]
        $reader SUBSCRIBE news
        set message [string repeat m 30000]
        set sent 0
        while {![catch {r PUBLISH news $message} reply]} {
            assert {[incr sent] < 3000} "no message was refused"
            resp::receive $reader
        }
        assert_match "OOM *Nothing was done*" $reply
        assert {[info_field used_memory] < 27000000} "used_memory is [info_field used_memory]"
        # Who does not read is closed, who reads gets the next one.
        wait_until {![catch {r PUBLISH news $message}]}
        assert_equal "message news $message" [resp::receive $reader]
        assert_equal PONG [r PING]
    }

    test "a message is refused where its copies for one client have no room" {
        set c [client3]
        resp::send $c PSUBSCRIBE {*}[lmap i [range 1 300] {string repeat * $i}]
        assert_equal 300 [$c PUBLISH a b]
        fill_memory 1000
        assert_error "OOM *Nothing was done*" {$c PUBLISH a [string repeat m 30000]}
        assert_equal 300 [$c PUBLISH a b]
    }

    test "ever new names do not take memory beyond maxmemory: SUBSCRIBE, PSUBSCRIBE, WATCH" {
        fill_memory 1000
        set before [info_field used_memory]
        foreach what {SUBSCRIBE PSUBSCRIBE WATCH} {
            set c [client3]
            set n 0
            while {1} {
                resp::send $c $what {*}[names [string repeat n 900]$n. 1 10]
                if {$what ne "WATCH"} { resp::send $c PING }
                if {[catch {resp::receive $c} said]} break
                assert {[incr n] < 1000} "none was refused"
            }
            assert_match "OOM *" $said
            assert {[info_field used_memory] < $before + 6500000} "used_memory is [info_field used_memory]"
            # What one client had is another's when it leaves.
            resp::close $c
            wait_until {[info_field used_memory] < $before + 1000000}
        }
    }

    test "a transaction is refused, and one command, whose many short replies have no room" {
        fill_memory 1000
        assert_error "EXECABORT *OOM*" {
            r MULTI
            pipeline [r] [lrepeat 25000 TIME]
            r EXEC
        }
        r MULTI
        assert_equal [lrepeat 1000 QUEUED] [pipeline [r] [lrepeat 1000 TIME]]
        assert_equal 1000 [llength [r EXEC]]
        assert_error "OOM *Nothing was done*" {r UNSUBSCRIBE {*}[lrepeat 70000 x]}
        assert_equal {unsubscribe x 0} [r UNSUBSCRIBE x]
    }
}

start_own_server {maxmemory 40mb} {
    test "replies in an EXEC stay bounded behind a message that takes more than they may" {
        r TQ.MPUT p KEYS 5000 {*}[names k 1 5000] COLUMNS 1 f {u8[1000]} "" [string repeat x 5000000]
        set c [client3]
        resp::send $c SUBSCRIBE news
        # A message to the client itself waits for the end of the EXEC; then memory gets full, and
        # more than that by replies.
        $c MULTI
        $c PUBLISH news [string repeat m 10000000]
        pipeline $c [lmap i [range 1 450] {list TQ.PUT full k$i FIELDS 1 f [string repeat x 30000]}]
        pipeline $c [lrepeat 100 [list ECHO [string repeat e 1000]]]
        $c TQ.MGET p KEYS 5000 {*}[names k 1 5000] FIELDS 1 f
        resp::send $c EXEC
        set replies [resp::receive $c]
        assert_equal 1 [lindex $replies 0]
        assert_match "*OOM *Nothing was done*" [lindex $replies end]
    }
}

start_own_server {maxmemory 40mb} {
    test "scans of ever new WHEREs do not take memory beyond maxmemory" {
        r TQ.MPUT p KEYS 300000 {*}[names k 1 300000] COLUMNS 1 f u8 "" [string repeat x 300000]
        set i 0
        while {![catch {r TQ.PUT full k[incr i] FIELDS 1 f [string repeat x 30000]}]} {}
        set clients {}
        foreach i [range 1 500] {
            lappend clients [client]
        }
        signal_process STOP [srv pid]
        set i 0
        foreach c $clients {
            resp::send $c TQ.COUNT p WHERE 1 a = [incr i]
        }
        signal_process CONT [srv pid]
        set most 0
        while {[info_field blocked_clients] > 0} {
            set used [info_field used_memory]
            if {$used > $most} {
                set most $used
            }
        }
        assert {$most > 0 && $most < 57000000} "used_memory was $most"
        foreach c $clients {
            assert_equal 0 [resp::receive $c]
        }
    }
}
