# TQ.SAMPLE … RANK r BATCH b: what a rank got under a batch's number it gets again. BALANCED.

# The keys that a rank gets.
proc share {rank batch count args} {
    return [take p t $count RANK $rank BATCH $batch {*}$args]
}

# Samples k1, k2, …, with these lengths in the tag len.
proc fill_lengths {lengths} {
    set i 0
    foreach length $lengths {
        r TQ.PUT p k[incr i] TAGS 1 len $length FIELDS 1 f v$i
    }
}

proc sum_of {keys} {
    set sum 0
    foreach key $keys {
        incr sum [dict get [tags p $key] len]
    }
    return $sum
}

start_server {} {
    test "the same rank and batch twice: identical" {
        fill p 1 8
        assert_equal {k1 k2} [share 0 0 2]
        assert_equal {k1 k2} [share 0 0 2]
        assert_equal {k3 k4} [share 1 0 2]
        assert_equal {k1 k2} [share 0 0 2]
        assert_equal {k3 k4} [resp::call [client] TQ.SAMPLE p t COUNT 2 FIELDS 1 f RANK 1 BATCH 0 AS KEYS]
        assert_equal 4 [consumed p t]
    }

    test "another batch: disjoint" {
        fill p 1 6
        assert_equal {k1 k2} [share 0 0 2]
        assert_equal {k3 k4} [share 0 1 2]
        assert_equal {k5 k6} [share 0 18446744073709551615 2]
        assert_equal {k3 k4} [share 0 1 2]
        assert_refused "NOKEY rank 0 is done with batch 7: *" {share 0 7 2}
    }

    test "another task or partition: independent" {
        fill p 1 4
        fill q 1 4
        assert_equal {k1 k2} [share 0 0 2]
        assert_equal {k1 k2} [take p other 2 RANK 0 BATCH 0]
        assert_equal {k1 k2} [take q t 2 RANK 0 BATCH 0]
    }

    test "not enough is nil, and decides nothing" {
        fill p 1 1
        assert_equal (nil) [share 0 0 2]
        assert_equal k1 [take p t 1]
        fill p 2 3
        assert_equal {k2 k3} [share 0 0 2]
    }

    test "another COUNT, sampler or WHERE is an error" {
        fill p 1 8
        r TQ.PUT p k1 TAGS 1 v 1
        share 0 0 2
        foreach other {{3} {2 BY LIFO} {2 BY GROUP 2} {2 WHERE 1 v = 1}} {
            assert_refused "ERR batch 0 of rank 0 was taken with another*" {share 0 0 {*}$other}
        }
        assert_equal {k1 k2} [share 0 0 2 BY sequential]
    }

    test "a drawn seed does not make another call of it, a given one does" {
        fill p 1 20
        set first [share 0 0 5 BY RANDOM]
        assert_equal $first [share 0 0 5 BY RANDOM]
        assert_refused "ERR *another*" {share 0 0 5 BY RANDOM SEED 1}
        set second [share 0 1 5 BY RANDOM SEED 1]
        assert_refused "ERR *another*" {share 0 1 5 BY RANDOM SEED 2}
        assert_equal $second [share 0 1 5 BY RANDOM SEED 1]
    }

    test "cleared samples are never handed out by a remembered batch" {
        fill p 1 6
        share 0 0 3
        r TQ.CLEAR p KEYS 1 k2
        assert_equal {k1 k3} [share 0 0 3]
        r TQ.CLEAR p KEYS 2 k1 k3
        assert_refused "NOKEY all that rank 0 got of batch 0 was cleared" {share 0 0 3}
        assert_equal {k4 k5 k6} [share 0 1 3]
    }

    test "RESET forgets batches, with KEYS what they have of these" {
        fill p 1 4
        share 0 0 2
        share 0 1 2
        r TQ.RESET p TASK t KEYS 1 k2
        assert_equal k1 [share 0 0 2]
        assert_equal k2 [take p t 1]
        assert_equal k1 [share 0 0 2]
        r TQ.RESET p TASK t
        assert_equal {k1 k2} [share 0 1 2]
    }

    test "a partition takes its batches with it" {
        fill p 1 2
        share 0 0 2
        r TQ.CLEAR p
        fill p 3 4
        assert_equal {k3 k4} [share 0 0 2]
    }

    test "a remembered batch can be asked for other fields; what is not produced is nil, in columns an error" {
        r TQ.PUT p k1 FIELDS 1 f 1
        share 0 0 1
        assert_equal {{k1 (nil)}} [r TQ.SAMPLE p t COUNT 1 FIELDS 1 g RANK 0 BATCH 0]
        assert_refused "NOTREADY *" {r TQ.SAMPLE p t COUNT 1 FIELDS 1 g RANK 0 BATCH 0 AS COLUMNS}
        r TQ.PUT p k1 FIELDS 1 g 2
        assert_equal {{k1 2}} [r TQ.SAMPLE p t COUNT 1 FIELDS 1 g RANK 0 BATCH 0]
    }

    test "a batch that was decided does not queue behind calls that wait" {
        fill p 1 2
        share 0 0 2
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 2 FIELDS 1 f RANK 0 BATCH 1 BLOCK 0 AS KEYS
        wait_blocked 1
        assert_equal {k1 k2} [share 0 0 2 BLOCK 0]
        fill p 3 4
        assert_equal {k3 k4} [resp::receive $c]
    }

    test "RANK and BATCH need each other, and go neither with LEASE nor with KEEP" {
        fill p 1 2
        assert_refused "ERR *RANK and BATCH*" {take p t 1 RANK 0}
        assert_refused "ERR *RANK and BATCH*" {take p t 1 BATCH 0}
        assert_refused "ERR *RANK*LEASE*" {share 0 0 1 LEASE 5}
        assert_refused "ERR *RANK*KEEP*" {share 0 0 1 KEEP}
        assert_refused "ERR *RANK*" {share -1 0 1}
        assert_refused "ERR *BATCH*" {share 0 x 1}
        assert_equal 0 [llength [dict get [r TQ.STATUS p] tasks]]
    }

    test "BALANCED: 4 prompts of 2, lengths 100 and 10: the sums differ by 0, ranks get whole groups" {
        foreach {group length} {a 100 b 100 c 10 d 10} {
            foreach i {1 2} {
                r TQ.PUT p $group$i GROUP $group 2 TAGS 1 len $length FIELDS 1 f v
            }
        }
        set zero [share 0 0 4 BY BALANCED len 2 GROUP]
        set one [share 1 0 4 BY BALANCED len 2 GROUP]
        assert_equal {a1 a2 b1 b2 c1 c2 d1 d2} [lsort [concat $zero $one]]
        assert_equal [sum_of $zero] [sum_of $one]
        foreach keys [list $zero $one] {
            foreach {left right} $keys {
                assert_equal [string index $left 0] [string index $right 0]
            }
        }
    }

    test "BALANCED: the first call decides for all ranks, two batches in flight never share a sample" {
        fill_lengths {9 1 8 2 7 3 6 4 5 5 4 6 3 7 2 8}
        set a [share 2 0 2 BY BALANCED len 4]
        assert_equal 8 [consumed p t]
        set b [share 0 1 2 BY BALANCED len 4]
        assert_equal 16 [consumed p t]
        set all [concat $a $b]
        foreach {rank batch} {0 0 1 0 3 0 1 1 2 1 3 1} {
            lappend all {*}[share $rank $batch 2 BY BALANCED len 4]
        }
        assert_equal 16 [llength [lsort -unique $all]]
        assert_equal $a [share 2 0 2 BY BALANCED len 4]
    }

    test "BALANCED: a rank that waits goes when another rank's call decides" {
        fill_lengths {1 1 1}
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 2 FIELDS 1 f BY BALANCED len 2 RANK 1 BATCH 0 BLOCK 0 AS KEYS
        wait_blocked 1
        r MULTI
        r TQ.PUT p k4 FIELDS 1 f v
        r TQ.SAMPLE p t COUNT 2 FIELDS 1 f BY BALANCED len 2 RANK 0 BATCH 0 AS KEYS
        set zero [lindex [r EXEC] 1]
        assert_equal {k1 k2 k3 k4} [lsort [concat $zero [resp::receive $c]]]
    }

    test "BALANCED: a rank that waits for other fields goes, too" {
        fill_lengths {1 1 1}
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 2 FIELDS 2 f g BY BALANCED len 2 RANK 1 BATCH 0 BLOCK 0
        wait_blocked 1
        r TQ.PUT p k0 TAGS 1 len 1
        r TQ.PUT p k4 FIELDS 1 f v
        set zero [share 0 0 2 BY BALANCED len 2]
        set one [lmap row [resp::receive $c] {lindex $row 0}]
        assert_equal {k1 k2 k3 k4} [lsort [concat $zero $one]]
    }

    test "BALANCED: a rank beyond the ranks is an error" {
        fill_lengths {1 2 3 4}
        assert_refused "ERR RANK 2 is none of 2 ranks" {share 2 0 1 BY BALANCED len 2}
        assert_refused "ERR *RANK and BATCH*" {take p t 1 BY BALANCED len 2}
    }

    test "BALANCED: all ranks end at the same batch, with equal counts" {
        fill_lengths {1 2 3 4 5 6 7}
        r TQ.SEAL p
        set got {}
        foreach batch {0 1} count {4 2} {
            foreach rank {0 1} {
                set keys [share $rank $batch 2 BY BALANCED len 2]
                assert_equal [expr {$count / 2}] [llength $keys]
                lappend got {*}$keys
            }
        }
        assert_equal 6 [llength [lsort -unique $got]]
        foreach rank {0 1} {
            assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 2 FIELDS 1 f BY BALANCED len 2 RANK $rank BATCH 2]
        }
    }

    test "BALANCED: a share that was cleared whole is said, not decided anew" {
        fill_lengths {1 1 1 1}
        set keys [share 0 0 1 BY BALANCED len 2]
        share 1 0 1 BY BALANCED len 2
        r TQ.CLEAR p KEYS 1 $keys
        assert_refused "NOKEY all that rank 0 got of batch 0 was cleared" \
            {share 0 0 1 BY BALANCED len 2}
    }

    test "BALANCED: a rank that is asked about with more ranks than decided has no slice" {
        fill_lengths {1 1 1 1}
        share 0 0 1 BY BALANCED len 2
        assert_refused "NOKEY rank 2 has no slice of batch 0, which was decided for other ranks" \
            {share 2 0 1 BY BALANCED len 3}
    }

    test "RESET lets RETIRE have what a rank is not done with" {
        r TQ.CREATE p RETIRE 1 u
        fill_lengths {1 1 1 1}
        share 0 0 2 BY BALANCED len 2
        take p u 4
        assert_equal 4 [r TQ.COUNT p]
        r TQ.RESET p TASK t
        assert_equal 0 [r TQ.COUNT p]
    }

    test "RETIRE leaves what a rank is not done with, so that it gets the same again" {
        r TQ.CREATE p RETIRE 1 t
        fill_lengths {1 1 1 1}
        set zero [share 0 0 2 BY BALANCED len 2]
        set one [share 1 0 2 BY BALANCED len 2]
        assert_equal {k1 k2 k3 k4} [lsort [concat $zero $one]]
        assert_equal 4 [r TQ.COUNT p]
        assert_equal $zero [share 0 0 2 BY BALANCED len 2]
        fill_lengths {1 1 1 1 1 1 1 1}
        share 0 1 2 BY BALANCED len 2
        assert_equal 6 [r TQ.COUNT p]
        assert_equal $one [share 1 0 2 BY BALANCED len 2]
        assert_refused "NOKEY rank 0 is done with batch 0: *" {share 0 0 2 BY BALANCED len 2}
        share 1 1 2 BY BALANCED len 2
        assert_equal 4 [r TQ.COUNT p]
        assert_refused "NOKEY rank 1 is done with batch 0: *" {share 1 0 2 BY BALANCED len 2}
    }

    test "a rank is done with the batches before the one it asks for, also while the call waits" {
        r TQ.CREATE p MAXSAMPLES 2 RETIRE 1 t
        fill p 1 2
        share 0 0 2
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 2 FIELDS 1 f RANK 0 BATCH 1 BLOCK 0 AS KEYS
        wait_blocked 1
        assert_equal 0 [r TQ.COUNT p]
        fill p 3 4
        assert_equal {k3 k4} [resp::receive $c]
    }

    test "DONE says itself what a rank that fetches ahead is done with" {
        r TQ.CREATE p RETIRE 1 t
        fill p 1 8
        share 0 0 2
        share 0 1 2 DONE 0
        assert_equal 6 [r TQ.COUNT p]
        assert_refused "ERR DONE 2 is not below BATCH 2" {share 0 2 2 DONE 2}
        assert_refused "ERR *DONE needs RANK and BATCH" {take p t 2 DONE 0}
        share 0 2 2 DONE 0
        share 0 3 2 DONE 0
        assert_equal 6 [r TQ.COUNT p]
        assert_equal (nil) [share 0 4 2 DONE 2]
        assert_equal 2 [r TQ.COUNT p]
        assert_equal {k7 k8} [share 0 3 2 DONE 2]
    }

    test "a rank is done with a batch whose groups were cleared meanwhile" {
        r TQ.CREATE p RETIRE 1 t
        foreach group {a b c} {
            foreach member {1 2} { r TQ.PUT p $group$member GROUP $group 2 FIELDS 1 f v }
        }
        assert_equal {a1 a2} [share 0 0 2 BY GROUP]
        assert_equal 2 [r TQ.CLEAR p KEYS 2 a1 a2]
        assert_equal {b1 b2} [share 0 1 2 BY GROUP]
        assert_equal {c1 c2} [share 0 2 2 BY GROUP DONE 1]
        assert_equal 2 [r TQ.COUNT p]
    }

    test "a slice of a rank that is done with the batch before another one decides it is retired" {
        r TQ.CREATE p RETIRE 1 t
        fill p 1 4
        share 1 5 1 BY BALANCED v 2 DONE 4
        assert_equal 4 [r TQ.COUNT p]
        share 0 2 1 BY BALANCED v 2 DONE 1
        assert_equal 3 [r TQ.COUNT p]
        assert_refused "NOKEY *" {share 1 2 1 BY BALANCED v 2 DONE 0}
    }

    test "RESET of samples takes them out of all batches" {
        r TQ.CREATE p
        fill p 1 6
        foreach batch {0 1 2} { share 0 $batch 2 }
        assert_equal 3 [r TQ.RESET p TASK t KEYS 3 k5 k1 k2]
        assert_equal {k3 k4} [share 0 1 2]
        assert_equal k6 [share 0 2 2]
        assert_equal 3 [consumed p t]
    }
}
