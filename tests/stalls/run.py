#!/usr/bin/env python3
"""Measure how long a command holds the server: the longest wait of another client's PING.

    tests/stalls/run.py --server build/opt/src/tq-server [--samples 1000000] [--repeat 3] [--only TEXT]

Each case builds its partition anew for each repetition, then sends one command while a second
process sends PING after PING. The table shows the least of the repetitions' longest waits, in
milliseconds: a pause of the machine lengthens a repetition, never all of them. `took` is the
command's own time in that repetition. Needs Python 3 alone. The exit status is 0 whatever the figures are;
2 if a command of the table fails.
"""
import argparse
import functools
import multiprocessing
import os
import signal
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import Failure, Line, Server, request  # noqa: E402


class Client(Line):
    def __call__(self, *words):
        return self.call(*words)

    def pipeline(self, commands, window=500):
        """Send all commands; raises Failure where a reply is an error."""
        commands = iter(commands)
        while True:
            batch = [c for _, c in zip(range(window), commands)]
            if not batch:
                return
            self.take_replies(b"".join(request(*c) for c in batch), len(batch))

    def take_replies(self, requests, n=1):
        self.socket.sendall(requests)
        for reply in [self.reply() for _ in range(n)]:
            if isinstance(reply, Failure):
                raise reply


def ping(port, begun, stop, longest):
    """PING until told to stop; leaves the longest wait, in seconds."""
    client = Client(port)
    while not stop.is_set():
        start = time.monotonic()
        client("PING")
        longest.value = max(longest.value, time.monotonic() - start)
        begun.set()


BATCH = 10000


@functools.lru_cache(maxsize=2)
def filling(n, partition, group):
    """The requests of fill(), made once."""
    requests = []
    for at in range(0, n, BATCH):
        m = min(BATCH, n - at)
        words = ["TQ.MPUT", partition, "KEYS", m, *("k%d" % i for i in range(at, at + m))]
        if group:
            words += ["GROUPS", group, *("g%d" % (i // group) for i in range(at, at + m))]
        words += ["TAGS", 2, "v", *(i % 1000 for i in range(at, at + m)),
                  "w", *(int(i % 10000 == 0) for i in range(at, at + m))]
        words += ["COLUMNS", 1, "x", "f32", "", struct.pack("<f", 1.0) * m]
        requests.append(request(*words))
    return requests


def fill(client, n, partition="p", group=0):
    """n samples with an f32 field `x` and the tags `v` (0 to 999) and `w` (1 for one in 10,000)."""
    for batch in filling(n, partition, group):
        client.take_replies(batch)


def partitions(client, n):
    client.pipeline(["TQ.PUT", "q%d" % i, "k", "FIELDS", 1, "x:f32", b"\0\0\0\0"] for i in range(n))


def lease(client, ms):
    """Lease the oldest ready sample; returns the lease's id."""
    return client("TQ.SAMPLE", "p", "t", "COUNT", 1, "FIELDS", 1, "x", "LEASE", ms, "AS", "KEYS")[0]


def leases(client, n, end):
    """n leases of one sample each, that end at `end` (of time.monotonic)."""
    for at in range(0, n, 500):
        ms = max(1, int((end - time.monotonic()) * 1000))
        command = ["TQ.SAMPLE", "p", "t", "COUNT", 1, "FIELDS", 1, "x", "LEASE", ms, "AS", "KEYS"]
        client.pipeline([command] * min(500, n - at))


def samples(client, n):
    fill(client, n)


def indexed(client, n):
    client("TQ.CREATE", "p", "INDEX", 3, "v", "w", "v^1")
    fill(client, n)


def indexed_half_consumed(client, n):
    """The task has consumed the upper half of `v`."""
    indexed(client, n)
    client("TQ.SAMPLE", "p", "t", "COUNT", n, "ATLEAST", 1, "FIELDS", 1, "x", "WHERE", 1, "v", ">=", 500,
           "AS", "KEYS")


def one_group(client, n):
    fill(client, 65536, group=65536)
    fill(client, n, partition="beside")


def with_leases(client, n):
    fill(client, n)
    client.oldest = lease(client, 600000)
    leases(client, min(n, 400000) - 1, time.monotonic() + 600)


def ending_leases(client, n):
    fill(client, n)
    client.ready = n
    leases(client, min(n, 400000), time.monotonic() + 5 + min(n, 400000) / 10000)


def wait_for_ends(client):
    """Until all leases have ended, of which none may have ended before."""
    if client("TQ.COUNT", "p", "FIELDS", 1, "x", "TASK", "t") > client.ready - min(client.ready, 400000):
        raise Failure("leases ended before the measurement began: the machine is too slow")
    while client("TQ.COUNT", "p", "FIELDS", 1, "x", "TASK", "t") < client.ready:
        time.sleep(0.02)


def indexed_checkpointed(client, n):
    indexed(client, n)
    client("TQ.CHECKPOINT", "c")
    client("FLUSHALL")


def wait_for_indexes(*command):
    """Send the command, and wait until the indexes of `p` are complete."""
    def run(client):
        client(*command)
        while not all(dict(zip(index[::2], index[1::2]))[b"complete"]
                      for index in status(client)[b"indexes"][1::2]):
            time.sleep(0.01)
    return run


def status(client):
    words = client("TQ.STATUS", "p")
    return dict(zip(words[::2], words[1::2]))


def consumed(client, n):
    fill(client, n)
    for at in range(0, n, BATCH):
        client("TQ.SAMPLE", "p", "t", "COUNT", min(BATCH, n - at), "FIELDS", 1, "x", "AS", "KEYS")


def ranked(client, n):
    fill(client, n)
    for batch in range(1000):
        client("TQ.SAMPLE", "p", "t", "COUNT", 8, "FIELDS", 1, "x", "RANK", 0, "BATCH", batch,
               "AS", "KEYS")


def retiring_ranks(client, n):
    """1,000 batches that the rank is not done with."""
    client("TQ.CREATE", "p", "RETIRE", 1, "t")
    fill(client, n)
    for batch in range(1, 1001):
        client("TQ.SAMPLE", "p", "t", "COUNT", 8, "FIELDS", 1, "x", "RANK", 0, "BATCH", batch,
               "DONE", 0, "AS", "KEYS")


def retiring(client, n):
    client("TQ.CREATE", "p", "RETIRE", 1, "t")
    fill(client, n)


def checkpointed(client, n):
    fill(client, n)
    client("TQ.CHECKPOINT", "c")
    client("FLUSHALL")


def take(*rest, count=1000):
    return ["TQ.SAMPLE", "p", "t", "COUNT", count, "FIELDS", 1, "x", *rest]


def keys(n, fmt="k%d"):
    return ["KEYS", n, *(fmt % i for i in range(n))]


def names(n):
    return max(1, min(100000, n // 10))


# The command of a case: a list of words, or a function of the client that returns one, or that returns
# None when what is measured has happened.
def cases(n):
    column = struct.pack("<f", 2.0) * BATCH
    return [
        ("(idle)", samples, ["PING"]),
        ("TQ.PUT", samples, ["TQ.PUT", "p", "new", "FIELDS", 1, "x:f32", b"\0\0\0\0"]),
        ("TQ.MPUT 10,000", samples, ["TQ.MPUT", "p", *keys(BATCH, "n%d"), "COLUMNS", 1, "x", "f32", "",
                                     column]),
        ("TQ.MGET 10,000", samples, ["TQ.MGET", "p", *keys(BATCH), "AS", "COLUMNS"]),
        ("TQ.LIST of %d partitions" % names(n), lambda c, _: partitions(c, names(n)),
         ["TQ.LIST"]),
        ("KEYS * of %d partitions" % names(n), lambda c, _: partitions(c, names(n)),
         ["KEYS", "*"]),
        ("TQ.LIST MATCH, COUNT 10,000", samples,
         ["TQ.LIST", "p", "COUNT", 10000, "MATCH", "*" + "a*" * 500 + "z"]),
        ("TQ.LIST WHERE, COUNT 10,000", samples,
         ["TQ.LIST", "p", "COUNT", 10000, "WHERE", 1, "v", "=", "-1"]),
        ("TQ.COUNT", samples, ["TQ.COUNT", "p"]),
        ("TQ.COUNT FIELDS TASK", samples, ["TQ.COUNT", "p", "FIELDS", 1, "x", "TASK", "t"]),
        ("TQ.COUNT WHERE", samples, ["TQ.COUNT", "p", "WHERE", 1, "v", "<", "-1"]),
        ("TQ.COUNT WHERE, INDEX", indexed, ["TQ.COUNT", "p", "WHERE", 1, "v", "<", "500"]),
        ("TQ.COUNT WHERE TASK, INDEX, one of 1,000", indexed,
         ["TQ.COUNT", "p", "TASK", "t", "WHERE", 1, "v", "=", "5"]),
        ("TQ.SAMPLE WHERE, INDEX, one of 10,000", indexed, take("WHERE", 1, "w", "=", "1", count=10)),
        ("TQ.SAMPLE BY MAX WHERE, INDEX", indexed, take("BY", "MAX", "v", "WHERE", 1, "w", "=", "0")),
        ("TQ.CLEAR WHERE, INDEX, one of 10,000", indexed, ["TQ.CLEAR", "p", "WHERE", 1, "w", "=", "1"]),
        ("TQ.SCHEMA", samples, ["TQ.SCHEMA", "p"]),
        ("TQ.STATUS", samples, ["TQ.STATUS", "p"]),
        ("INFO everything", samples, ["INFO", "everything"]),
        ("TQ.SAMPLE", samples, take()),
        ("TQ.SAMPLE of 10,000", samples, take("AS", "KEYS", count=10000)),
        ("TQ.SAMPLE, almost all consumed", consumed, take(count=1)),
        ("TQ.SAMPLE WHERE, one of 10,000", samples, take("WHERE", 1, "w", "=", "1", count=10)),
        ("TQ.SAMPLE WHERE, none", samples, take("WHERE", 1, "v", "=", "-1")),
        ("TQ.SAMPLE BY LIFO", samples, take("BY", "LIFO")),
        ("TQ.SAMPLE BY RANDOM", samples, take("BY", "RANDOM")),
        ("TQ.SAMPLE BY RANDOM WHERE", samples, take("BY", "RANDOM", "WHERE", 1, "v", ">", "1")),
        ("TQ.SAMPLE BY MAX", samples, take("BY", "MAX", "v")),
        ("TQ.SAMPLE BY MIN", samples, take("BY", "MIN", "v")),
        ("TQ.SAMPLE BY MAX, INDEX", indexed, take("BY", "MAX", "v")),
        ("TQ.SAMPLE BY MIN, INDEX", indexed, take("BY", "MIN", "v")),
        ("TQ.SAMPLE BY MAX, INDEX, top half consumed", indexed_half_consumed, take("BY", "MAX", "v")),
        ("TQ.SAMPLE BY PRIORITY, INDEX", indexed, take("BY", "PRIORITY", "v")),
        ("TQ.SAMPLE BY PRIORITY, INDEX, top half consumed", indexed_half_consumed,
         take("BY", "PRIORITY", "v")),
        ("TQ.ALTER INDEX of tag^p, until it is complete", samples,
         wait_for_indexes("TQ.ALTER", "p", "INDEX", 1, "v^2")),
        ("TQ.ALTER INDEX, until it is complete", samples,
         wait_for_indexes("TQ.ALTER", "p", "INDEX", 1, "v")),
        ("TQ.ALTER INDEX 0", indexed, ["TQ.ALTER", "p", "INDEX", 0]),
        ("TQ.SAMPLE BY PRIORITY", samples, take("BY", "PRIORITY", "v")),
        ("TQ.SAMPLE BY BALANCED, 8 ranks", samples,
         take("BY", "BALANCED", "v", 8, "RANK", 0, "BATCH", 0)),
        ("TQ.SAMPLE BY BALANCED, 65,536 ranks", samples,
         take("BY", "BALANCED", "v", min(n, 65536), "RANK", 0, "BATCH", 0, "AS", "KEYS", count=1)),
        ("TQ.SAMPLE BY GROUP 8", samples, take("BY", "GROUP", 8, "AS", "KEYS", count=10000)),
        ("TQ.SAMPLE BY GROUP of 65,536", one_group, take("BY", "GROUP", "AS", "KEYS", count=65536)),
        ("TQ.SAMPLE that RETIREs 10,000", retiring, take("AS", "KEYS", count=10000)),
        ("TQ.ACK of the oldest of 400,000 leases", with_leases,
         lambda c: ["TQ.ACK", "p", "t", c.oldest]),
        ("TQ.NACK of the oldest of 400,000 leases", with_leases,
         lambda c: ["TQ.NACK", "p", "t", c.oldest]),
        ("TQ.EXTEND of the oldest of 400,000 leases", with_leases,
         lambda c: ["TQ.EXTEND", "p", "t", c.oldest, 900000]),
        ("(400,000 leases end together)", ending_leases, wait_for_ends),
        ("TQ.RESET of 400,000 leases", with_leases, ["TQ.RESET", "p", "TASK", "t"]),
        ("TQ.SAMPLE RANK, DONE with 1,000 batches, RETIRE", retiring_ranks,
         take("RANK", 0, "BATCH", 1001, "AS", "KEYS", count=8)),
        ("TQ.RESET", consumed, ["TQ.RESET", "p"]),
        ("TQ.RESET of 8,000 keys in 1,000 rank batches", ranked,
         ["TQ.RESET", "p", "TASK", "t", *keys(8000)]),
        ("TQ.CLEAR of 10,000 keys", samples, ["TQ.CLEAR", "p", *keys(BATCH)]),
        ("TQ.CLEAR of a group of 65,536, by WHERE", one_group,
         ["TQ.CLEAR", "p", "WHERE", 1, "v", ">=", "0"]),
        ("TQ.CLEAR WHERE, half", samples, ["TQ.CLEAR", "p", "WHERE", 1, "v", "<", "500"]),
        ("TQ.CLEAR FIELDS, all", samples, ["TQ.CLEAR", "p", "FIELDS", 1, "x"]),
        ("TQ.CLEAR TAGS, all", samples, ["TQ.CLEAR", "p", "TAGS", 1, "v"]),
        ("TQ.CLEAR of the partition", samples, ["TQ.CLEAR", "p"]),
        ("FLUSHALL of %d partitions" % names(n), lambda c, _: partitions(c, names(n)),
         ["FLUSHALL"]),
        ("TQ.CREATE OR ALTER", samples, ["TQ.CREATE", "p", "OR", "ALTER", "MAXSAMPLES", 2 * n]),
        ("TQ.ALTER MAXAHEAD", consumed, ["TQ.ALTER", "p", "MAXAHEAD", "t", 2 * n]),
        ("TQ.ALTER RETIRE", consumed, ["TQ.ALTER", "p", "RETIRE", 1, "t"]),
        ("TQ.EXPECT", samples, ["TQ.EXPECT", "p", n]),
        ("TQ.SEAL", samples, ["TQ.SEAL", "p"]),
        ("TQ.CHECKPOINT", samples, ["TQ.CHECKPOINT", "c"]),
        ("TQ.RESTORE", checkpointed, ["TQ.RESTORE", "c"]),
        ("TQ.RESTORE with three indexes, until they are complete", indexed_checkpointed,
         wait_for_indexes("TQ.RESTORE", "c")),
        ("BGSAVE", samples, ["BGSAVE"]),
        ("SAVE", samples, ["SAVE"]),
    ]


def measure(program, build, command, n):
    """(longest wait of a PING, time of the command), in seconds."""
    with tempfile.TemporaryDirectory(prefix="tq-stalls-") as directory, \
            Server(program, "--dir", directory, "--save", "") as server:
        client = Client(server.port)
        build(client, n)
        begun, stop = multiprocessing.Event(), multiprocessing.Event()
        longest = multiprocessing.Value("d", 0.0)
        pinger = multiprocessing.Process(target=ping, args=(server.port, begun, stop, longest))
        pinger.start()
        try:
            begun.wait()
            longest.value = 0.0
            start = time.monotonic()
            words = command(client) if callable(command) else command
            if words:
                client.take_replies(request(*words))
            took = time.monotonic() - start
            # What the command left to later turns counts as well.
            time.sleep(0.3)
        finally:
            stop.set()
            pinger.join()
            server.kill()
        return longest.value, took


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--samples", type=int, default=1000000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # unwinds, which stops the server
    print("| command, %d samples | longest wait of a PING, ms | took, ms |" % options.samples)
    print("| --- | --- | --- |")
    failed = False
    for name, build, command in cases(options.samples):
        if options.only not in name:
            continue
        try:
            wait, took = min(measure(options.server, build, command, options.samples)
                             for _ in range(options.repeat))
            print("| %s | %.1f | %.1f |" % (name, wait * 1e3, took * 1e3), flush=True)
        except Failure as error:
            failed = True
            print("| %s | failed: %s | |" % (name, error), flush=True)
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
