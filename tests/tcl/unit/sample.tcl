# TQ.SAMPLE: taking ready samples, each once a task. Groups, the end of a stream and waiting have
# files of their own.

start_server {} {
    test "TQ.SAMPLE takes the oldest first, in rows of key and values" {
        r TQ.PUT p k1 FIELDS 2 a 1 b one
        r TQ.PUT p k2 FIELDS 2 a 2 b two
        r TQ.PUT p k3 FIELDS 2 a 3 b three
        assert_equal {{k1 1} {k2 2}} [r TQ.SAMPLE p t COUNT 2 FIELDS 1 a]
        assert_equal {{k3 three 3}} [r TQ.SAMPLE p t COUNT 1 FIELDS 2 b a AS ROWS]
        assert_equal {array {{array {{bulk k1} {bulk 1}}}}} [typed TQ.SAMPLE p u COUNT 1 FIELDS 1 a]
    }

    test "AS KEYS answers keys alone, AS TEXT values for people" {
        r TQ.PUT p k1 TEXT 2 x:f32 0.5 f hello
        assert_equal {array {{bulk k1}}} [typed TQ.SAMPLE p a COUNT 1 FIELDS 1 x AS KEYS]
        assert_equal {{k1 0.5 hello}} [r TQ.SAMPLE p b COUNT 1 FIELDS 2 x f AS TEXT]
        assert_equal [list [list k1 [pack f32 0.5]]] [r TQ.SAMPLE p c COUNT 1 FIELDS 1 x AS ROWS]
    }

    test "a task has each sample once" {
        fill p 1 10
        assert_equal {k1 k2 k3} [take p t 3]
        assert_equal {k4 k5 k6} [take p t 3]
        assert_equal {k7 k8 k9 k10} [take p t 4]
        assert_equal (nil) [take p t 1]
    }

    test "tasks consume independently" {
        fill p 1 4
        assert_equal {k1 k2} [take p one 2]
        assert_equal {k1 k2 k3} [take p two 3]
        assert_equal {k3 k4} [take p one 2]
        assert_equal k4 [take p two 1]
        assert_equal {4 4} [list [consumed p one] [consumed p two]]
    }

    test "partitions are consumed independently" {
        fill p 1 2
        fill q 1 2
        assert_equal {k1 k2} [take p t 2]
        assert_equal {k1 k2} [take q t 2]
    }

    test "what a task consumed, it consumed whatever fields it asks for" {
        r TQ.PUT p k1 FIELDS 2 a 1 b 2
        assert_equal {{k1 1}} [r TQ.SAMPLE p t COUNT 1 FIELDS 1 a]
        assert_equal (nil) [r TQ.SAMPLE p t COUNT 1 FIELDS 1 b]
    }

    test "fewer than COUNT ready is nil and takes nothing" {
        fill p 1 3
        assert_match {nil *} [typed TQ.SAMPLE p t COUNT 4 FIELDS 1 f]
        assert_equal {nil _} [typed [client3] TQ.SAMPLE p t COUNT 4 FIELDS 1 f]
        assert_equal {k1 k2 k3} [take p t 3]
    }

    test "a partition that does not exist has nothing ready" {
        assert_equal (nil) [take nosuch t 1]
        assert_equal (nil) [take nosuch t 1 ATLEAST 1 KEEP]
        assert_equal 0 [r EXISTS nosuch]
    }

    test "a sample is ready only when all the fields asked for are produced" {
        r TQ.PUT p k1 FIELDS 1 a 1
        r TQ.PUT p k2 FIELDS 2 a 1 b 2
        r TQ.PUT p k3 FIELDS 1 b 2
        assert_equal k2 [r TQ.SAMPLE p t COUNT 1 FIELDS 2 a b AS KEYS]
        assert_equal (nil) [r TQ.SAMPLE p t COUNT 1 FIELDS 2 a b AS KEYS]
        r TQ.PUT p k3 FIELDS 1 a 1
        assert_equal k3 [r TQ.SAMPLE p t COUNT 1 FIELDS 2 a b AS KEYS]
        r TQ.PUT p k1 FIELDS 1 b 2
        assert_equal k1 [r TQ.SAMPLE p t COUNT 1 FIELDS 2 a b AS KEYS]
    }

    test "a field that no one produced makes nothing ready" {
        fill p 1 3
        assert_equal (nil) [r TQ.SAMPLE p t COUNT 1 FIELDS 2 f never]
    }

    test "tags do not make a sample ready" {
        r TQ.PUT p k TAGS 1 f v
        assert_equal (nil) [take p t 1]
    }

    test "samples are taken in insertion order, whenever they became ready" {
        foreach i {1 2 3 4 5} { r TQ.PUT p k$i TAGS 1 t x }
        foreach i {4 2 5} { r TQ.PUT p k$i FIELDS 1 f v }
        assert_equal {k2 k4} [take p t 2]
        foreach i {1 3} { r TQ.PUT p k$i FIELDS 1 f v }
        assert_equal {k1 k3 k5} [take p t 3]
    }

    test "an empty value is produced all the same" {
        r TQ.PUT p k FIELDS 2 f "" g:f32\[0\] ""
        assert_equal {{k {} {}}} [r TQ.SAMPLE p t COUNT 1 FIELDS 2 f g]
    }

    test "ATLEAST takes fewer than COUNT, but not fewer than it says" {
        fill p 1 5
        assert_equal {k1 k2 k3} [take p t 3 ATLEAST 1]
        assert_equal (nil) [take p t 10 ATLEAST 3]
        assert_equal {k4 k5} [take p t 10 ATLEAST 2]
        assert_equal (nil) [take p t 10 ATLEAST 1]
    }

    test "ATLEAST equal to COUNT is COUNT alone" {
        fill p 1 3
        assert_equal (nil) [take p t 4 ATLEAST 4]
        assert_equal {k1 k2 k3} [take p t 3 ATLEAST 3]
    }

    test "KEEP takes without consuming" {
        fill p 1 3
        assert_equal {k1 k2} [take p t 2 KEEP]
        assert_equal {k1 k2} [take p t 2 KEEP]
        assert_equal 3 [r TQ.COUNT p TASK t]
        assert_equal {k1 k2 k3} [take p t 3]
        assert_equal (nil) [take p t 1 KEEP]
    }

    test "WHERE admits only some" {
        foreach i [range 1 6] {
            r TQ.PUT p k$i TAGS 1 reward [expr {$i / 2.0}] FIELDS 1 f v
        }
        assert_equal {k4 k5} [take p t 2 WHERE 1 reward >= 2]
        assert_equal (nil) [take p t 2 WHERE 1 reward >= 2]
        assert_equal k6 [take p t 2 WHERE 1 reward >= 2 ATLEAST 1]
        assert_equal {k1 k2 k3} [take p t 3]
    }

    test "BY SEQUENTIAL is how it goes anyway" {
        fill p 1 3
        assert_equal {k1 k2} [take p t 2 BY SEQUENTIAL]
        assert_equal k3 [take p t 1 by sequential]
    }

    test "clauses come in any order, in any case" {
        fill p 1 4
        assert_equal k1 [r TQ.SAMPLE p t FIELDS 1 f COUNT 1 AS KEYS]
        assert_equal k2 [r TQ.SAMPLE p t AS KEYS ATLEAST 1 FIELDS 1 f COUNT 1 BY SEQUENTIAL BLOCK 1]
        assert_equal k3 [r tq.sample p t as keys block 0 count 1 fields 1 f atleast 1]
    }

    test "a large COUNT with a small ATLEAST takes what there is" {
        fill p 1 3
        assert_equal {k1 k2 k3} [take p t 1000000 ATLEAST 1]
    }

    test "COUNT FIELDS TASK says what TQ.SAMPLE would find" {
        fill p 1 7
        take p t 3
        assert_equal 4 [r TQ.COUNT p TASK t FIELDS 1 f]
        assert_equal (nil) [take p t 5]
        assert_equal 4 [llength [take p t 4]]
        assert_equal 0 [r TQ.COUNT p TASK t FIELDS 1 f]
    }

    test "a failed command consumes nothing" {
        fill p 1 3
        assert_error "ERR *" {r TQ.SAMPLE p t COUNT 2 FIELDS 1 f AS NOSUCH}
        assert_error "ERR *" {r TQ.SAMPLE p t COUNT 2 FIELDS 1 f NOSUCH}
        assert_equal {k1 k2 k3} [take p t 3]
    }

    test "COUNT and FIELDS are needed" {
        fill p 1 3
        assert_error "ERR *" {r TQ.SAMPLE p t}
        assert_error "ERR *" {r TQ.SAMPLE p t COUNT 1}
        assert_error "ERR *" {r TQ.SAMPLE p t FIELDS 1 f}
        assert_error "ERR *" {r TQ.SAMPLE p}
        assert_error "ERR *" {r TQ.SAMPLE}
    }

    test "what is no clause or no number is an error" {
        fill p 1 3
        foreach wrong {
            {COUNT 0 FIELDS 1 f} {COUNT -1 FIELDS 1 f} {COUNT x FIELDS 1 f} {COUNT 1.5 FIELDS 1 f}
            {COUNT 99999999999999999999 FIELDS 1 f} {COUNT 18446744073709551617 FIELDS 1 f} {COUNT {} FIELDS 1 f}
            {COUNT 1 FIELDS 0} {COUNT 1 FIELDS 2 f} {COUNT 1 FIELDS -1 f} {COUNT 1 FIELDS x f}
            {COUNT 1 FIELDS 1 @key} {COUNT 1 FIELDS 1 {}} {COUNT 1 FIELDS 1 {a b}}
            {COUNT 1 FIELDS 1 f COUNT 1} {COUNT 1 FIELDS 1 f FIELDS 1 f} {COUNT 1 FIELDS 1 f NOSUCH}
            {COUNT 1 FIELDS 1 f ATLEAST} {COUNT 1 FIELDS 1 f ATLEAST x} {COUNT 1 FIELDS 1 f ATLEAST -1}
            {COUNT 2 FIELDS 1 f ATLEAST 1 ATLEAST 1} {COUNT 1 FIELDS 1 f KEEP KEEP}
            {COUNT 1 FIELDS 1 f BLOCK} {COUNT 1 FIELDS 1 f BLOCK -1} {COUNT 1 FIELDS 1 f BLOCK x}
            {COUNT 1 FIELDS 1 f BLOCK 99999999999999999999} {COUNT 1 FIELDS 1 f BLOCK 1.5}
            {COUNT 1 FIELDS 1 f BLOCK 1 BLOCK 1} {COUNT 1 FIELDS 1 f AS} {COUNT 1 FIELDS 1 f AS NOSUCH}
            {COUNT 1 FIELDS 1 f AS KEYS AS KEYS} {COUNT 1 FIELDS 1 f BY} {COUNT 1 FIELDS 1 f BY NOSUCH}
            {COUNT 1 FIELDS 1 f BY SEQUENTIAL BY SEQUENTIAL} {COUNT 1 FIELDS 1 f WHERE 0}
            {COUNT 1 FIELDS 1 f WHERE 1 a} {COUNT 1 FIELDS 1 f WHERE 1 a ~ b} {COUNT 1 FIELDS 1 f g}
            {KEYS 1 k1 COUNT 1 FIELDS 1 f} {COUNT 1 FIELDS 99999999999999999999 f}
        } {
            assert_error "ERR *" {r TQ.SAMPLE p t {*}$wrong}
        }
        assert_equal 3 [r TQ.COUNT p TASK t]
    }

    test "a task has a name like a field's" {
        fill p 1 3
        foreach wrong [list "" "a b" @task "t\0" [string repeat t 256]] {
            assert_error "ERR *" {r TQ.SAMPLE p $wrong COUNT 1 FIELDS 1 f}
        }
        assert_equal k1 [take p [string repeat t 255] 1]
        assert_equal k1 [take p ./compute_log-prob@7 1]
        assert_error "ERR *" {r TQ.SAMPLE "" t COUNT 1 FIELDS 1 f}
        assert_error "ERR *" {r TQ.SAMPLE [string repeat p 256] t COUNT 1 FIELDS 1 f}
    }

    test "a partition has 1024 tasks and no more" {
        fill p 1 1
        foreach i [range 1 1024] {
            lappend commands [list TQ.SAMPLE p task$i COUNT 1 FIELDS 1 f AS KEYS]
        }
        assert_equal [lrepeat 1024 k1] [pipeline [r] $commands]
        assert_error "* *task1025*" {take p task1025 1}
        assert_equal (nil) [take p task1024 1]
        fill q 1 1
        assert_equal k1 [take q task1025 1]
    }

    test "many samples are taken in many batches, in order, each once" {
        set n [sized 5000 1000000]
        fill p 1 $n
        set seen {}
        while {[set batch [take p t 77 ATLEAST 1]] ne "(nil)"} {
            lappend seen {*}$batch
        }
        assert_equal [names k 1 $n] $seen
    }

    test "two consumers of one task never share a sample" {
        fill p 1 1000
        set a [client]
        set b [client]
        set seen {}
        foreach i [range 1 50] {
            take_later $a p t 10
            take_later $b p t 10
            lappend seen {*}[resp::receive $a] {*}[resp::receive $b]
        }
        assert_equal [lsort [names k 1 1000]] [lsort $seen]
    }

    test "a value that is read is the value written last" {
        fill p 1 1
        r TQ.PUT p k1 FIELDS 1 f new
        assert_equal {{k1 new}} [r TQ.SAMPLE p t COUNT 1 FIELDS 1 f]
    }

    test "a batch of large values comes whole" {
        set expected {}
        foreach i [range 1 20] {
            set value [random_bytes 200000 $i]
            r TQ.PUT p k$i FIELDS 1 f $value
            lappend expected [list k$i $value]
        }
        assert_equal $expected [r TQ.SAMPLE p t COUNT 20 FIELDS 1 f]
    }
}
