# maxmemory bounds what clients make the server keep: each kind of it has a bound of its own while
# memory is full, what is freed is given back, and others are served.

set ::full_mb 20
set ::full_used [expr {$full_mb * 1024 * 1024 / 16 * 17 + 4 * 1024 * 1024}]

# Fills partition full until not even a small sample is accepted.
proc fill_memory {} {
    set i 0
    while {![catch {r TQ.PUT full k[incr i] FIELDS 1 f [string repeat x 30000]}]} {}
    while {![catch {r TQ.PUT full small[incr i] FIELDS 1 f x}]} {}
}

# Samples k1 … of a byte.
proc fill_bytes {partition n} {
    r TQ.MPUT $partition KEYS $n {*}[names k 1 $n] COLUMNS 1 f u8 "" [string repeat x $n]
}

proc assert_within {more} {
    set used [info_field used_memory]
    assert {$used < $::full_used + $more} "used_memory is $used"
}

# The same call on so many connections, `#` in it being their number; all of them are there before
# the server reads the first. Answers the connections.
proc calls_at_once {n args} {
    set clients {}
    foreach i [range 1 $n] {
        lappend clients [client]
    }
    signal_process STOP [srv pid]
    set i 0
    foreach c $clients {
        resp::send $c {*}[string map [list # [incr i]] $args]
    }
    signal_process CONT [srv pid]
    return $clients
}

# How many of these calls are answered with -OOM; `others` has the other replies.
proc refused_of {clients} {
    set refused 0
    set ::others {}
    foreach c $clients {
        if {[catch {resp::receive $c} said] && [string match "OOM *" $said]} {
            incr refused
        } else {
            lappend ::others $said
        }
    }
    return $refused
}

start_own_server {maxmemory 20mb} {
    # 1,000 calls with arguments of 12,000 bytes each are 12 MB, where 5.25 MB may be kept, or twice
    # that for a call that frees memory. Each comes in one read: it is never a half-sent one.
    set value [string repeat v 3990]
    set where [list WHERE 3 a = #1$value a = #2$value a = #3$value]
    foreach {what command reply} {
        "TQ.COUNT without BLOCK" {TQ.COUNT p} 0
        "TQ.SAMPLE without BLOCK" {TQ.SAMPLE p t COUNT 1 FIELDS 1 f} (nil)
        "TQ.CLEAR in slices" {TQ.CLEAR p} 0
    } {
        test "scans that wait do not take memory beyond maxmemory: $what" {
            # More than are evaluated at once.
            fill_bytes p 20000
            fill_memory
            set clients [calls_at_once 1000 {*}$::command {*}$::where]
            set refused [refused_of $clients]
            assert {$refused > 0 && $refused < 1000} "$refused were refused"
            assert_equal [lrepeat [expr {1000 - $refused}] $::reply] $::others
            assert_equal 20000 [r TQ.COUNT p]
        }
    }
}

start_own_server {maxmemory 20mb} {
    test "new holders of ONCE do not take memory beyond maxmemory, and those that are there go on" {
        fill_bytes p 40000
        assert_equal k1 [take p t 1 ONCE first 1]
        fill_memory
        set replies {}
        foreach i [range 1 35] {
            set commands {}
            foreach j [range 1 1000] {
                lappend commands [list TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE holder$i.$j 1 AS KEYS]
            }
            lappend replies {*}[pipeline [r] $commands]
            assert_within 1000000
        }
        assert {[lsearch -glob $replies "*OOM*"] > 0} "none was refused"
        assert_equal k1 [take p t 1 ONCE first 1]
        assert_match k* [take p t 1 ONCE first 2]
    }

    test "what tasks took beyond maxmemory is given back when they go" {
        fill p 1 100
        fill_memory
        # All rounds together take more than tasks may have while memory is full.
        foreach round [range 1 9] {
            foreach {command expected} {
                {TQ.SAMPLE p t# COUNT 1 FIELDS 1 f AS KEYS} k1
                {TQ.RESET p TASK t#} 1
            } {
                set commands [lmap i [range 1 900] {string map [list # $round.$i] $command}]
                assert_equal [lrepeat 900 $expected] [pipeline [r] $commands]
            }
        }
    }

    test "bits of tasks that take from all blocks of a partition are counted" {
        fill_bytes p 60000
        fill_memory
        set commands {}
        foreach i [range 1 300] {
            lappend commands [list TQ.SAMPLE p t$i COUNT 600 FIELDS 1 f BY RANDOM SEED $i AS KEYS]
        }
        assert {[lsearch -glob [pipeline [r] $commands] "*OOM*"] > 0} "none was refused"
        assert_within 1000000
    }

    test "leases that are never acknowledged do not take memory beyond maxmemory" {
        fill_bytes p 45000
        fill_memory
        r CLIENT SETNAME [string repeat n 255]
        # A task that has consumed before may have 13 MB: its samples may be what frees memory.
        set commands [lrepeat 43000 {TQ.SAMPLE p t COUNT 1 FIELDS 1 f LEASE 1000000 AS KEYS}]
        set replies [pipeline [r] $commands]
        assert {[lsearch -glob $replies "*OOM*"] > 0} "none was refused"
        assert_within 10000000
        assert_equal 1 [r TQ.ACK p t [lindex $replies 0 0]]
        r TQ.RESET p TASK t
        assert_equal k1 [take p t 1]
    }
}

start_own_server {maxmemory 20mb} {
    test "indexes of partitions without samples do not take memory beyond maxmemory" {
        pipeline [r] [lmap i [range 1 500] {list TQ.CREATE e$i}]
        fill p 1 100
        fill_memory
        set tags [lmap i [range 1 64] {string cat t $i}]
        # In all, 160 MB.
        foreach reply [pipeline [r] [lmap i [range 1 500] {list TQ.ALTER e$i INDEX 64 {*}$tags}]] {
            assert_match "*OOM INDEX: the new indexes need about * bytes, which*" $reply
        }
        assert_within 0
        assert_equal k1 [take p t 1]
    }
}

start_server {} {
    test "names of clients have at most 255 bytes" {
        set name [string repeat n 255]
        assert_equal OK [r CLIENT SETNAME $name]
        assert_error "ERR Client names cannot be longer than 255 bytes, got 256." {r CLIENT SETNAME n$name}
        assert_error "ERR lib-name cannot be longer than 255 bytes, got 256." {r CLIENT SETINFO lib-name n$name}
        assert_error "ERR lib-ver cannot be longer than 255 bytes, got 256." {r CLIENT SETINFO lib-ver n$name}
        assert_error "ERR Client names cannot be longer than 255 bytes, got 256." {r HELLO 3 SETNAME n$name}
        assert_equal $name [r CLIENT GETNAME]
        r CLIENT SETNAME ""
    }
}

start_own_server {maxmemory 20mb} {
    # In each of 8 partitions 750 WHEREs of 4,000 bytes: 26 MB of texts.
    proc count_where_new {partition n} {
        set calls {}
        foreach i [range 1 $n] {
            lappend calls [list TQ.COUNT $partition WHERE 1 a = [incr ::wheres][string repeat v 4000]]
        }
        return [pipeline [r] $calls]
    }

    test "ever new WHEREs of many partitions do not take memory beyond maxmemory: their answers are kept within a bound" {
        foreach p [range 1 8] {
            fill_bytes w$p 300
        }
        fill_memory
        foreach p [range 1 8] {
            assert_equal [lrepeat 750 0] [count_where_new w$p 750]
        }
        assert_within 1500000
    }

    test "kept answers of WHERE are freed before a write is refused" {
        foreach p [range 1 8] {
            fill_bytes w$p 300
        }
        set before [info_field used_memory]
        foreach p [range 1 8] {
            count_where_new w$p 150
        }
        assert {[info_field used_memory] > $before + 4000000} "nothing was kept"
        set value [string repeat x 10000]
        for {set i 0} {[info_field used_memory] < 20900000} {incr i} {
            r TQ.PUT full k$i FIELDS 1 f $value
        }
        # What is left and 3 MB of what the answers take.
        foreach j [range 1 300] {
            r TQ.PUT full k[incr i] FIELDS 1 f $value
        }
        # As good an answer as before.
        assert_equal [lrepeat 20 0] [count_where_new w1 20]
    }
}
