#!/usr/bin/python3
"""What outlives the server: it is killed with -9 at random moments, under load, in the middle of snapshots, checkpoints and
restores, after its log was turned off and on, while it is stopped or some of its clients were cut off, and while it loads; its
disk fills up; its log cannot be written.

    tests/durability/run.py --server PATH [--long | --small] [--rounds N] [--seed S] [--test N]…
                                                 ends with a line: N passed, N failed, N skipped

The clients keep a journal of what they sent and what was acknowledged (clients.py, journal.py). A kill leaves the system's cache
as it is, so with `everysec`, too, nothing acknowledged may be missing; loss of power is for other tests. The seed decides who
does what; the kernel, when."""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
from clients import MIB, Borrower, Keeper, Taker, Writer  # noqa: E402
from journal import Clear, Lent, Once, read_table  # noqa: E402
from server import PATIENCE, Failure, Line, Server, expect  # noqa: E402

SMALL, DEFAULT, LONG = 6, 20, 300  # rounds
PARTITIONS = ["p0", "p1", "p2"]


# ---------------------------------------------------------------- 1: kill -9

class World:
    """All clients of one server, over its lives."""

    def __init__(self, chance, limit=8 * MIB, large=0.12, keeps=True):
        """`limit`: about so many bytes are in a partition; `large`: how many writes are of a MiB; without `keeps`, requests may be refused, and nothing is sent ahead."""

        def dice():
            return random.Random(chance.random())

        self.writers = [Writer(p, limit, large, 1 + 3 * i * keeps, dice()) for i, p in enumerate(PARTITIONS)]
        self.once, self.lent = ([kind(p, name) for p in PARTITIONS] for kind, name in ((Once, "once"), (Lent, "lent")))
        self.keeper = Keeper("kept", self.writers, 4 * MIB, dice()) if keeps else None
        by_name = {w.partition: w for w in self.writers}
        self.clients = (self.writers + [Taker(self.once, dice()) for _ in range(2)] +
                        [Borrower(self.lent, by_name, dice()) for _ in range(2)])
        if keeps:
            self.clients.append(self.keeper)
        for client in self.clients:
            client.may_be_refused = not keeps
        self.cut = self.stopped = 0  # lives in which clients lost their connections, or the server was stopped
        self.doubtful = self.untold = 0  # requests without a reply that had been done; samples taken by such

    def start(self, port):
        for client in self.clients:
            client.start(port)

    def end(self):
        for client in self.clients:
            client.end()

    def disconnect(self, chance, but=()):
        """Some clients lose their connections."""
        clients = [c for c in self.clients if c not in but]
        for client in chance.sample(clients, chance.randint(1, len(clients))):
            client.disconnect(reset=chance.random() < 0.5)

    def disconnect_all(self, line):
        """Nobody but `line` is connected, and what they had sent is done or never will be."""
        for client in self.clients:
            client.disconnect(reset=True)
        self.end()
        end = time.monotonic() + PATIENCE
        while line.info("clients")["connected_clients"] != "1":
            expect(time.monotonic() < end, "connections that were cut are still there")
            time.sleep(0.01)

    def acknowledged(self):
        return sum(w.acknowledged for w in self.writers)

    def check(self, line):
        for writer, once, lent in zip(self.writers, self.once, self.lent):
            done, cleared = writer.check(line)
            self.doubtful += done
            self.untold += once.check(line, writer.table, cleared)
            lent.check(line, writer.table, time.monotonic)
        if self.keeper:
            self.keeper.check(line)

    def check_dump(self, server, path):
        """What BGSAVE had made, or what it had made the time before, is whole."""
        beside = os.path.dirname(os.path.dirname(path))
        with tempfile.TemporaryDirectory(prefix="tq-durability-", dir=beside) as other:
            os.link(path, os.path.join(other, "dump.tqs"))
            with Server(server, "--dir", other) as second:
                line = Line(second.port)
                for writer in self.writers:
                    expect(read_table(line, writer.partition).digest in {*writer.digests, *writer.lost},
                           "the snapshot holds a state of", writer.partition, "that it never was in")
                line.close()


def persistent(options, directory, chance, wait=True):
    return Server(options.server, "--dir", directory, "--appendonly", "yes",
                  "--appendfsync", chance.choice(("always", "everysec")),
                  "--auto-aof-rewrite-min-size", chance.choice(("2mb", "32mb", "1gb")), wait=wait)


def kill_loading(options, directory, chance):
    """Starts it, and kills it before it is ready, or about then: after a random time, or when it says that it loads."""
    server = persistent(options, directory, chance, wait=False)
    loading = False
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, 0.03))
    else:
        while not loading and not server.is_ready and server.process.poll() is None:
            try:
                line = Line(server.port)
                loading = line.info("persistence")["loading"] == "1"
                line.close()
            except ConnectionError:
                pass
        time.sleep(chance.uniform(0, 0.03))
    ended, lost_port = server.process.poll(), server.lost_port()
    server.kill()
    if lost_port:
        return kill_loading(options, directory, chance)
    expect(ended is None, "the server ended while it loaded:\n" + server.words())
    return not server.is_ready


def set_appendonly(line, value):
    """None, or the error."""
    line.send("CONFIG", "SET", "appendonly", value)
    reply = line.reply()
    return reply if isinstance(reply, Failure) else None


def in_force(line):
    return line.info("persistence")["aof_in_force"] == "1"


def toggle(line, server, chance):
    """The log is turned off and on under load. What was acknowledged meanwhile is in no log, until INFO says that one is in force."""
    expect(in_force(line), "the log is not in force before it is turned off")
    for _ in range(chance.choice((1, 1, 2))):
        expect(not set_appendonly(line, "no"), "the log can't be turned off")
        expect(not in_force(line), "a log that is turned off is in force")
        time.sleep(chance.uniform(0, 0.1))
        expect(not set_appendonly(line, "yes"), "the log can't be turned on")
    wait_for("the log is in force", lambda: in_force(line), server)
    time.sleep(chance.uniform(0, 0.2))


def stop_for_a_while(server, chance):
    """It is stopped under load, and mostly goes on."""
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0, 0.1))
    if chance.random() < 0.7:
        server.process.send_signal(signal.SIGCONT)
        time.sleep(chance.choice((0, chance.uniform(0, 0.1))))


def await_moment(world, line, server, kind, chance):
    """The moment of the kill."""
    time.sleep(chance.uniform(0.005, 0.4))
    if chance.random() < 0.3:
        world.disconnect(chance, but=(world.keeper,))
        world.cut += 1
    if kind == "toggle":
        toggle(line, server, chance)
    elif kind in ("BGSAVE", "BGREWRITEAOF"):
        try:
            line.call(kind)
        except Failure as e:  # there is a child already: as good
            expect("in progress" in str(e) or "Another child" in str(e), kind, "was answered with", e)
    elif kind in ("checkpoint", "restore"):
        world.keeper.wished.clear()
        world.keeper.wish = kind
        world.keeper.wished.wait(5)
    else:
        return
    time.sleep(chance.choice((0, chance.uniform(0, 0.01), chance.uniform(0, 0.15))))


def one_life(options, world, directory, kind, chance):
    """The server is started, what is there is looked at, and it is killed. Returns how often it was killed while it loaded, after
    that."""
    with persistent(options, directory, chance) as server:
        line = Line(server.port)
        world.check(line)
        world.start(server.port)
        await_moment(world, line, server, kind, chance)
        if chance.random() < 0.3:
            stop_for_a_while(server, chance)
            world.stopped += 1
        expect(server.process.poll() is None, "the server ended")
        server.kill()
        world.end()
    dump = os.path.join(directory, "dump.tqs")
    if kind == "BGSAVE" and os.path.exists(dump):
        world.check_dump(options.server, dump)
    return sum(kill_loading(options, directory, chance) for _ in range(chance.choice((0, 0, 0, 1, 2))))


def last_life(options, world, directory, chance):
    """Nothing goes on any more: leases come to their end, and every checkpoint restores what it had."""
    with persistent(options, directory, chance) as server:
        line = Line(server.port)
        world.check(line)
        end = time.monotonic() + PATIENCE
        for writer, lent in zip(world.writers, world.lent):
            while lent.check(line, writer.table, time.monotonic):
                expect(time.monotonic() < end, "leases do not end")
                time.sleep(0.05)
        for name in world.keeper.checkpoints:
            world.keeper.check_checkpoint(line, name)
        for name in list(world.keeper.checkpoints):
            world.keeper.check_everything(line, name)


def place(directory):
    """Where a file system in memory is, requests are not held up by syncs, and more of them are under way when the kill comes."""
    if directory and not (os.path.isdir(directory) and shutil.disk_usage(directory).free > 1 << 30):
        directory = None
    return tempfile.TemporaryDirectory(prefix="tq-durability-", dir=directory)


def test_kill(options):
    kinds = ["load", "toggle", "BGSAVE", "BGREWRITEAOF", "checkpoint", "restore"]
    in_memory = options.rounds * 3 // 4
    for rounds, where in ((in_memory, "/dev/shm"), (options.rounds - in_memory, None)):
        chance = random.Random("%d kill %s" % (options.seed, where))
        world, loading_kills = World(chance), 0
        with place(where) as directory:
            for round_ in range(rounds + 1):
                kind = kinds[round_ % len(kinds)] if round_ < rounds else "the last"
                try:
                    if round_ < rounds:
                        loading_kills += one_life(options, world, directory, kind, chance)
                    else:
                        last_life(options, world, directory, chance)
                except (AssertionError, Failure, OSError) as e:
                    raise AssertionError("%s, round %d, %s: %s; the files are kept in %s" % (
                        directory, round_, kind, e, keep(directory))) from e
        print("  %s: %d kills, %d more while it loaded; %d writes acknowledged; without a reply %d had been done, and took %d samples"
              % (where or "on disk", rounds, loading_kills, world.acknowledged(), world.doubtful, world.untold))
        print("  %d checkpoints made, %d restored; in %d lives connections were cut, in %d the server was stopped"
              % (world.keeper.made, world.keeper.restored, world.cut, world.stopped))


def keep(directory):
    kept = tempfile.mkdtemp(prefix="tq-durability-kept-")
    subprocess.run(["cp", "-a", directory + "/.", kept], check=False)
    return kept


# ---------------------------------------------------------------- 2: no room

class Tmpfs:
    """A file system of so many bytes; `why` there is none."""

    def __init__(self, size):
        self.directory, self.why = tempfile.mkdtemp(prefix="tq-durability-full-"), None
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "tq", self.directory],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            self.why = "no file system can be mounted here: " + done.stderr.strip()

    def ballast(self, name, size):
        with open(os.path.join(self.directory, name), "wb") as f:
            f.write(bytes(size))

    def fill(self, name):
        """To the last byte."""
        f = os.open(os.path.join(self.directory, name), os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(f, bytes(4096))
        except OSError:
            os.close(f)

    def drop(self, name):
        os.unlink(os.path.join(self.directory, name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.why:
            subprocess.run(["umount", "-l", self.directory], check=True)
        os.rmdir(self.directory)


def wait_for(what, holds, server):
    end = time.monotonic() + PATIENCE
    while not holds():
        expect(server.process.poll() is None, "the server ended")
        expect(time.monotonic() < end, "in vain:", what)
        time.sleep(0.01)


def await_refusals(world, server):
    before = [c.refused for c in world.writers]
    wait_for("all writers are refused", lambda: all(w.refused > n + 2 or not w.thread.is_alive()
                                                    for w, n in zip(world.writers, before)), server)


def await_progress(world, server):
    before = [c.acknowledged for c in world.writers]
    wait_for("all writers go on", lambda: all(w.acknowledged > n + 10 or not w.thread.is_alive()
                                              for w, n in zip(world.writers, before)), server)


def reads_go_on(line, world, server):
    for writer in world.writers:
        expect(line.call("TQ.COUNT", writer.partition) > 0, "nothing is there")
        _, keys = line.call("TQ.LIST", writer.partition, "COUNT", 3)
        expect(line.call("TQ.MGET", writer.partition, "KEYS", 1, keys[0], "FIELDS", 1, "n") is not None, "MGET says nothing")
    # It is about the last write, and small ones may still find room.
    wait_for("INFO tells that there is no room", lambda: line.info("persistence")["aof_last_write_status"] == "err", server)
    for words in (["TQ.CHECKPOINT", "full"], ["SAVE"]):
        line.send(*words)
        reply = line.reply()
        expect(isinstance(reply, Failure) and "No space left" in str(reply), words[0], "was answered with", reply)
    line.call("BGREWRITEAOF")


def shrink(line, world, server):
    """Large values are cleared, and the log is rewritten without them."""
    for writer in world.writers:
        refused = writer.refused
        large = [k for k, (_, fields) in writer.table.rows.items() if max((size for _, size in fields.values()), default=0) > 300]
        writer.begin(line, Clear(keys=large))
        writer.finish(line.reply())
        expect(writer.refused == refused, "CLEAR is refused")
    before = int(line.info("persistence")["aof_rewrites"])
    line.call("BGREWRITEAOF")
    wait_for("the log is rewritten", lambda: int(line.info("persistence")["aof_rewrites"]) > before, server)


def toggle_when_full(line, disk, world, server):
    """The log can't be begun without room: until it is in force again nothing is acknowledged that is in no log."""
    world.disconnect_all(line)
    world.check(line)
    shrink(line, world, server)
    expect(not set_appendonly(line, "no"), "the log can't be turned off")
    disk.fill("rest")  # also what the log had set aside
    refused = set_appendonly(line, "yes")
    server.process.send_signal(signal.SIGSTOP)
    server.process.send_signal(signal.SIGCONT)
    if refused:
        expect("No space left" in str(refused), "CONFIG SET appendonly yes was answered with", refused)
    else:  # what needs more room is what fails
        wait_for("writes are refused", lambda: line.info("persistence")["aof_last_bgrewrite_status"] == "err", server)
    expect(not in_force(line), "a log without room is in force")
    disk.drop("rest")
    if refused:
        expect(not set_appendonly(line, "yes"), "the log can't be turned on, though there is room again")
    wait_for("the log is in force", lambda: in_force(line), server)
    world.start(server.port)
    await_progress(world, server)


def test_full(options):
    chance = random.Random("%d full" % options.seed)
    with Tmpfs(64 * MIB) as disk:
        if disk.why:
            return disk.why
        disk.ballast("large", 12 * MIB)
        disk.ballast("small", 3 * MIB)
        world = World(chance, limit=1 << 40, large=0.5, keeps=False)

        def server():
            return Server(options.server, "--dir", disk.directory, "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0",
                          "--appendfsync", chance.choice(("always", "everysec")))

        with server() as first:
            line = Line(first.port)
            world.start(first.port)
            await_refusals(world, first)
            reads_go_on(line, world, first)
            disk.drop("large")
            await_progress(world, first)
            await_refusals(world, first)
            first.kill()
            world.end()
        disk.fill("rest")
        with server() as second:
            line = Line(second.port)
            world.check(line)
            disk.drop("rest")
            disk.drop("small")
            shrink(line, world, second)  # that is enough for CLEAR, and for a snapshot of what is left then
            refused = [c.refused for c in world.clients]
            world.start(second.port)
            await_progress(world, second)
            expect(refused == [c.refused for c in world.clients], "requests are refused, though there is room again")
            toggle_when_full(line, disk, world, second)
            second.kill()
            world.end()
        with server() as third:
            world.check(Line(third.port))
    print("  %d writes acknowledged, %d requests refused" % (world.acknowledged(), sum(c.refused for c in world.clients)))
    return None


# ---------------------------------------------------------------- 3: a disk that fails

def test_failing(options):
    """What was reserved is taken away: a file may not become as large as that any more."""
    chance = random.Random("%d failing" % options.seed)
    for sync in ("always", "everysec"):
        world = World(chance)
        with place(None) as directory:
            words = [options.server, "--dir", directory, "--appendonly", "yes", "--appendfsync", sync]
            server = Server(*words)
            world.start(server.port)
            wait_for("writing has begun", lambda: world.acknowledged() > 20, server)
            log = os.path.join(directory, "appendonlydir", "log.000001.tql")
            limit = os.stat(log).st_size + chance.randint(0, 100000)
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
            status = server.process.wait(PATIENCE)
            world.end()
            last = server.words().splitlines()[-3:]
            server.kill()
            expect(status == 1, "the server ended with", status, "\n" + "\n".join(last))
            expect(any("op log: can't write to" in l and "File too large" in l for l in last), "its last words:", last)
            with Server(*words) as again:
                world.check(Line(again.port))
    print("  last words:", last[-1].strip())


# ---------------------------------------------------------------- main

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--long", action="store_true", help="%d rounds" % LONG)
    parser.add_argument("--small", action="store_true", help="for a server that is slow")
    parser.add_argument("--rounds", type=int, help="of test 1")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--test", type=int, action="append", help="only this one, 1 to 3")
    options = parser.parse_args()
    rounds = {(True, False): LONG, (False, True): SMALL}.get((options.long, options.small), DEFAULT)
    options.rounds = options.rounds or rounds
    sys.stdout.reconfigure(line_buffering=True)
    tests = [
        ("killed with -9 %d times, under load and at work: what was acknowledged is there, nothing is there in part" % options.rounds,
         test_kill),
        ("a full disk, then room again: nothing acknowledged is lost, what is refused never was, and all goes on", test_full),
        ("a log that cannot be written ends the server, which says so, and keeps what it acknowledged", test_failing),
    ]
    print("seed %d" % options.seed)
    passed = failed = skipped = 0
    for i, (title, test) in enumerate(tests, 1):
        if options.test and i not in options.test:
            continue
        try:
            why = test(options)
            if why:
                print("skipped %d %s: %s" % (i, title, why))
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
