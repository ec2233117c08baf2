#!/usr/bin/python3
"""What outlives the server: it is killed with -9 at random moments, under load, in the middle of snapshots, checkpoints and
restores, and while it loads; its disk fills up; its log cannot be written.

    tests/durability/run.py --server PATH [--long | --small] [--rounds N] [--seed S] [--test N]…
                                                 ends with a line: N passed, N failed, N skipped

The clients keep a journal of what they sent and what was acknowledged (clients.py, journal.py). A kill leaves the system's cache
as it is, so with `everysec`, too, nothing acknowledged may be missing; loss of power is for other tests. The seed decides who
does what; the kernel, when."""

import argparse
import ctypes
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
from clients import MIB, Borrower, Keeper, Taker, Writer  # noqa: E402
from journal import Lent, Mput, Once, Put, read_table  # noqa: E402
from server import Failure, Line, Server, expect  # noqa: E402

SMALL, DEFAULT, LONG = 5, 20, 200  # rounds
PARTITIONS = ["p0", "p1", "p2"]


# ---------------------------------------------------------------- 1: kill -9

class World:
    """All clients of one server, over its lives."""

    def __init__(self, chance):
        def dice():
            return random.Random(chance.random())

        self.writers = [Writer(p, 8 * MIB, 1 + 3 * i, dice()) for i, p in enumerate(PARTITIONS)]
        once = [Once(p, "once") for p in PARTITIONS]
        lent = [Lent(p, "lent") for p in PARTITIONS]
        self.once, self.lent = once, lent
        self.keeper = Keeper("kept", self.writers, 4 * MIB, dice())
        by_name = {w.partition: w for w in self.writers}
        self.clients = (self.writers + [self.keeper] + [Taker(once, dice()) for _ in range(2)] +
                        [Borrower(lent, by_name, dice()) for _ in range(2)])
        self.doubtful = self.untold = 0  # requests without a reply that had been done; samples taken by such

    def check(self, line):
        for writer, once, lent in zip(self.writers, self.once, self.lent):
            done, cleared = writer.check(line)
            self.doubtful += done
            self.untold += once.check(line, writer.table, cleared)
            lent.check(line, writer.table, time.monotonic)
        self.keeper.check(line)

    def check_dump(self, server, path):
        """What BGSAVE had made, or what it had made the time before, is whole."""
        with tempfile.TemporaryDirectory(prefix="tq-durability-") as other:
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
        end = time.monotonic() + 10
        while not loading and not server.is_ready and time.monotonic() < end:
            try:
                line = Line(server.port)
                loading = line.info("persistence")["loading"] == "1"
                line.close()
            except ConnectionError:
                pass
        time.sleep(chance.uniform(0, 0.03))
    ended = server.process.poll()
    server.kill()
    expect(ended is None, "the server ended while it loaded:\n" + server.words())
    return not server.is_ready


def await_moment(world, line, kind, chance):
    """The moment of the kill."""
    time.sleep(chance.uniform(0.005, 0.4))
    if kind in ("BGSAVE", "BGREWRITEAOF"):
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


def test_kill(options):
    kinds = ["load", "BGSAVE", "BGREWRITEAOF", "checkpoint", "restore"]
    chance = random.Random("%d kill" % options.seed)
    world, loading_kills, acknowledged = World(chance), 0, 0
    with tempfile.TemporaryDirectory(prefix="tq-durability-") as directory:
        for round_ in range(options.rounds + 1):
            kind = kinds[round_ % len(kinds)]
            server = persistent(options, directory, chance)
            try:
                line = Line(server.port)
                world.check(line)
                if round_ == options.rounds:
                    finish(world, line)
                    server.process.terminate()
                    expect(server.process.wait(60) == 0, "the server ended with", server.process.returncode)
                    break
                for client in world.clients:
                    client.start(server.port)
                await_moment(world, line, kind, chance)
                expect(server.process.poll() is None, "the server ended:\n" + server.words())
                server.kill()
                for client in world.clients:
                    client.end()
                dump = os.path.join(directory, "dump.tqs")
                if kind == "BGSAVE" and os.path.exists(dump):
                    world.check_dump(options.server, dump)
                if chance.random() < 0.4:
                    for _ in range(chance.randint(1, 2)):
                        loading_kills += kill_loading(options, directory, chance)
            except (AssertionError, Failure, ConnectionError) as e:
                server.kill()
                kept = keep(directory)
                raise AssertionError("round %d (%s): %s\n%s\nthe directory is kept in %s" % (
                    round_, kind, e, server.words(), kept)) from e
            finally:
                server.kill()
    acknowledged = sum(w.acknowledged for w in world.writers)
    print("  %d kills, %d more while it loaded; %d writes acknowledged, %d without a reply had been done, and took %d samples" % (
        options.rounds, loading_kills, acknowledged, world.doubtful, world.untold))
    print("  %d checkpoints made, %d restored" % (world.keeper.made, world.keeper.restored))


def keep(directory):
    kept = tempfile.mkdtemp(prefix="tq-durability-kept-")
    subprocess.run(["cp", "-a", directory + "/.", kept], check=False)
    return kept


def finish(world, line):
    """Nothing goes on any more: leases come to their end, and every checkpoint restores what it had."""
    end = time.monotonic() + 40
    for writer, lent in zip(world.writers, world.lent):
        while lent.check(line, writer.table, time.monotonic):
            expect(time.monotonic() < end, "leases do not end")
            time.sleep(0.05)
    for name in world.keeper.checkpoints:
        world.keeper.check_checkpoint(line, name)
    for name in list(world.keeper.checkpoints):
        world.keeper.check_everything(line, name)


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
