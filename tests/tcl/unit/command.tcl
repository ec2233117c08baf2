# COMMAND: what clients learn about the server's commands.

# The commands that this server must have, whatever else it has.
set ::expected_commands {
    ping echo hello quit reset select info command client config dbsize exists type del scan keys
    flushall shutdown time
    subscribe unsubscribe psubscribe punsubscribe publish pubsub multi exec discard watch unwatch
    tq.put tq.mget tq.list tq.count tq.schema tq.status tq.sample tq.expect tq.seal tq.clear tq.reset
}

# The keywords of clauses among documented arguments.
proc tokens_of {documented} {
    set tokens {}
    if {[dict exists $documented arguments]} {
        foreach arg [dict get $documented arguments] {
            if {[dict exists $arg token]} {
                lappend tokens [dict get $arg token]
            } elseif {[dict get $arg type] eq "oneof"} {
                lappend tokens {*}[tokens_of $arg]
            }
        }
    }
    return $tokens
}

# A pattern that matches this text only.
proc exactly {text} {
    return [string map {\\ \\\\ * \\* ? \\? [ \\[ ] \\]} $text]
}

proc assert_refused_as {text args} {
    assert_refused [exactly $text] {r {*}$args}
}

start_server {} {
    test "COMMAND lists every command in lower case, COMMAND COUNT counts them" {
        set names {}
        foreach entry [r COMMAND] {
            lappend names [lindex $entry 0]
        }
        foreach name $::expected_commands {
            assert {$name in $names} "$name is not listed"
        }
        assert_equal [llength $names] [llength [lsort -unique $names]]
        assert_equal [llength $names] [r COMMAND COUNT]
    }

    test "an entry has ten elements: name, arity, flags, the key's place, and more" {
        lassign [typed COMMAND INFO tq.put] _ entries
        set entry [lindex $entries 0 1]
        assert_equal 10 [llength $entry]
        lassign $entry name arity flags first last step
        assert_equal {bulk tq.put} $name
        assert_match {int -*} $arity
        assert_equal array [lindex $flags 0]
        foreach flag [lindex $flags 1] {
            assert_equal simple [lindex $flag 0]
        }
        assert_equal {{int 1} {int 1} {int 1}} [list $first $last $step]
    }

    test "flags are a set in RESP3" {
        lassign [typed [client3] COMMAND INFO tq.mget] _ entries
        assert_equal set [lindex $entries 0 1 2 0]
    }

    test "the partition is the only key of every TQ command that names one" {
        foreach name {tq.put tq.mget tq.list tq.count tq.schema tq.status tq.sample tq.expect tq.seal
                      tq.clear tq.reset} {
            set entry [lindex [r COMMAND INFO $name] 0]
            assert_equal {1 1 1} [lrange $entry 3 5] $name
        }
    }

    test "commands without a key say so" {
        foreach name {ping echo info config client command dbsize keys flushall time} {
            set entry [lindex [r COMMAND INFO $name] 0]
            assert_equal {0 0 0} [lrange $entry 3 5] $name
        }
    }

    test "writes are flagged write, reads readonly" {
        foreach name {tq.put tq.sample tq.expect tq.seal tq.clear tq.reset del flushall} {
            assert {"write" in [lindex [r COMMAND INFO $name] 0 2]} "$name is not flagged write"
        }
        foreach name {tq.mget tq.list tq.count tq.schema tq.status exists type scan keys} {
            assert {"readonly" in [lindex [r COMMAND INFO $name] 0 2]} "$name is not flagged readonly"
        }
    }

    test "the arity that COMMAND tells is the arity that is kept" {
        foreach entry [r COMMAND] {
            lassign $entry name arity
            if {$name in {quit shutdown reset command ping info monitor} || abs($arity) < 2} {
                continue
            }
            assert_error "ERR wrong number of arguments*" {r $name {*}[lrepeat [expr {abs($arity) - 2}] x]}
        }
    }

    test "COMMAND INFO answers in the order asked and null for what it does not know" {
        lassign [typed COMMAND INFO nosuch PING TQ.SAMPLE] type entries
        assert_equal array $type
        assert_equal nil [lindex $entries 0 0]
        assert_equal {bulk ping} [lindex $entries 1 1 0]
        assert_equal {bulk tq.sample} [lindex $entries 2 1 0]
    }

    test "COMMAND DOCS describes commands" {
        set docs [r COMMAND DOCS tq.put ping]
        assert_equal {ping tq.put} [lsort [dict keys $docs]]
        dict for {name doc} $docs {
            assert {[dict get $doc summary] ne ""}
            assert {[dict exists $doc since] && [dict exists $doc group]}
        }
        assert_equal {} [r COMMAND DOCS nosuch]
        assert_equal map [lindex [typed [client3] COMMAND DOCS ping] 0]
    }

    test "COMMAND DOCS without names describes all" {
        assert_equal [r COMMAND COUNT] [expr {[llength [r COMMAND DOCS]] / 2}]
    }

    test "the documents show every clause that COMMAND DOCS tells" {
        set text ""
        foreach document {protocol.md checkpoints.md} {
            append text [read_file [file join $::root_dir docs $document]]
        }
        set compared 0
        foreach name [r COMMAND LIST FILTERBY PATTERN tq.*] {
            set shown [expr {$name eq "tq.alter" ? "tq.create" : $name}]
            set rows [join [regexp -all -inline "[string toupper $shown] \[^`\n\]*" $text] "\n"]
            foreach token [tokens_of [dict get [r COMMAND DOCS $name] $name]] {
                assert {[string first $token $rows] >= 0} "$name: no $token in $rows"
                incr compared
            }
        }
        assert {$compared > 50} $compared
    }

    test "COMMAND subcommands that do not exist are errors" {
        assert_error "ERR unknown subcommand*" {r COMMAND NOSUCH}
        assert_error "ERR *" {r COMMAND COUNT x}
    }
}

# Lists of names: FIELDS, TAGS, TEXT, COLUMNS, RETIRE, PARTITIONS, and keys of a write.
start_server {} {
    foreach {what words} {
        "field 'f'" {TQ.PUT p k FIELDS 3 f 1 g 2 f 3}
        "field 'f'" {TQ.PUT p k FIELDS 1 f 1 TEXT 1 f 2}
        "field 'f'" {TQ.PUT p k TEXT 2 f 1 f 2}
        "tag 't'" {TQ.PUT p k TAGS 2 t 1 t 2}
        "tag 't'" {TQ.MPUT p KEYS 1 k TAGS 2 t 1 t 2}
        "field 'g'" {TQ.MPUT p KEYS 1 k COLUMNS 2 g i8 {} 1 g i8 {} 2}
        "field 'f'" {TQ.MGET p KEYS 1 k FIELDS 3 f g f}
        "field 'f'" {TQ.SAMPLE p t COUNT 1 FIELDS 3 g f f}
        "field 'f'" {TQ.SAMPLE p t COUNT 1 FIELDS 2 f f BLOCK 0}
        "field 'f'" {TQ.COUNT p FIELDS 2 f f}
        "field 'f'" {TQ.CLEAR p FIELDS 2 f f}
        "field 'f'" {TQ.CLEAR p KEYS 1 k FIELDS 2 f f}
        "tag 't'" {TQ.CLEAR p TAGS 3 t u t}
        "field 'f'" {TQ.CREATE q FIELDS 2 f f32 f f32}
        "field 'g'" {TQ.ALTER p FIELDS 2 g f32 g f32}
        "task 'a'" {TQ.CREATE q RETIRE 3 a b a}
        "task 'a'" {TQ.ALTER p RETIRE 2 a a}
        "partition 'p'" {TQ.CHECKPOINT c PARTITIONS 2 p p}
        "partition 'p'" {TQ.RESTORE c PARTITIONS 2 p p}
    } {
        test "a name that comes twice is an error that names it: [join $words]" {
            r TQ.PUT p k FIELDS 1 f v TAGS 1 t v
            assert_refused "ERR *$::what is named twice" {r {*}$::words}
            assert_equal 0 [r EXISTS q]
        }
    }

    foreach {text words} {
        "FIELDS: 1 announced, of 2 arguments each, but only 1 follows: the clause is FIELDS n {name[:type] value} ..."
            {TQ.PUT p k FIELDS 1 a}
        "FIELDS: 2 announced, of 2 arguments each, but only 3 follow: the clause is FIELDS n {name[:type] value} ..."
            {TQ.PUT p k FIELDS 2 a 1 b}
        "KEYS: 2 announced, of 1 argument each, but only 1 follows: the command is TQ.MGET partition KEYS n key ..."
            {TQ.MGET p KEYS 2 k}
        "WHERE: 1 announced, of 3 arguments each, but only 2 follow: the clause is WHERE k {tag op value} ..."
            {TQ.COUNT p WHERE 1 t =}
        "syntax error: the count behind FIELDS is missing: the clause is FIELDS n {name[:type] value} ..."
            {TQ.PUT p k FIELDS}
        "syntax error: the count behind WHERE is missing: the clause is WHERE k {tag op value} ..."
            {TQ.COUNT p WHERE}
        "syntax error: the count behind KEYS is missing: the clause is KEYS n key ..." {TQ.CLEAR p KEYS}
        "syntax error: the count behind RETIRE is missing: the clause is RETIRE n task ..." {TQ.CREATE q RETIRE}
        "syntax error: the value behind BLOCK is missing: the clause is BLOCK ms" {TQ.PUT p k FIELDS 1 a 1 BLOCK}
        "syntax error: the value behind MAXSAMPLES is missing: the clause is MAXSAMPLES n"
            {TQ.CREATE q maxsamples}
        "syntax error: GROUP's id is missing: the clause is GROUP id size" {TQ.PUT p k GROUP}
        "syntax error: COUNT is missing: the clause is COUNT n" {TQ.SAMPLE p t FIELDS 1 f ATLEAST 1}
        "syntax error: FIELDS is missing: the clause is FIELDS m field ..." {TQ.SAMPLE p t COUNT 1 ATLEAST 1 KEEP}
        "syntax error: the value behind AS is missing: the clause is AS ROWS|TEXT|COLUMNS" {TQ.MGET p KEYS 1 k AS}
        "syntax error: expected KEYS behind the partition, got 'k': the command is TQ.MPUT partition KEYS n key ..."
            {TQ.MPUT p k TAGS 1}
        "PARTITIONS: expected a count from 1 to 4294967295 in front of the list, got '0': the clause is PARTITIONS n partition ..."
            {TQ.RESTORE x PARTITIONS 0}
        "COUNT: expected an integer from 1 to 4294967296, got 'FIELDS': the clause is COUNT n"
            {TQ.SAMPLE p t COUNT FIELDS 1 f KEEP}
        "GROUPS: expected an id for each of the 3 keys, but only 1 follows: the clause is GROUPS size id ..."
            {TQ.MPUT p KEYS 3 a b c GROUPS 2 g}
        "WHERE: expected = != < <= > or >=, got '==': the clause is WHERE k {tag op value} ..."
            {TQ.COUNT p WHERE 1 t == 1}
    } {
        test "what is missing or wrong is named, and how it is written: [join $words]" {
            assert_refused_as "ERR $::text" {*}$::words
            assert_equal 0 [r EXISTS p q]
        }
    }

    foreach {text words} {
        "FIELDS: expected a count from 1 to 4294967295 in front of the list, got 'logp': the clause is FIELDS m field ..."
            {TQ.SAMPLE p t COUNT 8 FIELDS logp}
        "the task is missing: the command is TQ.SAMPLE partition task" {TQ.SAMPLE p}
        "the key is missing: the command is TQ.PUT partition key" {TQ.PUT p}
        "sample 'k': expected at least one of TAGS, FIELDS, TEXT, GROUP" {TQ.PUT p k}
        "KEYS is missing: the command is TQ.MGET partition KEYS n key ..." {TQ.MGET p}
        "unexpected argument 'more'" {TQ.ACK p t l more}
        "expected TQ.SEAL partition" {TQ.SEAL}
        "expected TQ.EXPECT partition n" {TQ.EXPECT p}
        "expected tq.forget name" {tq.forget}
    } {
        test "a TQ command with too few or too many arguments says which: [join $words]" {
            set c [client]
            foreach transaction {0 1} {
                if {$transaction} {
                    resp::call $c MULTI
                }
                set name [string tolower [lindex $::words 0]]
                assert_error [exactly "ERR wrong number of arguments for '$name' command: $::text"] \
                    {resp::call $c {*}$::words}
            }
            assert_error "EXECABORT *" {resp::call $c EXEC}
        }
    }

    set sampled "COUNT, FIELDS, BY, WHERE, RANK, BATCH, DONE, ATLEAST, KEEP, LEASE, ONCE, BLOCK, AS"
    foreach {text words} [list \
        "syntax error: unknown clause 'FEILDS', expected one of $sampled: did you mean FIELDS?" \
            {TQ.SAMPLE p t COUNT 8 FEILDS 1 logp} \
        "syntax error: unknown clause 'logp' behind FIELDS, expected one of $sampled" \
            {TQ.SAMPLE p t COUNT 8 FIELDS 1 reward logp} \
        "syntax error: unknown clause 'with', expected one of CURSOR, COUNT, MATCH, WHERE, WITH TAGS, WITH FIELDS" \
            {TQ.LIST p with KEYS} \
        "syntax error: unknown clause 'OR', expected one of MAXSAMPLES, MAXBYTES, MAXAHEAD, RETIRE, INDEX, FIELDS" \
            {TQ.ALTER p OR ALTER} \
        "syntax error: NX and XX exclude each other" {TQ.MPUT p KEYS 1 k XX NX} \
        "syntax error: NX is there twice" {TQ.PUT p k NX NX TAGS 1 t v} \
        "syntax error: FIELDS and TAGS exclude each other" {TQ.CLEAR p TAGS 1 t KEYS 1 k FIELDS 1 f} \
        "BY: unknown sampler 'BALANCE', expected one of SEQUENTIAL, LIFO, RANDOM, MAX, MIN, PRIORITY, GROUP, BALANCED: did you mean BALANCED?" \
            {TQ.SAMPLE p t COUNT 8 FIELDS 1 f BY BALANCE} \
        "AS: expected ROWS|TEXT|COLUMNS|KEYS, got 'column': did you mean COLUMNS?" \
            {TQ.SAMPLE p t COUNT 8 FIELDS 1 f AS column} \
        "AS: expected ROWS|TEXT|COLUMNS, got 'KEYS'" {TQ.MGET p KEYS 1 k AS KEYS} \
        "unknown command 'TQ.GET', with args beginning with: 'p' 'KEYS' : did you mean tq.mget?" {TQ.GET p KEYS} \
        "unknown command 'SETT', with args beginning with: 'p' " {SETT p} \
        "MISSING: expected ERROR|NULL|SKIP, got 'nul': did you mean NULL?" {TQ.MGET p KEYS 1 k MISSING nul} \
        "unknown type 'float32': did you mean f32?" {TQ.PUT p k FIELDS 1 f:float32 1234} \
        "unknown type 'torch.bfloat16': did you mean bf16?" {TQ.CREATE p FIELDS 1 f torch.bfloat16} \
        "unknown type 'numpy.int64': did you mean i64?" {TQ.CREATE p FIELDS 1 f numpy.int64} \
        "unknown type '<f4': did you mean f32?" {TQ.CREATE p FIELDS 1 f <f4} \
        "unknown type '<i8': did you mean i64?" {TQ.CREATE p FIELDS 1 f <i8} \
        "unknown type 'f23': did you mean f32?" {TQ.CREATE p FIELDS 1 f f23} \
        "unknown type 'F32': did you mean f32?" {TQ.CREATE p FIELDS 1 f F32} \
        "unknown type 'flt32\[2\]', expected one of bool u8 i8 u16 i16 u32 i32 u64 i64 f8e4m3 f8e5m2 f16 bf16 f32 f64 str bytes" \
            {TQ.CREATE p FIELDS 1 f flt32[2]} \
        "type 'f32(4,)': expected up to 8 sizes or * in brackets, as in f32\[3,*\], and none for str and bytes" \
            {TQ.CREATE p FIELDS 1 f f32(4,)} \
    ] {
        test "a misspelt word is answered with those that there are: [join $words]" {
            assert_refused_as "ERR $::text" {*}$::words
            assert_equal 0 [r EXISTS p q]
        }
    }

    foreach {text words} {
        "field 'f' is f32, got 3 bytes (FIELDS takes raw bytes, here 4; TEXT takes literals such as 0.5) for sample 'k'"
            {TQ.PUT p k FIELDS 1 f 0.5}
        "field 'r' is i64[*,2], got 3 bytes (FIELDS takes raw bytes, in multiples of 16; TEXT takes literals such as 0.5) for sample 'k'"
            {TQ.PUT p k FIELDS 1 r 0.5}
        "field 'f': the shape of 2 samples of f32 has 0 bytes, got 4: a fixed shape belongs into the type, as in f32[4]"
            {TQ.MPUT p KEYS 2 a b COLUMNS 1 f f32 (4,) 12345678}
        "field 'r': the shape of 2 samples of i64[*,2] has 8 bytes, got 3: lengths are u32, little-endian, sample by sample"
            {TQ.MPUT p KEYS 2 a b COLUMNS 1 r i64[*,2] 1,3 1234567812345678}
    } {
        test "a value that does not fit says what would: [join $words]" {
            r TQ.CREATE p FIELDS 2 f f32 r {i64[*,2]}
            assert_refused_as "SCHEMA $::text" {*}$::words
        }
    }

    foreach {bound text} {
        MAXSAMPLES "FULL 3 new samples from 'a' on are more than MAXSAMPLES 2 of partition 'p' and can never fit: write fewer at once"
        {MAXAHEAD t} "FULL 3 new samples from 'a' on are more than MAXAHEAD 2 of partition 'p' and can never fit: write fewer at once"
        MAXBYTES "FULL values of 3 bytes are more than MAXBYTES 2 of partition 'p' and can never fit: write fewer at once"
    } {
        test "a write that is larger than [lindex $bound 0] can never fit, and says so" {
            r TQ.CREATE p {*}$::bound 2
            assert_refused_as $::text TQ.MPUT p KEYS 3 a b c COLUMNS 1 f i8 "" 123 BLOCK 0
        }
    }

    test "a name that comes twice among many is found" {
        set names [lmap i [range 1 300] {set _ n[expr {$i * 7919 % 300}]}]
        r TQ.PUT p k FIELDS 1 n1 v
        assert_equal 1 [llength [r TQ.MGET p KEYS 1 k FIELDS 300 {*}$names]]
        assert_error "ERR field 'n17' is named twice" {r TQ.COUNT p FIELDS 301 {*}$names n17}
    }
}
