# TQ.PUT: one sample, written whole or not at all. Types are in types.tcl, literals in text.tcl.

start_server {} {
    test "TQ.PUT answers 1 for a new sample and 0 for one that is there" {
        assert_equal {int 1} [typed TQ.PUT p k FIELDS 1 f v]
        assert_equal {int 0} [typed TQ.PUT p k FIELDS 1 f w]
        assert_equal {int 1} [typed TQ.PUT p other FIELDS 1 f v]
        assert_equal {int 1} [typed TQ.PUT q k FIELDS 1 f v]
    }

    test "a written value is read back byte for byte" {
        foreach n {0 1 2 63 64 65 255 256 4095 4096 4097 16384 32767 32768 32769 65536 100003 1048576} {
            set value [random_bytes $n $n]
            r TQ.PUT p k$n FIELDS 1 f $value
            assert_equal $value [cell p k$n f] "$n bytes"
        }
        foreach n {0 1 63 4097 32768 1048576} {
            assert_equal [random_bytes $n $n] [cell p k$n f] "$n bytes, later"
        }
    }

    test "a value of many megabytes is read back byte for byte" {
        set value [random_bytes [sized 8000000 200000000]]
        r TQ.PUT p k FIELDS 1 f $value
        assert_equal $value [cell p k f]
    }

    test "a partial update keeps the other cells" {
        r TQ.PUT p k FIELDS 3 a 1 b 2 c 3
        r TQ.PUT p k FIELDS 1 b two
        assert_equal {{1 two 3}} [r TQ.MGET p KEYS 1 k FIELDS 3 a b c]
    }

    test "a second TQ.PUT adds a field" {
        r TQ.PUT p k FIELDS 1 a 1
        r TQ.PUT p k FIELDS 1 b 2
        assert_equal {{1 2}} [r TQ.MGET p KEYS 1 k FIELDS 2 a b]
        assert_equal {a b} [field_names p]
    }

    test "an overwrite may be shorter, longer or empty" {
        foreach value {aaaa b cccccccccccccccc "" d} {
            r TQ.PUT p k FIELDS 1 f $value
            assert_equal $value [cell p k f]
        }
    }

    test "the same key in two partitions is two samples" {
        r TQ.PUT p k TAGS 1 t p FIELDS 1 f in-p
        r TQ.PUT q k TAGS 1 t q FIELDS 1 f in-q
        assert_equal in-p [cell p k f]
        assert_equal in-q [cell q k f]
        r TQ.PUT p k FIELDS 1 f changed
        r TQ.CLEAR p
        assert_equal in-q [cell q k f]
        assert_equal {t q} [tags q k]
    }

    test "a TQ.PUT of tags alone makes the sample" {
        assert_equal 1 [r TQ.PUT p k TAGS 2 a 1 b 2]
        assert_equal 1 [r TQ.COUNT p]
        assert_equal {a 1 b 2} [tags p k]
        assert_equal {{}} [r TQ.MGET p KEYS 1 k]
    }

    test "tags are merged, a new value replaces the old" {
        r TQ.PUT p k TAGS 2 a 1 b 2
        assert_equal 0 [r TQ.PUT p k TAGS 2 b two c 3]
        assert_equal {a 1 b two c 3} [lsort -stride 2 [tags p k]]
    }

    test "a tag value may be empty, and 4096 bytes, not more" {
        set long [string repeat x 4096]
        r TQ.PUT p k TAGS 2 a "" b $long
        assert_equal [list a "" b $long] [lsort -stride 2 [tags p k]]
        assert_refused "ERR *" {r TQ.PUT p k TAGS 2 a 1 c ${long}x}
    }

    test "tags and fields come in one command, in either order" {
        r TQ.PUT p k TAGS 1 t 1 FIELDS 1 f v
        r TQ.PUT p l FIELDS 1 f v TAGS 1 t 1
        assert_equal {{k {t 1} f} {l {t 1} f}} [list_all p WITH TAGS WITH FIELDS]
    }

    test "all clauses come in any order" {
        set clauses {{GROUP g 4} {NX} {TAGS 1 t v} {FIELDS 1 f v} {TEXT 1 x 1}}
        foreach i [range 0 4] {
            set clauses [list {*}[lrange $clauses 1 end] [lindex $clauses 0]]
            assert_equal 1 [r TQ.PUT p$i k {*}[concat {*}$clauses]]
            assert_equal {{v 1}} [r TQ.MGET p$i KEYS 1 k FIELDS 2 f x]
        }
    }

    test "NX writes only what is new" {
        assert_equal 1 [r TQ.PUT p k NX FIELDS 1 f first]
        assert_match {nil *} [typed TQ.PUT p k NX TAGS 1 t x FIELDS 2 f second g new]
        assert_equal {{k {} f}} [list_all p WITH TAGS WITH FIELDS]
        assert_equal first [cell p k f]
        assert_equal f [field_names p]
    }

    test "XX writes only what is there" {
        assert_match {nil *} [typed TQ.PUT p k XX FIELDS 1 f v]
        assert_equal 0 [r EXISTS p]
        r TQ.PUT p k FIELDS 1 f v
        assert_equal 0 [r TQ.PUT p k XX FIELDS 1 f w]
        assert_equal w [cell p k f]
        assert_match {nil *} [typed TQ.PUT p other XX FIELDS 2 f v g new]
        assert_equal 1 [r TQ.COUNT p]
        assert_equal f [field_names p]
    }

    test "IF writes only when the tag has that value" {
        r TQ.PUT p k TAGS 1 state new FIELDS 1 f v
        assert_match {nil *} [typed TQ.PUT p k IF state old FIELDS 1 f w]
        assert_equal v [cell p k f]
        assert_equal 0 [r TQ.PUT p k IF state new TAGS 1 state old FIELDS 1 f w]
        assert_equal w [cell p k f]
        assert_equal {state old} [tags p k]
        assert_match {nil *} [typed TQ.PUT p k IF state new FIELDS 1 f x]
    }

    test "IF compares bytes, and a missing tag equals nothing" {
        r TQ.PUT p k TAGS 2 n 1 e ""
        assert_equal (nil) [r TQ.PUT p k IF n 1.0 TAGS 1 hit x]
        assert_equal (nil) [r TQ.PUT p k IF n 01 TAGS 1 hit x]
        assert_equal (nil) [r TQ.PUT p k IF missing "" TAGS 1 hit x]
        assert_equal (nil) [r TQ.PUT p nosuch IF n 1 TAGS 1 hit x]
        assert_equal (nil) [r TQ.PUT nosuch k IF n 1 TAGS 1 hit x]
        assert_equal 0 [r EXISTS nosuch]
        assert_equal 1 [r TQ.COUNT p]
        assert_equal 0 [r TQ.PUT p k IF e "" TAGS 1 hit x]
        assert_equal x [dict get [tags p k] hit]
    }

    test "XX and IF go together, NX and XX do not" {
        r TQ.PUT p k TAGS 1 t 1
        assert_equal 0 [r TQ.PUT p k XX IF t 1 TAGS 1 t 2]
        assert_refused "ERR *" {r TQ.PUT p k NX XX TAGS 1 t 3}
    }

    test "of many who claim a sample by IF, one gets it" {
        r TQ.PUT p k TAGS 1 owner none
        set clients {}
        foreach i [range 1 20] {
            set c [client]
            lappend clients $c
            resp::send $c TQ.PUT p k IF owner none TAGS 1 owner $c
        }
        set winners {}
        foreach c $clients {
            if {[resp::receive $c] eq "0"} {
                lappend winners $c
            }
        }
        assert_equal 1 [llength $winners]
        assert_equal [list owner [lindex $winners 0]] [tags p k]
    }

    test "a rewrite does not give a consumed sample back" {
        fill p 1 1
        assert_equal k1 [take p t 1]
        r TQ.PUT p k1 FIELDS 1 f again TAGS 1 t x
        assert_equal (nil) [take p t 1]
    }

    test "GROUP makes the sample and says where it belongs" {
        assert_equal 1 [r TQ.PUT p k1 GROUP g 2]
        assert_equal 1 [r TQ.PUT p k2 GROUP g 2 FIELDS 1 f v]
        assert_equal 1 [dict get [r TQ.STATUS p] groups]
        assert_equal 0 [r TQ.PUT p k2 GROUP g 2 FIELDS 1 f w]
        r TQ.PUT p k3 GROUP h 2
        assert_equal 2 [dict get [r TQ.STATUS p] groups]
    }

    test "a group takes no more members than its size" {
        r TQ.PUT p k1 GROUP g 2
        r TQ.PUT p k2 GROUP g 2
        assert_refused "ERR *g*" {r TQ.PUT p k3 GROUP g 2 FIELDS 1 f v}
        assert_equal 0 [r TQ.PUT p k2 GROUP g 2 TAGS 1 t x]
    }

    test "the groups of a partition share one size" {
        r TQ.PUT p k1 GROUP g 2
        assert_refused "ERR *" {r TQ.PUT p k2 GROUP g 3}
        assert_refused "ERR *" {r TQ.PUT p k2 GROUP h 4}
        assert_equal 1 [r TQ.PUT q k2 GROUP h 4]
    }

    test "a group's size is a number from 1 up" {
        r TQ.PUT p k TAGS 1 t x
        foreach size {0 -1 abc 1.5 "" 99999999999999999999 18446744073709551617} {
            assert_refused "ERR *" {r TQ.PUT p k GROUP g $size}
        }
        assert_equal 1 [r TQ.PUT q k GROUP g 1]
    }

    test "names have lengths: partition 255, key and group 1024 bytes" {
        set k255 [string repeat p 255]
        set k1024 [string repeat k 1024]
        assert_equal 1 [r TQ.PUT $k255 $k1024 GROUP $k1024 2 FIELDS 1 f v]
        assert_equal v [cell $k255 $k1024 f]
        assert_error "ERR *" {r TQ.PUT ${k255}p k FIELDS 1 f v}
        assert_error "ERR *" {r TQ.PUT "" k FIELDS 1 f v}
        assert_error "ERR *" {r TQ.PUT p ${k1024}k FIELDS 1 f v}
        assert_error "ERR *" {r TQ.PUT p "" FIELDS 1 f v}
        assert_error "ERR *" {r TQ.PUT p k GROUP ${k1024}g 2}
        assert_error "ERR *" {r TQ.PUT p k GROUP "" 2}
        assert_equal [list $k255] [r TQ.LIST]
    }

    test "field and tag names are words of letters, digits and some signs" {
        set longest [string repeat n 255]
        foreach name [list a A 0 _ . / - a@b a.b/c-d_e@ $longest] {
            assert_equal 1 [r TQ.PUT p "key of $name" FIELDS 1 $name v TAGS 1 $name t] $name
            assert_equal v [cell p "key of $name" $name]
        }
        r TQ.CLEAR p
        r TQ.PUT p k TAGS 1 t x
        foreach name [list "" @a @key "a b" a* "a\0" "a\n" [utf8 é] a,b {a[b]} "a=b" "a\"" ${longest}n] {
            assert_refused "ERR *" {r TQ.PUT p k FIELDS 1 $name v}
            assert_refused "ERR *" {r TQ.PUT p k TAGS 1 $name v}
            assert_refused "ERR *" {r TQ.PUT p k TEXT 1 $name v}
        }
        assert_refused "ERR *" {r TQ.PUT p k TAGS 1 a:b v}
    }

    test "there is something to write" {
        assert_error "ERR *" {r TQ.PUT p k}
        assert_error "ERR *" {r TQ.PUT p k NX}
        assert_error "ERR *" {r TQ.PUT p k XX}
        assert_error "ERR *" {r TQ.PUT p k IF t v}
        assert_equal 0 [r EXISTS p]
    }

    test "a clause comes once, a word that is none is an error" {
        r TQ.PUT p k TAGS 1 t x
        foreach wrong {
            {FIELDS 1 f v FIELDS 1 g v}
            {TAGS 1 t v TAGS 1 u v}
            {TEXT 1 f v TEXT 1 g v}
            {GROUP g 2 GROUP g 2}
            {IF t x IF t x TAGS 1 u v}
            {NX NX TAGS 1 t v}
            {XX XX TAGS 1 t v}
            {NOSUCH}
            {FIELDS 1 f v NOSUCH}
            {FIELDS 1 f v extra}
            {FIELDS 1 f v KEYS 1 k}
            {TAGS 1 t v COLUMNS 1 a b c d}
            {"" 1 f v}
        } {
            assert_refused "ERR *" {r TQ.PUT p k {*}$wrong}
        }
    }

    test "a list holds as many things as its count says" {
        r TQ.PUT p k TAGS 1 t x
        foreach clause {FIELDS TAGS TEXT} {
            foreach wrong {
                {} {1} {1 a} {2 a b} {2 a b c} {2 a b c d e} {0} {0 a b} {-1 a b} {abc a b} {1.5 a b}
                {"" a b} {" 1" a b} {1x a b} {4294967297 a b} {9223372036854775807 a b}
                {9223372036854775808 a b} {18446744073709551615 a b} {18446744073709551617 a b}
                {99999999999999999999999 a b} {4611686018427387905 a b} {1000000 a b}
            } {
                assert_refused "ERR *" {r TQ.PUT p k $clause {*}$wrong}
            }
        }
        foreach wrong {{GROUP} {GROUP g} {IF} {IF t} {TAGS 1 t v IF t} {TAGS 1 t v GROUP g}} {
            assert_refused "ERR *" {r TQ.PUT p k {*}$wrong}
        }
    }

    test "what is wrong at the end of a command undoes its beginning" {
        r TQ.PUT p k TAGS 1 t x FIELDS 1 n:i64 [pack i64 1]
        assert_refused "SCHEMA *" {r TQ.PUT p k TAGS 1 t y FIELDS 3 a 1 b 2 n:f32 [pack f32 1]}
        assert_refused "SCHEMA *" {r TQ.PUT p new TAGS 1 t y FIELDS 3 a 1 b 2 n toolong!!}
        assert_refused "ERR *" {r TQ.PUT p new GROUP g 4 TAGS 1 t y FIELDS 2 a 1 @b 2}
        assert_error "SCHEMA *3 bytes as f32 (FIELDS takes raw bytes, here 4; TEXT takes literals such as 0.5) *" \
            {r TQ.PUT fresh new TAGS 1 t y FIELDS 2 a 1 b:f32 123}
        assert_equal 0 [r EXISTS fresh]
    }

    test "many fields in one command" {
        set words {}
        set row {}
        foreach i [range 1 1000] {
            lappend words field$i value$i
            lappend row value$i
        }
        assert_equal 1 [r TQ.PUT p k FIELDS 1000 {*}$words]
        assert_equal [list $row] [r TQ.MGET p KEYS 1 k FIELDS 1000 {*}[dict keys $words]]
    }

    test "a partition holds 4096 fields and no more" {
        set words {}
        foreach i [range 1 4096] {
            lappend words f$i v
        }
        assert_equal 1 [r TQ.PUT p k FIELDS 4096 {*}$words]
        assert_error "FULL *" {r TQ.PUT p k FIELDS 1 f4097 v}
        assert_equal 4096 [llength [r TQ.SCHEMA p]]
        assert_equal 0 [r TQ.PUT p k FIELDS 1 f4096 w]
    }

    test "many samples keep their own values" {
        set n [sized 5000 1000000]
        fill p 1 $n
        assert_equal $n [r TQ.COUNT p]
        foreach i [list 1 2 64 65 1000 $n] {
            assert_equal v$i [cell p k$i f]
        }
    }
}
