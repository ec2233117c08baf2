# TQ.EXPECT, TQ.SEAL and the end of a stream.

start_server {} {
    test "TQ.SEAL and TQ.EXPECT make the partition as needed" {
        assert_equal {simple OK} [typed TQ.SEAL p]
        assert_equal {simple OK} [typed TQ.EXPECT q 5]
        assert_same_set {p q} [r TQ.LIST]
        assert_equal OK [r TQ.SEAL p]
        assert_equal OK [r TQ.EXPECT q 6]
    }

    test "a new sample after TQ.SEAL is FULL" {
        fill p 1 2
        r TQ.SEAL p
        assert_refused "FULL *" {r TQ.PUT p k3 FIELDS 2 f v g v}
        assert_refused "FULL *" {r TQ.PUT p k3 TAGS 1 t x}
        assert_refused "FULL *" {r TQ.PUT p k3 GROUP g 2}
        assert_equal (nil) [r TQ.PUT p k3 XX FIELDS 1 f v]
    }

    test "samples of a sealed partition may still be written" {
        fill p 1 2
        r TQ.SEAL p
        assert_equal 0 [r TQ.PUT p k1 FIELDS 2 f new g v TAGS 1 t x]
        assert_equal new [cell p k1 f]
        assert_equal (nil) [r TQ.PUT p k1 NX FIELDS 1 f v]
    }

    test "more samples than expected are FULL" {
        r TQ.EXPECT p 3
        fill p 1 3
        assert_refused "FULL *" {r TQ.PUT p k4 FIELDS 1 f v}
        assert_equal 0 [r TQ.PUT p k3 FIELDS 1 f again]
        r TQ.EXPECT p 4
        assert_equal 1 [r TQ.PUT p k4 FIELDS 1 f v]
    }

    test "an expectation below what was written is FULL and changes nothing" {
        fill p 1 3
        assert_error "FULL *" {r TQ.EXPECT p 2}
        r TQ.CLEAR p KEYS 1 k1
        assert_error "FULL *" {r TQ.EXPECT p 2}
        assert_equal 1 [r TQ.PUT p k4 FIELDS 1 f v]
        r TQ.EXPECT p 4
        assert_error "FULL *" {r TQ.EXPECT p 3}
        assert_equal 4 [dict get [r TQ.STATUS p] expected]
    }

    test "TQ.EXPECT of what is no number is an error and makes no partition" {
        foreach wrong {-1 abc 1.5 "" 99999999999999999999 18446744073709551617} {
            assert_error "ERR *" {r TQ.EXPECT p $wrong}
        }
        foreach wrong {{TQ.EXPECT p} {TQ.EXPECT} {TQ.EXPECT p 1 2} {TQ.SEAL} {TQ.SEAL p x}} {
            assert_error "ERR *" {r {*}$wrong}
        }
        assert_equal 0 [r EXISTS p]
    }

    test "what remains of a sealed partition is handed out even if fewer than COUNT" {
        fill p 1 5
        r TQ.SEAL p
        assert_equal {k1 k2 k3} [take p t 3]
        assert_equal {k4 k5} [take p t 3]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 3 FIELDS 1 f]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 3 FIELDS 1 f]
    }

    test "the end of a stream is a bare empty array in every form" {
        fill p 1 1
        r TQ.SEAL p
        take p t 1
        foreach form {ROWS TEXT KEYS} {
            assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 3 FIELDS 1 f AS $form]
            assert_equal {array {}} [typed [client3] TQ.SAMPLE p t COUNT 3 FIELDS 1 f AS $form]
        }
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 3 FIELDS 1 f BLOCK 0]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 3 FIELDS 1 f ATLEAST 2]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 3 FIELDS 1 f KEEP]
    }

    test "what remains is handed out whatever ATLEAST says" {
        fill p 1 2
        r TQ.SEAL p
        assert_equal {k1 k2} [take p t 10 ATLEAST 5]
        assert_equal {} [take p t 10 ATLEAST 5]
    }

    test "an expected number that was written ends the stream" {
        r TQ.EXPECT p 5
        fill p 1 4
        assert_equal {k1 k2 k3} [take p t 3]
        assert_equal (nil) [take p t 3]
        fill p 5 5
        assert_equal {k4 k5} [take p t 3]
        assert_equal {} [take p t 3]
    }

    test "an expectation may come after the samples" {
        fill p 1 5
        take p t 3
        assert_equal (nil) [take p t 3]
        r TQ.EXPECT p 5
        assert_equal {k4 k5} [take p t 3]
        assert_equal {} [take p t 3]
    }

    test "cleared samples count as written" {
        r TQ.EXPECT p 5
        fill p 1 5
        take p t 2
        assert_equal 2 [r TQ.CLEAR p KEYS 2 k1 k2]
        assert_equal {k3 k4 k5} [take p t 10]
        assert_equal {} [take p t 10]
        r TQ.CLEAR p KEYS 3 k3 k4 k5
        assert_equal {} [take p t 10]
    }

    test "a partition with a sample that lacks the fields is not complete" {
        fill p 1 3
        r TQ.PUT p k2 FIELDS 1 g v
        r TQ.PUT p k4 FIELDS 1 g v
        r TQ.SEAL p
        assert_equal (nil) [take p t 10]
        assert_equal {k1 k2} [take p t 2]
        assert_equal (nil) [take p t 2]
        r TQ.PUT p k4 FIELDS 1 f v
        assert_equal {k3 k4} [take p t 10]
        assert_equal {} [take p t 10]
    }

    test "completeness is asked of the fields of the call" {
        fill p 1 3
        r TQ.PUT p k1 FIELDS 1 g v
        r TQ.SEAL p
        assert_equal k1 [r TQ.SAMPLE p t COUNT 1 FIELDS 2 f g AS KEYS]
        assert_equal (nil) [r TQ.SAMPLE p t COUNT 1 FIELDS 2 f g AS KEYS]
        assert_equal {k2 k3} [take p t 10]
        assert_equal {} [take p t 10]
    }

    test "a sample that lacks a field ends nothing, until it is cleared" {
        fill p 1 2
        r TQ.PUT p lacking TAGS 1 t x
        r TQ.SEAL p
        take p t 2
        assert_equal (nil) [take p t 2]
        r TQ.CLEAR p KEYS 1 lacking
        assert_equal {} [take p t 2]
    }

    test "clearing a cell makes a sealed partition incomplete" {
        fill p 1 2
        r TQ.SEAL p
        take p t 2
        assert_equal {} [take p t 1]
        r TQ.CLEAR p KEYS 1 k1 FIELDS 1 f
        assert_equal (nil) [take p t 1]
        r TQ.PUT p k1 FIELDS 1 f v
        assert_equal {} [take p t 1]
    }

    test "a sealed empty partition is at its end" {
        r TQ.SEAL p
        assert_equal {} [take p t 1]
        assert_equal {} [take p t 1 BLOCK 0]
        assert_equal {} [r TQ.SAMPLE p t COUNT 4 FIELDS 2 any field BY GROUP 4]
    }

    test "every task comes to the end by itself" {
        fill p 1 3
        r TQ.SEAL p
        assert_equal {k1 k2 k3} [take p a 5]
        assert_equal {} [take p a 5]
        assert_equal {k1 k2 k3} [take p b 5]
        assert_equal {} [take p b 5]
    }

    test "what WHERE does not admit does not hold up the end" {
        foreach i [range 1 4] { r TQ.PUT p k$i TAGS 1 n $i FIELDS 1 f v }
        r TQ.SEAL p
        assert_equal {k3 k4} [take p t 10 WHERE 1 n > 2]
        assert_equal {} [take p t 10 WHERE 1 n > 2]
        assert_equal {} [take p t 1 WHERE 1 missing = x]
        assert_equal {k1 k2} [take p t 10]
        assert_equal {} [take p t 10]
    }

    test "at the end, groups that remain are handed out, broken ones are not" {
        foreach i [range 1 4] { r TQ.PUT p k$i GROUP a 4 FIELDS 1 f v }
        foreach i [range 5 7] { r TQ.PUT p k$i GROUP b 4 FIELDS 1 f v }
        r TQ.PUT p lone FIELDS 1 f v
        r TQ.SEAL p
        assert_equal {k1 k2 k3 k4} [take p t 8 BY GROUP]
        assert_equal {} [take p t 8 BY GROUP]
        assert_equal {k5 k6 k7 lone} [take p t 8]
        assert_equal {} [take p t 8]
    }

    test "at the end, runs that remain are handed out, shorter ones are not" {
        fill p 1 7
        r TQ.SEAL p
        assert_equal {k1 k2 k3 k4 k5 k6} [take p t 9 BY GROUP 3]
        assert_equal {} [take p t 9 BY GROUP 3]
        assert_equal k7 [take p t 9]
        assert_equal {} [take p t 9]
    }

    test "COUNT must be a multiple of the group at the end too" {
        fill p 1 6
        r TQ.SEAL p
        assert_error "ERR *" {take p t 4 BY GROUP 3}
    }

    test "KEEP at the end goes on handing out what is there" {
        fill p 1 2
        r TQ.SEAL p
        assert_equal {k1 k2} [take p t 5 KEEP]
        assert_equal {k1 k2} [take p t 5 KEEP]
        take p t 5
        assert_equal {} [take p t 5 KEEP]
    }

    test "TQ.RESET after the end begins again" {
        fill p 1 3
        r TQ.SEAL p
        assert_equal {k1 k2 k3} [take p t 5]
        assert_equal {} [take p t 5]
        assert_equal 3 [r TQ.RESET p TASK t]
        assert_equal {k1 k2 k3} [take p t 5]
        assert_equal {} [take p t 5]
    }

    test "a larger expectation puts the end off" {
        r TQ.EXPECT p 2
        fill p 1 2
        take p t 2
        assert_equal {} [take p t 1]
        r TQ.EXPECT p 3
        assert_equal (nil) [take p t 1]
        fill p 3 3
        assert_equal k3 [take p t 2]
        assert_equal {} [take p t 1]
    }

    test "TQ.CLEAR of the partition forgets seal and expectation" {
        r TQ.EXPECT p 2
        fill p 1 2
        r TQ.SEAL p
        r TQ.CLEAR p
        assert_equal (nil) [take p t 1]
        fill p 1 5
        assert_equal {k1 k2} [take p t 2]
        assert_equal (nil) [take p t 4]
    }

    test "TQ.CLEAR KEYS does not unseal" {
        fill p 1 2
        r TQ.SEAL p
        r TQ.CLEAR p KEYS 2 k1 k2
        assert_equal {} [take p t 1]
        assert_error "FULL *" {r TQ.PUT p k9 FIELDS 1 f v}
        assert_error "FULL *" {r TQ.PUT p k1 FIELDS 1 f v}
    }

    test "a consumer's loop ends at the end, whatever the batch" {
        foreach batch {1 2 3 5 7 64 100 101 1000} {
            r TQ.CLEAR p
            r TQ.EXPECT p 100
            fill p 1 100
            set seen {}
            while {[llength [set keys [take p t $batch BLOCK 0]]]} {
                lappend seen {*}$keys
            }
            assert_equal [names k 1 100] $seen "batches of $batch"
        }
    }
}
