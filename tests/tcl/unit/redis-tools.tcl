# Stock tools against the server: what redis-cli and redis-benchmark do with it.

proc redis_cli {args} {
    if {[auto_execok redis-cli] eq ""} {
        skip "redis-cli is not installed"
    }
    return [exec redis-cli -p [srv port] {*}$args 2>@1]
}

start_own_server {} {
    test "redis-cli writes literals and reads them" {
        assert_equal 1 [redis_cli TQ.PUT p k TAGS 1 version 7 TEXT 2 reward:f32 0.5 prompt "what is 1+1?"]
        assert_equal "0.5\nwhat is 1+1?" [redis_cli TQ.MGET p KEYS 1 k FIELDS 2 reward prompt AS TEXT]
        assert_equal k [redis_cli TQ.SAMPLE p t COUNT 1 FIELDS 1 reward AS KEYS]
        assert_match "*NOPART*nosuch*" [redis_cli TQ.STATUS nosuch]
    }

    test "redis-cli -3 shows maps" {
        redis_cli TQ.PUT p k TEXT 1 f v
        assert_match {*"f" => "v"*} [redis_cli -3 --no-raw TQ.MGET p KEYS 1 k]
    }

    test "redis-cli --scan lists partitions" {
        foreach i [range 1 30] { r TQ.PUT p$i k TAGS 1 t x }
        assert_same_set [names p 1 30] [split [redis_cli --scan] \n]
        assert_same_set {p3 p30} [split [redis_cli --scan --pattern p3*] \n]
    }

    test "redis-cli --pipe loads commands" {
        set bytes ""
        foreach i [range 1 1000] {
            append bytes [resp::encode TQ.PUT p k$i FIELDS 1 f "a\r\n\0$i"]
        }
        write_file [file join [srv dir] load] $bytes
        assert_match "*errors: 0, replies: 1000*" [redis_cli --pipe < [file join [srv dir] load]]
        assert_equal 1000 [r TQ.COUNT p]
    }

    test "redis-benchmark measures PING and TQ.PUT" {
        if {[auto_execok redis-benchmark] eq ""} {
            skip "redis-benchmark is not installed"
        }
        set bench [list redis-benchmark -p [srv port] -n 2000 -P 32 -q]
        assert_match "*PING*requests per second*" [exec {*}$bench -t ping 2>@1]
        assert_match "*requests per second*" \
            [exec {*}$bench -r 1000 TQ.PUT p key:__rand_int__ FIELDS 1 f [string repeat x 64] 2>@1]
        assert {[r TQ.COUNT p] > 100}
    }
}
