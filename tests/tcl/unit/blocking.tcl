# TQ.SAMPLE … BLOCK: who waits, who is woken, in what order, and what becomes of those who leave.

# A new client that waits in TQ.SAMPLE, with BLOCK 0 unless told otherwise. One whose time may run
# out before a slow machine can see it waiting is only known to have been read.
proc waiter {partition task count args} {
    set c [client]
    $c PING
    if {"BLOCK" in $args} {
        take_later $c $partition $task $count {*}$args
        barrier
        return $c
    }
    set before [info_field blocked_clients]
    take_later $c $partition $task $count {*}$args BLOCK 0
    wait_blocked [expr {$before + 1}]
    return $c
}

start_server {} {
    test "BLOCK answers at once when enough is ready" {
        fill p 1 3
        assert_equal {k1 k2} [take p t 2 BLOCK 0]
        assert_equal k3 [take p t 1 BLOCK 100000]
    }

    test "BLOCK waits until a write makes enough ready" {
        set c [waiter p t 2]
        fill p 1 1
        assert_waiting $c
        fill p 2 2
        assert_equal {k1 k2} [resp::receive $c]
        wait_blocked 0
    }

    test "the write that completes a sample wakes, not the one that begins it" {
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 1 FIELDS 2 a b BLOCK 0
        wait_blocked 1
        r TQ.PUT p k TAGS 1 t x
        r TQ.PUT p k FIELDS 1 a 1
        r TQ.PUT p k FIELDS 1 c 1
        assert_waiting $c
        r TQ.PUT p k FIELDS 1 b 2
        assert_equal {{k 1 2}} [resp::receive $c]
    }

    test "a waiter answers in the form and protocol it asked for" {
        set a [client]
        set b [client3]
        set c [client]
        resp::send $a TQ.SAMPLE p a COUNT 1 FIELDS 1 x AS TEXT BLOCK 0
        resp::send $b TQ.SAMPLE p b COUNT 1 FIELDS 1 x AS ROWS BLOCK 0
        resp::send $c TQ.SAMPLE p c COUNT 1 FIELDS 1 x AS KEYS BLOCK 0
        wait_blocked 3
        r TQ.PUT p k TEXT 1 x:f32 0.5
        assert_equal {array {{array {{bulk k} {bulk 0.5}}}}} [resp::receive_typed $a]
        set row [list array [list {bulk k} [list bulk [pack f32 0.5]]]]
        assert_equal [list array [list $row]] [resp::receive_typed $b]
        assert_equal {array {{bulk k}}} [resp::receive_typed $c]
    }

    test "BLOCK ends with nil when its time runs out" {
        set began [clock milliseconds]
        assert_match {nil *} [typed TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 100]
        assert {[clock milliseconds] - $began >= 95}
        assert_equal {nil _} [typed [client3] TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 1]
        assert_equal 0 [info_field blocked_clients]
        assert_equal 0 [r EXISTS p]
    }

    test "a waiter whose time ran out takes nothing any more" {
        assert_equal (nil) [take p t 1 BLOCK 20]
        fill p 1 1
        assert_equal 1 [r TQ.COUNT p TASK t]
        assert_equal k1 [take p t 1]
    }

    test "a waiter's time goes on while others are served" {
        set c [waiter p t 5 BLOCK 300]
        fill p 1 4
        assert_equal (nil) [resp::receive $c]
        assert_equal {k1 k2 k3 k4} [take p t 4]
    }

    test "short waits end before long ones, wherever they stand" {
        set long [waiter p t 1 BLOCK 100000]
        set short [waiter p t 1 BLOCK 50]
        assert_equal (nil) [resp::receive $short]
        assert_waiting $long
        fill p 1 1
        assert_equal k1 [resp::receive $long]
    }

    test "waiters of one queue are served in the order they came" {
        foreach i [range 1 5] {
            lappend queue [waiter p t 1]
        }
        foreach i [range 1 5] c $queue {
            fill p $i $i
            assert_equal k$i [resp::receive $c]
        }
    }

    test "one write may serve several of a queue" {
        foreach i [range 1 5] { r TQ.PUT p k$i TAGS 1 t x FIELDS 1 f v }
        take p t 5
        foreach count {1 2 2} {
            lappend queue [waiter p t $count]
        }
        r TQ.RESET p TASK t
        assert_equal {k1 {k2 k3} {k4 k5}} [lmap c $queue {resp::receive $c}]
    }

    test "only the head of a queue is tried: a small one does not overtake a large one" {
        set large [waiter p t 3]
        set small [waiter p t 1]
        fill p 1 2
        assert_waiting $large
        assert_waiting $small
        fill p 3 3
        assert_equal {k1 k2 k3} [resp::receive $large]
        assert_waiting $small
        fill p 4 4
        assert_equal k4 [resp::receive $small]
    }

    test "who comes later with BLOCK stands behind those who wait, even if it could go" {
        set large [waiter p t 3]
        fill p 1 2
        set small [waiter p t 1]
        assert_waiting $small
        fill p 3 4
        assert_equal {k1 k2 k3} [resp::receive $large]
        assert_equal k4 [resp::receive $small]
    }

    test "queues of other tasks, partitions and fields are not held up" {
        set stuck [waiter p t 100]
        set task [waiter p other 1]
        set partition [waiter q t 1]
        set fields [client]
        resp::send $fields TQ.SAMPLE p t COUNT 1 FIELDS 1 g AS KEYS BLOCK 0
        wait_blocked 4
        fill p 1 1
        assert_equal k1 [resp::receive $task]
        fill q 7 7
        assert_equal k7 [resp::receive $partition]
        r TQ.PUT p k9 FIELDS 1 g v
        assert_equal k9 [resp::receive $fields]
        assert_waiting $stuck
    }

    test "heads of different selections are tried in the order they came" {
        set selections {{WHERE 1 v < 10} {BY RANDOM} {WHERE 1 v != 3} {WHERE 1 v = 9} {WHERE 1 v > 8} {}}
        set clients {}
        foreach selection $selections {
            set c [client]
            resp::send $c TQ.SAMPLE p t COUNT 1 FIELDS 1 f {*}$selection BLOCK 0 AS KEYS
            lappend clients $c
            wait_blocked [llength $clients]
        }
        # Each head is tried in vain once: from then on it is found by what it waits for.
        foreach i {1 2 3} {
            r TQ.PUT p k$i TAGS 1 v 9 FIELDS 1 g x
        }
        foreach c $clients i {1 2 3 4 5 6} {
            r TQ.PUT p k$i TAGS 1 v 9 FIELDS 1 f x
            assert_equal k$i [resp::receive $c]
        }
    }

    test "a call whose WHERE nothing meets holds up no other of its task" {
        set choosy [client]
        resp::send $choosy TQ.SAMPLE p t COUNT 1 FIELDS 1 f WHERE 1 v = 9 BLOCK 0 AS KEYS
        wait_blocked 1
        set other [waiter p t 1]
        r TQ.PUT p k1 TAGS 1 v 1 FIELDS 1 f x
        wait_blocked 1
        assert_equal k1 [resp::receive $other]
        r TQ.PUT p k2 TAGS 1 v 9 FIELDS 1 f x
        assert_equal k2 [resp::receive $choosy]
    }

    test "the same fields in another order are the same queue" {
        set first [client]
        set second [client]
        resp::send $first TQ.SAMPLE p t COUNT 2 FIELDS 2 a b AS KEYS BLOCK 0
        wait_blocked 1
        resp::send $second TQ.SAMPLE p t COUNT 1 FIELDS 2 b a AS KEYS BLOCK 0
        wait_blocked 2
        r TQ.PUT p k1 FIELDS 2 a 1 b 1
        assert_waiting $second
        r TQ.PUT p k2 FIELDS 2 a 1 b 1
        assert_equal {k1 k2} [resp::receive $first]
        r TQ.PUT p k3 FIELDS 2 a 1 b 1
        assert_equal k3 [resp::receive $second]
    }

    test "a waiter with WHERE is woken by the tag that admits a sample" {
        set c [waiter p t 1 WHERE 1 state = good]
        fill p 1 2
        r TQ.PUT p k1 TAGS 1 state bad
        assert_waiting $c
        r TQ.PUT p k2 TAGS 1 state good
        assert_equal k2 [resp::receive $c]
    }

    test "a waiter BY GROUP is woken by the last member" {
        set c [waiter p t 2 BY GROUP]
        r TQ.PUT p a1 GROUP a 2 FIELDS 1 f v
        r TQ.PUT p b1 GROUP b 2 FIELDS 1 f v
        assert_waiting $c
        r TQ.PUT p b2 GROUP b 2 FIELDS 1 f v
        assert_equal {b1 b2} [resp::receive $c]
    }

    test "a waiter BY GROUP n is woken by the neighbour" {
        set c [waiter p t 3 BY GROUP 3]
        foreach i [range 1 5] { r TQ.PUT p k$i TAGS 1 t x }
        foreach i {1 2 4} { r TQ.PUT p k$i FIELDS 1 f v }
        assert_waiting $c
        r TQ.PUT p k3 FIELDS 1 f v
        assert_equal {k1 k2 k3} [resp::receive $c]
    }

    test "a waiter whose COUNT turns out not to fit the groups gets an error" {
        set c [waiter p t 3 BY GROUP]
        r TQ.PUT p k1 GROUP a 2 FIELDS 1 f v
        r TQ.PUT p k2 GROUP a 2 FIELDS 1 f v
        assert_match {error {ERR *}} [resp::receive_typed $c]
        assert_equal {k1 k2} [take p t 2 BY GROUP]
    }

    test "a waiter with ATLEAST takes what is there when it is enough" {
        set c [waiter p t 10 ATLEAST 3]
        fill p 1 2
        assert_waiting $c
        fill p 3 3
        assert_equal {k1 k2 k3} [resp::receive $c]
    }

    test "a waiter with KEEP leaves the samples to those behind it" {
        set keeper [waiter p t 2 KEEP]
        set taker [waiter p t 2]
        fill p 1 2
        assert_equal {k1 k2} [resp::receive $keeper]
        assert_equal {k1 k2} [resp::receive $taker]
    }

    test "TQ.RESET wakes" {
        fill p 1 2
        take p t 2
        set c [waiter p t 2]
        assert_equal 2 [r TQ.RESET p TASK t]
        assert_equal {k1 k2} [resp::receive $c]
    }

    test "TQ.RESET KEYS wakes when it gives back enough" {
        fill p 1 3
        take p t 3
        set c [waiter p t 2]
        r TQ.RESET p TASK t KEYS 1 k3
        assert_waiting $c
        r TQ.RESET p TASK t KEYS 1 k1
        assert_equal {k1 k3} [resp::receive $c]
    }

    test "TQ.SEAL hands out what remains, then the end, to all who wait" {
        fill p 1 3
        foreach i {1 2 3} {
            lappend queue [waiter p t 4]
        }
        r TQ.SEAL p
        assert_equal {{k1 k2 k3} {} {}} [lmap c $queue {resp::receive $c}]
    }

    test "TQ.SEAL of a partition that does not exist yet ends the wait" {
        set c [waiter p t 4]
        r TQ.SEAL p
        assert_equal {array {}} [resp::receive_typed $c]
    }

    test "TQ.SEAL does not wake while a sample lacks the fields" {
        fill p 1 1
        r TQ.PUT p k2 TAGS 1 t x
        set c [waiter p t 4]
        r TQ.SEAL p
        assert_waiting $c
        r TQ.PUT p k2 FIELDS 1 f v
        assert_equal {k1 k2} [resp::receive $c]
    }

    test "TQ.EXPECT of what is there already hands out what remains" {
        fill p 1 3
        set c [waiter p t 4]
        set d [waiter p t 4]
        r TQ.EXPECT p 3
        assert_equal {k1 k2 k3} [resp::receive $c]
        assert_equal {} [resp::receive $d]
    }

    test "the last expected sample hands out what remains" {
        r TQ.EXPECT p 3
        set c [waiter p t 5]
        set d [waiter p t 5]
        fill p 1 3
        assert_equal {k1 k2 k3} [resp::receive $c]
        assert_equal {} [resp::receive $d]
    }

    test "the last consumer takes the end to those who wait behind it" {
        fill p 1 2
        r TQ.SEAL p
        r TQ.PUT p k1 FIELDS 1 g v
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 2 FIELDS 2 f g AS KEYS BLOCK 0
        wait_blocked 1
        r TQ.PUT p k2 FIELDS 1 g v
        assert_equal {k1 k2} [resp::receive $c]
        assert_equal {} [r TQ.SAMPLE p t COUNT 2 FIELDS 2 f g BLOCK 0]
    }

    test "TQ.CLEAR KEYS wakes when what it drops was all that held up the end" {
        fill p 1 2
        r TQ.PUT p lacking TAGS 1 t x
        r TQ.SEAL p
        set c [waiter p t 3]
        set d [waiter p t 3]
        r TQ.CLEAR p KEYS 1 lacking
        assert_equal {k1 k2} [resp::receive $c]
        assert_equal {} [resp::receive $d]
    }

    test "TQ.CLEAR WHERE wakes likewise" {
        r TQ.PUT p lacking TAGS 1 t x
        r TQ.SEAL p
        set c [waiter p t 3]
        r TQ.CLEAR p WHERE 1 t = x
        assert_equal {} [resp::receive $c]
    }

    test "waiters stay when their partition is cleared" {
        fill p 1 1
        set c [waiter p t 2]
        r TQ.CLEAR p
        assert_waiting $c
        fill p 11 12
        assert_equal {k11 k12} [resp::receive $c]
    }

    test "waiters stay when everything is flushed or the partition deleted" {
        fill p 1 1
        set c [waiter p t 2]
        r FLUSHALL
        assert_waiting $c
        r DEL p
        fill p 11 12
        assert_equal {k11 k12} [resp::receive $c]
    }

    test "a sample cleared before enough were ready is not handed out" {
        set c [waiter p t 2]
        fill p 1 1
        r TQ.CLEAR p KEYS 1 k1
        fill p 2 2
        assert_waiting $c
        fill p 3 3
        assert_equal {k2 k3} [resp::receive $c]
    }

    test "a client that leaves while it waits is forgotten and takes nothing" {
        set gone [waiter p t 1]
        set stays [waiter p t 1]
        resp::close $gone
        wait_blocked 1
        fill p 1 1
        assert_equal k1 [resp::receive $stays]
        assert_equal 1 [consumed p t]
    }

    test "when the head of a queue leaves, the next is tried" {
        set large [waiter p t 5]
        set small [waiter p t 1]
        fill p 1 1
        assert_waiting $small
        resp::close $large
        assert_equal k1 [resp::receive $small]
    }

    test "when the head of a queue runs out of time, the next is tried" {
        set large [waiter p t 5 BLOCK 100]
        set small [waiter p t 1 BLOCK 100000]
        fill p 1 1
        assert_equal (nil) [resp::receive $large]
        assert_equal k1 [resp::receive $small]
    }

    test "a waiter can be killed" {
        set c [client]
        set id [$c CLIENT ID]
        take_later $c p t 1 BLOCK 0
        wait_blocked 1
        assert_equal 1 [r CLIENT KILL ID $id]
        assert_equal "" [assert_closed $c]
        wait_blocked 0
        fill p 1 1
        assert_equal k1 [take p t 1]
    }

    test "commands behind a waiting one wait for it and are answered after it" {
        set c [client]
        take_later $c p t 1 BLOCK 0
        resp::send $c ECHO after
        resp::send $c TQ.COUNT p
        resp::send $c NOSUCH
        wait_blocked 1
        assert_waiting $c
        fill p 1 1
        assert_equal {array {{bulk k1}}} [resp::receive_typed $c]
        assert_equal {bulk after} [resp::receive_typed $c]
        assert_equal {int 1} [resp::receive_typed $c]
        assert_match {error {ERR unknown command*}} [resp::receive_typed $c]
    }

    test "commands sent while a client waits are not executed before it goes" {
        set c [waiter p t 1]
        resp::send $c TQ.PUT q k FIELDS 1 f v
        barrier
        assert_equal 0 [r EXISTS q]
        fill p 1 1
        assert_equal k1 [resp::receive $c]
        assert_equal 1 [resp::receive $c]
        assert_equal 1 [r EXISTS q]
    }

    test "several waits in one pipeline go one after the other" {
        set c [client]
        foreach i {1 2 3} { take_later $c p t 1 BLOCK 0 }
        wait_blocked 1
        foreach i {1 2 3} {
            fill p $i $i
            assert_equal k$i [resp::receive $c]
        }
    }

    test "half a command behind a waiting one is no harm" {
        set c [waiter p t 1]
        resp::write_bytes $c "*2\r\n\$4\r\nEC"
        barrier
        fill p 1 1
        assert_equal k1 [resp::receive $c]
        resp::write_bytes $c "HO\r\n\$2\r\nhi\r\n"
        assert_equal hi [resp::receive $c]
    }

    test "rubbish behind a waiting command is an error after its reply" {
        set c [waiter p t 1]
        resp::write_bytes $c "*x\r\n"
        barrier
        fill p 1 1
        assert_match "\\*1\r\n\$2\r\nk1\r\n-ERR Protocol error*\r\n" [assert_closed $c]
    }

    test "a great deal behind a waiting command costs no one anything" {
        set c [waiter p t 1]
        foreach i [range 1 1000] {
            resp::send $c ECHO [string repeat x 1000]
        }
        assert_equal PONG [r PING]
        fill p 1 1
        assert_equal k1 [resp::receive $c]
        foreach i [range 1 1000] {
            assert_equal [string repeat x 1000] [resp::receive $c]
        }
    }

    test "a pipeline may write what it then waits for" {
        set c [client]
        resp::send $c TQ.PUT p k FIELDS 1 f v
        take_later $c p t 1 BLOCK 0
        resp::send $c PING
        assert_equal {1 k PONG} [list [resp::receive $c] [resp::receive $c] [resp::receive $c]]
    }

    test "a call without BLOCK is answered at once while others wait" {
        set c [waiter p t 3]
        fill p 1 1
        assert_equal (nil) [take p t 2]
        assert_waiting $c
        assert_equal k1 [take p t 1]
        fill p 2 3
        assert_waiting $c
        fill p 4 4
        assert_equal {k2 k3 k4} [resp::receive $c]
    }

    test "INFO counts those who wait" {
        assert_equal 0 [info_field blocked_clients]
        set c [waiter p t 1]
        set d [waiter q t 1]
        assert_equal 2 [info_field blocked_clients]
        fill p 1 1
        resp::receive $c
        assert_equal 1 [info_field blocked_clients]
    }

    test "hundreds of waiters of many queues are each served once" {
        set clients {}
        foreach i [range 1 300] {
            set c [client]
            take_later $c p[expr {$i % 10}] t[expr {$i % 3}] 1 BLOCK 0
            lappend clients $c
        }
        wait_blocked 300
        foreach p [range 0 9] { fill p$p 1 30 }
        foreach i [range 1 300] c $clients {
            lappend got([expr {$i % 10}],[expr {$i % 3}]) [resp::receive $c]
        }
        foreach queue [array names got] {
            assert_equal [names k 1 10] $got($queue) "queue $queue"
        }
        wait_blocked 0
    }

    test "producers and consumers at once: every sample once a task, in order" {
        set n [sized 300 20000]
        foreach task {a b} {
            foreach i {1 2 3} {
                set c [client]
                lappend consumers($task) $c
                take_later $c p $task 7 BLOCK 0
            }
        }
        wait_blocked 6
        r TQ.EXPECT p $n
        set producer [client]
        foreach i [range 1 $n] {
            resp::send $producer TQ.PUT p k$i FIELDS 1 f v$i
        }
        foreach task {a b} {
            set seen {}
            set open $consumers($task)
            while {[llength $open]} {
                set still {}
                foreach c $open {
                    set keys [resp::receive $c]
                    lappend seen {*}$keys
                    if {[llength $keys]} {
                        take_later $c p $task 7 BLOCK 0
                        lappend still $c
                    }
                }
                set open $still
            }
            assert_equal [names k 1 $n] [lsort -dictionary $seen] "task $task"
        }
    }

    test "the longest wait that can be asked for is a wait" {
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS BLOCK 4294967295
        wait_blocked 1
        fill p 1 1
        assert_equal k1 [resp::receive $c]
    }

    test "waits longer than a clock can hold are refused or waits" {
        foreach ms {9223372036854775807 9223372036854775000 18446744073709551615} {
            set c [client]
            resp::send $c TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS BLOCK $ms
            barrier
            if {[resp::has_input $c]} {
                assert_match {error {ERR *}} [resp::receive_typed $c]
            }
            resp::close $c
        }
        assert_equal PONG [r PING]
    }
}

start_own_server {} {
    test "SHUTDOWN does not wait for those who wait" {
        set c [waiter p t 1]
        resp::send [r] SHUTDOWN
        assert_closed $c
        assert_equal {exit 0} [wait_exit [lindex $::server_stack end]]
    }
}
