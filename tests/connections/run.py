#!/usr/bin/python3
"""Ten thousand connections at once: each puts a sample and reads it back, none is refused, and what an
idle one costs in memory is measured.

    tests/connections/run.py --server PATH [--clients N]   ends with a line: N passed, N failed, N skipped

Where the system allows fewer open files, as many connections are made as it allows, and the test of the full
number counts as skipped."""

import argparse
import os
import re
import resource
import select
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import PATIENCE, Server, expect, request  # noqa: E402

RESERVED = 100  # descriptors for everything else
IDLE_MAX = 20 * 1024  # bytes a connection may cost


def call(port, *words):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(request(*words) + request("PING"))
        reply = b""
        while not reply.endswith(b"+PONG\r\n"):
            reply += s.recv(65536)
        return reply


def resident(port):
    return int(re.search(rb"used_memory_rss:(\d+)", call(port, "INFO", "memory")).group(1))


def converse(connections, messages, expected):
    """Sends each connection its message, then reads until all have had exactly what they expect."""
    poll = select.epoll()
    waiting = {}
    for i, s in enumerate(connections):
        s.setblocking(False)
        s.send(messages[i])
        waiting[s.fileno()] = [s, b"", expected[i]]
        poll.register(s.fileno(), select.EPOLLIN)
    while waiting:
        events = poll.poll(PATIENCE)
        if not events:
            raise AssertionError("%d connections still wait" % len(waiting))
        for fd, _ in events:
            s, got, wanted = waiting[fd]
            part = s.recv(65536)
            got += part
            if not part or not wanted.startswith(got):
                raise AssertionError("expected %r, got %r" % (wanted, got))
            waiting[fd][1] = got
            if got == wanted:
                poll.unregister(fd)
                del waiting[fd]


def campaign(port, n):
    before = resident(port)
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(n)]
    converse(connections, [request("PING")] * n, [b"+PONG\r\n"] * n)
    idle = (resident(port) - before) / n
    values = [b"value-%d" % i for i in range(n)]
    converse(connections,
             [request("TQ.PUT", "p", "k%d" % i, "FIELDS", 1, "f", values[i]) +
              request("TQ.MGET", "p", "KEYS", 1, "k%d" % i, "FIELDS", 1, "f") for i in range(n)],
             [b":1\r\n*1\r\n*1\r\n$%d\r\n%s\r\n" % (len(v), v) for v in values])
    used = (resident(port) - before) / n
    for s in connections:
        s.close()
    print("%d connections: %.0f bytes of memory each while idle, %.0f after a PUT and an MGET each"
          % (n, idle, used))
    if call(port, "TQ.COUNT", "p") != b":%d\r\n+PONG\r\n" % n:
        raise AssertionError("not every PUT has arrived")
    return idle


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--clients", type=int, default=10000)
    parser.add_argument("--any-memory", action="store_true",
                        help="don't judge memory: a sanitizer's allocator keeps what was freed")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    n = min(options.clients, hard - RESERVED)
    failed = 0
    try:
        with Server(options.server, clients=n) as server:
            idle = campaign(server.port, n)
        expect(options.any_memory or idle <= IDLE_MAX, "an idle connection costs %.0f bytes" % idle)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as e:
        print("FAILED", e)
        failed = 1
    full = n == options.clients
    print("%d passed, %d failed, %d skipped" % (full and not failed, failed, not full and not failed))
    return failed


if __name__ == "__main__":
    sys.exit(main())
