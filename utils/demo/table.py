"""The partition while it fills and empties: on a terminal a table that is drawn over and over, else
a line each second."""

import sys
import time

FIELDS = ["prompt", "response", "reward", "advantage"]
TASKS = ["rollout", "reward", "train"]


class Table:
    def __init__(self, total, out=sys.stdout):
        self.total = total
        self.out = out
        self.live = out.isatty()
        self.began = self.shown = time.monotonic()
        self.last = None  # the counts shown last
        self.drawn = 0  # lines of the table that stand above the cursor

    def show(self, status, final=False):
        """Draw anew where it is time to; the final rates are those over the whole run."""
        now = time.monotonic()
        if not final and now - self.shown < (0.1 if self.live else 1):
            return
        counts = ([status["fields"].get(name, 0) for name in FIELDS]
                  + [status["tasks"].get(name, 0) for name in TASKS])
        before = [0] * len(counts) if final or not self.last else self.last
        span = now - (self.began if final or not self.last else self.shown)
        rates = [(count - old) / span for count, old in zip(counts, before)]
        if self.live or final:
            self.draw(counts, rates)
        else:
            self.line(now - self.began, counts)
        self.shown, self.last = now, counts

    def draw(self, counts, rates):
        self.erase()
        names = ([("produced" if i == 0 else "", name) for i, name in enumerate(FIELDS)]
                 + [("consumed" if i == 0 else "", name) for i, name in enumerate(TASKS)])
        for (title, name), count, rate in zip(names, counts, rates):
            part = count / self.total
            bar = "█" * int(24 * part) + "░" * (24 - int(24 * part))
            self.out.write("  %-9s %-10s %9s  %s %4d %%  %9s/s\n"
                           % (title, name, f"{count:,}", bar, 100 * part, f"{rate:,.0f}"))
        self.out.flush()
        self.drawn = len(counts) if self.live else 0

    def erase(self):
        if self.drawn:
            self.out.write("\x1b[%dF\x1b[J" % self.drawn)
            self.drawn = 0

    def note(self, text):
        """A line that stays, above the table."""
        self.erase()
        print("  " + text, file=self.out, flush=True)

    def line(self, elapsed, counts):
        words = ["%s %d" % pair for pair in zip(FIELDS + TASKS, counts)]
        print("  %4.1f s  produced: %s; consumed: %s"
              % (elapsed, ", ".join(words[:len(FIELDS)]), ", ".join(words[len(FIELDS):])),
              file=self.out, flush=True)
