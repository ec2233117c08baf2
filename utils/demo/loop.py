"""The workers of a GRPO loop. Each runs in a process of its own and knows nothing of the others:
what is ready for whom, and when there will be no more, is tq's business.

    feeder    writes prompts, each as a group of samples, and seals the partition
    rollout   takes prompts, writes responses
    reward    takes responses, writes rewards
    train     takes whole groups with their rewards, writes advantages

The reward worker and the trainer take with a lease: should one die, what it held goes to the next.
Each returns a journal of the samples it took, in order, but for the trainer, which keeps it in tq,
where it outlives the trainer: a partition with a sample for each step."""

import random
import time

import numpy as np
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(*address, **options):
    """A client for calls that wait in the server. redis-py since version 8 gives a reply 5 seconds
    and then sends the command again: a second TQ.SAMPLE may take a second batch while the first
    one is on its way. So there is no limit of time here, and nothing is sent twice."""
    return redis.Redis(*address, socket_timeout=None, retry=Retry(NoBackoff(), 0), **options)


def as_map(reply):
    """A map of the protocol: a dict with RESP3, which redis-py speaks by itself since version 8;
    with RESP2 a list of names and values."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def stream(tq, partition, task, count, *clauses):
    """The batches of a task, waiting for each as long as it takes, until the end of the stream."""
    while batch := tq.execute_command("TQ.SAMPLE", partition, task, "COUNT", count,
                                      *clauses, "BLOCK", 0):
        yield batch


def acknowledge(tq, partition, task, lease, *commands):
    """Carries out the commands and acknowledges the lease, all or (killed before EXEC) nothing.
    False where the lease had run out: the samples are someone else's by now."""
    pipe = tq.pipeline(transaction=True)
    for command in commands:
        pipe.execute_command(*command)
    pipe.execute_command("TQ.ACK", partition, task, lease)
    try:
        pipe.execute()
    except redis.ResponseError as error:
        if ": NOLEASE " not in str(error):
            raise
        return False
    return True


def feeder(tq, partition, data):
    for start in range(0, len(data.samples), data.group):
        pipe = tq.pipeline(transaction=False)
        for sample in data.samples[start:start + data.group]:
            pipe.execute_command("TQ.PUT", partition, sample.key,
                                 "GROUP", sample.group, data.group,
                                 "FIELDS", 1, "prompt:str", sample.prompt)
        pipe.execute()
    tq.execute_command("TQ.SEAL", partition)
    return []


def rollout(tq, partition, data, delay):
    journal = []
    for batch in stream(tq, partition, "rollout", 8, "ATLEAST", 1, "FIELDS", 1, "prompt"):
        for key, prompt in batch:
            response = data.respond(key, prompt.decode())
            time.sleep(random.expovariate(1 / delay) if delay else 0)  # generating takes a while
            tq.execute_command("TQ.PUT", partition, key, "FIELDS", 1, "response:str", response)
            journal.append(key)
    return journal


def reward(tq, partition, data, lease_ms):
    journal = []
    for lease, batch in stream(tq, partition, "reward", 64, "ATLEAST", 1,
                               "FIELDS", 2, "prompt", "response", "LEASE", lease_ms):
        puts = []
        for key, prompt, response in batch:
            value = np.float32(data.reward(key, prompt.decode(), response.decode()))
            puts.append(("TQ.PUT", partition, key, "FIELDS", 1, "reward:f32", value.tobytes()))
        if acknowledge(tq, partition, "reward", lease, *puts):
            journal += [key for key, _, _ in batch]
    return journal


def train(tq, partition, data, lease_ms, learn=lambda keys, advantages: None):
    for lease, batch in stream(tq, partition, "train", 16 * data.group, "BY", "GROUP",
                               "FIELDS", 2, "response", "reward", "LEASE", lease_ms):
        keys = [key for key, _, _ in batch]
        rewards = np.frombuffer(b"".join(value for _, _, value in batch), "<f4")
        groups = rewards.reshape(-1, data.group)
        advantages = groups - groups.mean(axis=1, keepdims=True)
        advantages /= groups.std(axis=1, keepdims=True) + 1e-6
        learn(keys, advantages)  # where a real trainer would spend its time

        puts = [("TQ.PUT", partition, key, "FIELDS", 1, "advantage:f32", advantage.tobytes())
                for key, advantage in zip(keys, advantages.ravel())]
        step = ("TQ.PUT", steps_of(partition), lease, "FIELDS", 2, "keys:str", b" ".join(keys),
                "rewards:f32[*]", rewards.tobytes())
        if not acknowledge(tq, partition, "train", lease, *puts, step):
            # The advantages do no harm, whoever has the samples now writes the same. The step does.
            tq.execute_command("TQ.CLEAR", steps_of(partition), "KEYS", 1, lease)
    return []


def steps_of(partition):
    return partition + "/steps"
