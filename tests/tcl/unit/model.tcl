# Random commands on one partition, each reply foretold by a naive model that keeps everything in
# dicts and looks at all of it every time.
#
# The model M is a dict: order (seqs, oldest first), row (seq → key, tags, fields), seq (key → seq),
# had (task → seqs), next, written, expected (-1: none), sealed, there (whether the partition exists).

proc model_new {} {
    set ::M {order {} row {} seq {} had {} next 1 written 0 expected -1 sealed 0 there 0}
}

proc pick {args} {
    return [lindex $args [random_below [llength $args]]]
}

# A random selection of some of these, at least one.
proc some {args} {
    set out {}
    foreach x $args {
        if {[random_below 2]} {
            lappend out $x
        }
    }
    if {![llength $out]} {
        set out [list [pick {*}$args]]
    }
    return $out
}

proc some_keys {} {
    set keys {}
    foreach i [range 0 [random_below 5]] {
        lappend keys k[random_below 40]
    }
    return [lsort -unique $keys]
}

# Maybe a WHERE clause: a list of {tag op value …}, empty for none.
proc maybe_where {} {
    if {[random_below 3]} {
        return {}
    }
    return [list [pick a b] [pick = != < <= > >=] [random_below 12]]
}

proc clause {word list {per 1}} {
    if {![llength $list]} {
        return {}
    }
    return [list $word [expr {[llength $list] / $per}] {*}$list]
}

proc row_of {seq part} {
    return [dict get $::M row $seq $part]
}

proc admits {seq where} {
    foreach {tag op value} $where {
        set tags [row_of $seq tags]
        if {![dict exists $tags $tag]} {
            return 0
        }
        if {$op eq "="} {
            set op ==
        }
        if {![expr "[dict get $tags $tag] $op $value"]} {
            return 0
        }
    }
    return 1
}

proc has_fields {seq fields} {
    foreach field $fields {
        if {![dict exists [row_of $seq fields] $field]} {
            return 0
        }
    }
    return 1
}

proc had {task} {
    if {[dict exists $::M had $task]} {
        return [dict get $::M had $task]
    }
    return {}
}

# ---------------------------------------------------------------- commands: {words expected-reply}

proc do_put {} {
    set key k[random_below 40]
    set known [dict exists $::M seq $key]
    set condition [pick {} {} {} {} NX XX {IF a 3}]
    set tags {}
    foreach tag [some a b] {
        lappend tags $tag [random_below 12]
    }
    set fields {}
    foreach field [some f g h] {
        lappend fields $field [random_bytes [random_below 50] [random_below 1000]]
    }
    switch [random_below 4] {
        0 { set tags {} }
        1 { set fields {} }
    }
    set words [list TQ.PUT p $key {*}$condition {*}[clause TAGS $tags 2] {*}[clause FIELDS $fields 2]]
    set holds [expr {$condition eq "NX" ? !$known : $condition eq "" ? 1 : $known}]
    if {$holds && [lindex $condition 0] eq "IF"} {
        set old [row_of [dict get $::M seq $key] tags]
        set holds [expr {[dict exists $old a] && [dict get $old a] eq "3"}]
    }
    if {!$holds} {
        return [list $words (nil)]
    }
    if {!$known} {
        if {[dict get $::M sealed] || [dict get $::M written] == [dict get $::M expected]} {
            return [list $words "FULL *"]
        }
        model_insert $key
    }
    set seq [dict get $::M seq $key]
    foreach {name value} $tags { dict set ::M row $seq tags $name $value }
    foreach {name value} $fields { dict set ::M row $seq fields $name $value }
    return [list $words [expr {!$known}]]
}

proc model_insert {key} {
    set seq [dict get $::M next]
    dict incr ::M next
    dict incr ::M written
    dict set ::M there 1
    dict set ::M seq $key $seq
    dict set ::M row $seq [dict create key $key tags {} fields {}]
    dict lappend ::M order $seq
}

proc model_remove {seq} {
    dict unset ::M seq [row_of $seq key]
    dict unset ::M row $seq
    dict set ::M order [lsearch -all -inline -not -exact [dict get $::M order] $seq]
    foreach task [dict keys [dict get $::M had]] {
        dict set ::M had $task [lsearch -all -inline -not -exact [had $task] $seq]
    }
}

proc do_clear {} {
    set keys {}
    set where {}
    if {[random_below 2]} {
        set keys [some_keys]
    } else {
        set where [list [pick a b] [pick = < >] [random_below 12]]
    }
    set fields {}
    set tags {}
    switch [random_below 4] {
        0 { set fields [some f g h] }
        1 { set tags [some a b] }
    }
    set words [list TQ.CLEAR p {*}[clause KEYS $keys] {*}[clause WHERE $where 3] \
                   {*}[clause FIELDS $fields] {*}[clause TAGS $tags]]
    set touched 0
    foreach seq [dict get $::M order] {
        if {([llength $keys] && [row_of $seq key] ni $keys) || ![admits $seq $where]} {
            continue
        }
        if {![llength $fields] && ![llength $tags]} {
            model_remove $seq
            incr touched
        } else {
            incr touched [model_strip $seq fields $fields]
            incr touched [model_strip $seq tags $tags]
        }
    }
    return [list $words $touched]
}

# Takes fields or tags from a row; whether there were any.
proc model_strip {seq part names} {
    set any 0
    foreach name $names {
        if {[dict exists [row_of $seq $part] $name]} {
            dict unset ::M row $seq $part $name
            set any 1
        }
    }
    return $any
}

proc do_sample {} {
    set task [pick t u]
    set fields [some f g]
    set where [maybe_where]
    set unit [pick 1 1 1 2 3]
    set count [expr {$unit * (1 + [random_below 5])}]
    set atleast [pick "" "" [expr {1 + [random_below $count]}]]
    set keep [pick "" "" KEEP]
    set words [list TQ.SAMPLE p $task COUNT $count {*}[clause FIELDS $fields] {*}$keep AS KEYS \
                   {*}[clause WHERE $where 3]]
    if {$unit > 1} {
        lappend words BY GROUP $unit
    }
    if {$atleast ne ""} {
        lappend words ATLEAST $atleast
    }
    set seqs [model_runs [model_ready $task $fields $where] $unit]
    set complete [model_complete $fields]
    if {[llength $seqs] < $count && !$complete && ($atleast eq "" || [llength $seqs] < $atleast)} {
        return [list $words (nil)]
    }
    set seqs [lrange $seqs 0 [expr {$count - 1}]]
    if {$keep eq ""} {
        dict set ::M had $task [concat [had $task] $seqs]
    }
    return [list $words [lmap seq $seqs {row_of $seq key}]]
}

proc model_ready {task fields where} {
    set had [had $task]
    set out {}
    foreach seq [dict get $::M order] {
        if {$seq ni $had && [has_fields $seq $fields] && [admits $seq $where]} {
            lappend out $seq
        }
    }
    return $out
}

# Of these, the runs of `unit` neighbours, found greedily.
proc model_runs {seqs unit} {
    set out {}
    set run {}
    foreach seq $seqs {
        if {[llength $run] && $seq != [lindex $run end] + 1} {
            set run {}
        }
        lappend run $seq
        if {[llength $run] == $unit} {
            lappend out {*}$run
            set run {}
        }
    }
    return $out
}

proc model_complete {fields} {
    if {![dict get $::M sealed] && [dict get $::M written] != [dict get $::M expected]} {
        return 0
    }
    foreach seq [dict get $::M order] {
        if {![has_fields $seq $fields]} {
            return 0
        }
    }
    return 1
}

proc do_reset {} {
    set task [pick "" t u]
    set keys [pick {} [some_keys]]
    set words [list TQ.RESET p]
    if {$task ne ""} {
        lappend words TASK $task
    }
    lappend words {*}[clause KEYS $keys]
    if {![dict get $::M there]} {
        return [list $words "NOPART *"]
    }
    set back {}
    foreach one [dict keys [dict get $::M had]] {
        if {$task ni [list "" $one]} {
            continue
        }
        set stay {}
        foreach seq [had $one] {
            if {[llength $keys] && [row_of $seq key] ni $keys} {
                lappend stay $seq
            } else {
                lappend back $seq
            }
        }
        dict set ::M had $one $stay
    }
    return [list $words [llength [lsort -unique $back]]]
}

proc do_mget {} {
    set keys [some_keys]
    set fields [some f g h]
    set skip [pick "" SKIP]
    set words [list TQ.MGET p {*}[clause KEYS $keys] {*}[clause FIELDS $fields]]
    if {$skip ne ""} {
        lappend words MISSING SKIP
    }
    set rows {}
    foreach key $keys {
        if {![dict exists $::M seq $key]} {
            if {$skip eq ""} {
                lappend rows (nil)
            }
            continue
        }
        set seq [dict get $::M seq $key]
        if {$skip ne "" && ![has_fields $seq $fields]} {
            continue
        }
        set row {}
        foreach field $fields {
            if {[has_fields $seq [list $field]]} {
                lappend row [dict get [row_of $seq fields] $field]
            } else {
                lappend row (nil)
            }
        }
        lappend rows $row
    }
    return [list $words $rows]
}

proc do_count {} {
    set fields [pick {} [some f g h]]
    set task [pick "" t u]
    set where [maybe_where]
    set words [list TQ.COUNT p {*}[clause FIELDS $fields] {*}[clause WHERE $where 3]]
    set had {}
    if {$task ne ""} {
        lappend words TASK $task
        set had [had $task]
    }
    set n 0
    foreach seq [dict get $::M order] {
        incr n [expr {[has_fields $seq $fields] && [admits $seq $where] && $seq ni $had}]
    }
    return [list $words $n]
}

proc do_list {} {
    set where [maybe_where]
    set keys {}
    foreach seq [dict get $::M order] {
        if {[admits $seq $where]} {
            lappend keys [row_of $seq key]
        }
    }
    return [list [list TQ.LIST p {*}[clause WHERE $where 3]] [list 0 $keys]]
}

proc do_end {} {
    if {[random_below 6]} {
        set n [expr {[dict get $::M written] + [random_below 20] - 2}]
        if {$n < 1} {
            set n 1
        }
        if {$n < [dict get $::M written]} {
            return [list [list TQ.EXPECT p $n] "FULL *"]
        }
        dict set ::M expected $n
        dict set ::M there 1
        return [list [list TQ.EXPECT p $n] OK]
    }
    if {[random_below 2]} {
        dict set ::M sealed 1
        dict set ::M there 1
        return [list {TQ.SEAL p} OK]
    }
    set n [llength [dict get $::M order]]
    model_new
    return [list {TQ.CLEAR p} $n]
}

# ---------------------------------------------------------------- comparing

proc compare_all {} {
    set seqs [dict get $::M order]
    set entries [list_all p COUNT 7 WITH TAGS]
    assert_equal [lmap seq $seqs {row_of $seq key}] [lmap entry $entries {lindex $entry 0}] "keys"
    foreach seq $seqs entry $entries {
        assert_equal [lsort -stride 2 [row_of $seq tags]] [lsort -stride 2 [lindex $entry 1]] "tags"
    }
    if {![dict get $::M there]} {
        assert_equal 0 [r EXISTS p]
        return
    }
    if {[llength $seqs]} {
        set rows [r TQ.MGET p KEYS [llength $seqs] {*}[lmap seq $seqs {row_of $seq key}]]
        foreach seq $seqs row $rows {
            assert_equal [lsort -stride 2 [row_of $seq fields]] [lsort -stride 2 $row] "fields"
        }
    }
    set status [r TQ.STATUS p]
    assert_equal [llength $seqs] [dict get $status samples]
    assert_equal [dict get $::M sealed] [dict get $status sealed]
    foreach task {t u} {
        assert_equal [llength [had $task]] [consumed p $task] "consumed by $task"
    }
    foreach {field type produced bytes} [concat {*}[r TQ.SCHEMA p]] {
        set cells {}
        foreach seq $seqs {
            if {[has_fields $seq [list $field]]} {
                lappend cells [string length [dict get [row_of $seq fields] $field]]
            }
        }
        assert_equal [llength $cells] $produced "cells of $field"
        assert_equal [tcl::mathop::+ {*}$cells] $bytes "bytes of $field"
    }
}

start_server {} {
    foreach seed [range 1 [sized 6 300]] {
        test "random commands do what a naive model says, seed $seed" {
            regexp {seed (\d+)} $::current_test _ seed
            seed_random $seed
            model_new
            foreach step [range 1 400] {
                set do [pick do_put do_put do_put do_put do_put do_sample do_sample do_clear do_reset \
                            do_mget do_count do_list do_end]
                if {$do eq "do_end" && [random_below 5]} {
                    set do do_put
                }
                lassign [$do] words expected
                if {[catch {r {*}$words} reply how]} {
                    if {![string match $expected $reply] || ![string match "* \\*" $expected]} {
                        fail "step $step: [printable $words]\nexpected $expected\nbut got $reply"
                    }
                } else {
                    assert_equal $expected $reply "step $step: [printable $words]"
                }
                if {$step % 40 == 0} {
                    compare_all
                }
            }
        }
    }
}
