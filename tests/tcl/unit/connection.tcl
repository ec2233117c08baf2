# Commands about the connection and the clients.

start_server {} {
    test "PING answers PONG, or what it was given" {
        assert_equal {simple PONG} [typed PING]
        assert_equal {bulk hello} [typed PING hello]
        assert_error "ERR wrong number of arguments*" {r PING a b}
    }

    test "ECHO answers what it was given" {
        assert_equal {bulk hello} [typed ECHO hello]
        assert_error "ERR wrong number of arguments*" {r ECHO}
        assert_error "ERR wrong number of arguments*" {r ECHO a b}
    }

    test "QUIT answers OK and closes" {
        set c [client]
        resp::send $c QUIT
        assert_equal "+OK\r\n" [assert_closed $c]
    }

    test "nothing behind a QUIT is executed" {
        set c [client]
        resp::write_bytes $c "[resp::encode PING][resp::encode QUIT][resp::encode TQ.PUT p k FIELDS 1 f v]"
        assert_equal "+PONG\r\n+OK\r\n" [assert_closed $c]
        assert_equal {} [r TQ.LIST]
    }

    test "AUTH says that there is no password, in the words that clients look for" {
        assert_error "ERR AUTH <password> called without any password configured for the default user.*" \
            {r AUTH secret}
        assert_error "ERR *" {r AUTH}
        assert_equal PONG [r PING]
    }

    test "SELECT knows database 0" {
        assert_equal {simple OK} [typed SELECT 0]
        foreach wrong {abc -1 1.5 "" 99999 99999999999999999999} {
            assert_error "ERR *" {r SELECT $wrong}
        }
        assert_equal PONG [r PING]
    }

    test "an unknown command is named in the error, with its arguments" {
        assert_error "ERR unknown command 'NOSUCH', with args beginning with: *'a'*'b'*" {r NOSUCH a b}
        assert_error "ERR unknown command 'tq.nosuch'*" {r tq.nosuch}
    }

    test "an unknown command with strange or long arguments is a clean error" {
        set message [assert_error "ERR unknown command*" {r NOSUCH "a\r\nb" [string repeat x 100000]}]
        assert {[string length $message] < 1000}
        assert_error "ERR unknown command*" {r [string repeat y 100000]}
        assert_error "ERR unknown command*" {r "\r\n+OK\r\n"}
        assert_equal PONG [r PING]
    }

    test "CLIENT ID is a number that grows with every connection" {
        set first [[client] CLIENT ID]
        set second [[client] CLIENT ID]
        assert {$second > $first}
    }

    test "CLIENT SETNAME names a connection, CLIENT GETNAME tells" {
        set c [client]
        assert_match {[(]nil)} [string map {{} (nil)} [$c CLIENT GETNAME]]
        assert_equal OK [$c CLIENT SETNAME worker-1]
        assert_equal worker-1 [$c CLIENT GETNAME]
        assert_equal OK [$c CLIENT SETNAME ""]
        assert_match {[(]nil)} [string map {{} (nil)} [$c CLIENT GETNAME]]
    }

    test "a name with blanks or line ends is refused" {
        set c [client]
        $c CLIENT SETNAME good
        assert_error "ERR *" {$c CLIENT SETNAME "a b"}
        assert_error "ERR *" {$c CLIENT SETNAME "a\nb"}
        assert_error "ERR *" {$c CLIENT SETNAME "a\x01b"}
        assert_equal good [$c CLIENT GETNAME]
    }

    test "CLIENT SETINFO takes the name and version of a library" {
        set c [client]
        assert_equal OK [$c CLIENT SETINFO LIB-NAME redis-py]
        assert_equal OK [$c CLIENT SETINFO lib-ver 8.0.0]
        assert_error "ERR *" {$c CLIENT SETINFO NOSUCH x}
        assert_error "ERR *" {$c CLIENT SETINFO LIB-NAME "a b"}
    }

    test "CLIENT LIST has a line for every connection" {
        set c [client]
        $c CLIENT SETNAME findme
        set mine ""
        foreach line [split [string trim [r CLIENT LIST]] \n] {
            assert_match "id=* addr=*:* *" $line
            if {[string match "* name=findme *" $line]} {
                set mine $line
            }
        }
        assert_match "id=[$c CLIENT ID] addr=[string map {[ \\[ ] \\]} [resp::local_address $c]] *" $mine
    }

    test "CLIENT KILL ID ends another connection" {
        set c [client]
        assert_equal 1 [r CLIENT KILL ID [$c CLIENT ID]]
        assert_equal "" [assert_closed $c]
        assert_equal PONG [r PING]
    }

    test "CLIENT KILL ADDR ends another connection" {
        set c [client]
        $c PING
        assert_equal 1 [r CLIENT KILL ADDR [resp::local_address $c]]
        assert_equal "" [assert_closed $c]
    }

    test "CLIENT KILL with a bare address answers OK" {
        set c [client]
        $c PING
        assert_equal OK [r CLIENT KILL [resp::local_address $c]]
        assert_equal "" [assert_closed $c]
        assert_error "ERR No such client*" {r CLIENT KILL 127.0.0.1:1}
    }

    test "CLIENT KILL TYPE normal spares the caller" {
        set c [client]
        $c PING
        assert {[r CLIENT KILL TYPE normal] >= 1}
        assert_equal "" [assert_closed $c]
        assert_equal PONG [r PING]
    }

    test "CLIENT KILL of oneself answers first when SKIPME is no" {
        set c [client]
        set id [$c CLIENT ID]
        assert_equal 0 [$c CLIENT KILL ID $id SKIPME yes]
        resp::send $c CLIENT KILL ID $id SKIPME no
        assert_equal ":1\r\n" [assert_closed $c]
    }

    test "CLIENT KILL of no one is 0, of nonsense an error" {
        assert_equal 0 [r CLIENT KILL ID 99999999]
        foreach wrong {{ID abc} {ID -1} {ID 0} {NOSUCH x} {ID} {TYPE nosuch} {}} {
            assert_error "ERR *" {r CLIENT KILL {*}$wrong}
        }
    }

    test "a killed client that was in the middle of a command is gone all the same" {
        set c [client]
        set id [$c CLIENT ID]
        resp::write_bytes $c "*2\r\n\$4\r\nECHO\r\n\$1000\r\nabc"
        assert_equal 1 [r CLIENT KILL ID $id]
        assert_equal "" [assert_closed $c]
    }

    test "CLIENT subcommands that do not exist are errors" {
        assert_error "ERR *" {r CLIENT}
        assert_error "ERR unknown subcommand*" {r CLIENT NOSUCH}
        assert_error "ERR unknown subcommand*" {r CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none}
        foreach wrong {{ID x} {GETNAME x} {SETNAME} {SETNAME a b} {SETINFO} {SETINFO LIB-NAME}} {
            assert_error "ERR *" {r CLIENT {*}$wrong}
        }
    }

    test "TIME tells seconds and microseconds" {
        set before [clock seconds]
        lassign [r TIME] seconds micros
        assert {$seconds >= $before && $seconds <= [clock seconds]}
        assert {$micros >= 0 && $micros < 1000000}
        assert_error "ERR wrong number of arguments*" {r TIME x}
    }
}
