# INDEX of TQ.CREATE and TQ.ALTER: grammar, what TQ.STATUS tells, and that it outlives the server. That
# answers are the same with and without an index is shown by tests/unit/test_store_index.c.

proc put_tag {partition key value} {
    r TQ.PUT $partition $key TAGS 1 v $value FIELDS 1 f x
}

proc take_keys {args} {
    return [r TQ.SAMPLE {*}$args AS KEYS]
}

# n samples, v from n down to 1, with the COLUMNS given for each 2,000.
proc put_tags {partition n args} {
    for {set at 0} {$at < $n} {incr at 2000} {
        set keys {} ; set values {}
        for {set i $at} {$i < $at + 2000} {incr i} {lappend keys k$i ; lappend values [expr {$n - $i}]}
        r TQ.MPUT $partition KEYS 2000 {*}$keys TAGS 1 v {*}$values {*}$args
    }
}

# n calls wait, each with a WHERE that admits no sample; then a sample with this value comes for each.
# Each walk of the index is cut, and where n is large, an index keeps fewer views than there are walks.
proc serve_waiting {n value index args} {
    r TQ.CREATE p INDEX 1 $index
    put_tags p 20000 COLUMNS 1 f u8 {} [string repeat x 2000]
    set calls {}
    for {set i 0} {$i < $n} {incr i} {
        lappend calls [client]
        resp::send [lindex $calls end] TQ.SAMPLE p t COUNT 1 FIELDS 1 f BY {*}$args WHERE 1 w = $i \
            BLOCK 0 AS KEYS
    }
    wait_blocked $n
    for {set i 0} {$i < $n} {incr i} {
        r TQ.PUT p n$i TAGS 2 v $value w $i FIELDS 1 f x
        assert_equal n$i [resp::receive [lindex $calls $i]]
    }
    wait_blocked 0
    assert_equal (nil) [take_keys p t COUNT 1 FIELDS 1 f BY {*}$args WHERE 1 w = 0]
}

# Until the index is built, and used.
proc wait_complete {partition index} {
    wait_until {[dict get [r TQ.STATUS $partition] indexes $index complete]} "$index is not built"
}

proc index_tags {partition} {
    return [dict keys [dict get [r TQ.STATUS $partition] indexes]]
}

start_server {} {
    test "CREATE and ALTER declare indexes, which STATUS lists" {
        r TQ.CREATE p INDEX 2 v other
        assert_equal {v other} [index_tags p]
        assert_equal {v other} [dict get [r TQ.STATUS p] bounds INDEX]
        r TQ.ALTER p MAXSAMPLES 10
        assert_equal {v other} [index_tags p]
        r TQ.ALTER p INDEX 1 other
        assert_equal other [index_tags p]
        r TQ.CREATE p OR ALTER INDEX 0
        assert_equal {} [index_tags p]
        assert_equal {MAXSAMPLES 10} [dict get [r TQ.STATUS p] bounds]
    }

    test "STATUS tells the bytes of an index, and for each sample" {
        r TQ.CREATE p INDEX 1 v
        for {set i 0} {$i < 2000} {incr i} {put_tag p k$i $i}
        set index [dict get [r TQ.STATUS p] indexes v]
        set each [dict get $index bytes-per-sample]
        assert {$each >= 16 && $each <= 40}
        assert {[dict get $index bytes] / 2000 == $each}
    }

    test "an index is built after TQ.ALTER has answered, and answers nothing before it is complete" {
        put_tags p 6000 COLUMNS 1 f u8 {} [string repeat x 2000]
        r MULTI
        r TQ.ALTER p INDEX 2 v v^1
        r TQ.STATUS p
        r TQ.PUT p k10 TAGS 1 v 9000
        r TQ.PUT p new TAGS 1 v 8000 FIELDS 1 f x
        r TQ.CLEAR p KEYS 1 k0
        r TQ.SAMPLE p t COUNT 3 FIELDS 1 f BY MAX v AS KEYS
        r TQ.COUNT p WHERE 1 v >= 5999
        set replies [r EXEC]
        assert_equal OK [lindex $replies 0]
        foreach index {v v^1} {
            assert_equal 0 [dict get [lindex $replies 1] indexes $index samples]
            assert_equal 0 [dict get [lindex $replies 1] indexes $index complete]
        }
        assert_equal {k10 new k1} [lindex $replies 5]
        assert_equal 3 [lindex $replies 6]
        foreach index {v v^1} {wait_complete p $index}
        foreach index {v v^1} {assert_equal 6000 [dict get [r TQ.STATUS p] indexes $index samples]}
        r TQ.RESET p
        assert_equal {k10 new k1 k2} [take_keys p t COUNT 4 FIELDS 1 f BY MAX v]
        assert_equal 3 [r TQ.COUNT p WHERE 1 v >= 5999]
        assert_equal {k5999 k5998} [take_keys p t COUNT 2 FIELDS 1 f BY MIN v]
    }

    test "an INDEX that makes no sense is an error that names it" {
        assert_refused "ERR tag 'a b'*" {r TQ.CREATE p INDEX 1 {a b}}
        assert_refused "ERR INDEX: tag 'v' is named twice" {r TQ.CREATE p INDEX 2 v v}
        assert_refused "ERR *INDEX*" {r TQ.CREATE p INDEX 2 v}
        assert_refused "ERR *INDEX*" {r TQ.CREATE p INDEX -1 v}
        assert_refused "ERR INDEX: expected an integer from 0 to 64, got 'v': the clause is INDEX n tag ..." {r TQ.CREATE p INDEX v}
        assert_refused "ERR *INDEX*" {r TQ.CREATE p INDEX}
        assert_refused "ERR *INDEX is there twice" {r TQ.CREATE p INDEX 1 v INDEX 1 w}
        set many {}
        for {set i 0} {$i < 65} {incr i} {lappend many t$i}
        assert_refused "ERR INDEX: expected an integer from 0 to 64, got '65': *" {r TQ.CREATE p INDEX 65 {*}$many}
        assert_equal {} [r TQ.LIST]
    }

    test "an index of tag^p is declared with a number" {
        r TQ.CREATE p INDEX 4 v v^1 v^0.5 w^-2
        assert_equal {v v^1 v^0.5 w^-2} [index_tags p]
        r TQ.CLEAR p
        assert_refused "ERR INDEX 'v^x': expected a number behind ^, got 'x'" {r TQ.CREATE p INDEX 1 v^x}
        assert_refused "ERR INDEX 'v^': expected a number*" {r TQ.CREATE p INDEX 1 v^}
        assert_refused "ERR INDEX 'v^inf': expected a number*" {r TQ.CREATE p INDEX 1 v^inf}
        assert_refused "ERR tag ''*" {r TQ.CREATE p INDEX 1 ^2}
        assert_refused "ERR INDEX: tag 'v^1.0' is named twice" {r TQ.CREATE p INDEX 3 v v^1 v^1.0}
        assert_refused "ERR INDEX: tag 'v^-0' is named twice" {r TQ.CREATE p INDEX 2 v^0 v^-0}
        assert_equal {} [r TQ.LIST]
    }

    test "PRIORITY draws by its index what has weight, and then the rest" {
        r TQ.CREATE p INDEX 1 v^2
        foreach {key value} {a 5 b 0 c 3 d -1 e x} {put_tag p $key $value}
        assert_equal {a c} [lsort [take_keys p t COUNT 2 FIELDS 1 f BY PRIORITY v EXPONENT 2]]
        assert_equal {b d e} [lsort [take_keys p t COUNT 3 FIELDS 1 f BY PRIORITY v EXPONENT 2]]
        put_tag p b 1
        r TQ.RESET p TASK t KEYS 2 b d
        assert_equal {b d} [take_keys p t COUNT 2 FIELDS 1 f BY PRIORITY v EXPONENT 2]
        assert_equal c [take_keys p u COUNT 1 FIELDS 1 f BY PRIORITY v EXPONENT 2 WHERE 1 v = 3]
    }

    test "MAX and MIN take by an index what they take without" {
        foreach index {{} {INDEX 1 v}} {
            r TQ.CREATE p {*}$index
            foreach {key value} {a 5 b inf c -1 d 5.0 e x f 1e1 g 10} {put_tag p $key $value}
            r TQ.PUT p h FIELDS 1 f x
            assert_equal {b f g a} [take_keys p t COUNT 4 FIELDS 1 f BY MAX v]
            assert_equal {d c e h} [take_keys p t COUNT 5 FIELDS 1 f BY MAX v ATLEAST 1]
            assert_equal {c a d f g b e h} [take_keys p u COUNT 8 FIELDS 1 f BY MIN v]
            assert_equal {a d} [take_keys p w COUNT 9 ATLEAST 1 FIELDS 1 f BY MIN v WHERE 2 v >= 5 v < 6]
            r TQ.CLEAR p
        }
    }

    test "an index declared for samples that are there has them all" {
        foreach {key value} {a 5 b 7 c 6} {put_tag p $key $value}
        assert_equal b [take_keys p t COUNT 1 FIELDS 1 f BY MAX v]
        r TQ.ALTER p INDEX 1 v
        assert_equal {c a} [take_keys p t COUNT 2 FIELDS 1 f BY MAX v]
        r TQ.RESET p
        assert_equal {b c a} [take_keys p t COUNT 3 FIELDS 1 f BY MAX v]
    }

    test "a call that waits BY MAX gets what comes, by its index" {
        r TQ.CREATE p INDEX 1 v
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 2 FIELDS 1 f BY MAX v BLOCK 0 AS KEYS
        wait_blocked 1
        put_tag p a 1
        put_tag p b 2
        assert_equal {b a} [resp::receive $c]
    }

    test "a walk over much that was consumed lets other clients in" {
        r TQ.CREATE p INDEX 1 v
        put_tags p 40000
        r TQ.PUT p k39990 FIELDS 1 f x
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 1 FIELDS 1 f BY MAX v AS KEYS
        assert_equal k39990 [resp::receive $c]
        r MULTI
        r TQ.SAMPLE p u COUNT 1 FIELDS 1 f BY MAX v AS KEYS
        assert_equal k39990 [lindex [r EXEC] 0]
    }

    test "80 calls that wait BY MAX, each with a WHERE of its own, are served by an index" {
        serve_waiting 80 0 v MAX v
    }

    test "80 calls that wait BY MIN, each with a WHERE of its own, are served by an index" {
        serve_waiting 80 30000 v MIN v
    }

    test "80 calls that wait BY PRIORITY, each with a WHERE of its own, are served by an index" {
        serve_waiting 80 1 v^1 PRIORITY v
    }
}

start_server {} {
    test "COUNT, CLEAR and SAMPLE with WHERE answer by an index as without" {
        foreach index {{} {INDEX 1 v}} {
            r TQ.CREATE p {*}$index
            for {set i 0} {$i < 600} {incr i} {put_tag p k$i $i}
            foreach {key value} {odd abc none nan e 1e1 p 010.0} {put_tag p $key $value}
            r TQ.PUT p untagged FIELDS 1 f x
            assert_equal 11 [r TQ.COUNT p WHERE 2 v >= 590 v != 9]
            assert_equal 2 [r TQ.COUNT p WHERE 1 v > 598]
            assert_equal 2 [r TQ.COUNT p WHERE 1 v = 10]
            assert_equal 1 [r TQ.COUNT p WHERE 1 v = 1e1]
            assert_equal 1 [r TQ.COUNT p WHERE 1 v = abc]
            assert_equal 0 [r TQ.COUNT p WHERE 1 v = nan]
            assert_equal 3 [r TQ.COUNT p WHERE 2 v > 4 v <= 7]
            assert_equal {k5 k6} [take_keys p t COUNT 2 FIELDS 1 f WHERE 2 v > 4 v <= 7]
            assert_equal 1 [r TQ.COUNT p TASK t WHERE 2 v > 4 v <= 7]
            assert_equal 3 [r TQ.CLEAR p WHERE 2 v > 4 v <= 7]
            assert_equal 602 [r TQ.COUNT p]
            r TQ.CLEAR p
        }
    }
}

start_own_server {appendonly yes} {
    test "declared indexes are in the log and in its base" {
        r TQ.CREATE p INDEX 1 v
        r TQ.CREATE q INDEX 2 v w
        r TQ.CREATE s INDEX 1 v^0.5
        foreach {key value} {a 5 b 7 c 6} {put_tag p $key $value}
        r TQ.ALTER q INDEX 1 w
        assert_equal b [take_keys p t COUNT 1 FIELDS 1 f BY MAX v]
        restart_server KILL
        assert_equal v [index_tags p]
        assert_equal w [index_tags q]
        assert_equal v^0.5 [index_tags s]
        assert_equal c [take_keys p t COUNT 1 FIELDS 1 f BY MAX v]
        r BGREWRITEAOF
        wait_until {[info_field aof_rewrites] == 1} "no rewrite"
        restart_server KILL
        assert_equal v [index_tags p]
        assert_equal w [index_tags q]
        assert_equal v^0.5 [index_tags s]
        assert_equal a [take_keys p t COUNT 1 FIELDS 1 f BY MAX v]
        foreach {partition index} {p v q w s v^0.5} {wait_complete $partition $index}
        assert_equal 3 [dict get [r TQ.STATUS p] indexes v samples]
        r TQ.RESET p
        assert_equal {b c a} [take_keys p t COUNT 3 FIELDS 1 f BY MAX v]
    }

    test "a checkpoint has the indexes" {
        r TQ.CREATE p INDEX 1 v
        foreach {key value} {a 5 b 7 c 6} {put_tag p $key $value}
        r TQ.CHECKPOINT saved
        r TQ.CLEAR p
        r TQ.RESTORE saved
        assert_equal v [index_tags p]
        wait_complete p v
        assert_equal {b c a} [take_keys p t COUNT 3 FIELDS 1 f BY MAX v]
    }
}
