# Channels: SUBSCRIBE, PSUBSCRIBE, PUBLISH, PUBSUB, and the events of partitions.

# A RESP2 client subscribed to these channels; its confirmations are read.
proc subscriber {args} {
    set c [client]
    resp::send $c SUBSCRIBE {*}$args
    foreach channel $args { resp::receive $c }
    return $c
}

proc psubscriber {args} {
    set c [client]
    resp::send $c PSUBSCRIBE {*}$args
    foreach pattern $args { resp::receive $c }
    return $c
}

# The next n messages of a RESP2 subscriber.
proc heard {c n} {
    set messages {}
    foreach i [range 1 $n] { lappend messages [lindex [resp::receive $c] end] }
    return $messages
}

# What a RESP3 client was told beside replies, up to now.
proc told {c} {
    $c PING
    return [resp::pushes $c]
}

# A line of CLIENT LIST.
proc line_of {id} {
    foreach line [split [r CLIENT LIST] \n] {
        if {[string match "id=$id *" $line]} { return $line }
    }
    return ""
}

start_server {} {
    test "SUBSCRIBE confirms each channel with the number of subscriptions" {
        set c [client]
        resp::send $c SUBSCRIBE a b a
        assert_equal {array {{bulk subscribe} {bulk a} {int 1}}} [resp::receive_typed $c]
        assert_equal {array {{bulk subscribe} {bulk b} {int 2}}} [resp::receive_typed $c]
        assert_equal {array {{bulk subscribe} {bulk a} {int 2}}} [resp::receive_typed $c]
        resp::send $c PSUBSCRIBE a* b
        assert_equal {array {{bulk psubscribe} {bulk a*} {int 3}}} [resp::receive_typed $c]
        assert_equal {array {{bulk psubscribe} {bulk b} {int 4}}} [resp::receive_typed $c]
    }

    test "UNSUBSCRIBE confirms each channel, known or not, and all when none is named" {
        set c [subscriber a b]
        resp::send $c PSUBSCRIBE x*
        resp::receive $c
        resp::send $c UNSUBSCRIBE a nosuch
        assert_equal {unsubscribe a 2} [resp::receive $c]
        assert_equal {unsubscribe nosuch 2} [resp::receive $c]
        resp::send $c SUBSCRIBE c
        assert_equal {subscribe c 3} [resp::receive $c]
        resp::send $c UNSUBSCRIBE
        assert_equal {unsubscribe b 2} [resp::receive $c]
        assert_equal {unsubscribe c 1} [resp::receive $c]
        resp::send $c PUNSUBSCRIBE
        assert_equal {punsubscribe x* 0} [resp::receive $c]
        assert_equal PONG [$c PING]
    }

    test "nothing to leave is confirmed with null" {
        assert_equal {array {{bulk unsubscribe} {nil $} {int 0}}} [typed UNSUBSCRIBE]
        assert_equal {array {{bulk punsubscribe} {nil $} {int 0}}} [typed PUNSUBSCRIBE]
        set c [client3]
        resp::send $c UNSUBSCRIBE
        assert_equal {{unsubscribe (nil) 0}} [told $c]
    }

    test "PUBLISH reaches the subscribers of the channel and says how many" {
        assert_equal {int 0} [typed PUBLISH a hello]
        set one [subscriber a]
        set two [subscriber b a]
        assert_equal 2 [r PUBLISH a hello]
        assert_equal 1 [r PUBLISH b "\r\n\0"]
        assert_equal {array {{bulk message} {bulk a} {bulk hello}}} [resp::receive_typed $one]
        assert_equal {message a hello} [resp::receive $two]
        assert_equal [list message b "\r\n\0"] [resp::receive $two]
        assert_equal 1 [r PUBLISH b ""]
        assert_equal {array {{bulk message} {bulk b} {bulk {}}}} [resp::receive_typed $two]
        assert_waiting $one
    }

    test "PUBLISH reaches patterns, once for each that matches" {
        set c [psubscriber news.* news.?rt *]
        resp::send $c SUBSCRIBE news.art
        resp::receive $c
        assert_equal 4 [r PUBLISH news.art x]
        assert_equal {message news.art x} [resp::receive $c]
        assert_equal {array {{bulk pmessage} {bulk news.*} {bulk news.art} {bulk x}}} \
            [resp::receive_typed $c]
        assert_equal {pmessage news.?rt news.art x} [resp::receive $c]
        assert_equal {pmessage * news.art x} [resp::receive $c]
        assert_equal 1 [r PUBLISH NEWS x]
    }

    test "messages of one publisher come in order, small and large" {
        set c [subscriber a]
        set big [random_bytes 300000]
        resp::send_all [r] [list {PUBLISH a 1} [list PUBLISH a $big] {PUBLISH a 3}]
        foreach i [range 1 3] { assert_equal 1 [resp::receive [r]] }
        assert_equal [list 1 $big 3] [heard $c 3]
    }

    test "a RESP2 subscriber may do little else" {
        set c [subscriber a]
        foreach {shown words} {tq.list TQ.LIST client|id {CLIENT ID} publish {PUBLISH a x} multi MULTI
                               hello {HELLO 3}} {
            assert_error "ERR Can't execute '$shown': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING\
                          / QUIT / RESET are allowed in this context" {$c {*}$words}
        }
        assert_error "ERR unknown command*" {$c NOSUCH}
        assert_equal {array {{bulk pong} {bulk {}}}} [typed $c PING]
        assert_equal {array {{bulk pong} {bulk hi}}} [typed $c PING hi]
        resp::send $c UNSUBSCRIBE
        resp::receive $c
        assert_equal {simple PONG} [typed $c PING]
        assert_equal {} [$c TQ.LIST]
    }

    test "in RESP3 confirmations and messages are pushes, and everything is allowed" {
        set c [client3]
        resp::send $c SUBSCRIBE a b
        resp::send $c PSUBSCRIBE a*
        assert_equal {{subscribe a 1} {subscribe b 2} {psubscribe a* 3}} [told $c]
        assert_equal PONG [$c PING]
        assert_equal {} [$c TQ.LIST]
        assert_equal 2 [r PUBLISH a x]
        assert_equal {{message a x} {pmessage a* a x}} [told $c]
        resp::send $c UNSUBSCRIBE b
        assert_equal {{unsubscribe b 2}} [told $c]
        set raw [client3]
        resp::send $raw SUBSCRIBE z
        assert_equal ">3\r\n\$9\r\nsubscribe\r\n\$1\r\nz\r\n:1\r\n" [resp::read_bytes $raw 30]
        r PUBLISH z hi
        assert_equal ">3\r\n\$7\r\nmessage\r\n\$1\r\nz\r\n\$2\r\nhi\r\n" [resp::read_bytes $raw 32]
    }

    test "HELLO 2 with subscriptions leads into the mode of RESP2" {
        set c [client3]
        resp::send $c SUBSCRIBE a
        told $c
        $c HELLO 2
        assert_error "ERR Can't execute 'tq.list'*" {$c TQ.LIST}
    }

    test "what a RESP3 client publishes to itself comes behind the reply" {
        set c [client3]
        resp::send $c SUBSCRIBE a
        told $c
        resp::write_bytes $c [resp::encode PUBLISH a x]
        assert_equal ":1\r\n>3\r\n" [resp::read_bytes $c 8]
    }

    test "messages and confirmations come through CLIENT REPLY OFF" {
        set c [client3]
        resp::send $c CLIENT REPLY OFF
        resp::send $c SUBSCRIBE a
        resp::send $c PING
        wait_until {[r PUBSUB NUMSUB a] eq {a 1}}
        r PUBLISH a x
        resp::send $c CLIENT REPLY ON
        assert_equal OK [resp::receive $c]
        assert_equal {{subscribe a 1} {message a x}} [resp::pushes $c]
    }

    test "a message reaches a client that is parked" {
        set c [client3]
        resp::send $c SUBSCRIBE a
        told $c
        take_later $c p t 1 BLOCK 0
        wait_blocked 1
        r PUBLISH a x
        fill p 1 1
        assert_equal k1 [resp::receive $c]
        assert_equal {{message a x}} [resp::pushes $c]
    }

    test "RESET ends subscriptions without a word" {
        foreach c [list [subscriber a b] [client3]] {
            resp::send $c PSUBSCRIBE *
            resp::send $c RESET
            if {[resp::receive $c] ne "RESET"} { assert_equal RESET [resp::receive $c] }
            assert_equal PONG [$c PING]
            assert_equal 0 [r PUBLISH a x]
            assert_equal 0 [r PUBSUB NUMPAT]
        }
    }

    test "QUIT is allowed to a subscriber" {
        set c [subscriber a]
        resp::send $c QUIT
        assert_equal "+OK\r\n" [assert_closed $c]
    }

    test "a subscriber that leaves is forgotten at once" {
        set gone [subscriber a b]
        set stays [subscriber a]
        set killed [client]
        set id [$killed CLIENT ID]
        resp::send $killed PSUBSCRIBE a*
        resp::receive $killed
        assert_equal 3 [r PUBLISH a x]
        resp::close $gone
        assert_equal 1 [r CLIENT KILL ID $id]
        wait_until {[r PUBSUB NUMSUB a b] eq {a 1 b 0}}
        assert_equal a [r PUBSUB CHANNELS]
        assert_equal 0 [r PUBSUB NUMPAT]
        assert_equal 1 [r PUBLISH a y]
        assert_equal {x y} [heard $stays 2]
    }

    test "PUBSUB tells channels, subscribers and patterns" {
        set a [subscriber news.art news.music]
        set b [subscriber news.art]
        set c [psubscriber n* m*]
        set d [psubscriber n*]
        assert_same_set {news.art news.music} [r PUBSUB CHANNELS]
        assert_equal news.music [r PUBSUB CHANNELS *mus*]
        assert_equal {} [r PUBSUB CHANNELS nosuch]
        assert_equal {} [r PUBSUB CHANNELS ""]
        assert_equal {array {{bulk news.art} {int 2} {bulk nosuch} {int 0}}} \
            [typed PUBSUB NUMSUB news.art nosuch]
        assert_equal {array {}} [typed PUBSUB NUMSUB]
        assert_equal {int 2} [typed PUBSUB NUMPAT]
        assert_match "*PUBSUB <subcommand>*CHANNELS*NUMPAT*NUMSUB*" [r PUBSUB HELP]
        assert_error "ERR wrong number of arguments for 'pubsub' command" {r PUBSUB}
        assert_error "ERR wrong number of arguments for 'pubsub|numpat' command" {r PUBSUB NUMPAT x}
        assert_error "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP." \
            {r PUBSUB CHANNELS a b}
        assert_error "ERR unknown subcommand*" {r PUBSUB NOSUCH}
        assert_error "ERR wrong number of arguments for 'subscribe' command" {r SUBSCRIBE}
        assert_error "ERR wrong number of arguments for 'psubscribe' command" {r PSUBSCRIBE}
        assert_error "ERR wrong number of arguments for 'publish' command" {r PUBLISH a}
    }

    test "CLIENT LIST, CLIENT KILL and INFO know subscribers" {
        set c [client]
        set id [$c CLIENT ID]
        assert_match "* flags=N * sub=0 psub=0 multi=-1 watch=0 *" [line_of $id]
        resp::send $c SUBSCRIBE a b
        resp::send $c PSUBSCRIBE *
        foreach i [range 1 3] { resp::receive $c }
        assert_match "* flags=P * sub=2 psub=1 *" [line_of $id]
        assert_match "id=$id *" [r CLIENT LIST TYPE pubsub]
        assert_equal 1 [llength [split [string trim [r CLIENT LIST TYPE pubsub]] \n]]
        assert_no_match "*id=$id *" [r CLIENT LIST TYPE normal]
        assert_equal {1 2 1} [list [info_field pubsub_clients] [info_field pubsub_channels] \
                                  [info_field pubsub_patterns]]
        assert_equal 1 [r CLIENT KILL TYPE pubsub]
        assert_equal "" [assert_closed $c]
        assert_equal 0 [info_field pubsub_clients]
    }

    test "a client with very many subscriptions leaves them all" {
        set n [sized 20000 200000]
        set c [client]
        resp::send $c SUBSCRIBE {*}[names ch 1 $n]
        foreach i [range 1 $n] { resp::receive $c }
        resp::send $c PING
        assert_equal {pong {}} [resp::receive $c]
        assert_equal $n [llength [r PUBSUB CHANNELS]]
        assert_equal 1 [r PUBLISH ch$n x]
        assert_equal x [heard $c 1]
        resp::close $c
        wait_until {[r PUBSUB CHANNELS] eq {}}
    }

    test "redis-cli subscribes" {
        if {[auto_execok redis-cli] eq ""} { skip "redis-cli is not installed" }
        set pipe [open "|redis-cli -p [srv port] SUBSCRIBE a" r+]
        fconfigure $pipe -blocking 1
        assert_equal {subscribe a 1} [list [gets $pipe] [gets $pipe] [gets $pipe]]
        r PUBLISH a hello
        assert_equal {message a hello} [list [gets $pipe] [gets $pipe] [gets $pipe]]
        exec sh -c "kill [pid $pipe]"
        catch {close $pipe}
        wait_until {[r PUBSUB NUMSUB a] eq {a 0}}
    }
}

start_own_server {client-output-buffer-limit {pubsub 1mb 0 0}} {
    test "the limit of class pubsub is its own, and CONFIG GET tells both" {
        assert_equal {client-output-buffer-limit {normal 4294967296 1073741824 60 pubsub 1048576 0 0}} \
            [r CONFIG GET client-output-buffer-limit]
        assert_error "ERR *client-output-buffer-limit*" \
            {r CONFIG SET client-output-buffer-limit "pubsub 1mb 0 0 nosuch 1 1 1"}
        r CONFIG SET client-output-buffer-limit "normal 1000 0 0 pubsub 2mb 1500 7"
        assert_equal {client-output-buffer-limit {normal 1000 0 0 pubsub 2097152 1500 7}} \
            [r CONFIG GET client-output-buffer-limit]
        r CONFIG SET client-output-buffer-limit "normal 4gb 1gb 60 pubsub 1mb 0 0"
    }

    test "a subscriber that does not read is cut off, one that reads hears everything" {
        set deaf [subscriber a]
        resp::send $deaf PSUBSCRIBE a* b* *
        foreach i [range 1 3] { resp::receive $deaf }
        set good [subscriber a]
        set message [random_bytes 100000]
        set n 0
        while {[r PUBLISH a $message] > 1} {
            incr n
            assert_equal [list message a $message] [resp::receive $good]
            assert {$n < 2000} "it was never cut"
        }
        assert_equal [list message a $message] [resp::receive $good]
        assert {[info_field client_output_buffer_limit_disconnections] >= 1}
        assert_equal {a 1} [r PUBSUB NUMSUB a]
        assert_equal 0 [r PUBSUB NUMPAT]
    }
}

start_own_server {client-output-buffer-limit {pubsub 1mb 0 0}} {
    test "a RESP3 subscriber may ask for more than messages may take" {
        set c [client3]
        resp::send $c SUBSCRIBE a
        set big [random_bytes 5000000]
        r TQ.PUT p k FIELDS 1 f $big
        resp::send_all $c [lrepeat 5 {TQ.MGET p KEYS 1 k FIELDS 1 f}]
        barrier
        assert_equal 1 [r PUBLISH a x]
        foreach i [range 1 5] { assert_equal 5000000 [string length [lindex [resp::receive $c] 0 0]] }
        assert_equal {{subscribe a 1} {message a x}} [told $c]
    }

    test "one that does not read its messages is cut all the same" {
        set deaf [client3]
        resp::send $deaf SUBSCRIBE a
        told $deaf
        set message [random_bytes 100000]
        set n 0
        while {[r PUBLISH a $message]} { assert {[incr n] < 2000} "it was never cut" }
        assert {$n > 9}
    }
}

start_own_server {timeout 1} {
    test "timeout: a subscriber is not idle" {
        set c [subscriber a]
        set idle [client]
        $idle PING
        assert_equal "" [assert_closed $idle]
        assert_equal {pong {}} [$c PING]
    }
}

start_own_server {notify-events yes} {
    test "a write tells how many samples have the field" {
        set c [subscriber __tq__:p]
        r TQ.PUT p k1 FIELDS 1 f v
        assert_equal {array {{bulk message} {bulk __tq__:p} {bulk {field f produced 1}}}} \
            [resp::receive_typed $c]
        r TQ.PUT p k2 FIELDS 2 f v g v
        assert_equal {{field f produced 2} {field g produced 1}} [heard $c 2]
        r TQ.PUT p k2 FIELDS 1 f other
        assert_equal {{field f produced 2}} [heard $c 1]
        r TQ.MPUT p KEYS 3 k1 k3 k4 COLUMNS 1 h u8 "" abc
        assert_equal {{field h produced 3}} [heard $c 1]
        r TQ.CLEAR p FIELDS 1 h
        assert_equal {{field h produced 0}} [heard $c 1]
    }

    test "what changes no field tells of none" {
        set c [subscriber __tq__:p]
        r TQ.PUT p k TAGS 1 t x
        r TQ.PUT p k XX FIELDS 1 f v
        r TQ.PUT p k NX FIELDS 1 f w
        take p t 1
        r TQ.RESET p
        r TQ.CLEAR p TAGS 1 t
        r TQ.PUT q k FIELDS 1 f v
        assert_error "ERR *" {r TQ.PUT p k FIELDS 1 @f v}
        r PUBLISH __tq__:p end
        assert_equal {{field f produced 1} end} [heard $c 2]
    }

    test "what a turn does to a field is told once, with the count at its end" {
        set c [subscriber __tq__:p]
        resp::send_all [r] {MULTI {TQ.PUT p k1 FIELDS 2 f v g v} {TQ.PUT p k2 FIELDS 1 f v}
            {TQ.PUT p k3 FIELDS 1 f v} {TQ.PUT q k1 FIELDS 1 f v} {TQ.SEAL p} EXEC}
        foreach i [range 1 6] { resp::receive [r] }
        assert_equal {1 1 1 1 OK} [resp::receive [r]]
        r PUBLISH __tq__:p end
        assert_equal {{field f produced 3} {field g produced 1} sealed end} [heard $c 4]
    }

    test "events of a turn go out with its replies" {
        set c [client3]
        resp::send $c SUBSCRIBE __tq__:p
        told $c
        assert_equal 1 [$c TQ.PUT p k FIELDS 1 f v]
        assert_equal {{message __tq__:p {field f produced 1}}} [told $c]
    }

    test "sealed, and complete when all samples have all fields" {
        set c [subscriber __tq__:p]
        r TQ.PUT p k1 FIELDS 2 f v g v
        r TQ.PUT p k2 FIELDS 1 f v
        r TQ.SEAL p
        assert_equal {{field f produced 1} {field g produced 1} {field f produced 2} sealed} [heard $c 4]
        r TQ.PUT p k2 FIELDS 1 g v
        assert_equal {{field g produced 2} complete} [heard $c 2]
        r TQ.PUT p k2 FIELDS 1 g w
        r PUBLISH __tq__:p end
        assert_equal {{field g produced 2} end} [heard $c 2]
    }

    test "a new field makes a partition incomplete, and complete again" {
        set c [subscriber __tq__:p]
        r TQ.PUT p k1 FIELDS 1 f v
        r TQ.PUT p k2 FIELDS 1 f v
        r TQ.SEAL p
        assert_equal {{field f produced 1} {field f produced 2} sealed complete} [heard $c 4]
        r TQ.PUT p k1 FIELDS 1 g v
        r TQ.PUT p k2 FIELDS 1 g v
        assert_equal {{field g produced 1} {field g produced 2} complete} [heard $c 3]
        r TQ.CLEAR p KEYS 1 k1 FIELDS 1 g
        r TQ.CLEAR p KEYS 1 k1
        assert_equal {{field g produced 1} complete} [heard $c 2]
    }

    test "complete when the expected number was written" {
        set c [subscriber __tq__:p]
        r TQ.EXPECT p 2
        r TQ.PUT p k1 FIELDS 1 f v
        r TQ.PUT p k2 FIELDS 1 f v
        assert_equal {{field f produced 1} {field f produced 2} complete} [heard $c 3]
        r TQ.PUT q k1 FIELDS 1 f v
        set d [subscriber __tq__:q]
        r TQ.EXPECT q 1
        assert_equal complete [heard $d 1]
    }

    test "an empty sealed partition is complete" {
        set c [subscriber __tq__:p]
        r TQ.SEAL p
        assert_equal {sealed complete} [heard $c 2]
    }

    test "a partition that was dropped begins anew" {
        set c [subscriber __tq__:p]
        r TQ.SEAL p
        r DEL p
        r TQ.PUT p k FIELDS 1 f v
        r TQ.SEAL p
        assert_equal {sealed complete {field f produced 1} sealed complete} [heard $c 5]
        resp::send_all [r] {MULTI {TQ.PUT p k FIELDS 1 g v} {TQ.CLEAR p} {TQ.PUT p k FIELDS 1 h v} EXEC}
        foreach i [range 1 4] { resp::receive [r] }
        assert_equal {0 1 1} [resp::receive [r]]
        assert_equal {{field h produced 1}} [heard $c 1]
        resp::send_all [r] {MULTI {TQ.SEAL p} {DEL p} EXEC}
        foreach i [range 1 4] { resp::receive [r] }
        r PUBLISH __tq__:p end
        assert_equal end [heard $c 1]
    }

    test "a pattern hears all partitions, each on its own channel" {
        set c [psubscriber __tq__:train@*]
        r TQ.PUT train@1 k FIELDS 1 f v
        r TQ.PUT other k FIELDS 1 f v
        r TQ.SEAL train@2
        assert_equal {pmessage __tq__:train@* __tq__:train@1 {field f produced 1}} [resp::receive $c]
        assert_equal {pmessage __tq__:train@* __tq__:train@2 sealed} [resp::receive $c]
        assert_equal {pmessage __tq__:train@* __tq__:train@2 complete} [resp::receive $c]
    }

    test "who comes later hears complete with the next write, whoever listened to others before" {
        set other [subscriber elsewhere]
        r TQ.PUT p k FIELDS 1 f v
        r TQ.SEAL p
        set c [subscriber __tq__:p]
        take p t 1
        r TQ.PUT p k FIELDS 1 f w
        assert_equal {{field f produced 1} complete} [heard $c 2]
        resp::send $c UNSUBSCRIBE
        resp::receive $c
        r TQ.PUT p k FIELDS 1 g v
        r DEL p
        r TQ.PUT p k FIELDS 1 f v
        r TQ.SEAL p
        set d [subscriber __tq__:p]
        r TQ.PUT p k FIELDS 1 f w
        assert_equal {{field f produced 1} complete} [heard $d 2]
    }

    test "what was said before everyone left is forgotten" {
        set c [subscriber __tq__:p]
        r TQ.SEAL p
        assert_equal {sealed complete} [heard $c 2]
        resp::close $c
        wait_until {[r PUBSUB CHANNELS] eq {}}
        r DEL p
        set c [subscriber __tq__:p]
        r TQ.SEAL p
        assert_equal {sealed complete} [heard $c 2]
    }

    test "notify-events can be turned off and on while running" {
        set c [subscriber __tq__:p]
        r CONFIG SET notify-events no
        r TQ.PUT p k1 FIELDS 1 f v
        r CONFIG SET notify-events yes
        r TQ.PUT p k2 FIELDS 1 f v
        assert_equal {{field f produced 2}} [heard $c 1]
        assert_error "ERR *" {r CONFIG SET notify-events maybe}
    }

    test "events of very many fields and partitions" {
        set c [psubscriber *]
        set commands {}
        foreach i [range 1 300] {
            set fields {}
            foreach f [range 1 30] { lappend fields f$f v }
            lappend commands [list TQ.PUT p$i k FIELDS 30 {*}$fields]
        }
        pipeline [r] $commands
        assert_equal 9000 [llength [heard $c 9000]]
        r FLUSHALL
        assert_waiting $c
    }
}

start_server {} {
    test "without notify-events nothing is told" {
        assert_equal {notify-events no} [r CONFIG GET notify-events]
        set c [psubscriber *]
        r TQ.PUT p k FIELDS 1 f v
        r TQ.SEAL p
        r PUBLISH a end
        assert_equal end [heard $c 1]
    }
}
