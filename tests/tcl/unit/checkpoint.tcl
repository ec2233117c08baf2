# TQ.CHECKPOINT, TQ.CHECKPOINTS, TQ.RESTORE, TQ.FORGET: the store as it was, by name.

proc names_of_checkpoints {} {
    return [lmap entry [r TQ.CHECKPOINTS] {dict get $entry name}]
}

proc checkpoint {name} {
    foreach entry [r TQ.CHECKPOINTS] {
        if {[dict get $entry name] eq $name} {
            return $entry
        }
    }
    error "no checkpoint $name"
}

proc restart_killed {} {
    set id [lindex $::server_stack end]
    forget_client $id
    signal_process KILL $::server($id,pid)
    wait_exit $id
    run_server $id [list tq.conf --port $::server($id,port)]
    wait_ready $id
}

foreach log {no yes} {
    start_own_server [list appendonly $log] {
        test "a checkpoint brings partitions back as they were (appendonly $log)" {
            fill p 1 10
            fill q 1 5
            assert_equal {k1 k2} [take p t 2]
            lassign [r TQ.SAMPLE p t COUNT 2 FIELDS 1 f LEASE 100000 AS KEYS] lease
            assert_equal OK [r TQ.CHECKPOINT step-1 META "epoch 1, loss 0.5"]
            set entry [checkpoint step-1]
            assert_equal {2 15 {epoch 1, loss 0.5}} \
                [list [dict get $entry partitions] [dict get $entry samples] [dict get $entry meta]]
            r TQ.CLEAR p
            fill p 50 60
            r TQ.CLEAR q KEYS 1 k1
            assert_equal 2 [r TQ.RESTORE step-1 REPLACE]
            assert_equal 5 [r TQ.COUNT q]
            assert_equal 10 [r TQ.COUNT p]
            assert_equal {consumed 2 leased 2} [lrange [dict get [r TQ.STATUS p] tasks t] 0 3]
            assert_equal 2 [r TQ.ACK p t $lease]
            assert_equal {k5 k6} [take p t 2]
        }
    }
}

start_own_server {appendonly yes} {
    test "what was restored outlives a crash, and the checkpoint it came from" {
        fill p 1 10
        r TQ.CHECKPOINT one
        r TQ.CLEAR p
        assert_equal 1 [r TQ.RESTORE one]
        fill p 11 12
        assert_equal OK [r TQ.FORGET one]
        restart_killed
        assert_equal 12 [r TQ.COUNT p]
        assert_equal {k1 k2 k3} [take p t 3]
        restart_killed
        assert_equal {k4 k5} [take p t 2]
        r BGREWRITEAOF
        wait_until {[info_field aof_rewrites] == 1} "no rewrite"
        restart_killed
        assert_equal {k6 k7} [take p t 2]
        assert_equal {} [glob -nocomplain [file join [srv dir] appendonlydir *.d]]
    }

    test "what was restored from a checkpoint is not confused with a later one whose file has the same name" {
        r TQ.CLEAR p
        foreach value {old new} {
            r TQ.PUT p k FIELDS 1 f $value
            r TQ.CHECKPOINT one
            r TQ.RESTORE one REPLACE
            r TQ.FORGET one
        }
        restart_killed
        assert_equal {{f new}} [r TQ.MGET p KEYS 1 k]
    }
}

start_own_server {} {
    test "without REPLACE a restore touches nothing that is there" {
        fill p 1 3
        fill q 1 3
        r TQ.CHECKPOINT both
        r TQ.CLEAR q
        fill p 4 5
        assert_refused "ERR partition 'p' exists*" {r TQ.RESTORE both}
        assert_equal 0 [r EXISTS q]
        assert_equal 1 [r TQ.RESTORE both PARTITIONS 1 q]
        assert_equal 3 [r TQ.COUNT q]
        assert_equal 5 [r TQ.COUNT p]
        r TQ.FORGET both
    }

    test "a checkpoint of some partitions holds these" {
        fill p 1 3
        fill q 1 3
        r TQ.CHECKPOINT some PARTITIONS 1 q
        assert_equal 1 [dict get [checkpoint some] partitions]
        r FLUSHALL
        assert_refused "NOPART *'p'*" {r TQ.RESTORE some PARTITIONS 1 p}
        assert_equal 1 [r TQ.RESTORE some]
        assert_equal q [r TQ.LIST]
        r TQ.FORGET some
    }

    test "what has not changed is shared with the checkpoint before" {
        set keys [names k 1 100]
        r TQ.MPUT p KEYS 100 {*}$keys COLUMNS 1 f {f32[1000]} "" [random_bytes 400000]
        r TQ.CHECKPOINT first
        fill q 1 3
        r TQ.CHECKPOINT second
        assert {[dict get [checkpoint first] file-bytes] > 400000}
        assert {[dict get [checkpoint second] file-bytes] < 10000}
        assert_equal OK [r TQ.FORGET first]
        assert_equal second [names_of_checkpoints]
        set before [r TQ.MGET p KEYS 1 k77 FIELDS 1 f]
        r FLUSHALL
        assert_equal 2 [r TQ.RESTORE second]
        assert_equal $before [r TQ.MGET p KEYS 1 k77 FIELDS 1 f]
        assert_equal OK [r TQ.FORGET second]
        assert_equal {} [glob -nocomplain [file join [srv dir] checkpoints *.tqs]]
    }

    test "a checkpoint of a name that is taken replaces it when it is done" {
        fill p 1 3
        r TQ.CHECKPOINT latest META a
        fill p 4 9
        r TQ.CHECKPOINT latest META b
        assert_equal latest [names_of_checkpoints]
        assert_equal {9 b} [list [dict get [checkpoint latest] samples] [dict get [checkpoint latest] meta]]
        restart_killed
        assert_equal latest [names_of_checkpoints]
        r TQ.FORGET latest
        assert_equal {} [names_of_checkpoints]
        restart_killed
        assert_equal {} [names_of_checkpoints]
    }

    test "checkpoints outlive the server" {
        fill p 1 3
        r TQ.CHECKPOINT kept
        restart_killed
        assert_equal 0 [r EXISTS p]
        assert_equal 1 [r TQ.RESTORE kept]
        assert_equal {k1 k2 k3} [take p t 3]
        r TQ.FORGET kept
    }

    test "others are served while a checkpoint is written, and several wait for their turn" {
        fill p 1 1000
        set a [client]
        set b [client]
        resp::send $a TQ.CHECKPOINT a
        resp::send $b TQ.CHECKPOINT b
        assert_equal 1 [r TQ.PUT q k FIELDS 1 f v]
        assert_equal OK [resp::receive $a]
        assert_equal OK [resp::receive $b]
        assert_same_set {a b} [names_of_checkpoints]
        r TQ.FORGET a
        r TQ.FORGET b
    }

    test "who waits for samples gets them from a restore" {
        fill p 1 3
        r TQ.CHECKPOINT c
        r TQ.CLEAR p
        set waits [client]
        take_later $waits p t 3 BLOCK 0
        wait_blocked 1
        r TQ.RESTORE c
        assert_equal {k1 k2 k3} [resp::receive $waits]
        r TQ.FORGET c
    }

    test "what is wrong is said" {
        fill p 1 1
        assert_error "ERR checkpoint name 'a b'*" {r TQ.CHECKPOINT "a b"}
        assert_error "ERR checkpoint name*" {r TQ.CHECKPOINT ""}
        assert_error "ERR checkpoint name*" {r TQ.CHECKPOINT ../x}
        assert_error "NOPART *'none'*" {r TQ.CHECKPOINT x PARTITIONS 2 p none}
        assert_error "ERR *'p' is named twice*" {r TQ.CHECKPOINT x PARTITIONS 2 p p}
        assert_error "ERR META has 5000 bytes*" {r TQ.CHECKPOINT x META [string repeat x 5000]}
        assert_error "NOKEY no checkpoint 'x'*" {r TQ.RESTORE x}
        assert_error "NOKEY no checkpoint 'x'*" {r TQ.FORGET x}
        assert_error "ERR *" {r TQ.RESTORE x META m}
        r TQ.CHECKPOINT there
        assert_error "NOPART checkpoint 'there': *no partition 'none'*" {r TQ.RESTORE there PARTITIONS 1 none}
        r TQ.FORGET there
        r MULTI
        assert_error "ERR *transaction*" {r TQ.CHECKPOINT x}
        r DISCARD
        assert_equal {} [names_of_checkpoints]
    }

    test "a damaged checkpoint restores nothing" {
        fill p 1 100
        r TQ.CHECKPOINT d
        set path [lindex [glob [file join [srv dir] checkpoints *.tqs]] 0]
        set bytes [read_file $path]
        write_file $path [string replace $bytes 300 300 [format %c [expr {([scan [string index $bytes 300] %c] + 1) % 256}]]]
        r FLUSHALL
        assert_error "*" {r TQ.RESTORE d}
        assert_match "*restore of checkpoint 'd': *" [server_output [lindex $::server_stack end]]
        assert_equal "" [r TQ.LIST]
        write_file $path $bytes
        assert_equal 1 [r TQ.RESTORE d]
        assert_equal 100 [r TQ.COUNT p]
        r TQ.FORGET d
    }
}

start_own_server {maxmemory 8mb} {
    test "a restore that does not fit into maxmemory leaves nothing behind" {
        foreach i [range 1 5] {
            r TQ.PUT p$i k FIELDS 1 f [random_bytes 1000000]
        }
        r TQ.CHECKPOINT big
        set before [r TQ.LIST]
        assert_error "OOM *" {r TQ.RESTORE big REPLACE}
        assert_equal $before [r TQ.LIST]
        assert_equal 1000000 [string length [cell p3 k f]]
    }
}

# Replaces the checkpoint `same` while `p` is restored from it. Returns whether that was done before the restore was over.
proc replace_while_restored {} {
    assert_equal OK [r TQ.CHECKPOINT same]
    set c [client]
    resp::send $c TQ.RESTORE same PARTITIONS 1 p REPLACE
    assert_equal OK [r TQ.CHECKPOINT same PARTITIONS 1 q]
    set overtaken [expr {![resp::has_input $c]}]
    assert_equal 1 [resp::receive $c]
    return $overtaken
}

start_own_server {appendonly yes} {
    # The log gets second names of the files that a restore read, so they have to be there at its end. Reading many samples
    # takes longer than writing one: as many are written as it takes to see that.
    test "a checkpoint that is being restored can be replaced meanwhile" {
        r TQ.PUT q k FIELDS 1 f v
        set n 0
        while 1 {
            set keys [lmap i [range 1 50000] {string cat k [incr n]}]
            set values [lrepeat 50000 some-value]
            assert_equal 50000 [r TQ.MPUT p KEYS 50000 {*}$keys TAGS 4 a {*}$values b {*}$values c {*}$values d {*}$values]
            if {[replace_while_restored]} {
                break
            }
            assert {$n < 2000000}
        }
        assert_equal $n [r TQ.COUNT p]
        assert_equal 1 [llength [r TQ.CHECKPOINTS]]
        assert_equal OK [r TQ.FORGET same]
        wait_until {[glob -nocomplain [file join [srv dir] checkpoints *.tqs]] eq ""}
        restart_killed
        assert_equal $n [r TQ.COUNT p]
    }
}
