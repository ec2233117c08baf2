#!/usr/bin/env tclsh
# Runs the tests under tests/tcl/unit against a tq server.
#
# The runner starts one worker process a test file, several at a time; a worker runs its file and
# tells what happens in lines that begin with @@ (support/test.tcl). A worker that hangs is killed
# with the servers it started, one that dies is counted as a failure.

set usage {usage: run.tcl [options] [FILE…]
  --only PATTERN   only tests whose name contains PATTERN (* and ? as in a glob)
  --jobs N         this many files at once (default 2; 1: one after the other)
  --server PATH    the program under test (default src/tq-server, or $TQ_SERVER)
  --host H         use a running server, which will be emptied again and again;
  --port P         tests that need a server of their own are skipped
  --long           larger numbers, more rounds
  --timeout S      seconds that a test may take (default 1200, with --long 7200)
  --keep           keep every server's directory, not only those of failures
  --list           print the names of the tests, run nothing
FILE is a path, or a name such as put for unit/put.tcl; all of them by default.}

set tests_dir [file dirname [file normalize [info script]]]
set root_dir [file dirname [file dirname $tests_dir]]

# ---------------------------------------------------------------- options

array set opt {
    only "" jobs 2 server "" host "" port "" long 0 timeout "" keep 0 list 0
    worker 0 ports "" dir "" files {}
}

proc refuse {why} {
    puts stderr "run.tcl: $why\n$::usage"
    exit 2
}

proc read_options {words} {
    global opt
    while {[llength $words]} {
        set words [lassign $words word]
        set name [string range $word 2 end]
        if {![string match --* $word]} {
            lappend opt(files) $word
        } elseif {$name in {long keep list worker}} {
            set opt($name) 1
        } elseif {$name eq "help"} {
            puts $::usage
            exit 0
        } elseif {$name ni {only jobs server host port timeout ports dir}} {
            refuse "unknown option $word"
        } elseif {![llength $words]} {
            refuse "$word needs a value"
        } else {
            set words [lassign $words opt($name)]
        }
    }
}

proc check_options {} {
    global opt
    foreach name {jobs timeout port} {
        if {$opt($name) ne "" && (![string is integer -strict $opt($name)] || $opt($name) < 1)} {
            refuse "--$name must be a positive number"
        }
    }
    if {$opt(timeout) eq ""} {
        set opt(timeout) [expr {$opt(long) ? 7200 : 1200}]
    }
    if {$opt(port) ne "" && $opt(host) eq ""} {
        set opt(host) 127.0.0.1
    }
    if {$opt(host) ne "" && $opt(port) eq ""} {
        refuse "--host needs --port"
    }
    if {$opt(host) ne ""} {
        set opt(jobs) 1
        return
    }
    if {$opt(server) eq "" && [info exists ::env(TQ_SERVER)]} {
        set opt(server) $::env(TQ_SERVER)
    }
    if {$opt(server) eq ""} {
        set opt(server) [file join $::root_dir src tq-server]
    }
    set opt(server) [file normalize $opt(server)]
    if {!$opt(list) && ![file executable $opt(server)]} {
        refuse "$opt(server) is not there; build it, or name one with --server"
    }
}

proc test_files {} {
    global opt
    if {![llength $opt(files)]} {
        return [lsort [glob -directory [file join $::tests_dir unit] *.tcl]]
    }
    set files {}
    foreach name $opt(files) {
        set path [file join $::tests_dir unit [file rootname $name].tcl]
        if {[file exists $name]} {
            set path [file normalize $name]
        }
        if {![file exists $path]} {
            refuse "no test file $name"
        }
        lappend files $path
    }
    return $files
}

# ---------------------------------------------------------------- worker

proc run_worker {} {
    global opt
    foreach part {util resp test server tq} {
        uplevel #0 [list source [file join $::tests_dir support $part.tcl]]
    }
    foreach {name value} [list \
            only $opt(only) list_only $opt(list) keep $opt(keep) long $opt(long) \
            server_path $opt(server) work_dir $opt(dir) port_range [split $opt(ports) +] \
            external [expr {$opt(host) eq "" ? "" : [list $opt(host) $opt(port)]}] \
            test_file [lindex $opt(files) 0]] {
        set ::$name $value
    }
    fconfigure stdout -encoding utf-8
    fconfigure stdin -blocking 0
    fileevent stdin readable end_with_runner
    set failed [catch {uplevel #0 [list source -encoding utf-8 $::test_file]} why how]
    kill_all_servers
    if {$failed} {
        report died [dict get $how -errorinfo]
    }
    report done $::test_count
    exit 0
}

# The runner holds the other end of the worker's standard input: when it is gone, so is the reason
# to go on.
proc end_with_runner {} {
    read stdin
    if {[eof stdin]} {
        kill_all_servers
        exit 1
    }
}

# ---------------------------------------------------------------- runner

array set count {passed 0 failed 0 skipped 0 listed 0}
set failures {}
set kept {}
set running 0
set slots {}

# An array a worker: file, chan, slot, timer, test (the one that runs now), done, tests.
array set worker {}

proc title {id} {
    return [file rootname [file tail $::worker($id,file)]]
}

# Reserves a block of 200 ports for this run: its first port stays bound while the run lasts, so
# that runs beside this one take other blocks. Sets ::first_port.
proc reserve_ports {} {
    for {set block 0} {$block < 50} {incr block} {
        set first [expr {21000 + ([pid] + $block) % 50 * 200}]
        if {![catch {socket -server list -myaddr 127.0.0.1 $first}]} {
            set ::first_port [expr {$first + 1}]
            return
        }
    }
    puts stderr "run.tcl: no free block of ports from 21000 to 30999"
    exit 1
}

# A test that hangs is ended, with its file. The time begins anew with each report of the worker.
proc watch_worker {id} {
    global worker
    after cancel $worker($id,timer)
    set worker($id,timer) [after [expr {$::opt(timeout) * 1000}] [list kill_worker $id]]
}

proc start_worker {id file} {
    global opt worker slots
    set slots [lassign $slots slot]
    set share [expr {199 / $opt(jobs)}]
    set first [expr {$::first_port + $slot * $share}]
    set dir [file join $::run_dir [file rootname [file tail $file]]]
    file mkdir $dir
    set command [list [info nameofexecutable] [file join $::tests_dir run.tcl] --worker \
                     --ports $first+$share --dir $dir --server $opt(server)]
    foreach name {only host port} {
        if {$opt($name) ne ""} {
            lappend command --$name $opt($name)
        }
    }
    foreach name {long keep list} {
        if {$opt($name)} {
            lappend command --$name
        }
    }
    lappend command $file 2>@stderr
    set chan [open "|$command" r+]
    fconfigure $chan -blocking 0 -encoding utf-8
    array set worker [list $id,file $file $id,chan $chan $id,slot $slot $id,dir $dir \
                          $id,test "" $id,done 0 $id,tests 0 $id,timer ""]
    watch_worker $id
    fileevent $chan readable [list hear_worker $id]
    incr ::running
}

proc hear_worker {id} {
    global worker
    set chan $worker($id,chan)
    while {[gets $chan line] >= 0} {
        if {[string match @@* $line]} {
            set event [encoding convertfrom utf-8 [binary decode base64 [string range $line 2 end]]]
            heard $id {*}$event
        } else {
            puts $line
        }
    }
    if {[eof $chan]} {
        end_worker $id
    }
}

proc heard {id what args} {
    global worker count
    watch_worker $id
    switch -- $what {
        started {
            set worker($id,test) [lindex $args 0]
        }
        passed {
            lassign $args name ms
            incr count(passed)
            puts "ok       [title $id]: $name[expr {$ms >= 1000 ? " ($ms ms)" : ""}]"
            set worker($id,test) ""
        }
        failed {
            lassign $args name ms message
            failure $id $name $message
            set worker($id,test) ""
        }
        skipped {
            lassign $args name why
            incr count(skipped)
            puts "skipped  [title $id]: $name ($why)"
            set worker($id,test) ""
        }
        listed {
            incr count(listed)
            puts "[title $id]: [lindex $args 0]"
        }
        kept {
            lappend ::kept [lindex $args 0]
            puts "kept     [lindex $args 0]"
        }
        died {
            failure $id "the file runs to its end" [lindex $args 0]
        }
        done {
            set worker($id,done) 1
            set worker($id,tests) [lindex $args 0]
        }
    }
}

proc failure {id name message} {
    incr ::count(failed)
    lappend ::failures "[title $id]: $name"
    puts "FAILED   [title $id]: $name\n           [string map {\n "\n           "} $message]"
}

proc kill_worker {id} {
    global worker
    set test [expr {$worker($id,test) eq "" ? "the file ends in time" : $worker($id,test)}]
    failure $id $test "hung: killed after $::opt(timeout) s"
    set worker($id,done) killed
    catch {exec sh -c "kill -KILL [pid $worker($id,chan)]"}
    if {![catch {open [file join $worker($id,dir) pids] r} f]} {
        foreach server [read $f] {
            catch {exec sh -c "kill -KILL $server"}
        }
        close $f
    }
    lappend ::kept $worker($id,dir)
}

proc end_worker {id} {
    global worker
    after cancel $worker($id,timer)
    fconfigure $worker($id,chan) -blocking 1
    set died [catch {close $worker($id,chan)} why]
    if {$worker($id,done) eq 0} {
        failure $id [expr {$worker($id,test) eq "" ? "the file runs to its end" : $worker($id,test)}] \
            "the worker died: $why"
    } elseif {$worker($id,done) eq 1 && $worker($id,tests) == 0 && $::opt(only) eq ""} {
        failure $id "the file has tests" "it yielded none"
    }
    lappend ::slots $worker($id,slot)
    incr ::running -1
    set ::changed 1
}

proc run_all {files} {
    global opt slots running
    for {set i 0} {$i < $opt(jobs)} {incr i} {
        lappend slots $i
    }
    set id 0
    while {[llength $files] || $running} {
        while {[llength $files] && $running < $opt(jobs)} {
            set files [lassign $files file]
            start_worker [incr id] $file
        }
        vwait ::changed
    }
}

proc make_run_dir {} {
    set base /tmp
    if {[info exists ::env(TMPDIR)] && $::env(TMPDIR) ne ""} {
        set base $::env(TMPDIR)
    }
    return [exec mktemp -d [file join [file normalize $base] tq-test-XXXXXX]]
}

proc run_suite {} {
    global opt count
    fconfigure stdout -encoding utf-8 -buffering line
    set files [test_files]
    set ::run_dir [make_run_dir]
    reserve_ports
    run_all $files
    if {![llength $::kept]} {
        file delete -force $::run_dir
    }
    if {$opt(list)} {
        exit [expr {$count(failed) ? 1 : 0}]
    }
    if {[llength $::failures]} {
        puts "\nFailed:\n  [join $::failures "\n  "]"
        if {[llength $::kept]} {
            puts "\nWhat the servers left is in $::run_dir"
        }
    }
    set ran [expr {$count(passed) + $count(failed) + $count(skipped)}]
    if {$ran == 0} {
        puts stderr "no test has a name like '$opt(only)'"
    }
    puts "$count(passed) passed, $count(failed) failed, $count(skipped) skipped"
    exit [expr {$count(failed) || $ran == 0 ? 1 : 0}]
}

read_options $argv
if {$opt(worker)} {
    run_worker
}
check_options
run_suite
