#!/usr/bin/python3
"""Runs what the documents (*.md, docs/*.md) show, block by block, against a server of its own, with
the redis-py of the Python that runs this file. What a block is, its label says:

    python    runs as it stands, in front of a partition train@1 that is complete (see `fill`)
    redis     each line is a command that is no error
    conf      the server starts with it
    console   a session at redis-cli, whose replies are those shown, but for ages. It may begin with
              the line `$ redis-cli option…`. README.md's is played by tests/demo/run.py
    sh, text  not run; any other label, or none, is an error

Then it checks what they say of other files: links, files and functions, fields of INFO.

    tests/docs/run.py --server PATH      ends with a line: N passed, N failed, N skipped"""

import argparse
import contextlib
import glob
import importlib
import os
import pickle
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types

import numpy
import redis

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from server import PATIENCE, Server  # noqa: E402

SAMPLES, GROUP = 1024, 4


@contextlib.contextmanager
def serving(path, conf=""):
    """A server in a directory of its own, with the options of a file `conf`."""
    with tempfile.TemporaryDirectory(prefix="tq-docs-") as directory:
        with open(os.path.join(directory, "tq.conf"), "w", encoding="utf-8") as file:
            file.write(conf)
        with Server(path, "tq.conf", cwd=directory) as server:
            yield server


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def documents():
    """The paths of all documents, from ROOT."""
    return sorted(glob.glob("*.md", root_dir=ROOT)) + sorted(glob.glob("docs/*.md", root_dir=ROOT))


FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks():
    """(file, line, label, text) of each fenced block."""
    for path in documents():
        text = read(path)
        for match in FENCED.finditer(text):
            yield path, text.count("\n", 0, match.start()) + 2, match[1], match[2]


def keys():
    return ["s%04d" % i for i in range(SAMPLES)]


def fill(tq):
    """train@1: 1,024 samples in groups of 4, with the fields and tags that the documents speak of."""
    tq.flushall()
    scalars = numpy.arange(SAMPLES, dtype="f4").tobytes()
    text = (numpy.full(SAMPLES, 3, "<u4").tobytes(), b"abc" * SAMPLES)
    tags = [word for name in ("length", "version", "worker") for word in (name, *(str(i % 7) for i in range(SAMPLES)))]
    tq.execute_command(
        "TQ.MPUT", "train@1", "KEYS", SAMPLES, *keys(),
        "GROUPS", GROUP, *("g%d" % (i // GROUP) for i in range(SAMPLES)), "TAGS", 3, *tags,
        "COLUMNS", 4, "prompt", "str", *text, "response", "str", *text,
        "reward", "f32", b"", scalars, "advantage", "f32", b"", scalars)
    tq.execute_command("TQ.SEAL", "train@1")


class Model:
    """Stands for a model and its optimizer."""

    def __init__(self):
        self.state = 0

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def save_object(value, path):
    with open(path, "wb") as file:
        pickle.dump(value, file)


def load_object(path):
    with open(path, "rb") as file:
        return pickle.load(file)


def as_map(reply):
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def resumes(names, tq):
    """save and resume of docs/checkpoints.md do what the document says of them."""
    model = names["model"]
    fill(tq)
    assert names["resume"]() == 0, "the first start: there is no checkpoint yet"
    assert tq.execute_command("TQ.COUNT", "train@1") == SAMPLES
    for step in range(100, 401, 100):
        model.state = step
        names["save"](step)
    kept = [as_map(entry)[b"name"] for entry in tq.execute_command("TQ.CHECKPOINTS")]
    assert sorted(kept) == [b"step-200", b"step-300", b"step-400"], kept
    goes_back(names, tq)
    tq.execute_command("TQ.CLEAR", "train@1", "KEYS", 1, "s0000")
    tq.execute_command("TQ.PUT", "train@2", "k", "FIELDS", 1, "f", "x")
    model.state = 401
    assert names["resume"]() == 400 and model.state == 400
    assert tq.execute_command("TQ.LIST") == [b"train@1"]
    assert tq.execute_command("TQ.COUNT", "train@1") == SAMPLES
    tq.execute_command("TQ.FORGET", "step-400")
    try:
        names["resume"]()
    except redis.ResponseError:
        pass
    else:
        raise AssertionError("a checkpoint that is not there was restored")
    assert tq.execute_command("TQ.COUNT", "train@1") == SAMPLES


class Lossy:
    """A client that loses its first reply, after the server has done the command."""

    def __init__(self, tq):
        self.tq = tq
        self.lost = False

    def execute_command(self, *arguments):
        reply = self.tq.execute_command(*arguments)
        if self.lost:
            return reply
        self.lost = True
        raise redis.TimeoutError("lost")


def repeats(names, tq):
    """sample_once of docs/streaming.md gets the batch whose reply was lost, and takes no other."""
    fill(tq)
    names["tq"] = Lossy(tq)
    assert [row[0] for row in names["sample_once"](1)] == [key.encode() for key in keys()[:64]]
    assert names["tq"].lost
    assert tq.execute_command("TQ.COUNT", "train@1", "TASK", "train") == SAMPLES - 64


def goes_stale(code, names, tq, port):
    """The loop of docs/streaming.md goes on when stale samples fill MAXAHEAD while it waits."""
    tq.flushall()
    tq.execute_command("TQ.CREATE", "train@1", "MAXAHEAD", "train", 128)

    def produce():
        writer = redis.Redis(port=port, socket_timeout=PATIENCE)
        while not writer.info("clients")["blocked_clients"]:
            time.sleep(0.01)
        for i in range(192):
            writer.execute_command("TQ.PUT", "train@1", "k%d" % i, "TAGS", 1, "version", 9 if i >= 128 else 0,
                                   "FIELDS", 1, "response", "x", "BLOCK", 0)
        writer.execute_command("TQ.SEAL", "train@1")
        writer.close()

    producer = threading.Thread(target=produce)
    producer.start()
    exec(code, names)  # pylint: disable=exec-used
    producer.join()
    assert as_map(as_map(as_map(tq.execute_command("TQ.STATUS", "train@1"))[b"tasks"])[b"train"])[b"consumed"] == 64


def goes_back(names, tq):
    """A run that goes back to an older step saves and forgets as before."""
    for step in (300, 400):
        os.remove("ckpt-%d.pt" % step)
    assert names["resume"]() == 200
    for step in (300, 400):
        names["model"].state = step
        names["save"](step)
    kept = [as_map(entry)[b"name"] for entry in tq.execute_command("TQ.CHECKPOINTS")]
    assert sorted(kept) == [b"step-200", b"step-300", b"step-400"], kept
    assert sorted(glob.glob("ckpt-*.pt")) == ["ckpt-200.pt", "ckpt-300.pt", "ckpt-400.pt"]


def run_python(text, tq, port):
    fill(tq)
    torch = types.SimpleNamespace(save=save_object, load=load_object)
    names = {"tq": tq, "redis": redis, "numpy": numpy, "keys": keys(), "torch": torch, "os": os, "glob": glob,
             "model": Model(), "optimizer": Model(), "EVERY": 100, "rank": 0, "world_size": 1, "version": 5}
    names["time"] = importlib.import_module("time")
    with tempfile.TemporaryDirectory(prefix="tq-docs-") as directory:
        os.chdir(directory)
        try:
            code = compile(text.replace("port=6399", "port=%d" % port), "snippet", "exec")
            exec(code, names)  # pylint: disable=exec-used
            if '"version", "<"' in text:
                goes_stale(code, {**names, "version": 5}, tq, port)
            if "resume" in names:
                resumes(names, tq)
            if "sample_once" in names:
                repeats(names, tq)
        finally:
            os.chdir(ROOT)


def run_redis(text, tq):
    tq.flushall()
    for line in filter(None, text.splitlines()):
        tq.execute_command(*shlex.split(line))


PROMPT = "127.0.0.1:6399> "
AGES = re.compile(r'("oldest" => \(integer\)) \d+')


def run_console(text, port):
    lines = text.splitlines()
    options = shlex.split(lines.pop(0))[2:] if lines[0].startswith("$ redis-cli") else ["-p", "6399"]
    options[options.index("-p") + 1] = str(port)
    commands = "".join(line[len(PROMPT):] + "\n" for line in lines if line.startswith(PROMPT))
    shown = "\n".join(line for line in lines if not line.startswith(PROMPT))
    played = subprocess.run(["redis-cli", "--no-raw", *options], input=commands, capture_output=True,
                            encoding="utf-8", timeout=PATIENCE, check=True).stdout
    # At a pipe redis-cli puts an empty line behind each error.
    played = re.sub(r"^(\(error\) .*\n)\n", r"\1", played, flags=re.MULTILINE)
    played = "\n".join(line.rstrip() for line in played.splitlines())
    shown, played = AGES.sub(r"\1 AGE", shown), AGES.sub(r"\1 AGE", played)
    assert played == shown, "played:\n%s\nshown:\n%s" % (played, shown)


def run_block(server_path, label, text):
    if label not in ("python", "redis", "conf", "console"):
        raise AssertionError("a block's label says what it is")
    if label == "conf":
        with serving(server_path, text):
            return
    with serving(server_path) as server:
        tq = redis.Redis(port=server.port, socket_timeout=PATIENCE)
        if label == "python":
            run_python(text, tq, server.port)
        elif label == "console":
            run_console(text, server.port)
        else:
            run_redis(text, tq)
        tq.close()


def anchors(path):
    """Of each heading the anchor that it has on a page, as GitHub makes it."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", FENCED.sub("", read(path)), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()).replace(" ", "-")
        assert name not in found, "%s has two headings '%s'" % (path, heading)
        found.add(name)
    return found


def check_links(_):
    """A link leads to a file that is there, and to one of its headings."""
    for path in documents():
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", read(path))):
            if re.match(r"https?:", target):
                continue
            name, _, anchor = target.partition("#")
            to = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            assert os.path.exists(os.path.join(ROOT, to)), "%s: no file %s" % (path, target)
            assert not anchor or anchor in anchors(to), "%s: no heading %s" % (path, target)


def check_index(_):
    """docs/decisions.md lists each of its entries, and each document stands in the README."""
    text = read("docs/decisions.md")
    for entry in re.findall(r"^### (.*)$", text, re.MULTILINE):
        assert "[%s](#" % entry in text, "no '%s' in the index" % entry
    for path in documents():
        assert path == "README.md" or "(%s)" % path in read("README.md"), "README.md: no %s" % path


def check_places(_):
    """Functions are in the files that CONTRIBUTING.md names for them: `a()`, `b()` … in `file`."""
    text = read("CONTRIBUTING.md")
    for path in re.findall(r"`((?:src|tests|utils|docs)/[\w./-]+)`", text):
        assert os.path.exists(os.path.join(ROOT, path)) or re.search("[A-Z]{4}", path), "no file %s" % path
    files = {}
    for row in re.findall(r"^\| \d+\. .*$", text, re.MULTILINE):
        functions = []
        for function, path in re.findall(r"`(\w+)\(\)`|`(src/[\w./-]+)`", row):
            if function:
                functions.append(function)
            else:
                files.setdefault(path, []).extend(functions)
                functions = []
    assert len(files) >= 10, files
    for path, functions in files.items():
        for function in functions:
            assert re.search(r"^[a-z].*\b%s\(" % function, read(path), re.MULTILINE), "%s: no %s" % (path, function)


def check_info(server_path):
    """INFO has the fields that docs/operations.md describes, but for those of a load."""
    section = read("docs/operations.md").split("## What INFO says")[1]
    rows = re.findall(r"^\| (\w+) \| (.*) \|$", section, re.MULTILINE)
    assert len(rows) >= 9, rows
    with serving(server_path, "appendonly yes\n") as server:
        tq = redis.Redis(port=server.port, socket_timeout=PATIENCE)
        tq.execute_command("TQ.PUT", "train@1", "s1", "FIELDS", 1, "response", "x")
        for name, text in rows:
            if name == "section":
                continue
            fields = tq.info(name)
            assert fields, "no section %s" % name
            for field in re.findall(r"`([a-z0-9_]+)`", text):
                known = field in fields or field in ("maxmemory", "keys") or field.startswith("loading_")
                assert known, "INFO %s has no %s" % (name, field)
        tq.close()


CHECKS = [check_links, check_index, check_places, check_info]


def run_one(name, what, *arguments):
    """1 where it failed."""
    began = time.monotonic()
    try:
        what(*arguments)
        print("ok       %s (%.1f s)" % (name, time.monotonic() - began), flush=True)
        return 0
    except Exception:  # pylint: disable=broad-except
        print("FAILED   %s\n%s" % (name, traceback.format_exc()), flush=True)
        return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, metavar="PATH")
    server_path = os.path.abspath(parser.parse_args().server)
    results = []
    for path, line, label, text in blocks():
        if label in ("sh", "text") or (path, label) == ("README.md", "console"):
            continue
        name = "%s:%d %s" % (path, line, label)
        results.append(run_one(name, run_block, server_path, label, text))
    for check in CHECKS:
        results.append(run_one(check.__name__, check, server_path))
    failed = sum(results)
    passed = len(results) - failed
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
