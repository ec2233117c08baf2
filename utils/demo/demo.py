#!/usr/bin/python3
"""A GRPO loop with a tq server in its middle: rollout workers, a reward worker and a trainer, each
a process. Halfway the trainer is killed with a batch in its hands, and another one goes on. At the
end a check that every sample went through each task exactly once."""

import argparse
import multiprocessing
import signal
import sys
import time
from multiprocessing.connection import wait
from typing import NamedTuple

import numpy as np
import redis

import loop
from check import findings
from inputs import Arithmetic, Recorded
from table import Table

PARTITION = "demo@1"


class Failed(Exception):
    pass


class Hung(NamedTuple):
    """What a trainer says that will say no more."""
    held: list  # keys


class Kill(NamedTuple):
    held: list  # keys
    trained: int  # samples, by then


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6399)
    parser.add_argument("--unix", metavar="PATH", help="a unix socket, instead of host and port")
    parser.add_argument("--prompts", type=int, metavar="N",
                        help="how many (512; with --data: all that the file has)")
    parser.add_argument("--group", type=int, default=4, help="rollouts per prompt (%(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="rollout workers (%(default)s)")
    parser.add_argument("--delay", type=float, default=2, metavar="MS",
                        help="how long a rollout takes, on average (%(default)s)")
    parser.add_argument("--data", metavar="FILE", help="recorded rollouts, as JSON lines")
    parser.add_argument("--lease", type=int, default=1000, metavar="MS",
                        help="how long a trainer may keep a batch (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=600, metavar="S")
    opt = parser.parse_args()
    for name in "prompts", "group", "workers", "lease":
        if getattr(opt, name) is not None and getattr(opt, name) < 1:
            parser.error("--%s must be at least 1" % name)
    return opt


def connect(opt):
    if opt.unix:
        return loop.connect(unix_socket_path=opt.unix)
    return loop.connect(opt.host, opt.port)


def status(tq):
    """TQ.STATUS, as far as it is of interest here: produced by field, consumed by task."""
    def pairs(reply):
        return {name.decode(): value for name, value in loop.as_map(reply).items()}
    try:
        answer = pairs(tq.execute_command("TQ.STATUS", PARTITION))
    except redis.ResponseError as error:
        if not str(error).startswith("NOPART"):
            raise
        return {"fields": {}, "tasks": {}}  # nothing written yet
    return {"fields": pairs(answer["fields"]),
            "tasks": {task: pairs(row)["consumed"] for task, row in pairs(answer["tasks"]).items()}}


def trained(tq, partition=PARTITION):
    """The trainer's journal: the (key, reward) pairs of all steps, in order."""
    pairs, cursor, steps = [], None, loop.steps_of(partition)
    while cursor != b"0":
        cursor, leases = tq.execute_command("TQ.LIST", steps, "CURSOR", cursor or 0)
        if leases:
            for keys, rewards in tq.execute_command("TQ.MGET", steps, "KEYS", len(leases), *leases,
                                                    "FIELDS", 2, "keys", "rewards"):
                pairs += zip(keys.split(), np.frombuffer(rewards, "<f4").tolist())
    return pairs


def perform(pipe, opt, work, arguments):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    if work is doomed:
        arguments = [*arguments, pipe]
    pipe.send(work(connect(opt), PARTITION, *arguments))


def doomed(tq, partition, data, lease_ms, pipe):
    """A trainer that hangs over the batch that would bring it past half of the samples, between
    SAMPLE and ACK, and says which samples it holds."""
    learnt = 0

    def learn(keys, _):
        nonlocal learnt
        learnt += len(keys)
        if 2 * learnt > len(data.samples):
            pipe.send(Hung(keys))
            signal.pause()

    return loop.train(tq, partition, data, lease_ms, learn)


class Crew:
    """The workers, and the end of the first trainer."""

    def __init__(self, opt, data, tq):
        self.opt, self.data, self.tq = opt, data, tq
        self.fork = multiprocessing.get_context("fork")
        self.running = {}  # pipe of its journal: (its task, its process)
        self.kill = None
        self.start("train", doomed, data, opt.lease)
        self.start("reward", loop.reward, data, opt.lease)
        for _ in range(opt.workers):
            self.start("rollout", loop.rollout, data, opt.delay / 1000)
        self.start("feeder", loop.feeder, data)

    def start(self, task, work, *arguments):
        reader, writer = self.fork.Pipe(duplex=False)
        process = self.fork.Process(target=perform, args=(writer, self.opt, work, arguments),
                                    daemon=True)
        process.start()
        writer.close()  # so that the reader sees the end of a worker that dies
        self.running[reader] = task, process

    def replace_trainer(self, process, held, table):
        process.kill()
        process.join()
        leased = self.tq.execute_command("TQ.LEASES", PARTITION, "TASK", "train")
        self.kill = Kill(held, len(trained(self.tq)))
        table.note("trainer killed while it held %d samples%s; %s of %s were trained; "
                   "another trainer goes on"
                   % (len(held), "" if leased else ", its lease just over",
                      f"{self.kill.trained:,}", f"{len(self.data.samples):,}"))
        self.start("train", loop.train, self.data, self.opt.lease)

    def gather(self, deadline, table):
        """The journals by task, once all workers have ended."""
        journals = {}
        while self.running:
            if time.monotonic() > deadline:
                waiting = ", ".join(sorted(task for task, _ in self.running.values()))
                raise Failed("not done in time; still at work: " + waiting)
            for pipe in wait(list(self.running), timeout=0.1):
                task, process = self.running.pop(pipe)
                try:
                    answer = pipe.recv()
                except EOFError:
                    process.join()
                    raise Failed("a %s worker died (exit code %d)" % (task, process.exitcode))
                if isinstance(answer, Hung):
                    self.replace_trainer(process, answer.held, table)
                else:
                    journals.setdefault(task, []).extend(answer)
            table.show(status(self.tq))
        journals["train"] = trained(self.tq)
        return journals


def run(opt):
    if opt.data:
        data = Recorded(opt.data, opt.prompts, opt.group)
    else:
        data = Arithmetic(opt.prompts or 512, opt.group, opt.seed)
    if not data.samples:
        raise Failed("%s has no rollouts" % opt.data)
    tq = connect(opt)
    for partition in PARTITION, loop.steps_of(PARTITION):
        tq.execute_command("TQ.CLEAR", partition)
    print("GRPO on %s prompts, %d rollouts each, by %d rollout workers; partition %s at %s\n"
          % (f"{len(data.samples) // opt.group:,}", opt.group, opt.workers, PARTITION,
             opt.unix or "%s:%d" % (opt.host, opt.port)), flush=True)

    table = Table(len(data.samples))
    crew = Crew(opt, data, tq)
    journals = crew.gather(time.monotonic() + opt.timeout, table)
    figures = status(tq)
    table.show(figures, final=True)

    print()
    results = list(findings(data, journals, figures, crew.kill))
    for holds, what in results:
        print("  %s  %s" % ("ok" if holds else "NO", what))
    if not all(holds for holds, _ in results):
        raise Failed("the check does not hold")


def main():
    opt = options()
    try:
        run(opt)
    except (Failed, redis.RedisError, OSError, ValueError) as error:
        print("demo: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
