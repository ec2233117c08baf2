#!/usr/bin/python3
"""What taking promises when clients come and go: every sample once without leases, at least once and acknowledged
once with them, a dead consumer's samples to the next, waiters that cost the others nothing, and with ONCE every sample
once although replies are lost and the server is killed.

    tests/exactly_once/run.py --server PATH [--long | --small] [--seed S] [--test N]…
                                                 ends with a line: N passed, N failed, N skipped

One process is all producers, another all consumers, each with a connection for every one of them. Times are measured
and printed, not judged, but for what is far beyond any noise. The seed decides who does what; the kernel, when."""

import argparse
import multiprocessing
import os
import random
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import PATIENCE, Failure, Line, Server, expect, pairs, request  # noqa: E402

RESERVED = 100  # descriptors for everything else
TASKS = 4
PRODUCERS = 16
CONSUMERS = 16
GHOSTS = 6

# samples: of tests 1 and 2; kills: of test 3; waiters, partitions, puts, rounds: of test 4; patience: seconds
SMALL = dict(samples=8000, kills=2, waiters=500, partitions=50, puts=500, rounds=2, patience=PATIENCE)
DEFAULT = dict(samples=40000, kills=4, waiters=2000, partitions=200, puts=3000, rounds=5, patience=PATIENCE)
LONG = dict(samples=1000000, kills=20, waiters=10000, partitions=1000, puts=10000, rounds=9, patience=3600)


# ---------------------------------------------------------------- speaking

def parsed(lines, i):
    """The reply that begins at lines[i] and where the next one begins; IndexError where it is not whole. No bulk
    of these tests holds a line break, but INFO and CLIENT LIST, of which `call` knows."""
    line = lines[i]
    if i + 1 >= len(lines):
        raise IndexError
    kind, rest = line[:1], line[1:]
    if kind == b"*":
        n = int(rest)
        if n < 0:
            return None, i + 1
        out, i = [], i + 1
        end = i + 2 * n
        if n and end < len(lines) and lines[i:end:2] == [b"$%d" % len(v) for v in lines[i + 1:end:2]]:
            return lines[i + 1:end:2], end  # bulks only, as batches of keys are: no call for each
        for _ in range(n):
            value, i = parsed(lines, i)
            out.append(value)
        return out, i
    if kind == b"$":
        if rest == b"-1":
            return None, i + 1
        if i + 2 >= len(lines):
            raise IndexError
        return lines[i + 1], i + 2
    if kind == b":":
        return int(rest), i + 1
    if kind == b"-":
        return Failure(rest.decode()), i + 1
    expect(kind == b"+", "no reply begins with", line)
    return rest, i + 1


class Connection:
    """One request at a time, whose reply comes with `received` or, in one go, with `call`."""

    def __init__(self, port, *first):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        if first:
            self.call(*first)

    def send(self, *words):
        self.socket.sendall(request(*words))

    def received(self):
        """(reply,) when it has come whole, else None; reads once, so it waits only where there is nothing to read."""
        part = self.socket.recv(1 << 20)
        if not part:
            raise ConnectionError("the server closed the connection")
        self.pending += part
        if not self.pending.endswith(b"\r\n"):
            return None
        try:
            reply, _ = parsed(self.pending.split(b"\r\n"), 0)
        except IndexError:
            return None
        self.pending = b""
        return (reply,)

    def reply(self):
        while True:
            got = self.received()
            if got:
                return got[0]

    def call(self, *words):
        self.send(*words)
        reply = self.reply()
        if isinstance(reply, Failure):
            raise reply
        return reply

    def text(self, *words):
        """Of a command whose reply is a bulk of lines."""
        self.send(*words)
        got = b""
        while b"\r\n" not in got or len(got) < got.index(b"\r\n") + 4 + int(got[1:got.index(b"\r\n")]):
            part = self.socket.recv(1 << 20)
            expect(part, "the server closed the connection")
            got += part
        return got[got.index(b"\r\n") + 2:-2].decode()

    def vanish(self, chance):
        """Ends in one of the ways in which connections end."""
        way = chance.randrange(3)
        try:
            if way == 0:  # the reset of a machine that is no more
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif way == 1:
                self.socket.shutdown(chance.choice((socket.SHUT_WR, socket.SHUT_RDWR)))
        except OSError:
            pass
        self.socket.close()

    def close(self):
        self.socket.close()


def standing(connection, partition, task):
    """What TQ.STATUS says of a task: consumed and leased."""
    tasks = pairs(pairs(connection.call("TQ.STATUS", partition))[b"tasks"])
    if task.encode() not in tasks:
        return 0, 0
    row = pairs(tasks[task.encode()])
    return row[b"consumed"], row[b"leased"]


# ---------------------------------------------------------------- processes of their own

class Part:
    """A function in a process of its own. What it returns, or the failure it ends with, is what `result` gives."""

    def __init__(self, function, *args):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, args=(function, other) + args, daemon=True)
        self.process.start()
        other.close()

    @staticmethod
    def run(function, pipe, *args):
        try:
            pipe.send((function(pipe, *args), None))
        except Exception as e:  # whatever it is, it is told
            pipe.send((None, "%s: %s\n%s" % (type(e).__name__, e, traceback.format_exc())))

    def result(self, seconds):
        expect(self.pipe.poll(seconds), "no end after", seconds, "seconds")
        try:
            value, failure = self.pipe.recv()
        except EOFError:
            raise AssertionError("a process ended without a word")
        expect(failure is None, failure)
        self.process.join()
        return value

    def end(self):
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


# ---------------------------------------------------------------- 1 and 2: producers and consumers

def key(i):
    return b"k%d" % i


def writes(i, samples, chance):
    """Of the samples from i on: lists of requests in which the samples are written, each list for one producer to send in its order: batches,
    or single samples; field b with a, or after it."""
    while i < samples:
        n = min(samples - i, 1 if chance.random() < 0.2 else chance.randint(2, 200))
        keys = [key(k) for k in range(i, i + n)]
        values = [struct.pack("<q", k) for k in range(i, i + n)]
        apart = chance.random() < 0.3
        columns = [["a", "i64", b"", b"".join(values)], ["b", "i64", b"", b"".join(values)]]
        out = []
        for group in ([columns[:1], columns[1:]] if apart else [columns]):
            if n == 1:
                fields = [word for name, kind, _, value in group for word in ("%s:%s" % (name, kind), value)]
                out.append(request("TQ.PUT", "p", keys[0], "FIELDS", len(group), *fields))
            else:
                out.append(request("TQ.MPUT", "p", "KEYS", n, *keys, "COLUMNS", len(group),
                                   *[word for column in group for word in column]))
        yield out
        i += n


def produce(_, port, first, samples, seed, resend):
    """Writes the samples from the first on. Connections end between requests, and with `resend` also before their reply has come; then
    the request is sent once more, which must change nothing."""
    chance = random.Random(seed)
    work = writes(first, samples, chance)
    poll = select.epoll()
    producers = {}  # by descriptor: the connection, what it has still to send, the first of it being under way
    ends = 0

    def begin(connection, rest):
        producers[connection.socket.fileno()] = connection, rest
        poll.register(connection.socket.fileno(), select.EPOLLIN)
        connection.socket.sendall(rest[0])

    for _ in range(PRODUCERS):
        rest = next(work, None)
        if rest:
            begin(Connection(port), rest)
    while producers:
        for fd, _ in poll.poll():
            connection, rest = producers[fd]
            unread = resend and chance.random() < 0.03
            if not unread:
                got = connection.received()
                if not got:
                    continue
                expect(isinstance(got[0], int), "a write was answered with", got[0])
                rest = rest[1:] or next(work, None)
            poll.unregister(fd)
            del producers[fd]
            if not rest:
                connection.close()
                continue
            early = resend and chance.random() < 0.03
            if early:  # sent, and gone before the server may even have read it
                connection.socket.sendall(rest[0])
            if early or unread or chance.random() < 0.05:
                connection.vanish(chance)
                connection = Connection(port)
                ends += 1
            begin(connection, rest)
    return ends


class Ghosts:
    """Connections that park in BLOCK where they can take nothing before the stream is complete, and vanish. At the head of a
    consumers' queue they hold it up, and what is behind them has to go on when they are gone."""

    def __init__(self, port, samples, lease, chance):
        self.port, self.samples, self.lease, self.chance = port, samples, lease, chance
        self.parked = []  # when to vanish, connection
        self.seen = 0

    def haunt(self, now):
        for ghost in [g for g in self.parked if g[0] <= now]:
            self.parked.remove(ghost)
            ghost[1].vanish(self.chance)
        while len(self.parked) < GHOSTS:
            chance = self.chance
            task = "t%d" % chance.randrange(TASKS)
            count, fields, more = chance.randint(1, 100), fields_of(task), []
            kind = chance.randrange(4)
            if kind == 0:  # more than there are
                count = self.samples + 1
            elif kind == 1:
                task, count = "ghost", self.samples + 1
            elif kind == 2:  # a field that nobody produces
                fields = fields + ("never",)
            else:  # a condition that nothing meets
                more = ["WHERE", 1, "never", "=", 1]
            if self.lease:
                more += ["LEASE", self.lease]
            ghost = Connection(self.port)
            ghost.send("TQ.SAMPLE", "p", task, "COUNT", count, "FIELDS", len(fields), *fields, *more,
                       "BLOCK", 0, "AS", "KEYS")
            self.parked.append((now + chance.uniform(0, 0.02), ghost))
            self.seen += 1

    def end(self):
        for _, ghost in self.parked:
            ghost.vanish(self.chance)
        self.parked = []


def fields_of(task):
    return ("a",) if task in ("t0", "t1") else ("a", "b")


class Consumer:
    """Takes until the end of its stream; without leases. `step` sees a reply and says whether that was the end."""

    def __init__(self, port, task, tally, chance):
        self.port, self.task, self.tally, self.chance = port, task, tally, chance
        self.connection = Connection(port)
        self.ends = 0

    def renew(self):
        self.connection.vanish(self.chance)
        self.connection = Connection(self.port)
        self.ends += 1

    def take(self, *more):
        fields = fields_of(self.task)
        self.connection.send("TQ.SAMPLE", "p", self.task, "COUNT", self.chance.randint(1, 150),
                             "FIELDS", len(fields), *fields, "ATLEAST", 1, *more, "BLOCK", 0, "AS", "KEYS")

    def begin(self):
        self.take()

    def count(self, keys, tally):
        for k in keys:
            i = int(k[1:])
            if tally[i] < 255:
                tally[i] += 1

    def step(self, reply):
        expect(isinstance(reply, list), self.task, "was answered with", reply)
        if not reply:
            return True
        self.count(reply, self.tally.delivered)
        if self.chance.random() < 0.05:
            self.renew()
        self.begin()
        return False

    def late(self, now):
        """Called now and then; for who does things in its own time."""


class LeasingConsumer(Consumer):
    """Acknowledges most of what it gets; gives some back, comes too late, or vanishes: before the reply to SAMPLE
    has come, or with what it was given."""

    def __init__(self, port, task, tally, chance, lease):
        self.lease = lease
        self.held = None  # lease and keys
        self.doing = None  # the command whose reply is to come
        self.until = None  # when to go on
        super().__init__(port, task, tally, chance)

    def begin(self):
        self.doing, self.held, self.until = "take", None, None
        self.take("LEASE", self.lease)
        while self.chance.random() < 0.02:
            if self.chance.random() < 0.5:
                self.until = time.monotonic() + self.chance.uniform(0, 0.02)
                return
            self.renew()
            self.take("LEASE", self.lease)

    def late(self, now):
        if self.until is None or now < self.until:
            return
        self.until = None
        if self.doing == "take":  # whether or not the reply is on its way
            self.renew()
            self.begin()
        else:
            self.acknowledge()

    def acknowledge(self):
        self.doing = "ack"
        self.connection.send("TQ.ACK", "p", self.task, self.held[0])

    def step(self, reply):
        self.until = None
        if self.doing == "take":
            expect(isinstance(reply, list), self.task, "was answered with", reply)
            if not reply:
                return True
            lease, keys = self.held = reply
            self.count(keys, self.tally.delivered)
            what = self.chance.random()
            if what < 0.03:
                self.renew()
                self.begin()
            elif what < 0.06:
                self.doing = "nack"
                self.connection.send("TQ.NACK", "p", self.task, lease)
            elif what < 0.09:
                back = self.chance.sample(keys, self.chance.randint(1, len(keys)))
                rest = set(back)
                self.held = lease, [k for k in keys if k not in rest], len(back)
                self.doing = "nack some"
                self.connection.send("TQ.NACK", "p", self.task, lease, "KEYS", len(back), *back)
            elif what < 0.12:
                self.doing = "extend"
                self.connection.send("TQ.EXTEND", "p", self.task, lease, self.chance.randint(1, 2 * self.lease))
            elif what < 0.13:  # about when it ends
                self.doing = "dawdle"
                self.until = time.monotonic() + self.lease * self.chance.uniform(0.8, 1.2) / 1000
            else:
                self.acknowledge()
            return False
        if isinstance(reply, Failure):  # too late: the samples are someone else's
            expect(str(reply).startswith("NOLEASE "), self.doing, "was answered with", reply)
            self.tally.lost += 1
            self.begin()
        elif self.doing == "ack":
            expect(reply == len(self.held[1]), "ACK of", len(self.held[1]), "was answered with", reply)
            self.count(self.held[1], self.tally.acknowledged)
            self.begin()
        elif self.doing == "nack":
            expect(reply == len(self.held[1]), "NACK of", len(self.held[1]), "was answered with", reply)
            self.begin()
        elif self.doing == "nack some":
            expect(reply == self.held[2], "NACK of", self.held[2], "was answered with", reply)
            if self.held[1]:
                self.acknowledge()
            else:
                self.begin()
        else:
            expect(self.doing == "extend", "a reply while doing", self.doing)
            expect(reply == len(self.held[1]), "EXTEND of", len(self.held[1]), "was answered with", reply)
            self.acknowledge()
        return False


class Tally:
    def __init__(self, samples):
        self.delivered = bytearray(samples)
        self.acknowledged = bytearray(samples)
        self.lost = 0


def consume(pipe, port, samples, seed, lease):
    """Takes everything, and says over the pipe when, being told to, it has no ghosts any more."""
    chance = random.Random(seed)
    tallies = ["t%d" % t for t in range(TASKS)]
    tallies = {task: Tally(samples) for task in tallies}
    ghosts = Ghosts(port, samples, lease, chance)
    poll = select.epoll()
    poll.register(pipe.fileno(), select.EPOLLIN)
    consumers = {}

    def register(consumer):
        consumers[consumer.connection.socket.fileno()] = consumer
        poll.register(consumer.connection.socket.fileno(), select.EPOLLIN)

    def turn(fd, consumer, act, *args):
        """Lets it do something after which it may have another connection, or be done."""
        was = consumer.connection
        poll.unregister(fd)
        del consumers[fd]
        if not act(*args):
            register(consumer)
        else:
            was.close()
            done.append(consumer)

    done, haunted = [], True
    for i in range(CONSUMERS):
        args = port, "t%d" % (i % TASKS), tallies["t%d" % (i % TASKS)], chance
        consumer = LeasingConsumer(*args, lease) if lease else Consumer(*args)
        consumer.begin()
        register(consumer)
    while consumers:
        now = time.monotonic()
        if haunted:
            ghosts.haunt(now)
        for fd, consumer in list(consumers.items()):
            turn_due = getattr(consumer, "until", None)
            if turn_due is not None and turn_due <= now:
                turn(fd, consumer, consumer.late, now)
        for fd, _ in poll.poll(0.005):
            if fd == pipe.fileno():
                pipe.recv()
                ghosts.end()
                haunted = False
                pipe.send(ghosts.seen)
            elif fd in consumers:
                consumer = consumers[fd]
                if getattr(consumer, "doing", None) == "dawdle":
                    raise AssertionError("something was said to a consumer that asked nothing")
                got = consumer.connection.received()
                if got:
                    turn(fd, consumer, consumer.step, got[0])
    return tallies, sum(consumer.ends for consumer in done)


def info(connection, section, name):
    for line in connection.text("INFO", section).split("\r\n"):
        if line.startswith(name + ":"):
            return int(line.split(":")[1])
    raise AssertionError("INFO says nothing of " + name)


def settle(port, control, samples):
    """Waits until the consumers have had all that is there, wait again, and nobody else is connected. A connection made now is
    accepted after those that have vanished before they were."""
    last = Connection(port, "PING")
    end = time.monotonic() + PATIENCE
    while True:
        tasks = [standing(control, "p", "t%d" % t) for t in range(TASKS)]
        state = tasks, info(control, "clients", "blocked_clients"), info(control, "clients", "connected_clients")
        if state == ([(samples, 0)] * TASKS, CONSUMERS, CONSUMERS + 2):
            break
        expect(time.monotonic() < end, "of", samples, "the tasks have had and lease", tasks, "with %d of %d clients waiting"
               % state[1:])
        time.sleep(0.02)
    last.close()


def stream(options, lease):
    """Producers, consumers and ghosts at once, then, without ghosts, the last samples and the end of the stream: whoever is
    parked when it comes is given what remains, whatever it asked for."""
    samples, patience = options.samples, options.patience
    most = samples - samples // 8
    began = time.monotonic()
    with Server(options.server) as server:
        control = Connection(server.port)
        if not lease:
            control.call("TQ.EXPECT", "p", samples)
        parts = [Part(consume, server.port, samples, "%d consumers %d" % (options.seed, lease), lease)]
        consumers = parts[0]

        def write(first, end):
            parts.append(Part(produce, server.port, first, end, "%d producers %d %d" % (options.seed, lease, first),
                              lease > 0))
            return parts[-1].result(patience)

        def said():
            expect(consumers.pipe.poll(PATIENCE), "the consumers have stopped")
            value = consumers.pipe.recv()
            if isinstance(value, tuple):
                raise AssertionError(value[1] or "a stream ended too early")
            return value

        try:
            producer_ends = write(0, most)
            consumers.pipe.send("no ghosts")
            ghosts = said()
            settle(server.port, control, most)
            expect(standing(control, "p", "ghost") == (0, 0), "the ghosts have", standing(control, "p", "ghost"))
            producer_ends += write(most, samples)
            if lease:
                control.call("TQ.SEAL", "p")
            tallies, consumer_ends = consumers.result(patience)
        finally:
            for part in parts:
                part.end()
        seconds = time.monotonic() - began
        for task, tally in tallies.items():
            missing = sum(1 for n in tally.delivered if n == 0)
            expect(not missing, task, "never got", missing, "samples")
            once = tally.acknowledged if lease else tally.delivered
            wrong = [(i, n) for i, n in enumerate(once) if n != 1]
            expect(not wrong, task, "had" if not lease else "acknowledged", len(wrong), "samples not once:", wrong[:10])
            expect(standing(control, "p", task) == (samples, 0), task, "stands at", standing(control, "p", task))
        expect(control.call("TQ.COUNT", "p") == samples, "not every sample is there")
        expect(control.call("TQ.LEASES", "p") == [], "leases are left")
        control.close()
    print("  %d samples, %d tasks, %.1f s; connections ended: %d of producers, %d of consumers, %d that waited"
          % (samples, TASKS, seconds, producer_ends, consumer_ends, ghosts))
    if lease:
        again = sum(sum(tally.delivered) for tally in tallies.values()) - TASKS * samples
        print("  delivered again: %d; leases that had run out: %d" % (again, sum(t.lost for t in tallies.values())))


def test_once(options):
    stream(options, 0)


def test_leases(options):
    stream(options, 300)


# ---------------------------------------------------------------- 3: kill -9

def hold(pipe, port, count, lease):
    """Takes with a lease, says when, and holds it until it is killed."""
    connection = Connection(port)
    asked = time.monotonic()
    _, keys = connection.call("TQ.SAMPLE", "p", "t", "COUNT", count, "FIELDS", 1, "f", "LEASE", lease, "AS", "KEYS")
    pipe.send((asked, time.monotonic(), keys))
    signal.pause()


def test_kill(options):
    count, lease = 1000, 500
    late, slept = [], []

    def sleep():
        """How late a sleep as long as the lease ends on this machine, now."""
        began = time.monotonic()
        time.sleep(lease / 1000)
        slept.append((time.monotonic() - began) * 1000 - lease)

    with Server(options.server) as server:
        control = Connection(server.port)
        for round_ in range(options.kills):
            keys = [b"s%d-%d" % (round_, i) for i in range(count)]
            control.call("TQ.MPUT", "p", "KEYS", count, *keys, "COLUMNS", 1, "f", "u8", b"", bytes(count))
            holder = Part(hold, server.port, count, lease)
            expect(holder.pipe.poll(PATIENCE), "the consumer got nothing")
            asked, answered, held = holder.pipe.recv()
            expect(asked is not None, answered)
            expect(held == keys, "the consumer did not get all of them in order")
            waiter = Connection(server.port)
            waiter.send("TQ.SAMPLE", "p", "t", "COUNT", count, "FIELDS", 1, "f", "LEASE", 60000, "BLOCK", 0, "AS", "KEYS")
            os.kill(holder.process.pid, signal.SIGKILL)
            holder.process.join()
            sleeper = threading.Thread(target=sleep)
            sleeper.start()
            waiter.socket.settimeout(PATIENCE)
            got = None
            while not got:
                got = waiter.received()
            came = time.monotonic()
            id_, taken = got[0]
            expect(taken == keys, "they did not come back whole and in order")
            # The lease began between the request and its reply; lateness is counted from the earliest it can have.
            expect(came >= asked + lease / 1000 - 0.002, "they came", asked + lease / 1000 - came, "s too early")
            late.append((came - asked) * 1000 - lease)
            expect(waiter.call("TQ.ACK", "p", "t", id_) == count, "they cannot be acknowledged")
            waiter.close()
            sleeper.join()
        expect(standing(control, "p", "t") == (count * options.kills, 0), "stands at", standing(control, "p", "t"))
        control.close()
    for what, times in ("%d samples came after the lease's end" % count, late), ("a bare sleep beside it was late", slept):
        print("  %s: median %.1f ms, at most %.1f ms (%d times)"
              % (what, statistics.median(times), max(times), len(times)))


# ---------------------------------------------------------------- 4: many waiters

def blocked(control):
    return info(control, "clients", "blocked_clients")


def puts(server, connection, messages, expected):
    """Processor time of the server, in µs a PUT, for PUTs that make samples: sent at once, and one by one."""
    out = []
    for pipelined in (True, False):
        connection.call("TQ.CLEAR", "other")
        before = server.cpu()
        if pipelined:
            connection.socket.sendall(b"".join(messages))
            left = len(messages) * len(expected)
            while left:
                part = connection.socket.recv(min(left, 1 << 16))
                expect(part, "the server closed the connection")
                left -= len(part)
        else:
            for message in messages:
                connection.socket.sendall(message)
                got = connection.socket.recv(100)
                expect(got == expected, "a PUT was answered with", got)
        out.append((server.cpu() - before) / len(messages) * 1e6)
        expect(connection.call("TQ.COUNT", "other") == len(messages), "not every PUT has arrived")
    return out


def test_waiters(options):
    n = options.waiters
    each = n // options.partitions
    parking = [request("TQ.SAMPLE", "w%d" % (i // each), "t", "COUNT", 1, "FIELDS", 1, "f", "BLOCK", 0, "AS", "KEYS")
               for i in range(n)]
    messages = [request("TQ.PUT", "other", "key%d" % i, "FIELDS", 1, "f", b"x" * 16) for i in range(options.puts)]
    without, with_ = [], []
    with Server(options.server, clients=n) as server:
        control, writer = Connection(server.port), Connection(server.port)
        waiters = [Connection(server.port) for _ in range(n)]
        poll = select.epoll()
        for waiter in waiters:
            poll.register(waiter.socket.fileno(), select.EPOLLIN)
        number = {waiter.socket.fileno(): i for i, waiter in enumerate(waiters)}
        puts(server, writer, messages, b":1\r\n")  # so that it has the memory
        for round_ in range(options.rounds):
            without.append(puts(server, writer, messages, b":1\r\n"))
            for i, waiter in enumerate(waiters):
                waiter.socket.sendall(parking[i])
            end = time.monotonic() + PATIENCE
            while blocked(control) < n:
                expect(time.monotonic() < end, "only", blocked(control), "of", n, "wait")
                time.sleep(0.05)
            with_.append(puts(server, writer, messages, b":1\r\n"))
            expect(blocked(control) == n and not poll.poll(0), "a waiter was woken by another partition's writes")
            # Half of a partition's waiters first, then the others: those who came first, in order.
            served = []
            for some in (range(each // 2), range(each // 2, each)):
                for p in range(options.partitions):
                    if len(some):
                        keys = ["%d-%d" % (round_, i) for i in some]
                        control.call("TQ.MPUT", "w%d" % p, "KEYS", len(keys), *keys,
                                     "COLUMNS", 1, "f", "u8", b"", bytes(len(keys)))
                left = {p * each + i: b"%d-%d" % (round_, i) for p in range(options.partitions) for i in some}
                while left:
                    events = poll.poll(PATIENCE)
                    expect(events, len(left), "waiters were not served")
                    for fd, _ in events:
                        i = number[fd]
                        got = waiters[i].received()
                        if got:
                            expect(i in left and got[0] == [left[i]], "waiter", i, "got", got[0],
                                   "expected", left.get(i))
                            del left[i]
                            served.append(i)
                expect(blocked(control) == n - len(served), blocked(control), "wait")
            expect(len(served) == n, "served", len(served))
        for connection in waiters + [control, writer]:
            connection.close()
    print("  %d waiters over %d partitions, processor time of a PUT elsewhere, medians of %d rounds of %d:"
          % (n, options.partitions, options.rounds, options.puts))
    for kind, name in enumerate(("pipelined", "one by one")):
        a, b = (statistics.median(times[kind] for times in side) for side in (without, with_))
        print("  %-10s  %.2f µs without them, %.2f µs with them, ratio %.3f" % (name, a, b, b / a))


# ---------------------------------------------------------------- 5: calls that are repeated

class Place:
    """A server with a log that is killed and started again, on another port."""

    def __init__(self, path, directory):
        self.arguments = path, "--dir", directory, "--appendonly", "yes", "--appendfsync", "always"
        self.changed = threading.Condition()
        self.server = Server(*self.arguments)
        self.seen = []  # keys that a consumer has read
        self.failure = None

    def restart(self):
        self.server.kill()
        server = Server(*self.arguments)
        with self.changed:
            self.server = server
            self.changed.notify_all()

    def note(self, keys, failure=None):
        with self.changed:
            self.seen += keys
            self.failure = self.failure or failure
            self.changed.notify_all()

    def wait_seen(self, n):
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.seen) >= n or self.failure, PATIENCE)
            expect(enough and not self.failure, self.failure or "the consumers have stopped")

    def connect(self):
        """To the server of now; waits for the next one where that is gone."""
        while True:
            server = self.server
            try:
                return Line(server.port, PATIENCE)
            except OSError:
                with self.changed:
                    expect(self.changed.wait_for(lambda: self.server is not server, PATIENCE), "no server")


class RetryingConsumer(threading.Thread):
    """Repeats each command until it has read its reply, on another connection each time. Some connections end before the
    reply is read, others stay open behind it."""

    def __init__(self, place, name, lease, chance):
        super().__init__(daemon=True)
        self.place, self.holder, self.lease, self.chance = place, name, lease, chance
        self.line, self.left_open, self.repeats, self.end = None, [], 0, False

    def ask(self, *words):
        while True:
            try:
                self.line = self.line or self.place.connect()
                self.line.send(*words)
                what = self.chance.random()
                if what >= 0.3:
                    return self.line.reply()
                if what < 0.1:
                    self.left_open.append(self.line)
                else:
                    self.line.close()
            except ConnectionError:
                self.line.close()
            self.line = None
            self.repeats += 1

    def take(self, number):
        more = ["LEASE", 3600000] if self.lease else []
        reply = self.ask("TQ.SAMPLE", "p", "t", "COUNT", self.chance.randint(1, 40), "FIELDS", 1, "a", "ATLEAST", 1,
                         "ONCE", self.holder, number, *more, "BLOCK", 0, "AS", "KEYS")
        expect(isinstance(reply, list), self.holder, "was answered with", reply)
        if not reply:
            return False
        lease, keys = reply if self.lease else (None, reply)
        if lease:
            n = self.ask("TQ.ACK", "p", "t", lease)
            expect(n == len(keys), "ACK of", len(keys), "was answered with", n)
        self.place.note(keys)
        return True

    def run(self):
        try:
            number = 1
            while self.take(number):
                number += self.chance.randint(1, 3)
            self.end = True
            for line in self.left_open + [self.line]:
                line.close()
        except Exception as e:  # whatever it is, it is told
            self.place.note([], "%s: %s\n%s" % (type(e).__name__, e, traceback.format_exc()))


def test_retries(options):
    """Samples come in rounds. In the midst of each the server is killed, while some consumers take and others wait."""
    samples, kills = options.samples // 4, options.kills
    each = samples // (kills + 1)
    with tempfile.TemporaryDirectory(prefix="tq-once-") as directory:
        place = Place(options.server, directory)
        try:
            place.connect().call("TQ.CREATE", "p", "RETIRE", 1, "t")
            consumers = [RetryingConsumer(place, "worker-%d" % i, i % 2, random.Random("%d %d" % (options.seed, i)))
                         for i in range(8)]
            for consumer in consumers:
                consumer.start()
            for round_ in range(kills + 1):
                keys = [key(i) for i in range(round_ * each, (round_ + 1) * each)]
                place.connect().call("TQ.MPUT", "p", "KEYS", each, *keys, "COLUMNS", 1, "a", "u8", b"", bytes(each))
                place.wait_seen(round_ * each + each // 2)
                if round_ < kills:
                    place.restart()
            control = place.connect()
            control.call("TQ.SEAL", "p")
            place.wait_seen((kills + 1) * each)
            for consumer in consumers:
                consumer.join(PATIENCE)
                expect(consumer.end, place.failure or "a consumer does not end")
            expect(len(place.seen) == len(set(place.seen)) == (kills + 1) * each, "of", (kills + 1) * each, "samples",
                   len(set(place.seen)), "were read,", len(place.seen) - len(set(place.seen)), "more than once")
            expect(control.call("TQ.COUNT", "p") == 0, "RETIRE has left", control.call("TQ.COUNT", "p"))
        finally:
            place.server.kill()
    print("  %d samples, %d kills, %d commands repeated" % (len(place.seen), kills, sum(c.repeats for c in consumers)))


# ----------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--long", action="store_true", help="a million samples, ten thousand waiters")
    parser.add_argument("--small", action="store_true", help="for a server that is slow")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--samples", type=int, help="of tests 1 and 2")
    parser.add_argument("--test", type=int, action="append", help="only this one, 1 to 5")
    options = parser.parse_args()
    sizes = {(True, False): LONG, (False, True): SMALL}.get((options.long, options.small), DEFAULT)
    vars(options).update(sizes, samples=options.samples or sizes["samples"])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = options.waiters
    options.waiters = min(wanted, hard - RESERVED) // options.partitions * options.partitions
    multiprocessing.set_start_method("fork")
    sys.stdout.reconfigure(line_buffering=True)
    tests = [
        ("%d producers, %d consumers, %d tasks, connections that come and go: every sample once in every task"
         % (PRODUCERS, CONSUMERS, TASKS), test_once),
        ("with leases: every sample at least once, and acknowledged once, in every task", test_leases),
        ("what a consumer killed with -9 held goes to who waits, in order, when its lease ends", test_kill),
        ("waiters elsewhere are left alone by writes, and all are served when theirs come", test_waiters),
        ("with ONCE every sample is read once, though replies are lost and the server is killed", test_retries),
    ]
    print("seed %d" % options.seed)
    passed = failed = skipped = 0
    for i, (title, test) in enumerate(tests, 1):
        if options.test and i not in options.test:
            continue
        try:
            test(options)
            if test is test_waiters and options.waiters < wanted:
                print("skipped %d %s: the system allows %d open files" % (i, title, hard))
                skipped += 1
            else:
                print("ok %d %s" % (i, title))
                passed += 1
        except (AssertionError, OSError, Failure, subprocess.TimeoutExpired) as e:
            print("FAILED %d %s (--seed %d): %s: %s" % (i, title, options.seed, type(e).__name__, e))
            failed += 1
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
