# TQ.CREATE, TQ.ALTER: bounds, declared fields, retiring; and writes that wait for room.

# A new client whose TQ.PUT waits.
proc writer {partition key args} {
    set c [client]
    set before [info_field blocked_clients]
    resp::send $c TQ.PUT $partition $key FIELDS 1 f v BLOCK 0 {*}$args
    wait_blocked [expr {$before + 1}]
    return $c
}

proc put {partition key args} {
    return [r TQ.PUT $partition $key FIELDS 1 f v {*}$args]
}

start_server {} {
    test "CREATE makes an empty partition, once" {
        assert_equal OK [r TQ.CREATE p]
        assert_equal p [r TQ.LIST]
        assert_equal 0 [r TQ.COUNT p]
        assert_refused "ERR partition 'p' exists*" {r TQ.CREATE p MAXSAMPLES 1}
        assert_equal 1 [put p k1]
        assert_equal 1 [put p k2]
    }

    test "ALTER needs a partition" {
        assert_refused "NOPART no partition 'p'" {r TQ.ALTER p MAXSAMPLES 1}
        r TQ.CREATE p
        assert_equal OK [r TQ.ALTER p MAXSAMPLES 1]
    }

    test "declared fields show in the schema, and do not widen" {
        r TQ.CREATE p FIELDS 3 x f32 {v} {i64[2]} {w} {i64[*]}
        assert_equal {{x f32 0 0} {v {i64[2]} 0 0} {w {i64[*]} 0 0}} [r TQ.SCHEMA p]
        r TQ.PUT p k TEXT 2 v {[1,2]} w {[1,2,3]}
        r TQ.PUT p l TEXT 1 w {[1]}
        assert_refused {SCHEMA field 'v' is i64?2?, got i64?3? for sample 'k'} {r TQ.PUT p k TEXT 1 v {[1,2,3]}}
        assert_refused {SCHEMA field 'x' is f32*} {r TQ.PUT p k FIELDS 1 x:f64 12345678}
    }

    test "ALTER declares fields too, of the type they have" {
        r TQ.PUT p k TEXT 1 {v:i64[2]} {[1,2]}
        assert_refused {SCHEMA field 'v' is i64?2?, can't declare it i64?3?} {r TQ.ALTER p FIELDS 1 v {i64[3]}}
        r TQ.ALTER p FIELDS 2 v {i64[2]} n str
        assert_refused {SCHEMA *} {r TQ.PUT p k TEXT 1 v {[1,2,3]}}
        assert_refused {SCHEMA *} {r TQ.PUT p k TEXT 1 n:i64 1}
    }

    test "MAXSAMPLES: a write past it is refused and changes nothing, an overwrite is not" {
        r TQ.CREATE p MAXSAMPLES 2
        put p k1
        put p k2
        assert_refused "FULL partition 'p' has 2 samples of MAXSAMPLES 2*'k3'" {put p k3}
        assert_equal 0 [put p k1]
        assert_refused "FULL *" {r TQ.MPUT p KEYS 2 k2 k3 COLUMNS 1 g u8 "" ab}
        assert_equal (nil) [cell p k2 g]
        r TQ.CLEAR p KEYS 1 k1
        assert_equal 1 [put p k3]
        r TQ.ALTER p MAXSAMPLES 0
        assert_equal 1 [put p k4]
    }

    test "MAXBYTES counts field values, and holds back new samples only" {
        r TQ.CREATE p MAXBYTES 10
        r TQ.PUT p k1 FIELDS 1 f 12345678
        assert_refused "FULL partition 'p' has 8 bytes of MAXBYTES 10, no room for 3 more" {r TQ.PUT p k2 FIELDS 1 f 123}
        assert_equal 1 [r TQ.PUT p k2 FIELDS 1 f 12]
        assert_equal 0 [r TQ.PUT p k1 FIELDS 1 f 87654321]
        assert_equal 0 [r TQ.PUT p k1 TAGS 1 t [string repeat x 100]]
        assert_equal 0 [r TQ.PUT p k1 FIELDS 1 f 123456789]
        assert_refused "FULL *" {r TQ.PUT p k3 FIELDS 1 f 1}
        r TQ.CLEAR p FIELDS 1 f
        assert_equal 1 [r TQ.PUT p k3 FIELDS 1 f 1234567890]
    }

    test "MAXAHEAD counts what the task has not consumed" {
        r TQ.CREATE p MAXAHEAD train 2
        put p k1
        put p k2
        assert_refused "FULL partition 'p' is 2 samples ahead of task 'train', MAXAHEAD is 2*" {put p k3}
        take p other 2
        assert_refused "FULL *" {put p k3}
        take p train 1
        assert_equal 1 [put p k3]
        lassign [take p train 2 LEASE 100000] id
        assert_refused "FULL *" {put p k4}
        r TQ.ACK p train $id
        assert_equal 1 [put p k4]
    }

    test "a SAMPLE that MAXAHEAD can never satisfy fails at once" {
        r TQ.CREATE p MAXAHEAD train 2
        assert_refused "FULL task 'train' can't find 3 samples*" {take p train 3 BLOCK 0}
        assert_equal (nil) [take p train 2]
        assert_equal (nil) [take p other 3]
        put p k1
        assert_equal k1 [take p train 3 ATLEAST 1]
    }

    test "BLOCK makes a write wait for room" {
        r TQ.CREATE p MAXSAMPLES 1
        put p k1
        set c [writer p k2]
        assert_waiting $c
        r TQ.CLEAR p KEYS 1 k1
        assert_equal 1 [resp::receive $c]
        assert_equal k2 [list_all p]
    }

    test "BLOCK answers FULL when its time is up" {
        r TQ.CREATE p MAXSAMPLES 1
        put p k1
        assert_refused "FULL partition 'p' has 1 samples*" {put p k2 BLOCK 20}
        assert_equal 1 [r TQ.COUNT p]
    }

    test "BLOCK with room is no wait" {
        r TQ.CREATE p MAXSAMPLES 2
        assert_equal 1 [put p k1 BLOCK 0]
        assert_equal 1 [r TQ.MPUT p KEYS 1 k2 COLUMNS 1 f bytes [binary format i 1] x BLOCK 5]
    }

    test "a write to a sample that is there passes all bounds, and those that wait for room" {
        r TQ.CREATE p MAXSAMPLES 2 MAXBYTES 4 MAXAHEAD train 2
        r TQ.PUT p k1 FIELDS 1 response abcd
        r TQ.PUT p k2 TAGS 1 t v
        resp::send [set c [client]] TQ.PUT p k3 TAGS 1 t v BLOCK 0
        wait_blocked 1
        assert_equal 0 [r TQ.PUT p k1 FIELDS 1 reward 1.0 BLOCK 0]
        assert_equal 0 [r TQ.MPUT p KEYS 2 k1 k2 COLUMNS 1 logp u8 "" ab BLOCK 0]
        assert_waiting $c
        assert_equal 1 [llength [r TQ.SAMPLE p train COUNT 1 FIELDS 2 response reward]]
        r TQ.CLEAR p KEYS 1 k1
        assert_equal 1 [resp::receive $c]
    }

    test "members of a group that has begun pass MAXAHEAD" {
        r TQ.CREATE p MAXAHEAD train 4
        foreach {key group} {a0 a b0 b a1 a b1 b} {
            assert_equal 1 [r TQ.PUT p $key GROUP $group 4 FIELDS 1 f x BLOCK 0]
        }
        assert_refused "FULL *MAXAHEAD is 4*" {r TQ.PUT p c0 GROUP c 4 FIELDS 1 f x}
        foreach {key group} {a2 a b2 b a3 a b3 b} {
            assert_equal 1 [r TQ.PUT p $key GROUP $group 4 FIELDS 1 f x BLOCK 0]
        }
        assert_equal {a0 a1 a2 a3} [r TQ.SAMPLE p train COUNT 4 FIELDS 1 f BY GROUP AS KEYS]
    }

    test "a group that MAXAHEAD would never let be handed out is an error" {
        r TQ.CREATE p MAXAHEAD train 2
        assert_refused "ERR group 'g' of 4 samples*MAXAHEAD is 2*" {r TQ.PUT p k GROUP g 4 TAGS 1 t v}
    }

    test "what is left of groups that lost a member does not count for MAXAHEAD" {
        r TQ.CREATE p MAXAHEAD train 8
        foreach group {a b c d} {
            r TQ.MPUT p KEYS 2 ${group}0 ${group}1 GROUPS 2 $group $group TAGS 1 t x y
        }
        assert_refused "FULL *" {r TQ.PUT p e0 GROUP e 2 TAGS 1 t v}
        r TQ.CLEAR p KEYS 4 a0 b0 c0 d0
        assert_refused "ERR group 'a' lost a member*" {r TQ.PUT p a0 GROUP a 2 TAGS 1 t v}
        foreach group {e f g h} {
            assert_equal 2 [r TQ.MPUT p KEYS 2 ${group}0 ${group}1 GROUPS 2 $group $group TAGS 1 t x y]
        }
        assert_refused "FULL *" {r TQ.PUT p i0 GROUP i 2 TAGS 1 t v}
    }

    test "what can never fit is refused at once, with BLOCK too" {
        r TQ.CREATE p MAXSAMPLES 1 MAXBYTES 5
        assert_refused "FULL 2 new samples from 'a' on are more than MAXSAMPLES 1*" {r TQ.MPUT p KEYS 2 a b TAGS 1 t x y BLOCK 0}
        assert_refused "FULL *MAXBYTES 5*" {r TQ.PUT p k FIELDS 1 f 123456 BLOCK 0}
        put p k1
        assert_refused "SCHEMA *" {r TQ.PUT p k2 FIELDS 1 f:f32 v BLOCK 0}
        r TQ.CREATE q MAXAHEAD t 1
        assert_refused "FULL 2 new samples from 'a' on are more than MAXAHEAD 1*" {r TQ.MPUT q KEYS 2 a b TAGS 1 t x y BLOCK 0}
        r TQ.SEAL q
        assert_refused "FULL *sealed*" {put q k BLOCK 0}
    }

    test "writers go in the order they came, newcomers behind them" {
        r TQ.CREATE p MAXSAMPLES 2
        put p k1
        put p k2
        set two [client]
        resp::send $two TQ.MPUT p KEYS 2 m1 m2 TAGS 1 t x y BLOCK 0
        wait_blocked 1
        r TQ.CLEAR p KEYS 1 k1
        assert_waiting $two
        set one [client]
        resp::send $one TQ.PUT p n TAGS 1 t x BLOCK 0
        wait_blocked 2
        r TQ.CLEAR p KEYS 1 k2
        assert_equal 2 [resp::receive $two]
        assert_waiting $one
        r TQ.CLEAR p KEYS 1 m1
        assert_equal 1 [resp::receive $one]
        assert_equal {m2 n} [list_all p]
    }

    test "a waiting write that has become wrong says so" {
        r TQ.CREATE p MAXSAMPLES 1
        put p k1
        set c [writer p k2]
        r TQ.SEAL p
        assert_match "*sealed*" [catch {resp::receive $c} why; set why]
        assert_equal 1 [r TQ.COUNT p]
    }

    test "a waiting write goes where it has become possible: the partition dropped, the bound lifted" {
        foreach {change} {{TQ.CLEAR p} {TQ.ALTER p MAXSAMPLES 5} {FLUSHALL}} {
            catch {r TQ.CLEAR p}
            r TQ.CREATE p MAXSAMPLES 1
            put p k1
            set c [writer p k2]
            r {*}$change
            assert_equal 1 [resp::receive $c] $change
        }
    }

    test "a large value keeps while its write waits" {
        r TQ.CREATE p MAXSAMPLES 1
        put p k1
        set value [random_bytes 200000]
        set c [client]
        resp::send $c TQ.PUT p k2 FIELDS 1 f $value BLOCK 0
        wait_blocked 1
        put q other
        r TQ.CLEAR p
        assert_equal 1 [resp::receive $c]
        assert_equal $value [cell p k2 f]
    }

    test "a writer that leaves is forgotten, and the next one goes" {
        r TQ.CREATE p MAXSAMPLES 1
        put p k1
        set a [writer p k2]
        set b [writer p k3]
        resp::close $a
        wait_blocked 1
        r TQ.CLEAR p KEYS 1 k1
        assert_equal 1 [resp::receive $b]
        assert_equal k3 [list_all p]
    }

    test "a consumer and a producer hold each other at MAXAHEAD, and nothing is lost" {
        set n [sized 2000 50000]
        r TQ.CREATE p MAXAHEAD t 10 RETIRE 1 t
        set producer [client]
        set commands {}
        foreach i [range 1 $n] {
            lappend commands [list TQ.PUT p k$i FIELDS 1 f v BLOCK 0]
        }
        resp::send_all $producer $commands
        set next 1
        while {$next <= $n} {
            set most [r TQ.COUNT p]
            assert {$most <= 10} "$most samples"
            foreach key [take p t 5 ATLEAST 1 BLOCK 0] {
                assert_equal k$next $key
                incr next
            }
        }
        assert_equal 0 [r TQ.COUNT p]
        foreach i [range 1 $n] {
            assert_equal 1 [resp::receive $producer]
        }
    }

    test "RETIRE clears what all its tasks have consumed" {
        r TQ.CREATE p RETIRE 2 a b
        fill p 1 4
        take p a 3
        assert_equal 4 [r TQ.COUNT p]
        assert_equal {{k1 v1} {k2 v2}} [r TQ.SAMPLE p b COUNT 2 FIELDS 1 f]
        assert_equal {k3 k4} [list_all p]
        take p c 2
        take p b 2
        assert_equal k4 [list_all p]
        take p a 1
        assert_equal {} [list_all p]
        assert_equal 1 [r EXISTS p]
    }

    test "a task named twice in RETIRE is an error, and nothing is made" {
        assert_error "ERR RETIRE: task 'b' is named twice" {r TQ.CREATE twice RETIRE 4 b a c b}
        assert_error "NOPART *" {r TQ.STATUS twice}
    }

    test "CREATE OR ALTER makes a partition, then changes it" {
        assert_equal OK [r TQ.CREATE either OR ALTER MAXSAMPLES 1]
        r TQ.PUT either a TAGS 1 x 1
        assert_error "FULL *" {r TQ.PUT either b TAGS 1 x 1}
        assert_error "ERR *exists*" {r TQ.CREATE either MAXSAMPLES 2}
        assert_equal OK [r TQ.CREATE either MAXSAMPLES 2 or alter]
        assert_equal 1 [r TQ.PUT either b TAGS 1 x 1]
        assert_error "ERR *OR*" {r TQ.CREATE either OR MAXSAMPLES 2}
        assert_error "ERR *unknown clause 'OR', expected one of *" {r TQ.ALTER either OR ALTER MAXSAMPLES 2}
        assert_error "NOPART *" {r TQ.ALTER neither MAXSAMPLES 2}
    }

    test "RETIRE waits for the acknowledgement of a lease" {
        r TQ.CREATE p RETIRE 1 t
        fill p 1 3
        lassign [take p t 2 LEASE 100000] id
        assert_equal 3 [r TQ.COUNT p]
        r TQ.NACK p t $id KEYS 1 k1
        assert_equal 1 [r TQ.ACK p t $id]
        assert_equal {k1 k3} [list_all p]
    }

    test "RETIRE takes groups as a whole, complete ones" {
        r TQ.CREATE p RETIRE 1 t
        foreach {key group} {a1 a b1 b a2 a c1 c} {
            r TQ.PUT p $key GROUP $group 2 FIELDS 1 f v
        }
        assert_equal {a1 b1} [take p t 2]
        assert_equal 4 [r TQ.COUNT p]
        assert_equal {a2 c1} [take p t 2]
        assert_equal {b1 c1} [list_all p]
        r TQ.PUT p b2 GROUP b 2 FIELDS 1 f v
        assert_equal b2 [take p t 1]
        assert_equal c1 [list_all p]
    }

    test "RETIRE takes what is left of a group that lost a member" {
        r TQ.CREATE p RETIRE 1 t
        foreach {key group} {a1 a a2 a b1 b a3 a} {
            r TQ.PUT p $key GROUP $group 3 FIELDS 1 f v
        }
        take p t 3
        assert_equal 4 [r TQ.COUNT p]
        assert_equal 1 [r TQ.CLEAR p KEYS 1 a3]
        assert_equal b1 [list_all p]
    }

    test "ALTER with RETIRE clears what was consumed before" {
        fill p 1 3
        take p t 2
        r TQ.ALTER p RETIRE 1 t
        assert_equal k3 [list_all p]
    }

    test "RETIRE 0: nothing is retired from now on" {
        foreach command {"TQ.CREATE p OR ALTER" "TQ.ALTER p"} {
            fill p 1 4
            r TQ.ALTER p RETIRE 1 t MAXSAMPLES 9
            take p t 2
            assert_equal {k3 k4} [list_all p]
            assert_equal OK [r {*}$command RETIRE 0]
            assert_equal {MAXSAMPLES 9} [dict get [r TQ.STATUS p] bounds]
            assert_equal {k3 k4} [take p t 2]
            assert_equal {k3 k4} [list_all p]
            r TQ.CLEAR p
        }
    }

    test "cleared samples count as written: EXPECT and RETIRE go together to the end of the stream" {
        r TQ.CREATE p RETIRE 1 t
        r TQ.EXPECT p 3
        fill p 1 3
        assert_equal {k1 k2} [take p t 2]
        assert_equal k3 [take p t 2]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 2 FIELDS 1 f]
        assert_refused "FULL *" {put p k4}
    }

    test "what is wrong with bounds is said" {
        foreach {arguments pattern} {
            {MAXSAMPLES} ERR* {MAXSAMPLES x} "ERR *MAXSAMPLES*" {MAXSAMPLES -1} "ERR *MAXSAMPLES*"
            {MAXBYTES 99999999999999999999} "ERR *MAXBYTES*" {MAXAHEAD} "ERR *the task is missing: the clause is MAXAHEAD task n"
            {MAXAHEAD 4096} "ERR *MAXAHEAD's n is missing: the clause is MAXAHEAD task n"
            {MAXAHEAD 4096 t} "ERR MAXAHEAD's n: expected an integer from 0 to *, got 't': the clause is MAXAHEAD task n"
            {MAXAHEAD @t 1} "ERR *task*"
            {RETIRE} "ERR *RETIRE*" {RETIRE t} "ERR RETIRE: expected an integer from 0 to *, got 't': the clause is RETIRE n task ..."
            {RETIRE 2 a} "ERR *RETIRE*" {RETIRE 1 {a b}} "ERR *task*"
            {FIELDS 1 x} "ERR *FIELDS*" {FIELDS 1 x nosuch} "*nosuch*" {FIELDS 1 @x f32} "ERR *field*"
            {FIELDS 2 x f32 x f32} "ERR *twice*" {STRIPES 4} "ERR STRIPES*" {NOSUCH 1} "ERR *"
            {MAXSAMPLES 1 MAXSAMPLES 2} "ERR *MAXSAMPLES*"
        } {
            assert_refused $pattern {r TQ.CREATE p {*}$arguments}
            assert_equal 0 [r EXISTS p] $arguments
        }
        assert_refused "ERR *BLOCK*" {put p k BLOCK x}
        assert_refused "ERR *BLOCK*" {put p k BLOCK -1}
    }
}

# More is held than may be from now on.
proc fill_beyond_maxmemory {} {
    r CONFIG SET maxmemory 0
    set value [string repeat x 1000000]
    foreach i [range 1 30] {
        r TQ.PUT p k$i FIELDS 1 f $value
    }
    r CONFIG SET maxmemory 16mb
}

start_own_server {} {
    test "BLOCK makes a write wait for memory, whoever gives it back" {
        fill_beyond_maxmemory
        assert_refused "OOM *" {r TQ.PUT p small FIELDS 1 f v}
        assert_refused "OOM *" {r TQ.PUT p small FIELDS 1 f v BLOCK 20}
        set c [writer q k]
        assert_waiting $c
        r TQ.CLEAR p
        assert_equal 1 [resp::receive $c]
    }

    test "a write is not refused for the memory of a partition that was dropped just before" {
        r CONFIG SET maxmemory 0
        r FLUSHALL
        set c [client]
        foreach i [range 1 20] {
            set keys {}
            foreach j [range 1 10000] {
                lappend keys k$i-$j
            }
            $c TQ.MPUT p KEYS 10000 {*}$keys
        }
        set full [info_field used_memory]
        set commands [list [list CONFIG SET maxmemory [expr {$full / 2}]] {TQ.CLEAR p} \
            {TQ.PUT q k TAGS 1 t 1}]
        assert_equal {OK 200000 1} [pipeline $c $commands]
        r CONFIG SET maxmemory 0
    }

    test "a waiter for memory goes when maxmemory is raised" {
        fill_beyond_maxmemory
        set c [writer q k]
        r CONFIG SET maxmemory 1gb
        assert_equal 1 [resp::receive $c]
    }
}

start_own_server {appendonly yes} {
    test "RETIRE 0 outlives a kill" {
        r TQ.CREATE p RETIRE 1 t
        r TQ.ALTER p RETIRE 0
        fill p 1 2
        restart_server KILL
        assert_equal 0 [dict exists [r TQ.STATUS p] bounds RETIRE]
        assert_equal {k1 k2} [take p t 2]
        assert_equal {k1 k2} [list_all p]
    }
}
