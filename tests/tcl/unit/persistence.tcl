# What is kept on disk: the op log, snapshots, and the start from both.

# All that partition p shows of itself, and what a task can still have.
proc picture {{partition p}} {
    set fields [lmap column [r TQ.SCHEMA $partition] {lindex $column 0}]
    set keys [lmap entry [list_all $partition] {lindex $entry 0}]
    set values {}
    if {[llength $keys] && [llength $fields]} {
        set values [r TQ.MGET $partition KEYS [llength $keys] {*}$keys FIELDS [llength $fields] {*}$fields]
    }
    set status [r TQ.STATUS $partition]
    set tasks {} ;# what they asked for last is not kept
    dict for {task figures} [dict get $status tasks] {
        if {[dict get $figures consumed] + [dict get $figures leased] == 0} { continue }
        lappend tasks $task [dict remove $figures oldest fields]
    }
    dict set status tasks $tasks
    return [list [r TQ.SCHEMA $partition] [list_all $partition WITH TAGS WITH FIELDS] $values $status]
}

proc said {} {
    return [server_output [lindex $::server_stack end]]
}

proc log_file {name} {
    return [file join [srv dir] appendonlydir $name]
}

proc flip {path at} {
    set bytes [read_file $path]
    set at [expr {$at < 0 ? [string length $bytes] + $at : $at}]
    scan [string index $bytes $at] %c byte
    write_file $path [string replace $bytes $at $at [format %c [expr {$byte ^ 0x40}]]]
}

# Some of everything that the log has to know of.
proc do_everything {} {
    r TQ.CREATE p MAXSAMPLES 1000 RETIRE 1 done FIELDS 1 x f32
    r TQ.PUT p k1 GROUP g 2 TAGS 2 v 1 w a FIELDS 1 x [pack f32 1.5]
    r TQ.PUT p k2 GROUP g 2 TAGS 1 v 2 TEXT 2 x 2.5 y:i64\[*\] {[1,2,3]}
    fill p 3 40
    r TQ.MPUT p KEYS 3 m1 m2 m3 TAGS 1 {*}{v 7 8 9} COLUMNS 1 big bytes \
        [binary format i3 {5000 0 9000}] [random_bytes 14000]
    r TQ.PUT p k3 TEXT 1 y {[4]}
    take p t 5
    lassign [r TQ.SAMPLE p t COUNT 6 FIELDS 1 f LEASE 100000 AS KEYS] ::one
    lassign [r TQ.SAMPLE p t COUNT 6 FIELDS 1 f LEASE 100000 AS KEYS] ::two
    r TQ.ACK p t $::one
    r TQ.NACK p t $::two KEYS 1 k15
    r TQ.EXTEND p t $::two 500000
    take p done 2
    set ::batch [r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f BY BALANCED v 2 RANK 1 BATCH 9 AS KEYS]
    r TQ.CLEAR p KEYS 2 k20 k21
    r TQ.CLEAR p KEYS 1 k22 FIELDS 1 f
    r TQ.CLEAR p KEYS 1 k1 TAGS 1 w
    r TQ.RESET p TASK t KEYS 1 k4
    r TQ.EXPECT p 900
    r TQ.PUT q only FIELDS 1 f v
    r TQ.SEAL q
    r TQ.PUT gone k FIELDS 1 f v
    r TQ.CLEAR gone
}

# What do_everything did with leases, repeated.
proc assert_first_replies {} {
    assert_equal 6 [r TQ.ACK p t $::one]
    assert_equal 1 [r TQ.NACK p t $::two KEYS 1 k15]
    assert_refused "NOLEASE *" {r TQ.NACK p t $::one}
}

foreach sync {always everysec no} {
    start_own_server [list appendonly yes appendfsync $sync] {
        test "with appendfsync $sync a killed server comes back with all it acknowledged" {
            do_everything
            set before [picture]
            restart_server KILL
            assert_equal $before [picture]
            assert_equal 0 [r EXISTS gone]
            assert_equal 1 [dict get [r TQ.STATUS q] sealed]
            assert_refused "FULL *" {r TQ.PUT q new FIELDS 1 f v}
            assert_refused "NOKEY *batch 8*" {r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f RANK 1 BATCH 8}
            assert_equal $::batch [r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f BY BALANCED v 2 RANK 1 BATCH 9 AS KEYS]
            assert_first_replies
            assert_equal 5 [r TQ.ACK p t $::two]
            restart_server KILL
            assert_equal 5 [r TQ.ACK p t $::two]
        }
    }
}

start_own_server {appendonly yes} {
    test "a server that was killed before its first write starts again" {
        restart_server KILL
        assert_equal 0 [llength [r TQ.LIST]]
    }
}

start_own_server {appendonly yes} {
    test "a new base of the log changes nothing that anyone sees" {
        do_everything
        r BGREWRITEAOF
        wait_until {[info_field aof_rewrites] == 1} "no rewrite"
        fill p 50 60
        set before [picture]
        restart_server KILL
        assert_equal $before [picture]
        assert_equal 1 [llength [glob [log_file base.*.tqs]]]
        assert_equal 1 [llength [glob [log_file log.*.tql]]]
        assert_refused "NOKEY *batch 8*" {r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f RANK 1 BATCH 8}
        assert_equal $::batch [r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f BY BALANCED v 2 RANK 1 BATCH 9 AS KEYS]
        assert_first_replies
    }
}

start_own_server {appendonly yes auto-aof-rewrite-min-size 100kb} {
    test "the log is begun anew by itself when it has grown" {
        foreach i [range 1 40] {
            r TQ.PUT p k FIELDS 1 f [random_bytes 20000]
        }
        wait_until {[info_field aof_rewrites] >= 1} "no rewrite"
        assert {[info_field aof_current_size] < 600000}
        set before [picture]
        restart_server KILL
        assert_equal $before [picture]
    }
}

start_own_server {appendonly yes} {
    test "a lease goes on with the time that it had left" {
        # While the server is down 1.5 s pass that must not count; what passes while it runs may.
        fill p 1 2
        set began [clock milliseconds]
        r TQ.SAMPLE p t COUNT 1 FIELDS 1 f LEASE 600000
        end_server KILL
        set ran [expr {[clock milliseconds] - $began}]
        pause 1500
        set began [clock milliseconds]
        run_server [lindex $::server_stack end] [list tq.conf --port [srv port]]
        wait_ready [lindex $::server_stack end]
        set left [dict get [lindex [r TQ.LEASES p] 0] left-ms]
        incr ran [expr {[clock milliseconds] - $began}]
        assert {$left >= 600000 - $ran - 10 && $left <= 600000} "left: $left, the server ran for $ran ms"
    }

    test "a lease that ran out before the crash is not there after it" {
        fill p 1 2
        r TQ.SAMPLE p t COUNT 1 FIELDS 1 f LEASE 50
        wait_until {[r TQ.LEASES p] eq ""}
        restart_server KILL
        assert_equal {k1 k2} [take p t 2]
    }

    test "what a transaction did comes back whole" {
        r MULTI
        r TQ.PUT p a FIELDS 1 f v
        r TQ.PUT p b FIELDS 1 f v
        r TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS
        r EXEC
        restart_server KILL
        assert_equal {b} [take p t 1]
    }

    test "FLUSHALL and DEL are remembered" {
        foreach name {p q s} {
            r TQ.PUT $name k FIELDS 1 f v
        }
        r DEL q
        restart_server KILL
        assert_same_set {p s} [r TQ.LIST]
        r FLUSHALL
        restart_server KILL
        assert_equal "" [r TQ.LIST]
    }
}

# ---------------------------------------------------------------- snapshots

start_own_server {} {
    test "SAVE and a start give the same store" {
        do_everything
        set before [picture]
        assert_equal OK [r SAVE]
        restart_server KILL
        assert_equal $before [picture]
        assert_refused "NOKEY *batch 8*" {r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f RANK 1 BATCH 8}
        assert_equal $::batch [r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f BY BALANCED v 2 RANK 1 BATCH 9 AS KEYS]
        assert_first_replies
    }

    test "BGSAVE writes what was there when it began" {
        fill p 1 100
        set before [picture]
        assert_equal "Background saving started" [r BGSAVE]
        fill p 101 200
        wait_until {[info_field rdb_bgsave_in_progress] == 0}
        assert_equal ok [info_field rdb_last_bgsave_status]
        restart_server KILL
        assert_equal $before [picture]
    }

    test "nothing is kept where nobody asked for it" {
        fill p 1 3
        file delete [file join [srv dir] dump.tqs]
        restart_server TERM
        assert_equal "" [r TQ.LIST]
        assert_equal {} [glob -nocomplain -directory [srv dir] appendonlydir *.tqs]
    }

    test "SHUTDOWN SAVE saves, LASTSAVE tells when" {
        fill p 1 3
        set before [r LASTSAVE]
        set id [lindex $::server_stack end]
        resp::send [r] SHUTDOWN SAVE
        assert_equal {exit 0} [wait_exit $id]
        run_server $id [list tq.conf --port [srv port]]
        wait_ready $id
        assert_equal {k1 k2 k3} [take p t 3]
        assert {[r LASTSAVE] >= $before}
    }

    test "BGREWRITEAOF without a log is an error" {
        assert_error "ERR *appendonly*" {r BGREWRITEAOF}
    }
}

start_own_server {save "1 5"} {
    test "a save rule saves when enough has changed" {
        fill p 1 4
        fill p 5 10
        wait_until {[info_field rdb_saves] >= 1} "no snapshot"
        restart_server KILL
        assert_equal 10 [r TQ.COUNT p]
    }

    test "with save rules a server that is told to end saves" {
        r CONFIG SET save "3600 1"
        fill p 1 7
        restart_server TERM
        assert_equal 7 [r TQ.COUNT p]
    }

    test "a snapshot that fails is told, stops writes, and lets them go on when one succeeds" {
        r CONFIG SET save "3600 1"
        fill p 1 2
        file delete [file join [srv dir] dump.tqs]
        file mkdir [file join [srv dir] dump.tqs]
        assert_error "*dump.tqs*" {r SAVE}
        assert_equal err [info_field rdb_last_bgsave_status]
        assert_refused "MISCONF *" {r TQ.PUT p k3 FIELDS 1 f v}
        assert_equal k1 [lindex [r TQ.LIST p] 1 0]
        file delete -force [file join [srv dir] dump.tqs]
        assert_equal OK [r SAVE]
        assert_equal 1 [r TQ.PUT p k3 FIELDS 1 f v]
    }
}

start_own_server {} {
    test "a log that is turned on begins with the snapshot that is there" {
        do_everything
        set before [picture]
        r SAVE
        restart_server TERM --appendonly yes
        assert_equal $before [picture]
        r TQ.PUT p after FIELDS 1 f v
        set before [picture]
        restart_server KILL --appendonly yes
        assert_equal $before [picture]
    }

    test "a log that is turned off is not passed over in silence" {
        restart_server TERM
        assert_match "*there is an op log in*" [said]
    }
}

# ---------------------------------------------------------------- on and off

proc turn_on {} {
    assert_equal OK [r CONFIG SET appendonly yes]
    wait_until {[info_field aof_rewrites] > 0 && [info_field aof_rewrite_in_progress] == 0} "no base"
}

start_own_server {} {
    test "a log that is turned on while the server runs holds what was there and what comes" {
        do_everything
        assert_equal 0 [info_field aof_enabled]
        assert_equal OK [r CONFIG SET appendonly yes]
        fill p 50 60
        assert_equal 1 [info_field aof_enabled]
        turn_on
        fill p 61 70
        set before [picture]
        restart_server KILL --appendonly yes
        assert_equal $before [picture]
        assert_refused "NOKEY *batch 8*" {r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f RANK 1 BATCH 8}
        assert_equal $::batch [r TQ.SAMPLE p ranked COUNT 3 FIELDS 1 f BY BALANCED v 2 RANK 1 BATCH 9 AS KEYS]
    }

    test "one that is turned off is closed, and one that is turned on again takes its place" {
        restart_server TERM --appendonly yes
        fill p 80 90
        set before [picture]
        assert_equal OK [r CONFIG SET appendonly no]
        assert_equal 0 [info_field aof_enabled]
        fill p 91 99
        restart_server KILL --appendonly yes
        assert_equal $before [picture]
        r CONFIG SET appendonly no
        fill p 100 110
        turn_on
        set before [picture]
        assert_equal 1 [llength [glob [log_file log.*.tql]]]
        restart_server KILL --appendonly yes
        assert_equal $before [picture]
    }

    test "a log that was not loaded is not replaced in silence, one of this server is" {
        assert_equal 0 [regexp -all {was not loaded} [said]]
        restart_server TERM
        set before [regexp -all {was not loaded} [said]]
        turn_on
        assert_equal [expr {$before + 1}] [regexp -all {was not loaded} [said]]
        assert_match "*the op log in '*/appendonlydir' was not loaded: a new one*replaces it*" [said]
        r CONFIG SET appendonly no
        turn_on
        assert_equal [expr {$before + 1}] [regexp -all {was not loaded} [said]]
        fill p 100 110
    }

    test "turned off and on within a transaction it goes on" {
        restart_server TERM --appendonly yes
        r MULTI
        r TQ.PUT p a1 FIELDS 1 f v
        r CONFIG SET appendonly no
        r TQ.PUT p a2 FIELDS 1 f v
        r CONFIG SET appendonly yes
        r EXEC
        set before [picture]
        restart_server KILL --appendonly yes
        assert_equal $before [picture]
    }
}

start_own_server {} {
    test "a log that can't be begun is an error, and what was there stays" {
        fill p 1 9
        file mkdir [file join [srv dir] appendonlydir]
        write_file [log_file manifest] "something else"
        assert_refused "ERR *manifest*" {r CONFIG SET appendonly yes}
        assert_equal {appendonly no} [r CONFIG GET appendonly]
        file rename [log_file manifest] [log_file log.000007.tql]
        assert_refused "ERR *log.000007.tql*" {r CONFIG SET appendonly yes}
        file delete [log_file log.000007.tql]
        turn_on
        set before [picture]
        restart_server KILL --appendonly yes
        assert_equal $before [picture]
    }

    test "a log without a base is begun again until it has one" {
        restart_server TERM
        fill p 10 19
        # A name in the way of the base that is going to be written.
        set manifest [read_file [log_file manifest]]
        regexp {segments \d+ (\d+)} $manifest - last
        set base [log_file [format base.%06d.tqs.tmp [expr {$last + 1}]]]
        file mkdir $base
        r CONFIG SET appendonly yes
        wait_until {[info_field aof_last_bgrewrite_status] eq "err"}
        assert_equal $manifest [read_file [log_file manifest]]
        wait_until {[string match "*has no base and is given up*" [said]]}
        assert_equal 0 [info_field aof_in_force]
        assert_error "MISCONF *not in force*" {r TQ.PUT p k20 FIELDS 1 f v}
        assert_error "MISCONF *not in force*" {r TQ.SAMPLE p t COUNT 1 FIELDS 1 f}
        file delete $base
        wait_until {[info_field aof_last_bgrewrite_status] eq "ok"}
        wait_until {[info_field aof_in_force] == 1}
        fill p 20 29
        set before [picture]
        restart_server KILL --appendonly yes
        assert_equal $before [picture]
    }
}

# The segment that is written.
proc open_segment {} {
    return [lindex [lsort [glob [log_file log.*.tql]]] end]
}

# The server says what happened to a file of the log. A new log holds what was there, and what comes after.
proc assert_begins_anew {what} {
    wait_until {[string match "*$what*" [said]]}
    wait_until {[info_field aof_in_force] == 1}
    fill p 21 30
    set before [picture]
    restart_server KILL
    assert_equal $before [picture]
}

# A new base is made, and in force.
proc rewrite_log {} {
    set before [info_field aof_rewrites]
    r BGREWRITEAOF
    wait_until {[info_field aof_rewrites] > $before && [info_field aof_rewrite_in_progress] == 0}
    assert_equal ok [info_field aof_last_bgrewrite_status]
}

proc open_base {} {
    if {[glob -nocomplain [log_file base.*.tqs]] eq ""} rewrite_log
    return [lindex [lsort [glob [log_file base.*.tqs]]] end]
}

# Names in the way of the next bases: no new log can be in force until they are removed.
proc block_bases {} {
    regexp {segments \d+ (\d+)} [read_file [log_file manifest]] - last
    set names {}
    foreach i [range 1 9] {
        lappend names [log_file [format base.%06d.tqs.tmp [expr {$last + $i}]]]
    }
    file mkdir {*}$names
    return $names
}

# INFO says that the log was lost and writes are refused: for `what`, or, where the first attempt to begin
# anew has failed before the write came, for that. The log of the server says `what` in any case.
proc assert_lost {what} {
    wait_until {[info_field aof_in_force] == 0}
    set text [assert_error "MISCONF *" {r TQ.PUT p k FIELDS 1 f v}]
    set later "MISCONF the op log is not in force*its first base could not be written"
    assert {[string match "MISCONF *$what*" $text] || [string match $later $text]} "refused with '$text'"
    assert_match "*op log: *$what*" [said]
}

# Then a new log is begun.
proc assert_lost_until_anew {what blocks} {
    assert_lost $what
    assert_error "ERR Errors trying to SHUTDOWN: the op log is *" {r SHUTDOWN}
    file delete {*}$blocks
    assert_begins_anew $what
}

start_own_server {appendonly yes} {
    test "a log whose directory was removed is noticed, refuses writes, and is begun anew" {
        fill p 1 10
        assert_equal 1 [info_field aof_in_force]
        file rename [file join [srv dir] appendonlydir] [file join [srv dir] elsewhere]
        file mkdir [file join [srv dir] appendonlydir base.000001.tqs.tmp] ;# no base can be written yet
        foreach i [range 1 9] {
            file mkdir [file join [srv dir] appendonlydir [format base.%06d.tqs.tmp $i]]
        }
        assert_lost "manifest' was removed or replaced"
        set refused "*partition 'p', task 'trainer': 'tq.sample' of client * is refused: MISCONF the op log*"
        wait_until {[catch {r TQ.SAMPLE p trainer COUNT 1 FIELDS 1 f}] &&
            [string match $refused [server_output [lindex $::server_stack end]]]}
        assert_error "ERR Errors trying to SHUTDOWN: the op log is *" {r SHUTDOWN}
        assert_equal 10 [r TQ.COUNT p]
        file delete -force {*}[glob [file join [srv dir] appendonlydir base.*]]
        wait_until {[info_field aof_in_force] == 1}
        fill p 11 20
        set before [picture]
        restart_server KILL
        assert_equal $before [picture]
    }

    test "a manifest that was removed is noticed" {
        file delete [log_file manifest]
        wait_until {[file exists [log_file manifest]]}
        assert_begins_anew "manifest' was removed or replaced"
    }

    test "a segment that was cut short is noticed" {
        set f [open [open_segment] r+]
        chan truncate $f 40
        close $f
        assert_begins_anew "tql' was cut short"
    }

    test "a segment that was replaced is noticed" {
        set segment [open_segment]
        file copy $segment $segment.copy
        file rename -force $segment.copy $segment
        assert_begins_anew "tql' was removed or replaced"
    }

    test "a base that was removed is noticed, refuses writes, and the log is begun anew" {
        assert_equal 1 [info_field aof_in_force]
        set base [open_base]
        set blocks [block_bases]
        file delete $base
        assert_lost_until_anew "[file tail $base]' was removed or replaced" $blocks
    }

    test "a base that was cut short is noticed" {
        set base [open_base]
        set blocks [block_bases]
        set f [open $base r+]
        chan truncate $f [expr {[file size $base] - 1}]
        close $f
        assert_lost_until_anew "[file tail $base]' was cut short" $blocks
    }

    test "an older segment that was removed is noticed" {
        # A base that comes to nothing leaves two segments.
        set older [open_segment]
        set blocks [block_bases]
        r BGREWRITEAOF
        wait_until {[info_field aof_last_bgrewrite_status] eq "err"}
        assert {[open_segment] ne $older}
        assert_equal 1 [info_field aof_in_force]
        assert_equal 1 [r TQ.PUT p between FIELDS 1 f v]
        file delete $older
        assert_lost_until_anew "[file tail $older]' was removed or replaced" $blocks
    }

    test "a manifest that was overwritten is noticed" {
        set blocks [block_bases]
        write_file [log_file manifest] "something else"
        assert_lost_until_anew "manifest' was overwritten" $blocks
    }

    test "a manifest in which one digit was changed is noticed" {
        set blocks [block_bases]
        set manifest [read_file [log_file manifest]]
        write_file [log_file manifest] [regsub {base \d} $manifest {base 9}]
        assert_lost_until_anew "manifest' was overwritten" $blocks
    }

    test "a snapshot that an op of the log speaks of is noticed when it is removed" {
        r TQ.CHECKPOINT c
        r TQ.RESTORE c REPLACE
        assert_equal 1 [info_field aof_in_force]
        set kept [lindex [glob [log_file log.*.d/*.tqs]] 0]
        set blocks [block_bases]
        file delete $kept
        assert_lost_until_anew "[file tail $kept]' was removed or replaced" $blocks
    }

    test "rewriting the log, which replaces and removes its files, is no loss" {
        set warnings [regexp -all {begun anew, and writes} [said]]
        foreach i [range 1 6] {
            assert_equal 1 [r TQ.PUT p rewrite$i FIELDS 1 f v]
            rewrite_log
            assert_equal 1 [info_field aof_in_force]
        }
        assert_equal $warnings [regexp -all {begun anew, and writes} [said]]
    }
}

# ---------------------------------------------------------------- one owner

# Another server in the directory of the current one: what it says, and that it ended.
proc second_start_fails {pattern args} {
    set id [launch [list --port [free_port] --dir [srv dir] {*}$args]]
    assert_equal {exit 1} [wait_exit $id]
    assert_match $pattern [server_output $id]
}

start_own_server {appendonly yes} {
    test "a second server in the directory does not start, and says who has it" {
        fill p 1 10
        second_start_fails "*is in use by another tq: process [srv pid] (pid [srv pid], port [srv port])*" --appendonly yes
        second_start_fails "*is in use by another tq*"
        set before [picture]
        restart_server KILL ;# the lock of a killed process is none
        assert_equal $before [picture]
    }

    test "a lock file that was removed is made anew" {
        file delete [file join [srv dir] tq.lock]
        wait_until {[file exists [file join [srv dir] tq.lock]]}
        wait_until {[string match "*tq.lock' was removed: it is locked anew*" [said]]}
        assert_equal 1 [info_field aof_in_force]
        second_start_fails "*is in use by another tq: process [srv pid] *" --appendonly yes
    }

    # The owner is stopped, so that it can't make the file again before the second server comes.
    test "a second server does not start while the lock file is removed" {
        signal_process STOP [srv pid]
        file delete [file join [srv dir] tq.lock]
        try {
            second_start_fails "*is in use by another tq: process [srv pid] (its tq.lock was removed)*" --appendonly yes
        } finally {
            signal_process CONT [srv pid]
        }
        wait_until {[file exists [file join [srv dir] tq.lock]]}
        assert_equal 1 [info_field aof_in_force]
        assert_equal 0 [regexp {begun anew, and writes} [said]]
    }

    # The first is stopped, so that the second has its place before the first looks at its files.
    test "a server whose directory was moved leaves the log of its successor there alone" {
        set dir [file join $::work_dir data]
        foreach name {first second} {
            file mkdir $dir
            set port [free_port]
            set $name,options [list --port $port --dir $dir --appendonly yes]
            set $name [launch [set $name,options]]
            set ::server([set $name],port) $port
            wait_ready [set $name]
            assert_equal 1 [$::server([set $name],client) TQ.PUT $name k FIELDS 1 f v]
            # The second can't look at its files either, until it is killed.
            signal_process STOP $::server([set $name],pid)
            if {$name eq "first"} { file rename $dir $dir.moved }
        }
        set manifest [read_file $dir/appendonlydir/manifest]
        set c $::server($first,client)
        signal_process CONT $::server($first,pid)
        wait_until {[string match *aof_in_force:0* [$c INFO persistence]]}
        assert_error "MISCONF*" {$c TQ.PUT first more FIELDS 1 f v}
        assert_equal $manifest [read_file $dir/appendonlydir/manifest]
        kill_server $second
        run_server $second ${second,options}
        wait_ready $second
        assert_equal second [$::server($second,client) TQ.LIST]
        kill_server $second
        # With the second's log in its place the first goes on refusing; its own may come back.
        wait_until {[string match {*/data/appendonlydir' holds another log: move it away*} \
                         [read_file [file join $::server($first,dir) stderr]]]}
        file rename $dir/appendonlydir $dir.second
        wait_until {[string match *aof_in_force:1* [$c INFO persistence]]}
        assert_equal 1 [$c TQ.PUT first more FIELDS 1 f v]
        kill_server $first
    }

    test "a child that saves does not keep the lock of a server that was killed" {
        fill p 1 2000
        r BGREWRITEAOF
        restart_server KILL
        assert_equal 2000 [r TQ.COUNT p]
    }
}

start_own_server {} {
    test "servers that keep nothing share a directory until one of them writes there" {
        set port [free_port]
        set id [launch [list --port $port --dir [srv dir]]]
        set ::server($id,port) $port
        wait_ready $id
        set other $::server($id,client)
        fill p 1 3
        assert_equal OK [r SAVE]
        assert_error "*in use by another tq: process [srv pid] *" {$other SAVE}
        assert_error "*in use by another tq*" {$other TQ.CHECKPOINT c}
        assert_error "*in use by another tq*" {$other CONFIG SET appendonly yes}
        assert_error "*in use by another tq*" {$other CONFIG SET save "60 1"}
        assert_equal PONG [$other PING]
        put_away_launched
    }
}

# ---------------------------------------------------------------- damage

start_own_server {appendonly yes appendfsync always} {
    test "a torn tail is cut off, and the log says how much that was" {
        fill p 1 2
        r TQ.PUT p k3 FIELDS 1 f [random_bytes 1000]
        end_server KILL
        set path [log_file log.000001.tql]
        set bytes [read_file $path]
        write_file $path [string range $bytes 0 end-100]
        run_server [lindex $::server_stack end] [list tq.conf --port [srv port]]
        wait_ready [lindex $::server_stack end]
        assert_equal {k1 k2} [take p t 2]
        assert_equal 0 [r TQ.PUT p k2 FIELDS 1 f w]
        assert_match "*torn frame, log.000001.tql, offset *bytes that nobody was promised were cut off*" [said]
        set kept [lindex [glob $path.cut-*] 0]
        set offset [lindex [split $kept -] end]
        assert_equal [string range $bytes $offset end-100] [read_file $kept]
        restart_server KILL
        assert_equal w [cell p k2 f]
    }
}

# A start that has to fail: with what it says.
proc start_fails {pattern} {
    set id [lindex $::server_stack end]
    run_server $id [list tq.conf --port [srv port]]
    assert_equal {exit 1} [wait_exit $id]
    assert_match $pattern [said]
}

start_own_server {appendonly yes appendfsync always} {
    test "damage that is no torn tail stops the start, with file, offset and reason" {
        fill p 1 2
        foreach i [range 3 9] {
            r TQ.PUT p k$i FIELDS 1 f [random_bytes 100]
        }
        end_server TERM
        flip [log_file log.000001.tql] 200
        start_fails "*log.000001.tql', offset *checksum*"
        flip [log_file log.000001.tql] 200
        flip [log_file manifest] 30
        start_fails "*manifest'*"
        flip [log_file manifest] 30
        file rename [log_file manifest] [log_file elsewhere]
        start_fails "*'log.000001.tql' of an op log, but its 'manifest' is missing*"
        file rename [log_file elsewhere] [log_file manifest]
        file rename [log_file log.000001.tql] [log_file elsewhere]
        start_fails "*log.000001.tql'*No such file*"
        file rename [log_file elsewhere] [log_file log.000001.tql]
        run_server [lindex $::server_stack end] [list tq.conf --port [srv port]]
        wait_ready [lindex $::server_stack end]
        assert_equal 9 [r TQ.COUNT p]
    }
}

start_own_server {appendonly yes} {
    test "bytes that were put into a log are damage, not a torn tail, and both places are named" {
        fill p 1 100
        set path [log_file log.000001.tql]
        set chan [open $path a]
        puts -nonewline $chan "some bytes"
        close $chan
        set at [file size $path]
        fill p 101 200
        end_server KILL
        start_fails "*log.000001.tql', offset [expr {$at - 10}]: no frame begins here*at offset $at stands a whole frame*"
        set path [file join [file dirname $::server_path] tq-check]
        assert {[catch {exec $path [log_file log.000001.tql] 2>@1} said]}
        assert_match "*DAMAGED: bytes were put in*a whole frame at offset $at was written for another place*" $said
        exec $path [log_file manifest] --fix 2>@1
        run_server [lindex $::server_stack end] [list tq.conf --port [srv port]]
        wait_ready [lindex $::server_stack end]
        assert_equal 100 [r TQ.COUNT p]
    }
}

start_own_server {} {
    test "a damaged snapshot stops the start" {
        fill p 1 20
        r SAVE
        end_server TERM
        set path [file join [srv dir] dump.tqs]
        foreach at {3 100 -30} {
            flip $path $at
            start_fails "*dump.tqs' at *(`tq-check '*/dump.tqs'` tells what of it can be read)*"
            flip $path $at
        }
        run_server [lindex $::server_stack end] [list tq.conf --port [srv port]]
        wait_ready [lindex $::server_stack end]
        assert_equal 20 [r TQ.COUNT p]
    }
}

start_own_server {appendonly yes} {
    test "a damaged base of a log stops the start, with its directory and the tool to look at it" {
        fill p 1 20
        r BGREWRITEAOF
        wait_until {[info_field aof_rewrites] > 0 && [info_field aof_rewrite_in_progress] == 0}
        end_server TERM
        set path [glob [log_file *.tqs]]
        flip $path 100
        start_fails "*[file tail $path]' at *(`tq-check '*/[file tail $path]'` tells what*"
        flip $path 100
        run_server [lindex $::server_stack end] [list tq.conf --port [srv port]]
        wait_ready [lindex $::server_stack end]
        assert_equal 20 [r TQ.COUNT p]
    }
}

test "a directory that is not there stops the start" {
    set id [launch [list --port [free_port] --dir /no/such/place]]
    assert_equal {exit 1} [wait_exit $id]
    assert_match "*'dir'*'/no/such/place'*" [server_output $id]
}

# ---------------------------------------------------------------- while it loads

start_own_server {appendonly yes} {
    test "while it loads, clients are told so" {
        set keys [names k 1 1000]
        set payload [string repeat [string repeat x 100] 1000]
        foreach i [range 1 300] {
            r TQ.MPUT p$i KEYS 1000 {*}$keys COLUMNS 1 f "bytes" [string repeat [binary format i 100] 1000] $payload
        }
        end_server KILL
        set id [lindex $::server_stack end]
        run_server $id [list tq.conf --port [srv port]]
        set told 0
        wait_until {![catch {resp::open 127.0.0.1 [srv port]} c]}
        while {1} {
            # Sent together, answered in one turn: both speak of the same moment.
            resp::write_bytes $c "[resp::encode TQ.COUNT p300][resp::encode INFO persistence]"
            set loaded [expr {![catch {resp::receive $c} why]}]
            set info [resp::receive $c]
            if {$loaded} break
            assert_match "LOADING *" $why
            assert_match "*loading:1*loading_loaded_perc:*" $info
            incr told
        }
        resp::close $c
        assert {$told > 0} "it had loaded before anyone could ask"
        assert_equal 1000 [r TQ.COUNT p300]
        assert_equal 0 [info_field loading]
    }
}

# Runs the script with the op log on a small file system of its own.
proc with_small_log_disk {body} {
    set directory [file join [srv dir] appendonlydir]
    file mkdir $directory
    exec mount -t tmpfs -o size=48m tmpfs $directory
    try {
        r CONFIG SET appendonly yes
        wait_until {[file exists [file join $directory manifest]]} "no log"
        uplevel 1 $body
        r CONFIG SET appendonly no
    } finally {
        exec umount -l $directory
    }
}

# Fills that file system until small writes are refused.
proc fill_log {} {
    foreach size {1000000 50000 4000} {
        set value [string repeat x $size]
        while {![catch {r TQ.PUT filler k FIELDS 1 f $value} why]} {}
        assert_match "MISCONF *" $why
    }
}

# The first group is retired at once. Of the second, all but one sample are consumed. Samples of the groups alternate, so that the
# op that retires one takes two bytes a sample in the log.
proc leave_one_of_a_group {members} {
    set keys {}
    set groups {}
    for {set i 0} {$i < 2 * $members} {incr i} {
        lappend keys k$i
        lappend groups g[expr {$i % 2}]
    }
    r TQ.CREATE p RETIRE 1 t FIELDS 1 f u8
    r TQ.MPUT p KEYS [llength $keys] {*}$keys GROUPS $members {*}$groups COLUMNS 1 f u8 "" [string repeat 1 [llength $keys]]
    r TQ.SAMPLE p t COUNT [expr {2 * $members - 1}] FIELDS 1 f AS KEYS
    assert_equal $members [r TQ.COUNT p]
}

# The command consumes the last sample: it is refused while the log has no room for what RETIRE clears behind it.
proc retire_with_full_log {args} {
    fill_log
    assert_error "MISCONF *" {r {*}$args}
    assert_equal 20000 [r TQ.COUNT p]
    exec mount -o remount,size=96m [file join [srv dir] appendonlydir]
    r {*}$args
    assert_equal 0 [r TQ.COUNT p]
}

proc retire_with_full_log_tests {} {
    start_own_server {} {
        test "TQ.SAMPLE and TQ.ACK are refused where the log has no room for the group that RETIRE clears" {
            with_small_log_disk {
                leave_one_of_a_group 20000
                set lease [lindex [r TQ.SAMPLE p t COUNT 1 FIELDS 1 f LEASE 600000 AS KEYS] 0]
                retire_with_full_log TQ.ACK p t $lease
            }
            with_small_log_disk {
                r TQ.CLEAR p
                leave_one_of_a_group 20000
                retire_with_full_log TQ.SAMPLE p t COUNT 1 FIELDS 1 f AS KEYS
            }
        }
    }
}

if {[catch {exec unshare -m true}]} {
    skipping "needs to mount a file system" retire_with_full_log_tests
} else {
    retire_with_full_log_tests
}
