# Typed values: what fits into a field, what makes it ragged, and what is refused.

# Any mismatch names the field, and the partition p is left as it was.
proc assert_mismatch {field script} {
    return [uplevel 1 [list assert_refused "SCHEMA *$field*" $script]]
}

set ::item_sizes {
    bool 1 u8 1 i8 1 u16 2 i16 2 u32 4 i32 4 u64 8 i64 8 f8e4m3 1 f8e5m2 1 f16 2 bf16 2 f32 4 f64 8
}

start_server {} {
    test "every dtype takes items of its size and nothing else" {
        dict for {dtype size} $::item_sizes {
            set item [string repeat \1 $size]
            assert_equal 1 [r TQ.PUT p k$dtype FIELDS 1 f$dtype:$dtype $item] $dtype
            assert_equal $item [cell p k$dtype f$dtype] $dtype
            assert_equal $dtype [type_of p f$dtype]
            assert_mismatch f$dtype {r TQ.PUT p k FIELDS 1 f$dtype ${item}x}
            assert_mismatch f$dtype {r TQ.PUT p k FIELDS 1 f$dtype [string range $item 1 end]}
            assert_mismatch f$dtype {r TQ.PUT p k FIELDS 1 f$dtype:$dtype ${item}$item}
        }
    }

    test "every dtype comes in vectors, matrices and ragged" {
        dict for {dtype size} $::item_sizes {
            foreach {field shape items} {v [3] 3 m [2,3] 6 r [*] 5 s [*,2] 4 t [1,1,1,1] 1} {
                set value [string repeat \1 [expr {$size * $items}]]
                r TQ.PUT p k FIELDS 1 $field$dtype:$dtype$shape $value
                assert_equal $value [cell p k $field$dtype] "$dtype$shape"
                assert_equal $dtype$shape [type_of p $field$dtype]
                if {$size > 1 || $shape ne {[*]}} {
                    assert_mismatch $field$dtype {r TQ.PUT p k FIELDS 1 $field$dtype ${value}\1}
                }
            }
        }
    }

    test "a value written without a type is bytes, of any length" {
        r TQ.PUT p k1 FIELDS 1 f abc
        r TQ.PUT p k2 FIELDS 1 f [random_bytes 1000]
        r TQ.PUT p k3 FIELDS 1 f:bytes ""
        assert_equal bytes [type_of p f]
        assert_equal {abc {}} [list [cell p k1 f] [cell p k3 f]]
    }

    test "a type is said once, later values need none" {
        r TQ.PUT p k1 FIELDS 2 x:f32 [pack f32 0.5] v:i64\[3\] [pack i64 1 2 3]
        r TQ.PUT p k2 FIELDS 2 x [pack f32 1.5] v [pack i64 4 5 6]
        assert_equal 1.5 [unpack f32 [cell p k2 x]]
        assert_equal {4 5 6} [unpack i64 [cell p k2 v]]
        assert_mismatch x {r TQ.PUT p k3 FIELDS 1 x 12345}
        assert_mismatch v {r TQ.PUT p k3 FIELDS 1 v [pack i64 1 2]}
    }

    test "a mismatch says which field, which type, which sample" {
        r TQ.PUT p s1 FIELDS 1 reward:f32 [pack f32 1]
        set message [assert_mismatch reward {r TQ.PUT p s7 FIELDS 1 reward:i64\[2\] [pack i64 1 2]}]
        assert_match "*f32*" $message
        assert_match {*i64\[2\]*} $message
        assert_match "*s7*" $message
    }

    test "a field has one dtype for good" {
        r TQ.PUT p k FIELDS 1 f:f32 [pack f32 1]
        dict for {dtype size} $::item_sizes {
            if {$dtype ne "f32"} {
                assert_mismatch f {r TQ.PUT p k2 FIELDS 1 f:$dtype [string repeat \0 $size]}
            }
        }
        assert_mismatch f {r TQ.PUT p k2 FIELDS 1 f:str abcd}
        assert_mismatch f {r TQ.PUT p k2 FIELDS 1 f:bytes abcd}
    }

    test "str and bytes are not each other, nor numbers" {
        r TQ.PUT p k FIELDS 2 s:str abc b:bytes abc
        assert_mismatch s {r TQ.PUT p k FIELDS 1 s:bytes abc}
        assert_mismatch b {r TQ.PUT p k FIELDS 1 b:str abc}
        assert_mismatch s {r TQ.PUT p k FIELDS 1 s:u8\[3\] abc}
        assert_mismatch b {r TQ.PUT p k FIELDS 1 b:u8\[3\] abc}
    }

    test "the number of dimensions is kept" {
        r TQ.PUT p k FIELDS 3 a:f32 [pack f32 1] b:f32\[2\] [pack f32 1 2] c:f32\[2,1\] [pack f32 1 2]
        assert_mismatch a {r TQ.PUT p k FIELDS 1 a:f32\[1\] [pack f32 1]}
        assert_mismatch b {r TQ.PUT p k FIELDS 1 b:f32 [pack f32 1]}
        assert_mismatch b {r TQ.PUT p k FIELDS 1 b:f32\[2,1\] [pack f32 1 2]}
        assert_mismatch c {r TQ.PUT p k FIELDS 1 c:f32\[2\] [pack f32 1 2]}
        assert_mismatch a {r TQ.PUT p k FIELDS 1 a:f32\[*\] [pack f32 1]}
    }

    test "a dense field that meets another size becomes ragged in that dimension, for good" {
        r TQ.PUT p k1 FIELDS 1 f:f32\[4\] [pack f32 1 2 3 4]
        assert_equal {f32[4]} [type_of p f]
        assert_equal 1 [r TQ.PUT p k2 FIELDS 1 f:f32\[2\] [pack f32 5 6]]
        assert_equal {f32[*]} [type_of p f]
        assert_equal {1.0 2.0 3.0 4.0} [unpack f32 [cell p k1 f]]
        assert_equal {5.0 6.0} [unpack f32 [cell p k2 f]]
        r TQ.PUT p k3 FIELDS 1 f [pack f32 7 8 9]
        assert_equal {7.0 8.0 9.0} [unpack f32 [cell p k3 f]]
        r TQ.CLEAR p KEYS 2 k2 k3
        assert_equal {f32[*]} [type_of p f]
    }

    test "a dense field without a type given wants its exact size" {
        r TQ.PUT p k1 FIELDS 1 f:f32\[4\] [pack f32 1 2 3 4]
        assert_mismatch f {r TQ.PUT p k2 FIELDS 1 f [pack f32 5 6]}
    }

    test "a matrix becomes ragged in the dimension that differs, only in that" {
        r TQ.PUT p k1 FIELDS 2 a:i32\[2,3\] [pack i32 1 2 3 4 5 6] b:i32\[2,3\] [pack i32 1 2 3 4 5 6]
        r TQ.PUT p k2 FIELDS 2 a:i32\[4,3\] [pack i32 {*}[range 1 12]] b:i32\[2,1\] [pack i32 1 2]
        assert_equal {i32[*,3]} [type_of p a]
        assert_equal {i32[2,*]} [type_of p b]
        r TQ.PUT p k3 FIELDS 2 a [pack i32 1 2 3] b [pack i32 1 2 3 4 5 6 7 8]
        assert_equal {1 2 3} [unpack i32 [cell p k3 a]]
        assert_mismatch a {r TQ.PUT p k4 FIELDS 1 a [pack i32 1 2 3 4]}
        assert_mismatch b {r TQ.PUT p k4 FIELDS 1 b [pack i32 1 2 3]}
    }

    test "a matrix that differs in both dimensions is ragged in both, and needs its shape" {
        r TQ.PUT p k1 FIELDS 1 a:i32\[2,3\] [pack i32 1 2 3 4 5 6]
        r TQ.PUT p k2 FIELDS 1 a:i32\[1,2\] [pack i32 7 8]
        assert_equal {i32[*,*]} [type_of p a]
        assert_refused "* *a*" {r TQ.PUT p k3 FIELDS 1 a [pack i32 1 2]}
        assert_equal 1 [r TQ.PUT p k3 FIELDS 1 a:i32\[*,2\] [pack i32 1 2 3 4]]
        assert_equal {1 2 3 4} [unpack i32 [cell p k3 a]]
        assert_equal {{[[1,2],[3,4]]}} [lindex [r TQ.MGET p KEYS 1 k3 FIELDS 1 a AS TEXT] 0]
    }

    test "an item with its own shape goes into a ragged field" {
        r TQ.PUT p k1 FIELDS 1 f:f32\[*,2\] [pack f32 1 2 3 4]
        assert_equal {f32[*,2]} [type_of p f]
        assert_equal 1 [r TQ.PUT p k2 FIELDS 1 f:f32\[3,2\] [pack f32 1 2 3 4 5 6]]
        assert_equal 1 [r TQ.PUT p k3 FIELDS 1 f [pack f32 1 2]]
        assert_equal {f32[*,2]} [type_of p f]
        assert_mismatch f {r TQ.PUT p k4 FIELDS 1 f:f32\[3,2\] [pack f32 1 2]}
        assert_mismatch f {r TQ.PUT p k4 FIELDS 1 f [pack f32 1 2 3]}
        assert_mismatch f {r TQ.PUT p k4 FIELDS 1 f:f64\[*,2\] [pack f64 1 2]}
    }

    test "a dimension may be 0" {
        assert_equal 1 [r TQ.PUT p k1 FIELDS 3 a:f32\[0\] "" b:f32\[*\] "" c:f32\[3,0\] ""]
        assert_equal {{{} {} {}}} [r TQ.MGET p KEYS 1 k1 FIELDS 3 a b c]
        assert_equal 1 [r TQ.COUNT p FIELDS 3 a b c]
        r TQ.PUT p k2 FIELDS 1 a:f32\[2\] [pack f32 1 2]
        assert_equal {f32[*]} [type_of p a]
        assert_mismatch c {r TQ.PUT p k2 FIELDS 1 c [pack f32 1]}
    }

    test "a star beside a dimension of 0 has no length to take from the bytes" {
        catch {r TQ.PUT p k FIELDS 1 f:f32\[*,0\] ""}
        catch {r TQ.PUT p k FIELDS 1 f:f32\[0,*\] ""}
        assert_error "* *f*" {r TQ.PUT q k FIELDS 1 f:f32\[*,0\] abcd}
        assert_equal PONG [r PING]
    }

    test "a type of an item holds one star at most" {
        assert_error "* *f*" {r TQ.PUT p k FIELDS 1 f:f32\[*,*\] [pack f32 1 2 3 4]}
        assert_equal 0 [r EXISTS p]
    }

    test "a type that is none is an error" {
        r TQ.PUT p k TAGS 1 t x
        foreach type {
            f33 F32x float int i128 f32[ f32] f32[[2] f32[2]] f32[2 f32[a] f32[-1] f32[1,] f32[,1] f32[1,,2]
            f32[1.5] "f32[ 2]" "f32 " " f32" f32[2]x str[2] bytes[*] str[] bool8 "f32\0" f32[0x2] f32[+2]
            f32[**] f32[1*] @ : f32:f32
        } {
            assert_refused "* *" {r TQ.PUT p k FIELDS 1 f:$type [pack f32 1 2]}
            assert_refused "* *" {r TQ.PUT p k TEXT 1 f:$type 1}
        }
        assert_refused "* *" {r TQ.PUT p k FIELDS 1 f: v}
    }

    test "a shape whose size overflows is an error" {
        r TQ.PUT p k TAGS 1 t x
        foreach shape {
            4294967295,4294967295 4294967295,4294967295,4294967295 65536,65536 4294967296 99999999999
            18446744073709551615 18446744073709551617 2147483648,2,2,2147483648 65536,65536,65536,65536
            4294967296,4294967296 9223372036854775807,2 2,9223372036854775809 0,99999999999999999999
            99999999999999999999999999999,*
        } {
            assert_refused "* *" {r TQ.PUT p k FIELDS 1 f:f64\[$shape\] ""}
            assert_refused "* *" {r TQ.PUT p k FIELDS 1 f:f64\[$shape\] [pack f64 1]}
        }
    }

    test "a type with a thousand dimensions is an error or works" {
        catch {r TQ.PUT p k FIELDS 1 f:u8\[[join [lrepeat 1000 1] ,]\] x}
        catch {r TQ.PUT p k FIELDS 1 g:u8\[[join [lrepeat 100000 1] ,]\] x}
        catch {r TQ.PUT p k TEXT 1 h:u8\[[join [lrepeat 1000 1] ,]\] 1}
        assert_equal PONG [r PING]
    }

    test "a bool is a byte, 0 or 1" {
        r TQ.PUT p k FIELDS 2 b:bool \1 v:bool\[3\] \0\1\0
        assert_equal "\0\1\0" [cell p k v]
        foreach wrong {\2 \xff 0 1 t} {
            assert_mismatch b {r TQ.PUT p k FIELDS 1 b $wrong}
            assert_mismatch new {r TQ.PUT p k FIELDS 1 new:bool $wrong}
        }
        assert_mismatch v {r TQ.PUT p k FIELDS 1 v \0\1\2}
        set many [string repeat \1 1000]
        assert_mismatch w {r TQ.PUT p k FIELDS 1 w:bool\[*\] $many\x80$many}
    }

    test "a str is UTF-8" {
        foreach good [list "" abc [utf8 "Ω é 漢字"] \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xef\xbf\xbf \xed\x9f\xbf \
                      \xee\x80\x80 \xc2\x80 \x7f "a\0b" [string repeat [utf8 漢] 10000]] {
            r TQ.PUT p k FIELDS 1 s:str $good
            assert_equal $good [cell p k s]
        }
    }

    test "a str that is not UTF-8 is refused" {
        r TQ.PUT p k FIELDS 1 s:str good
        foreach {what bad} {
            "a lone continuation byte" \x80
            "a byte that never occurs" \xff
            "another one" \xc0
            "an overlong slash" \xc0\xaf
            "an overlong NUL" \xc0\x80
            "an overlong three-byte form" \xe0\x9f\xbf
            "an overlong four-byte form" \xf0\x8f\xbf\xbf
            "a surrogate" \xed\xa0\x80
            "the last surrogate" \xed\xbf\xbf
            "beyond the last character" \xf4\x90\x80\x80
            "far beyond" \xf8\x88\x80\x80\x80
            "cut off after one byte" \xc3
            "cut off after two" \xe2\x82
            "cut off after three" \xf0\x9f\x98
            "a letter inside a character" \xe2\x28\xa1
            "a character inside a character" \xf0\x9f\xc3\xa9
        } {
            set long [string repeat x 100]
            foreach around [list $bad abc$bad ${bad}abc $long$bad$long] {
                assert_mismatch s {r TQ.PUT p k FIELDS 1 s $around}
                assert_mismatch new {r TQ.PUT p k FIELDS 1 new:str $around}
            }
        }
    }

    test "numbers of any bits are kept as they are, NaN too" {
        foreach bits {\xff\xff\xff\xff \x01\x00\xa0\x7f \x00\x00\xc0\xff \x00\x00\x80\x7f \x00\x00\x00\x80} {
            r TQ.PUT p k FIELDS 1 f:f32 $bits
            assert_equal $bits [cell p k f]
        }
    }

    test "a refused value in a new field does not make the field" {
        r TQ.PUT p k FIELDS 1 f v
        assert_mismatch g {r TQ.PUT p k FIELDS 2 f w g:f32 12345}
        assert_equal 0 [r TQ.PUT p k FIELDS 1 g:str later]
    }

    test "a refused value does not make a dense field ragged" {
        r TQ.PUT p k FIELDS 1 f:f32\[2\] [pack f32 1 2]
        assert_refused "SCHEMA *g*" {r TQ.PUT p k2 FIELDS 2 f:f32\[3\] [pack f32 1 2 3] g:f32 x}
        assert_equal {f32[2]} [type_of p f]
    }

    test "a field without any cell left keeps its type" {
        r TQ.PUT p k FIELDS 1 f:f32 [pack f32 1]
        r TQ.CLEAR p FIELDS 1 f
        assert_equal f32 [type_of p f]
        assert_mismatch f {r TQ.PUT p k FIELDS 1 f:i64 [pack i64 1]}
    }

    test "a partition that was cleared whole takes other types" {
        r TQ.PUT p k FIELDS 1 f:f32 [pack f32 1]
        r TQ.CLEAR p
        assert_equal 1 [r TQ.PUT p k FIELDS 1 f:str text]
        assert_equal str [type_of p f]
    }

    test "one command may name one field in two types, and then changes nothing or keeps one" {
        catch {r TQ.PUT p k FIELDS 2 f:f32 [pack f32 1] f:i64 [pack i64 1]}
        catch {r TQ.PUT p k FIELDS 1 g:f32 [pack f32 1] TEXT 1 g:str x}
        if {[r EXISTS p]} {
            snapshot_of p
        }
        assert_equal PONG [r PING]
    }
}
