"""What the loop runs on: prompts, what the policy answers, what an answer is worth.

Answers depend on nothing but the seed (or the file) and the sample, so that what must come out of
the loop can be computed beside it, without tq."""

import json
import random
import re
from typing import NamedTuple


class Sample(NamedTuple):
    key: bytes
    group: bytes  # all samples of one prompt
    prompt: str


def group_of(key):
    return key.rpartition(b".")[0]


class Input:
    """Samples in groups of one prompt, `group` of them each."""

    def __init__(self, prompts, group):
        self.group = group
        self.samples = [
            Sample(b"q%d.%d" % (number, member), b"q%d" % number, prompt)
            for number, prompt in enumerate(prompts)
            for member in range(group)
        ]

    def mean_reward(self):
        """What the loop must arrive at."""
        rewards = [self.reward(s.key, s.prompt, self.respond(s.key, s.prompt))
                   for s in self.samples]
        return sum(rewards) / len(rewards)


class Arithmetic(Input):
    """Sums that a policy of modest skill answers; whether it did can be computed."""

    def __init__(self, prompts, group, seed):
        self.seed = seed
        dice = random.Random(seed)
        super().__init__(["What is %d %s %d?" % (dice.randrange(10 ** dice.randint(1, 4)),
                                                 dice.choice("+-*"), dice.randrange(100))
                          for _ in range(prompts)], group)

    @staticmethod
    def truth(prompt):
        left, operator, right = re.fullmatch(r"What is (\d+) ([-+*]) (\d+)\?", prompt).groups()
        left, right = int(left), int(right)
        return {"+": left + right, "-": left - right, "*": left * right}[operator]

    def respond(self, key, prompt):
        dice = random.Random("%d %s" % (self.seed, key.decode()))
        skill = 0.8 if "*" not in prompt else 0.4
        answer = self.truth(prompt) + (0 if dice.random() < skill else dice.choice([-10, -1, 1, 10]))
        return "Let me see. That makes %d" % answer

    def reward(self, key, prompt, response):
        return float(int(response.split()[-1]) == self.truth(prompt))


class Recorded(Input):
    """Rollouts that real policies made, and what a verifier said of them: a JSONL file, a line
    with a `question` and, by the policy's name, a `solution` that `is_correct` or not."""

    def __init__(self, path, prompts, group):
        questions, self.rollouts = [], {}
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if len(questions) == prompts:
                    break
                record = json.loads(line)
                answers = [v for v in record.values() if isinstance(v, dict) and "is_correct" in v]
                if len(answers) < group:
                    raise ValueError("line %d of %s has %d rollouts, not %d"
                                     % (len(questions) + 1, path, len(answers), group))
                for member, answer in enumerate(answers[:group]):
                    self.rollouts[b"q%d.%d" % (len(questions), member)] = answer
                questions.append(record["question"])
        super().__init__(questions, group)

    def respond(self, key, prompt):
        return self.rollouts[key]["solution"]

    def reward(self, key, prompt, response):
        if response != self.rollouts[key]["solution"]:
            raise ValueError("the response of %s is not the one that was written" % key.decode())
        return float(self.rollouts[key]["is_correct"])
