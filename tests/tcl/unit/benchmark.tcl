# tq-benchmark: every scenario at a tiny size, what it prints, what it refuses, and that it notices a
# server that does something else than it should. Figures are not looked at: machines differ.

# The program lies beside the server.
proc benchmark_path {} {
    if {$::server_path eq ""} {
        skip "a server program is needed"
    }
    set path [file join [file dirname $::server_path] tq-benchmark]
    if {![file executable $path]} {
        fail "$path is not there"
    }
    return $path
}

# Runs it and answers {status stdout stderr}. The event loop goes on meanwhile.
proc benchmark {args} {
    set errors [file join $::work_dir benchmark-stderr]
    set chan [open "|[list [benchmark_path] {*}$args 2> $errors]" rb]
    fconfigure $chan -blocking 0
    set ::benchmark_output ""
    set ::benchmark_over 0
    fileevent $chan readable [list collect_benchmark $chan]
    vwait ::benchmark_over
    fconfigure $chan -blocking 1
    set status 0
    if {[catch {close $chan} why how]} {
        set status [lindex [dict get $how -errorcode] 2]
    }
    assert_no_match "*Sanitizer*" [read_file $errors]
    return [list $status $::benchmark_output [read_file $errors]]
}

proc collect_benchmark {chan} {
    append ::benchmark_output [read $chan]
    if {[eof $chan]} {
        set ::benchmark_over 1
    }
}

# The output of a run that must succeed, with a server of its own and tiny sizes unless told otherwise.
set tiny {-b 24 -f 3 -d 256 -n 4 --rounds 2}
proc bench {args} {
    lassign [benchmark {*}$::tiny --server $::server_path {*}$args] status out err
    if {$status != 0 || $err ne ""} {
        fail "tq-benchmark $args ended with $status: $err"
    }
    return $out
}

# The same on the current server, as CSV.
proc bench_here {args} {
    lassign [benchmark {*}$::tiny -p [srv port] --csv {*}$args] status out err
    if {$status != 0 || $err ne ""} {
        fail "tq-benchmark $args ended with $status: $err"
    }
    return $out
}

# What it prints as data: a list of results, dicts.
proc bench_json {args} {
    return [dict get [json_read [bench --json {*}$args]] results]
}

proc peer_names {result} {
    return [lmap peer [dict get $result peers] {dict get $peer peer}]
}

proc compared_with {} {
    return [expr {[auto_execok redis-server] eq "" ? {tq raw} : {tq raw redis}}]
}

# Every figure of a peer is a number and makes sense.
proc check_peer {peer} {
    foreach name {rate_s p50_us p99_us p999_us elapsed_s server_cpu_s server_cpu_request_s client_cpu_s requests
                  resident_bytes} {
        assert {[string is double -strict [dict get $peer $name]]} "$name in $peer"
        assert {[dict get $peer $name] > 0} "$name in $peer"
    }
    assert {[dict get $peer p50_us] <= [dict get $peer p99_us]}
    assert {[dict get $peer p99_us] <= [dict get $peer p999_us]}
    if {[dict get $peer peer] ne "tq"} {
        assert {[dict get $peer ratio_min] <= [dict get $peer ratio]}
        assert {[dict get $peer ratio] <= [dict get $peer ratio_max]}
    }
}

# ---------------------------------------------------------------- scenarios

foreach {scenario peers} {
    mput compared  mget compared  put compared  get compared
    sample {tq raw}  sample-rows {tq raw}
} {
    test "benchmark $scenario moves batches, and compares" {
        upvar #0 scenario scenario peers peers
        set wanted [expr {$peers eq "compared" ? [compared_with] : $peers}]
        set results [bench_json -t $scenario --compare]
        assert_equal 1 [llength $results]
        set result [lindex $results 0]
        foreach {name value} [list scenario $scenario mix dense samples 24 fields 3 \
                value_bytes 256 payload_bytes 18432 transport tcp connections 1 \
                pipeline 1 state warm rounds 2 waves 4] {
            assert_equal $value [dict get $result $name] $name
        }
        assert_equal $wanted [peer_names $result]
        foreach peer [dict get $result peers] {
            check_peer $peer
            assert_equal 8 [dict get $peer requests]
            assert {[dict get $peer gbit_s] > 0}
        }
    }
}

test "benchmark goes through unix sockets, many connections and pipelines" {
    foreach result [bench_json -t mput,get -c 5 -P 3 -n 30 --compare --transport unix] {
        assert_equal {5 3 2} [lmap name {connections pipeline waves} {dict get $result $name}]
        assert_equal unix [dict get $result transport]
        assert_equal [compared_with] [peer_names $result]
        foreach peer [dict get $result peers] {
            assert_equal 60 [dict get $peer requests]
        }
    }
}

foreach scenario {ping put-one get-one} {
    test "benchmark $scenario sends small commands" {
        upvar #0 scenario scenario
        set result [lindex [bench_json -t $scenario --compare -n 500 -c 10 -P 7] 0]
        assert_equal [lsearch -all -inline -not [compared_with] raw] [peer_names $result]
        foreach peer [dict get $result peers] {
            check_peer $peer
            assert_equal 1000 [dict get $peer requests]
        }
    }
}

test "benchmark wake times a consumer that waits" {
    foreach transport {tcp unix} {
        set result [lindex [bench_json -t wake --compare -n 30 -d 70kb --transport $transport] 0]
        assert_equal [list wake $transport 2 2 30 71680] \
            [lmap name {scenario transport connections rounds waves value_bytes} {dict get $result $name}]
        assert_equal [lsearch -all -inline -not [compared_with] raw] [peer_names $result]
        foreach peer [dict get $result peers] {
            check_peer $peer
            assert_equal 60 [dict get $peer requests]
            if {[dict get $peer peer] eq "redis"} {
                foreach of {p50 p99} {
                    assert {[dict get $peer ${of}_ratio_min] <= [dict get $peer ${of}_ratio]}
                    assert {[dict get $peer ${of}_ratio] <= [dict get $peer ${of}_ratio_max]}
                }
            }
        }
    }
    assert_match "wake tcp: tq */s*" [bench -q -t wake -n 10]
}

test "benchmark sample-keys compares partitions" {
    set results [bench_json -t sample-keys --partitions 100,2k -n 10]
    assert_equal {100 2000} [lmap result $results {dict get $result partition_samples}]
    assert_equal {12 10} [lmap result $results {dict get $result waves}]
    assert {![dict exists [lindex $results 0] cpu_ratio]}
    assert {[dict get [lindex $results 1] cpu_ratio] > 0}
}

test "benchmark memory says what the server holds" {
    lassign [bench_json -t memory,memory-small --partitions 2k] put rounds small
    foreach result [list $put $rounds $small] {
        assert {[dict get $result resident_bytes] > [dict get $result payload_bytes]}
        assert {[dict get $result resident_empty_bytes] > 0}
    }
    assert_equal 18432 [dict get $put payload_bytes]
    assert_equal {2000 3 256} [lmap name {samples fields value_bytes} {dict get $small $name}]
    assert {[dict get $small overhead_allowed_sample] == 148}
}

# Files go into a directory that is as empty after as before.
proc bench_kept {args} {
    set dir [file join $::work_dir kept]
    file mkdir $dir
    set results [bench_json --dir $dir {*}$args]
    assert_equal {} [glob -nocomplain $dir/*]
    return $results
}

test "benchmark does not load what lies where it is started" {
    set dir [file join $::work_dir lies-there]
    file mkdir $dir
    write_file [file join $dir dump.tqs] "no snapshot"
    set out [in_directory $dir {bench -t put-one -n 100 --rounds 1 -q}]
    assert_match "put-one tcp: tq */s\n" $out
}

test "benchmark measures servers that keep a log, and leaves their directory as it was" {
    foreach result [bench_kept -t mput,put-one --cold -- --appendonly yes --appendfsync everysec] {
        assert {[dict get [lindex [dict get $result peers] 0] rate_s] > 0}
    }
}

test "benchmark sweep goes through the sizes and draws them" {
    set file [file join $::work_dir sweep.svg]
    set results [bench_json -t sweep --sizes 4x2x8,8x3x64 --mix dense,complex --compare --plot $file]
    assert_equal {mput mget mput mget mput mget mput mget} \
        [lmap result $results {dict get $result scenario}]
    assert_equal {256 256 6144 6144} \
        [lmap result [lrange $results 0 3] {dict get $result payload_bytes}]
    set svg [read_file $file]
    assert_match "<svg *</svg>\n" $svg
    assert_equal [expr {4 * [llength [compared_with]]}] [regexp -all {<polyline } $svg]
    assert_equal [expr {8 * [llength [compared_with]]}] [regexp -all {<circle } $svg]
    assert {![regexp {[^a-z](nan|inf)[^a-z]} $svg]}
    file delete $file
}

test "benchmark moves values larger than any socket buffer" {
    bench -t mput,mget,put,get -b 3 -f 2 -d 2mb -n 1 --rounds 1 --compare
}

test "benchmark starts cold servers" {
    set results [bench_json -t mput,get --cold --warm --compare]
    assert_equal {mput warm mput cold get warm get cold} \
        [concat {*}[lmap result $results {list [dict get $result scenario] [dict get $result state]}]]
    foreach peer [dict get [lindex $results 1] peers] {
        assert_equal 2 [dict get $peer requests]
    }
}

# ---------------------------------------------------------------- forms

test "benchmark prints a table" {
    set out [encoding convertfrom utf-8 [bench -t mput,ping --compare -n 50 -c 2]]
    assert_match "mput: 24 \u00d7 3 \u00d7 256 B dense, 18.4 kB a batch, warm, tcp, 2 connections*" $out
    assert {[regexp -line {^  tq +[0-9.]+ } $out]}
    assert {[regexp -line {^  raw +[0-9.]+ } $out]}
    assert {[regexp -line {^  tq/raw [0-9.]+ \([0-9.]+–[0-9.]+\)} $out]}
    assert_match "*\n\nping: warm, tcp, 2 connections, pipeline 1, 2 rounds of 50\n*" $out
}

test "benchmark -q prints a line a result" {
    set lines [split [string trimright [bench -q -t mput,put-one,memory-small --partitions 1k] \n] \n]
    assert_match "mput *: tq * Gbit/s" [lindex $lines 0]
    assert_match "put-one *: tq */s" [lindex $lines 1]
    assert_match "memory-small*" [lindex $lines 2]
}

test "benchmark --csv has a column for everything in every line" {
    set lines [split [string trimright [bench --csv -t mput,ping,wake,memory,sample-keys --partitions 99 \
        --compare] \n] \n]
    set columns [split [lindex $lines 0] ,]
    assert_equal {scenario peer} [lrange $columns 0 1]
    assert {[llength $lines] > 6}
    foreach line [lrange $lines 1 end] {
        assert_equal [llength $columns] [llength [split $line ,]] $line
    }
}

test "benchmark --help and --version" {
    lassign [benchmark --help] status out err
    assert_equal {0 {}} [list $status $err]
    foreach line [split $out \n] {
        assert {[string length $line] <= 100} $line
    }
    assert_match "Usage: tq-benchmark *-t LIST*--compare*Examples*" $out
    lassign [benchmark --version] status out err
    assert {$status == 0 && [regexp {^tq-benchmark [0-9.]+\n$} $out]}
}

# ---------------------------------------------------------------- what it refuses

foreach {arguments pattern} {
    --nosuch {*unknown option '--nosuch'*}
    stray {*unknown option 'stray'*}
    -t {*-t needs a value*}
    {-t nosuch} {*no scenario 'nosuch'*}
    {-t mput,} {*words between commas*}
    {-b 0} {*-b takes a number from 1 *}
    {-b 10x} {*-b takes a number*}
    {-f 5000} {*-f takes a number from 1 to 4096*}
    {-d 99999999999999999999} {*-d takes a number*}
    {-c -1} {*-c takes a number*}
    {-p 65536} {*-p takes a number from 1 to 65535*}
    {--rounds 0} {*--rounds takes*}
    {--mix dense,heavy} {*--mix takes dense, ragged, str, bytes or complex*}
    {--transport ipx} {*--transport takes tcp or unix*}
    {--sizes 1x2} {*--sizes takes sizes such as*}
    {--sizes 1x2x3x4} {*--sizes takes sizes such as*}
    {--sizes 0x2x3} {*--sizes takes sizes such as*}
    {-t mput --plot f.svg} {*--plot draws the sweep*}
    {-p 1 --cold} {*--cold needs a server that is started here*}
    {-p 1 -t memory} {*memory scenarios need a server that is started here*}
    {-t log-put} {*no scenario 'log-put'*}
    {-p 1 --dir /tmp} {*--dir is for a server that is started here*}
    {--dir {}} {*--dir takes a directory*}
    {-p 1 --server x} {*--server starts a server*}
    {-p 1 -- --maxmemory 1gb} {*options after -- are for a server that is started here*}
    {-h 192.0.2.1 --compare} {*--compare needs a server on this machine*}
    {-s /tmp/x --transport tcp} {*--transport tcp needs*}
    {-p 1 --transport unix} {*--transport unix needs -s*}
    {--server /nosuch/tq-server} {*there is no program /nosuch/tq-server*}
} {
    test "benchmark refuses $arguments" {
        upvar #0 arguments arguments pattern pattern
        lassign [benchmark {*}$arguments] status out err
        assert_equal {2 {}} [list $status $out]
        assert_match $pattern $err
    }
}

test "benchmark says why a server could not be measured" {
    lassign [benchmark -p [free_port] -t ping] status out err
    assert_equal 1 $status
    assert_match "tq-benchmark: can't connect to 127.0.0.1:*" $err
    lassign [benchmark --server $::server_path -t ping -- --nosuch-option 1] status out err
    assert_equal 1 $status
    assert_match "*ended while it started*nosuch-option*" $err
    lassign [benchmark --server $::server_path --dir /nosuch/directory -t ping] status out err
    assert_equal 1 $status
    assert_match "tq-benchmark: can't make a directory in /nosuch/directory*" $err
    lassign [benchmark --server /bin/false -t ping] status out err
    assert_equal 1 $status
    assert_match "*/bin/false ended while it started*" $err
    lassign [benchmark {*}$::tiny --server $::server_path -t mput -- --proto-max-bulk-len 1mb \
        --max-arguments 1024] status out err
    assert_equal 0 $status $err
    lassign [benchmark {*}$::tiny --server $::server_path -t mput -b 2000 -- \
        --max-arguments 1024] status out err
    assert_equal 1 $status
    assert_match "tq-benchmark: tq: *" $err
}

test "benchmark refuses what the machine can't hold" {
    lassign [benchmark --server $::server_path -t mput -b 1m -f 4096 -d 1gb] status out err
    assert_equal 1 $status
    assert_match "*needs about * of memory*" $err
}

# ---------------------------------------------------------------- against a running server

start_own_server {unixsocket tq.sock} {
    foreach mix {ragged str bytes complex} {
        test "benchmark moves $mix values both ways, by columns and by rows" {
            upvar #0 mix mix
            foreach size {{-d 256} {-d 1} {-d 7 -b 1}} {
                set out [bench_here -t mput,mget,put,get,sample,sample-rows --mix $mix {*}$size]
                assert_equal 6 [regexp -all -line "^\[a-z-\]+,tq,$mix," $out]
            }
        }
    }

    test "benchmark keeps batches of many connections and pipelines apart" {
        set out [bench_here -t mput,mget,put,get,sample,sample-rows -c 5 -P 3 -n 30]
        assert_equal 6 [regexp -all -line {,tcp,5,3,warm,2,2,} $out]
    }

    test "benchmark measures a running server and leaves its data alone" {
        r TQ.PUT mine k FIELDS 1 f v
        lassign [benchmark {*}$::tiny -p [srv port] -t mput,mget,put,sample,sample-keys,put-one \
            --partitions 50 --compare --json] status out err
        assert_equal {0 {}} [list $status $err]
        assert_equal 6 [llength [dict get [json_read $out] results]]
        assert_equal mine [r TQ.LIST]
        assert_equal v [cell mine k f]
    }

    test "benchmark reaches a running server by its unix socket" {
        in_directory [srv dir] {
            lassign [benchmark {*}$::tiny -s tq.sock -t mget,ping --csv] status out err
            assert_equal {0 {}} [list $status $err]
            assert_match "*,unix,*" $out
            assert_no_match "*,tcp,*" $out
            assert_match "*,tcp,*,unix,*" [bench_here -s tq.sock --transport tcp,unix -t mget]
        }
    }

    # A relay that changes what the server answers, value by value: a rule is a whole line of the
    # protocol (":24", "*4"), or bytes inside of a bulk string, which keep their number. What only
    # looks like it, such as a line inside of an INFO reply, stays as it is.
    proc relay_accept {from to chan host port} {
        set server [socket 127.0.0.1 [srv port]]
        foreach side [list $chan $server] {
            fconfigure $side -translation binary -blocking 0
        }
        set ::relayed($server) ""
        fileevent $chan readable [list relay_bytes $chan $server ""]
        fileevent $server readable [list relay_bytes $server $chan [list $from $to]]
    }
    proc relay_bytes {from to rule} {
        if {[catch {
            set bytes [read $from]
            if {$rule ne ""} {
                set bytes [relay_values $from $bytes {*}$rule]
            }
            puts -nonewline $to $bytes
            flush $to
        }] || [eof $from]} {
            catch {close $from}
            catch {close $to}
        }
    }
    # The values that are whole by now, changed; the rest is kept for the next bytes.
    proc relay_values {from bytes old new} {
        upvar #0 ::relayed($from) kept
        append kept $bytes
        set out ""
        while {[set end [string first "\r\n" $kept]] >= 0} {
            set line [string range $kept 0 $end-1]
            set used [expr {$end + 2}]
            if {[regexp {^\$(\d+)$} $line - length]} {
                set value [string range $kept $used [expr {$used + $length - 1}]]
                incr used [expr {$length + 2}]
                if {$used > [string length $kept]} break
                if {[string length $old] == [string length $new] && ![string match "# *" $value]} {
                    set value [string map [list $old $new] $value]
                }
                append out [expr {$line eq $old ? $new : $line}] "\r\n$value\r\n"
            } else {
                append out [expr {$line eq $old ? $new : $line}] "\r\n"
            }
            set kept [string range $kept $used end]
        }
        return $out
    }

    test "the relay changes whole values only, however they arrive" {
        set reply "*3\r\n:1\r\n\$9\r\n# a:1\r\n:1\r\n:12\r\n"
        set ::relayed(x) ""
        set out ""
        foreach byte [split $reply ""] {
            append out [relay_values x $byte ":1" "-no"]
        }
        assert_equal [string map {"*3\r\n:1\r" "*3\r\n-no\r"} $reply] $out
    }

    foreach {arguments from to pattern} {
        {-t mput} ":24" ":23" {*tq: *23 new samples, 24 expected*}
        {-t mput} s000000007 s000000008 {*tq: column @key came back with a wrong payload*}
        {-t mget} f32\[64\] f64\[64\] {*tq: column f0 came back with a wrong type*}
        {-t mget} "*4" "*3" {*: tq: *}
        {-t mget --mix str} A B {*tq: column f0 came back with a wrong payload*}
        {-t get} "*3" "*2" {*: tq: *}
        {-t get --mix str} A B {*tq: sample 0 came back with a wrong value in column 0*}
        {-t sample-rows} s000000007 s000000008 {*tq: sample 7 came back with a wrong value*}
        {-t put-one} ":0" "-OOM no" {*tq: OOM no*}
        {-t get-one} "\$256" "*0\r\n\$256" {*tq: *}
        {-t wake} ":1" "-OOM no" {*tq: OOM no*}
        {-t wake} "*3" "*2" {*tq: *}
        {-t ping} "+PONG" "?PONG" {*tq: reply is not RESP: no type has this first byte, got '?'*}
    } {
        test "benchmark $arguments notices $from that became [string map {"\r\n" " "} $to]" {
            foreach name {arguments from to pattern} {
                upvar #0 $name $name
            }
            set relay [socket -server [list relay_accept $from $to] -myaddr 127.0.0.1 0]
            set port [lindex [fconfigure $relay -sockname] 2]
            lassign [benchmark -p $port {*}$::tiny {*}$arguments] status out err
            close $relay
            assert_equal 1 $status
            assert_match $pattern $err
        }
    }
}

# ---------------------------------------------------------------- the document

test "utils/performance.py measures what docs/performance.md shows" {
    foreach program {python3 redis-server} {
        if {[auto_execok $program] eq ""} {
            skip "$program is needed"
        }
    }
    set script [file join $::root_dir utils performance.py]
    set document [read_file [file join $::root_dir docs performance.md]]
    set out [exec python3 $script --quick --only log --build [file dirname [benchmark_path]] 2>@1]
    set row {\n\| (TQ.PUT [^|]*)\| [0-9.]+ [kM]?/s \| without [0-9.]+ [kM]? ?\| [0-9.]+ \| [0-9.]+[^|]*, 2 rounds \|$}
    assert {[regexp $row $out - what]} $out
    assert {[string first "\n| $what|" $document] > 0} $what
    assert {[catch {exec python3 $script --write --quick} why]}
    assert_match "*--write takes no --only and no --quick*" $why
    assert_equal $document [read_file [file join $::root_dir docs performance.md]]
}

# ---------------------------------------------------------------- its end

# A port whose connections are never completed: its queue of one is full. Answers {channel port}.
proc open_full_port {} {
    set script {
import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(0)
waiting = [socket.socket() for _ in range(4)]
for c in waiting: c.setblocking(False); c.connect_ex(s.getsockname())
print(s.getsockname()[1], flush=True); sys.stdin.read()
}
    set chan [open "|[list python3 -c $script]" r+]
    return [list $chan [gets $chan]]
}

# How many connections to the port have not been answered: state 2 is SYN_SENT (proc(5), tcp_states.h).
proc unanswered {port} {
    return [regexp -all [format {:%04X 02 } $port] [read_file /proc/net/tcp]]
}

test "benchmark says that it was interrupted when that is why it can't connect" {
    lassign [open_full_port] queue port
    set before [unanswered $port]
    set errors [file join $::work_dir benchmark-stderr]
    set chan [open "|[list [benchmark_path] -p $port -t ping 2> $errors]" r]
    wait_until {[unanswered $port] > $before}
    signal_process INT [pid $chan]
    catch {read $chan}
    catch {close $chan}
    assert_equal "tq-benchmark: interrupted\n" [read_file $errors]
    close $queue
}

test "benchmark ends in order when it is interrupted" {
    # Short: sockets lie in it, and the benchmark takes /tmp where the path of TMPDIR is too long.
    set dir [exec mktemp -d /tmp/tq-test-XXXXXX]
    set errors [file join $::work_dir benchmark-stderr]
    set chan [open "|[list env TMPDIR=$dir [benchmark_path] --server $::server_path -t ping -n 1000000 \
        --rounds 1000 2> $errors]" r]
    wait_until {[glob -nocomplain $dir/*/tq.sock] ne ""}
    set children [exec sh -c "cat /proc/[pid $chan]/task/*/children"]
    assert_equal 1 [llength $children]
    signal_process INT [pid $chan]
    catch {read $chan}
    assert {[catch {close $chan} why how]}
    assert_equal {CHILDSTATUS 1} [lreplace [dict get $how -errorcode] 1 1]
    assert_match "*interrupted*" [read_file $errors]
    assert {![process_runs $children]}
    assert_equal {} [glob -nocomplain $dir/*]
    file delete $dir
}
