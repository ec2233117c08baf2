#!/usr/bin/python3
"""A GRPO loop with a tq server in its middle: rollout workers, a reward worker and a trainer, each
a process, and at the end a check that every sample went through each task exactly once."""

import argparse
import multiprocessing
import signal
import sys
import time
from multiprocessing.connection import wait

import redis

import loop
from check import findings
from inputs import Arithmetic, Recorded
from table import Table

PARTITION = "demo@1"


class Failed(Exception):
    pass


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
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=600, metavar="S")
    opt = parser.parse_args()
    for name in "prompts", "group", "workers":
        if getattr(opt, name) is not None and getattr(opt, name) < 1:
            parser.error("--%s must be at least 1" % name)
    return opt


def connect(opt):
    if opt.unix:
        return redis.Redis(unix_socket_path=opt.unix)
    return redis.Redis(opt.host, opt.port)


def status(tq):
    """TQ.STATUS, as far as it is of interest here: produced by field, consumed by task."""
    def pairs(flat):
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}
    try:
        answer = pairs(tq.execute_command("TQ.STATUS", PARTITION))
    except redis.ResponseError as error:
        if not str(error).startswith("NOPART"):
            raise
        return {"fields": {}, "tasks": {}}  # nothing written yet
    return {"fields": pairs(answer["fields"]),
            "tasks": {task: consumed for task, (consumed, *_) in pairs(answer["tasks"]).items()}}


def perform(pipe, opt, work, arguments):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    pipe.send(work(connect(opt), PARTITION, *arguments))


def start(opt, data):
    """The workers, as {pipe of its journal: (its task, its process)}."""
    crew = [(loop.train, data), (loop.reward, data)]
    crew += [(loop.rollout, data, opt.delay / 1000)] * opt.workers
    crew += [(loop.feeder, data)]
    fork = multiprocessing.get_context("fork")
    running = {}
    for work, *arguments in crew:
        reader, writer = fork.Pipe(duplex=False)
        process = fork.Process(target=perform, args=(writer, opt, work, arguments), daemon=True)
        process.start()
        writer.close()  # so that the reader sees the end of a worker that dies
        running[reader] = work.__name__, process
    return running


def gather(running, deadline, tick):
    """The journals by task, once all workers have ended."""
    journals = {}
    while running:
        if time.monotonic() > deadline:
            waiting = ", ".join(sorted(task for task, _ in running.values()))
            raise Failed("not done in time; still at work: " + waiting)
        for pipe in wait(list(running), timeout=0.1):
            task, process = running.pop(pipe)
            try:
                journals.setdefault(task, []).extend(pipe.recv())
            except EOFError:
                process.join()
                raise Failed("a %s worker died (exit code %d)" % (task, process.exitcode))
        tick()
    return journals


def run(opt):
    if opt.data:
        data = Recorded(opt.data, opt.prompts, opt.group)
    else:
        data = Arithmetic(opt.prompts or 512, opt.group, opt.seed)
    if not data.samples:
        raise Failed("%s has no rollouts" % opt.data)
    tq = connect(opt)
    tq.execute_command("TQ.CLEAR", PARTITION)
    print("GRPO on %s prompts, %d rollouts each, by %d rollout workers; partition %s at %s\n"
          % (f"{len(data.samples) // opt.group:,}", opt.group, opt.workers, PARTITION,
             opt.unix or "%s:%d" % (opt.host, opt.port)), flush=True)

    table = Table(len(data.samples))
    journals = gather(start(opt, data), time.monotonic() + opt.timeout,
                      lambda: table.show(status(tq)))
    figures = status(tq)
    table.show(figures, final=True)

    print()
    results = list(findings(data, journals, figures))
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
