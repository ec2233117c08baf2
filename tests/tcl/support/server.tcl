# Servers for tests: started on a port of their own in a directory of their own, stopped by
# SIGTERM to their own pid, and looked at afterwards (exit status, sanitizer reports).
#
#   start_server {maxclients 5} { test … }   a server with these options around some tests
#   start_own_server {} { test … }           the same, when the tests stop or signal the server
#   launch {--port abc}                      the bare program, for tests of starting and ending
#
# With --host/--port, `start_server {}` means the running server, and what needs a server of its
# own is skipped.
#
# A server is a serial number, and its facts live in ::server(N,FACT): pid, port, dir, chan (the
# pipe to its standard input, by which Tcl learns its exit status), options, client.

array set server {}
set server_serial 0
set server_stack {}
set port_cursor 0

# ---------------------------------------------------------------- processes

proc process_runs {pid} {
    if {[catch {open /proc/$pid/stat r} f]} {
        return 0
    }
    set stat [read $f]
    close $f
    return [expr {[string index $stat [string last ")" $stat]+2] ni {Z X}}]
}

# By the kill of the shell: in a Turkish locale that of procps does not know CONT.
proc signal_process {signal pid} {
    exec sh -c "kill -$signal $pid"
}

# The runner ends what a killed worker leaves behind by this list.
proc note_pids {} {
    set f [open [file join $::work_dir pids] w]
    foreach {name pid} [array get ::server *,pid] {
        if {$pid != 0} {
            puts $f $pid
        }
    }
    close $f
}

# Starts the program with these arguments in a fresh directory and does not wait for anything.
# `files` are name-content pairs put into that directory first.
proc launch {arguments {files {}}} {
    if {$::server_path eq ""} {
        skip "a server program is needed"
    }
    set id [incr ::server_serial]
    set dir [file join $::work_dir server-$id]
    file mkdir $dir
    foreach {name content} $files {
        write_file [file join $dir $name] $content
    }
    array set ::server [list $id,dir $dir $id,client ""]
    run_server $id $arguments
    return $id
}

# Runs the program in the directory of a server, behind whatever it wrote there before.
proc run_server {id arguments} {
    set dir $::server($id,dir)
    set back [pwd]
    cd $dir
    set command [list $::server_path {*}$arguments >> [file join $dir stdout] 2>> [file join $dir stderr]]
    set failed [catch {open "|$command" w} chan]
    cd $back
    if {$failed} {
        error "cannot run $::server_path: $chan"
    }
    array set ::server [list $id,chan $chan $id,pid [pid $chan]]
    note_pids
}

# How a launched server ended: {exit 0}, {signal SIGSEGV}. Fails when it does not end.
proc wait_exit {id} {
    set pid $::server($id,pid)
    set deadline [expr {[clock milliseconds] + $::patience}]
    while {[process_runs $pid]} {
        if {[clock milliseconds] > $deadline} {
            error "the server (pid $pid) did not end within $::patience ms"
        }
        pause 10
    }
    return [reap $id]
}

# Collects the status of a process that has ended.
proc reap {id} {
    set ended {exit 0}
    if {[catch {close $::server($id,chan)} why how]} {
        lassign [dict get $how -errorcode] kind _ detail
        switch -- $kind {
            CHILDSTATUS { set ended [list exit $detail] }
            CHILDKILLED { set ended [list signal $detail] }
            default { set ended [list unknown $why] }
        }
    }
    set ::server($id,pid) 0
    note_pids
    return $ended
}

proc kill_server {id} {
    if {$::server($id,pid) != 0} {
        catch {signal_process KILL $::server($id,pid)}
        wait_exit $id
    }
}

proc kill_all_servers {} {
    foreach name [array names ::server *,pid] {
        catch {kill_server [lindex [split $name ,] 0]}
    }
}

# All a server wrote: standard output, standard error, and what it logged into files.
proc server_output {id} {
    set text ""
    foreach path [lsort [glob -nocomplain -type f -directory $::server($id,dir) stdout stderr *.log]] {
        append text [read_file $path]
    }
    return $text
}

proc sanitizer_report {id} {
    set pattern {(?n)^.*(?:Sanitizer|runtime error:).*$}
    if {[regexp $pattern [server_output $id] line]} {
        return $line
    }
    return ""
}

# Ends and puts away what a test launched by itself.
proc put_away_launched {} {
    foreach name [array names ::server *,dir] {
        set id [lindex [split $name ,] 0]
        if {$id in $::server_stack || $::server($name) eq ""} {
            continue
        }
        kill_server $id
        put_away $id $::failures_before
        array unset ::server $id,*
    }
}

# ---------------------------------------------------------------- a server around tests

proc free_port {} {
    lassign $::port_range first count
    for {set tries 0} {$tries < $count} {incr tries} {
        set port [expr {$first + $::port_cursor}]
        set ::port_cursor [expr {($::port_cursor + 1) % $count}]
        if {![catch {socket -server {} -myaddr 127.0.0.1 $port} probe]} {
            close $probe
            return $port
        }
    }
    error "no free port from $first to [expr {$first + $count - 1}]"
}

proc start_server {options body} {
    if {$::external ne "" && ![llength $options]} {
        uplevel 1 [list with_external_server $body]
    } else {
        uplevel 1 [list start_own_server $options $body]
    }
}

proc start_own_server {options body} {
    if {$::list_only} {
        uplevel 1 $body
        return
    }
    if {$::external ne "" || $::skip_all ne ""} {
        uplevel 1 [list skipping "needs a server of its own" $body]
        return
    }
    set failures $::failure_count
    if {[catch {start_ready $options} id]} {
        record_failure "a server starts with options {$options}" $id
        report kept $::work_dir
        uplevel 1 [list skipping "its server did not start" $body]
        return
    }
    lappend ::server_stack $id
    try {
        uplevel 1 $body
    } finally {
        set id [lindex $::server_stack end]
        set ::server_stack [lrange $::server_stack 0 end-1]
        set why [stop_server $id]
        if {$why ne ""} {
            record_failure "the server with options {$options} ends cleanly" $why
        }
        put_away $id $failures
        array unset ::server $id,*
    }
}

# Counts the tests of a body as skipped.
proc skipping {why body} {
    set before $::skip_all
    set ::skip_all $why
    uplevel 1 $body
    set ::skip_all $before
}

proc with_external_server {body} {
    if {$::list_only} {
        uplevel 1 $body
        return
    }
    set id [incr ::server_serial]
    lassign $::external host port
    array set ::server [list $id,pid 0 $id,port $port $id,host $host $id,dir "" $id,client ""]
    lappend ::server_stack $id
    try {
        uplevel 1 $body
    } finally {
        forget_client $id
        set ::server_stack [lrange $::server_stack 0 end-1]
        array unset ::server $id,*
    }
}

# Keeps the directory of a server when something failed while it ran.
proc put_away {id failures} {
    set dir $::server($id,dir)
    if {$::failure_count > $failures || $::keep} {
        report kept $dir
    } else {
        file delete -force $dir
    }
}

# Starts a server with options and returns when it answers PING. Another worker, or another
# program, may take the port between the look and the start: then another port is tried.
proc start_ready {options} {
    for {set tries 0} {1} {incr tries} {
        set port [free_port]
        set conf "# written by the test harness\n"
        foreach {name value} $options {
            append conf "$name $value\n"
        }
        set id [launch [list tq.conf --port $port] [list tq.conf $conf]]
        set ::server($id,port) $port
        set ::server($id,host) 127.0.0.1
        set ::server($id,options) $options
        if {![catch {wait_ready $id} why]} {
            return $id
        }
        kill_server $id
        if {$tries >= 3 || ![regexp -nocase {in use} [server_output $id]]} {
            error "$why\n[string trim [server_output $id]]"
        }
    }
}

proc wait_ready {id} {
    set deadline [expr {[clock milliseconds] + $::patience}]
    while {[clock milliseconds] < $deadline} {
        if {![process_runs $::server($id,pid)]} {
            error "the server ended while starting ([reap $id])"
        }
        if {![catch {resp::open 127.0.0.1 $::server($id,port)} c]} {
            if {![catch {$c PING} answer] && $answer eq "PONG"} {
                set ::server($id,client) $c
                return
            }
            resp::close $c
        }
        pause 20
    }
    error "the server did not answer PING within $::patience ms"
}

# Ends a server; empty when all was well, else what was not.
proc stop_server {id} {
    forget_client $id
    if {$::server($id,pid) == 0} {
        return ""
    }
    if {[catch {
        if {[process_runs $::server($id,pid)]} {
            signal_process TERM $::server($id,pid)
        }
        wait_exit $id
    } ended]} {
        kill_server $id
        return $ended
    }
    set report [sanitizer_report $id]
    if {$report ne ""} {
        return "sanitizer report: $report"
    }
    if {$ended ne {exit 0}} {
        return "the server ended with: $ended\n[string range [server_output $id] end-2000 end]"
    }
    return ""
}

# The current server ends, by TERM or by a crash (KILL), and a new one starts in its directory with its options, and with more
# arguments, if need be.
proc restart_server {{signal TERM} args} {
    set id [lindex $::server_stack end]
    end_server $signal
    run_server $id [list tq.conf --port $::server($id,port) {*}$args]
    wait_ready $id
}

# The first half of that; what it should have ended with is checked.
proc end_server {{signal TERM}} {
    set id [lindex $::server_stack end]
    forget_client $id
    signal_process $signal $::server($id,pid)
    set ended [wait_exit $id]
    if {$signal eq "TERM" && $ended ne {exit 0}} {
        error "the server ended with: $ended\n[string range [server_output $id] end-2000 end]"
    }
}

# After a crash: the same options again, so that the tests that follow say something.
proc replace_server {id} {
    forget_client $id
    set new [start_ready $::server($id,options)]
    report kept $::server($id,dir)
    array unset ::server $id,*
    lset ::server_stack end $new
    return $new
}

# ---------------------------------------------------------------- talking to the current server

# A fact about the current server: srv port, srv pid, srv dir; srv -1 port is the one around it.
proc srv {args} {
    set level 0
    if {[llength $args] == 2} {
        set args [lassign $args level]
    }
    return $::server([lindex $::server_stack end-[expr {-$level}]],[lindex $args 0])
}

# The default client of the current server. With arguments, sends a command.
proc r {args} {
    set id [lindex $::server_stack end]
    set c $::server($id,client)
    if {$c eq "" || ![resp::is_open $c]} {
        set c [resp::open $::server($id,host) $::server($id,port)]
        set ::server($id,client) $c
    }
    if {![llength $args]} {
        return $c
    }
    return [$c {*}$args]
}

proc forget_client {id} {
    if {$::server($id,client) ne ""} {
        resp::close $::server($id,client)
        set ::server($id,client) ""
    }
}

# A connection of the test's own, closed when the test ends.
proc client {} {
    set c [resp::open [srv host] [srv port]]
    lappend ::test_clients $c
    return $c
}

# The same, in RESP3.
proc client3 {} {
    set c [client]
    $c HELLO 3
    return $c
}

# A reply with its types, on the default client or on another.
proc typed {args} {
    set c [r]
    if {[string match conn-* [lindex $args 0]]} {
        set args [lassign $args c]
    }
    resp::send $c {*}$args
    return [resp::receive_typed $c]
}

# One field of INFO; empty where there is none.
proc info_field {name} {
    if {[regexp -line "^${name}:(.*?)\r?$" [r INFO] _ value]} {
        return $value
    }
    return ""
}

# When the default client has an answer, the server has seen what other clients sent before.
# (Twice, because the server may read several sockets in one turn in any order.)
proc barrier {} {
    r PING
    r PING
}

proc wait_blocked {n} {
    wait_until {[info_field blocked_clients] == $n} \
        "blocked clients: [info_field blocked_clients], waited for $n"
}
