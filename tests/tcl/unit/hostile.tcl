# Bad input: every command with too little, too much, and numbers that are none. Each gives an
# error, nothing is changed, and the server goes on.

# What may stand where a count belongs and is none.
set ::bad_counts {
    0 -1 -9223372036854775808 1.5 1e3 abc {} { 1} {1 } 1x 0x1 +1 00000000000000000000000000000001x
    4294967296 4294967297 9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616
    18446744073709551617 99999999999999999999999999999999 -0 nan inf
}

# Commands that work, with @ where a count stands.
set ::counted {
    {TQ.PUT p k TAGS @ t v}
    {TQ.PUT p k FIELDS @ f v}
    {TQ.PUT p k TEXT @ f v}
    {TQ.PUT p k GROUP g @}
    {TQ.MGET p KEYS @ k}
    {TQ.MGET p KEYS 1 k FIELDS @ f}
    {TQ.LIST p COUNT @}
    {TQ.LIST p WHERE @ t = v}
    {TQ.COUNT p FIELDS @ f}
    {TQ.COUNT p WHERE @ t = v}
    {TQ.SAMPLE p t COUNT 1 FIELDS @ f}
    {TQ.SAMPLE p t COUNT 1 FIELDS 1 f WHERE @ t = v}
    {TQ.CLEAR p KEYS @ nosuch}
    {TQ.CLEAR p KEYS 1 nosuch FIELDS @ f}
    {TQ.CLEAR p TAGS @ nosuch}
    {TQ.CLEAR p WHERE @ t = nosuch}
    {TQ.RESET p KEYS @ nosuch}
}

# Commands that work, whole; every beginning of each is an error or a smaller command.
set ::whole {
    {TQ.PUT p k GROUP g 1 IF t v TAGS 1 t v FIELDS 1 f v TEXT 1 x y}
    {TQ.MGET p KEYS 2 k l FIELDS 2 f g AS TEXT MISSING NULL}
    {TQ.LIST p CURSOR 0 COUNT 10 MATCH k* WHERE 2 t = v u != w WITH TAGS WITH FIELDS}
    {TQ.COUNT p FIELDS 2 f g TASK t WHERE 1 t = v}
    {TQ.SCHEMA p}
    {TQ.STATUS p}
    {TQ.SAMPLE p t COUNT 4 FIELDS 2 f g BY GROUP 2 WHERE 1 t = v ATLEAST 2 KEEP AS KEYS}
    {TQ.SAMPLE p t COUNT 1 FIELDS 1 f BY BALANCED t 2 GROUP 2 RANK 0 BATCH 0}
    {TQ.SAMPLE p t COUNT 1 FIELDS 1 f BY RANDOM SEED 7 LEASE 50}
    {TQ.ACK p t 1}
    {TQ.NACK p t 2 KEYS 2 k l}
    {TQ.EXTEND p t 3 1000}
    {TQ.LEASES p TASK t}
    {TQ.CREATE q MAXSAMPLES 5 MAXBYTES 100 MAXAHEAD t 4 RETIRE 2 t u FIELDS 1 x f32}
    {TQ.ALTER p MAXSAMPLES 1000000 MAXAHEAD nobody 1000000}
    {TQ.EXPECT p 100000}
    {TQ.CLEAR p KEYS 2 nosuch other FIELDS 1 f}
    {TQ.CLEAR p WHERE 1 t = nosuch TAGS 1 u}
    {TQ.RESET p TASK t KEYS 2 k l}
    {CONFIG GET timeout}
    {CLIENT SETNAME x}
    {HELLO 2 AUTH default x SETNAME y}
    {SCAN 0 MATCH * COUNT 10}
    {COMMAND INFO ping}
}

proc with_count {command count} {
    set words {}
    foreach word $command {
        if {$word eq "@"} {
            lappend words $count
        } else {
            lappend words $word
        }
    }
    return $words
}

# The command must be answered with an error that begins with ERR.
proc assert_err {command} {
    lassign [assert_survives $command] type message
    if {$type ne "error" || ![string match "ERR *" $message]} {
        fail "expected an error\nbut got $type [printable $message]\n     in [printable $command]"
    }
}

# The command must be answered, if not with a protocol error, and the connection go on.
proc assert_survives {command} {
    set c [client]
    resp::send $c {*}$command
    set reply [resp::receive_typed $c]
    if {[lindex $reply 0] eq "error"} {
        assert_no_match "*Protocol error*" [lindex $reply 1]
    }
    assert_equal PONG [$c PING]
    resp::close $c
    return $reply
}

start_server {} {
    test "a count that is none is an error in every command" {
        r TQ.PUT p k TAGS 1 t v FIELDS 1 f v
        set before [snapshot_of p]
        foreach command $::counted {
            foreach bad $::bad_counts {
                set words [with_count $command $bad]
                if {[lindex $command end-1] eq "COUNT" && [string is digit -strict $bad] && $bad > 0} {
                    assert_survives $words
                } else {
                    assert_err $words
                }
            }
        }
        assert_equal $before [snapshot_of p]
    }

    test "a count larger than what follows is an error in every command" {
        r TQ.PUT p k TAGS 1 t v FIELDS 1 f v
        foreach command $::counted {
            if {[lindex $command end-1] in {COUNT g}} {
                continue
            }
            foreach bad {2 3 5 100 65536 1000000 2147483647 2147483648 4294967295} {
                set words [with_count $command $bad]
                assert_err $words
            }
        }
    }

    test "every beginning of a command is answered" {
        r TQ.PUT p k TAGS 1 t v FIELDS 1 f v
        foreach command $::whole {
            for {set n 1} {$n <= [llength $command]} {incr n} {
                if {$n == 2 && [lrange $command 0 1] eq "TQ.CLEAR p"} {
                    continue
                }
                assert_survives [lrange $command 0 $n-1]
            }
            assert_survives [concat $command extra]
            assert_survives [concat $command {extra words and more}]
        }
    }

    test "a command with any word taken out, doubled or replaced is answered" {
        foreach command $::whole {
            for {set i 1} {$i < [llength $command]} {incr i} {
                assert_survives [lreplace $command $i $i]
                assert_survives [linsert $command $i [lindex $command $i]]
                foreach word [list "" "\0" -1 99999999999999999999 [string repeat x 5000] KEYS 1 0 @key] {
                    assert_survives [lreplace $command $i $i $word]
                }
            }
        }
        assert_equal PONG [r PING]
    }

    test "every command with no argument, one empty one, and very many is answered" {
        foreach entry [r COMMAND] {
            set name [lindex $entry 0]
            if {$name in {shutdown quit monitor multi subscribe psubscribe unsubscribe punsubscribe}} {
                continue ;# what follows these is not answered as usual
            }
            assert_survives [list $name]
            assert_survives [list $name ""]
            assert_survives [list $name "" "" "" "" ""]
            assert_survives [list $name {*}[lrepeat 10000 x]]
            assert_survives [list $name {*}[lrepeat 7 99999999999999999999]]
            assert_survives [list $name {*}[lrepeat 7 -1]]
        }
    }

    test "random words in random places are answered" {
        seed_random 7
        set words {
            p k t f g 0 1 2 3 -1 KEYS FIELDS TAGS TEXT COUNT WHERE AS ROWS KEEP BLOCK BY GROUP ATLEAST
            MISSING ERROR NULL SKIP NX XX IF LEASE RANK BATCH LIFO RANDOM SEED MAX MIN PRIORITY EXPONENT BALANCED
            MAXSAMPLES MAXBYTES MAXAHEAD RETIRE = < > f:f32 f:i64[2] f:str f:f32[*] {[1,2]} 0.5 abcd
            abcdefgh WITH CURSOR MATCH * TASK {} 18446744073709551615 SEQUENTIAL
        }
        set names {
            TQ.PUT TQ.MGET TQ.LIST TQ.COUNT TQ.SCHEMA TQ.STATUS TQ.SAMPLE TQ.EXPECT TQ.SEAL TQ.CLEAR
            TQ.RESET TQ.CREATE TQ.ALTER TQ.ACK TQ.NACK TQ.EXTEND TQ.LEASES
        }
        set c [client]
        foreach round [range 1 [sized 200 5000]] {
            set commands {}
            foreach i [range 1 50] {
                set command [list [lindex $names [random_below [llength $names]]] p]
                for {set n [random_below 14]} {$n > 0} {incr n -1} {
                    lappend command [lindex $words [random_below [llength $words]]]
                }
                if {"BLOCK" ni $command} {
                    lappend commands $command
                }
            }
            pipeline $c $commands
        }
        assert_equal PONG [r PING]
        if {[r EXISTS p]} {
            snapshot_of p
        }
    }

    test "random bytes are answered or cut off, and the server goes on" {
        foreach seed [range 1 [sized 300 7000]] {
            set c [client]
            catch {resp::write_bytes $c [random_bytes [expr {1 + $seed * 37 % 3000}] $seed]}
            barrier
            resp::close $c
        }
        assert_equal PONG [r PING]
    }

    test "commands with a bit turned over are answered or cut off, and the server goes on" {
        seed_random 11
        set bytes ""
        foreach command $::whole {
            if {"BLOCK" ni $command} {
                append bytes [resp::encode {*}$command]
            }
        }
        foreach round [range 1 [sized 400 2000]] {
            set c [client]
            set mutant $bytes
            foreach i [range 0 [random_below 4]] {
                set at [random_below [string length $mutant]]
                scan [string index $mutant $at] %c code
                set code [expr {$code ^ (1 << [random_below 8])}]
                set mutant [string replace $mutant $at $at [format %c $code]]
            }
            catch {resp::write_bytes $c $mutant}
            barrier
            resp::close $c
        }
        assert_equal PONG [r PING]
    }

    test "a client that sends and never reads errors, and leaves, is no harm" {
        foreach i [range 1 30] {
            set c [client]
            catch {resp::write_bytes $c [string repeat "NOSUCH\r\n" 500]}
            resp::close $c
        }
        assert_equal PONG [r PING]
    }
}
