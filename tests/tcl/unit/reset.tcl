# TQ.RESET: forgetting what was consumed.

start_server {} {
    test "TQ.RESET TASK gives the task its samples back, in their old places" {
        fill p 1 5
        take p t 4
        assert_equal {int 4} [typed TQ.RESET p TASK t]
        assert_equal {k1 k2 k3 k4 k5} [take p t 5]
    }

    test "TQ.RESET TASK leaves other tasks alone" {
        fill p 1 3
        take p a 3
        take p b 2
        r TQ.RESET p TASK a
        assert_equal 3 [r TQ.COUNT p TASK a]
        assert_equal 1 [r TQ.COUNT p TASK b]
        assert_equal k3 [take p b 1]
    }

    test "TQ.RESET without TASK is for all tasks" {
        fill p 1 3
        take p a 3
        take p b 2
        r TQ.RESET p
        assert_equal {3 3} [list [r TQ.COUNT p TASK a] [r TQ.COUNT p TASK b]]
    }

    test "TQ.RESET KEYS gives these samples back" {
        fill p 1 5
        take p t 4
        assert_equal 2 [r TQ.RESET p TASK t KEYS 4 k3 nosuch k1 k5]
        assert_equal {k1 k3 k5} [take p t 10 ATLEAST 1]
    }

    test "TQ.RESET KEYS without TASK is for all tasks" {
        fill p 1 3
        take p a 3
        take p b 3
        r TQ.RESET p KEYS 1 k2
        assert_equal {k2 k2} [list [take p a 1] [take p b 1]]
        assert_equal {(nil) (nil)} [list [take p a 1] [take p b 1]]
    }

    test "TQ.RESET of what was not consumed is 0" {
        fill p 1 3
        assert_equal 0 [r TQ.RESET p]
        assert_equal 0 [r TQ.RESET p TASK nosuch]
        assert_equal 0 [r TQ.RESET p KEYS 2 k1 nosuch]
        take p t 1
        assert_equal 1 [r TQ.RESET p TASK t]
        assert_equal 0 [r TQ.RESET p TASK t]
    }

    test "TQ.RESET changes no sample" {
        r TQ.PUT p k GROUP g 1 TAGS 1 t x FIELDS 1 f v
        take p t 1
        set before [snapshot_of p]
        r TQ.RESET p
        assert_equal $before [snapshot_of p]
    }

    test "TQ.RESET of no partition is an error" {
        assert_error "NOPART *nosuch*" {r TQ.RESET nosuch}
        assert_error "NOPART *nosuch*" {r TQ.RESET nosuch TASK t}
        assert_error "NOPART *nosuch*" {r TQ.RESET nosuch KEYS 1 k}
        assert_equal 0 [r EXISTS nosuch]
    }

    test "what is no clause is an error and resets nothing" {
        fill p 1 3
        take p t 3
        foreach wrong {
            NOSUCH TASK {TASK {}} {TASK {a b}} {TASK @t} {TASK t TASK t} {TASK t NOSUCH} KEYS {KEYS 0} {KEYS 2 k1}
            {KEYS -1 k1} {KEYS x k1} {KEYS 1 k1 k2} {KEYS 1 k1 KEYS 1 k1} {KEYS 99999999999999999999 k1}
            {TASK t KEYS 1} {KEYS 1 {}}
        } {
            assert_error "ERR *" {r TQ.RESET p {*}$wrong}
        }
        assert_error "ERR *" {r TQ.RESET}
        assert_equal 3 [consumed p t]
    }

    test "a sample taken again after a reset can be reset again" {
        fill p 1 100
        foreach round [range 1 10] {
            assert_equal [names k 1 100] [take p t 100]
            assert_equal 100 [r TQ.RESET p TASK t]
        }
    }
}
