# tq-check and tq-dump: files of tq, looked at without a server.

# What a tool says, and its exit status in `status`.
proc tool {name args} {
    upvar 1 status status
    set path [file join [file dirname $::server_path] tq-$name]
    set status 0
    if {[catch {exec $path {*}$args 2>@1} said how]} {
        set status [lindex [dict get $how -errorcode] 2]
        regsub {\nchild process exited abnormally$} $said "" said
    }
    return $said
}

proc run_again {} {
    set id [lindex $::server_stack end]
    run_server $id [list tq.conf --port [srv port]]
    wait_ready $id
}

proc spoil {path at} {
    set bytes [read_file $path]
    scan [string index $bytes $at] %c byte
    write_file $path [string replace $bytes $at $at [format %c [expr {$byte ^ 1}]]]
}

start_own_server {appendonly yes appendfsync always} {
    test "tq-check finds a log whole, and says where a damaged one ends" {
        fill p 1 3
        foreach i [range 4 9] {
            r TQ.PUT p k$i FIELDS 1 f [string repeat x 100]
        }
        end_server TERM
        set log [file join [srv dir] appendonlydir]
        set said [tool check $log/manifest]
        assert_equal 0 $status $said
        assert_match "*9 samples in 1 partitions*manifest: ok*" $said
        assert_match "*segment 1, * frames, 1 to *: ok*" [tool check $log/log.000001.tql]
        assert_equal 0 $status
        spoil $log/log.000001.tql 600
        set said [tool check $log/log.000001.tql]
        assert_equal 1 $status
        assert_match "*readable up to offset * of *: a frame does not match its checksum. DAMAGED*" $said
        set said [tool check $log/manifest]
        assert_equal 1 $status
        assert_match "*log.000001.tql', offset *checksum*manifest: DAMAGED*" $said
        spoil $log/log.000001.tql 600
        run_again
    }

    test "tq-check --fix cuts a log where it can't be read, and the server starts with what is before" {
        fill p 1 3
        foreach i [range 4 9] {
            r TQ.PUT p k$i FIELDS 1 f [string repeat x 100]
        }
        end_server TERM
        set log [file join [srv dir] appendonlydir]
        set size [file size $log/log.000001.tql]
        spoil $log/log.000001.tql [expr {$size - 300}]
        set said [tool check $log/manifest --fix]
        assert_match "*cut at offset * bytes are in *log.000001.tql.cut*" $said
        assert_equal $size [expr {[file size $log/log.000001.tql] + [file size $log/log.000001.tql.cut]}]
        tool check $log/manifest
        assert_equal 0 $status
        run_again
        set n [r TQ.COUNT p]
        assert {$n >= 6 && $n < 9} "there are $n"
    }
}

start_own_server {} {
    test "tq-check says which partitions of a damaged snapshot can be read" {
        fill p 1 30
        fill q 1 30
        r SAVE
        end_server TERM
        set dump [file join [srv dir] dump.tqs]
        assert_match "*snapshot of 2 partitions, 60 samples: ok*" [tool check $dump]
        assert_equal 0 $status
        spoil $dump 200
        set said [tool check $dump]
        assert_equal 1 $status
        assert_equal 1 [regexp -all {: ok} $said] $said
        assert_match "*DAMAGED*" $said
        tool check $dump --fix
        assert_equal 2 $status
        spoil $dump 200
        run_again
    }

    test "tq-dump prints snapshots and logs as JSON lines" {
        r TQ.PUT p k1 TAGS 1 v 7 TEXT 1 x:f32 0.5
        r TQ.PUT p "\xff\"" FIELDS 1 y "\x00\x80"
        r TQ.SAMPLE p t COUNT 1 FIELDS 1 x
        r SAVE
        set lines [split [tool dump [file join [srv dir] dump.tqs]] \n]
        assert_equal 0 $status
        assert_equal 4 [llength $lines]
        set first [json_read [lindex $lines 0]]
        assert_equal {1 2} [list [dict get $first partitions] [dict get $first samples]]
        set sample [json_read [lindex $lines 2]]
        assert_equal {k1 0.5 7 t} [list [dict get $sample key] [dict get $sample fields x] \
            [dict get $sample tags v] [dict get $sample consumed]]
    }

    test "the tools say what they can't read" {
        set path [file join [srv dir] tq.conf]
        assert_match "*no snapshot, no segment and no manifest*" [tool check $path]
        assert_equal 2 $status
        assert_match "*no snapshot*" [tool dump $path]
        assert_equal 1 $status
        assert_match "*No such file*" [tool dump /no/such/file]
        assert_match "usage:*" [tool dump]
        assert_equal 2 $status
        assert_match "usage:*" [tool check --nonsense]
        assert_match "usage:*" [tool check --help]
        assert_equal 0 $status
    }
}
