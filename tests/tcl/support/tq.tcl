# Short words for what tests of tq's commands do again and again, on the default client.

# Sends all commands, then reads all replies; an error is the value "(error) …".
proc pipeline {c commands} {
    resp::send_all $c $commands
    set replies {}
    foreach command $commands {
        if {[catch {resp::receive $c} reply how]} {
            if {[lindex [dict get $how -errorcode] 1] ne "ERROR"} {
                return -options $how $reply
            }
            set reply "(error) $reply"
        }
        lappend replies $reply
    }
    return $replies
}

# The beginning of a TQ.PUT of one large field, `length` bytes announced, these `bytes` sent.
proc begin_put {c partition key length bytes} {
    set words [resp::encode TQ.PUT $partition $key FIELDS 1 f]
    resp::write_bytes $c "*7[string range $words 2 end]\$$length\r\n"
    resp::write_bytes $c $bytes
}

# Samples k<from>…k<to>, each with one field of bytes: v<i> in field f, unless told otherwise.
proc fill {partition from to {field f}} {
    for {} {$from <= $to} {incr from 10000} {
        set commands {}
        foreach i [range $from [expr {min($to, $from + 9999)}]] {
            lappend commands [list TQ.PUT $partition k$i FIELDS 1 $field v$i]
        }
        foreach reply [pipeline [r] $commands] {
            if {$reply ni {0 1}} {
                fail "TQ.PUT answered $reply"
            }
        }
    }
}

# Takes samples that have field f and answers their keys.
proc take {partition task count args} {
    return [r TQ.SAMPLE $partition $task COUNT $count FIELDS 1 f AS KEYS {*}$args]
}

# The same from another client, without waiting for the reply.
proc take_later {c partition task count args} {
    resp::send $c TQ.SAMPLE $partition $task COUNT $count FIELDS 1 f AS KEYS {*}$args
}

# One cell, raw.
proc cell {partition key field} {
    return [lindex [r TQ.MGET $partition KEYS 1 $key FIELDS 1 $field] 0 0]
}

# One cell as people see it.
proc cell_text {partition key field} {
    return [lindex [r TQ.MGET $partition KEYS 1 $key FIELDS 1 $field AS TEXT] 0 0]
}

# All tags of one sample, as a dict; (nil) where there is no such sample.
proc tags {partition key} {
    foreach entry [list_all $partition WITH TAGS] {
        if {[lindex $entry 0] eq $key} {
            return [lindex $entry 1]
        }
    }
    return (nil)
}

# Every entry of a listing, from cursor 0 to cursor 0.
proc list_all {partition args} {
    set entries {}
    set cursor 0
    while 1 {
        lassign [r TQ.LIST $partition CURSOR $cursor {*}$args] cursor page
        lappend entries {*}$page
        if {$cursor eq "0"} {
            return $entries
        }
    }
}

# The type of a field as TQ.SCHEMA tells it; empty where there is no such field.
proc type_of {partition field} {
    foreach row [r TQ.SCHEMA $partition] {
        if {[lindex $row 0] eq $field} {
            return [lindex $row 1]
        }
    }
    return ""
}

proc field_names {partition} {
    set names {}
    foreach row [r TQ.SCHEMA $partition] {
        lappend names [lindex $row 0]
    }
    return [lsort $names]
}

# How many samples a task has consumed, as TQ.STATUS tells it; 0 for a task it does not know.
proc consumed {partition task} {
    set tasks [dict get [r TQ.STATUS $partition] tasks]
    if {![dict exists $tasks $task]} {
        return 0
    }
    return [dict get $tasks $task consumed]
}

# The script must fail and leave partition p exactly as it was: its samples, cells, tags, schema.
proc assert_refused {pattern script} {
    set before [snapshot_of p]
    set message [uplevel 1 [list assert_error $pattern $script]]
    assert_equal $before [snapshot_of p] "what the refused command left of the partition"
    return $message
}

# All that can be seen of a partition.
proc snapshot_of {partition} {
    if {![r EXISTS $partition]} {
        return "no partition"
    }
    set entries [list_all $partition WITH TAGS WITH FIELDS]
    set keys {}
    foreach entry $entries {
        lappend keys [lindex $entry 0]
    }
    set rows {}
    if {[llength $keys]} {
        set rows [r TQ.MGET $partition KEYS [llength $keys] {*}$keys]
    }
    set status [r TQ.STATUS $partition]
    return [list $entries $rows [r TQ.SCHEMA $partition] [dict get $status samples] \
                [dict get $status groups] [dict get $status fields]]
}
