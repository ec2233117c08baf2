# maxmemory bounds what clients make the server keep: each kind of it has a bound of its own while
# memory is full, what is freed is given back, and others are served.

set ::full_mb 20
set ::full_used [expr {$full_mb * 1024 * 1024 / 16 * 17 + 4 * 1024 * 1024}]

# Fills partition full until not even a small sample is accepted.
proc fill_memory {} {
    set i 0
    while {![catch {r TQ.PUT full k[incr i] FIELDS 1 f [string repeat x 30000]}]} {}
    while {![catch {r TQ.PUT full small[incr i] FIELDS 1 f x}]} {}
}

proc assert_within {more} {
    set used [info_field used_memory]
    assert {$used < $::full_used + $more} "used_memory is $used"
}

# The same call on so many connections, `#` in it being their number; all of them are there before
# the server reads the first. Answers the connections.
proc calls_at_once {n args} {
    set clients {}
    foreach i [range 1 $n] {
        lappend clients [client]
    }
    signal_process STOP [srv pid]
    set i 0
    foreach c $clients {
        resp::send $c {*}[string map [list # [incr i]] $args]
    }
    signal_process CONT [srv pid]
    return $clients
}

# How many of these calls are answered with -OOM; `others` has the other replies.
proc refused_of {clients} {
    set refused 0
    set ::others {}
    foreach c $clients {
        if {[catch {resp::receive $c} said] && [string match "OOM *" $said]} {
            incr refused
        } else {
            lappend ::others $said
        }
    }
    return $refused
}

start_own_server {maxmemory 20mb} {
    # 1,000 calls with arguments of 12,000 bytes each are 12 MB, where 5.25 MB may be kept, or twice
    # that for a call that frees memory. Each comes in one read: it is never a half-sent one.
    set value [string repeat v 3990]
    set where [list WHERE 3 a = #1$value a = #2$value a = #3$value]
    foreach {what command reply} {
        "TQ.COUNT without BLOCK" {TQ.COUNT p} 0
        "TQ.SAMPLE without BLOCK" {TQ.SAMPLE p t COUNT 1 FIELDS 1 f} (nil)
        "TQ.CLEAR in slices" {TQ.CLEAR p} 0
    } {
        test "scans that wait do not take memory beyond maxmemory: $what" {
            # More than are evaluated at once.
            r TQ.MPUT p KEYS 20000 {*}[names k 1 20000] COLUMNS 1 f u8 "" [string repeat x 20000]
            fill_memory
            set clients [calls_at_once 1000 {*}$::command {*}$::where]
            set refused [refused_of $clients]
            assert {$refused > 0 && $refused < 1000} "$refused were refused"
            assert_equal [lrepeat [expr {1000 - $refused}] $::reply] $::others
            assert_equal 20000 [r TQ.COUNT p]
        }
    }
}
