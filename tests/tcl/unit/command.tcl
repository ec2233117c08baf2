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
