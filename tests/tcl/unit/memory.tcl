# What counts against maxmemory, and what is given back before anything is refused.

# Memory of the server's process, in bytes; 0 under a sanitizer, whose allocator keeps what was freed.
proc resident {} {
    if {[info_field mem_allocator] eq "libc"} {
        return 0
    }
    regexp {VmRSS:\s+(\d+) kB} [read_file /proc/[srv pid]/status] - kb
    return [expr {$kb * 1024}]
}

# The most that it was; 0 under a sanitizer.
proc peak {} {
    if {[info_field mem_allocator] eq "libc"} {
        return 0
    }
    regexp {VmHWM:\s+(\d+) kB} [read_file /proc/[srv pid]/status] - kb
    return [expr {$kb * 1024}]
}

# Fills partition p with values until one is refused, and clears every second sample. Returns how many
# are left.
proc fill_and_clear_half {size} {
    set n 0
    while {![catch {r TQ.PUT p k[incr n] FIELDS 1 f [string repeat x $size]}]} {
        assert {$n < 100000}
    }
    incr n -1
    set keys {}
    for {set i 1} {$i <= $n} {incr i 2} {
        lappend keys k$i
    }
    assert_equal [llength $keys] [r TQ.CLEAR p KEYS [llength $keys] {*}$keys]
    return [expr {$n - [llength $keys]}]
}

start_own_server {maxmemory 20mb} {
    foreach size {3000 20000 30000} {
        test "no write is refused for the dead half of chunks: values of $size bytes" {
            set left [fill_and_clear_half $::size]
            foreach i [range 1 [expr {$left / 2}]] {
                assert_equal 1 [r TQ.PUT p new$i FIELDS 1 f [string repeat y $::size]]
            }
            assert {[info_field used_memory] <= 20 * 1024 * 1024 + 2 * $::size} \
                "used_memory is [info_field used_memory]"
            for {set i 2} {$i <= 2 * $left} {incr i 2} {
                assert_equal [string repeat x $::size] [cell p k$i f]
            }
        }
    }

    test "no large value and no new partition is refused for the dead half of chunks" {
        fill_and_clear_half 20000
        foreach i {1 2 3 4} {
            assert_equal 1 [r TQ.PUT q$i k FIELDS 1 f [string repeat y 1500000]]
        }
        assert_equal OK [r TQ.CREATE fresh]
    }

    test "a write with BLOCK goes on once dead bytes were given back, others after it" {
        fill_and_clear_half 20000
        set c [client]
        assert_equal 1 [$c TQ.PUT p blocked FIELDS 1 f [string repeat y 20000] BLOCK 10000]
        assert_equal 1 [r TQ.PUT p other FIELDS 1 f [string repeat y 20000]]
    }

    test "a batch of which half was cleared makes room for another" {
        set n 1200
        set payload [string repeat z [expr {$n * 8000}]]
        set keys [lmap i [range 1 $n] {set _ k$i}]
        assert_equal $n [r TQ.MPUT a KEYS $n {*}$keys COLUMNS 1 f bytes [string repeat [pack u32 8000] $n] $payload]
        assert_equal $n [r TQ.MPUT b KEYS $n {*}$keys COLUMNS 1 f bytes [string repeat [pack u32 8000] $n] $payload]
        foreach p {a b} {
            set odd [lmap {x y} $keys {set x}]
            assert_equal [llength $odd] [r TQ.CLEAR $p KEYS [llength $odd] {*}$odd]
        }
        set half [string range $payload 0 [expr {$n * 4000 - 1}]]
        set keys [lrange $keys 0 [expr {$n / 2 - 1}]]
        wait_until {![catch {
            r TQ.MPUT c KEYS [llength $keys] {*}$keys COLUMNS 1 f bytes \
                [string repeat [pack u32 8000] [llength $keys]] $half
        }]}
    }
}

set ::bound [expr {16 * 1024 * 1024 * 5 / 4 + 64 * 1024 * 1024}]

start_own_server {maxmemory 16mb} {
    test "many half-sent commands together do not take the server beyond maxmemory" {
        r TQ.PUT p k FIELDS 1 f v
        set clients {}
        foreach i [range 1 [sized 1600 3000]] {
            set c [client]
            # Two arguments below what is received directly into a column's memory.
            set words [resp::encode TQ.PUT p half$i FIELDS 2 f]
            resp::write_bytes $c "*9[string range $words 2 end]\$30000\r\n[string repeat x 30000]\r\n\$1\r\ng\r\n\$32000\r\n[string repeat y 31000]"
            lappend clients $c
            if {$i % 100 == 0} {
                assert {[resident] < $::bound} "resident are [resident]"
            }
        }
        assert {[resident] < $::bound} "resident are [resident]"
        assert {[info_field half_sent_commands_discarded] > 0}
        assert_match "*half a command, of which * bytes are held, and memory is beyond maxmemory: the command is discarded*" \
            [server_output [lindex $::server_stack end]]
        # Others are served, also what takes a little memory, and a long command that frees some.
        assert_equal v [cell p k f]
        wait_until {![catch {r TQ.PUT p other FIELDS 1 f w}]}
        assert_equal 1 [r TQ.CLEAR p KEYS 20001 k {*}[names nosuch 1 20000]]
        # The slowest was discarded, and is told so once its command is whole.
        set c [lindex $clients 0]
        resp::write_bytes $c "[string repeat y 1000]\r\n"
        assert_error "OOM *" {resp::receive $c}
        assert_equal PONG [$c PING]
        foreach c $clients {
            resp::close $c
        }
        wait_until {[info_field used_memory] < 10 * 1024 * 1024} {[info_field used_memory]}
    }

    test "half-sent lines of text are closed, the slowest first" {
        set clients {}
        foreach i [range 1 [sized 1600 3000]] {
            set c [client]
            catch {resp::write_bytes $c "PING [string repeat x 60000]"}
            lappend clients $c
        }
        assert {[resident] < $::bound} "resident are [resident]"
        assert_equal "" [assert_closed [lindex $clients 0]]
        assert_match "*half a command, of which * bytes are held, and memory is beyond maxmemory: closed*" \
            [server_output [lindex $::server_stack end]]
        wait_until {![catch {r TQ.PUT p other FIELDS 1 f w}]}
    }

}

start_own_server {maxmemory 64mb} {
    test "a large value that stopped arriving gives its memory to others" {
        set c [client]
        begin_put $c p k 60000000 [string repeat x 55000000]
        wait_until {[info_field used_memory] > 50000000}
        foreach i [range 1 40] {
            wait_until {![catch {r TQ.PUT p k$i FIELDS 1 f [string repeat y 1000000]}]}
        }
        assert_equal 40 [r TQ.COUNT p]
        resp::write_bytes $c "[string repeat x 5000000]\r\n"
        assert_error "OOM *" {resp::receive $c}
    }

    test "parked calls are not read ahead while memory is full" {
        set clients {}
        foreach i [range 1 500] {
            set c [client]
            resp::send $c TQ.SAMPLE p t$i COUNT 1 FIELDS 1 f BLOCK 0
            lappend clients $c
        }
        wait_blocked 500
        set value [string repeat x 1000000]
        set n 0
        while {![catch {r TQ.PUT q k[incr n] FIELDS 1 f $value}]} {}
        while {![catch {r TQ.PUT q small[incr n] FIELDS 1 f [string repeat x 1000]}]} {}
        set before [info_field used_memory]
        foreach c $clients {
            resp::write_bytes $c [string repeat "PING\r\n" 3000]
        }
        assert_equal PONG [r PING]
        assert {[info_field used_memory] < $before + 1000000} "[info_field used_memory], before $before"
        r TQ.CLEAR q
        foreach i [range 1 12] {
            r TQ.PUT p k$i FIELDS 1 f v
        }
        foreach c [lrange $clients 0 20] {
            resp::receive $c
            foreach i [range 1 3000] {
                assert_equal PONG [resp::receive $c]
            }
        }
    }
}

foreach maxmemory {0 1gb} {
    start_own_server [list maxmemory $maxmemory] {
        test "an announced bulk counts as memory as far as it has arrived: maxmemory $maxmemory" {
            set before [info_field used_memory]
            set resident [resident]
            set clients {}
            foreach i {1 2 3 4 5 6 7 8} {
                set c [client]
                begin_put $c p k$i 536870912 ""
                lappend clients $c
            }
            wait_until {[llength [regexp -all -inline {qbuf=} [r CLIENT LIST]]] == 9}
            barrier
            assert {[info_field used_memory] < $before + 1000000} "[info_field used_memory], before $before"
            assert {[resident] < $resident + 10000000} "[resident], before $resident"
            resp::write_bytes [lindex $clients 3] [string repeat x 20000000]
            wait_until {[info_field used_memory] > $before + 19000000}
            assert {[info_field used_memory] < $before + 22000000} "[info_field used_memory], before $before"
            assert_equal 1 [r TQ.PUT p other FIELDS 1 f v]
            foreach c $clients {
                resp::close $c
            }
            wait_until {[info_field used_memory] < $before + 1000000}
        }
    }
}

# Partitions p1 … p<n> of one sample, and memory full by what other samples hold.
proc one_sample_each {n} {
    set commands {}
    foreach i [range 1 $n] {
        lappend commands [list TQ.PUT p$i k FIELDS 1 f v]
    }
    pipeline [r] $commands
    set i 0
    while {![catch {r TQ.PUT full k[incr i] FIELDS 1 f [string repeat x 30000]}]} {}
    while {![catch {r TQ.PUT full small[incr i] FIELDS 1 f x}]} {}
}

start_own_server {maxmemory 20mb} {
    test "ever new tasks do not take memory beyond maxmemory, and those that are there go on" {
        r TQ.CREATE last RETIRE 2 a b
        fill last 1 10
        r TQ.CREATE many
        fill many 1 100
        take many old 1
        one_sample_each 20
        set limit [expr {20 * 1024 * 1024 / 16 * 17 + 4 * 1024 * 1024}]
        set passed 0
        set refused 0
        foreach i [range 1 12] {
            set commands {}
            foreach task [range 1 1000] {
                lappend commands [list TQ.SAMPLE p$i t$task COUNT 1 FIELDS 1 f AS KEYS]
            }
            foreach reply [pipeline [r] $commands] {
                if {$reply eq "k"} {
                    incr passed
                } else {
                    assert_match "(error) OOM *" $reply
                    incr refused
                }
            }
            assert {[info_field used_memory] < $limit + 1000000} "used_memory is [info_field used_memory]"
        }
        assert {$passed > 1000 && $refused > 100} "$passed passed, $refused were refused"
        assert_error "OOM *" {take many new 1}
        set names [lmap i [range 1 1024] {set _ [string repeat x 240]$i}]
        assert_error "OOM *" {
            foreach i [range 1 30] {
                r TQ.ALTER p$i RETIRE 1024 {*}$names
            }
        }
        assert_error "OOM *" {
            foreach rank [range 1 80] {
                r TQ.SAMPLE many old COUNT 1000 FIELDS 1 f RANK $rank BATCH 7 DONE 6
            }
        }
        # Tasks that have consumed, those that samples wait for, and what only looks.
        assert_equal {k2 k3} [take many old 2]
        assert_equal {k1 k2} [take many new 2 KEEP]
        assert_equal [names k 1 10] [take last a 10]
        assert_equal [names k 1 10] [take last b 10]
        assert_equal 0 [r TQ.COUNT last]
        assert_equal OK [r TQ.ALTER many MAXSAMPLES 1000]
    }

    test "calls on partitions that do not exist leave nothing behind while memory is full" {
        one_sample_each 1
        set before [info_field used_memory]
        set partitions [llength [r TQ.LIST]]
        set commands {}
        foreach i [range 1 5000] {
            lappend commands [list TQ.SAMPLE none$i t$i COUNT 1 FIELDS 1 f]
            lappend commands [list TQ.SAMPLE p1 t$i COUNT 2 FIELDS 1 f]
        }
        pipeline [r] $commands
        assert_equal $partitions [llength [r TQ.LIST]]
        assert_equal {} [dict get [r TQ.STATUS p1] tasks]
        assert {[info_field used_memory] < $before + 100000} "[info_field used_memory], before $before"
    }

    test "arguments of parked calls and in MULTI do not take memory beyond maxmemory" {
        one_sample_each 1
        set limit [expr {20 * 1024 * 1024 / 16 * 17 + 4 * 1024 * 1024}]
        set value [string repeat x 30000]
        set clients {}
        foreach i [range 1 400] {
            set c [client]
            resp::send $c TQ.PUT p1 k$i FIELDS 1 f $value BLOCK 0
            lappend clients $c
        }
        barrier
        assert {[info_field used_memory] < $limit + 4000000} "used_memory is [info_field used_memory]"
        assert_error "OOM *" {resp::receive [lindex $clients end]}
        assert_waiting [lindex $clients 0]
        set kept 0
        foreach i [range 1 300] {
            set c [client]
            $c MULTI
            incr kept [expr {![catch {$c TQ.CLEAR full KEYS 3000 {*}[names nosuch 1 3000]}]}]
        }
        assert {$kept < 300}
        assert {[info_field used_memory] < $limit + 4000000} "used_memory is [info_field used_memory]"
        r TQ.CLEAR full
        assert_equal 1 [resp::receive [lindex $clients 0]]
    }
}

# Fills partition p with samples k1 … of 1,000 bytes until one is refused. Returns how many there are.
proc fill_with_small {} {
    set i 0
    set replies {}
    while {![string match "*OOM*" $replies]} {
        assert {$i < 100000}
        set replies [pipeline [r] [lmap j [range 1 200] {
            list TQ.PUT p k[incr i] TAGS 1 tag [string repeat t 60] FIELDS 1 f [string repeat z 1000]
        }]]
    }
    while {![catch {r TQ.PUT p more[incr i] FIELDS 1 f [string repeat z 1000]}]} {}
    return [r TQ.COUNT p]
}

start_own_server {maxmemory 40mb} {
    # Each of these replies has 3 to 4.5 MB, which are the server's own; the bound is 114 MB.
    set keys [names k 1 4000]
    set scattered [lmap i [range 1 4000] {set _ k[expr {2 * $i}]}]
    set ::replies_bound [expr {40 * 1024 * 1024 * 5 / 4 + 64 * 1024 * 1024}]
    foreach {what command} [list \
        "TQ.LIST" {TQ.LIST p COUNT 100000 WITH TAGS WITH FIELDS} \
        "TQ.MGET of small values" [list TQ.MGET p KEYS 4000 {*}$keys FIELDS 1 f] \
        "TQ.MGET AS COLUMNS" [list TQ.MGET p KEYS 4000 {*}$scattered FIELDS 1 f AS COLUMNS] \
        "TQ.SAMPLE" {TQ.SAMPLE p t COUNT 4000 FIELDS 1 f KEEP}] {
        test "replies that nobody reads do not take memory beyond maxmemory: $what" {
            set n [fill_with_small]
            # The system takes the first one or two of each client.
            set request [string repeat [resp::encode {*}$::command] [expr {[llength $::command] > 100 ? 3 : 10}]]
            set clients {}
            foreach i [range 1 [sized 120 200]] {
                lappend clients [client]
            }
            foreach c $clients {
                resp::write_bytes $c $request
            }
            assert_equal PONG [r PING]
            # Replies, and the requests behind them.
            assert {[info_field used_memory] < 40 * 1024 * 1024 / 16 * 18 + 9 * 1024 * 1024} \
                "used_memory is [info_field used_memory]"
            # Another client is served: what is short at once, what is long when it has its turn.
            assert_equal $n [r TQ.COUNT p]
            assert_equal 2 [llength [r TQ.LIST p COUNT 100]]
            # One that is itself too slow to read is closed like the others.
            wait_until {![catch {[client] {*}$::command} said]}
            assert_equal [expr {$::what eq "TQ.LIST" ? $n : $::what eq "TQ.MGET AS COLUMNS" ? 2 : 4000}] \
                [llength [expr {$::what eq "TQ.LIST" ? [lindex $said 1] : $said}]]
            assert {[peak] < $::replies_bound} "resident were [peak]"
            assert_equal 2 [r TQ.CLEAR p KEYS 2 k1 k2]
            foreach c $clients {
                resp::close $c
            }
        }
    }

    test "a reply that is longer than all may be while memory is full is refused, and nothing is taken" {
        set n [fill_with_small]
        foreach command [list {TQ.SAMPLE p t COUNT 9000 FIELDS 1 f} {TQ.SAMPLE p t COUNT 9000 FIELDS 1 f LEASE 10000} \
            [list TQ.MGET p KEYS 9000 {*}[names k 1 9000] FIELDS 1 f]] {
            assert_error "OOM *all replies together may hold 5*Nothing was done: ask for less*" {r {*}$command}
        }
        assert_equal $n [r TQ.COUNT p TASK t]
        assert_equal 2000 [llength [r TQ.SAMPLE p t COUNT 2000 FIELDS 1 f]]
        r CONFIG SET maxmemory 200mb
        assert_equal 9000 [llength [r TQ.SAMPLE p t COUNT 9000 FIELDS 1 f]]
    }
}

foreach {what command} {
    "one field" {TQ.PUT p$i k FIELDS 1 f v}
    "one field and a tag" {TQ.PUT p$i k TAGS 1 t v FIELDS 1 f v}
    "four fields and a tag" {TQ.PUT p$i k TAGS 1 t v FIELDS 4 a vvvvvvvv b vvvvvvvv c vvvvvvvv d vvvvvvvv}
} {
    start_own_server {} {
        test "a partition of one sample of $what takes at most 1.5 KB" {
            set n 20000
            set before [info_field used_memory]
            set resident [resident]
            foreach first [range 0 19] {
                set commands {}
                foreach i [range [expr {$first * $n / 20 + 1}] [expr {($first + 1) * $n / 20}]] {
                    lappend commands [subst -nocommands -nobackslashes $::command]
                }
                pipeline [r] $commands
            }
            set each [expr {([info_field used_memory] - $before) / $n}]
            set each_resident [expr {([resident] - $resident) / $n}]
            if {[info_field mem_allocator] ne "libc"} {
                assert {$each <= 1500} "$each bytes a partition"
                assert {$each_resident <= 1536} "$each_resident bytes resident a partition"
            }
            foreach i [list 1 77 $n] {
                assert_equal k [lindex [r TQ.LIST p$i] 1]
            }
            r FLUSHALL
            wait_until {[info_field used_memory] < $before + 8000000}
        }
    }
}

start_own_server {} {
    test "a field whose cells are cleared gives its place back, unless it was declared" {
        r TQ.CREATE p FIELDS 2 declared f32 other i64
        r TQ.PUT p kept FIELDS 2 declared abcd live x
        foreach first [range 0 9] {
            set commands {}
            foreach i [range [expr {$first * 500 + 1}] [expr {$first * 500 + 500}]] {
                lappend commands [list TQ.PUT p k FIELDS 1 f$i v] [list TQ.CLEAR p KEYS 1 k FIELDS 1 f$i]
            }
            foreach {put clear} [pipeline [r] $commands] {
                assert {$put in {0 1} && $clear eq "1"} "$put $clear"
            }
        }
        set fields [lmap entry [r TQ.SCHEMA p] {lindex $entry 0}]
        assert {[llength $fields] <= 4096}
        assert {"declared" in $fields && "other" in $fields && "live" in $fields}
        assert_equal x [cell p kept live]
        assert_error "SCHEMA *" {r TQ.PUT p k FIELDS 1 other:str v}
        # Fields that have cells keep their places.
        set words {}
        foreach i [range 1 4093] {
            lappend words g$i v
        }
        assert_equal 0 [r TQ.PUT p k FIELDS 4093 {*}$words]
        assert_error "FULL *no room for more than 4096 fields" {r TQ.PUT p k FIELDS 1 more v}
        assert_equal 1 [r TQ.CLEAR p KEYS 1 k FIELDS 1 g77]
        assert_equal 0 [r TQ.PUT p k FIELDS 1 more v]
        assert_equal 4096 [llength [r TQ.SCHEMA p]]
    }
}

start_own_server {maxmemory 20mb} {
    test "an INDEX that maxmemory leaves no room for is refused, and nothing changes" {
        foreach first [range 0 49] {
            pipeline [r] [lmap j [range 1 1000] {list TQ.PUT p k[expr {$first * 1000 + $j}] TAGS 1 t $j}]
        }
        assert_equal OK [r TQ.ALTER p INDEX 1 t]
        set i 0
        while {![catch {r TQ.PUT full k[incr i] FIELDS 1 f [string repeat x 100000]}]} {}
        foreach tags {{2 t u} {2 t t^1} {1 u}} {
            assert_error "OOM INDEX: the new indexes need about *" {r TQ.ALTER p INDEX {*}$tags}
            assert_error "OOM INDEX: *" {r TQ.CREATE p OR ALTER INDEX {*}$tags}
            assert_equal t [dict get [dict get [r TQ.STATUS p] bounds] INDEX]
        }
        assert_equal OK [r TQ.ALTER p INDEX 1 t]
        r TQ.CLEAR full
        wait_until {![catch {r TQ.ALTER p INDEX 2 t t^1}]}
    }
}

start_own_server {} {
    test "what an index takes counts against maxmemory before it is built" {
        foreach first [range 0 99] {
            r TQ.MPUT p KEYS 1000 {*}[lmap j [range 1 1000] {expr {$first * 1000 + $j}}] TAGS 1 t {*}[range 1 1000]
        }
        r CONFIG SET maxmemory [expr {[info_field used_memory] + 5000000}]
        r MULTI
        r TQ.ALTER p INDEX 1 t
        r TQ.ALTER p INDEX 2 t u
        set replies [r EXEC]
        assert_equal OK [lindex $replies 0]
        assert_match "*OOM INDEX: the new indexes need about 35????? bytes*" [lindex $replies 1]
        wait_until {[dict get [r TQ.STATUS p] indexes t complete]}
        assert {[dict get [r TQ.STATUS p] indexes t bytes] < 3400000}
        assert_equal t [dict get [dict get [r TQ.STATUS p] bounds] INDEX]
    }
}

start_own_server {maxmemory 4mb} {
    test "a rank that is done with ever more batches is not refused while memory is full" {
        fill p 1 10
        assert_equal {k1} [r TQ.SAMPLE p t COUNT 1 FIELDS 1 f RANK 0 BATCH 0 AS KEYS]
        set i 0
        while {![catch {r TQ.PUT full k[incr i] FIELDS 1 f [string repeat x 30000]}]} {}
        while {![catch {r TQ.PUT full small[incr i] FIELDS 1 f x}]} {}
        foreach first [range 0 79] {
            set replies [pipeline [r] [lmap j [range 1 1000] {
                set done [expr {$first * 1000 + $j}]
                list TQ.SAMPLE p t COUNT 1000 FIELDS 1 f RANK 0 BATCH [expr {$done + 1}] DONE $done
            }]]
            assert_equal -1 [lsearch -glob $replies "*OOM*"]
        }
    }
}
