#!/usr/bin/python3
"""Runs the demo, and the session that the README shows, against servers of their own, and sees to
it that the demo's final check can fail. The demo runs under the Python that runs this file, with
its redis-py.

    tests/demo/run.py --server PATH      ends with a line: N passed, N failed, N skipped"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEMO = os.path.join(ROOT, "utils", "demo", "demo.py")
ROLLOUTS = os.path.join(ROOT, "..", "shared", "data", "gsm8k", "rollouts.jsonl")
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(DEMO), os.path.join(ROOT, "tests", "support")]
import redis  # noqa: E402

import loop  # noqa: E402
from check import findings  # noqa: E402
from demo import Kill, trained  # noqa: E402
from inputs import Arithmetic  # noqa: E402
from server import PATIENCE, Server  # noqa: E402

server_path = None


def wait_until(holds, what):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain until " + what)
        time.sleep(0.02)


class Serving(Server):
    """In a directory of its own, where its unix socket is tq.sock: the whole path may be too long for a socket."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="tq-demo-")
        super().__init__(server_path, "--unixsocket", "tq.sock", cwd=self.dir.name)

    def stop(self):
        """Ends it, which must be clean: under the sanitizers this is where leaks are told."""
        self.__exit__(None, None, None)
        self.dir.cleanup()


def start_demo(server, *options):
    return subprocess.Popen([sys.executable, DEMO, "--port", str(server.port), *options], encoding="utf-8",
                            cwd=server.dir.name, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Running(unittest.TestCase):
    def setUp(self):
        self.server = Serving()
        self.addCleanup(self.server.stop)

    def finish(self, demo):
        out, err = demo.communicate(timeout=PATIENCE)
        return demo.returncode, out, err

    def test_prompts_of_its_own_over_a_unix_socket(self):
        code, out, err = self.finish(start_demo(self.server, "--unix", "tq.sock"))
        self.assertEqual((code, err), (0, ""), out + err)
        for task in "rollout", "reward", "train":
            self.assertIn("ok  %s took every one of 2,048 samples exactly once" % task, out)

    def test_the_trainer_is_killed_and_what_it_held_comes_back(self):
        began = time.monotonic()
        code, out, err = self.finish(start_demo(self.server, "--prompts", "64", "--lease", "5000"))
        self.assertEqual((code, err), (0, ""), out + err)
        self.assertGreater(time.monotonic() - began, 5)  # it came back with time, not before
        self.assertRegex(out, "  trainer killed while it held 64 samples(, its lease just over)?; "
                              "128 of 256 were trained; another trainer goes on\n")
        self.assertIn("ok  64 samples that the killed trainer held came back\n", out)
        self.assertIn("ok  train took every one of 256 samples exactly once\n", out)
        tq = redis.Redis("127.0.0.1", self.server.port)
        self.assertEqual(len(trained(tq)), 256)
        tasks = loop.as_map(loop.as_map(tq.execute_command("TQ.STATUS", "demo@1"))[b"tasks"])
        rows = {task: loop.as_map(row) for task, row in tasks.items()}
        self.assertEqual({task: [row[b"consumed"], row[b"leased"]] for task, row in rows.items()},
                         {b"rollout": [256, 0], b"reward": [256, 0], b"train": [256, 0]})

    def test_one_group(self):
        code, out, err = self.finish(start_demo(self.server, "--prompts", "1"))
        self.assertEqual((code, err), (0, ""), out + err)
        self.assertIn("trainer killed while it held 4 samples", out)

    def test_a_batch_whose_lease_was_lost_is_not_counted(self):
        tq = redis.Redis("127.0.0.1", self.server.port)
        data = Arithmetic(prompts=40, group=4, seed=1)
        loop.feeder(tq, "p", data)
        loop.rollout(tq, "p", data, 0)
        loop.reward(tq, "p", data, 60000)
        batches = []

        def learn(keys, _):
            batches.append(keys)
            if len(batches) == 2:
                wait_until(lambda: not tq.execute_command("TQ.LEASES", "p", "TASK", "train"), "the lease ends")

        loop.train(tq, "p", data, 2000, learn)
        self.assertGreater(batches.count(batches[1]), 1)
        self.assertEqual([key for key, _ in trained(tq, "p")], [s.key for s in data.samples])

    def test_groups_of_another_size(self):
        code, out, err = self.finish(start_demo(self.server, "--group", "7", "--prompts", "33",
                                                "--workers", "9", "--seed", "5"))
        self.assertEqual((code, err), (0, ""), out + err)
        self.assertIn("ok  train took every one of 231 samples exactly once", out)

    def test_again_on_the_same_server(self):
        for _ in range(2):
            code, out, err = self.finish(start_demo(self.server, "--prompts", "20"))
            self.assertEqual((code, err), (0, ""), out + err)

    @unittest.skipUnless(os.path.exists(ROLLOUTS), "no ../shared/data")
    def test_real_rollouts(self):
        code, out, err = self.finish(start_demo(self.server, "--data", ROLLOUTS))
        self.assertEqual((code, err), (0, ""), out + err)
        self.assertEqual(out.count("  ok  "), 7)
        for task in "rollout", "reward", "train":
            self.assertIn("ok  %s took every one of 5,276 samples exactly once" % task, out)

    def test_a_worker_that_dies_fails_it(self):
        demo = start_demo(self.server, "--prompts", "5000", "--delay", "1000")
        children = "/proc/%d/task/%d/children" % (demo.pid, demo.pid)

        def workers():
            with open(children, encoding="ascii") as file:
                return file.read().split()

        wait_until(lambda: len(workers()) == 7 or demo.poll() is not None, "the workers run")
        os.kill(int(workers()[0]), signal.SIGKILL)
        code, _, err = self.finish(demo)
        self.assertEqual(code, 1)
        self.assertIn("a train worker died (exit code -9)", err)

    def test_a_server_that_dies_fails_it(self):
        demo = start_demo(self.server, "--prompts", "5000", "--delay", "1000")
        self.assertIn("GRPO on", demo.stdout.readline())
        self.server.process.terminate()
        code, _, err = self.finish(demo)
        self.assertEqual(code, 1)
        self.assertIn("demo: ", err)

    def test_time_that_passes_fails_it(self):
        demo = start_demo(self.server, "--prompts", "100", "--delay", "100000", "--timeout", "1")
        code, _, err = self.finish(demo)
        self.assertEqual(code, 1)
        self.assertIn("not done in time; still at work: ", err)


def at_the_prompt(server, command):
    """What redis-cli prints, but for the line that it adds to whatever took half a second."""
    out = subprocess.run(["redis-cli", "-p", str(server.port), "--no-raw"], text=True, check=True,
                         input=command + "\n", stdout=subprocess.PIPE).stdout
    return re.sub(r"^\(\d+\.\d\ds\)\n", "", out, flags=re.MULTILINE)


class Readme(unittest.TestCase):
    def test_the_session_at_the_prompt(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            session = "".join(re.findall(r"^```console\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE))
        prompt = "127.0.0.1:6399> "
        server = Serving()
        self.addCleanup(server.stop)
        played = ""
        for line in session.splitlines():
            if line.startswith(prompt):
                played += line + "\n" + at_the_prompt(server, line[len(prompt):])
        self.assertIn("TQ.SAMPLE", played)
        self.assertMultiLineEqual(played, session)

    def test_the_prompt_of_a_slow_machine(self):
        server = Serving()
        self.addCleanup(server.stop)
        self.assertEqual(at_the_prompt(server, "TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 600"),
                         "(nil)\n")


class Check(unittest.TestCase):
    """A run in which nothing went wrong, and then one thing did."""

    def setUp(self):
        self.data = Arithmetic(prompts=10, group=4, seed=1)
        samples = self.data.samples
        self.keys = [sample.key for sample in samples]
        trained = [(s.key, self.data.reward(s.key, s.prompt, self.data.respond(s.key, s.prompt)))
                   for s in samples]
        self.journals = {"rollout": list(self.keys), "reward": list(self.keys), "train": trained}
        self.status = {"fields": dict.fromkeys(["prompt", "response", "reward", "advantage"], 40),
                       "tasks": dict.fromkeys(["rollout", "reward", "train"], 40)}
        self.kill = Kill(self.keys[20:28], 20)

    def complaints(self):
        return [what for holds, what in findings(self.data, self.journals, self.status,
                                                   self.kill)
                if not holds]

    def test_nothing_wrong(self):
        self.assertEqual(self.complaints(), [])

    def test_the_policy_is_neither_perfect_nor_hopeless(self):
        self.assertTrue(0.2 < self.data.mean_reward() < 0.9)

    def test_a_sample_missing(self):
        del self.journals["rollout"][5]
        self.assertEqual(self.complaints(), [
            "rollout took every one of 40 samples exactly once, 1 missing, first b'q1.1'"])

    def test_a_sample_twice(self):
        self.journals["reward"].append(b"q3.0")
        self.assertEqual(self.complaints(), [
            "reward took every one of 40 samples exactly once, 1 too many, first b'q3.0'"])

    def test_a_sample_in_place_of_another(self):
        self.journals["reward"][5] = b"q3.0"
        self.assertEqual(self.complaints(), [
            "reward took every one of 40 samples exactly once, "
            "1 missing, first b'q1.1', 1 too many, first b'q3.0'"])

    def test_another_count_in_the_status(self):
        self.status["tasks"]["train"] = 39
        self.assertEqual(self.complaints(), [
            "train took every one of 40 samples exactly once, but TQ.STATUS says 39"])

    def test_a_torn_group(self):
        trained = self.journals["train"]
        trained[3], trained[4] = trained[4], trained[3]
        self.assertEqual(self.complaints(), ["train got its groups of 4 whole, but for 2 of them"])

    def test_samples_that_the_killed_trainer_kept(self):
        self.kill = Kill(self.keys[16:24], 20)
        self.assertEqual(self.complaints(), [
            "8 samples that the killed trainer held came back, but for 4 of them"])

    def test_a_trainer_that_held_nothing(self):
        self.kill = Kill([], 20)
        self.assertEqual(self.complaints(), ["0 samples that the killed trainer held came back"])

    def test_a_field_not_produced_everywhere(self):
        self.status["fields"]["advantage"] = 36
        self.assertEqual(self.complaints(), ["every sample has all fields, but for advantage"])

    def test_a_reward_that_changed_on_the_way(self):
        key, reward = self.journals["train"][7]
        self.journals["train"][7] = key, 1 - reward
        complaints = self.complaints()
        self.assertEqual(len(complaints), 1)
        self.assertIn("mean reward", complaints[0])


class Result(unittest.TextTestResult):
    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self.began = time.monotonic()

    def tell(self, word, test, more=""):
        name = test.id().split(".")[-1].replace("test_", "", 1).replace("_", " ")
        print("%-8s %s%s" % (word, name, more), flush=True)

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.tell("ok", test, " (%.1f s)" % (time.monotonic() - self.began))

    def addFailure(self, test, err):
        unittest.TestResult.addFailure(self, test, err)
        self.tell("FAILED", test, "\n" + self.failures[-1][1])

    def addError(self, test, err):
        unittest.TestResult.addError(self, test, err)
        self.tell("FAILED", test, "\n" + self.errors[-1][1])

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        self.tell("skipped", test, " (%s)" % reason)


def main():
    global server_path
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, metavar="PATH")
    server_path = os.path.abspath(parser.parse_args().server)
    tests = unittest.TestLoader().loadTestsFromModule(sys.modules[__name__])
    result = Result(sys.stdout, True, 0)
    tests(result)
    skipped = len(result.skipped)
    # A test that fails and whose server then ends badly has failed once.
    failed = len({test.id() for test, _ in result.failures + result.errors})
    passed = result.testsRun - failed - skipped
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
