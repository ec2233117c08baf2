# TEXT: values written and read by people.

# Writes a literal into a new field of that type and reads it back as bytes.
proc bytes_of {type literal} {
    r TQ.CLEAR scratch
    r TQ.PUT scratch k TEXT 1 f:$type $literal
    return [cell scratch k f]
}

# Writes a literal and reads it back as text.
proc echo_text {type literal} {
    bytes_of $type $literal
    return [cell_text scratch k f]
}

start_server {} {
    test "scalars are read from literals" {
        assert_equal [pack f32 0.5] [bytes_of f32 0.5]
        assert_equal [pack f32 -1e10] [bytes_of f32 -1e10]
        assert_equal [pack f64 0.1] [bytes_of f64 0.1]
        assert_equal [pack f64 -1.7976931348623157e308] [bytes_of f64 -1.7976931348623157e308]
        assert_equal [pack f32 3] [bytes_of f32 3]
        assert_equal [pack i64 -7] [bytes_of i64 -7]
        assert_equal \1 [bytes_of bool true]
        assert_equal \0 [bytes_of bool false]
        assert_equal text [bytes_of str text]
        assert_equal text [bytes_of bytes text]
    }

    test "short floats are rounded to what they can hold" {
        assert_equal \x00\x3c [bytes_of f16 1]
        assert_equal \x00\x38 [bytes_of f16 0.5]
        assert_equal \x00\xc0 [bytes_of f16 -2]
        assert_equal \xff\x7b [bytes_of f16 65504]
        assert_equal \x80\x3f [bytes_of bf16 1]
        assert_equal \x00\xc0 [bytes_of bf16 -2]
        assert_equal \x38 [bytes_of f8e4m3 1]
        assert_equal \x3c [bytes_of f8e5m2 1]
        assert_equal \xb8 [bytes_of f8e4m3 -1]
    }

    test "integers reach the ends of their range and no further" {
        foreach {type low high below above} {
            u8 0 255 -1 256
            i8 -128 127 -129 128
            u16 0 65535 -1 65536
            i16 -32768 32767 -32769 32768
            u32 0 4294967295 -1 4294967296
            i32 -2147483648 2147483647 -2147483649 2147483648
            u64 0 18446744073709551615 -1 18446744073709551616
            i64 -9223372036854775808 9223372036854775807 -9223372036854775809 9223372036854775808
        } {
            assert_equal [pack $type $low] [bytes_of $type $low] $type
            assert_equal [pack $type $high] [bytes_of $type $high] $type
            assert_equal $low [echo_text $type $low]
            assert_equal $high [echo_text $type $high]
            foreach literal [list $below $above 99999999999999999999999999] {
                r TQ.PUT p k TAGS 1 t x
                assert_refused "* *f*" {r TQ.PUT p k TEXT 1 f:$type $literal}
                assert_refused "* *f*" {r TQ.PUT p k TEXT 1 f:$type\[2\] "\[0,$literal\]"}
            }
        }
    }

    test "vectors and matrices are read from brackets" {
        assert_equal [pack i64 1 2 3] [bytes_of {i64[3]} {[1,2,3]}]
        assert_equal [pack i64 1 2 3] [bytes_of {i64[*]} {[1,2,3]}]
        assert_equal [pack f32 1 2 3 4 5 6] [bytes_of {f32[2,3]} {[[1,2,3],[4,5,6]]}]
        assert_equal [pack f32 1 2 3 4] [bytes_of {f32[*,2]} {[[1,2],[3,4]]}]
        assert_equal [pack f32 1 2] [bytes_of {f32[2]} { [ 1 , 2 ] }]
        assert_equal "" [bytes_of {f32[*]} {[]}]
        assert_equal \1\0 [bytes_of {bool[2]} {[true,false]}]
    }

    test "values are shown as they were typed" {
        foreach {type literal} {
            f32 0.5  f32 -2.25  f64 0.1  i64 -7  u8 255  bool true  bool false  str hello
            i64[3] [1,2,3]  f32[2,2] [[1.5,2.5],[3.5,4.5]]  i64[*] [7]  bool[2] [true,false]
            bf16 0.5  f16 0.5  f8e4m3 0.5  f8e5m2 0.5
        } {
            assert_equal $literal [echo_text $type $literal] $type
        }
    }

    test "what a float shows as is the same float when typed in again" {
        foreach {type values} {
            f32 {0.1 3.1415927 1e-45 3.4028235e38 16777217 1e20 -0.3333333}
            f64 {0.1 3.141592653589793 5e-324 1.7976931348623157e308 1e22 0.30000000000000004}
            f16 {0.1 65504 6e-8 0.333}
            bf16 {0.1 3e38 1e-38 0.333}
        } {
            foreach value $values {
                set bytes [bytes_of $type $value]
                assert_equal $bytes [bytes_of $type [cell_text scratch k f]] "$type $value"
            }
        }
    }

    test "infinities and NaN are shown as something that can be typed in again" {
        foreach {type bits} {f32 \x00\x00\x80\x7f f32 \x00\x00\x80\xff f16 \x00\x7c bf16 \x80\xff} {
            r TQ.CLEAR scratch
            r TQ.PUT scratch k FIELDS 1 f:$type $bits
            assert_equal $bits [bytes_of $type [cell_text scratch k f]] $type
        }
        r TQ.PUT p k FIELDS 1 f:f32 \x00\x00\xc0\x7f
        assert_match *nan* [string tolower [cell_text p k f]]
    }

    test "a new field without a type is str" {
        r TQ.PUT p k TEXT 1 note "hello there"
        assert_equal str [type_of p note]
        assert_equal "hello there" [cell p k note]
        r TQ.PUT p k TEXT 1 number 0.5
        assert_equal {str 0.5} [list [type_of p number] [cell p k number]]
    }

    test "a field that is there says what a literal means" {
        r TQ.PUT p k FIELDS 3 x:f32 [pack f32 1] v:i64\[2\] [pack i64 1 2] w:i64\[*\] [pack i64 1]
        r TQ.PUT p k TEXT 3 x 0.25 v {[3,4]} w {[5,6,7]}
        assert_equal [list [list [pack f32 0.25] [pack i64 3 4] [pack i64 5 6 7]]] \
            [r TQ.MGET p KEYS 1 k FIELDS 3 x v w]
        assert_equal {{0.25 {[3,4]} {[5,6,7]}}} [r TQ.MGET p KEYS 1 k FIELDS 3 x v w AS TEXT]
    }

    test "a literal carries its own shape, and may make a field ragged" {
        r TQ.PUT p k1 TEXT 1 v:i64\[3\] {[1,2,3]}
        assert_equal 1 [r TQ.PUT p k2 TEXT 1 v {[4,5]}]
        assert_equal {i64[*]} [type_of p v]
        assert_equal {4 5} [unpack i64 [cell p k2 v]]
        assert_refused "SCHEMA *v*" {r TQ.PUT p k3 TEXT 1 v {[[1,2]]}}
    }

    test "TEXT and FIELDS go together" {
        assert_equal 1 [r TQ.PUT p k TEXT 1 x:f32 0.5 FIELDS 1 y:f32 [pack f32 1.5]]
        assert_equal {{0.5 1.5}} [r TQ.MGET p KEYS 1 k FIELDS 2 x y AS TEXT]
    }

    test "a literal that is none is refused and names the field" {
        r TQ.PUT p k TAGS 1 t x
        foreach {type literals} {
            f32       {abc {} 1.2.3 1e {1 2} 0.5x [1] true "1\0" --1}
            i64       {abc {} 1.5 1e3x {1 2} [1] 0x 1- true "7\0"}
            bool      {maybe {} 2 [true] truefalse}
            f32[2]    {{[1]} {[1,2,3]} {[1,2} {1,2]} {[1,,2]} {[1,2,]} {[,1,2]} {[[1,2]]} {[1,2]]}
                       {[1,2]x} 1 {} {[a,b]} {[1 2]}}
            i64[*]    {{[1,2} {[[1],[2]]} 5 {[1,x]} {[,]} {[1}}
            f32[2,2]  {{[[1,2],[3]]} {[1,2,3,4]} {[[1,2][3,4]]} {[[1,2],[3,4,5]]} {[[1,2],[3,4]} {[[1,2]]}}
            f32[*,2]  {{[[1,2],[3]]} {[1,2]}}
        } {
            foreach literal $literals {
                assert_refused "* *f*" {r TQ.PUT p k TEXT 1 f:$type $literal}
            }
        }
        assert_refused "SCHEMA *f*" {r TQ.PUT p k TEXT 1 f:str \xff}
        assert_refused "SCHEMA *f*" {r TQ.PUT p k TEXT 1 f \xff}
    }

    test "brackets without end are an error, not a crash" {
        set open [string repeat {[} 100000]
        foreach literal [list $open $open[string repeat {]} 100000] \
                          "\[[string repeat 1, 100000]" [string repeat 9 100000]] {
            assert_error "* *" {r TQ.PUT p k TEXT 1 f:f32\[2,2\] $literal}
            assert_error "* *" {r TQ.PUT p k TEXT 1 f:i64\[*\] $literal}
        }
        assert_error "* *" {r TQ.PUT p k TEXT 1 f:i64 [string repeat 9 100000]}
        assert_equal 0 [r EXISTS p]
    }

    test "long values are cut when shown" {
        r TQ.PUT p k FIELDS 3 v:f32\[*\] [string repeat [pack f32 0.5] 100000] \
            s:str [string repeat x 1000000] b [random_bytes 1000000]
        foreach text [lindex [r TQ.MGET p KEYS 1 k FIELDS 3 v s b AS TEXT] 0] {
            assert {[string length $text] < 100000}
            assert {[string first [utf8 …] $text] >= 0} "no … in [string range $text 0 100]"
        }
        assert_equal 1000000 [string length [cell p k s]]
    }

    test "a long str is cut between characters" {
        foreach offset {0 1 2} {
            r TQ.PUT p k FIELDS 1 s:str "[string repeat a $offset][string repeat [utf8 漢] 100000]"
            set text [cell_text p k s]
            assert_equal $text [utf8 [encoding convertfrom utf-8 $text]]
            assert_match "*[utf8 漢…]*" $text
        }
    }

    test "short values are not cut" {
        r TQ.PUT p k TEXT 2 v:i64\[*\] {[1,2,3,4,5,6,7,8]} s "a sentence of a few words"
        assert_equal {{{[1,2,3,4,5,6,7,8]} {a sentence of a few words}}} \
            [r TQ.MGET p KEYS 1 k FIELDS 2 v s AS TEXT]
    }

    test "TQ.MGET AS TEXT without FIELDS shows what is there" {
        r TQ.PUT p k TEXT 2 x:f32 0.5 s hi
        assert_equal {s hi x 0.5} [lsort -stride 2 [lindex [r TQ.MGET p KEYS 1 k AS TEXT] 0]]
    }

    test "TQ.SAMPLE AS TEXT shows values for people" {
        r TQ.PUT p k TEXT 2 x:f32 0.5 v:i64\[2\] {[1,2]}
        assert_equal {{k 0.5 {[1,2]}}} [r TQ.SAMPLE p t COUNT 1 FIELDS 2 x v AS TEXT]
    }
}
