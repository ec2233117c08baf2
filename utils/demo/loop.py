"""The workers of a GRPO loop. Each runs in a process of its own and knows nothing of the others:
what is ready for whom, and when there will be no more, is tq's business.

    feeder    writes prompts, each as a group of samples, and seals the partition
    rollout   takes prompts, writes responses
    reward    takes responses, writes rewards
    train     takes whole groups with their rewards, writes advantages

Each returns a journal of the samples it took, in order."""

import random
import time

import numpy as np


def stream(tq, partition, task, count, *clauses):
    """The batches of a task, waiting for each as long as it takes, until the end of the stream."""
    while batch := tq.execute_command("TQ.SAMPLE", partition, task, "COUNT", count,
                                      *clauses, "BLOCK", 0):
        yield batch


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


def reward(tq, partition, data):
    journal = []
    for batch in stream(tq, partition, "reward", 64, "ATLEAST", 1,
                        "FIELDS", 2, "prompt", "response"):
        pipe = tq.pipeline(transaction=False)
        for key, prompt, response in batch:
            value = np.float32(data.reward(key, prompt.decode(), response.decode()))
            pipe.execute_command("TQ.PUT", partition, key,
                                 "FIELDS", 1, "reward:f32", value.tobytes())
            journal.append(key)
        pipe.execute()
    return journal


def train(tq, partition, data):
    journal = []
    for batch in stream(tq, partition, "train", 16 * data.group, "ATLEAST", data.group,
                        "BY", "GROUP", "FIELDS", 2, "response", "reward"):
        keys = [key for key, _, _ in batch]
        rewards = np.frombuffer(b"".join(value for _, _, value in batch), "<f4")
        groups = rewards.reshape(-1, data.group)
        advantages = groups - groups.mean(axis=1, keepdims=True)
        advantages /= groups.std(axis=1, keepdims=True) + 1e-6
        pipe = tq.pipeline(transaction=False)
        for key, advantage in zip(keys, advantages.ravel()):
            pipe.execute_command("TQ.PUT", partition, key,
                                 "FIELDS", 1, "advantage:f32", advantage.tobytes())
        pipe.execute()
        journal += zip(keys, rewards.tolist())
    return journal
