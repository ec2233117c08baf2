# Real input: 1,319 prompts with four rollouts each, put and read back byte for byte, and taken as
# a trainer would take them.

set ::rollouts [file join $::root_dir .. shared data gsm8k rollouts.jsonl]
set ::policies {6b_finetuning 6b_verification 175b_finetuning 175b_verification}

# Every rollout as {key group question solution reward}, in order of the file.
proc read_rollouts {} {
    if {![file exists $::rollouts]} {
        skip "../shared/data/gsm8k/rollouts.jsonl is not there"
    }
    if {[info exists ::all_rollouts]} {
        return $::all_rollouts
    }
    set ::all_rollouts {}
    set group 0
    foreach line [split [string trimright [read_file $::rollouts] \n] \n] {
        set prompt [json_read $line]
        foreach policy $::policies {
            set rollout [dict get $prompt $policy]
            lappend ::all_rollouts [list q$group/$policy q$group [dict get $prompt question] \
                [dict get $rollout solution] [expr {[dict get $rollout is_correct] eq "true"}]]
        }
        incr group
    }
    return $::all_rollouts
}

proc put_rollouts {} {
    set commands {}
    foreach row [read_rollouts] {
        lassign $row key group question solution reward
        lappend commands [list TQ.PUT train@1 $key GROUP $group 4 TAGS 1 correct $reward \
            FIELDS 3 prompt:str $question response:str $solution reward:f32 [pack f32 $reward]]
    }
    foreach reply [pipeline [r] $commands] {
        assert_equal 1 $reply
    }
}

start_server {} {
    test "real rollouts come back byte for byte, in order" {
        set rows [read_rollouts]
        assert_equal 5276 [llength $rows]
        put_rollouts
        assert_equal 5276 [r TQ.COUNT train@1]
        set keys [lmap row $rows {lindex $row 0}]
        assert_equal $keys [list_all train@1]
        set back [r TQ.MGET train@1 KEYS 5276 {*}$keys FIELDS 3 prompt response reward MISSING ERROR]
        foreach row $rows got $back {
            lassign $row key group question solution reward
            assert_equal [list $question $solution [pack f32 $reward]] $got $key
        }
    }

    test "real rollouts are taken by groups, each once, with the mean reward of the file" {
        set rows [read_rollouts]
        put_rollouts
        r TQ.SEAL train@1
        set sum 0
        set seen {}
        set take {TQ.SAMPLE train@1 update_actor COUNT 64 FIELDS 1 reward BY GROUP BLOCK 0}
        while {[llength [set batch [r {*}$take]]]} {
            assert {[llength $batch] % 4 == 0}
            foreach {a b c d} $batch {
                set prompts [lmap s [list $a $b $c $d] {lindex [split [lindex $s 0] /] 0}]
                assert_equal 1 [llength [lsort -unique $prompts]]
            }
            foreach sample $batch {
                lappend seen [lindex $sample 0]
                set sum [expr {$sum + [unpack f32 [lindex $sample 1]]}]
            }
        }
        assert_equal [lmap row $rows {lindex $row 0}] $seen
        assert_equal [expr {[tcl::mathop::+ {*}[lmap row $rows {lindex $row 4}]]}] [expr {int($sum)}]
        assert_equal [r TQ.COUNT train@1 WHERE 1 correct = 1] [expr {int($sum)}]
    }

    test "real rollouts stream through two tasks while they are written" {
        set rows [read_rollouts]
        set trainer [client]
        set reader [client]
        r TQ.EXPECT train@1 5276
        set want {COUNT 100 FIELDS 2 response reward AS KEYS BLOCK 0}
        resp::send $trainer TQ.SAMPLE train@1 train {*}$want
        resp::send $reader TQ.SAMPLE train@1 read {*}$want
        put_rollouts
        foreach {c task} [list $trainer train $reader read] {
            set seen {}
            while {[llength [set keys [resp::receive $c]]]} {
                lappend seen {*}$keys
                resp::send $c TQ.SAMPLE train@1 $task {*}$want
            }
            assert_equal [lmap row $rows {lindex $row 0}] $seen $task
        }
    }
}
