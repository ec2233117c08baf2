#!/usr/bin/python3
"""Runs what README.md and docs/ show, block by block, against a server of its own, with the
redis-py of the Python that runs this file. What a block is, its label says:

    python    runs as it stands, in front of a partition train@1 that is complete (see `fill`)
    redis     each line is a command that is no error
    conf      the server starts with it
    console   a session at redis-cli, played by tests/demo/run.py
    sh, text  not run; any other label, or none, is an error

    tests/docs/run.py --server PATH      ends with a line: N passed, N failed, N skipped"""

import argparse
import contextlib
import glob
import importlib
import os
import pickle
import re
import shlex
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


def blocks():
    """(file, line, label, text) of each fenced block."""
    for path in [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "docs", "*.md")))]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            yield os.path.relpath(path, ROOT), text.count("\n", 0, match.start()) + 2, match[1], match[2]


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


def run_block(server_path, label, text):
    if label == "conf":
        with serving(server_path, text):
            return
    with serving(server_path) as server:
        tq = redis.Redis(port=server.port, socket_timeout=PATIENCE)
        if label == "python":
            run_python(text, tq, server.port)
        else:
            run_redis(text, tq)
        tq.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, metavar="PATH")
    server_path = os.path.abspath(parser.parse_args().server)
    passed = failed = 0
    for path, line, label, text in blocks():
        name, began = "%s:%d %s" % (path, line, label), time.monotonic()
        try:
            if label in ("python", "redis", "conf"):
                run_block(server_path, label, text)
            elif label in ("console", "sh", "text"):
                continue
            else:
                raise AssertionError("a block's label says what it is")
            passed += 1
            print("ok       %s (%.1f s)" % (name, time.monotonic() - began), flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print("FAILED   %s\n%s" % (name, traceback.format_exc()), flush=True)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
