# WHERE over more samples than a turn of the server has time for: the call waits, others do not.
#
# A turn evaluates 32,768 samples at the most, so a scan of these partitions takes several.

set samples 200000

# Samples k0…, tag n counts them, field f is a byte.
proc fill_scan {partition} {
    set n 20000
    for {set from 0} {$from < $::samples} {incr from $n} {
        set keys {}
        set numbers {}
        for {set i $from} {$i < $from + $n} {incr i} {
            lappend keys k$i
            lappend numbers $i
        }
        r TQ.MPUT $partition KEYS $n {*}$keys TAGS 1 n {*}$numbers \
            COLUMNS 1 f u8 "" [string repeat x $n]
    }
}

# Send a command from one client and have another look at all clients before it is answered: true when
# that was seen. The server reads both in one turn, in either order, so it may take some tries; `command` gets
# a threshold each time, because what was scanned once is known.
proc seen_waiting {a command} {
    set b [client]
    set id [$a CLIENT ID]
    for {set try 1} {$try <= 50} {incr try} {
        signal_process STOP [srv pid]
        resp::send $a {*}[string map [list THRESHOLD [expr {$::samples - $try}]] $command]
        resp::send $b CLIENT LIST
        signal_process CONT [srv pid]
        set list [resp::receive $b]
        set ::reply [resp::receive $a]
        if {[regexp "id=$id \[^\n\]* flags=b" $list]} {
            return $try
        }
    }
    return 0
}

start_own_server {} {
    test "TQ.COUNT WHERE lets others be served while it scans" {
        fill_scan p
        set a [client]
        set try [seen_waiting $a {TQ.COUNT p WHERE 1 n >= THRESHOLD}]
        assert {$try > 0} "nobody was served meanwhile"
        assert_equal $try $::reply
    }

    test "TQ.CLEAR WHERE lets others be served while it scans" {
        fill_scan p
        set a [client]
        set try [seen_waiting $a {TQ.CLEAR p WHERE 1 n >= THRESHOLD}]
        assert {$try > 0} "nobody was served meanwhile"
        assert_equal 1 $::reply
        assert_equal [expr {$::samples - $try}] [r TQ.COUNT p]
    }

    test "TQ.SAMPLE WHERE lets others be served while it scans, with BLOCK and without" {
        fill_scan p
        set a [client]
        foreach block {{} {BLOCK 0}} {
            set try [seen_waiting $a "TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS KEEP BY RANDOM
                                      WHERE 2 n >= THRESHOLD n != x[llength $block] $block"]
            assert {$try > 0} "nobody was served meanwhile"
        }
    }

    test "what was scanned once is counted at once, and follows every change" {
        fill_scan p
        set last [expr {$::samples - 1}]
        assert_equal 2 [r TQ.COUNT p WHERE 1 n >= [expr {$last - 1}]]
        r TQ.PUT p k0 TAGS 1 n 1000000
        assert_equal 3 [r TQ.COUNT p WHERE 1 n >= [expr {$last - 1}]]
        r TQ.PUT p new TAGS 1 n 1000001
        assert_equal 4 [r TQ.COUNT p WHERE 1 n >= [expr {$last - 1}]]
        r TQ.PUT p k$last TAGS 1 n 0
        assert_equal 3 [r TQ.COUNT p WHERE 1 n >= [expr {$last - 1}]]
        r TQ.CLEAR p KEYS 1 new
        assert_equal 2 [r TQ.COUNT p WHERE 1 n >= [expr {$last - 1}]]
        r TQ.CLEAR p KEYS 1 k0 TAGS 1 n
        assert_equal 1 [r TQ.COUNT p WHERE 1 n >= [expr {$last - 1}]]
        assert_equal k[expr {$last - 1}] \
            [r TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS WHERE 1 n >= [expr {$last - 1}]]
        assert_equal (nil) \
            [r TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS WHERE 1 n >= [expr {$last - 1}]]
        r TQ.CLEAR p TAGS 1 n
        assert_equal 0 [r TQ.COUNT p WHERE 1 n >= [expr {$last - 1}]]
    }

    test "a scan counts the samples as they are when it ends" {
        fill_scan p
        set a [client]
        set b [client]
        signal_process STOP [srv pid]
        resp::send $a TQ.COUNT p WHERE 1 n >= [expr {$::samples - 1}]
        resp::send_all $b [list {TQ.PUT p k0 TAGS 1 n 1000000} {TQ.PUT p new TAGS 1 n 1000000} \
                               [list TQ.PUT p k[expr {$::samples - 1}] TAGS 1 n 0]]
        signal_process CONT [srv pid]
        foreach reply {0 1 0} {
            assert_equal $reply [resp::receive $b]
        }
        assert_equal 2 [resp::receive $a]
    }

    test "what others send does not change what a clear in slices clears" {
        # Of long values a slice evaluates fewer than there are; the others' commands are read while it waits.
        foreach {conditions length} {1 100 17 1} {
            set a [string repeat 1 $length]
            set b [string repeat 2 $length]
            set values [lrepeat 1000 $a $a $a $b]
            r TQ.MPUT c KEYS 4000 {*}[names k 1 4000] TAGS 1 t {*}$values
            set others [list [client] [client] [client]]
            foreach other $others {
                $other PING
            }
            set c [client]
            $c PING
            signal_process STOP [srv pid]
            resp::send $c TQ.CLEAR c WHERE $conditions {*}[concat {*}[lrepeat $conditions [list t = $a]]]
            foreach other $others {
                resp::send $other TQ.COUNT c WHERE $conditions {*}[concat {*}[lrepeat $conditions [list t = $b]]]
            }
            signal_process CONT [srv pid]
            foreach other $others {
                assert_equal 1000 [resp::receive $other]
            }
            assert_equal 3000 [resp::receive $c]
            assert_equal 1000 [r TQ.COUNT c]
            r TQ.CLEAR c
        }
    }

    test "a clear in slices ends where no sample is left" {
        r TQ.MPUT c KEYS 2 a b TAGS 1 t 1 1
        r TQ.CLEAR c KEYS 2 a b
        r TQ.CREATE c OR ALTER MAXSAMPLES 10
        assert_equal 0 [r TQ.CLEAR c WHERE 17 {*}[concat {*}[lrepeat 17 {t = 1}]]]
    }

    test "replies keep their order behind a scan" {
        fill_scan p
        assert_equal {7 PONG 1 PONG 0} \
            [pipeline [client] [list [list TQ.COUNT p WHERE 1 n < 7] PING \
                                    [list TQ.CLEAR p WHERE 1 n >= [expr {$::samples - 1}]] PING \
                                    [list TQ.COUNT p WHERE 1 n >= [expr {$::samples - 1}]]]]
    }

    test "in a transaction a scan is done at once" {
        fill_scan p
        assert_equal {OK QUEUED QUEUED {1 1}} \
            [pipeline [client] [list MULTI [list TQ.COUNT p WHERE 1 n >= [expr {$::samples - 1}]] \
                                    [list TQ.CLEAR p WHERE 1 n >= [expr {$::samples - 1}]] EXEC]]
    }

    test "a scan ends with its client, and with its partition" {
        fill_scan p
        set a [client]
        set b [client]
        signal_process STOP [srv pid]
        resp::send $a TQ.COUNT p WHERE 1 n >= 1
        resp::close $a
        resp::send $b TQ.COUNT p WHERE 1 n >= 2
        resp::send [r] TQ.CLEAR p
        signal_process CONT [srv pid]
        assert_equal $::samples [resp::receive [r]]
        assert {[resp::receive $b] in [list 0 [expr {$::samples - 2}]]}
        wait_blocked 0
        assert_equal 0 [r TQ.COUNT p WHERE 1 n >= 1]
    }

    test "many scans at once, each with conditions of its own" {
        fill_scan p
        set clients {}
        for {set i 1} {$i <= 20} {incr i} {
            lappend clients [client]
            resp::send [lindex $clients end] TQ.COUNT p WHERE 1 n >= [expr {$::samples - $i}]
        }
        set i 0
        foreach c $clients {
            assert_equal [incr i] [resp::receive $c]
        }
    }

    test "a call that waits for samples of its WHERE is served when one comes" {
        fill_scan p
        set a [client]
        resp::send $a TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS WHERE 1 n >= 1000000 BLOCK 0
        wait_blocked 1
        r TQ.PUT p other TAGS 1 n 5 FIELDS 1 f x
        r TQ.PUT p late TAGS 1 n 1000000 FIELDS 1 f x
        assert_equal late [resp::receive $a]
    }
}
