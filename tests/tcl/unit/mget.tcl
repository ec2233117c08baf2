# TQ.MGET in rows.

start_server {} {
    test "TQ.MGET answers in the order of the keys asked for" {
        fill p 1 5
        assert_equal {v3 v1 v5} [r TQ.MGET p KEYS 3 k3 k1 k5 FIELDS 1 f]
        assert_equal {{f v3} {f v1}} [r TQ.MGET p KEYS 2 k3 k1]
    }

    test "TQ.MGET answers in the order of the fields asked for" {
        r TQ.PUT p k FIELDS 3 a 1 b 2 c 3
        assert_equal {{3 1 2}} [r TQ.MGET p KEYS 1 k FIELDS 3 c a b]
    }

    test "a key may be asked for twice" {
        fill p 1 2
        assert_equal {v2 v2 v1} [r TQ.MGET p KEYS 3 k2 k2 k1 FIELDS 1 f]
    }

    test "a row is an array of raw values, nil where nothing was produced" {
        r TQ.PUT p k1 FIELDS 2 a 1 b ""
        r TQ.PUT p k2 FIELDS 1 b 2
        lassign [typed TQ.MGET p KEYS 2 k1 k2 FIELDS 3 a b c] type rows
        assert_equal array $type
        lassign $rows first second
        assert_equal {{bulk 1} {bulk {}}} [lrange [lindex $first 1] 0 1]
        assert_match {nil *} [lindex $first 1 2]
        assert_match {nil *} [lindex $second 1 0]
        assert_equal {bulk 2} [lindex $second 1 1]
    }

    test "an unknown key is nil" {
        fill p 1 1
        lassign [typed TQ.MGET p KEYS 2 nosuch k1 FIELDS 1 f] _ rows
        assert_match {nil *} [lindex $rows 0]
        assert_equal {array {{bulk v1}}} [lindex $rows 1]
        lassign [typed TQ.MGET p KEYS 2 nosuch k1] _ rows
        assert_match {nil *} [lindex $rows 0]
    }

    test "an unknown partition has no keys" {
        assert_equal {(nil) (nil)} [r TQ.MGET nosuch KEYS 2 a b FIELDS 1 f]
        assert_equal {(nil) (nil)} [r TQ.MGET nosuch KEYS 2 a b]
        assert_equal {} [r TQ.MGET nosuch KEYS 2 a b MISSING SKIP]
        assert_error "NOKEY *a*" {r TQ.MGET nosuch KEYS 2 a b MISSING ERROR}
        assert_equal 0 [r EXISTS nosuch]
    }

    test "without FIELDS a row is a map of what is there" {
        r TQ.PUT p k FIELDS 2 a 1 b 2
        r TQ.PUT p l FIELDS 1 c 3
        r TQ.PUT p m TAGS 1 t x
        assert_equal {a 1 b 2} [lsort -stride 2 [lindex [r TQ.MGET p KEYS 1 k] 0]]
        assert_equal {{c 3} {}} [r TQ.MGET p KEYS 2 l m]
        assert_equal {array {{map {{bulk c} {bulk 3}}} {map {}}}} [typed [client3] TQ.MGET p KEYS 2 l m]
    }

    test "MISSING NULL is how rows are anyway" {
        fill p 1 1
        assert_equal {(nil) v1} [r TQ.MGET p KEYS 2 nosuch k1 FIELDS 1 f MISSING NULL]
        assert_equal {{(nil) v1}} [r TQ.MGET p KEYS 1 k1 FIELDS 2 g f MISSING NULL]
        assert_equal {(nil) {f v1}} [r TQ.MGET p KEYS 2 nosuch k1 MISSING NULL]
    }

    test "MISSING SKIP leaves samples out that lack anything asked for" {
        r TQ.PUT p k1 FIELDS 2 a 1 b 1
        r TQ.PUT p k2 FIELDS 1 a 2
        r TQ.PUT p k3 FIELDS 2 a 3 b 3
        assert_equal {{3 3} {1 1}} [r TQ.MGET p KEYS 4 k3 k2 nosuch k1 FIELDS 2 a b MISSING SKIP]
        assert_equal {} [r TQ.MGET p KEYS 1 k2 FIELDS 1 b MISSING SKIP]
        assert_equal {{a 2}} [r TQ.MGET p KEYS 2 nosuch k2 MISSING SKIP]
    }

    test "MISSING ERROR names the first culprit" {
        r TQ.PUT p k1 FIELDS 2 aa 1 bb 1
        r TQ.PUT p k2 FIELDS 1 aa 2
        assert_error "NOKEY *nosuch*" {r TQ.MGET p KEYS 3 k1 nosuch other FIELDS 1 aa MISSING ERROR}
        set message [assert_error "NOTREADY *bb*" {r TQ.MGET p KEYS 2 k1 k2 FIELDS 2 aa bb MISSING ERROR}]
        assert_match "*k2*" $message
        assert_error "NOTREADY *zz*" {r TQ.MGET p KEYS 1 k1 FIELDS 2 aa zz MISSING ERROR}
        assert_equal {{1 1}} [r TQ.MGET p KEYS 1 k1 FIELDS 2 aa bb MISSING ERROR]
        assert_error "NOKEY *nosuch*" {r TQ.MGET p KEYS 2 k1 nosuch MISSING ERROR AS TEXT}
    }

    test "clauses come in any order behind KEYS" {
        fill p 1 1
        assert_equal v1 [r TQ.MGET p KEYS 1 k1 MISSING SKIP AS ROWS FIELDS 1 f]
        assert_equal v1 [r TQ.MGET p KEYS 1 k1 AS TEXT FIELDS 1 f MISSING ERROR]
        assert_equal v1 [r tq.mget p keys 1 k1 as text fields 1 f missing error]
        assert_error "ERR *" {r TQ.MGET p FIELDS 1 f KEYS 1 k1}
    }

    test "a clause comes once, a word that is none is an error" {
        fill p 1 1
        foreach wrong {
            {} {KEYS} {KEYS 1} {KEYS 0} {KEYS 2 k1} {KEYS -1 k1} {KEYS x k1} {KEYS 1.5 k1} {k1} {KEYS 1 k1 k2}
            {KEYS 99999999999999999999 k1} {KEYS 18446744073709551617 k1} {KEYS 4294967297 k1}
            {KEYS 1 k1 FIELDS} {KEYS 1 k1 FIELDS 0} {KEYS 1 k1 FIELDS 2 f} {KEYS 1 k1 FIELDS -1 f}
            {KEYS 1 k1 FIELDS 1 f g} {KEYS 1 k1 FIELDS 1 f FIELDS 1 f} {KEYS 1 k1 AS} {KEYS 1 k1 AS NOSUCH}
            {KEYS 1 k1 AS ROWS AS ROWS} {KEYS 1 k1 AS KEYS} {KEYS 1 k1 MISSING} {KEYS 1 k1 MISSING NOSUCH}
            {KEYS 1 k1 MISSING NULL MISSING NULL} {KEYS 1 k1 KEYS 1 k1} {KEYS 1 k1 NOSUCH}
            {KEYS 1 k1 FIELDS 1 @x} {KEYS 1 k1 FIELDS 1 {}} {KEYS 1 {}}
        } {
            assert_error "ERR *" {r TQ.MGET p {*}$wrong}
        }
    }

    test "many keys at once" {
        set n [sized 5000 200000]
        fill p 1 $n
        set keys [names k 1 $n]
        set values [r TQ.MGET p KEYS $n {*}$keys FIELDS 1 f]
        assert_equal [names v 1 $n] $values
    }

    test "a field may be asked for that no sample has" {
        fill p 1 2
        assert_equal {(nil) (nil)} [r TQ.MGET p KEYS 2 k1 k2 FIELDS 1 never]
    }

    test "what is read is the value at the time of the command" {
        set c [client]
        set old [random_bytes 3000000 1]
        set new [random_bytes 3000000 2]
        r TQ.PUT p k FIELDS 1 f $old
        resp::send $c TQ.MGET p KEYS 1 k FIELDS 1 f
        barrier
        r TQ.PUT p k FIELDS 1 f $new
        r TQ.CLEAR p
        r TQ.PUT q k FIELDS 1 f [random_bytes 3000000 3]
        assert_equal [list [list $old]] [resp::receive $c]
    }
}
