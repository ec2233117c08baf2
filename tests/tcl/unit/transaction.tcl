# MULTI, EXEC, DISCARD, WATCH: commands that run together, or not at all.

# Sends commands between MULTI and EXEC on a client and answers what EXEC answers.
proc exec_on {c args} {
    assert_equal OK [$c MULTI]
    foreach words $args { assert_equal QUEUED [$c {*}$words] }
    return [$c EXEC]
}

proc line_of {id} {
    foreach line [split [r CLIENT LIST] \n] {
        if {[string match "id=$id *" $line]} { return $line }
    }
    return ""
}

start_server {} {
    test "MULTI keeps commands, EXEC runs them and answers all replies" {
        assert_equal {simple OK} [typed MULTI]
        assert_equal {simple QUEUED} [typed TQ.PUT p k1 FIELDS 1 f v]
        assert_equal {simple QUEUED} [typed TQ.PUT p k1 FIELDS 1 g v]
        assert_equal {simple QUEUED} [typed TQ.COUNT nosuch]
        assert_equal {simple QUEUED} [typed TQ.MGET p KEYS 1 k1]
        assert_equal 0 [[client] EXISTS p]
        assert_equal {array {{int 1} {int 0} {int 0} {array {{array {{bulk f} {bulk v} {bulk g} {bulk v}}}}}}} \
            [typed EXEC]
        assert_equal v [cell p k1 f]
        r MULTI
        assert_equal {array {}} [typed EXEC]
    }

    test "RESP3 replies keep their types inside EXEC" {
        set c [client3]
        $c TQ.PUT p k FIELDS 1 f v
        $c MULTI
        $c TQ.MGET p KEYS 1 k
        $c TQ.SAMPLE p t COUNT 5 FIELDS 1 f
        assert_equal {array {{array {{map {{bulk f} {bulk v}}}}} {nil _}}} [typed $c EXEC]
    }

    test "EXEC, DISCARD and MULTI say when they are out of place" {
        assert_error "ERR EXEC without MULTI" {r EXEC}
        assert_error "ERR DISCARD without MULTI" {r DISCARD}
        r MULTI
        assert_error "ERR MULTI calls can not be nested" {r MULTI}
        assert_error "ERR WATCH inside MULTI is not allowed" {r WATCH p}
        assert_equal QUEUED [r PING]
        assert_equal PONG [r EXEC]
        assert_error "ERR EXEC without MULTI" {r EXEC}
    }

    test "DISCARD forgets what was kept" {
        r MULTI
        r TQ.PUT p k FIELDS 1 f v
        assert_equal {simple OK} [typed DISCARD]
        assert_equal 0 [r EXISTS p]
        assert_error "ERR EXEC without MULTI" {r EXEC}
    }

    test "a command refused between MULTI and EXEC aborts the transaction" {
        foreach {pattern words} {
            "ERR unknown command*" {NOSUCH}
            "ERR wrong number of arguments for 'tq.put' command: *" {TQ.PUT p}
            "ERR unknown subcommand*" {CLIENT NOSUCH}
            "ERR unknown subcommand*" {CLIENT HELP}
            "ERR wrong number of arguments for 'watch' command" {WATCH}
            "ERR Command not allowed inside a transaction" {SHUTDOWN}
            "ERR Command not allowed inside a transaction" {CLIENT REPLY OFF}
        } {
            r MULTI
            assert_equal QUEUED [r TQ.PUT p k FIELDS 1 f v]
            assert_error $pattern {r {*}$words}
            assert_equal QUEUED [r PING]
            assert_error "EXECABORT Transaction discarded because of previous errors." {r EXEC}
            assert_error "ERR EXEC without MULTI" {r EXEC}
        }
        assert_equal 0 [r EXISTS p]
    }

    test "a refused EXEC ends the transaction" {
        r MULTI
        r TQ.PUT p k FIELDS 1 f v
        assert_error "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command" \
            {r EXEC now}
        assert_error "ERR EXEC without MULTI" {r EXEC}
        assert_error "ERR wrong number of arguments for 'exec' command" {r EXEC now}
        assert_equal 0 [r EXISTS p]
    }

    test "a command that fails in EXEC is an error in its place, the others count" {
        r MULTI
        r TQ.PUT p k1 FIELDS 1 f v
        r TQ.PUT p k2 NOSUCH
        r TQ.PUT p k3 FIELDS 1 f v
        lassign [typed EXEC] type replies
        assert_equal array $type
        assert_equal {{int 1} {int 1}} [list [lindex $replies 0] [lindex $replies 2]]
        assert_equal error [lindex $replies 1 0]
        assert_equal 2 [r TQ.COUNT p]
    }

    test "nothing of others comes between" {
        set writer [client]
        set other [client]
        set rounds 200
        foreach i [range 1 $rounds] {
            resp::send_all $writer [list MULTI [list TQ.PUT p a$i FIELDS 1 f v] \
                                        [list TQ.PUT p b$i FIELDS 1 f v] EXEC]
            resp::send $other TQ.COUNT p
        }
        foreach i [range 1 $rounds] {
            assert {[resp::receive $other] % 2 == 0} "half a transaction was seen"
        }
        foreach i [range 1 $rounds] {
            foreach j [range 1 3] { resp::receive $writer }
            assert_equal {1 1} [resp::receive $writer]
        }
    }

    test "waiters are served after the whole transaction" {
        set waits [client]
        take_later $waits p t 1 BLOCK 0
        wait_blocked 1
        assert_equal {1 k1} [exec_on [r] {TQ.PUT p k1 FIELDS 1 f v} \
                                 {TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS}]
        assert_waiting $waits
        fill p 2 2
        assert_equal k2 [resp::receive $waits]
    }

    test "TQ.SAMPLE with BLOCK does not wait inside EXEC" {
        assert_equal {(nil) (nil) 1 k} [exec_on [r] {TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 0} \
            {TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 100000} {TQ.PUT p k FIELDS 1 f v} \
            {TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS BLOCK 0}]
        assert_equal 0 [info_field blocked_clients]
        set c [client]
        take_later $c p t 1 BLOCK 0
        wait_blocked 1
        r TQ.PUT p k2 FIELDS 1 f v
        assert_equal k2 [resp::receive $c]
    }

    test "large values are kept and land" {
        set big [random_bytes 3000000]
        set parts [list [random_bytes 40000 2] [random_bytes 100 3]]
        assert_equal {1 1 0} [exec_on [r] [list TQ.PUT p k1 FIELDS 1 f $big] \
            [list TQ.PUT p k2 FIELDS 2 f [lindex $parts 0] g [lindex $parts 1]] \
            [list TQ.PUT p k1 FIELDS 1 h x]]
        assert_equal $big [cell p k1 f]
        assert_equal [list $parts] [r TQ.MGET p KEYS 1 k2 FIELDS 2 f g]
        assert_equal [list $big] [exec_on [r] [list ECHO $big]]
    }

    test "large values of a transaction that never runs give their memory back" {
        set before [info_field used_memory]
        set big [random_bytes 3000000]
        foreach how {DISCARD close RESET abort touch} {
            set c [client]
            $c WATCH p
            $c MULTI
            $c TQ.PUT q k FIELDS 1 f $big
            $c ECHO [string repeat x 10000]
            switch $how {
                close { resp::close $c }
                abort { catch {$c NOSUCH}; catch {$c EXEC} }
                touch { r TQ.SEAL p; assert_equal (nil) [$c EXEC] }
                default { $c $how }
            }
        }
        wait_until {[info_field used_memory] < $before + 500000} \
            {used_memory was $before, is [info_field used_memory]}
        assert_equal 0 [r EXISTS q]
    }

    test "inline commands are kept as well" {
        set c [client]
        resp::write_bytes $c "MULTI\r\nECHO one\r\nECHO \"two three\"\r\nEXEC\r\n"
        foreach reply {OK QUEUED QUEUED} { assert_equal $reply [resp::receive $c] }
        assert_equal {one {two three}} [resp::receive $c]
    }

    test "RESET and QUIT are not kept" {
        set c [client]
        $c MULTI
        $c TQ.PUT p k FIELDS 1 f v
        assert_equal RESET [$c RESET]
        assert_error "ERR EXEC without MULTI" {$c EXEC}
        $c MULTI
        $c TQ.PUT p k FIELDS 1 f v
        resp::send $c QUIT
        assert_equal "+OK\r\n" [assert_closed $c]
        assert_equal 0 [r EXISTS p]
    }

    test "HELLO inside EXEC changes the protocol of what follows" {
        set c [client]
        $c MULTI
        $c TQ.SAMPLE p t COUNT 1 FIELDS 1 f
        $c HELLO 3
        $c TQ.SAMPLE p t COUNT 1 FIELDS 1 f
        lassign [typed $c EXEC] type replies
        assert_equal {{nil $} map {nil _}} \
            [list [lindex $replies 0] [lindex $replies 1 0] [lindex $replies 2]]
    }

    test "subscriptions inside EXEC are elements, one name at a time" {
        set c [client]
        $c MULTI
        foreach words {{SUBSCRIBE a} {PSUBSCRIBE a*} {SUBSCRIBE b c} {UNSUBSCRIBE} {PUBLISH a x} PING
                       {UNSUBSCRIBE a}} { assert_equal QUEUED [$c {*}$words] }
        lassign [typed $c EXEC] type replies
        assert_equal {array {{bulk subscribe} {bulk a} {int 1}}} [lindex $replies 0]
        assert_equal {array {{bulk psubscribe} {bulk a*} {int 2}}} [lindex $replies 1]
        assert_equal {error error} [list [lindex $replies 2 0] [lindex $replies 3 0]]
        assert_equal {int 2} [lindex $replies 4]
        assert_equal {array {{bulk pong} {bulk {}}}} [lindex $replies 5]
        assert_equal {array {{bulk unsubscribe} {bulk a} {int 1}}} [lindex $replies 6]
        assert_equal {message a x} [resp::receive $c]
        assert_equal {pmessage a* a x} [resp::receive $c]
        set c [client3]
        assert_equal {{subscribe b 1} 1 1 PONG} \
            [exec_on $c {SUBSCRIBE b} {PUBLISH b x} {PUBLISH b y} PING]
        $c PING
        assert_equal {{message b x} {message b y}} [resp::pushes $c]
    }

    test "CLIENT KILL of oneself inside EXEC answers first" {
        set c [client]
        set id [$c CLIENT ID]
        $c MULTI
        $c CLIENT KILL ID $id SKIPME no
        $c PING
        resp::send $c EXEC
        assert_equal "*2\r\n:1\r\n+PONG\r\n" [assert_closed $c]
    }

    test "CLIENT REPLY OFF holds back what EXEC answers, not what it does" {
        set c [client]
        resp::send_all $c {{CLIENT REPLY OFF} MULTI {TQ.PUT p k FIELDS 1 f v} EXEC {CLIENT REPLY ON} PING}
        assert_equal OK [resp::receive $c]
        assert_equal PONG [resp::receive $c]
        assert_equal v [cell p k f]
    }

    test "CLIENT LIST shows a transaction and what is watched" {
        set c [client]
        set id [$c CLIENT ID]
        $c WATCH p q p
        assert_match "* flags=N * multi=-1 watch=2 *" [line_of $id]
        $c MULTI
        assert_match "* flags=x * multi=0 watch=2 *" [line_of $id]
        set before [regexp -inline {tot-mem=(\d+)} [line_of $id]]
        $c ECHO [string repeat x 20000]
        $c PING
        assert_match "* flags=x * multi=2 watch=2 *" [line_of $id]
        regexp {tot-mem=(\d+)} [line_of $id] _ after
        assert {$after > [lindex $before 1] + 20000}
        r TQ.SEAL q
        assert_match "* flags=xd * multi=2 watch=1 *" [line_of $id]
        r TQ.SEAL p
        assert_match "* flags=xd * multi=2 watch=0 *" [line_of $id]
        assert_equal (nil) [$c EXEC]
        assert_match "* flags=N * multi=-1 watch=0 *" [line_of $id]
    }

    test "commands of a transaction are counted" {
        r CONFIG RESETSTAT
        exec_on [r] PING PING
        assert_match "*cmdstat_ping:calls=2,*" [r INFO commandstats]
        assert_match "*cmdstat_exec:calls=1,*" [r INFO commandstats]
    }
}

# ---------------------------------------------------------------- WATCH

start_server {} {
    test "EXEC runs when nothing touched what is watched" {
        r WATCH p
        [client] TQ.PUT q k FIELDS 1 f v
        [client] TQ.COUNT p
        assert_equal 1 [exec_on [r] {TQ.PUT p k FIELDS 1 f v}]
    }

    test "EXEC answers a null array when a watched partition was touched" {
        r WATCH p
        [client] TQ.PUT p k FIELDS 1 f v
        r MULTI
        r TQ.PUT p k2 FIELDS 1 f v
        assert_equal {nil *} [typed EXEC]
        set c [client3]
        $c WATCH p
        r TQ.SEAL p
        $c MULTI
        assert_equal {nil _} [typed $c EXEC]
        assert_equal 1 [r TQ.COUNT p]
    }

    test "every change of a partition touches it, before MULTI or after" {
        foreach change {{TQ.PUT p new FIELDS 1 f v} {TQ.PUT p k1 TAGS 1 t x} {TQ.EXPECT p 100} {TQ.SEAL p}
                        {TQ.MPUT p KEYS 1 x COLUMNS 1 f bytes "\3\0\0\0" abc}
                        {TQ.CLEAR p KEYS 1 k1} {TQ.CLEAR p FIELDS 1 f} {TQ.CLEAR p} {DEL p} FLUSHALL
                        {TQ.SAMPLE p t COUNT 1 FIELDS 1 f} {TQ.RESET p}} {
            foreach when {before after} {
                r FLUSHALL
                fill p 1 3
                r TQ.SAMPLE p t COUNT 1 FIELDS 1 f
                set c [client]
                $c WATCH other p
                if {$when eq "after"} { $c MULTI }
                r {*}[subst -nocommands -novariables $change]
                if {$when eq "before"} { $c MULTI }
                assert_equal QUEUED [$c TQ.PUT q k FIELDS 1 f v]
                assert_equal (nil) [$c EXEC] $change
                assert_equal 0 [r EXISTS q]
                resp::close $c
            }
        }
    }

    test "what takes or changes nothing does not touch" {
        fill p 1 1
        r WATCH p nosuch
        set c [client]
        foreach words {{TQ.MGET p KEYS 1 k1} {TQ.LIST p} {TQ.STATUS p} {TQ.PUT p k1 NX FIELDS 1 f v}
                       {TQ.SAMPLE p t COUNT 9 FIELDS 1 f} {TQ.SAMPLE p t COUNT 1 FIELDS 1 f KEEP}
                       {DEL nosuch}} { $c {*}$words }
        catch {$c TQ.PUT p k1 NOSUCH}
        assert_equal PONG [exec_on [r] PING]
    }

    test "the making of a watched partition touches it" {
        r WATCH p
        [client] TQ.PUT p k FIELDS 1 f v
        assert_equal (nil) [exec_on [r] PING]
    }

    test "one's own change touches too" {
        r WATCH p
        r TQ.PUT p k FIELDS 1 f v
        assert_equal (nil) [exec_on [r] PING]
    }

    test "a waiter that is served touches what it takes from" {
        set waits [client]
        take_later $waits p t 1 BLOCK 0
        wait_blocked 1
        fill q 1 1
        set c [client]
        $c WATCH p
        fill p 1 1
        assert_equal k1 [resp::receive $waits]
        $c MULTI
        assert_equal (nil) [$c EXEC]
    }

    test "EXEC, DISCARD, UNWATCH and RESET end watching" {
        foreach end {{MULTI EXEC} {MULTI DISCARD} UNWATCH RESET {MULTI NOSUCH EXEC}} {
            r WATCH p
            foreach word $end { catch {r $word} }
            [client] TQ.PUT p k FIELDS 1 f v
            assert_equal PONG [exec_on [r] PING] $end
        }
        r WATCH p
        [client] TQ.PUT p k FIELDS 1 f v
        assert_equal OK [r UNWATCH]
        assert_equal PONG [exec_on [r] PING]
        assert_equal OK [r UNWATCH]
    }

    test "an EXEC without MULTI leaves what is watched" {
        r WATCH p
        catch {r EXEC}
        [client] TQ.PUT p k FIELDS 1 f v
        assert_equal (nil) [exec_on [r] PING]
    }

    test "a transaction that was both spoiled and touched says that it was spoiled" {
        r WATCH p
        [client] TQ.PUT p k FIELDS 1 f v
        r MULTI
        catch {r NOSUCH}
        assert_error "EXECABORT *" {r EXEC}
    }

    test "WATCH guards a read and the write made from it" {
        r TQ.PUT p counter TEXT 1 n:i64 0
        set clients [list [client] [client] [client]]
        set done 0
        while {$done < 30} {
            foreach c $clients {
                $c WATCH p
                set seen($c) [lindex [$c TQ.MGET p KEYS 1 counter FIELDS 1 n AS TEXT] 0 0]
            }
            foreach c $clients {
                $c MULTI
                $c TQ.PUT p counter TEXT 1 n:i64 [expr {$seen($c) + 1}]
                if {[$c EXEC] ne "(nil)"} { incr done }
            }
        }
        assert_equal $done [cell_text p counter n]
        assert_equal 30 $done
    }

    test "a client that watches and leaves is forgotten" {
        set c [client]
        $c WATCH {*}[names p 1 1000]
        resp::close $c
        foreach i [range 1 1000] { r TQ.SEAL p$i }
        set d [client]
        $d WATCH p1
        r TQ.CLEAR p1
        assert_equal (nil) [exec_on $d PING]
    }

    test "a client whose watch failed watches nothing new, and all anew after EXEC" {
        set c [client]
        set id [$c CLIENT ID]
        $c WATCH p q
        r TQ.SEAL q
        $c WATCH q other
        assert_match "* flags=d * watch=1 *" [line_of $id]
        assert_equal (nil) [exec_on $c PING]
        $c WATCH q other
        assert_match "* flags=N * watch=2 *" [line_of $id]
        r TQ.SEAL p
        assert_equal PONG [exec_on $c PING]
    }

    test "many clients watch one partition, and one many" {
        set clients {}
        foreach i [range 1 50] {
            set c [client]
            $c WATCH p q$i
            lappend clients $c
        }
        r TQ.SEAL q7
        foreach c $clients i [range 1 50] {
            if {$i % 2} { assert_equal [expr {$i == 7 ? "(nil)" : "PONG"}] [exec_on $c PING] }
        }
        r TQ.SEAL p
        foreach c $clients i [range 1 50] {
            assert_equal [expr {$i % 2 ? "PONG" : "(nil)"}] [exec_on $c PING]
        }
    }
}

start_own_server {client-query-buffer-limit 1mb} {
    test "a transaction may hold as much as one command" {
        set c [client]
        $c MULTI
        set sent 0
        while {![catch {$c ECHO [string repeat x 100000]} reply]} {
            assert_equal QUEUED $reply
            incr sent
            assert {$sent < 20} "it holds more than its limit"
        }
        assert_match "ERR Protocol error: transaction too large*" $reply
        assert {$sent >= 9}
        assert_equal "" [assert_closed $c]
        assert_equal PONG [r PING]
    }
}

start_own_server {maxmemory 32mb} {
    test "memory: what is kept counts, and a full server aborts" {
        set value [random_bytes 1000000]
        set n 0
        while {![catch {r TQ.PUT p k[incr n] FIELDS 1 f $value}]} { assert {$n < 100} }
        r CONFIG SET maxmemory 1mb
        r MULTI
        assert_equal QUEUED [r PING] ;# a little is kept all the same: it may free memory
        assert_error "OOM *" {r ECHO [random_bytes 1100000]}
        assert_error "EXECABORT *" {r EXEC}
        r CONFIG SET maxmemory 32mb
        r TQ.CLEAR p
        r MULTI
        r TQ.PUT p k FIELDS 1 f v
        [client] CONFIG SET maxmemory 1
        assert_error "EXECABORT Transaction discarded because of: OOM command not allowed when used\
                      memory > 'maxmemory'." {r EXEC}
        assert_error "ERR EXEC without MULTI" {r EXEC}
        [client] CONFIG SET maxmemory 32mb
        r MULTI
        r TQ.COUNT p
        [client] CONFIG SET maxmemory 1
        assert_equal 0 [r EXEC]
        r CONFIG SET maxmemory 32mb
    }
}
