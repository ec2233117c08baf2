# The column form: TQ.MPUT in, TQ.MGET and TQ.SAMPLE AS COLUMNS out.

# n items of `size` bytes each that tell each other apart.
proc items {n size {seed 1}} {
    return [random_bytes [expr {$n * $size}] $seed]
}

# One column of a reply, as {type shape payload}.
proc column {reply name} {
    foreach column $reply {
        if {[lindex $column 0] eq $name} {
            return [lrange $column 1 end]
        }
    }
    fail "no column $name"
}

proc mget_columns {partition keys fields args} {
    return [r TQ.MGET $partition KEYS [llength $keys] {*}$keys \
                FIELDS [llength $fields] {*}$fields AS COLUMNS {*}$args]
}

start_server {} {
    test "a batch goes in by columns and comes out by rows" {
        set keys [names s 1 3]
        assert_equal {int 3} [typed TQ.MPUT p KEYS 3 {*}$keys COLUMNS 3 \
            reward f32 "" [pack f32 0.5 1 2] \
            ids {i64[*]} [pack u32 2 0 1] [pack i64 7 8 9] \
            text str [pack u32 1 2 0] abc]
        assert_equal {reward 0.5 ids {[7,8]} text a} [lindex [r TQ.MGET p KEYS 1 s1 AS TEXT] 0]
        assert_equal {reward 1 ids {[]} text bc} [lindex [r TQ.MGET p KEYS 1 s2 AS TEXT] 0]
        assert_equal {reward 2 ids {[9]} text {}} [lindex [r TQ.MGET p KEYS 1 s3 AS TEXT] 0]
    }

    test "the key column comes first, then the fields in the order asked" {
        r TQ.MPUT p KEYS 2 a bc COLUMNS 2 x u8 "" [pack u8 1 2] y u8 "" [pack u8 3 4]
        set reply [mget_columns p {bc a} {y x}]
        assert_equal 3 [llength $reply]
        assert_equal [list @key bytes [pack u32 2 1] bca] [lindex $reply 0]
        assert_equal [list y u8 "" [pack u8 4 3]] [lindex $reply 1]
        assert_equal [list x u8 "" [pack u8 2 1]] [lindex $reply 2]
    }

    test "the reply says how many samples are new, and overwrites are whole" {
        fill p 1 3
        assert_equal 2 [r TQ.MPUT p KEYS 4 k2 new1 k3 new2 COLUMNS 1 f bytes [pack u32 1 1 1 1] abcd]
        assert_equal {v1 a c b d} [lmap k {k1 k2 k3 new1 new2} {cell p $k f}]
        assert_equal {k1 k2 k3 new1 new2} [list_all p]
    }

    test "a partial update keeps the other cells" {
        r TQ.MPUT p KEYS 2 a b COLUMNS 2 x u8 "" AB y u8 "" CD
        r TQ.MPUT p KEYS 1 b COLUMNS 1 x u8 "" Z
        assert_equal {{A C} {Z D}} [r TQ.MGET p KEYS 2 a b FIELDS 2 x y]
    }

    test "tags and groups come with the batch" {
        r TQ.MPUT p KEYS 4 a b c d GROUPS 2 g1 g1 g2 g2 TAGS 2 version 1 2 3 4 src w x y z \
            COLUMNS 1 f u8 "" 1234
        assert_equal {version 3 src y} [tags p c]
        assert_equal 2 [dict get [r TQ.STATUS p] groups]
        assert_equal {a b c d} [take p t 4 BY GROUP]
    }

    test "a batch of tags alone makes samples" {
        assert_equal 2 [r TQ.MPUT p KEYS 2 a b TAGS 1 t 1 2]
        assert_equal 2 [r TQ.COUNT p]
    }

    test "every dtype goes in and out as it was" {
        dict for {dtype size} {bool 1 u8 1 i8 1 u16 2 i16 2 u32 4 i32 4 u64 8 i64 8 f8e4m3 1
                               f8e5m2 1 f16 2 bf16 2 f32 4 f64 8} {
            set payload [string repeat \1 [expr {6 * $size}]]
            r TQ.MPUT p KEYS 3 a b c COLUMNS 1 f$dtype $dtype\[2\] "" $payload
            assert_equal [list $dtype\[2\] "" $payload] \
                [column [mget_columns p {a b c} f$dtype] f$dtype]
        }
    }

    test "several ragged dimensions keep each sample's shape" {
        set shape [pack u32 1 2 3 1 0 5]
        set payload [items 5 4]
        r TQ.MPUT p KEYS 3 a b c COLUMNS 1 f {f32[*,*]} $shape $payload
        assert_equal [list {f32[*,*]} $shape $payload] [column [mget_columns p {a b c} f] f]
        assert_equal [list {f32[*,*]} [pack u32 0 5 1 2] [string range $payload 0 7]] \
            [column [mget_columns p {c a} f] f]
        assert_equal [list {f32[3,1]} "" [string range $payload 8 19]] \
            [column [mget_columns p b f] f]
    }

    test "a column is read out in the narrowest type that fits the selection" {
        r TQ.MPUT p KEYS 4 a b c d COLUMNS 1 f {u8[*,2]} [pack u32 2 2 1 2] 01234567890123
        assert_equal {u8[2,2]} [lindex [column [mget_columns p {a b d} f] f] 0]
        assert_equal {u8[*,2]} [lindex [column [mget_columns p {a c} f] f] 0]
        assert_equal {u8[*,2]} [type_of p f]
    }

    test "a dense field that meets another size becomes ragged, with all that it had" {
        r TQ.MPUT p KEYS 2 a b COLUMNS 1 f {u8[2,3]} "" [items 12 1]
        r TQ.MPUT p KEYS 1 c COLUMNS 1 f {u8[4,3]} "" [items 12 1 2]
        assert_equal {u8[*,3]} [type_of p f]
        r TQ.MPUT p KEYS 1 d COLUMNS 1 f {u8[1,1]} "" x
        assert_equal {u8[*,*]} [type_of p f]
        assert_equal [list {u8[*,*]} [pack u32 2 3 2 3 4 3 1 1] \
                          "[items 12 1][items 12 1 2]x"] [column [mget_columns p {a b c d} f] f]
    }

    test "a ragged batch whose shapes agree leaves a dense field dense" {
        r TQ.MPUT p KEYS 1 a COLUMNS 1 f {u8[2]} "" ab
        r TQ.MPUT p KEYS 2 b c COLUMNS 1 f {u8[*]} [pack u32 2 2] cdef
        assert_equal {u8[2]} [type_of p f]
    }

    test "large payloads are read back byte for byte, in any order and after overwrites" {
        set n 64
        set size 4096
        set keys [names s 1 $n]
        set payload [items $n $size]
        r TQ.MPUT p KEYS $n {*}$keys COLUMNS 2 f f32\[1024\] "" $payload g u8 "" [items $n 1]
        assert_equal $payload [lindex [column [mget_columns p $keys f] f] 2]
        set backwards [lreverse $keys]
        set expected ""
        for {set i [expr {$n - 1}]} {$i >= 0} {incr i -1} {
            append expected [string range $payload [expr {$i * $size}] [expr {$i * $size + $size - 1}]]
        }
        assert_equal $expected [lindex [column [mget_columns p $backwards f] f] 2]
        set other [items 1 $size 9]
        r TQ.MPUT p KEYS 1 s5 COLUMNS 1 f f32\[1024\] "" $other
        assert_equal [string replace $payload [expr {4 * $size}] [expr {5 * $size - 1}] $other] \
            [lindex [column [mget_columns p $keys f] f] 2]
    }

    test "what is sent is the value at the time of the command" {
        set payload [items 1 1000000]
        r TQ.MPUT p KEYS 1 k COLUMNS 1 f bytes [pack u32 1000000] $payload
        set c [client]
        resp::send $c TQ.MGET p KEYS 1 k FIELDS 1 f AS COLUMNS
        resp::send $c TQ.PUT p k FIELDS 1 f other
        resp::send $c TQ.CLEAR p
        resp::send $c TQ.MPUT p KEYS 1 k COLUMNS 1 f bytes [pack u32 1000000] [items 1 1000000 7]
        assert_equal $payload [lindex [column [resp::receive $c] f] 2]
        assert_equal {0 1 1} [list [resp::receive $c] [resp::receive $c] [resp::receive $c]]
    }

    test "MISSING ERROR is the default and names the first culprit" {
        r TQ.MPUT p KEYS 2 a b COLUMNS 1 f u8 "" 12
        r TQ.PUT p c TAGS 1 t x
        assert_error "NOKEY *nosuch*" {mget_columns p {a nosuch} f}
        assert_error "NOTREADY *c*f*" {mget_columns p {a c} f}
        assert_error "NOTREADY *g*" {mget_columns p {a b} g}
        assert_error "NOKEY *" {mget_columns nosuch a f}
        assert_error "ERR *NULL*" {mget_columns p a f MISSING NULL}
    }

    test "MISSING SKIP leaves incomplete samples out" {
        r TQ.MPUT p KEYS 2 a b COLUMNS 1 f u8 "" 12
        r TQ.PUT p c TAGS 1 t x
        set reply [mget_columns p {c a nosuch b} f MISSING SKIP]
        assert_equal [list bytes [pack u32 1 1] ab] [column $reply @key]
        assert_equal {u8 {} 12} [column $reply f]
    }

    test "without FIELDS there are the fields that all of the samples have" {
        r TQ.MPUT p KEYS 2 a b COLUMNS 2 f u8 "" 12 g u8 "" 34
        r TQ.PUT p c FIELDS 1 f:u8 5
        assert_equal {@key f g} \
            [lmap column [r TQ.MGET p KEYS 2 a b AS COLUMNS] {lindex $column 0}]
        assert_equal {@key f} [lmap column [r TQ.MGET p KEYS 3 a b c AS COLUMNS] {lindex $column 0}]
    }

    test "TQ.SAMPLE AS COLUMNS takes what it shows" {
        r TQ.MPUT p KEYS 3 a b c COLUMNS 1 f u8 "" 123
        assert_equal [list [list @key bytes [pack u32 1 1] ab] {f u8 {} 12}] \
            [r TQ.SAMPLE p t COUNT 2 FIELDS 1 f AS COLUMNS]
        assert_equal (nil) [r TQ.SAMPLE p t COUNT 2 FIELDS 1 f AS COLUMNS]
        r TQ.SEAL p
        assert_equal c [lindex [r TQ.SAMPLE p t COUNT 2 FIELDS 1 f AS COLUMNS] 0 3]
        assert_equal {array {}} [typed TQ.SAMPLE p t COUNT 2 FIELDS 1 f AS COLUMNS]
    }

    test "a key twice, in any place, is refused" {
        fill p 1 2
        assert_refused "ERR *a*twice*" {
            r TQ.MPUT p KEYS 3 a b a COLUMNS 1 f bytes [pack u32 1 1 1] xyz
        }
        assert_refused "ERR *k1*twice*" {
            r TQ.MPUT p KEYS 2 k1 k1 COLUMNS 1 f bytes [pack u32 1 1] xy
        }
    }

    test "a column that does not fit its form is refused whole" {
        fill p 1 2
        foreach {type shape payload} [list \
            f32 "" 1234567 \
            f32 "" 123456789 \
            f32 x 12345678 \
            {f32[*]} "" "" \
            {f32[*]} [pack u32 1] 1234 \
            {f32[*]} [pack u32 1 1 1] 123412341234 \
            {f32[*]} [pack u32 1 1] 1234123 \
            {f32[*]} [pack u32 4294967295 1] 12341234 \
            {f32[*]} [pack u32 4294967294 2] 12341234 \
            {f32[*,*]} [pack u32 65536 65536 1 1] 1234 \
            str [pack u32 1] x \
            str [pack u32 1 1] xyz \
            str [pack u32 4294967295 1] x \
            str [pack u32 1 1] [utf8 \u00e9] \
            str [pack u32 1 1] \xff\xff \
            bool "" \1\2 \
            bytes [pack u32 2 2] xyz] {
            assert_refused "SCHEMA *g*" {
                r TQ.MPUT p KEYS 2 k1 new COLUMNS 2 ok u8 "" ab g $type $shape $payload
            }
        }
    }

    test "a column of another type is refused and names field, types and sample" {
        fill p 1 2
        r TQ.MPUT p KEYS 1 k1 COLUMNS 1 x f32 "" abcd
        set message [assert_refused "SCHEMA *x*" {
            r TQ.MPUT p KEYS 2 k1 new COLUMNS 1 x {i64[2]} "" [items 4 8]
        }]
        assert_match "*f32*" $message
        assert_match {*i64\[2\]*} $message
    }

    test "bounds and groups are checked for the whole batch" {
        fill p 1 2
        r TQ.EXPECT p 4
        assert_refused "FULL *" {
            r TQ.MPUT p KEYS 3 a b c COLUMNS 1 f bytes [pack u32 1 1 1] xyz
        }
        assert_refused "ERR *g*" {
            r TQ.MPUT p KEYS 2 a b GROUPS 1 g g COLUMNS 1 f bytes [pack u32 1 1] xy
        }
        assert_equal 2 [r TQ.MPUT p KEYS 2 a b GROUPS 2 g g COLUMNS 1 f bytes [pack u32 1 1] xy]
        assert_refused "ERR *g*" {r TQ.MPUT p KEYS 1 k1 GROUPS 2 g TAGS 1 t x}
    }

    test "KEYS alone makes the samples that are missing" {
        fill p 1 2
        assert_equal 1 [r TQ.MPUT p KEYS 2 k1 new]
        assert_equal {k1 k2 new} [lmap entry [list_all p] {lindex $entry 0}]
        assert_equal 0 [r TQ.MPUT p KEYS 2 k1 new]
    }

    test "NX writes only samples that are new, XX only those that are there" {
        r TQ.MPUT p KEYS 2 a b TAGS 1 v 1 1 COLUMNS 2 s str [binary format i2 {1 2}] xyy n i64\[*\] \
            [binary format i2 {1 2}] [binary format w3 {1 2 3}]
        assert_equal {1 1} [r TQ.MPUT p KEYS 3 a c b NX TAGS 1 v 2 3 4 COLUMNS 3 \
            s str [binary format i3 {1 2 3}] pqqrrr n i64\[*\] [binary format i3 {1 0 2}] [binary format w3 {7 8 9}] \
            d u8 "" 123]
        assert_equal {x 1} [list [cell p a s] [dict get [tags p a] v]]
        assert_equal [list qq "" 2 3] [list [cell p c s] [cell p c n] [cell p c d] [dict get [tags p c] v]]
        assert_equal {0 2} [r TQ.MPUT p KEYS 3 new b c XX COLUMNS 2 s str [binary format i3 {1 2 3}] pqqrrr \
            n i64\[*\] [binary format i3 {1 0 2}] [binary format w3 {7 8 9}]]
        assert_equal [list qq rrr [binary format w2 {8 9}]] [list [cell p b s] [cell p c s] [cell p c n]]
        assert_equal 3 [r TQ.COUNT p]
        assert_equal {0 0} [r TQ.MPUT p KEYS 2 x y XX COLUMNS 1 s str [binary format i2 {1 1}] ab]
        assert_equal {0 0} [r TQ.MPUT p KEYS 2 a b NX COLUMNS 1 s str [binary format i2 {1 1}] ab]
        assert_equal {2 2} [r TQ.MPUT q KEYS 2 a b NX TAGS 1 v 1 2]
        assert_refused "ERR*NX and XX*" {r TQ.MPUT p KEYS 1 a NX XX TAGS 1 v 1}
        assert_refused "SCHEMA *" {r TQ.MPUT p KEYS 2 a z NX COLUMNS 1 s f32 "" 12345678}
        assert_refused "ERR *twice*" {r TQ.MPUT p KEYS 2 z z NX TAGS 1 v 1 2}
        set large [string repeat x 50000]
        assert_equal {1 1} [r TQ.MPUT p KEYS 2 a big NX COLUMNS 1 s str [binary format i2 {50000 50000}] $large$large]
        assert_equal $large [cell p big s]
    }

    test "counts, names and clauses that make no sense are errors" {
        fill p 1 2
        foreach arguments {
            {}
            {KEYS}
            {KEYS 0}
            {KEYS 1}
            {KEYS -1 a COLUMNS 1 x u8 {} x}
            {KEYS 18446744073709551616 a COLUMNS 1 x u8 {} x}
            {KEYS 2 a COLUMNS 1 x u8 {} x}
            {COLUMNS 1 x u8 {} x KEYS 1 a}
            {KEYS 1 {} COLUMNS 1 x u8 {} x}
            {KEYS 1 a COLUMNS 0}
            {KEYS 1 a COLUMNS 2 x u8 {} x}
            {KEYS 1 a COLUMNS 4294967295 x u8 {} x}
            {KEYS 1 a COLUMNS 1 x u9 {} x}
            {KEYS 1 a COLUMNS 1 @f u8 {} x}
            {KEYS 1 a COLUMNS 2 x u8 {} x x u8 {} y}
            {KEYS 1 a COLUMNS 1 x u8 {} x COLUMNS 1 y u8 {} x}
            {KEYS 1 a TAGS 1 t}
            {KEYS 2 a b TAGS 1 t x}
            {KEYS 1 a GROUPS 0 g}
            {KEYS 1 a GROUPS 4}
            {KEYS 1 a GROUPS -4 g}
            {KEYS 1 a COLUMNS 1 x u8 {} x BOGUS}
        } {
            assert_refused "ERR *" {r TQ.MPUT p {*}$arguments}
        }
        assert_error "ERR *" {r TQ.MGET p KEYS 1 k1 AS BOGUS}
    }

    test "a client that dies in the middle of a column leaves nothing behind" {
        fill p 1 2
        set before [snapshot_of p]
        set allocated [info_field chunk_bytes]
        set c [client]
        resp::write_bytes $c "*8\r\n\$7\r\nTQ.MPUT\r\n\$1\r\np\r\n\$4\r\nKEYS\r\n\$1\r\n1\r\n\$1\r\na\r\n"
        resp::write_bytes $c "\$7\r\nCOLUMNS\r\n\$1\r\n1\r\n\$1\r\nf\r\n"
        resp::close $c
        set c [client]
        resp::write_bytes $c "*11\r\n\$7\r\nTQ.MPUT\r\n\$1\r\np\r\n\$4\r\nKEYS\r\n\$1\r\n1\r\n\$1\r\na\r\n"
        resp::write_bytes $c "\$7\r\nCOLUMNS\r\n\$1\r\n1\r\n\$1\r\nf\r\n\$5\r\nbytes\r\n"
        resp::write_bytes $c "\$4\r\n[pack u32 300000000]\r\n\$300000000\r\n[items 1 1000000]"
        wait_until {[info_field chunk_bytes] > $allocated + 299000000}
        resp::close $c
        wait_until {[info_field chunk_bytes] == $allocated}
        assert_equal $before [snapshot_of p]
    }
}
