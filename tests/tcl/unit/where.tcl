# WHERE: conditions on tags, the same in TQ.LIST, TQ.COUNT, TQ.SAMPLE and TQ.CLEAR.

# The keys of p that satisfy conditions, by listing; the other commands must agree.
proc where {args} {
    set n [expr {[llength $args] / 3}]
    set keys [list_all p WHERE $n {*}$args]
    assert_equal [llength $keys] [r TQ.COUNT p WHERE $n {*}$args] "TQ.COUNT where $args"
    return $keys
}

# One sample a value, its key the value itself, in tag t.
proc tagged {args} {
    r TQ.CLEAR p
    foreach value $args {
        r TQ.PUT p "=$value" TAGS 1 t $value
    }
}

# The values of t that satisfy one condition.
proc values_where {op value} {
    set out {}
    foreach key [where t $op $value] {
        lappend out [string range $key 1 end]
    }
    return $out
}

start_server {} {
    test "six operators compare numbers" {
        tagged 1 2 3
        assert_equal 2 [values_where = 2]
        assert_equal {1 3} [values_where != 2]
        assert_equal 1 [values_where < 2]
        assert_equal {1 2} [values_where <= 2]
        assert_equal 3 [values_where > 2]
        assert_equal {2 3} [values_where >= 2]
    }

    test "six operators compare bytes" {
        tagged a b c
        assert_equal b [values_where = b]
        assert_equal {a c} [values_where != b]
        assert_equal a [values_where < b]
        assert_equal {a b} [values_where <= b]
        assert_equal c [values_where > b]
        assert_equal {b c} [values_where >= b]
    }

    test "numbers compare as numbers, not as bytes" {
        tagged 9 10 -1 007 2.5
        assert_equal 10 [values_where > 9]
        assert_equal {-1} [values_where < 0]
        assert_equal {-1 2.5} [values_where < 7]
        assert_equal 007 [values_where = 7]
        assert_equal {9 10} [values_where > 7.0]
    }

    test "equal numbers are equal however they are written" {
        tagged 1 1.0 01 1.00 0.10
        assert_equal {1 1.0 01 1.00} [values_where = 1]
        assert_equal {1 1.0 01 1.00} [values_where = 1.000]
        assert_equal 0.10 [values_where = 0.1]
        assert_equal 0.10 [values_where != 1]
        tagged 0 -0 0.0 -0.0
        assert_equal {0 -0 0.0 -0.0} [values_where = 0]
    }

    test "where one side is no number, both are bytes" {
        tagged 10 9 9a abc "" 1e
        assert_equal {10 9a abc} [values_where > 9]
        assert_equal {10 9a abc 1e} [values_where >= 10]
    }

    test "where the tag is no number it is compared as bytes with the number asked for" {
        tagged a 10
        assert_equal {a 10} [values_where > 1]
        assert_equal 10 [values_where < 9a]
        tagged ""
        assert_equal {{}} [values_where < 0]
        assert_equal {} [values_where = 0]
        assert_equal {{}} [values_where = ""]
    }

    test "words that are no numbers are bytes" {
        tagged 0x10 16 "1 " " 1" 1 infin nano
        assert_equal 16 [values_where = 16]
        assert_equal {0x10} [values_where = 0x10]
        assert_equal 1 [values_where = 1]
        assert_equal [list "1 "] [values_where = "1 "]
        assert_equal nano [values_where = nano]
        assert_equal {infin nano} [values_where > 99]
    }

    test "ids that look like numbers with an exponent are equal only byte by byte" {
        tagged 0e123456 0e654321 0 00 1e10 10000000000
        assert_equal 0e123456 [values_where = 0e123456]
        assert_equal {0 00} [values_where = 0]
        assert_equal 1e10 [values_where = 1e10]
        assert_equal 10000000000 [values_where = 10000000000.0]
        assert_equal {0e123456 0e654321 0 00 10000000000} [values_where != 1e10]
        assert_equal {1e10 10000000000} [values_where >= 1e10]
        assert_equal {0e123456 0e654321 0 00} [values_where < 1e-5]
    }

    test "WHERE orders the numbers that MAX and MIN order" {
        tagged inf -inf 1e999 -1e999 1e308 5
        assert_equal {inf 1e999} [values_where > 1e308]
        assert_equal {inf 1e999} [values_where >= infinity]
        assert_equal {} [values_where > inf]
        assert_equal {-inf -1e999} [values_where < -1e308]
        assert_equal inf [values_where = inf]
        assert_equal 1e999 [values_where = 1e999]
    }

    test "a comparison with nan is false, but for !=" {
        tagged nan 1 inf
        foreach op {= < <= > >=} {
            assert_equal {} [values_where $op nan] $op
        }
        assert_equal {nan 1 inf} [values_where != nan]
        assert_equal {1 inf} [values_where >= -inf]
        assert_equal {1 inf} [values_where <= inf]
        assert_equal {nan inf} [values_where != 1]
    }

    test "integers of 64 bits compare exactly" {
        tagged 9007199254740992 9007199254740993 9007199254740994
        assert_equal 9007199254740993 [values_where = 9007199254740993]
        assert_equal 9007199254740994 [values_where > 9007199254740993]
        assert_equal 9007199254740992 [values_where < 9007199254740993]
        tagged 9223372036854775806 9223372036854775807 -9223372036854775808 -9223372036854775807
        assert_equal 9223372036854775807 [values_where > 9223372036854775806]
        assert_equal -9223372036854775808 [values_where < -9223372036854775807]
        assert_equal {9223372036854775806 9223372036854775807} [values_where > 0]
    }

    test "unsigned integers of 64 bits compare exactly too" {
        tagged 18446744073709551614 18446744073709551615 9223372036854775808 -1
        assert_equal 18446744073709551615 [values_where = 18446744073709551615]
        assert_equal 18446744073709551615 [values_where > 18446744073709551614]
        assert_equal {18446744073709551614 18446744073709551615} [values_where > 9223372036854775808]
        assert_equal -1 [values_where < 0]
    }

    test "numbers beyond 64 bits are still numbers" {
        tagged 100000000000000000000 5 -100000000000000000000
        assert_equal 100000000000000000000 [values_where > 6]
        assert_equal -100000000000000000000 [values_where < 0]
    }

    test "bytes compare as unsigned bytes, shorter before longer" {
        tagged "\x7f" "\x80" "\xff" "\x80\x00" "\x00"
        assert_equal [list "\x80" "\xff" "\x80\x00"] [values_where > "\x7f"]
        assert_equal [list "\xff" "\x80\x00"] [values_where > "\x80"]
        assert_equal [list "\x00"] [values_where < "\x01"]
    }

    test "conditions are ANDed" {
        foreach i [range 1 20] {
            r TQ.PUT p k$i TAGS 2 n $i parity [expr {$i % 2 ? "odd" : "even"}]
        }
        assert_equal {k6 k8} [where n > 4 n < 10 parity = even]
        assert_equal {} [where n > 4 n < 3]
        assert_equal k7 [where n >= 7 n <= 7 parity != even]
    }

    test "a sample without the tag fails, whatever the operator" {
        r TQ.PUT p with TAGS 1 t x
        r TQ.PUT p without TAGS 1 other x
        foreach op {= != < <= > >=} {
            assert_equal {} [where missing $op x] $op
        }
        assert_equal with [where t != y]
    }

    test "a tag that was cleared is a tag that is missing" {
        r TQ.PUT p k TAGS 1 t x
        r TQ.CLEAR p KEYS 1 k TAGS 1 t
        assert_equal {} [where t = x]
    }

    test "an operator that is none is an error" {
        r TQ.PUT p k TAGS 1 t x
        foreach op {== <> ! =< => ~ like "" "= " "!"} {
            assert_error "ERR *" {r TQ.LIST p WHERE 1 t $op x}
            assert_error "ERR *" {r TQ.COUNT p WHERE 1 t $op x}
            assert_error "ERR *" {r TQ.CLEAR p WHERE 1 t $op x}
            assert_error "ERR *" {r TQ.SAMPLE p task COUNT 1 FIELDS 1 f WHERE 1 t $op x}
        }
        assert_equal 1 [r TQ.COUNT p]
    }

    test "a tag name that is none is an error" {
        assert_error "ERR *" {r TQ.LIST p WHERE 1 "a b" = x}
        assert_error "ERR *" {r TQ.COUNT p WHERE 1 "" = x}
    }

    test "many conditions" {
        r TQ.PUT p k TAGS 1 n 5
        set conditions {}
        foreach i [range 1 1000] {
            lappend conditions n < [expr {5 + $i}]
        }
        assert_equal k [where {*}$conditions]
        assert_equal {} [where {*}$conditions n > 5]
    }

    test "TQ.SAMPLE takes only what its conditions admit" {
        foreach i [range 1 10] {
            r TQ.PUT p k$i TAGS 1 n $i FIELDS 1 f v
        }
        assert_equal {k6 k7} [take p task 2 WHERE 1 n > 5]
        assert_equal {k8 k9 k10} [take p task 3 WHERE 2 n > 5 n < 100]
        assert_equal (nil) [take p task 1 WHERE 1 n > 5]
        assert_equal {k1 k2} [take p task 2]
    }

    test "TQ.CLEAR drops only what its conditions admit" {
        foreach i [range 1 10] {
            r TQ.PUT p k$i TAGS 1 version $i FIELDS 1 f v
        }
        assert_equal 6 [r TQ.CLEAR p WHERE 1 version < 7]
        assert_equal {k7 k8 k9 k10} [list_all p]
    }
}
