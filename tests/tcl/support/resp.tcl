# A RESP client for tests.
#
# It differs from the client a program would want in three ways. It can be impolite: raw bytes go
# out exactly as given, commands can be sent without reading and replies read without sending. It
# never hangs: every read gives up after ::patience milliseconds with an error. And it tells
# apart what a program would lump together: a nil is the word (nil), never an empty string, and
# `typed` shows every reply with the type it had on the wire.
#
#   set c [resp::open 127.0.0.1 7000]   a client is a command:  $c PING
#   resp::send $c PING                  send only;  resp::receive $c  reads one reply
#   resp::write_bytes $c "PING\r\n"     exactly these bytes
#
# Values are byte strings throughout: text beyond Latin-1 must be encoded first (utf8, util.tcl).
# The channel never blocks. What the server is not ready to take waits in the channel and is sent
# while this side waits for something, so that a long pipeline cannot lock both sides.

namespace eval resp {
    variable serial 0
    variable conn
    array set conn {}
    variable ready
    array set ready {}
}

proc resp::open {host port} {
    return [adopt [socket $host $port]]
}

# A unix socket, which Tcl has no words for: a relay process carries the bytes.
proc resp::open_unix {path} {
    set relay [file join $::tests_dir support unix-relay.pl]
    return [adopt [::open "|[list perl $relay $path]" r+]]
}

proc resp::adopt {chan} {
    variable conn
    variable serial
    fconfigure $chan -blocking 0 -translation binary -buffering full -buffersize 65536
    set c "conn-[incr serial]"
    set conn($c,chan) $chan
    set conn($c,buf) ""
    set conn($c,pos) 0
    set conn($c,pushes) {}
    interp alias {} ::$c {} ::resp::call $c
    return $c
}

proc resp::close {c} {
    variable conn
    variable ready
    if {![info exists conn($c,chan)]} {
        return
    }
    catch {::close $conn($c,chan)}
    array unset conn $c,*
    array unset ready $c
    interp alias {} ::$c {}
}

# The Tcl channel of a connection.
proc resp::channel {c} {
    variable conn
    return $conn($c,chan)
}

proc resp::is_open {c} {
    variable conn
    return [info exists conn($c,chan)]
}

# "address:port" of this client as the server sees it; empty over a unix socket.
proc resp::local_address {c} {
    variable conn
    if {[catch {fconfigure $conn($c,chan) -sockname} name]} {
        return ""
    }
    lassign $name host _ port
    return [expr {[string first : $host] >= 0 ? "\[$host\]:$port" : "$host:$port"}]
}

proc resp::encode {args} {
    set out "*[llength $args]\r\n"
    foreach arg $args {
        append out "\$[string length $arg]\r\n" $arg "\r\n"
    }
    return $out
}

proc resp::send {c args} {
    send_all $c [list $args]
}

# Several commands in as few packets as possible.
proc resp::send_all {c commands} {
    variable conn
    set chan $conn($c,chan)
    sending {
        foreach words $commands {
            puts -nonewline $chan "*[llength $words]\r\n"
            foreach word $words {
                set n [string length $word]
                if {$n < 4096 && [regexp {[^\u0000-\u00ff]} $word]} {
                    error "a word is not a byte string: $word"
                }
                puts -nonewline $chan "\$$n\r\n"
                puts -nonewline $chan $word
                puts -nonewline $chan "\r\n"
            }
        }
        flush $chan
    }
}

proc resp::write_bytes {c bytes} {
    variable conn
    set chan $conn($c,chan)
    sending { puts -nonewline $chan $bytes; flush $chan }
}

# Runs what writes to a channel; a connection that is gone is told as such.
proc resp::sending {script} {
    if {[catch {uplevel 1 $script} why how]} {
        if {[lindex [dict get $how -errorcode] 0] ne "POSIX"} {
            return -options $how $why
        }
        return -code error -errorcode {RESP CLOSED} "connection lost while sending: $why"
    }
}

proc resp::call {c args} {
    send $c {*}$args
    return [receive $c]
}

# One reply. An error reply becomes a Tcl error, its first word in the error code.
proc resp::receive {c} {
    return [reply $c 0]
}

# One reply with its types: {bulk x} {simple x} {int 1} {error {ERR no}} {nil $} {array {…}} …
# Errors come back as values.
proc resp::receive_typed {c} {
    return [reply $c 1]
}

proc resp::reply {c typed} {
    variable conn
    while 1 {
        set known [llength $conn($c,pushes)]
        set value [parse $c $typed]
        if {$conn($c,pos) == [string length $conn($c,buf)]} {
            set conn($c,buf) ""
            set conn($c,pos) 0
        }
        if {[llength $conn($c,pushes)] == $known} {
            return $value
        }
    }
}

# Out-of-band messages that came in between replies, oldest first; forgets them.
proc resp::pushes {c} {
    variable conn
    set all $conn($c,pushes)
    set conn($c,pushes) {}
    return $all
}

# n raw bytes as they came in.
proc resp::read_bytes {c n} {
    need $c $n
    return [take $c $n]
}

# Whether unread bytes are there now; looks, does not wait.
proc resp::has_input {c} {
    variable conn
    if {$conn($c,pos) < [string length $conn($c,buf)]} {
        return 1
    }
    if {[catch {read $conn($c,chan) 65536} data]} {
        return 1
    }
    append conn($c,buf) $data
    return [expr {$data ne "" || [eof $conn($c,chan)]}]
}

# Everything until the server closes the connection. Fails if it does not.
proc resp::read_to_end {c} {
    variable conn
    while {![catch {fill $c} why how]} {}
    if {[dict get $how -errorcode] ne "RESP CLOSED"} {
        return -options $how $why
    }
    set all [string range $conn($c,buf) $conn($c,pos) end]
    set conn($c,buf) ""
    set conn($c,pos) 0
    return $all
}

# ---------------------------------------------------------------- parsing

proc resp::parse {c typed} {
    set line [line $c]
    set rest [string range $line 1 end]
    switch -exact -- [string index $line 0] {
        + { return [show $typed simple $rest] }
        : { return [show $typed int [integer $rest]] }
        $ { return [bulk $c $typed bulk $rest] }
        * { return [aggregate $c $typed array $rest 1] }
        - { return [failure $typed $rest] }
        % { return [aggregate $c $typed map $rest 2] }
        ~ { return [aggregate $c $typed set $rest 1] }
        _ { return [expr {$typed ? {nil _} : "(nil)"}] }
        , { return [show $typed double $rest] }
        \# { return [show $typed bool [string equal $rest t]] }
        ( { return [show $typed big $rest] }
        = {
            set text [bulk $c 0 bulk $rest]
            return [show $typed verbatim [string range $text 4 end]]
        }
        ! { return [failure $typed [bulk $c 0 bulk $rest]] }
        | {
            aggregate $c $typed map $rest 2
            return [parse $c $typed]
        }
        > {
            variable conn
            lappend conn($c,pushes) [aggregate $c $typed push $rest 1]
            return
        }
    }
    error "not a RESP reply: [string range $line 0 60]"
}

proc resp::show {typed type value} {
    if {$typed} {
        return [list $type $value]
    }
    return $value
}

proc resp::failure {typed message} {
    if {$typed} {
        return [list error $message]
    }
    return -code error -errorcode [list RESP ERROR [lindex [split $message] 0]] $message
}

proc resp::integer {text} {
    if {![regexp {^-?[0-9]+$} $text]} {
        error "not a RESP integer: $text"
    }
    return $text
}

proc resp::bulk {c typed type length} {
    if {[integer $length] == -1} {
        return [expr {$typed ? {nil $} : "(nil)"}]
    }
    need $c [expr {$length + 2}]
    set value [take $c $length]
    if {[take $c 2] ne "\r\n"} {
        error "a bulk of $length bytes does not end in CRLF"
    }
    return [show $typed $type $value]
}

# An error inside an aggregate must not leave the rest of it unread: it is kept as a value.
proc resp::aggregate {c typed type length per} {
    if {[integer $length] == -1} {
        return [expr {$typed ? {nil *} : "(nil)"}]
    }
    set items {}
    for {set left [expr {$length * $per}]} {$left > 0} {incr left -1} {
        if {[catch {parse $c $typed} item how]} {
            if {[lindex [dict get $how -errorcode] 1] ne "ERROR"} {
                return -options $how $item
            }
            set item "(error) $item"
        }
        lappend items $item
    }
    return [show $typed $type $items]
}

# Lines are looked for in a small window, and emptiness is asked of lengths, so that a large buffer
# stays a byte array: comparing it with a string would make it a string, and appending to it slow.
proc resp::line {c} {
    variable conn
    set window 64
    while 1 {
        set from $conn($c,pos)
        set piece [string range $conn($c,buf) $from [expr {$from + $window - 1}]]
        set end [string first "\r\n" $piece]
        if {$end >= 0} {
            set conn($c,pos) [expr {$from + $end + 2}]
            return [string range $piece 0 [expr {$end - 1}]]
        }
        if {[string length $piece] < $window} {
            fill $c
        } else {
            set window [expr {$window * 4}]
        }
    }
}

proc resp::take {c n} {
    variable conn
    set from $conn($c,pos)
    set conn($c,pos) [expr {$from + $n}]
    return [string range $conn($c,buf) $from [expr {$from + $n - 1}]]
}

proc resp::need {c n} {
    variable conn
    while {[string length $conn($c,buf)] - $conn($c,pos) < $n} {
        fill $c
    }
}

# Waits for more bytes.
proc resp::fill {c} {
    variable conn
    set chan $conn($c,chan)
    if {$conn($c,pos) > 1048576} {
        set conn($c,buf) [string range $conn($c,buf) $conn($c,pos) end]
        set conn($c,pos) 0
    }
    set deadline [expr {[clock milliseconds] + $::patience}]
    while 1 {
        if {[catch {read $chan 1048576} data]} {
            return -code error -errorcode {RESP CLOSED} "connection lost: $data"
        }
        if {[string length $data]} {
            if {[string length $conn($c,buf)]} {
                append conn($c,buf) $data
            } else {
                set conn($c,buf) $data
            }
            return
        }
        if {[eof $chan]} {
            return -code error -errorcode {RESP CLOSED} "the server closed the connection"
        }
        if {![wait_readable $c [expr {$deadline - [clock milliseconds]}]]} {
            return -code error -errorcode {RESP TIMEOUT} "no reply within $::patience ms"
        }
    }
}

proc resp::wait_readable {c ms} {
    variable conn
    variable ready
    if {$ms <= 0} {
        return 0
    }
    set chan $conn($c,chan)
    fileevent $chan readable [list set ::resp::ready($c) 1]
    set timer [after $ms [list set ::resp::ready($c) 0]]
    vwait ::resp::ready($c)
    after cancel $timer
    fileevent $chan readable {}
    return $ready($c)
}
