# BY GROUP: declared groups, and runs of neighbours where none are declared.

# Members of a declared group of this size, all with field f.
proc fill_group {partition group size from to} {
    foreach i [range $from $to] {
        r TQ.PUT $partition k$i GROUP $group $size FIELDS 1 f v$i
    }
}

start_server {} {
    test "BY GROUP takes a declared group whole" {
        fill_group p a 3 1 3
        fill_group p b 3 4 6
        assert_equal {k1 k2 k3} [take p t 3 BY GROUP]
        assert_equal {k4 k5 k6} [take p t 3 BY GROUP]
        assert_equal (nil) [take p t 3 BY GROUP]
    }

    test "groups that were written interleaved come each contiguous, oldest first" {
        foreach {key group} {k1 a k2 b k3 a k4 b k5 a k6 b} {
            r TQ.PUT p $key GROUP $group 3 FIELDS 1 f v
        }
        assert_equal {k1 k3 k5 k2 k4 k6} [take p t 6 BY GROUP]
    }

    test "a group is complete when all its members exist" {
        fill_group p a 4 1 3
        fill_group p b 4 11 14
        assert_equal {k11 k12 k13 k14} [take p t 4 BY GROUP]
        assert_equal (nil) [take p t 4 BY GROUP]
        fill_group p a 4 4 4
        assert_equal {k1 k2 k3 k4} [take p t 4 BY GROUP]
    }

    test "a group is taken when all its members are ready" {
        fill_group p a 2 1 2
        fill_group p b 2 3 4
        foreach i {1 3 4} { r TQ.PUT p k$i FIELDS 1 reward 1 }
        assert_equal {{k3 1} {k4 1}} [r TQ.SAMPLE p t COUNT 2 FIELDS 1 reward BY GROUP]
        assert_equal (nil) [r TQ.SAMPLE p t COUNT 2 FIELDS 1 reward BY GROUP]
        r TQ.PUT p k2 FIELDS 1 reward 1
        assert_equal {{k1 1} {k2 1}} [r TQ.SAMPLE p t COUNT 2 FIELDS 1 reward BY GROUP]
    }

    test "fewer groups than COUNT wants are nil, unless ATLEAST admits them" {
        fill_group p a 2 1 2
        fill_group p b 2 3 4
        assert_equal (nil) [take p t 6 BY GROUP]
        assert_equal {k1 k2 k3 k4} [take p t 6 BY GROUP ATLEAST 2]
    }

    test "COUNT is a multiple of the groups' size" {
        fill_group p a 4 1 4
        foreach count {1 2 3 5 6 7} {
            assert_error "ERR *" {take p t $count BY GROUP}
        }
        assert_equal {k1 k2 k3 k4} [take p t 4 BY GROUP]
    }

    test "samples without a group are not taken BY GROUP" {
        r TQ.PUT p lone FIELDS 1 f v
        fill_group p a 2 1 2
        assert_equal {k1 k2} [take p t 2 BY GROUP]
        assert_equal (nil) [take p t 2 BY GROUP]
        assert_equal lone [take p t 1]
    }

    test "without BY GROUP, groups are not asked about" {
        fill_group p a 3 1 3
        assert_equal k1 [take p t 1]
        assert_equal (nil) [take p t 3 BY GROUP]
        assert_equal {k1 k2 k3} [take p u 3 BY GROUP]
    }

    test "a group of which the task has had a member is not whole, until that is reset" {
        fill_group p a 3 1 3
        take p t 1
        assert_equal (nil) [take p t 3 BY GROUP]
        r TQ.RESET p TASK t KEYS 1 k1
        assert_equal {k1 k2 k3} [take p t 3 BY GROUP]
    }

    test "a group that lost a member never completes again" {
        fill_group p a 3 1 3
        fill_group p b 3 4 6
        r TQ.CLEAR p KEYS 1 k2
        assert_equal {k4 k5 k6} [take p t 3 BY GROUP]
        foreach key {k2 k7} {
            assert_refused "ERR *group 'a'*lost a member*" {r TQ.PUT p $key GROUP a 3 FIELDS 1 f v}
            assert_refused "ERR *group 'a'*lost a member*" {
                r TQ.MPUT p KEYS 2 new $key GROUPS 3 other a TAGS 1 t 1 2
            }
        }
        assert_equal (nil) [take p t 3 BY GROUP]
    }

    test "a group is forgotten with its last member, and another size may follow" {
        fill_group p a 2 1 2
        r TQ.CLEAR p KEYS 2 k1 k2
        assert_equal 0 [dict get [r TQ.STATUS p] groups]
        fill_group p a 3 11 13
        assert_equal {k11 k12 k13} [take p t 3 BY GROUP]
    }

    test "a sample stays in its group" {
        fill_group p a 2 1 2
        r TQ.PUT p b1 GROUP b 2
        assert_refused "ERR *" {r TQ.PUT p k1 GROUP b 2 FIELDS 1 f new}
        assert_equal 0 [r TQ.PUT p k1 GROUP a 2 FIELDS 1 f new]
    }

    test "a sample may come into a group after it was written" {
        fill p 1 2
        assert_equal 0 [r TQ.PUT p k1 GROUP a 2]
        assert_equal (nil) [take p t 2 BY GROUP]
        assert_equal 0 [r TQ.PUT p k2 GROUP a 2]
        assert_equal {k1 k2} [take p t 2 BY GROUP]
    }

    test "WHERE admits a group only whole" {
        fill_group p a 2 1 2
        fill_group p b 2 3 4
        foreach {key n} {k1 1 k2 5 k3 5 k4 6} { r TQ.PUT p $key TAGS 1 n $n }
        assert_equal {k3 k4} [take p t 2 BY GROUP WHERE 1 n >= 5]
        assert_equal (nil) [take p t 2 BY GROUP WHERE 1 n >= 5]
        assert_equal {k1 k2} [take p t 2 BY GROUP]
    }

    test "a group may be declared before there is anything to take, and in any order" {
        foreach i {3 1 2} { r TQ.PUT p k$i GROUP a 3 }
        assert_equal (nil) [take p t 3 BY GROUP]
        foreach i {2 3 1} { r TQ.PUT p k$i FIELDS 1 f v }
        assert_equal {k3 k1 k2} [take p t 3 BY GROUP]
    }

    test "group ids are bytes" {
        foreach id [list "\0" "a b" "\xff\xfe" "a"] {
            r TQ.PUT p "1$id" GROUP $id 2 FIELDS 1 f v
            r TQ.PUT p "2$id" GROUP $id 2 FIELDS 1 f v
        }
        assert_equal 4 [dict get [r TQ.STATUS p] groups]
        assert_equal [list "1\0" "2\0" "1a b" "2a b"] [take p t 4 BY GROUP]
    }

    test "KEEP takes groups without consuming" {
        fill_group p a 2 1 2
        assert_equal {k1 k2} [take p t 2 BY GROUP KEEP]
        assert_equal {k1 k2} [take p t 2 BY GROUP]
    }

    test "many groups come whole, in order, each once" {
        set n [sized 500 50000]
        set commands {}
        foreach i [range 0 [expr {$n * 4 - 1}]] {
            lappend commands [list TQ.PUT p k$i GROUP g[expr {$i % $n}] 4 FIELDS 1 f v]
        }
        pipeline [r] $commands
        set group 0
        while {[set batch [take p t 40 BY GROUP ATLEAST 4]] ne "(nil)"} {
            foreach {a b c d} $batch {
                set members [lmap i {0 1 2 3} {format k%d [expr {$group + $i * $n}]}]
                assert_equal $members [list $a $b $c $d]
                incr group
            }
        }
        assert_equal $n $group
    }
}

# Twelve samples without groups; those named have field f.
proc ready_are {args} {
    foreach i [range 1 12] {
        r TQ.PUT p k$i TAGS 1 t x
    }
    foreach i $args {
        r TQ.PUT p k$i FIELDS 1 f v
    }
}

start_server {} {
    test "BY GROUP n takes runs of n neighbours" {
        ready_are {*}[range 3 6] {*}[range 9 12]
        assert_equal {k3 k4 k5 k6 k9 k10 k11 k12} [take p t 8 BY GROUP 4]
        assert_equal (nil) [take p t 4 BY GROUP 4]
    }

    test "BY GROUP n where there is no run is nil" {
        ready_are 1 2 4 5 7 8 10 11
        assert_equal (nil) [take p t 3 BY GROUP 3]
        assert_equal (nil) [take p t 3 BY GROUP 3 ATLEAST 3]
        assert_equal {k1 k2 k4 k5} [take p t 4 BY GROUP 2]
    }

    test "runs are found greedily from the oldest" {
        ready_are {*}[range 1 5] {*}[range 7 12]
        assert_equal {k1 k2 k3 k7 k8 k9 k10 k11 k12} [take p t 9 BY GROUP 3]
        assert_equal {k4 k5} [take p t 2]
    }

    test "a run may begin in the middle of neighbours that are ready" {
        ready_are {*}[range 1 12]
        assert_equal k1 [take p t 1]
        assert_equal {k2 k3 k4 k5} [take p t 4 BY GROUP 4]
        assert_equal {k6 k7 k8 k9} [take p t 4 BY GROUP 4]
        assert_equal (nil) [take p t 4 BY GROUP 4]
        assert_equal {k10 k11 k12} [take p t 3 BY GROUP 3]
    }

    test "a cleared sample parts its neighbours" {
        ready_are {*}[range 1 12]
        r TQ.CLEAR p KEYS 1 k3
        assert_equal {k4 k5 k6} [take p t 3 BY GROUP 3]
    }

    test "a consumed sample parts its neighbours" {
        ready_are {*}[range 1 12]
        r TQ.PUT p k2 TAGS 1 pick me
        assert_equal k2 [take p t 1 WHERE 1 pick = me]
        assert_equal {k3 k4 k5} [take p t 3 BY GROUP 3]
    }

    test "COUNT is a multiple of n" {
        ready_are {*}[range 1 12]
        foreach count {1 2 3 5 7} {
            assert_error "ERR *" {take p t $count BY GROUP 4}
        }
        assert_error "ERR *" {take nosuch t 5 BY GROUP 4}
    }

    test "n is a number from 1 up" {
        ready_are 1 2
        foreach wrong {0 -1 1.5 99999999999999999999 18446744073709551617} {
            assert_error "ERR *" {take p t 2 BY GROUP $wrong}
        }
        assert_equal {k1 k2} [take p t 2 BY GROUP 1]
    }

    test "runs of 64 and more" {
        fill p 1 400
        assert_equal k1 [take p t 1]
        assert_equal [names k 2 129] [take p t 128 BY GROUP 128]
        assert_equal [names k 130 193] [take p t 64 BY GROUP 64]
        assert_equal [names k 194 393] [take p t 200 BY GROUP 100]
        assert_equal (nil) [take p t 65 BY GROUP 65]
    }

    test "ATLEAST admits fewer runs" {
        ready_are {*}[range 1 4]
        assert_equal (nil) [take p t 8 BY GROUP 4]
        assert_equal {k1 k2 k3 k4} [take p t 8 BY GROUP 4 ATLEAST 4]
    }
}
