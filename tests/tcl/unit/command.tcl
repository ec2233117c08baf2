# COMMAND: what clients learn about the server's commands.

# The commands that this server must have, whatever else it has.
set ::expected_commands {
    ping echo hello quit reset select info command client config dbsize exists type del scan keys
    flushall shutdown time
    subscribe unsubscribe psubscribe punsubscribe publish pubsub multi exec discard watch unwatch
    tq.put tq.mget tq.list tq.count tq.schema tq.status tq.sample tq.expect tq.seal tq.clear tq.reset
}

start_server {} {
    test "COMMAND lists every command in lower case, COMMAND COUNT counts them" {
        set names {}
        foreach entry [r COMMAND] {
            lappend names [lindex $entry 0]
        }
        foreach name $::expected_commands {
            assert {$name in $names} "$name is not listed"
        }
        assert_equal [llength $names] [llength [lsort -unique $names]]
        assert_equal [llength $names] [r COMMAND COUNT]
    }

    test "an entry has ten elements: name, arity, flags, the key's place, and more" {
        lassign [typed COMMAND INFO tq.put] _ entries
        set entry [lindex $entries 0 1]
        assert_equal 10 [llength $entry]
        lassign $entry name arity flags first last step
        assert_equal {bulk tq.put} $name
        assert_match {int -*} $arity
        assert_equal array [lindex $flags 0]
        foreach flag [lindex $flags 1] {
            assert_equal simple [lindex $flag 0]
        }
        assert_equal {{int 1} {int 1} {int 1}} [list $first $last $step]
    }

    test "flags are a set in RESP3" {
        lassign [typed [client3] COMMAND INFO tq.mget] _ entries
        assert_equal set [lindex $entries 0 1 2 0]
    }

    test "the partition is the only key of every TQ command that names one" {
        foreach name {tq.put tq.mget tq.list tq.count tq.schema tq.status tq.sample tq.expect tq.seal
                      tq.clear tq.reset} {
            set entry [lindex [r COMMAND INFO $name] 0]
            assert_equal {1 1 1} [lrange $entry 3 5] $name
        }
    }

    test "commands without a key say so" {
        foreach name {ping echo info config client command dbsize keys flushall time} {
            set entry [lindex [r COMMAND INFO $name] 0]
            assert_equal {0 0 0} [lrange $entry 3 5] $name
        }
    }

    test "writes are flagged write, reads readonly" {
        foreach name {tq.put tq.sample tq.expect tq.seal tq.clear tq.reset del flushall} {
            assert {"write" in [lindex [r COMMAND INFO $name] 0 2]} "$name is not flagged write"
        }
        foreach name {tq.mget tq.list tq.count tq.schema tq.status exists type scan keys} {
            assert {"readonly" in [lindex [r COMMAND INFO $name] 0 2]} "$name is not flagged readonly"
        }
    }

    test "the arity that COMMAND tells is the arity that is kept" {
        foreach entry [r COMMAND] {
            lassign $entry name arity
            if {$name in {quit shutdown reset command ping info monitor} || abs($arity) < 2} {
                continue
            }
            assert_error "ERR wrong number of arguments*" {r $name {*}[lrepeat [expr {abs($arity) - 2}] x]}
        }
    }

    test "COMMAND INFO answers in the order asked and null for what it does not know" {
        lassign [typed COMMAND INFO nosuch PING TQ.SAMPLE] type entries
        assert_equal array $type
        assert_equal nil [lindex $entries 0 0]
        assert_equal {bulk ping} [lindex $entries 1 1 0]
        assert_equal {bulk tq.sample} [lindex $entries 2 1 0]
    }

    test "COMMAND DOCS describes commands" {
        set docs [r COMMAND DOCS tq.put ping]
        assert_equal {ping tq.put} [lsort [dict keys $docs]]
        dict for {name doc} $docs {
            assert {[dict get $doc summary] ne ""}
            assert {[dict exists $doc since] && [dict exists $doc group]}
        }
        assert_equal {} [r COMMAND DOCS nosuch]
        assert_equal map [lindex [typed [client3] COMMAND DOCS ping] 0]
    }

    test "COMMAND DOCS without names describes all" {
        assert_equal [r COMMAND COUNT] [expr {[llength [r COMMAND DOCS]] / 2}]
    }

    test "COMMAND subcommands that do not exist are errors" {
        assert_error "ERR unknown subcommand*" {r COMMAND NOSUCH}
        assert_error "ERR *" {r COMMAND COUNT x}
    }
}

# Lists of names: FIELDS, TAGS, TEXT, COLUMNS, RETIRE, PARTITIONS, and keys of a write.
start_server {} {
    foreach {what words} {
        "field 'f'" {TQ.PUT p k FIELDS 3 f 1 g 2 f 3}
        "field 'f'" {TQ.PUT p k FIELDS 1 f 1 TEXT 1 f 2}
        "field 'f'" {TQ.PUT p k TEXT 2 f 1 f 2}
        "tag 't'" {TQ.PUT p k TAGS 2 t 1 t 2}
        "tag 't'" {TQ.MPUT p KEYS 1 k TAGS 2 t 1 t 2}
        "field 'g'" {TQ.MPUT p KEYS 1 k COLUMNS 2 g i8 {} 1 g i8 {} 2}
        "field 'f'" {TQ.MGET p KEYS 1 k FIELDS 3 f g f}
        "field 'f'" {TQ.SAMPLE p t COUNT 1 FIELDS 3 g f f}
        "field 'f'" {TQ.SAMPLE p t COUNT 1 FIELDS 2 f f BLOCK 0}
        "field 'f'" {TQ.COUNT p FIELDS 2 f f}
        "field 'f'" {TQ.CLEAR p FIELDS 2 f f}
        "field 'f'" {TQ.CLEAR p KEYS 1 k FIELDS 2 f f}
        "tag 't'" {TQ.CLEAR p TAGS 3 t u t}
        "field 'f'" {TQ.CREATE q FIELDS 2 f f32 f f32}
        "field 'g'" {TQ.ALTER p FIELDS 2 g f32 g f32}
        "task 'a'" {TQ.CREATE q RETIRE 3 a b a}
        "task 'a'" {TQ.ALTER p RETIRE 2 a a}
        "partition 'p'" {TQ.CHECKPOINT c PARTITIONS 2 p p}
        "partition 'p'" {TQ.RESTORE c PARTITIONS 2 p p}
    } {
        test "a name that comes twice is an error that names it: [join $words]" {
            r TQ.PUT p k FIELDS 1 f v TAGS 1 t v
            assert_refused "ERR *$::what is named twice" {r {*}$::words}
            assert_equal 0 [r EXISTS q]
        }
    }

    foreach {text words} {
        "FIELDS: 1 announced, of 2 arguments each, but only 1 follows" {TQ.PUT p k FIELDS 1 a}
        "FIELDS: 2 announced, of 2 arguments each, but only 3 follow" {TQ.PUT p k FIELDS 2 a 1 b}
        "KEYS: 2 announced, of 1 argument each, but only 1 follows" {TQ.MGET p KEYS 2 k}
        "WHERE: 1 announced, of 3 arguments each, but only 2 follow" {TQ.COUNT p WHERE 1 t =}
        "syntax error: the count behind FIELDS is missing" {TQ.PUT p k FIELDS}
        "syntax error: the count behind WHERE is missing" {TQ.COUNT p WHERE}
        "syntax error: the count behind KEYS is missing" {TQ.CLEAR p KEYS}
        "syntax error: the count behind RETIRE is missing" {TQ.CREATE q RETIRE}
        "syntax error: the value behind BLOCK is missing" {TQ.PUT p k FIELDS 1 a 1 BLOCK}
        "syntax error: the value behind MAXSAMPLES is missing" {TQ.CREATE q maxsamples}
        "syntax error: GROUP's id is missing" {TQ.PUT p k GROUP}
        "PARTITIONS: expected an integer from 1 to 4294967295, got '0'" {TQ.RESTORE x PARTITIONS 0}
    } {
        test "an argument that is missing is named: [join $words]" {
            assert_refused "ERR $::text" {r {*}$::words}
            assert_equal 0 [r EXISTS p q]
        }
    }

    test "a name that comes twice among many is found" {
        set names [lmap i [range 1 300] {set _ n[expr {$i * 7919 % 300}]}]
        r TQ.PUT p k FIELDS 1 n1 v
        assert_equal 1 [llength [r TQ.MGET p KEYS 1 k FIELDS 300 {*}$names]]
        assert_error "ERR field 'n17' is named twice" {r TQ.COUNT p FIELDS 301 {*}$names n17}
    }
}
