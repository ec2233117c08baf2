#!/usr/bin/python3
"""Measures what docs/performance.md says, on this machine, in one run.

    utils/performance.py             prints the table
    utils/performance.py --write     puts it into docs/performance.md
    --only WORD     the measurements whose name contains WORD; see --list
    --quick         small sizes and few rounds, to try the script: the figures mean nothing
    --build DIR     where the programs are (build/release/src)

--write takes no --only and no --quick, so that all figures of the document come from one run of
one machine. redis-server and redis-benchmark must be on PATH. Nothing else should run meanwhile.
A run takes some 40 minutes, 8 GB of memory and 4 GB of disk below TMPDIR."""

import argparse
import datetime
import json
import os
import platform
import re
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENT = os.path.join(ROOT, "docs", "performance.md")
BEGIN, END = "<!-- written by utils/performance.py -->\n", "<!-- end -->\n"
PATIENCE_S = 600


class Row(NamedTuple):
    """A line of the table; the cells are text. `ratio` is tq's figure to the peer's."""
    what: str
    tq: str
    peer: str = ""
    ratio: str = ""
    rounds: str = ""


class Setting(NamedTuple):
    build: str
    quick: bool

    def program(self, name):
        return os.path.join(self.build, name)

    def pick(self, full, quick):
        return quick if self.quick else full


# ---------------------------------------------------------------- text

def quantity(n, unit=""):
    """Three significant digits: 2.65 Gbit/s, 94.6 k/s, 1.61 M samples/s, 2.9 kB."""
    prefix = ""
    for prefix in ("", "k", "M", "G"):
        if abs(n) < 999.5:
            break
        n /= 1000
    digits = 0 if n == int(n) or abs(n) >= 100 else 1 if abs(n) >= 10 else 2
    if unit in ("B", "/s"):
        prefix, unit = prefix + unit, ""
    return " ".join(filter(None, (f"{n:.{digits}f}", prefix, unit)))


def span(ratios):
    return f"{min(ratios):.2f}–{max(ratios):.2f}, {len(ratios)} rounds"


def compared(what, own, peers, unit, peer_name):
    """A row of rates measured in turns, round by round."""
    ratios = [mine / other for mine, other in zip(own, peers)]
    return Row(what, quantity(statistics.median(own), unit),
               f"{peer_name} {quantity(statistics.median(peers))}",
               f"{statistics.median(ratios):.2f}", span(ratios))


# ---------------------------------------------------------------- programs

def benchmark(setting, *args, server=()):
    """The results of tq-benchmark, as its --json gives them."""
    command = [setting.program("tq-benchmark"), "--json", *map(str, args)]
    if server:
        command += ["--", *server]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["results"]


def peer_of(result, name):
    return next(peer for peer in result["peers"] if peer["peer"] == name)


def against(what, result, name, label=""):
    """A row of one result of tq-benchmark: large values in Gbit/s, small ones in samples/s."""
    tq, peer = peer_of(result, "tq"), peer_of(result, name)
    figure, unit = ("gbit_s", "Gbit/s") if result["value_bytes"] > 4096 else ("rate_s", "samples/s")
    return Row(what, quantity(tq[figure], unit), f"{label or name} {quantity(peer[figure])}",
               f"{peer['ratio']:.2f}",
               f"{peer['ratio_min']:.2f}–{peer['ratio_max']:.2f}, {result['rounds']} rounds")


class ErrorReply(Exception):
    """An error reply."""


class Server:
    """A server of this run's own on a unix socket and a port of the loopback, in `directory`."""

    def __init__(self, program, directory, *options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        path = os.path.join(directory, f"{os.path.basename(program)}.sock")
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), "--unixsocket", path, "--dir", directory,
             "--loglevel", "warning", *options],
            stdout=subprocess.DEVNULL)
        self.socket = self._connect(path)
        self.file = self.socket.makefile("rb")
        self._await_loaded()

    def _connect(self, path):
        while time.monotonic() < self.began + PATIENCE_S and self.process.poll() is None:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.002)
        raise RuntimeError("a server did not start")

    def _await_loaded(self):
        while True:
            try:
                self.call("PING")
                break
            except ErrorReply as why:
                if "LOADING" not in str(why):
                    raise
                time.sleep(0.002)
        self.ready_s = time.monotonic() - self.began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.terminate()
        self.process.wait()

    def send(self, *args):
        parts = [b"*%d\r\n" % len(args)]
        for arg in args:
            data = arg if isinstance(arg, bytes) else str(arg).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def read(self):
        line = self.file.readline()
        kind, text = line[:1], line[1:-2]
        if kind == b"-":
            raise ErrorReply(text.decode())
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == b"-1" else self.file.read(int(text) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(text))]
        return text

    def call(self, *args):
        self.send(*args)
        return self.read()

    def info(self, name):
        found = re.search(rf"^{name}:(\d+)", self.call("INFO").decode(), re.MULTILINE)
        return int(found[1])

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024

    def cpu_s(self, *args):
        """Processor time of the main thread for one command."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat"

        def now():
            with open(path, encoding="ascii") as file:
                return int(file.read().split()[0]) / 1e9
        self.call("PING")
        before = now()
        self.call(*args)
        return now() - before


def fill(server, samples, value_bytes, tags=False, redis=False):
    """Samples with one field of random bytes, in batches; with `tags` also v and w."""
    each = max(1, min(10000, samples, 64_000_000 // value_bytes))
    for first in range(0, samples, each):
        keys = [b"s%09d" % i for i in range(first, min(samples, first + each))]
        payload = os.urandom(value_bytes) * len(keys)
        if redis:
            for key in keys:
                server.send("HSET", key, "f", payload[:value_bytes])
            for _ in keys:
                server.read()
            continue
        words = []
        if tags:
            scattered = [i * 7919 % 1000003 for i in range(first, first + len(keys))]
            words = ["TAGS", 2, "v", *("0.%06d" % min(n, 999999) for n in scattered),
                     "w", *(n % 1000 for n in scattered)]
        server.call("TQ.MPUT", "p", "KEYS", len(keys), *keys, *words, "COLUMNS", 1, "f", "bytes",
                    struct.pack("<I", value_bytes) * len(keys), payload)


# ---------------------------------------------------------------- measurements

def bulk(setting):
    rounds = setting.pick(15, 2)
    sizes = setting.pick([], ["-b", 64])
    results = benchmark(setting, "-t", "mput,mget", "--transport", "tcp,unix", "--compare",
                        "--rounds", rounds, "-n", 4, *sizes)
    names = {"mput": "TQ.MPUT 1024 × 9 × 32 KiB", "mget": "TQ.MGET AS COLUMNS of it"}
    for result in results:
        what = f"{names[result['scenario']]}, {result['transport']}"
        yield against(what, result, "raw")
        if result["scenario"] == "mget" and result["transport"] == "tcp":
            yield against("the same, beside Redis", result, "redis", label="redis HMGET")


def cold(setting):
    rounds, sizes = setting.pick(9, 2), setting.pick([], ["-b", 64])
    for what, options in (("TQ.MPUT into a server just started, tcp", ()),
                          ("the same with memory-prefault 512mb", ("--memory-prefault", "512mb"))):
        result, = benchmark(setting, "-t", "mput", "--cold", "--compare", "--rounds", rounds,
                            *sizes, server=options)
        yield against(what, result, "raw", label="raw into fresh memory")


def small_batches(setting):
    put, get = benchmark(setting, "-t", "mput,mget", "-d", 64, "--compare",
                         "-n", setting.pick(100, 4), "--rounds", setting.pick(5, 2))
    yield against("TQ.MPUT 1024 × 9 × 64 B, tcp", put, "redis", label="redis HSET")
    yield against("TQ.MGET AS COLUMNS of it", get, "redis", label="redis HMGET")


def redis_benchmark(setting, server, *args):
    """Requests a second of redis-benchmark, 50 clients, 32 commands in flight each."""
    done = subprocess.run(["redis-benchmark", "-p", str(server.port), "-P", "32", "--csv",
                           "-n", str(setting.pick(2000000, 20000)), *args],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return float(done.stdout.decode().strip().split("\n")[-1].split('","')[1].strip('"'))


def commands(setting):
    value = "x" * 64
    put = ("-r", "1000000", "TQ.PUT", "p", "key:__rand_int__", "FIELDS", "1", "f", value)
    hset = ("-r", "1000000", "HSET", "key:__rand_int__", "f", value)
    for what, own, other in (("PING, redis-benchmark -P 32", ("-t", "ping_mbulk"), ("-t", "ping_mbulk")),
                             ("TQ.PUT of 64 B to a million samples, -P 32", put, hset)):
        with tempfile.TemporaryDirectory() as directory, \
                Server(setting.program("tq-server"), directory) as tq, \
                Server("redis-server", directory, "--save", "") as redis:
            turns = [(redis_benchmark(setting, tq, *own), redis_benchmark(setting, redis, *other))
                     for _ in range(setting.pick(5, 2))]
        yield compared(what, [turn[0] for turn in turns], [turn[1] for turn in turns], "/s",
                       "redis" if own == other else "redis HSET")


def wake(setting):
    results = benchmark(setting, "-t", "wake", "--transport", "tcp,unix", "--compare",
                        "--rounds", setting.pick(101, 3), "-n", setting.pick(500, 20))
    for result in results:
        tq, redis = peer_of(result, "tq"), peer_of(result, "redis")
        for of in ("p50", "p99"):
            yield Row(f"a write to the blocked TQ.SAMPLE's reply, {result['transport']}, {of}",
                      f"{tq[of + '_us']:.1f} µs", f"redis LPUSH to BLPOP {redis[of + '_us']:.1f} µs",
                      f"{redis[of + '_ratio']:.2f} of the time", f"{result['rounds']} rounds")


def sampling(setting):
    few, many = benchmark(setting, "-t", "sample-keys", "--rounds", setting.pick(9, 2),
                          "--partitions", setting.pick("10k,10m", "2k,20k"), "-n",
                          setting.pick(500, 10))
    cost = [peer_of(result, "tq")["server_cpu_request_s"] * 1e6 for result in (few, many)]
    sizes = [quantity(result["partition_samples"]) for result in (few, many)]
    yield Row(f"TQ.SAMPLE of 1024, AS KEYS, of {sizes[1]} samples", f"{cost[1]:.1f} µs of CPU",
              f"of {sizes[0]}: {cost[0]:.1f} µs", f"{many['cpu_ratio']:.2f} of the time",
              f"{many['rounds']} rounds")


def memory(setting):
    put, after, small = benchmark(setting, "-t", "memory,memory-small", *setting.pick(
        [], ["-b", 64, "--partitions", "10k"]))
    yield Row("resident after a warm put of 302 MB in values of 32 KiB",
              f"{put['ratio']:.3f} of the payload")
    yield Row("… after 20 rounds of put, sample, clear with values of other sizes",
              f"{after['ratio']:.3f} of the payload")
    yield Row("1 M samples of 9 × 64 B, beyond payload", f"{small['overhead_bytes_sample']:.0f} B a sample")
    with tempfile.TemporaryDirectory() as directory, \
            Server(setting.program("tq-server"), directory) as server:
        before, n = server.resident(), setting.pick(5000, 500)
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(n)]
        for connection in idle:
            connection.sendall(b"PING\r\n")
            connection.recv(7)
        yield Row("an idle connection", quantity((server.resident() - before) / n, "B"))
        for connection in idle:
            connection.close()


def log(setting):
    turns = []
    for _ in range(setting.pick(21, 2)):
        turn = []
        for options in (("--appendonly", "yes", "--appendfsync", "everysec"), ()):
            result, = benchmark(setting, "-t", "put-one", "-P", 32, "--rounds", 1,
                                "-n", setting.pick(200000, 5000), server=options)
            turn.append(peer_of(result, "tq")["rate_s"])
        turns.append(turn)
    yield compared("TQ.PUT of 64 B with a log, everysec, 50 clients, -P 32",
                   [turn[0] for turn in turns], [turn[1] for turn in turns], "/s", "without")


def start(setting):
    samples, program = setting.pick(10_000_000, 20_000), setting.program("tq-server")
    seconds = {}
    for name, options in (("snapshot", ()), ("log", ("--appendonly", "yes", "--appendfsync", "no"))):
        with tempfile.TemporaryDirectory() as directory:
            with Server(program, directory, *options) as server:
                fill(server, samples, 64)
                if name == "snapshot":
                    server.call("SAVE")
            with Server(program, directory, *options) as server:
                assert server.call("TQ.COUNT", "p") == samples
                seconds[name] = server.ready_s
    rate = {name: samples / s for name, s in seconds.items()}
    yield Row("start on a snapshot of 10 M samples of 64 B", quantity(rate["snapshot"], "samples/s"))
    yield Row("… on a log of them", quantity(rate["log"], "samples/s"),
              f"snapshot {quantity(rate['snapshot'])}", f"{rate['log'] / rate['snapshot']:.2f}", "once")


def fork(setting):
    samples, us = setting.pick(36_864, 512), {}
    for name, program, options in (("tq", setting.program("tq-server"), ()),
                                   ("redis", "redis-server", ("--save", ""))):
        with tempfile.TemporaryDirectory() as directory, Server(program, directory, *options) as server:
            fill(server, samples, 32768, redis=name == "redis")
            server.call("BGSAVE")
            while server.info("rdb_bgsave_in_progress"):
                time.sleep(0.05)
            us[name] = server.info("latest_fork_usec")
    yield Row("BGSAVE of 1.21 GB: the fork", f"{us['tq'] / 1000:.2f} ms", f"redis {us['redis'] / 1000:.2f} ms",
              f"{us['tq'] / us['redis']:.2f} of the time", "once")


def indexes(setting):
    """Processor time of commands that an index helps, best of 5, beside the same without."""
    samples = setting.pick(1_000_000, 10_000)
    take = ("TQ.SAMPLE", "p", "t", "COUNT", 1, "FIELDS", 1, "f", "BY")
    calls = {"TQ.SAMPLE COUNT 1 BY MAX v of 1 M samples, INDEX v": (*take, "MAX", "v", "AS", "KEYS"),
             "… BY PRIORITY v": (*take, "PRIORITY", "v", "AS", "KEYS")}
    cost = {}
    with tempfile.TemporaryDirectory() as directory:
        for index in (("INDEX", 2, "v", "v^1"), ()):
            with Server(setting.program("tq-server"), directory) as server:
                server.call("TQ.CREATE", "p", *index)
                fill(server, samples, 4, tags=True)
                for what, call in calls.items():
                    cost.setdefault(what, []).append(min(server.cpu_s(*call) for _ in range(5)))
    for what, (own, other) in cost.items():
        yield Row(what, f"{own * 1000:.2f} ms of CPU", f"without {other * 1000:.2f} ms",
                  f"{own / other:.4f} of the time", "best of 5")


MEASUREMENTS = (bulk, cold, small_batches, commands, wake, sampling, memory, log, start, fork, indexes)


# ---------------------------------------------------------------- the document

def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False).stdout.decode().strip()
    redis = subprocess.run(["redis-server", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return (f"Measured on {datetime.date.today()}{' at ' + commit if commit else ''}, in one run: "
            f"{os.cpu_count()} processors ({model[1].strip() if model else platform.machine()}), "
            f"Linux {platform.release().split('-')[0]}, Redis {re.search(r'v=([0-9.]+)', redis)[1]}.\n")


def line(row):
    return "| " + " | ".join(row) + " |\n"


def table(rows):
    return line(Row("what", "tq", "peer", "ratio", "range over the rounds")) + line(("---",) * 5) + \
        "".join(map(line, rows))


def write(text):
    with open(DOCUMENT, encoding="utf-8") as file:
        before, _, rest = file.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{DOCUMENT} lacks the lines between which the table goes: {BEGIN}{END}")
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n" + text + "\n" + END + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", metavar="WORD", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build", "release", "src"))
    parser.add_argument("--list", action="store_true", help="print the names of the measurements")
    options = parser.parse_args()
    chosen = [m for m in MEASUREMENTS if options.only in m.__name__]
    if options.list:
        print("\n".join(m.__name__ for m in chosen))
        return
    if options.write and (options.only or options.quick):
        parser.error("--write takes no --only and no --quick")
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, 16384)), most))
    setting = Setting(os.path.abspath(options.build), options.quick)
    rows = []
    for measure in chosen:
        print(f"{measure.__name__} …", file=sys.stderr, flush=True)
        rows += measure(setting)
    text = machine() + "\n" + table(rows)
    if options.quick:
        text = "--quick: these figures mean nothing, sizes are not those of the first column.\n" + text
    if options.write:
        write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
