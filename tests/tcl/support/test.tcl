# The words that tests are written in. See tests/tcl/README.md.

set failure_count 0
set test_count 0
set skip_all ""
set test_clients {}

# What happened, for the runner to read: one line each.
proc report {args} {
    puts "@@[binary encode base64 [encoding convertto utf-8 $args]]"
    flush stdout
}

proc record_failure {name message} {
    incr ::failure_count
    report failed $name 0 $message
}

# A test: a sentence and a body. The body runs in a scope of its own, on an empty server, with
# clients that are closed when it ends.
proc test {name body} {
    if {$::only ne "" && ![string match -nocase *$::only* $name]} {
        return
    }
    incr ::test_count
    if {$::list_only} {
        report listed $name
        return
    }
    if {$::skip_all ne ""} {
        report skipped $name $::skip_all
        return
    }
    report started $name
    set ::current_test $name
    set began [clock milliseconds]
    set failed [catch {
        prepare_test
        apply [list {} $body]
    } message how]
    set spent [expr {[clock milliseconds] - $began}]
    if {$failed == 1 && [dict get $how -errorcode] eq {TEST SKIP}} {
        report skipped $name $message
    } elseif {$failed == 1} {
        incr ::failure_count
        report failed $name $spent [explain $name $message $how]
    } else {
        report passed $name $spent
    }
    finish_test $name
}

proc prepare_test {} {
    set ::failures_before $::failure_count
    if {[llength $::server_stack]} {
        forget_client [lindex $::server_stack end]
        r FLUSHALL
    }
}

# Closes the test's clients and waits until the server knows; a server that died is replaced.
proc finish_test {name} {
    set gone {}
    foreach c $::test_clients {
        if {[resp::is_open $c]} {
            set address [resp::local_address $c]
            if {$address ne ""} {
                lappend gone $address
            }
            resp::close $c
        }
    }
    set ::test_clients {}
    put_away_launched
    if {![llength $::server_stack]} {
        return
    }
    set id [lindex $::server_stack end]
    set pid $::server($id,pid)
    if {$pid == 0 && $::external eq ""} {
        return
    }
    if {$pid != 0 && ![process_runs $pid]} {
        record_failure "the server survives: $name" "the server died: [reap $id]\n[server_tail $id]"
        replace_server $id
        return
    }
    forget_client $id
    if {[llength $gone] && [catch {wait_gone $gone} why]} {
        record_failure "the server forgets the clients of: $name" $why
    }
}

proc server_tail {id} {
    return [string range [server_output $id] end-4000 end]
}

# A port that the server has let go of first may be taken again at once, by the one who asks.
proc wait_gone {addresses} {
    set own [resp::local_address [r]]
    set others [lsearch -all -inline -not -exact $addresses $own]
    set listing ""
    wait_until {![any_listed $others [set listing [r CLIENT LIST]]]} \
        "closed clients are still in CLIENT LIST: $others\n$listing"
}

proc any_listed {addresses listing} {
    foreach address $addresses {
        if {[string first " addr=$address " " $listing "] >= 0} {
            return 1
        }
    }
    return 0
}

# Where in the file the test stands, and which of its lines failed.
proc explain {name message how} {
    set where ""
    set line 0
    foreach text [split [read_file $::test_file] \n] {
        incr line
        if {[string first "test \"$name\"" $text] >= 0 || [string first "test {$name}" $text] >= 0} {
            set where "[file tail $::test_file]:$line"
            if {[regexp {\(lambda term .* line (\d+)\)} [dict get $how -errorinfo] _ offset]} {
                set where "[file tail $::test_file]:[expr {$line + $offset - 1}]"
            }
            break
        }
    }
    switch -glob -- [dict get $how -errorcode] {
        ASSERT { return "$where  $message" }
        "RESP ERROR*" { return "$where  error reply: [printable $message]" }
        "RESP *" { return "$where  $message" }
    }
    return "$where  [join [lrange [split [dict get $how -errorinfo] \n] 0 12] \n]"
}

# ---------------------------------------------------------------- assertions

proc fail {message} {
    return -code error -errorcode ASSERT $message
}

proc skip {why} {
    return -code error -errorcode {TEST SKIP} $why
}

proc assert {condition {message ""}} {
    if {![uplevel 1 [list expr $condition]]} {
        fail [expr {$message ne "" ? $message : "not so: $condition"}]
    }
}

proc assert_equal {expected got {about ""}} {
    if {$expected ne $got} {
        fail "expected [printable $expected]\nbut got [printable $got][expr {
            $about eq "" ? "" : "\n  about $about"}]"
    }
}

proc assert_match {pattern got} {
    if {![string match $pattern $got]} {
        fail "expected a match for [printable $pattern]\nbut got [printable $got]"
    }
}

proc assert_no_match {pattern got} {
    if {[string match $pattern $got]} {
        fail "expected no match for [printable $pattern]\nbut got [printable $got]"
    }
}

# The script must fail with an error reply that matches; returns the message.
proc assert_error {pattern script} {
    if {[catch {uplevel 1 $script} message how] != 1} {
        fail "expected an error like $pattern\nbut got [printable $message]\n     in [string trim $script]"
    }
    if {[lindex [dict get $how -errorcode] 0] ne "RESP"} {
        return -options $how $message
    }
    if {![string match $pattern $message]} {
        fail "expected an error like $pattern\nbut got [printable $message]\n     in [string trim $script]"
    }
    return $message
}

# The same things, in whatever order.
proc assert_same_set {expected got} {
    assert_equal [lsort $expected] [lsort $got]
}

# No reply has come to this client, although the server has had time to send one.
proc assert_waiting {c} {
    barrier
    if {[resp::has_input $c]} {
        fail "expected no reply yet, got [resp::receive_typed $c]"
    }
}

# The server closes this connection; returns what it sent before.
proc assert_closed {c} {
    return [resp::read_to_end $c]
}

# Waits until the condition holds; fails after ::patience.
proc wait_until {condition {message ""}} {
    set deadline [expr {[clock milliseconds] + $::patience}]
    while {![uplevel 1 [list expr $condition]]} {
        if {[clock milliseconds] > $deadline} {
            fail "waited for $::patience ms in vain for: [string trim $condition][expr {
                $message eq "" ? "" : "\n[uplevel 1 [list subst $message]]"}]"
        }
        pause 10
    }
}

# ---------------------------------------------------------------- small things

# Sleeps, while channels go on sending what they hold.
proc pause {ms} {
    set ::paused 0
    after $ms {set ::paused 1}
    vwait ::paused
}

# A size that --long makes larger.
proc sized {normal long} {
    return [expr {$::long ? $long : $normal}]
}

proc read_file {path} {
    set f [open $path rb]
    set content [read $f]
    close $f
    return $content
}

proc write_file {path content} {
    set f [open $path wb]
    puts -nonewline $f $content
    close $f
}
