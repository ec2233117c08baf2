# TQ.SAMPLE … ONCE holder n: a call that is repeated after a lost reply gets the same samples again.

# What the holder gets with call n.
proc once {n count args} {
    return [take p t $count ONCE h $n {*}$args]
}

proc once_later {c n count args} {
    take_later $c p t $count ONCE h $n {*}$args
}

start_server {} {
    test "the same call with the same number gets the same samples, the next number others" {
        fill p 1 6
        assert_equal {k1 k2} [once 1 2]
        assert_equal {k1 k2} [once 1 2]
        assert_equal {k1 k2} [resp::call [client] TQ.SAMPLE p t COUNT 2 FIELDS 1 f ONCE h 1 AS KEYS]
        assert_equal 2 [consumed p t]
        assert_equal {{k1 v1} {k2 v2}} [r TQ.SAMPLE p t COUNT 2 FIELDS 1 f ONCE h 1 BLOCK 5]
        assert_equal {k3 k4} [once 7 2]
        assert_equal {k3 k4} [once 7 2]
        assert_equal {k5 k6} [take p t 2 ONCE other 1]
        assert_equal {k3 k4} [once 7 2]
        assert_equal 6 [consumed p t]
    }

    test "an older number is an error, also where the newer call got nothing" {
        fill p 1 3
        assert_equal {k1 k2} [once 5 2]
        assert_refused "ERR ONCE: call 4 of holder 'h' is older than its call 5" {once 4 2}
        assert_equal (nil) [once 6 2]
        assert_refused "ERR ONCE: call 5 of holder 'h' is older than its call 6" {once 5 2}
        fill p 4 4
        assert_equal {k3 k4} [once 6 2]
        assert_equal {k3 k4} [once 6 2]
        assert_equal (nil) [once 18446744073709551615 1]
        assert_refused "ERR ONCE: call 0 *" {once 0 2}
    }

    test "other arguments are an error, but for BLOCK and AS" {
        fill p 1 9
        r TQ.PUT p k1 TAGS 1 v 1 FIELDS 1 g w
        assert_equal {k1 k2} [once 1 2 BY MAX v]
        foreach {count args} {3 {BY MAX v} 2 {} 2 {BY MIN v} 2 {BY MAX v ATLEAST 1} 2 {BY MAX v LEASE 5}
                              2 {BY MAX v WHERE 1 v = 1}} {
            assert_refused "ERR ONCE: call 1 of holder 'h' had other arguments" {once 1 $count {*}$args}
        }
        assert_refused "ERR * had other arguments" \
            {r TQ.SAMPLE p t COUNT 2 FIELDS 2 f g BY MAX v ONCE h 1}
        assert_refused "ERR * had other arguments" {take p u 2 BY MAX v ONCE h 1}
        assert_equal {k1 k2} [r TQ.SAMPLE p t AS KEYS ONCE h 1 BY MAX v FIELDS 1 f BLOCK 7 COUNT 2]
        assert_equal {k3 k4} [once 2 2 BLOCK 1 ATLEAST 1]
    }

    test "RANDOM without SEED gives the same samples again" {
        fill p 1 1000
        set got [once 1 10 BY RANDOM]
        assert_equal $got [once 1 10 BY RANDOM]
        assert_equal 10 [consumed p t]
    }

    test "what is wrong with ONCE is said" {
        fill p 1 2
        assert_refused "ERR syntax error: ONCE does not go with RANK" {once 1 1 RANK 0 BATCH 0}
        assert_refused "ERR syntax error: ONCE does not go with KEEP" {once 1 1 KEEP}
        assert_refused "ERR ONCE: a holder has 1 to 64 bytes, got 0" {take p t 1 ONCE "" 1}
        assert_refused "ERR ONCE: a holder has 1 to 64 bytes, got 65" \
            {take p t 1 ONCE [string repeat x 65] 1}
        foreach n {-1 x "" 18446744073709551616} {
            assert_refused "ERR the number of the call behind ONCE: expected an integer*" {once $n 1}
        }
        assert_refused "ERR syntax error: the number of the call behind ONCE is missing: *" \
            {r TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE h}
        assert_refused "ERR *ONCE*" {once 1 1 ONCE h 1}
        assert_equal k1 [take p t 1 ONCE [string repeat \0 64] 1]
    }

    test "nil and the end of the stream are not remembered" {
        assert_equal (nil) [once 1 1]
        fill p 1 1
        assert_equal k1 [once 1 1]
        r TQ.SEAL p
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE h 2]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE h 2]
        assert_equal 1 [r TQ.RESET p KEYS 1 k1]
        assert_equal k1 [once 2 1]
        assert_equal k1 [once 2 1]
    }

    test "with RETIRE samples stay until the next number comes, also when that call waits" {
        r TQ.CREATE p RETIRE 1 t MAXSAMPLES 4
        fill p 1 4
        assert_equal {k1 k2} [once 1 2]
        assert_equal 4 [r TQ.COUNT p]
        assert_equal {k1 k2} [once 1 2]
        assert_equal {k3 k4} [once 2 2]
        assert_equal 2 [r TQ.COUNT p]
        assert_refused "FULL *" {r TQ.MPUT p KEYS 3 k5 k6 k7}
        set c [client]
        once_later $c 3 2 BLOCK 0
        wait_blocked 1
        assert_equal 0 [r TQ.COUNT p]
        fill p 5 6
        assert_equal {k5 k6} [resp::receive $c]
        assert_equal {k5 k6} [once 3 2]
        assert_equal k7 [fill p 7 7][take p t 1]
        assert_equal 2 [r TQ.COUNT p]
    }

    test "RETIRE of two tasks waits for the holders of both" {
        r TQ.CREATE p RETIRE 2 t u
        fill p 1 2
        assert_equal {k1 k2} [once 1 2]
        assert_equal {k1 k2} [take p u 2 ONCE other 1]
        assert_equal (nil) [once 2 1]
        assert_equal 2 [r TQ.COUNT p]
        assert_equal (nil) [take p u 1 ONCE other 2]
        assert_equal 0 [r TQ.COUNT p]
    }

    test "less those cleared since; where all are gone the answer is NOKEY" {
        fill p 1 3
        assert_equal {k1 k2} [once 1 2]
        r TQ.CLEAR p KEYS 1 k1
        assert_equal k2 [once 1 2]
        r TQ.CLEAR p KEYS 1 k2
        assert_refused "NOKEY all that call 1 of holder 'h' took was cleared" {once 1 2}
        assert_equal k3 [once 2 1]
    }

    test "a leased batch comes again with its lease, until the lease ends" {
        fill p 1 9
        set reply [once 1 2 LEASE 100000]
        lassign $reply id keys
        assert_equal {k1 k2} $keys
        assert_equal $reply [once 1 2 LEASE 100000]
        assert_equal 1 [r TQ.NACK p t $id KEYS 1 k1]
        assert_equal [list $id k2] [once 1 2 LEASE 100000]
        assert_equal 1 [r TQ.ACK p t $id]
        assert_refused "NOLEASE lease $id of call 1 of holder 'h' has ended" {once 1 2 LEASE 100000}
        lassign [once 2 2 LEASE 20] id keys
        assert_equal {k1 k3} $keys
        set c [client]
        take_later $c p t 7 BLOCK 0
        assert_equal {k1 k3 k4 k5 k6 k7 k8} [resp::receive $c]
        assert_refused "NOLEASE *" {once 2 2 LEASE 20}
        lassign [once 3 1 LEASE 100000] id keys
        assert_equal k9 $keys
        r TQ.CLEAR p KEYS 1 k9
        assert_refused "NOKEY *" {once 3 1 LEASE 100000}
    }

    test "with LEASE and RETIRE what was acknowledged goes at once" {
        r TQ.CREATE p RETIRE 1 t
        fill p 1 2
        lassign [once 1 2 LEASE 100000] id
        assert_equal 2 [r TQ.ACK p t $id]
        assert_equal 0 [r TQ.COUNT p]
    }

    test "RESET and CLEAR forget: of all, of a task, of samples" {
        fill p 1 2
        assert_equal {k1 k2} [once 5 2]
        assert_equal k1 [take p u 1 ONCE other 5]
        assert_equal 1 [r TQ.RESET p TASK t KEYS 1 k1]
        assert_equal k2 [once 5 2]
        assert_equal k1 [take p t 1]
        assert_equal 1 [r TQ.RESET p TASK t KEYS 1 k2]
        assert_equal (nil) [once 5 2]
        assert_refused "ERR * older *" {once 4 2}
        assert_equal 1 [r TQ.RESET p TASK t]
        assert_refused "ERR * older *" {take p u 1 ONCE other 4}
        assert_equal {k1 k2} [once 4 2]
        assert_equal 2 [r TQ.RESET p]
        assert_equal k1 [take p u 1 ONCE other 4]
        assert_equal {k1 k2} [once 3 2]
        r TQ.CLEAR p
        fill p 1 2
        assert_equal {k1 k2} [once 1 2]
    }

    test "RESET makes what a holder was given due to RETIRE no longer" {
        r TQ.CREATE p RETIRE 1 t
        fill p 1 2
        assert_equal {k1 k2} [once 1 2]
        assert_equal 2 [r TQ.RESET p KEYS 2 k1 k2]
        assert_equal {k1 k2} [take p t 2]
        assert_equal 0 [r TQ.COUNT p]
        assert_refused "ERR * older *" {once 0 2}
    }

    test "a repeat of a call that is parked takes its place, and that one ends" {
        set lost [client]
        set behind [client]
        once_later $lost 1 2 BLOCK 0
        wait_blocked 1
        take_later $behind p t 1 BLOCK 0
        wait_blocked 2
        set again [client]
        once_later $again 1 2 BLOCK 0
        assert_error "UNBLOCKED the holder repeated this call on another connection" \
            {resp::receive $lost}
        wait_blocked 2
        fill p 1 1
        assert_waiting $behind
        fill p 2 3
        assert_equal {k1 k2} [resp::receive $again]
        assert_equal k3 [resp::receive $behind]
        assert_equal {k1 k2} [once 1 2]
        assert_equal PONG [resp::call $lost PING]
    }

    test "the repeat has a time limit of its own, and its client may leave" {
        set lost [client]
        once_later $lost 1 1 BLOCK 0
        wait_blocked 1
        set again [client]
        once_later $again 1 1 BLOCK 30
        assert_error "UNBLOCKED *" {resp::receive $lost}
        assert_equal (nil) [resp::receive $again]
        once_later $lost 1 1 BLOCK 60000
        wait_blocked 1
        once_later $again 1 1 BLOCK 0
        assert_error "UNBLOCKED *" {resp::receive $lost}
        resp::close $again
        wait_blocked 0
        fill p 1 1
        assert_equal k1 [once 1 1]
    }

    test "a repeat that does not wait ends the one that is parked, and so does the next number" {
        set c [client]
        once_later $c 1 1 BLOCK 0
        wait_blocked 1
        assert_equal (nil) [once 1 1]
        assert_error "UNBLOCKED holder 'h' sent call 1 on another connection" {resp::receive $c}
        once_later $c 1 1 BLOCK 0
        wait_blocked 1
        assert_equal (nil) [once 2 1]
        assert_error "UNBLOCKED holder 'h' sent call 2 on another connection" {resp::receive $c}
        once_later $c 2 1 BLOCK 0
        wait_blocked 1
        r MULTI
        once 2 1
        assert_equal {(nil)} [r EXEC]
        assert_error "UNBLOCKED *" {resp::receive $c}
    }

    test "beside a parked call an older number and other arguments are errors, which end nothing" {
        set c [client]
        once_later $c 5 2 BLOCK 0
        wait_blocked 1
        assert_refused "ERR ONCE: call 4 of holder 'h' is older than its call 5" {once 4 2}
        assert_refused "ERR ONCE: call 5 of holder 'h' had other arguments" {once 5 3}
        assert_waiting $c
        assert_equal (nil) [take p t 2 ONCE other 1]
        assert_equal (nil) [take q t 2 ONCE h 1]
        fill p 1 2
        assert_equal {k1 k2} [resp::receive $c]
    }

    test "a reply that never arrived is given again on another connection" {
        set c [client]
        once_later $c 1 2 BLOCK 0
        wait_blocked 1
        resp::close $c
        wait_blocked 0
        set c [client]
        once_later $c 1 2 BLOCK 0
        wait_blocked 1
        fill p 1 2
        wait_until {[consumed p t] == 2}
        resp::close $c
        assert_equal {k1 k2} [once 1 2 BLOCK 0]
        fill p 3 4
        assert_equal {k3 k4} [once 2 2 BLOCK 0]
    }

    test "of 65,536 holders the longest silent goes first, and RETIRE takes what it was given" {
        r TQ.CREATE p RETIRE 1 t
        fill p 1 65540
        foreach reply [pipeline [r] [lmap i [range 1 65536] {
            list TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE h$i 1 AS KEYS
        }]] {}
        assert_equal 65540 [r TQ.COUNT p]
        assert_equal k1 [take p t 1 ONCE h1 1]
        assert_equal k65537 [take p t 1 ONCE h2 2]
        assert_equal 65539 [r TQ.COUNT p]
        assert_equal k65538 [take p t 1 ONCE new 1]
        assert_equal {{} k3} [lmap key {k1 k3} {lindex [r TQ.LIST p MATCH $key COUNT 70000] 1}]
    }
}

foreach sync {always no} {
    start_own_server [list appendonly yes appendfsync $sync] {
        test "with appendfsync $sync a killed server knows the calls that it answered" {
            r TQ.CREATE p RETIRE 1 t
            fill p 1 9
            fill q 1 3
            set leased [take q u 2 ONCE other 3 LEASE 100000]
            assert_equal {k1 k2} [once 1 2]
            assert_equal {k3 k4} [once 2 2]
            restart_server KILL
            assert_equal {k3 k4} [once 2 2]
            assert_equal $leased [take q u 2 ONCE other 3 LEASE 100000]
            assert_refused "ERR * older *" {once 1 2}
            assert_refused "ERR * other arguments" {once 2 3}
            assert_equal (nil) [once 3 7]
            assert_equal 5 [r TQ.COUNT p]
            restart_server KILL
            assert_refused "ERR * older *" {once 2 2}
            assert_equal {k5 k6 k7} [once 3 3]
            assert_equal OK [r CONFIG SET appendonly no]
            assert_equal OK [r CONFIG SET appendonly yes]
            wait_until {[info_field aof_in_force] == 1}
            restart_server KILL
            assert_equal {k5 k6 k7} [once 3 3]
            assert_equal $leased [take q u 2 ONCE other 3 LEASE 100000]
            assert_equal (nil) [once 4 3]
            assert_equal 2 [r TQ.COUNT p]
        }
    }
}
