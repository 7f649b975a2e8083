"""Tasks whose words leave something open, so that a first draft can be right or wrong.

A task names one to three clauses, as in `Write f(xs): mark the end, skip the start.` Each clause
has a usual reading and others (mark with 0, 1, 7 …). A draft that takes every clause as usual
passes about six tasks in ten; a failing example shows which reading was meant. Everything is a
function of a seed, and nothing is downloaded.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import CodeType
from typing import Any, Literal

Split = Literal["train", "test"]
Digits = list[int]

_HELD_OUT = 0.15
"""The share of sequences of clauses that no training task has."""
_CASES = 8


@dataclass(frozen=True)
class Reading:
    """One thing that a clause may mean."""

    code: str
    """An expression of the list `xs`."""
    words: str

    @cached_property
    def compiled(self) -> CodeType:
        """The expression, ready to be evaluated."""
        return compile(self.code, "reading", "eval")


def _readings(code: str, words: str, values: Sequence[int]) -> tuple[Reading, ...]:
    return tuple(Reading(code.format(value), words.format(value)) for value in values)


_MARKS = (0, 1, 7, 8, 9)
CLAUSES: Mapping[str, tuple[Reading, ...]] = {
    "mark the end": _readings("xs + [{}]", "a {} behind", _MARKS),
    "mark the start": _readings("[{}] + xs", "a {} in front", _MARKS),
    "space them out": _readings("[y for x in xs for y in (x, {})]", "a {} after each", _MARKS),
    "hide the odd ones": _readings(
        "[{} if x % 2 else x for x in xs]", "odd ones become {}", _MARKS
    ),
    "hide the big ones": _readings("[{} if x > 5 else x for x in xs]", "over 5 becomes {}", _MARKS),
    "blank the first": _readings("[{}] + xs[1:]", "the first becomes {}", _MARKS),
    "blank the last": _readings("xs[:-1] + [{}]", "the last becomes {}", _MARKS),
    "limit them": _readings("[min(x, {}) for x in xs]", "at most {} each", (5, 3, 4, 6, 7)),
    "take the first few": _readings("xs[:{}]", "the first {}", (3, 1, 2, 4)),
    "take the last few": _readings("xs[-{}:]", "the last {}", (3, 1, 2, 4)),
    "skip the start": _readings("xs[{}:]", "without the first {}", (1, 2, 3)),
    "skip the end": _readings("xs[:-{}]", "without the last {}", (1, 2, 3)),
    "skip every second": (
        Reading("xs[::2]", "the first one stays"),
        Reading("xs[1::2]", "the first one goes"),
        Reading("xs[::-1][::2]", "counted from the back"),
    ),
    "repeat them": (
        Reading("xs + xs", "the whole list twice"),
        Reading("[y for x in xs for y in (x, x)]", "each one twice"),
        Reading("xs + xs[::-1]", "then once more backwards"),
        Reading("xs + xs + xs", "the whole list three times"),
    ),
    "turn them around": (
        Reading("xs[::-1]", "back to front"),
        Reading("xs[-1:] + xs[1:-1] + xs[:1]", "swap the two ends"),
        Reading("xs[1:] + xs[:1]", "move the first to the end"),
        Reading("xs[-1:] + xs[:-1]", "move the last to the front"),
    ),
    "sort them": (
        Reading("sorted(xs)", "small to large"),
        Reading("sorted(xs)[::-1]", "large to small"),
        Reading("sorted(set(xs))", "small to large without repeats"),
        Reading("sorted(xs, key=lambda x: x % 2)", "first the even ones"),
    ),
}
"""The readings of each clause; the first is the usual one."""


@dataclass(frozen=True)
class Step:
    """A clause and the reading that is meant."""

    clause: str
    number: int = 0

    @property
    def reading(self) -> Reading:
        """The reading that is meant."""
        return CLAUSES[self.clause][self.number]

    @property
    def line(self) -> str:
        """The step as a line of code."""
        return f"xs = {self.reading.code}"

    @property
    def words(self) -> str:
        """What it means, as in `mark the end means a 7 behind`."""
        return f"{self.clause} means {self.reading.words}"


Steps = tuple[Step, ...]


@dataclass(frozen=True)
class Task:
    """A task with its reference and its tests."""

    steps: Steps
    cases: tuple[tuple[Digits, Digits], ...]

    @property
    def prompt(self) -> str:
        """What the coder is asked for."""
        return f"Write f(xs): {', '.join(step.clause for step in self.steps)}."

    @property
    def code(self) -> str:
        """The reference."""
        return program(self.steps)


def program(steps: Steps) -> str:
    """Return steps as a function."""
    lines = "".join(f"    {step.line}\n" for step in steps)
    return f"def f(xs):\n{lines}    return xs"


def result(steps: Steps, xs: Digits) -> Any:
    """Return what steps make of a list. Only this file's own expressions are evaluated here."""
    value: Any = xs
    for step in steps:
        value = eval(step.reading.compiled, {"xs": value})
    return value


def clauses_of(prompt: str) -> list[str]:
    """Return the clauses that a prompt names."""
    return prompt.removeprefix("Write f(xs): ").rstrip(".").split(", ")


def lines_of(code: str) -> list[str]:
    """Return the lines of a draft that stand for its steps."""
    return [line.strip() for line in code.splitlines()[1:]]


def differing(steps: Steps, code: str) -> Steps:
    """Return the steps that a draft does not have in their places."""
    lines = lines_of(code)
    return tuple(
        step for at, step in enumerate(steps) if at >= len(lines) or lines[at] != step.line
    )


@dataclass(frozen=True)
class Kind:
    """What kind of tasks to draw."""

    split: Split
    clauses: Sequence[str] = tuple(CLAUSES)
    lengths: tuple[float, float, float] = (0, 0.25, 0.75)
    """The shares of tasks with one clause, two and three."""
    changed: tuple[float, float, float] = (0.57, 0.34, 0.09)
    """The shares of tasks in which no clause, one and two have another than the usual reading."""


def tasks(kind: Kind, seed: str) -> Iterator[Task]:
    """Yield tasks without end; `test` has sequences of clauses that `train` never has."""
    rng = random.Random(f"{seed} {kind.split}")
    while True:
        length = rng.choices((1, 2, 3), kind.lengths)[0]
        names = rng.sample(list(kind.clauses), length)
        if length > 1 and _held_out(names) != (kind.split == "test"):
            continue
        task = _task(names, kind.changed, rng)
        if _telling(task):
            yield task


def _task(names: Sequence[str], shares: Sequence[float], rng: random.Random) -> Task:
    steps = [Step(name) for name in names]
    others = [
        (at, number) for at, name in enumerate(names) for number in range(1, len(CLAUSES[name]))
    ]
    changed = rng.choices((0, 1, 2), shares)[0]
    for at, number in rng.sample(others, min(changed, len(others))):
        steps[at] = Step(names[at], number)
    meant = tuple(steps)
    inputs = [_digits(rng) for _ in range(_CASES)]
    return Task(meant, tuple((xs, result(meant, xs)) for xs in inputs))


def _digits(rng: random.Random) -> Digits:
    xs = [rng.randint(0, 9) for _ in range(rng.choice((5, 6)))]
    if rng.random() < 0.6:  # Repeats show what sorting does with them.
        xs[rng.randrange(len(xs))] = xs[rng.randrange(len(xs))]
    return xs


def _held_out(names: Sequence[str]) -> bool:
    """Return whether a sequence of clauses is kept for tests; the same in every process."""
    number = int.from_bytes(hashlib.sha256("|".join(names).encode()).digest()[:8], "big")
    return number % 1000 < _HELD_OUT * 1000


def _telling(task: Task) -> bool:
    """Return whether the results differ and are long enough to show what was meant."""
    results = [want for _, want in task.cases]
    short = sum(len(want) < 2 for want in results)
    return short <= 2 and len({str(want) for want in results}) >= 4
