# BY: the samplers as a client sees them. GROUP has a file of its own; docs/samplers.md has a line for each test here.

# Samples k1 k2 …, each with field f, and a tag: one for each argument, "-" for none.
proc tagged {partition tag args} {
    set i 0
    foreach value $args {
        incr i
        if {$value eq "-"} {
            r TQ.PUT $partition k$i FIELDS 1 f v
        } else {
            r TQ.PUT $partition k$i TAGS 1 $tag $value FIELDS 1 f v
        }
    }
}

start_server {} {
    test "SEQUENTIAL is the default and takes the oldest first" {
        fill p 1 4
        assert_equal {k1 k2} [take p t 2]
        assert_equal {k3 k4} [take p t 2 BY SEQUENTIAL]
    }

    test "LIFO takes the newest first" {
        fill p 1 5
        assert_equal {k5 k4} [take p t 2 BY LIFO]
        fill p 6 6
        assert_equal {k6 k3 k2} [take p t 3 BY lifo]
        assert_equal (nil) [take p t 2 BY LIFO]
        assert_equal k1 [take p t 1 BY LIFO]
    }

    test "LIFO takes the newest that are ready" {
        fill p 1 2000
        foreach i {1500 1700} { r TQ.PUT p k$i FIELDS 1 g v }
        fill p 2001 4000
        assert_equal k1700 [r TQ.SAMPLE p t COUNT 1 FIELDS 2 f g BY LIFO AS KEYS]
        assert_equal k1500 [r TQ.SAMPLE p t COUNT 1 FIELDS 2 f g BY LIFO AS KEYS]
        assert_equal (nil) [r TQ.SAMPLE p t COUNT 1 FIELDS 2 f g BY LIFO AS KEYS]
        assert_equal {k4000 k3999} [take p t 2 BY LIFO]
    }

    test "RANDOM takes each sample once, and not in order" {
        fill p 1 1000
        set seen {}
        foreach i [range 1 20] {
            set batch [take p t 50 BY RANDOM]
            assert_equal 50 [llength $batch]
            lappend seen {*}$batch
        }
        assert_same_set [names k 1 1000] $seen
        assert {$seen ne [names k 1 1000]}
        assert_equal (nil) [take p t 1 BY RANDOM]
    }

    test "RANDOM SEED takes the same of the same samples" {
        fill p 1 300
        set batch [take p t 20 KEEP BY RANDOM SEED 42]
        assert_equal $batch [take p u 20 BY RANDOM SEED 42]
        assert {$batch ne [take p t 20 KEEP BY RANDOM SEED 43]}
        assert_equal 20 [llength [take p t 20 BY RANDOM SEED 18446744073709551615]]
        assert_equal 20 [llength [take p t 20 BY RANDOM SEED 0]]
    }

    test "RANDOM without SEED differs from call to call" {
        fill p 1 300
        set batch [take p t 30 KEEP BY RANDOM]
        assert {$batch ne [take p t 30 KEEP BY RANDOM]}
    }

    test "RANDOM takes among what WHERE admits" {
        tagged p n {*}[lrepeat 10 1 2]
        assert_same_set [lmap i [range 1 10] {format k%d [expr {2 * $i}]}] \
            [take p t 10 BY RANDOM WHERE 1 n = 2]
        assert_equal (nil) [take p t 1 BY RANDOM WHERE 1 n = 2]
    }

    test "MAX takes the largest numbers first, MIN the smallest" {
        tagged p reward 0.5 10 -3 9.75 1e-2
        assert_equal {k2 k4 k1} [take p t 3 BY MAX reward]
        assert_equal {k5 k3} [take p t 2 BY MAX reward]
        assert_equal {k3 k5 k1} [take p u 3 BY MIN reward]
    }

    test "MAX and MIN take the oldest first where numbers are equal" {
        tagged p v 7 8 7 8 7 8.0
        assert_equal {k2 k4 k6 k1} [take p t 4 BY MAX v]
        assert_equal {k1 k3 k5 k2} [take p u 4 BY MIN v]
    }

    test "MAX and MIN take samples without a number last, oldest first" {
        tagged p v - 1 none nan -1 -
        assert_equal {k2 k5 k1 k3 k4 k6} [take p t 6 BY MAX v]
        assert_equal {k5 k2 k1 k3 k4 k6} [take p u 6 BY MIN v]
        assert_equal {k1 k2} [take p x 2 BY MAX nosuchtag]
    }

    test "MAX and MIN tell integers of 64 bits apart" {
        tagged p v 1760000000000000001 1760000000000000003 1760000000000000002
        assert_equal {k2 k3 k1} [take p t 3 BY MAX v]
        assert_equal {k1 k3 k2} [take p u 3 BY MIN v]
    }

    test "MAX sees tags as they are now" {
        tagged p v 1 2 3
        r TQ.PUT p k1 TAGS 1 v 4
        assert_equal {k1 k3} [take p t 2 BY MAX v]
    }

    test "PRIORITY takes what weighs more more often" {
        tagged p v 1 99
        set heavy 0
        foreach i [range 1 300] {
            incr heavy [expr {[take p t 1 KEEP BY PRIORITY v] eq "k2"}]
        }
        assert {$heavy > 280 && $heavy <= 300}
    }

    test "PRIORITY EXPONENT sharpens and flattens" {
        tagged p v 1 4
        foreach {exponent low high} {0 95 205 0.5 150 250 8 295 300 -8 0 5} {
            set heavy 0
            foreach i [range 1 300] {
                incr heavy [expr {[take p t 1 KEEP BY PRIORITY v EXPONENT $exponent] eq "k2"}]
            }
            assert {$heavy >= $low && $heavy <= $high} "EXPONENT $exponent: $heavy of 300"
        }
    }

    test "PRIORITY SEED takes the same of the same samples" {
        tagged p v {*}[range 1 50]
        set first [take p t 10 KEEP BY PRIORITY v SEED 7]
        assert_equal $first [take p t 10 KEEP BY PRIORITY v SEED 7]
        assert {$first ne [take p t 10 KEEP BY PRIORITY v SEED 8]}
        assert_equal [take p t 10 KEEP BY PRIORITY v EXPONENT 2 SEED 7] \
            [take p u 10 BY PRIORITY v SEED 7 EXPONENT 2]
    }

    test "PRIORITY takes samples without weight only when nothing else is left" {
        tagged p v 0 5 -5 x - 7 nan
        foreach i [range 1 20] {
            assert_same_set {k2 k6} [take p t 2 KEEP BY PRIORITY v]
        }
        assert_same_set {k1 k2 k3 k4 k5 k6 k7} [take p t 7 BY PRIORITY v]
    }

    test "every sampler takes each sample once a task" {
        tagged p v {*}[range 1 100]
        foreach {task by} {
            a {SEQUENTIAL} b {LIFO} c {RANDOM} d {RANDOM SEED 5} e {MAX v} f {MIN v} g {PRIORITY v} h {GROUP 5}
        } {
            set seen {}
            while {[set batch [take p $task 15 ATLEAST 5 BY {*}$by]] ne "(nil)"} {
                lappend seen {*}$batch
            }
            assert_same_set [names k 1 100] $seen
        }
    }

    test "samplers that a task mixes never give a sample twice" {
        tagged p v {*}[range 1 60]
        set seen {}
        foreach by {{LIFO} {MAX v} {RANDOM} {MIN v} {PRIORITY v} {SEQUENTIAL}} {
            lappend seen {*}[take p t 10 BY {*}$by]
        }
        assert_same_set [names k 1 60] $seen
    }

    test "every sampler hands out what remains at the end, then the empty array" {
        tagged p v 1 2 3
        r TQ.SEAL p
        foreach {task by} {a {LIFO} b {RANDOM} c {MAX v} d {MIN v} e {PRIORITY v}} {
            assert_same_set {k1 k2 k3} [take p $task 5 BY {*}$by]
            assert_equal {array {}} [typed TQ.SAMPLE p $task COUNT 5 FIELDS 1 f BY {*}$by]
        }
    }

    test "a waiting call takes by its sampler when it wakes" {
        tagged p v 1 3
        set c [client]
        take_later $c p t 3 BY MAX v BLOCK 0
        wait_blocked 1
        r TQ.PUT p k9 TAGS 1 v 2 FIELDS 1 f v
        assert_equal {k2 k9 k1} [resp::receive $c]
    }

    test "BALANCED needs RANK and BATCH" {
        fill p 1 8
        assert_error "ERR *BALANCED needs RANK and BATCH*" {take p t 2 BY BALANCED len 2}
        assert_error "ERR *RANK and BATCH*" {take p t 2 BY BALANCED len 2 GROUP}
        assert_error "ERR *RANK and BATCH*" {take p t 2 BY BALANCED len 2 GROUP 2 ATLEAST 1}
    }

    test "what a sampler needs and does not get is an error that names it" {
        fill p 1 4
        foreach {by message} {
            {MAX} "*tag*missing*" {MIN} "*tag*missing*" {PRIORITY} "*tag*missing*" {BALANCED} "*tag*missing*"
            {BALANCED len} "*ranks*missing*" {BALANCED len 0} "*ranks*'0'*" {BALANCED len -1} "*ranks*'-1'*"
            {BALANCED len x} "*ranks*'x'*" {BALANCED len 65537} "*65536*'65537'*"
            {BALANCED len 2 GROUP 0} "*1 to*'0'*" {BALANCED len 2 3} "*'3'*"
            {RANDOM SEED} "*SEED*missing*" {RANDOM SEED -1} "*SEED*'-1'*" {RANDOM SEED 1.5} "*SEED*'1.5'*"
            {RANDOM SEED 18446744073709551616} "*SEED*'18446744073709551616'*" {RANDOM 5} "*'5'*"
            {PRIORITY v EXPONENT} "*EXPONENT*missing*" {PRIORITY v EXPONENT x} "*EXPONENT*'x'*"
            {PRIORITY v EXPONENT inf} "*EXPONENT*'inf'*" {PRIORITY v EXPONENT nan} "*EXPONENT*'nan'*"
            {PRIORITY v EXPONENT 1e999} "*EXPONENT*'1e999'*" {PRIORITY v SEED} "*SEED*missing*"
            {PRIORITY v SEED -1} "*SEED*'-1'*" {PRIORITY v SEED 1 SEED 2} "*'SEED'*"
            {PRIORITY v EXPONENT 1 SEED 1 EXPONENT 2} "*'EXPONENT'*" {RANDOM SEED 1 EXPONENT 2} "*'EXPONENT'*"
            {MAX {a b}} "*tag*'a b'*" {MAX @key} "*tag*'@key'*" {LIFO 3} "*'3'*" {SEQUENTIAL 3} "*'3'*" {MAX v 3} "*'3'*"
            {NOSUCH} "BY: unknown sampler 'NOSUCH', expected one of SEQUENTIAL, *, PRIORITY, GROUP, BALANCED"
        } {
            assert_error "ERR $message" {take p t 2 BY {*}$by}
        }
        assert_equal 4 [r TQ.COUNT p TASK t]
    }

    test "BY and what belongs to it may stand anywhere among the clauses" {
        tagged p v 1 2 3
        assert_equal k3 [r TQ.SAMPLE p t BY MAX v COUNT 1 FIELDS 1 f AS KEYS]
        assert_equal k2 [r TQ.SAMPLE p t COUNT 1 BY PRIORITY v EXPONENT 300 KEEP FIELDS 1 f AS KEYS]
        assert_equal 1 [llength [r TQ.SAMPLE p t BY RANDOM COUNT 1 FIELDS 1 f AS KEYS]]
    }

    test "a huge COUNT takes no more memory than there are samples" {
        fill p 1 3
        foreach by {{LIFO} {RANDOM} {MAX v} {MIN v} {PRIORITY v}} {
            assert_same_set {k1 k2 k3} [take p t 4294967296 ATLEAST 1 KEEP BY {*}$by]
        }
    }
}
