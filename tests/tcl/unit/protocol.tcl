# What the server does with bytes: RESP2 and RESP3, inline commands, pipelines, partial input, and
# input that is no protocol at all.

# Sends raw bytes on a new connection that must end with a protocol error and be closed.
proc assert_protocol_error {bytes {pattern "-ERR Protocol error*"}} {
    set c [client]
    resp::write_bytes $c $bytes
    assert_match "$pattern\r\n" [assert_closed $c]
}

start_server {} {
    test "a command arrives in one piece or byte by byte, the reply is the same" {
        set command [resp::encode ECHO "a\r\nb\0c"]
        set c [client]
        foreach byte [split $command ""] {
            resp::write_bytes $c $byte
            barrier
        }
        assert_equal "a\r\nb\0c" [resp::receive $c]
    }

    test "two pipelined commands are cut in two at every byte boundary" {
        set bytes "[resp::encode ECHO "\r\n\$3\r\n"][resp::encode PING][resp::encode ECHO ""]"
        for {set cut 1} {$cut < [string length $bytes]} {incr cut} {
            set c [client]
            resp::write_bytes $c [string range $bytes 0 $cut-1]
            barrier
            resp::write_bytes $c [string range $bytes $cut end]
            assert_equal "\r\n\$3\r\n" [resp::receive $c] "cut at $cut"
            assert_equal PONG [resp::receive $c] "cut at $cut"
            assert_equal "" [resp::receive $c] "cut at $cut"
            resp::close $c
        }
    }

    test "an inline command is cut in two at every byte boundary" {
        set bytes "ECHO \"a b\\r\\n\"\r\nPING\r\n"
        for {set cut 1} {$cut < [string length $bytes]} {incr cut} {
            set c [client]
            resp::write_bytes $c [string range $bytes 0 $cut-1]
            barrier
            resp::write_bytes $c [string range $bytes $cut end]
            assert_equal "a b\r\n" [resp::receive $c] "cut at $cut"
            assert_equal PONG [resp::receive $c] "cut at $cut"
            resp::close $c
        }
    }

    test "a write with a large value is cut in two at many places" {
        set value [random_bytes 100000]
        set bytes [resp::encode TQ.PUT p k FIELDS 1 f $value]
        foreach cut {1 13 40 60 70 100 4096 16384 16385 32768 65536 99990 100050 100053} {
            set c [client]
            resp::write_bytes $c [string range $bytes 0 $cut-1]
            barrier
            resp::write_bytes $c [string range $bytes $cut end]
            assert_equal 1 [resp::receive $c] "cut at $cut"
            assert_equal $value [cell p k f] "cut at $cut"
            r TQ.CLEAR p
            resp::close $c
        }
    }

    test "replies come in the order of the commands" {
        set n [sized 10000 1000000]
        set c [client]
        for {set i 0} {$i < $n} {incr i} {
            resp::send $c ECHO $i
        }
        for {set i 0} {$i < $n} {incr i} {
            assert_equal $i [resp::receive $c]
        }
    }

    test "large and small replies keep their order" {
        set large [random_bytes 1500000]
        set middle [random_bytes 40000 2]
        r TQ.PUT p k FIELDS 3 a $large b $middle c small
        set c [client]
        foreach i [range 1 5] {
            resp::send $c TQ.MGET p KEYS 1 k FIELDS 3 a b c
            resp::send $c ECHO $i
            resp::send $c TQ.MGET p KEYS 1 k FIELDS 2 b c
        }
        foreach i [range 1 5] {
            assert_equal [list [list $large $middle small]] [resp::receive $c]
            assert_equal $i [resp::receive $c]
            assert_equal [list [list $middle small]] [resp::receive $c]
        }
    }

    test "errors keep their place in a pipeline" {
        set c [client]
        resp::send $c PING
        resp::send $c NOSUCH
        resp::send $c ECHO
        resp::send $c ECHO x
        assert_equal {simple PONG} [resp::receive_typed $c]
        assert_match {error {ERR unknown command*}} [resp::receive_typed $c]
        assert_match {error {ERR wrong number of arguments*}} [resp::receive_typed $c]
        assert_equal {bulk x} [resp::receive_typed $c]
    }

    test "commands and inline commands mix in one pipeline" {
        set c [client]
        resp::write_bytes $c "PING\r\n[resp::encode ECHO a]ECHO b\n\r\n[resp::encode ECHO c]"
        assert_equal {PONG a b c} [list [resp::receive $c] [resp::receive $c] \
            [resp::receive $c] [resp::receive $c]]
    }

    test "command names are case-insensitive" {
        assert_equal PONG [r ping]
        assert_equal x [r eChO x]
        assert_equal 1 [r tq.put p k fields 1 f x]
        assert_equal 0 [r Tq.Put p k tAGs 1 t x]
    }

    test "arguments are binary-safe" {
        set all [binary format c* [range 0 255]]
        assert_equal $all [r ECHO $all]
        set most [string range $all 0 254]
        assert_equal 1 [r TQ.PUT $most $all TAGS 1 t $all FIELDS 1 f $all]
        assert_equal [list $most] [r TQ.LIST]
        assert_equal $all [cell $most $all f]
        assert_equal [list t $all] [tags $most $all]
    }

    test "an argument may be empty" {
        assert_equal {bulk {}} [typed ECHO ""]
    }

    test "a large argument comes back whole" {
        set value [random_bytes [sized 5000000 100000000]]
        assert_equal $value [r ECHO $value]
    }

    test "empty lines and empty commands are passed over" {
        set c [client]
        resp::write_bytes $c "\r\n\n*0\r\n\r\n*-1\r\n[resp::encode PING]"
        assert_equal PONG [resp::receive $c]
    }

    test "inline commands end with CRLF or LF and allow blanks around words" {
        set c [client]
        resp::write_bytes $c "PING\r\n"
        assert_equal PONG [resp::receive $c]
        resp::write_bytes $c "  ECHO \t  hello  \n"
        assert_equal hello [resp::receive $c]
    }

    test "inline words are quoted as at a redis-cli prompt" {
        set c [client]
        foreach {line expected} {
            {ECHO "two words"}        "two words"
            {ECHO 'two words'}        "two words"
            {ECHO "\x41\x00\xff\n\t"} "A\x00\xff\n\t"
            {ECHO "a\"b\\c"}          "a\"b\\c"
            {ECHO 'it\'s'}            "it's"
            {ECHO '\n'}               "\\n"
            {ECHO ""}                 ""
        } {
            resp::write_bytes $c "$line\r\n"
            assert_equal $expected [resp::receive $c] $line
        }
    }

    test "a sample can be written and read by hand" {
        set c [client]
        resp::write_bytes $c "TQ.PUT p k TAGS 1 t \"a b\" TEXT 1 x:f32 0.5\r\n"
        assert_equal 1 [resp::receive $c]
        resp::write_bytes $c "TQ.MGET p KEYS 1 k FIELDS 1 x AS TEXT\r\n"
        assert_equal 0.5 [resp::receive $c]
    }

    test "unbalanced quotes in an inline command are a protocol error" {
        assert_protocol_error "ECHO \"abc\r\n" "-ERR Protocol error: unbalanced quotes*"
        assert_protocol_error "ECHO 'abc\r\n" "-ERR Protocol error: unbalanced quotes*"
        assert_protocol_error "ECHO \"abc\"def\r\n" "-ERR Protocol error: unbalanced quotes*"
    }

    test "an inline command without an end is cut off" {
        assert_protocol_error [string repeat a 100000] "-ERR Protocol error: too big inline*"
    }

    test "a count of arguments that is no number is a protocol error" {
        foreach count {abc 1x 1.5 "" - + " 1" 99999999999999999999 -99999999999999999999
                       18446744073709551617 9223372036854775808 4294967297 2147483648} {
            assert_protocol_error "*$count\r\n" "-ERR Protocol error: invalid multibulk length*"
        }
    }

    test "a length of an argument that is no number is a protocol error" {
        foreach length {abc 1x 1.5 "" - -1 -5 " 1" 99999999999999999999 18446744073709551617
                        9223372036854775807 9223372036854775808} {
            assert_protocol_error "*1\r\n\$$length\r\n" "-ERR Protocol error: invalid bulk length*"
        }
    }

    test "an argument that does not begin with a length is a protocol error" {
        foreach wrong {":4" "PING" "*1" "+OK" "\0"} {
            assert_protocol_error "*1\r\n$wrong\r\n" "-ERR Protocol error: expected '\$'*"
        }
    }

    test "a count or a length that never ends is cut off" {
        assert_protocol_error "*[string repeat 1 100000]"
        assert_protocol_error "*1\r\n\$[string repeat 1 100000]"
    }

    test "what was asked before a protocol error is answered" {
        set c [client]
        resp::write_bytes $c "[resp::encode ECHO a][resp::encode ECHO b]*x\r\n"
        assert_match "\$1\r\na\r\n\$1\r\nb\r\n-ERR Protocol error*\r\n" [assert_closed $c]
    }

    test "nothing after a protocol error is executed" {
        set c [client]
        resp::write_bytes $c "*x\r\n[resp::encode TQ.PUT p k FIELDS 1 f v]"
        assert_closed $c
        assert_equal {} [r TQ.LIST]
    }

    test "a huge count of arguments that never come costs nothing" {
        set before [info_field used_memory]
        foreach i [range 1 50] {
            set c [client]
            resp::write_bytes $c "*1000000\r\n"
            barrier
        }
        assert {[info_field used_memory] - $before < 20 * 1000 * 1000}
    }

    test "many arguments of one byte are taken or refused, not both" {
        set c [client]
        resp::send $c NOSUCH {*}[lrepeat 20000 x]
        assert_match {error {ERR unknown command*}} [resp::receive_typed $c]
        assert_equal PONG [$c PING]
    }

    test "a client that dies in the middle of a command leaves nothing behind" {
        r TQ.PUT p k FIELDS 1 f old
        set bytes [resp::encode TQ.PUT p k FIELDS 2 f new g new]
        for {set cut 1} {$cut < [string length $bytes]} {incr cut} {
            set c [client]
            resp::write_bytes $c [string range $bytes 0 $cut-1]
            barrier
            resp::close $c
        }
        assert_equal {{f old}} [r TQ.MGET p KEYS 1 k]
        assert_equal f [field_names p]
    }

    test "clients that die in the middle of large values give the memory back" {
        r TQ.PUT p k FIELDS 1 f old
        set value [random_bytes 1000000]
        set before [info_field used_memory]
        foreach i [range 1 [sized 20 500]] {
            set c [client]
            begin_put $c p k 4000000 $value
            barrier
            resp::close $c
        }
        wait_until {[info_field used_memory] - $before < 3000000} \
            {used_memory was $before, is [info_field used_memory]}
        assert_equal old [cell p k f]
    }

    test "a client that leaves without reading its replies is no one's death" {
        foreach i [range 1 20] {
            set c [client]
            for {set k 0} {$k < 200} {incr k} {
                resp::send $c ECHO [string repeat x 1000]
            }
            resp::close $c
        }
        assert_equal PONG [r PING]
    }

    test "many clients talk at once and each gets its own replies" {
        set clients {}
        foreach i [range 1 100] {
            lappend clients [client]
        }
        foreach round [range 1 10] {
            foreach c $clients {
                resp::send $c ECHO "$c says $round"
            }
            foreach c $clients {
                assert_equal "$c says $round" [resp::receive $c]
            }
        }
    }
}

start_server {} {
    test "HELLO answers seven fields, in RESP2 flat" {
        lassign [typed HELLO 2] type items
        assert_equal array $type
        assert_equal 14 [llength $items]
        set names {}
        foreach {name value} $items {
            lappend names [lindex $name 1]
            set got([lindex $name 1]) $value
        }
        assert_equal {id mode modules proto role server version} [lsort $names]
        assert_equal {int 2} $got(proto)
        assert_equal int [lindex $got(id) 0]
        assert_equal array [lindex $got(modules) 0]
        foreach name {server version mode role} {
            assert_equal bulk [lindex $got($name) 0] $name
        }
    }

    test "HELLO 3 answers a map and speaks RESP3 from there on" {
        set c [client]
        lassign [typed $c HELLO 3] type items
        assert_equal map $type
        foreach {name value} $items {
            set got([lindex $name 1]) $value
        }
        assert_equal {int 3} $got(proto)
        r TQ.PUT p k FIELDS 1 f x
        assert_equal {array {{map {{bulk f} {bulk x}}}}} [typed $c TQ.MGET p KEYS 1 k]
        assert_equal {array {{nil _}}} [typed $c TQ.MGET p KEYS 1 other]
        assert_equal {nil _} [typed $c TQ.PUT p k NX TAGS 1 t x]
    }

    test "the same replies in RESP2 are flat arrays and old nulls" {
        r TQ.PUT p k FIELDS 1 f x
        assert_equal {array {{array {{bulk f} {bulk x}}}}} [typed TQ.MGET p KEYS 1 k]
        assert_match {array {{nil [$\*]}}} [typed TQ.MGET p KEYS 1 other]
        assert_match {nil [$\*]} [typed TQ.PUT p k NX TAGS 1 t x]
    }

    test "HELLO 2 goes back to RESP2" {
        set c [client3]
        $c HELLO 2
        r TQ.PUT p k FIELDS 1 f x
        assert_equal {array {{array {{bulk f} {bulk x}}}}} [typed $c TQ.MGET p KEYS 1 k]
    }

    test "HELLO without arguments keeps the protocol" {
        assert_equal array [lindex [typed HELLO] 0]
        assert_equal map [lindex [typed [client3] HELLO] 0]
    }

    test "HELLO with a version that does not exist is NOPROTO and changes nothing" {
        set c [client3]
        foreach version {1 4 99 0} {
            assert_error "NOPROTO *" {$c HELLO $version}
        }
        foreach version {abc "" 3x 99999999999999999999} {
            assert_error "*" {$c HELLO $version}
        }
        assert_equal map [lindex [typed $c HELLO] 0]
    }

    test "HELLO 3 AUTH default is welcome where no password is set" {
        set c [client]
        assert_equal 3 [dict get [$c HELLO 3 AUTH default x] proto]
    }

    test "HELLO 3 SETNAME names the connection" {
        set c [client]
        $c HELLO 3 SETNAME worker-7
        assert_equal worker-7 [$c CLIENT GETNAME]
    }

    test "HELLO with words that do not belong is an error and changes nothing" {
        set c [client]
        assert_error "ERR *" {$c HELLO 3 NOSUCH}
        assert_error "ERR *" {$c HELLO 3 SETNAME}
        assert_error "ERR *" {$c HELLO 3 AUTH default}
        assert_equal array [lindex [typed $c HELLO] 0]
    }

    test "maps are maps in RESP3 and flat arrays in RESP2" {
        set c [client3]
        r TQ.PUT p k TAGS 1 t x FIELDS 1 f x
        assert_equal map [lindex [typed $c TQ.STATUS p] 0]
        assert_equal array [lindex [typed TQ.STATUS p] 0]
        assert_equal {array {{bulk 0} {array {{array {{bulk k} {map {{bulk t} {bulk x}}}}}}}}} \
            [typed $c TQ.LIST p WITH TAGS]
        assert_equal {array {{bulk 0} {array {{array {{bulk k} {array {{bulk t} {bulk x}}}}}}}}} \
            [typed TQ.LIST p WITH TAGS]
        assert_equal map [lindex [typed $c CONFIG GET port] 0]
        assert_equal array [lindex [typed CONFIG GET port] 0]
    }

    test "RESET goes back to RESP2 and forgets the name" {
        set c [client3]
        $c CLIENT SETNAME abc
        assert_equal {simple RESET} [typed $c RESET]
        assert_equal array [lindex [typed $c HELLO] 0]
        assert_equal "" [string map {(nil) ""} [$c CLIENT GETNAME]]
    }
}
