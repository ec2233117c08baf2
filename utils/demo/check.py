"""Whether the loop did what it should: the journals of its workers and tq's own figures, held
against the input."""

from collections import Counter

from inputs import group_of
from table import FIELDS, TASKS


def findings(data, journals, status, kill):
    """(holds, what) for each thing that must hold. `journals` maps a task to the keys it took, in
    order, but for `train`, which has (key, reward) pairs. `kill` is what the first trainer had when
    it was killed: the keys in its hands, and how many samples were trained before."""
    total = len(data.samples)
    expected = Counter(sample.key for sample in data.samples)
    for task in TASKS:
        keys = journals[task] if task != "train" else [key for key, _ in journals["train"]]
        taken = Counter(keys)
        missing, too_many = expected - taken, taken - expected
        consumed = status["tasks"].get(task, 0)
        wrong = "".join([
            ", %d missing, first %r" % (missing.total(), min(missing)) if missing else "",
            ", %d too many, first %r" % (too_many.total(), min(too_many)) if too_many else "",
            ", but TQ.STATUS says %d" % consumed if consumed != total else ""])
        yield not wrong, "%s took every one of %s samples exactly once%s" % (
            task, f"{total:,}", wrong)

    groups = [group_of(key) for key, _ in journals["train"]]
    runs = [groups[i:i + data.group] for i in range(0, len(groups), data.group)]
    torn = [run for run in runs if run != run[:1] * data.group]
    yield not torn, "train got its groups of %d whole%s" % (
        data.group, ", but for %d of them" % len(torn) if torn else "")

    again = [key for key, _ in journals["train"][kill.trained:]]
    lost = set(kill.held) - set(again)
    yield kill.held and not lost, "%d samples that the killed trainer held came back%s" % (
        len(kill.held), ", but for %d of them" % len(lost) if lost else "")

    short = [field for field in FIELDS if status["fields"].get(field, 0) != total]
    yield not short, "every sample has all fields%s" % (", but for " + ", ".join(short) if short else "")

    mean = sum(value for _, value in journals["train"]) / max(1, len(journals["train"]))
    truth = data.mean_reward()
    yield mean == truth, "mean reward %.6f, computed from the input directly %.6f" % (mean, truth)
