# Bytes for tests: packing values the way tq stores them, random bytes, text as UTF-8, and a
# reader for JSON lines.

# Milliseconds after which a test gives up: on a reply, a condition, the start or the end of a server.
# No correct run comes near it, also on a slow machine; only a fault reaches it.
set patience 120000

# Text to the bytes that carry it.
proc utf8 {text} {
    return [encoding convertto utf-8 $text]
}

# Packed little-endian values: pack f32 0.5 1 → 8 bytes.
proc pack {dtype args} {
    set code [dict get {
        bool c u8 c i8 c u16 s i16 s u32 i i32 i u64 w i64 w f32 r f64 q
    } $dtype]
    set out ""
    foreach v $args {
        append out [binary format $code [expr {$code eq "w" ? wide_bits($v) : $v}]]
    }
    return $out
}

# An unsigned 64-bit number as the signed one with the same bits, as binary format wants it.
proc tcl::mathfunc::wide_bits {v} {
    return [expr {$v >= (1 << 63) ? $v - (1 << 64) : $v}]
}

proc unpack {dtype bytes} {
    set code [dict get {
        bool cu u8 cu i8 c u16 su i16 s u32 iu i32 i u64 wu i64 w f32 r f64 q
    } $dtype]
    binary scan $bytes ${code}* values
    return $values
}

# n bytes that look random and are the same in every run with the same seed. Beyond 64 KiB they
# repeat, but for a number at the head of each block, so that no two blocks are the same.
proc random_bytes {n {seed 1}} {
    set block 65536
    if {![info exists ::random_block($seed)]} {
        expr {srand($seed + 1)}
        set words {}
        for {set i 0} {$i < $block} {incr i 4} {
            lappend words [expr {int(rand() * 4294967296)}]
        }
        set ::random_block($seed) [binary format i* $words]
    }
    if {$n <= $block} {
        return [string range $::random_block($seed) 0 $n-1]
    }
    set out [binary format {}]
    for {set i 0} {$i * $block < $n} {incr i} {
        append out [binary format ii $seed $i] [string range $::random_block($seed) 8 end]
    }
    return [string range $out 0 $n-1]
}

# A number below n, from a generator that `seed_random` starts anew.
proc seed_random {seed} {
    set ::random_state [expr {($seed * 6364136223846793005 + 1442695040888963407)
                              & 0xffffffffffffffff}]
}
proc random_below {n} {
    set ::random_state [expr {($::random_state * 6364136223846793005 + 1442695040888963407)
                              & 0xffffffffffffffff}]
    return [expr {($::random_state >> 33) % $n}]
}
seed_random 1

# Runs a script in another directory: a program started there reaches a unix socket by its name alone,
# also where the whole path is longer than a socket's address.
proc in_directory {dir script} {
    set back [pwd]
    cd $dir
    try {
        return [uplevel 1 $script]
    } finally {
        cd $back
    }
}

# Readable form of bytes, for messages.
proc printable {bytes {limit 300}} {
    set out ""
    foreach ch [split [string range $bytes 0 $limit-1] ""] {
        scan $ch %c code
        append out [expr {$code >= 32 && $code < 127 ? $ch : [format "\\x%02x" $code]}]
    }
    if {[string length $bytes] > $limit} {
        append out "… ([string length $bytes] bytes)"
    }
    return $out
}

# The integers from..to.
proc range {from to} {
    set out {}
    for {set i $from} {$i <= $to} {incr i} {
        lappend out $i
    }
    return $out
}

# Names made of a prefix and a number: names k 1 3 → k1 k2 k3.
proc names {prefix from to} {
    set out {}
    foreach i [range $from $to] {
        lappend out $prefix$i
    }
    return $out
}

# ---------------------------------------------------------------- JSON

# One JSON value as Tcl data: objects are dicts, arrays lists, strings UTF-8 byte strings.
# `line` holds bytes, as read from a binary channel.
proc json_read {line} {
    set pos 0
    set value [json_value $line pos]
    if {[string trim [string range $line $pos end]] ne ""} {
        error "something follows the JSON value at byte $pos"
    }
    return $value
}

proc json_value {s posvar} {
    upvar 1 $posvar pos
    json_blank $s pos
    switch -exact -- [string index $s $pos] {
        \" { return [json_string $s pos] }
        \{ { return [json_members $s pos "\}" 1] }
        \[ { return [json_members $s pos "\]" 0] }
    }
    if {![regexp -start $pos {\A[-+0-9.eEa-z]+} $s word]} {
        error "no JSON value at byte $pos"
    }
    incr pos [string length $word]
    return $word
}

proc json_blank {s posvar} {
    upvar 1 $posvar pos
    while {[string is space -strict [string index $s $pos]]} {
        incr pos
    }
}

proc json_members {s posvar closer keyed} {
    upvar 1 $posvar pos
    incr pos
    set out {}
    while 1 {
        json_blank $s pos
        set ch [string index $s $pos]
        if {$ch eq $closer} {
            incr pos
            return $out
        }
        if {$ch eq "" || ($ch eq "," && ![llength $out])} {
            error "broken JSON at byte $pos"
        }
        if {$ch eq ","} {
            incr pos
            json_blank $s pos
        }
        if {$keyed} {
            lappend out [json_string $s pos]
            json_blank $s pos
            if {[string index $s $pos] ne ":"} {
                error "':' expected at byte $pos"
            }
            incr pos
        }
        lappend out [json_value $s pos]
    }
}

proc json_string {s posvar} {
    upvar 1 $posvar pos
    if {![regexp -start $pos {\A"((?:[^"\\]|\\.)*)"} $s whole body]} {
        error "a JSON string expected at byte $pos"
    }
    incr pos [string length $whole]
    if {[string first \\ $body] < 0} {
        return $body
    }
    set out ""
    set at 0
    while {[set i [string first \\ $body $at]] >= 0} {
        append out [string range $body $at $i-1]
        set ch [string index $body $i+1]
        set at [expr {$i + 2}]
        if {$ch eq "u"} {
            append out [json_escape $body at]
        } else {
            append out [string map {n \n t \t r \r b \b f \f} $ch]
        }
    }
    return [append out [string range $body $at end]]
}

# The bytes of a \uXXXX escape whose digits begin at `at`; a surrogate pair is one character.
proc json_escape {body atvar} {
    upvar 1 $atvar at
    scan [string range $body $at $at+3] %4x code
    incr at 4
    if {$code >= 0xd800 && $code < 0xdc00 && [string range $body $at $at+1] eq "\\u"} {
        scan [string range $body $at+2 $at+5] %4x low
        incr at 6
        set code [expr {0x10000 + (($code - 0xd800) << 10) + ($low - 0xdc00)}]
        return [binary format cccc [expr {0xf0 | $code >> 18}] [expr {0x80 | $code >> 12 & 0x3f}] \
                    [expr {0x80 | $code >> 6 & 0x3f}] [expr {0x80 | $code & 0x3f}]]
    }
    return [utf8 [format %c $code]]
}
