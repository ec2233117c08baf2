# TQ.CLEAR in all its forms, and what is left afterwards.

start_server {} {
    test "TQ.CLEAR of a partition drops it with all its state and says how many samples it had" {
        foreach i [range 1 5] {
            r TQ.PUT p k$i GROUP g 5 TAGS 1 t x FIELDS 1 f:f32 [pack f32 1]
        }
        take p task 2
        r TQ.EXPECT p 5
        r TQ.SEAL p
        assert_equal {int 5} [typed TQ.CLEAR p]
        assert_equal {0 0} [list [r EXISTS p] [r TQ.COUNT p]]
        assert_error "NOPART *" {r TQ.STATUS p}
        assert_equal 1 [r TQ.PUT p k1 GROUP other 3 FIELDS 1 f text]
        set status [r TQ.STATUS p]
        assert_equal {1 0 1 {f 1} {}} [list [dict get $status samples] [dict get $status sealed] \
            [dict get $status groups] [dict get $status fields] [dict get $status tasks]]
        assert_equal {{k1 {} f}} [list_all p WITH TAGS WITH FIELDS]
        assert_equal k1 [take p task 1]
    }

    test "TQ.CLEAR KEYS drops samples and counts those that were there" {
        fill p 1 5
        assert_equal 2 [r TQ.CLEAR p KEYS 3 k2 nosuch k4]
        assert_equal {k1 k3 k5} [list_all p]
        assert_equal {(nil) v1} [r TQ.MGET p KEYS 2 k2 k1 FIELDS 1 f]
        assert_equal 0 [r TQ.CLEAR p KEYS 2 k2 k4]
    }

    test "a key named twice is cleared once" {
        fill p 1 2
        assert_equal 1 [r TQ.CLEAR p KEYS 2 k1 k1]
        assert_equal k2 [list_all p]
    }

    test "TQ.CLEAR WHERE drops the samples that match" {
        foreach i [range 1 10] {
            r TQ.PUT p k$i TAGS 1 n $i
        }
        assert_equal 4 [r TQ.CLEAR p WHERE 2 n > 2 n < 7]
        assert_equal {k1 k2 k7 k8 k9 k10} [list_all p]
        assert_equal 0 [r TQ.CLEAR p WHERE 1 n > 100]
        assert_equal 0 [r TQ.CLEAR p WHERE 1 missing = x]
    }

    test "TQ.CLEAR FIELDS drops these cells of all samples" {
        foreach i [range 1 3] {
            r TQ.PUT p k$i FIELDS 2 f v g w TAGS 1 t x
        }
        assert_equal 3 [r TQ.CLEAR p FIELDS 1 f]
        assert_equal {{(nil) w} {(nil) w} {(nil) w}} [r TQ.MGET p KEYS 3 k1 k2 k3 FIELDS 2 f g]
        assert_equal {x x x} [lmap entry [list_all p WITH TAGS] {dict get [lindex $entry 1] t}]
        assert_equal 0 [r TQ.COUNT p FIELDS 1 f]
        assert_equal 3 [r TQ.COUNT p FIELDS 1 g]
        assert_equal {f g} [field_names p]
    }

    test "TQ.CLEAR TAGS drops these tags of all samples" {
        foreach i [range 1 3] {
            r TQ.PUT p k$i TAGS 2 a 1 b 2 FIELDS 1 f v
        }
        assert_equal 3 [r TQ.CLEAR p TAGS 1 a]
        assert_equal {{k1 {b 2} f} {k2 {b 2} f} {k3 {b 2} f}} [list_all p WITH TAGS WITH FIELDS]
    }

    test "TQ.CLEAR KEYS with FIELDS or TAGS touches these samples only" {
        foreach i [range 1 3] {
            r TQ.PUT p k$i TAGS 1 t x FIELDS 2 f v g w
        }
        assert_equal 2 [r TQ.CLEAR p KEYS 3 k1 nosuch k3 FIELDS 2 f never]
        assert_equal {{(nil) w} {v w} {(nil) w}} [r TQ.MGET p KEYS 3 k1 k2 k3 FIELDS 2 f g]
        assert_equal 1 [r TQ.CLEAR p KEYS 1 k2 TAGS 1 t]
        assert_equal {{k1 {t x}} {k2 {}} {k3 {t x}}} [list_all p WITH TAGS]
        assert_equal 3 [r TQ.COUNT p]
    }

    test "TQ.CLEAR WHERE with FIELDS or TAGS touches the samples that match" {
        foreach i [range 1 4] {
            r TQ.PUT p k$i TAGS 1 n $i FIELDS 1 f v
        }
        assert_equal 2 [r TQ.CLEAR p WHERE 1 n > 2 FIELDS 1 f]
        assert_equal {v v (nil) (nil)} [concat {*}[r TQ.MGET p KEYS 4 k1 k2 k3 k4 FIELDS 1 f]]
        assert_equal 1 [r TQ.CLEAR p WHERE 1 n = 1 TAGS 1 n]
        assert_equal {{} {n 2} {n 3} {n 4}} [lmap entry [list_all p WITH TAGS] {lindex $entry 1}]
    }

    test "TQ.CLEAR KEYS and WHERE together mean those of the keys that match" {
        foreach i [range 1 4] {
            r TQ.PUT p k$i TAGS 1 n $i
        }
        assert_equal 1 [r TQ.CLEAR p KEYS 2 k1 k3 WHERE 1 n > 2]
        assert_equal {k1 k2 k4} [list_all p]
    }

    test "clearing what is unknown is 0 and no error" {
        assert_equal 0 [r TQ.CLEAR nosuch]
        assert_equal 0 [r TQ.CLEAR nosuch KEYS 1 k]
        assert_equal 0 [r TQ.CLEAR nosuch WHERE 1 t = x]
        assert_equal 0 [r TQ.CLEAR nosuch FIELDS 1 f]
        assert_equal 0 [r TQ.CLEAR nosuch TAGS 1 t]
        assert_equal 0 [r TQ.CLEAR nosuch KEYS 1 k FIELDS 1 f]
        assert_equal 0 [r EXISTS nosuch]
        fill p 1 1
        assert_equal 0 [r TQ.CLEAR p KEYS 1 nosuch]
        assert_equal v1 [cell p k1 f]
    }

    test "a cleared cell is not ready, and ready again when written again" {
        fill p 1 2
        r TQ.CLEAR p KEYS 1 k1 FIELDS 1 f
        assert_equal k2 [take p task 1]
        assert_equal (nil) [take p task 1]
        r TQ.PUT p k1 FIELDS 1 f new
        assert_equal k1 [take p task 1]
    }

    test "clearing a cell does not give a consumed sample back" {
        fill p 1 1
        take p task 1
        r TQ.CLEAR p FIELDS 1 f
        r TQ.PUT p k1 FIELDS 1 f again
        assert_equal (nil) [take p task 1]
    }

    test "a sample that was cleared and written again is a new one" {
        r TQ.PUT p k1 TAGS 1 t old FIELDS 2 f old g old
        r TQ.PUT p k2 FIELDS 1 f v
        take p task 2
        r TQ.CLEAR p KEYS 1 k1
        assert_equal 1 [r TQ.PUT p k1 FIELDS 1 f new]
        assert_equal {{k2 {} f} {k1 {} f}} [list_all p WITH TAGS WITH FIELDS]
        assert_equal {{new (nil)}} [r TQ.MGET p KEYS 1 k1 FIELDS 2 f g]
        assert_equal k1 [take p task 1]
    }

    test "a cleared row's slot, used again in another partition, leaks nothing" {
        set secret [string repeat SECRET 2000]
        foreach i [range 1 200] {
            r TQ.PUT p k$i GROUP g$i 1 TAGS 1 secret SECRET FIELDS 4 a $secret b:str SECRET \
                n:i64\[*\] [pack i64 7 7 7 7] x:f32 [pack f32 7]
        }
        r TQ.SAMPLE p task COUNT 200 FIELDS 1 a AS KEYS
        r TQ.CLEAR p
        foreach i [range 1 200] {
            r TQ.PUT q k$i FIELDS 1 other v
        }
        assert_equal {other} [field_names q]
        assert_equal 0 [dict get [r TQ.STATUS q] groups]
        foreach row [r TQ.MGET q KEYS 200 {*}[names k 1 200] FIELDS 4 a b n x] {
            assert_equal {(nil) (nil) (nil) (nil)} $row
        }
        foreach entry [list_all q WITH TAGS WITH FIELDS] {
            assert_equal {{} other} [lrange $entry 1 2]
        }
        assert_equal 200 [r TQ.COUNT q TASK task]
        assert_equal [names k 1 200] [r TQ.SAMPLE q task COUNT 200 FIELDS 1 other AS KEYS]
    }

    test "a cleared row's slot, used again in the same partition, leaks nothing" {
        foreach i [range 1 100] {
            r TQ.PUT p old$i TAGS 1 secret SECRET FIELDS 2 a SECRET b SECRET
        }
        r TQ.SAMPLE p task COUNT 100 FIELDS 1 a AS KEYS
        r TQ.CLEAR p KEYS 100 {*}[names old 1 100]
        foreach i [range 1 100] {
            r TQ.PUT p new$i FIELDS 1 a v
        }
        foreach entry [list_all p WITH TAGS WITH FIELDS] {
            assert_equal {{} a} [lrange $entry 1 2]
        }
        foreach row [r TQ.MGET p KEYS 100 {*}[names new 1 100] FIELDS 2 a b] {
            assert_equal {v (nil)} $row
        }
        assert_equal [names new 1 100] [r TQ.SAMPLE p task COUNT 100 FIELDS 1 a AS KEYS]
    }

    test "memory of a cleared partition is used again at once" {
        set value [random_bytes 1000000]
        foreach round [range 1 5] {
            pipeline [r] [lmap i [range 1 20] {list TQ.PUT p$round k$i FIELDS 1 f $value}]
            lappend used [info_field used_memory]
            assert_equal $value [cell p$round k20 f]
            assert_equal 20 [r TQ.CLEAR p$round]
        }
        assert {[lindex $used end] < [lindex $used 0] + 5000000} "used_memory went $used"
    }

    test "one partition's clear leaves the others alone" {
        fill p 1 100
        fill q 1 100
        r TQ.CLEAR p
        fill s 1 100
        assert_equal [names v 1 100] [r TQ.MGET q KEYS 100 {*}[names k 1 100] FIELDS 1 f]
    }

    test "what is no clause is an error and clears nothing" {
        fill p 1 3
        foreach wrong {
            NOSUCH KEYS {KEYS 0} {KEYS 2 k1} {KEYS -1 k1} {KEYS x k1} {KEYS 1 k1 k2} {KEYS 1 k1 KEYS 1 k2}
            {KEYS 99999999999999999999 k1} {KEYS 4294967297 k1} {KEYS 1 {}} {WHERE 0} {WHERE 1 a} {WHERE 1 a = }
            {FIELDS 0} {FIELDS 2 f} {FIELDS 1 @f} {FIELDS 1 {}} {TAGS 0} {TAGS 1 {a b}} {TAGS 2 a}
            {KEYS 1 k1 FIELDS} {KEYS 1 k1 NOSUCH} {FIELDS 1 f FIELDS 1 f} {TAGS 1 f TAGS 1 f}
        } {
            assert_error "ERR *" {r TQ.CLEAR p {*}$wrong}
        }
        assert_equal {v1 v2 v3} [r TQ.MGET p KEYS 3 k1 k2 k3 FIELDS 1 f]
        assert_error "ERR *" {r TQ.CLEAR}
    }
}
