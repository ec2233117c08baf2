# TQ.LIST: partitions, and the samples of one, in insertion order.

start_server {} {
    test "TQ.LIST names the partitions" {
        assert_equal {array {}} [typed TQ.LIST]
        r TQ.PUT p k TAGS 1 t x
        r TQ.PUT q k TAGS 1 t x
        r TQ.SEAL s
        assert_same_set {p q s} [r TQ.LIST]
    }

    test "TQ.LIST of a partition lists keys in insertion order" {
        foreach key {delta alpha charlie bravo} {
            r TQ.PUT p $key TAGS 1 t x
        }
        r TQ.PUT p alpha TAGS 1 t again
        assert_equal {0 {delta alpha charlie bravo}} [r TQ.LIST p]
        assert_equal {array {{bulk 0} {array {{bulk delta} {bulk alpha} {bulk charlie} {bulk bravo}}}}} \
            [typed TQ.LIST p]
    }

    test "an unknown partition lists nothing" {
        assert_equal {0 {}} [r TQ.LIST nosuch]
        assert_equal {0 {}} [r TQ.LIST nosuch WHERE 1 t = x WITH TAGS]
        assert_equal 0 [r EXISTS nosuch]
    }

    test "COUNT says how many samples are looked at in one step" {
        fill p 1 25
        lassign [r TQ.LIST p COUNT 10] cursor page
        assert_equal [names k 1 10] $page
        lassign [r TQ.LIST p CURSOR $cursor COUNT 10] cursor page
        assert_equal [names k 11 20] $page
        lassign [r TQ.LIST p CURSOR $cursor COUNT 10] cursor page
        assert_equal [names k 21 25] $page
        assert_equal 0 $cursor
    }

    test "a step looks at 1000 samples unless told otherwise" {
        fill p 1 2500
        lassign [r TQ.LIST p] cursor page
        assert_equal [names k 1 1000] $page
        assert {$cursor ne "0"}
        assert_equal [names k 1 2500] [list_all p]
    }

    test "a listing is the same in steps of any size" {
        fill p 1 70
        r TQ.CLEAR p KEYS 5 k1 k2 k30 k64 k70
        set all [list_all p]
        assert_equal 65 [llength $all]
        foreach step {1 2 3 7 63 64 65 66 1000000} {
            assert_equal $all [list_all p COUNT $step] "steps of $step"
        }
    }

    test "MATCH filters keys by a pattern" {
        fill p 1 12
        assert_equal {k1 k10 k11 k12} [list_all p MATCH k1*]
        assert_equal {k10 k11 k12} [list_all p MATCH k1?]
        assert_equal {k2 k3} [list_all p MATCH {k[23]}]
        assert_equal {} [list_all p MATCH nosuch*]
        assert_equal {k1 k10 k11 k12} [list_all p MATCH k1* COUNT 1]
    }

    test "a step may find nothing and still not be the last" {
        fill p 1 30
        lassign [r TQ.LIST p COUNT 10 MATCH k25] cursor page
        assert_equal {} $page
        assert {$cursor ne "0"}
        assert_equal k25 [list_all p COUNT 10 MATCH k25]
    }

    test "WITH TAGS and WITH FIELDS tell more of each sample" {
        r TQ.PUT p k1 TAGS 2 a 1 b 2 FIELDS 2 f v g w
        r TQ.PUT p k2 FIELDS 1 g w
        r TQ.PUT p k3 TAGS 1 a 3
        lassign [lindex [r TQ.LIST p WITH TAGS WITH FIELDS] 1] one two three
        assert_equal {a 1 b 2} [lsort -stride 2 [lindex $one 1]]
        assert_equal {f g} [lsort [lindex $one 2]]
        assert_equal {k2 {} g} $two
        assert_equal {k3 {a 3} {}} $three
        assert_equal {{k2 {}} {k3 {a 3}}} [lrange [list_all p WITH TAGS] 1 2]
        assert_equal {{k2 g} {k3 {}}} [lrange [list_all p WITH FIELDS] 1 2]
    }

    test "the order of the WITHs asked for does not matter" {
        r TQ.PUT p k1 TAGS 1 a 1 FIELDS 1 f v
        assert_equal {{k1 {a 1} f}} [list_all p WITH FIELDS WITH TAGS]
    }

    test "clauses come in any order" {
        fill p 1 20
        r TQ.PUT p k15 TAGS 1 t x
        assert_equal {{k15 {t x}}} [list_all p WITH TAGS WHERE 1 t = x MATCH k1* COUNT 5]
        assert_equal {{k15 {t x}}} [list_all p COUNT 5 MATCH k1* WHERE 1 t = x WITH TAGS]
    }

    test "a sample that is there throughout a scan is listed once, whatever else happens" {
        fill p 1 300
        set seen {}
        set cursor 0
        set new 300
        while 1 {
            lassign [r TQ.LIST p CURSOR $cursor COUNT 7] cursor page
            lappend seen {*}$page
            if {$cursor eq "0" || $new > 340} {
                break
            }
            r TQ.PUT p k[incr new] FIELDS 1 f v
            r TQ.PUT p k[expr {$new - 150}] FIELDS 1 g overwritten
            r TQ.CLEAR p KEYS 2 k[expr {$new - 300}] k[expr {$new - 100}]
        }
        while {$cursor ne "0"} {
            lassign [r TQ.LIST p CURSOR $cursor COUNT 7] cursor page
            lappend seen {*}$page
        }
        assert_equal [llength $seen] [llength [lsort -unique $seen]]
        set gone [concat [names k 1 [expr {$new - 300}]] [names k 201 [expr {$new - 100}]]]
        foreach key [names k 1 300] {
            if {$key ni $gone} {
                assert {$key in $seen} "$key was not listed"
            }
        }
    }

    test "a scan goes on when the sample it stood at is cleared" {
        fill p 1 20
        lassign [r TQ.LIST p COUNT 5] cursor page
        r TQ.CLEAR p KEYS 4 k4 k5 k6 k7
        lassign [r TQ.LIST p CURSOR $cursor COUNT 100] cursor page
        assert_equal [names k 8 20] $page
        assert_equal 0 $cursor
    }

    test "a scan goes on when its partition is cleared and written again" {
        fill p 1 20
        lassign [r TQ.LIST p COUNT 5] cursor page
        r TQ.CLEAR p
        lassign [r TQ.LIST p CURSOR $cursor COUNT 100] end page
        assert_equal {0 {}} [list $end $page]
        fill p 1 3
        lassign [r TQ.LIST p CURSOR $cursor COUNT 100] end page
        assert_equal 0 $end
    }

    test "a sample cleared and written again stands at the end" {
        fill p 1 3
        r TQ.CLEAR p KEYS 1 k1
        assert_equal 1 [r TQ.PUT p k1 FIELDS 1 f v]
        assert_equal {k2 k3 k1} [list_all p]
    }

    test "a listing passes over thousands that were cleared" {
        fill p 1 5000
        r TQ.CLEAR p KEYS 3000 {*}[names k 1001 4000]
        assert_equal [concat [names k 1 1000] [names k 4001 5000]] [list_all p]
        r TQ.CLEAR p KEYS 1999 {*}[names k 1 1000] {*}[names k 4001 4999]
        assert_equal k5000 [list_all p]
        fill p 1 3
        assert_equal {k5000 k1 k2 k3} [list_all p]
        assert_equal {k5000 k1 k2 k3} [take p t 4]
    }

    test "any word at all may come back as a cursor" {
        fill p 1 10
        foreach cursor {-1 00 1 5 11 1000000 4294967295 4294967296 18446744073709551615 "" " 0" 0x0} {
            catch {r TQ.LIST p CURSOR $cursor}
        }
        catch {r TQ.LIST p CURSOR [random_bytes 100]}
        catch {r TQ.LIST p CURSOR [string repeat 1 100000]}
        assert_equal [names k 1 10] [list_all p]
    }

    test "what is no count, cursor or clause is an error" {
        fill p 1 3
        foreach wrong {
            {COUNT} {COUNT 0} {COUNT -1} {COUNT abc} {COUNT 1.5} {COUNT 99999999999999999999}
            {COUNT 18446744073709551617} {COUNT 1 COUNT 1} {CURSOR} {CURSOR 0 CURSOR 0} {CURSOR nosuch!}
            {CURSOR 99999999999999999999999999} {MATCH} {MATCH a MATCH b} {WITH} {WITH NOSUCH}
            {WITH TAGS WITH TAGS} {NOSUCH} {WHERE} {WHERE 0} {WHERE 1} {WHERE 1 a} {WHERE 1 a =}
            {WHERE 2 a = 1} {WHERE -1 a = 1} {WHERE x a = 1} {WHERE 1 a = 1 WHERE 1 a = 1} {KEYS 1 k1}
            {WHERE 99999999999999999999 a = 1} {WHERE 6148914691236517206 a = 1} {TAGS} {COUNT 1 extra}
        } {
            assert_error "ERR *" {r TQ.LIST p {*}$wrong}
        }
    }
}
