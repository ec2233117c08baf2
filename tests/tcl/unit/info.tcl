# INFO: what operators and their tools read.

start_server {} {
    test "INFO is lines of name and value in sections" {
        set text [r INFO]
        foreach section {Server Clients Memory Stats Keyspace} {
            assert_match "*# $section\r\n*" $text
        }
        foreach line [split [string map {\r\n \n} $text] \n] {
            assert {$line eq "" || [regexp {^(# \w|[A-Za-z0-9_]+:)} $line]} "a strange line: $line"
        }
    }

    test "INFO of one section tells no other" {
        foreach section {server clients memory stats keyspace} {
            set text [r INFO $section]
            assert_match "# [string totitle $section]\r\n*" $text
            assert_equal 1 [regexp -all -line {^# } $text] $section
        }
        assert_equal "" [string trim [r INFO nosuch]]
        assert_match "*# Memory*# Stats*" [r INFO memory stats]
        assert_match "*# Server*" [r info SERVER]
        assert_match "*# Server*" [r INFO everything]
        assert_match "*# Server*" [r INFO all]
        assert_match "*# Server*" [r INFO default]
    }

    test "INFO has what redis-cli --stat and the exporters read" {
        r TQ.PUT p k FIELDS 1 f v
        foreach name {used_memory connected_clients blocked_clients total_commands_processed
                      total_connections_received uptime_in_seconds process_id tcp_port maxmemory} {
            assert {[string is wideinteger -strict [info_field $name]]} "$name is '[info_field $name]'"
        }
        assert_match {[0-9a-f]*} [info_field run_id]
        assert_equal 40 [string length [info_field run_id]]
        assert_equal [srv port] [info_field tcp_port]
    }

    test "the keyspace counts partitions" {
        assert_no_match *db0* [r INFO keyspace]
        r TQ.PUT p k FIELDS 1 f v
        r TQ.PUT q k FIELDS 1 f v
        assert_match "*db0:keys=2*" [r INFO keyspace]
    }

    test "connections are counted" {
        set before [info_field connected_clients]
        set received [info_field total_connections_received]
        set c [client]
        $c PING
        assert_equal [expr {$before + 1}] [info_field connected_clients]
        assert_equal [expr {$received + 1}] [info_field total_connections_received]
        resp::close $c
        wait_until {[info_field connected_clients] == $before}
    }

    test "commands are counted" {
        set before [info_field total_commands_processed]
        foreach i [range 1 10] { r PING }
        set after [info_field total_commands_processed]
        assert {$after - $before >= 10 && $after - $before <= 12}
    }

    test "memory grows with what is written and shrinks when it is cleared" {
        set before [info_field used_memory]
        r TQ.PUT p k FIELDS 1 f [random_bytes 5000000]
        set full [info_field used_memory]
        assert {$full - $before >= 5000000} "used_memory went from $before to $full"
        r TQ.CLEAR p
        set after [info_field used_memory]
        assert {$after - $before < 1000000} "used_memory went from $before to $full to $after"
    }
}
