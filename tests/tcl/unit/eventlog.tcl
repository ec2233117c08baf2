# What the server's log says of partitions: leases that ran out, what was sealed, dropped, cleared,
# reset and restored, and writes that were refused.

# What the server of this block has logged.
proc logged {} {
    return [server_output [lindex $::server_stack end]]
}

# Wait until a line matches; the line.
proc wait_logged {pattern} {
    set found ""
    wait_until {[set found [lsearch -inline [split [logged] \n] $pattern]] ne ""}
    return $found
}

proc count_logged {pattern} {
    return [llength [lsearch -all [split [logged] \n] $pattern]]
}

# Lines of a kind, and how many more they speak of.
proc sum_logged {line more} {
    set sum 0
    foreach text [split [logged] \n] {
        if {[string match $line $text]} { incr sum }
        if {[regexp {\(([0-9]+) more before this\)} $text - n] && [string match $line $text]} { incr sum $n }
        if {[regexp "(\[0-9\]+) more $more" $text - n]} { incr sum $n }
    }
    return $sum
}

start_own_server {loglevel verbose} {
    test "a lease that ran out is logged with partition, task and holder; a NACK is not" {
        set p "a\n'b\xff"
        fill $p 1 3
        r CLIENT SETNAME trainer-7
        r TQ.NACK $p quick [lindex [r TQ.SAMPLE $p quick COUNT 1 FIELDS 1 f LEASE 100000] 0]
        set lease [lindex [r TQ.SAMPLE $p slow COUNT 2 FIELDS 1 f LEASE 7] 0]
        set line [wait_logged "*lease $lease *"]
        assert_match "* \\* partition 'a\\\\x0a\\\\'b\\\\xff', task 'slow': lease $lease of 'trainer-7' ran out after 7 ms: 2 samples come back" $line
        assert_equal 1 [count_logged "*ran out*"]
        r CLIENT SETNAME ""
    }

    test "SEAL is logged, with who did it" {
        set id [r CLIENT ID]
        r TQ.SEAL sealed
        assert_match "* \\* partition 'sealed' is sealed, by 'tq.seal' of client $id at *" [wait_logged "*'sealed'*"]
    }

    test "CLEAR of a partition, DEL and FLUSHALL are logged" {
        foreach {name command} {one {TQ.CLEAR one} two {DEL two} three FLUSHALL} {
            fill $name 1 1
            r {*}$command
            assert_match "* \\* partition '$name' is dropped, by '[string tolower [lindex $command 0]]' of client *" \
                [wait_logged "*'$name'*"]
        }
        r TQ.CLEAR nosuch
        r PING
        assert_equal 0 [count_logged "*nosuch*"]
    }

    test "CLEAR of samples, fields and tags is logged at verbose" {
        fill cleared 1 5
        r TQ.PUT cleared k1 TAGS 1 t v
        r TQ.CLEAR cleared KEYS 2 k4 k5
        assert_match "* - partition 'cleared': 2 samples cleared, by 'tq.clear' of *" [wait_logged "*'cleared': 2 *"]
        r TQ.CLEAR cleared KEYS 1 k1 TAGS 1 t
        assert_match "* - partition 'cleared': 1 tags ('t' …) of * cleared, by 'tq.clear' of *" \
            [encoding convertfrom utf-8 [wait_logged "*'cleared': 1 tags*"]]
        r TQ.CLEAR cleared FIELDS 1 f
        assert_match "* - partition 'cleared': 1 fields ('f' …) of * cleared, by 'tq.clear' of *" \
            [encoding convertfrom utf-8 [wait_logged "*'cleared': 1 fields*"]]
    }

    test "what RETIRE clears is logged with the command that retired it" {
        r TQ.CREATE retired RETIRE 1 t
        fill retired 1 2
        take retired t 2
        assert_match "* - partition 'retired': 2 samples cleared, by 'tq.sample' of *" [wait_logged "*'retired': 2*"]
    }

    test "RESET is logged with its task, or all" {
        fill back 1 3
        take back t 3
        r TQ.RESET back TASK t
        assert_match "* \\* partition 'back': consumption by task 't' is reset for all samples, by 'tq.reset' of *" \
            [wait_logged "*'back'*all samples*"]
        r TQ.RESET back KEYS 1 k1
        assert_match "* \\* partition 'back': consumption by all tasks is reset for 1 samples, by *" \
            [wait_logged "*'back'*1 samples*"]
    }

    test "RESTORE is logged with each partition" {
        fill stored 1 4
        r TQ.CHECKPOINT c
        r TQ.RESTORE c REPLACE
        assert_match "* \\* partition 'stored' is restored with 4 samples" [wait_logged "*'stored' is restored*"]
    }

    test "writes that a bound refuses are logged at verbose, also when they waited first" {
        r TQ.CREATE full MAXSAMPLES 1
        r TQ.PUT full k1 FIELDS 1 f v
        assert_error "FULL *" {r TQ.PUT full k2 FIELDS 1 f v}
        assert_match "* - partition 'full': 'tq.put' of client * is refused: FULL *MAXSAMPLES*" \
            [wait_logged "*'full': 'tq.put'*"]
        assert_error "FULL *" {r TQ.MPUT full KEYS 1 k3 TAGS 1 t v BLOCK 1}
        # Within a second of the first it is only counted.
        wait_until {[sum_logged "*is refused: FULL*" "commands refused with -FULL"] == 2}
    }

    test "writes refused for memory are logged" {
        fill memory 1 1
        r CONFIG SET maxmemory 1
        assert_error "OOM *" {r TQ.PUT memory k2 FIELDS 1 f v}
        assert_match "* \\* partition 'memory': 'tq.put' of client * is refused: OOM *" [wait_logged "*is refused: OOM*"]
        r CONFIG SET maxmemory 0
    }

    test "a flood writes few lines, and all of it is counted" {
        set sum [sum_logged "*is sealed*" "partitions sealed"]
        pipeline [client] [lmap i [range 1 2000] {list TQ.SEAL "flood$i"}]
        wait_until {[sum_logged "*is sealed*" "partitions sealed"] == $sum + 2000}
        assert {[count_logged "*'flood*"] < 1000}
    }
}

start_own_server {} {
    test "at notice, writes that a bound refuses and cleared samples are not logged" {
        r TQ.CREATE p MAXSAMPLES 1
        r TQ.PUT p k1 FIELDS 1 f v
        assert_error "FULL *" {r TQ.PUT p k2 FIELDS 1 f v}
        r TQ.CLEAR p KEYS 1 k1
        r TQ.SEAL p
        wait_logged "*'p' is sealed*"
        assert_equal {0 0} [list [count_logged "*FULL*"] [count_logged "*cleared*"]]
    }
}
