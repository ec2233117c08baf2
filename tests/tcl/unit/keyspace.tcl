# Partitions as keys: the generic commands that console users and stock tools know.

# Every key of a SCAN from cursor 0 to cursor 0.
proc scan_all {args} {
    set keys {}
    set cursor 0
    while 1 {
        lassign [r SCAN $cursor {*}$args] cursor page
        lappend keys {*}$page
        if {$cursor eq "0"} {
            return $keys
        }
    }
}

proc fill_partitions {from to} {
    set commands {}
    foreach i [range $from $to] {
        lappend commands [list TQ.PUT part$i k TAGS 1 t $i]
    }
    pipeline [r] $commands
}

start_server {} {
    test "DBSIZE counts partitions" {
        assert_equal 0 [r DBSIZE]
        fill_partitions 1 3
        assert_equal 3 [r DBSIZE]
        r TQ.CLEAR part1
        assert_equal 2 [r DBSIZE]
        assert_error "ERR wrong number of arguments*" {r DBSIZE x}
    }

    test "EXISTS counts the partitions that are there, as often as they are named" {
        fill_partitions 1 2
        assert_equal 1 [r EXISTS part1]
        assert_equal 0 [r EXISTS part9]
        assert_equal 2 [r EXISTS part1 part9 part2]
        assert_equal 2 [r EXISTS part1 part1]
        assert_error "ERR wrong number of arguments*" {r EXISTS}
    }

    test "TYPE is a word for a partition and none for nothing" {
        fill_partitions 1 1
        lassign [typed TYPE part1] type word
        assert_equal simple $type
        assert {$word ni {none ""}}
        assert_equal {simple none} [typed TYPE nosuch]
    }

    test "DEL drops partitions with all their state" {
        fill_partitions 1 3
        r TQ.SEAL part1
        assert_equal 2 [r DEL part1 nosuch part2]
        assert_equal part3 [r TQ.LIST]
        assert_equal 0 [r DEL part1]
        assert_equal 1 [r TQ.PUT part1 k TAGS 1 t 1]
        assert_error "ERR wrong number of arguments*" {r DEL}
    }

    test "DEL of a partition named twice counts it once" {
        fill_partitions 1 1
        assert_equal 1 [r DEL part1 part1]
    }

    test "KEYS lists the partitions that match a pattern" {
        fill_partitions 1 12
        assert_same_set [names part 1 12] [r KEYS *]
        assert_same_set {part1 part10 part11 part12} [r KEYS part1*]
        assert_same_set {part10 part11 part12} [r KEYS part1?]
        assert_same_set {part11 part12} [r KEYS {part1[12]}]
        assert_same_set {part10 part12} [r KEYS {part1[^1]}]
        assert_same_set part7 [r KEYS part7]
        assert_equal {} [r KEYS nosuch]
        assert_error "ERR wrong number of arguments*" {r KEYS}
    }

    test "a pattern that backtracks without end does not hang the server" {
        r TQ.PUT [string repeat a 250] k TAGS 1 t x
        assert_equal {} [r KEYS [string repeat "a*" 60]b]
    }

    test "patterns that are cut off in the middle are harmless" {
        fill_partitions 1 2
        foreach pattern {"[" "[^" "part[" "part[1" "part[1-" "\\" "part1\\" "[]" "*[" ""} {
            r KEYS $pattern
            r SCAN 0 MATCH $pattern
            r TQ.LIST part1 MATCH $pattern
        }
        assert_equal PONG [r PING]
    }

    test "SCAN finds every partition" {
        fill_partitions 1 [sized 1000 100000]
        assert_same_set [names part 1 [sized 1000 100000]] [lsort -unique [scan_all]]
        assert_same_set [names part 70 79] [lsort -unique [scan_all MATCH {part7?} COUNT 100]]
    }

    test "SCAN finds what is there from the beginning to the end, whatever comes and goes" {
        fill_partitions 1 500
        set cursor 0
        set found {}
        set i 500
        while 1 {
            lassign [r SCAN $cursor COUNT 20] cursor page
            lappend found {*}$page
            if {$cursor eq "0"} break
            r TQ.PUT part[incr i] k TAGS 1 t x
            r TQ.CLEAR part[expr {$i - 500}]
        }
        set found [lsort -unique $found]
        foreach name [names part [expr {$i - 499}] 500] {
            assert {$name in $found} "$name was not found"
        }
    }

    test "SCAN on an empty server ends at once" {
        assert_equal {0 {}} [r SCAN 0]
    }

    test "SCAN refuses what is no cursor, count or option" {
        foreach wrong {abc 1.5 0x 99999999999999999999999} {
            assert_error "ERR *" {r SCAN $wrong}
        }
        foreach wrong {0 -1 abc 1.5 99999999999999999999} {
            assert_error "ERR *" {r SCAN 0 COUNT $wrong}
        }
        foreach wrong {NOSUCH MATCH COUNT {MATCH a COUNT} {NOSUCH 1}} {
            assert_error "ERR *" {r SCAN 0 {*}$wrong}
        }
    }

    test "FLUSHALL drops everything" {
        fill_partitions 1 10
        r TQ.SEAL part1
        assert_equal OK [r FLUSHALL]
        assert_equal 0 [r DBSIZE]
        assert_equal {} [r TQ.LIST]
        assert_equal 1 [r TQ.PUT part1 k TAGS 1 t x]
        assert_equal OK [r FLUSHALL SYNC]
        assert_equal OK [r FLUSHALL ASYNC]
        assert_equal 0 [r DBSIZE]
        assert_error "ERR *" {r FLUSHALL NOSUCH}
    }

    test "a partition outlives its last sample until it is cleared whole" {
        r TQ.PUT p k FIELDS 1 f:f32 [pack f32 1]
        assert_equal 1 [r TQ.CLEAR p KEYS 1 k]
        assert_equal 1 [r EXISTS p]
        assert_equal p [r TQ.LIST]
        assert_equal 0 [r TQ.COUNT p]
        assert_equal f32 [type_of p f]
        r TQ.CLEAR p
        assert_equal 0 [r EXISTS p]
        assert_equal {} [r TQ.LIST]
    }
}
