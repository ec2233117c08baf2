"""Who talks to the server in the durability tests: writers, consumers, and a keeper of checkpoints.

Each knows what it has sent and what was acknowledged. `run` goes on until the connection breaks; `check`, on the server that
is started next, holds what is there against the journal, and what was sent and not acknowledged either happened, whole, or did
not: from then on the client knows."""

import threading
import time

from journal import Clear, Mput, Put, Table, read_status, read_table, read_task, same, version_of
from server import PATIENCE, Failure, Line, expect, pairs

MIB = 1 << 20


def clock():
    return time.monotonic()


class Client:
    may_be_refused = False  # with MISCONF: then nothing has happened
    refused = 0

    def is_refused(self, reply):
        if not (self.may_be_refused and isinstance(reply, Failure) and str(reply).startswith("MISCONF ")):
            return False
        self.refused += 1
        return True

    def run(self, port):
        """False: it was not the connection that ended it."""
        self.failure = None
        try:
            line = self.line = Line(port)
            while True:
                self.step(line)
        except (ConnectionError, BrokenPipeError):
            pass
        except (AssertionError, Failure, OSError, ValueError, KeyError, IndexError, TypeError) as e:
            self.failure = "%s: %s: %s" % (type(self).__name__, type(e).__name__, e)

    def disconnect(self, reset):
        """Its connection ends under it, with all that is under way, and it stops until it is started again."""
        if self.line:
            self.line.cut(reset)

    def start(self, port):
        self.line = None
        self.thread = threading.Thread(target=self.run, args=(port,), daemon=True)
        self.thread.start()

    def end(self):
        self.thread.join(PATIENCE)
        expect(not self.thread.is_alive(), type(self).__name__, "does not end")
        expect(not self.failure, self.failure)


# ---------------------------------------------------------------- writing

class Rows:
    """What to write next: mixed requests for a table, which stays below `limit` bytes; `large`: how many of them are of a MiB."""

    def __init__(self, prefix, limit, large, chance):
        self.prefix, self.limit, self.large, self.chance = prefix, limit, large, chance
        self.version = 0

    def key(self):
        self.version += 1
        return b"%s-%d" % (self.prefix, self.version)

    def cell(self, field):
        self.version += 1
        chance = self.chance
        if field == "n":
            return self.version, 8
        if field == "big":
            return self.version, chance.choice((100, 5000, 70000))
        return self.version, chance.choice((60, 60, 200, 1000, 40000))

    def tag(self):
        self.version += 1
        return b"%d" % self.version

    def small(self):
        fields = {"a": self.cell("a")}
        if self.chance.random() < 0.3:
            fields["n"] = self.cell("n")
        return fields

    def next(self, table):
        chance, keys = self.chance, list(table.rows)
        if table.size > self.limit:
            return Clear() if chance.random() < 0.1 else Clear(keys=keys[:len(keys) // 2])
        what = chance.random()
        if chance.random() < self.large:
            n = chance.choice((2, 8, 64))
            return self.batch([self.key() for _ in range(n)], MIB // n + chance.randint(0, 1000))
        if what < 0.25 or len(keys) < 5:
            return Put(self.key(), {"v": self.tag(), "w": b"x" * chance.randint(0, 50)}, self.small())
        one = chance.choice(keys)
        if what < 0.42:
            return Put(one, {"v": self.tag()}, self.small())
        if what < 0.50:
            return Put(one, {}, {"big": self.cell("big")})
        if what < 0.56:
            return Put(one, {"w": self.tag()}, {})
        if what < 0.60:
            return Put(chance.choice((one, self.key())), {"v": self.tag()}, self.small(), nx=True)
        if what < 0.65:
            return Put(one, {"v": self.tag()}, self.small(),
                       only=table.tag(one, "v") if chance.random() < 0.7 else b"no")
        if what < 0.86:
            new = [self.key() for _ in range(chance.randint(1, 40))]
            return self.batch(new + chance.sample(keys, chance.randint(0, 5)), 0)
        if what < 0.90:
            return Clear(keys=chance.sample(keys, chance.randint(1, 5)) + [b"nobody"])
        if what < 0.94:
            return Clear(keys=chance.sample(keys, chance.randint(1, 5)), field=chance.choice(("a", "n", "big")))
        if what < 0.97:
            return Clear(keys=chance.sample(keys, chance.randint(1, 5)), tag=chance.choice("vw"))
        return Clear(below=int(table.tag(keys[len(keys) // 8], "v") or 0))

    def batch(self, keys, big):
        tags = {"v": [self.tag() for _ in keys]} if self.chance.random() < 0.8 else {}
        fields = {"a": [self.cell("a") for _ in keys], "n": [self.cell("n") for _ in keys]}
        if big:
            fields["big"] = [(self.cell("big")[0], big) for _ in keys]
        return Mput(keys, tags, fields)


class Writer(Client):
    """Owns a partition, so that the order of what is done to it is the order of its requests. What is there after a kill is what
    some first part of them makes, with at least all that were acknowledged."""

    def __init__(self, partition, limit, large, depth, chance):
        self.partition, self.depth = partition, depth
        self.rows = Rows(partition.encode(), limit, large, chance)
        self.table = Table()  # acknowledged
        self.ahead = Table()  # sent
        self.pending = []  # requests, and the replies they should have
        self.digests = [0]  # after each that was sent
        self.acknowledged = 0
        self.lost = set()  # digests of what never came to be, though a child may have seen it
        self.cleared = False  # since the last check?

    def step(self, line):
        while len(self.pending) < self.depth:
            self.begin(line, self.rows.next(self.ahead))
        self.finish(line.reply())

    def begin(self, line, what):
        self.cleared = self.cleared or isinstance(what, Clear)
        self.pending.append((what, what.apply(self.ahead)))
        self.digests.append(self.ahead.digest)
        line.send(*what.words(self.partition))

    def finish(self, reply):
        if self.is_refused(reply):  # one request at a time: what was ahead was this
            expect(self.depth == 1, "nothing is sent ahead where it may be refused")
            self.ahead = self.table.copy()
            del self.pending[0], self.digests[-1]
            return
        what, expected = self.pending[0]
        expect(reply == expected, self.partition, type(what).__name__, "was answered with", reply, "instead of", expected)
        what.apply(self.table)
        self.acknowledged += 1
        del self.pending[0]

    def check(self, line):
        there = read_table(line, self.partition)
        state, done = self.table.copy(), 0
        while not same(state, there):
            expect(done < len(self.pending), self.partition, "is not what", self.acknowledged, "requests and up to",
                   len(self.pending), "more have made of it; acknowledged, against what is there:", self.table.difference(there))
            self.pending[done][0].apply(state)
            done += 1
        self.acknowledged += done
        self.lost.update(self.digests[self.acknowledged + 1:])
        del self.digests[self.acknowledged + 1:]
        self.pending = []
        self.table, self.ahead = state, state.copy()
        cleared, self.cleared = self.cleared, False
        status = read_status(line, self.partition)
        if status:
            expect(status[b"samples"] == len(state.rows), "STATUS counts", status[b"samples"], "of", len(state.rows))
        return done, cleared


# ---------------------------------------------------------------- taking

def samplers(chance):
    return chance.choice(([], [], ["BY", "LIFO"], ["BY", "RANDOM"], ["BY", "MAX", "v"], ["WHERE", 1, "v", ">", 0]))


class Taker(Client):
    """Takes without leases, several requests ahead."""

    def __init__(self, tasks, chance):
        self.tasks, self.chance = tasks, chance

    def run(self, port):
        self.pending = []  # task, count, whether rows were asked for
        super().run(port)

    def step(self, line):
        chance = self.chance
        while len(self.pending) < 3:
            task, n, rows = chance.choice(self.tasks), chance.randint(1, 8), chance.random() < 0.3
            self.pending.append((task, n, rows))
            with task.lock:
                task.pending.append(n)
            line.send("TQ.SAMPLE", task.partition, task.name, "COUNT", n, "FIELDS", 1, "a", *samplers(chance),
                      "BLOCK", chance.choice((1, 20)), "AS", "ROWS" if rows else "KEYS")
        reply = line.reply()
        task, n, rows = self.pending.pop(0)
        reply = None if self.is_refused(reply) else reply
        expect(reply is None or isinstance(reply, list) and len(reply) == n, "SAMPLE of", n, "was answered with", reply)
        if rows and reply:
            for key, a in reply:
                version_of(key, "a", a)
            reply = [key for key, _ in reply]
        if reply:
            task.record(reply)
        with task.lock:
            task.pending.remove(n)


class Borrower(Client):
    """Takes with leases; acknowledges most, gives back, asks for more time, lets some run out, and keeps one now and then, over
    the end of the server."""

    def __init__(self, tasks, alive, chance):
        self.tasks, self.alive, self.chance = tasks, alive, chance
        self.kept = []  # task, lease

    def step(self, line):
        chance = self.chance
        if self.kept and (len(self.kept) > 3 or chance.random() < 0.2):
            self.acknowledge(line, *self.kept.pop(0))
            return
        task, n = chance.choice(self.tasks), chance.randint(1, 8)
        ms = chance.choice((50, 300, 2000, 20000))
        with task.lock:
            task.pending.append(n)
        sent = clock()
        line.send("TQ.SAMPLE", task.partition, task.name, "COUNT", n, "FIELDS", 1, "a", *samplers(chance),
                  "LEASE", ms, "BLOCK", chance.choice((1, 20)), "AS", "KEYS")
        reply = line.reply()
        reply = None if self.is_refused(reply) else reply
        if reply is not None:
            expect(isinstance(reply, list) and len(reply[1]) == n, "SAMPLE of", n, "was answered with", reply)
            task.record(reply[0], reply[1], sent + ms / 1000, clock())
        with task.lock:
            task.pending.remove(n)
        if reply is None:
            return
        what = chance.random()
        if what < 0.5:
            self.acknowledge(line, task, reply[0])
        elif what < 0.6:
            self.give_back(line, task, reply[0], reply[1], None)
        elif what < 0.7:
            self.give_back(line, task, reply[0], reply[1], chance.sample(reply[1], chance.randint(1, n)))
        elif what < 0.8:
            self.extend(line, task, reply[0], chance.choice((100, 5000)))
        elif ms > 1000:
            self.kept.append((task, reply[0]))

    def ask(self, line, task, id_, doing, *words):
        """The reply, or None where the lease has ended or it was refused; the lease; how many of its samples are there for sure."""
        with task.lock:
            lease = task.leases.get(id_)
            if not lease:  # it had ended when the server was started
                return None, None, 0
            lease.doing = doing
        line.send(*words)
        reply = line.reply()
        with task.lock:
            lease.doing = None
            if self.is_refused(reply):
                return None, lease, 0
            sure = [k for k in lease.keys if k in self.alive[task.partition].ahead.rows]
            if isinstance(reply, Failure):
                gone = str(reply).startswith("NOLEASE ") and (clock() >= lease.until or not sure)
                expect(gone or str(reply).startswith("NOPART ") and not sure, words[0], "of a lease that ends in",
                       lease.until - clock(), "s was answered with", reply)
                del task.leases[id_]
                return None, lease, 0
        return reply, lease, len(sure)

    def acknowledge(self, line, task, id_):
        reply, lease, sure = self.ask(line, task, id_, "ack", "TQ.ACK", task.partition, task.name, id_)
        if reply is not None:
            with task.lock:
                expect(sure <= reply, "ACK of", sure, "was answered with", reply)
                task.acknowledge(id_, lease.keys)
                del task.leases[id_]

    def give_back(self, line, task, id_, keys, some):
        more = ["KEYS", len(some)] + some if some else []
        reply, lease, _ = self.ask(line, task, id_, some or "nack", "TQ.NACK", task.partition, task.name, id_, *more)
        if reply is not None:
            with task.lock:
                lease.keys.difference_update(some or keys)
                if not lease.keys:
                    del task.leases[id_]
            if some and len(some) < len(keys):
                self.acknowledge(line, task, id_)

    def extend(self, line, task, id_, ms):
        with task.lock:
            until = clock() + ms / 1000
            if id_ in task.leases:
                task.leases[id_].until = min(task.leases[id_].until, until)
        reply, lease, _ = self.ask(line, task, id_, "extend", "TQ.EXTEND", task.partition, task.name, id_, ms)
        if reply is not None:
            with task.lock:
                lease.until = until
            self.acknowledge(line, task, id_)


# ---------------------------------------------------------------- checkpoints

class Kept:
    """A partition with its tasks, at one moment: rows, what the task `once` had, leases of `lent` and what was acknowledged,
    and what the batches of `ranks` are."""

    def __init__(self):
        self.table = Table()
        self.once, self.leases, self.acknowledged, self.batches, self.ranked = set(), {}, set(), {}, set()
        self.decided = 0  # highest batch number of `ranks` so far: the server never decides one again

    def copy(self):
        other = Kept()
        other.table = self.table.copy()
        other.once, other.acknowledged, other.ranked = set(self.once), set(self.acknowledged), set(self.ranked)
        other.leases = {id_: list(keys) for id_, keys in self.leases.items()}
        other.batches = {b: list(keys) for b, keys in self.batches.items()}
        other.decided = self.decided
        return other

    def settle(self):
        """Where samples were cleared: nothing knows of them any more."""
        rows = self.table.rows
        for keys in (self.once, self.acknowledged, self.ranked):
            keys.intersection_update(rows)
        for named in (self.leases, self.batches):
            for name in list(named):
                named[name] = [k for k in named[name] if k in rows]
                if not named[name]:
                    del named[name]

    def ready(self, task):
        with_a = self.table.with_field("a")
        if task == "once":
            return [k for k in with_a if k not in self.once]
        if task == "ranks":
            return [k for k in with_a if k not in self.ranked]
        held = self.acknowledged.union(*self.leases.values())
        return [k for k in with_a if k not in held]

    def differs(self, there):
        """None, or in words how `there` is something else. Leases that nobody was told the name of are called None here."""
        if not same(self.table, there.table):
            return self.table.difference(there.table)
        for task in ("once", "lent", "ranks"):
            if self.ready(task) != there.waiting[task]:
                return "ready for %s: %s, not %s" % (task, there.waiting[task][:20], self.ready(task)[:20])
        mine, other = ({i: len(keys) for i, keys in self.leases.items()}, dict(there.lengths))
        if None in mine:
            untold = [i for i in other if i not in mine]
            if len(untold) == 1:
                mine[untold[0]] = mine.pop(None)
        return None if mine == other else "leases: %s, not %s" % (other, mine)


def read_kept(line, partition):
    there = Kept()
    there.table = read_table(line, partition)
    there.waiting, there.lengths = {}, {}
    for task in ("once", "lent", "ranks"):
        there.waiting[task], leases = read_task(line, partition, task)
        there.lengths.update({id_: n for id_, (n, _) in leases.items() if n})
    return there


class Keeper(Client):
    """Owns a partition, one request at a time, makes checkpoints of it (or of everything) and restores them. `wish` makes the
    next step a checkpoint or a restore, and `wished` says that it was sent."""

    LEASE = 3600 * 1000

    def __init__(self, partition, writers, limit, chance):
        self.partition, self.writers, self.chance = partition, writers, chance
        self.rows = Rows(partition.encode(), limit, 0.1, chance)
        self.state = Kept()
        self.pending = None  # what was sent: the state it makes
        self.checkpoints = {}  # name: Checkpoint
        self.pending_checkpoints = None  # the same as it may be instead
        self.serial = 0
        self.wish, self.wished = None, threading.Event()
        self.restored = self.made = 0

    def step(self, line):
        if not self.state.table.rows:
            self.write(line)
            return
        wish, self.wish = self.wish, None
        what = self.chance.random()
        if wish == "checkpoint" or not wish and what < 0.10:
            self.checkpoint(line)
        elif wish == "restore" and not self.checkpoints:
            self.checkpoint(line)
        elif wish == "restore" or what < 0.18 and self.checkpoints:
            self.restore(line, self.chance.choice(list(self.checkpoints)))
        elif what < 0.23 and self.checkpoints:
            self.forget(line, self.chance.choice(list(self.checkpoints)[-2:]))
        elif what < 0.65:
            self.write(line)
        else:
            self.take(line)

    def do(self, line, after, *words):
        self.pending = after
        line.send(*words)
        if words[0] in ("TQ.CHECKPOINT", "TQ.RESTORE"):
            self.wished.set()
        reply = line.reply()
        expect(not isinstance(reply, Failure), " ".join(map(str, words[:4])), "was answered with", reply)
        self.state, self.pending = after, None
        return reply

    def write(self, line):
        after = self.state.copy()
        what = self.rows.next(after.table)
        if isinstance(what, Clear) and what.keys is None and what.below is None:
            what = Clear(keys=list(after.table.rows)[1:])
        expected = what.apply(after.table)
        after.settle()
        reply = self.do(line, after, *what.words(self.partition))
        expect(reply == expected, type(what).__name__, "was answered with", reply, "instead of", expected)

    def take(self, line):
        after, chance = self.state.copy(), self.chance
        task, n = chance.choice(("once", "lent", "lent", "ranks")), chance.randint(1, 6)
        if after.leases and chance.random() < 0.3:
            self.acknowledge(line, after, chance.choice(list(after.leases)))
            return
        words = ["TQ.SAMPLE", self.partition, task, "COUNT", n, "FIELDS", 1, "a", "AS", "KEYS"]
        ready = after.ready(task)
        keys = ready[:n] if len(ready) >= n else None
        if task == "lent":
            if keys:
                after.leases[None] = keys
            reply = self.do(line, after, *words, "LEASE", self.LEASE)
            expect((reply and reply[1]) == keys, "SAMPLE was answered with", reply, "instead of", keys)
            if keys:
                after.leases[reply[0]] = after.leases.pop(None)
            return
        if task == "ranks":  # one that is new, or one that there is, and that has to be the same
            b = chance.choice(list(after.batches) + [after.decided + 1])
            words[4] = n = b % 5 + 1  # always the same for this batch
            words += ["RANK", 0, "BATCH", b]
            keys = after.batches[b] if b in after.batches else ready[:n] if len(ready) >= n else None
            if keys:
                after.batches[b] = keys
                after.decided = max(after.decided, b)
                after.ranked.update(keys)
        elif keys:
            after.once.update(keys)
        reply = self.do(line, after, *words)
        expect(reply == keys, task, "was answered with", reply, "instead of", keys)

    def acknowledge(self, line, after, id_):
        keys = after.leases.pop(id_)
        word = self.chance.choice(("TQ.ACK", "TQ.NACK"))
        if word == "TQ.ACK":
            after.acknowledged.update(keys)
        reply = self.do(line, after, word, self.partition, "lent", id_)
        expect(reply == len(keys), word, "was answered with", reply, "instead of", len(keys))

    def checkpoint(self, line):
        name = b"c%d" % self.chance.randrange(5)
        self.serial += 1
        meta = b"%d" % self.serial
        everything = self.chance.random() < 0.4
        since = [w.acknowledged for w in self.writers]
        words = [] if everything else ["PARTITIONS", 1, self.partition]
        made = Checkpoint(meta, self.state, since if everything else None)
        self.pending_checkpoints = self.with_checkpoint(name, made)
        self.do(line, self.state, "TQ.CHECKPOINT", name, "META", meta, *words)
        made.see(self.writers)
        self.checkpoints, self.pending_checkpoints = self.pending_checkpoints, None
        self.made += 1

    def with_checkpoint(self, name, checkpoint):
        """They are listed by age."""
        others = {n: c for n, c in self.checkpoints.items() if n != name}
        if checkpoint:
            others[name] = checkpoint
        return others

    def forget(self, line, name):
        self.pending_checkpoints = self.with_checkpoint(name, None)
        self.do(line, self.state, "TQ.FORGET", name)
        self.checkpoints, self.pending_checkpoints = self.pending_checkpoints, None

    def restore(self, line, name):
        reply = self.do(line, self.checkpoints[name].state.copy(), "TQ.RESTORE", name, "PARTITIONS", 1, self.partition, "REPLACE")
        expect(reply == 1, "RESTORE was answered with", reply)
        self.restored += 1

    # -------- after a kill

    def check(self, line):
        there = read_kept(line, self.partition)
        before = self.state.differs(there)
        if before:
            expect(self.pending, self.partition, "is not what was acknowledged:", before)
            after = self.pending.differs(there)
            expect(not after, self.partition, "is neither as acknowledged:", before, "nor as it would be with one request more:", after)
            self.state = self.pending
        if None in self.state.leases:
            untold = [i for i in there.lengths if i not in self.state.leases]
            self.state.leases[untold[0]] = self.state.leases.pop(None)
        self.pending = None
        for b, keys in self.state.batches.items():
            again = line.call("TQ.SAMPLE", self.partition, "ranks", "COUNT", b % 5 + 1, "FIELDS", 1, "a", "RANK", 0,
                              "BATCH", b, "AS", "KEYS")
            expect(again == keys, "batch", b, "is", again, "after the restart, it was", keys)
        self.check_catalog(line)
        if self.checkpoints and self.chance.random() < 0.7:
            self.check_checkpoint(line, self.chance.choice(list(self.checkpoints)))

    def check_catalog(self, line):
        listed = [(c[b"name"], c[b"meta"]) for c in map(pairs, line.call("TQ.CHECKPOINTS"))]
        known = [(name, c.meta) for name, c in self.checkpoints.items()]
        if listed != known and self.pending_checkpoints is not None:
            self.checkpoints = self.pending_checkpoints
            known = [(name, c.meta) for name, c in self.checkpoints.items()]
            for c in self.checkpoints.values():
                if c.among is None:
                    c.see(self.writers)
        self.pending_checkpoints = None
        expect(listed == known, "TQ.CHECKPOINTS lists", listed, "instead of", known)

    def check_checkpoint(self, line, name):
        self.restore(line, name)
        differs = self.state.differs(read_kept(line, self.partition))
        expect(not differs, "checkpoint", name, "restores something else:", differs)

    def check_everything(self, line, name):
        """Also what the writers had, which was some moment between request and reply. This undoes what they did since."""
        checkpoint = self.checkpoints[name]
        if checkpoint.among:
            line.call("TQ.RESTORE", name, "REPLACE")
            for writer, digests in zip(self.writers, checkpoint.among):
                there = read_table(line, writer.partition)
                # One that did not exist then stays.
                expect(there.digest in digests or there.digest == writer.table.digest and 0 in digests,
                       "checkpoint", name, "holds a state of", writer.partition, "that it never was in")
                writer.table = writer.ahead = there


class Checkpoint:
    def __init__(self, meta, state, since):
        self.meta, self.state, self.since = meta, state.copy(), since
        self.among = None  # for each writer the digests of which one has to be in it

    def see(self, writers):
        if self.since is None:
            self.among = ()
        else:
            self.among = [set(w.digests[n:]) | w.lost for w, n in zip(writers, self.since)]
