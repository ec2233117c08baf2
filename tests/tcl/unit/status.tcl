# TQ.COUNT, TQ.SCHEMA, TQ.STATUS: what a partition says of itself.

start_server {} {
    test "TQ.COUNT counts samples" {
        assert_equal {int 0} [typed TQ.COUNT p]
        fill p 1 5
        assert_equal {int 5} [typed TQ.COUNT p]
        r TQ.CLEAR p KEYS 1 k2
        assert_equal 4 [r TQ.COUNT p]
        assert_equal 0 [r TQ.COUNT nosuch]
        assert_equal 0 [r TQ.COUNT nosuch FIELDS 1 f TASK t WHERE 1 a = b]
        assert_equal 0 [r EXISTS nosuch]
    }

    test "TQ.COUNT FIELDS counts samples that have them all" {
        foreach i [range 1 100] {
            r TQ.PUT p k$i FIELDS 1 a v
            if {$i % 2 == 0} { r TQ.PUT p k$i FIELDS 1 b v }
            if {$i % 3 == 0} { r TQ.PUT p k$i FIELDS 1 c v }
        }
        assert_equal {100 50 33 16 0} [list [r TQ.COUNT p FIELDS 1 a] [r TQ.COUNT p FIELDS 1 b] \
            [r TQ.COUNT p FIELDS 2 a c] [r TQ.COUNT p FIELDS 3 c b a] [r TQ.COUNT p FIELDS 2 a never]]
    }

    test "TQ.COUNT TASK counts samples that the task has not consumed" {
        fill p 1 10
        assert_equal 10 [r TQ.COUNT p TASK t]
        take p t 4
        assert_equal 6 [r TQ.COUNT p TASK t]
        assert_equal 10 [r TQ.COUNT p TASK other]
        r TQ.PUT p k10 FIELDS 1 g v
        assert_equal 1 [r TQ.COUNT p TASK t FIELDS 1 g]
        r TQ.PUT p k9 TAGS 1 n 9
        r TQ.PUT p k1 TAGS 1 n 1
        assert_equal 1 [r TQ.COUNT p WHERE 1 n > 0 TASK t FIELDS 1 f]
    }

    test "TQ.COUNT refuses what is no clause" {
        fill p 1 1
        foreach wrong {
            NOSUCH FIELDS {FIELDS 0} {FIELDS 2 f} {FIELDS -1 f} {FIELDS x f} {FIELDS 1 f FIELDS 1 f} TASK
            {TASK t TASK t} {TASK {}} {TASK {a b}} {TASK @x} {WHERE 0} {WHERE 1 a} {FIELDS 1 @f} {FIELDS 1 f g}
            {FIELDS 99999999999999999999 f} {COUNT 1}
        } {
            assert_error "ERR *" {r TQ.COUNT p {*}$wrong}
        }
    }

    test "TQ.SCHEMA tells field, type, how many produced, how many bytes" {
        r TQ.PUT p k1 FIELDS 3 x:f32\[4\] [pack f32 1 2 3 4] s:str hello b data
        r TQ.PUT p k2 FIELDS 2 x [pack f32 5 6 7 8] s ""
        foreach row [r TQ.SCHEMA p] {
            assert_equal 4 [llength $row]
            set got([lindex $row 0]) [lrange $row 1 end]
        }
        assert_equal [list f32\[4\] 2 32] $got(x)
        assert_equal {str 2 5} $got(s)
        assert_equal {bytes 1 4} $got(b)
        lassign [typed TQ.SCHEMA p] type rows
        assert_equal array $type
        assert_equal {bulk bulk int int} [lmap item [lindex $rows 0 1] {lindex $item 0}]
    }

    test "TQ.SCHEMA follows overwrites and clears" {
        r TQ.PUT p k1 FIELDS 1 b 12345
        r TQ.PUT p k2 FIELDS 1 b 123
        assert_equal {{b bytes 2 8}} [r TQ.SCHEMA p]
        r TQ.PUT p k1 FIELDS 1 b 1
        assert_equal {{b bytes 2 4}} [r TQ.SCHEMA p]
        r TQ.CLEAR p KEYS 1 k2
        assert_equal {{b bytes 1 1}} [r TQ.SCHEMA p]
        r TQ.CLEAR p FIELDS 1 b
        assert_equal {{b bytes 0 0}} [r TQ.SCHEMA p]
    }

    test "TQ.SCHEMA of a partition without fields is empty, of none an error" {
        r TQ.PUT p k TAGS 1 t x
        assert_equal {} [r TQ.SCHEMA p]
        assert_error "NOPART *nosuch*" {r TQ.SCHEMA nosuch}
    }

    test "TQ.STATUS tells how a partition stands" {
        fill p 1 10
        r TQ.PUT p k1 FIELDS 1 g 12
        r TQ.PUT p k11 GROUP a 2
        take p t 3
        set status [r TQ.STATUS p]
        assert_same_set {samples expected sealed groups broken_groups bytes fields tasks bounds indexes} [dict keys $status]
        assert_equal 11 [dict get $status samples]
        assert_equal 1 [dict get $status groups]
        assert_equal 0 [dict get $status sealed]
        assert_equal {f 10 g 1} [lsort -stride 2 [dict get $status fields]]
        assert_equal t [dict keys [dict get $status tasks]]
        assert_equal 3 [consumed p t]
        assert {[dict get $status bytes] >= 23}
    }

    test "TQ.STATUS tells what is expected and that it is sealed" {
        r TQ.EXPECT p 7
        assert_equal 7 [dict get [r TQ.STATUS p] expected]
        r TQ.SEAL p
        assert_equal 1 [dict get [r TQ.STATUS p] sealed]
        assert_equal 0 [dict get [r TQ.STATUS p] samples]
    }

    test "TQ.STATUS follows clears and resets" {
        fill p 1 10
        take p t 6
        r TQ.CLEAR p KEYS 2 k1 k10
        assert_equal 8 [dict get [r TQ.STATUS p] samples]
        assert_equal {f 8} [dict get [r TQ.STATUS p] fields]
        r TQ.RESET p TASK t KEYS 1 k2
        assert_equal 8 [expr {[consumed p t] + [r TQ.COUNT p TASK t]}]
        r TQ.RESET p
        assert_equal 0 [consumed p t]
    }

    test "TQ.STATUS tells the age of the oldest sample that a task has not had" {
        fill p 1 2
        take p t 1
        set row [dict get [r TQ.STATUS p] tasks t]
        assert_equal {consumed 1 leased 0 waiting 0 fields f} [dict remove $row oldest]
        set age [dict get $row oldest]
        assert {[string is double -strict $age] && $age >= 0 && $age < 600}
        take p t 1
        assert_equal {consumed 2 leased 0 waiting 0 oldest (nil) fields f} [dict get [r TQ.STATUS p] tasks t]
    }

    test "TQ.STATUS tells how many calls of a task are parked, also of one that never had a sample" {
        fill p 1 1
        take p t 1
        r TQ.CREATE q MAXSAMPLES 1
        foreach words {{t FIELDS 1 f} {t FIELDS 1 f} {t FIELDS 1 g} {unused FIELDS 2 f g}} {
            lassign $words task
            set c [client]
            lappend clients $c
            resp::send $c TQ.SAMPLE p $task COUNT 1 {*}[lrange $words 1 end] BLOCK 0
        }
        wait_blocked 4
        set tasks [dict get [r TQ.STATUS p] tasks]
        assert_equal {t unused} [lsort [dict keys $tasks]]
        assert_equal {consumed 1 leased 0 waiting 3 oldest (nil) fields g} [dict get $tasks t]
        assert_equal {consumed 0 leased 0 waiting 1 fields {f g}} [dict remove [dict get $tasks unused] oldest]
        assert {[string is integer -strict [dict get $tasks unused oldest]]}
        r TQ.PUT p k1 FIELDS 1 g v
        wait_blocked 3
        assert_equal {t} [dict keys [dict filter [dict get [r TQ.STATUS p] tasks] value *waiting\ 3*]]
        assert_equal {consumed 1 leased 0 waiting 0 oldest (nil) fields {f g}} \
            [dict get [r TQ.STATUS p] tasks unused]
        assert_equal {} [dict get [r TQ.STATUS q] tasks]
    }

    test "TQ.STATUS tells what a task asked for last, also of one that asked in vain and did not wait" {
        fill p 1 2
        r TQ.SAMPLE p eager COUNT 1 FIELDS 2 f nosuch
        r TQ.SAMPLE p t COUNT 1 FIELDS 1 f
        r TQ.SAMPLE p t COUNT 1 FIELDS 2 g f KEEP
        set tasks [dict get [r TQ.STATUS p] tasks]
        assert_equal {eager t} [dict keys $tasks]
        assert_equal {consumed 0 leased 0 waiting 0 fields {f nosuch}} [dict remove [dict get $tasks eager] oldest]
        assert_equal {g f} [dict get $tasks t fields]
        r TQ.SAMPLE nosuch t COUNT 1 FIELDS 1 f
        assert_error "NOPART *" {r TQ.STATUS nosuch}
        r TQ.CLEAR p
        fill p 1 1
        assert_equal {} [dict get [r TQ.STATUS p] tasks]
    }

    test "what was asked of a partition is forgotten when a restore replaces it" {
        fill p 1 2
        r TQ.CHECKPOINT before
        r TQ.SAMPLE p late COUNT 1 FIELDS 2 f nosuch
        assert_equal late [dict keys [dict get [r TQ.STATUS p] tasks]]
        r TQ.RESTORE before REPLACE
        assert_equal {} [dict get [r TQ.STATUS p] tasks]
        r TQ.FORGET before
    }

    test "a call that waited for the partition itself is there, while it waits and when it was served" {
        set c [client]
        resp::send $c TQ.SAMPLE p t COUNT 2 FIELDS 2 g f BLOCK 0
        wait_blocked 1
        r TQ.PUT p k1 FIELDS 2 f 1 g 1
        assert_equal {f g} [lsort [dict get [r TQ.STATUS p] tasks t fields]]
        r TQ.PUT p k2 FIELDS 2 f 1 g 1
        resp::receive $c
        assert_equal {2 {g f}} [list [consumed p t] [dict get [r TQ.STATUS p] tasks t fields]]
    }

    test "the tasks of a partition that asked last are remembered, and of long lists what fits" {
        r TQ.CREATE p
        foreach i [range 1 70] { r TQ.SAMPLE p t$i COUNT 1 FIELDS 1 f }
        r TQ.SAMPLE p t7 COUNT 1 FIELDS 1 g
        assert_same_set [lmap i [range 7 70] {set _ t$i}] [dict keys [dict get [r TQ.STATUS p] tasks]]
        set names [lmap i [range 1 100] {format %0100d $i}]
        r TQ.SAMPLE p long COUNT 1 FIELDS 100 {*}$names
        assert_equal [lrange $names 0 39] [dict get [r TQ.STATUS p] tasks long fields]
    }

    test "what tasks asked for takes no memory beyond maxmemory" {
        fill p 1 1
        r CONFIG SET maxmemory 1
        r TQ.SAMPLE p t COUNT 2 FIELDS 1 f
        assert_equal {} [dict get [r TQ.STATUS p] tasks]
        r CONFIG SET maxmemory 0
    }

    test "TQ.STATUS tells how many groups lost a member" {
        foreach {key group} {k1 a k2 a k3 b k4 b k5 c} {
            r TQ.PUT p $key GROUP $group 2 FIELDS 1 f v
        }
        assert_equal {3 0} [list [dict get [r TQ.STATUS p] groups] [dict get [r TQ.STATUS p] broken_groups]]
        r TQ.CLEAR p KEYS 2 k1 k3
        assert_equal {3 2} [list [dict get [r TQ.STATUS p] groups] [dict get [r TQ.STATUS p] broken_groups]]
        r TQ.CLEAR p KEYS 1 k4
        assert_equal {2 1} [list [dict get [r TQ.STATUS p] groups] [dict get [r TQ.STATUS p] broken_groups]]
    }

    test "a writer that is parked is no task in TQ.STATUS" {
        r TQ.CREATE p MAXSAMPLES 1
        r TQ.PUT p k1 FIELDS 1 f v
        resp::send [client] TQ.PUT p k2 FIELDS 1 f v BLOCK 0
        wait_blocked 1
        assert_equal {} [dict get [r TQ.STATUS p] tasks]
    }

    test "TQ.STATUS tells the bounds that are set, named as in TQ.CREATE" {
        r TQ.CREATE p
        assert_equal {} [dict get [r TQ.STATUS p] bounds]
        r TQ.ALTER p MAXAHEAD nobody 8
        assert_equal {MAXAHEAD {nobody 8}} [dict get [r TQ.STATUS p] bounds]
        r TQ.ALTER p MAXSAMPLES 10 MAXBYTES 1000 RETIRE 2 a b
        assert_equal {MAXSAMPLES 10 MAXBYTES 1000 MAXAHEAD {nobody 8} RETIRE {a b}} \
            [dict get [r TQ.STATUS p] bounds]
        assert_equal {} [dict get [r TQ.STATUS p] tasks]
        r TQ.ALTER p MAXAHEAD nobody 0 MAXBYTES 0 RETIRE 0
        assert_equal {MAXSAMPLES 10} [dict get [r TQ.STATUS p] bounds]
    }

    test "TQ.STATUS is a map of maps in RESP3" {
        fill p 1 2
        take p t 1
        lassign [typed [client3] TQ.STATUS p] type items
        assert_equal map $type
        foreach {name value} $items {
            set got([lindex $name 1]) [lindex $value 0]
        }
        assert_equal {map map map int} \
            [list $got(fields) $got(tasks) $got(bounds) $got(samples)]
    }

    test "TQ.STATUS of no partition is an error" {
        assert_error "NOPART *nosuch*" {r TQ.STATUS nosuch}
    }

    test "bytes go to nothing when everything is cleared" {
        r TQ.PUT p k FIELDS 1 f [random_bytes 100000]
        assert {[dict get [r TQ.STATUS p] bytes] >= 100000}
        r TQ.CLEAR p KEYS 1 k
        assert {[dict get [r TQ.STATUS p] bytes] < 100000}
    }

    test "a partition name that is none is an error" {
        foreach command {TQ.COUNT TQ.LIST TQ.SEAL TQ.CLEAR} {
            assert_error "ERR *" {r $command [string repeat p 256]}
            assert_error "ERR *" {r $command ""}
        }
        foreach command {TQ.SCHEMA TQ.STATUS TQ.RESET} {
            assert_error "* *" {r $command [string repeat p 256]}
            assert_error "* *" {r $command ""}
        }
    }

    test "wrong arity is an error" {
        foreach wrong {{TQ.COUNT} {TQ.SCHEMA} {TQ.SCHEMA p x} {TQ.STATUS} {TQ.STATUS p x}} {
            assert_error "ERR *" {r {*}$wrong}
        }
    }
}
