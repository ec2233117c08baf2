# TQ.SAMPLE … LEASE, TQ.ACK, TQ.NACK, TQ.EXTEND, TQ.LEASES: samples handed out for a time.

# The keys of a batch taken with a lease, and the lease in `id`.
proc lease {partition task count ms id args} {
    upvar 1 $id lease
    set reply [take $partition $task $count LEASE $ms {*}$args]
    if {$reply eq "(nil)" || $reply eq ""} {
        return $reply
    }
    lassign $reply lease keys
    return $keys
}

proc leases {partition args} {
    set found {}
    foreach entry [r TQ.LEASES $partition {*}$args] {
        lappend found [list [dict get $entry task] [dict get $entry client] [dict get $entry samples]]
    }
    return $found
}

# What TQ.STATUS says of a task: consumed, leased.
proc standing {partition task} {
    set row [dict get [r TQ.STATUS $partition] tasks $task]
    return [list [dict get $row consumed] [dict get $row leased]]
}

start_server {} {
    test "LEASE answers a lease and the batch, in each form" {
        r TQ.PUT p k1 TEXT 1 x:f32 0.5
        foreach {as batch} [list KEYS k1 TEXT {{k1 0.5}} ROWS [list [list k1 [pack f32 0.5]]]] {
            lassign [r TQ.SAMPLE p $as COUNT 1 FIELDS 1 x LEASE 100000 AS $as] id got
            assert_equal $batch $got $as
            assert_equal 1 [r TQ.ACK p $as $id]
        }
        lassign [r TQ.SAMPLE p c COUNT 1 FIELDS 1 x LEASE 100000 AS COLUMNS] id batch
        assert_equal {@key x} [lmap column $batch {lindex $column 0}]
    }

    test "leased samples are handed out once, and are consumed when acknowledged" {
        fill p 1 4
        assert_equal {k1 k2} [lease p t 2 100000 a]
        assert_equal {k3 k4} [lease p t 2 100000 b]
        assert_equal (nil) [take p t 1]
        assert_equal {0 4} [standing p t]
        assert_equal 2 [r TQ.ACK p t $a]
        assert_equal {2 2} [standing p t]
        assert_equal 2 [r TQ.ACK p t $b]
        assert_equal {4 0} [standing p t]
        assert_equal (nil) [take p t 1]
    }

    test "tasks lease independently" {
        fill p 1 2
        assert_equal {k1 k2} [lease p one 2 100000 a]
        assert_equal {k1 k2} [lease p two 2 100000 b]
        assert_refused "NOLEASE *" {r TQ.ACK p two $a}
        assert_equal 2 [r TQ.ACK p one $a]
        assert_equal 2 [r TQ.ACK p two $b]
    }

    test "an acknowledged lease is no more" {
        fill p 1 1
        lease p t 1 100000 id
        assert_equal 1 [r TQ.ACK p t $id]
        foreach command [list [list TQ.NACK p t $id] [list TQ.NACK p t $id KEYS 1 k1] \
                             [list TQ.EXTEND p t $id 5]] {
            assert_refused "NOLEASE task 't' has no lease '$id'*" {r {*}$command}
        }
        assert_refused "NOLEASE task 'other' has no lease '$id'*" {r TQ.ACK p other $id}
    }

    test "a repeated ACK gets the first reply, also after RETIRE has cleared the samples" {
        r TQ.CREATE p RETIRE 1 t
        fill p 1 5
        lease p t 3 100000 a
        lease p t 2 100000 b
        r TQ.CLEAR p KEYS 1 k1
        assert_equal 2 [r TQ.ACK p t $a]
        assert_equal 2 [r TQ.ACK p t $b]
        assert_equal 0 [r TQ.COUNT p]
        fill p 6 7
        assert_equal {k6 k7} [take p u 2]
        foreach round {1 2} {
            assert_equal 2 [r TQ.ACK p t $a]
            assert_equal 2 [r TQ.ACK p t $b]
        }
        assert_equal {k6 k7} [take p t 2]
    }

    test "a repeated NACK gets the first reply, and gives nothing back that another lease holds" {
        fill p 1 4
        lease p t 3 100000 a
        assert_equal 3 [r TQ.NACK p t $a]
        assert_equal {k1 k2 k3} [lease p t 3 100000 b]
        assert_equal 3 [r TQ.NACK p t $a]
        assert_refused "NOLEASE *" {r TQ.ACK p t $a}
        assert_equal {0 3} [standing p t]
        assert_equal 3 [r TQ.ACK p t $b]
    }

    test "each NACK with KEYS has a reply of its own, which is given again" {
        fill p 1 5
        lease p t 4 100000 id
        assert_equal 2 [r TQ.NACK p t $id KEYS 3 k1 k2 k5]
        assert_equal {k1 k2} [lease p t 2 100000 other]
        assert_equal 0 [r TQ.NACK p t $id KEYS 1 k1]
        foreach round {1 2} {
            assert_equal 1 [r TQ.NACK p t $id KEYS 1 k3]
            assert_equal 2 [r TQ.NACK p t $id KEYS 3 k1 k2 k5]
        }
        assert_equal {k3} [lease p t 1 100000 third]
        assert_equal 1 [r TQ.NACK p t $id KEYS 1 k4]
        foreach round {1 2} {
            assert_equal 1 [r TQ.NACK p t $id KEYS 1 k4]
            assert_equal 2 [r TQ.NACK p t $id KEYS 3 k1 k2 k5]
        }
        assert_refused "NOLEASE *" {r TQ.NACK p t $id KEYS 2 k1 k2}
        assert_refused "NOLEASE *" {r TQ.NACK p t $id}
        assert_refused "NOLEASE *" {r TQ.ACK p t $id}
        assert_equal {0 3} [standing p t]
    }

    test "a lease that ran out has no first reply; RESET and CLEAR forget the others" {
        fill p 1 3
        lease p t 3 20 id
        assert_equal k1 [take p t 1 BLOCK 0]
        assert_refused "NOLEASE *" {r TQ.ACK p t $id}
        assert_refused "NOLEASE *" {r TQ.NACK p t $id}
        foreach forget {{TQ.RESET p TASK t} {TQ.RESET p} {TQ.CLEAR p}} {
            fill p 1 3
            lease p t 1 100000 id
            lease p u 1 100000 other
            assert_equal 1 [r TQ.ACK p t $id]
            assert_equal 1 [r TQ.ACK p u $other]
            r TQ.RESET p KEYS 1 k1
            assert_equal 1 [r TQ.ACK p t $id]
            r {*}$forget
            fill p 1 3
            assert_refused "NOLEASE *" {r TQ.ACK p t $id}
            if {$forget eq {TQ.RESET p TASK t}} {
                assert_equal 1 [r TQ.ACK p u $other]
            } else {
                assert_refused "NOLEASE *" {r TQ.ACK p u $other}
            }
        }
    }

    test "NACK gives samples back to where they stood" {
        fill p 1 4
        lease p t 2 100000 id
        assert_equal 2 [r TQ.NACK p t $id]
        assert_equal {k1 k2 k3 k4} [take p t 4]
    }

    test "NACK with KEYS gives these back, the others stay leased" {
        fill p 1 4
        lease p t 3 100000 id
        assert_equal 1 [r TQ.NACK p t $id KEYS 3 k2 k4 nosuch]
        assert_equal {0 2} [standing p t]
        assert_equal {k2 k4} [lease p t 2 100000 other]
        assert_equal 0 [r TQ.NACK p t $id KEYS 1 k2]
        assert_equal 2 [r TQ.ACK p t $id]
        assert_equal 2 [r TQ.ACK p t $other]
        assert_equal {4 0} [standing p t]
    }

    test "a lease whose last sample was given back is no more" {
        fill p 1 1
        lease p t 1 100000 id
        assert_equal 1 [r TQ.NACK p t $id KEYS 1 k1]
        assert_refused "NOLEASE *" {r TQ.ACK p t $id}
        assert_equal {} [leases p]
    }

    test "a lease that runs out gives its samples back" {
        fill p 1 2
        lease p t 2 50 id
        set c [client]
        take_later $c p t 2 BLOCK 0
        assert_equal {k1 k2} [resp::receive $c]
        assert_refused "NOLEASE *" {r TQ.ACK p t $id}
    }

    test "the lease that ends first comes back first, whatever the order they were given in" {
        fill p 1 3
        lease p t 1 100000 a
        lease p t 1 30 b
        lease p t 1 50000 c
        assert_equal k2 [take p t 1 BLOCK 0]
        assert_equal 2 [llength [r TQ.LEASES p]]
        r TQ.EXTEND p t $c 200000
        r TQ.EXTEND p t $a 20
        assert_equal k1 [take p t 1 BLOCK 0]
        assert_equal 1 [r TQ.ACK p t $c]
    }

    test "EXTEND lets a lease end later, or sooner" {
        fill p 1 2
        lease p t 1 100 a
        lease p t 1 100000 b
        assert_equal 1 [r TQ.EXTEND p t $a 100000]
        assert_equal 1 [r TQ.EXTEND p t $b 1]
        assert_equal k2 [take p t 1 BLOCK 0]
        assert_equal {{t * 1}} [lmap entry [leases p] {lreplace $entry 1 1 *}]
        assert_equal 1 [r TQ.ACK p t $a]
    }

    test "a lease survives its connection" {
        fill p 1 1
        set c [client]
        lassign [resp::call $c TQ.SAMPLE p t COUNT 1 FIELDS 1 f LEASE 100000 AS KEYS] id
        resp::close $c
        barrier
        assert_equal (nil) [take p t 1]
        assert_equal 1 [r TQ.ACK p t $id]
    }

    test "TQ.LEASES says who holds what" {
        fill p 1 5
        set c [client]
        resp::call $c CLIENT SETNAME worker-7
        resp::call $c TQ.SAMPLE p t COUNT 2 FIELDS 1 f LEASE 100000 AS KEYS
        lease p t 1 100000 id
        lease p u 3 100000 other
        assert_equal {{t worker-7 2}} [lrange [leases p TASK t] 0 0]
        assert_equal {2 1 3} [lmap entry [leases p] {lindex $entry 2}]
        set entry [lindex [r TQ.LEASES p TASK u] 0]
        assert_equal $other [dict get $entry lease]
        assert {[dict get $entry left-ms] <= 100000 && [dict get $entry left-ms] > 0}
        assert {[dict get $entry age-ms] >= 0}
        assert_equal {} [r TQ.LEASES p TASK nosuch]
        assert_refused "NOPART *" {r TQ.LEASES nosuch}
    }

    test "cleared samples leave their lease" {
        fill p 1 3
        lease p t 3 100000 id
        r TQ.CLEAR p KEYS 1 k2
        assert_equal {0 2} [standing p t]
        assert_equal {2} [lmap entry [leases p] {lindex $entry 2}]
        assert_equal 2 [r TQ.ACK p t $id]
        assert_equal {2 0} [standing p t]
    }

    test "a lease is acknowledged whose group was cleared meanwhile, with RETIRE" {
        r TQ.CREATE p RETIRE 1 t
        foreach group {a b} {
            foreach member {1 2} { r TQ.PUT p $group$member GROUP $group 2 FIELDS 1 f v }
        }
        r TQ.PUT p c FIELDS 1 f v
        assert_equal {a1 a2 b1 b2 c} [lease p t 5 100000 id]
        assert_equal 2 [r TQ.CLEAR p KEYS 2 a1 a2]
        assert_equal 3 [r TQ.ACK p t $id]
        assert_equal 0 [r TQ.COUNT p]
    }

    test "a partition takes its leases with it, and ids are not used again" {
        fill p 1 1
        lease p t 1 100000 id
        r TQ.CLEAR p
        fill p 1 1
        lease p t 1 100000 again
        assert {$id ne $again}
        assert_refused "NOLEASE *" {r TQ.ACK p t $id}
        assert_equal 1 [r TQ.ACK p t $again]
    }

    test "RESET forgets leases; with KEYS it forgets consumption only" {
        fill p 1 3
        lease p t 2 100000 id
        take p t 1
        assert_equal 1 [r TQ.RESET p TASK t KEYS 3 k1 k2 k3]
        assert_equal {0 2} [standing p t]
        assert_equal k3 [take p t 1]
        r TQ.RESET p TASK t
        assert_refused "NOLEASE *" {r TQ.ACK p t $id}
        assert_equal {k1 k2 k3} [take p t 3]
    }

    test "the stream does not end while samples are leased" {
        fill p 1 2
        r TQ.SEAL p
        lease p t 2 100000 id
        assert_equal (nil) [take p t 1]
        set c [client]
        take_later $c p t 1 BLOCK 0
        wait_blocked 1
        assert_waiting $c
        r TQ.ACK p t $id
        assert_equal {array {}} [resp::receive_typed $c]
    }

    test "what a lease gives back at the end of the stream goes to who waits" {
        fill p 1 3
        r TQ.SEAL p
        lease p t 3 100000 id
        set c [client]
        take_later $c p t 2 BLOCK 0
        wait_blocked 1
        r TQ.NACK p t $id KEYS 1 k3
        assert_equal k3 [resp::receive $c]
        r TQ.NACK p t $id
        assert_equal {k1 k2} [take p t 2]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 2 FIELDS 1 f LEASE 1000]
    }

    test "what is wrong with a lease is said" {
        fill p 1 1
        foreach ms {0 -1 x 99999999999999999999 3162240000001 ""} {
            assert_refused "ERR *LEASE*" {take p t 1 LEASE $ms}
        }
        assert_refused "ERR *KEEP*LEASE*" {take p t 1 LEASE 5 KEEP}
        assert_refused "ERR *LEASE*" {take p t 1 LEASE 5 LEASE 5}
        assert_refused "NOPART *" {r TQ.ACK nosuch t 1}
        foreach id {"" 0 1 x 18446744073709551615 -1} {
            assert_refused "NOLEASE *" {r TQ.ACK p t $id}
        }
        lease p t 1 3162240000000 id
        assert_refused "ERR *" {r TQ.EXTEND p t $id 0}
        assert_refused "ERR *" {r TQ.EXTEND p t $id x}
        assert_refused "ERR *" {r TQ.NACK p t $id KEYS 0}
        assert_refused "ERR *" {r TQ.ACK p t $id extra}
        assert_equal 1 [r TQ.EXTEND p t $id 3162240000000]
        assert_equal 1 [r TQ.ACK p t $id]
    }
}

start_own_server {} {
    test "a thousand samples of a client that was killed come back in order" {
        fill p 1 1000
        set c [client]
        lassign [resp::call $c TQ.SAMPLE p t COUNT 1000 FIELDS 1 f LEASE 300 AS KEYS] id held
        assert_equal 1000 [llength $held]
        set from [clock milliseconds]
        resp::close $c
        set got [take p t 1000 BLOCK 0]
        assert_equal $held $got
        assert_equal 0 [llength [r TQ.LEASES p]]
    }
}

# A worker remembers its lease longer than a server that keeps nothing, or something older.
start_own_server {} {
    test "after a restart or a restore no lease has the id of one from before" {
        set ids {}
        foreach back {{restart_server KILL} {restart_server KILL} {r TQ.RESTORE c REPLACE} {restart_server TERM}} {
            if {![r EXISTS p]} { fill p 1 20 }
            r SAVE
            if {![llength $ids]} { r TQ.CHECKPOINT c }
            foreach i {1 2} {
                lease p t 1 100000 id
                lappend ids $id
            }
            {*}$back
            if {![r EXISTS p]} { fill p 1 20 }
            lease p t 1 100000 id
            assert_error "NOLEASE *" {r TQ.ACK p t [lindex $ids end]}
            assert_equal 1 [r TQ.ACK p t $id]
            lappend ids $id
        }
        assert_equal $ids [lsort -unique -integer $ids] "each is new, and they grow"
        r TQ.CLEAR p
        restart_server KILL
    }
}
