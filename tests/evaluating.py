"""What tests of `evaluate` share: small benchmarks, a model that answers them, the command."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.answering_server import Body
from tests.command import Command, Done, warm

TASKS = 20
RIGHT, SHALLOW, WRONG = "x + {n}", "x + {n} if x > 0 else None", "None"
"""Programs: right, right for the feedback tests alone, and wrong."""
SIMULATED, ORACLE = "The sum is off.", "The sum is off, and I know the right one."


def first(n: int) -> str:
    """Ten first drafts are right, four pass the feedback tests alone, six fail these too."""
    return RIGHT if n < 10 else SHALLOW if n < 14 else WRONG


SECOND: dict[str, dict[int, str]] = {
    "execution": {14: RIGHT, 15: RIGHT, 16: SHALLOW},
    SIMULATED: {14: RIGHT, 15: RIGHT, 17: RIGHT},
    ORACLE: dict.fromkeys(range(14, 19), RIGHT),
}
"""The second drafts that are not wrong, by the words that they answer."""
SAMPLES = {(14, 1): RIGHT, (18, 2): RIGHT}
"""The independent samples that are not wrong, by task and seed."""


def line(n: int) -> dict[str, Any]:
    return {
        "task_id": f"HumanEval/{n}",
        "prompt": f'def f{n}(x):\n    """Return the sum of x and {n}."""\n',
        "entry_point": f"f{n}",
        "canonical_solution": f"    return x + {n}\n",
        "base_input": [[1], [2]],
        # The first one is a base input, so it must not score.
        "plus_input": [[1], [-5], [100]],
        "contract": "",
        "atol": 0,
    }


def words_line(n: int) -> dict[str, Any]:
    return {
        "task_id": f"Mbpp/{1000 + n}",  # some lower numbers have inputs of other types
        "prompt": f'"""\nWrite a function that adds {n}.\nassert f{n}(1) == {1 + n}\n"""\n',
        "entry_point": f"f{n}",
        "canonical_solution": f"\ndef f{n}(x):\n    return x + {n}\n",
        "base_input": [[1], [2], [3]],
        "plus_input": [[-5]],
        "atol": 0,
    }


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return str(path)


def program(n: int, value: str) -> str:
    return f"```python\ndef f{n}(x):\n    return {value.format(n=n)}\n```"


def task_of(body: Body) -> int:
    found = re.search(r"\bf(\d+)\(", "\n".join(each["content"] for each in body["messages"]))
    assert found
    return int(found[1])


def coder_or_critic(body: Body) -> str:
    messages, n = body["messages"], task_of(body)
    if messages[0]["role"] == "system":
        return ORACLE if "known to be right (for" in messages[-1]["content"] else SIMULATED
    if "seed" in body:
        return program(n, SAMPLES.get((n, body["seed"]), WRONG))
    if len(messages) == 1:
        return program(n, first(n))
    words, _, _ = messages[-1]["content"].partition("\n\nWhat happened when it ran: ")
    return program(n, SECOND.get(words, SECOND["execution"]).get(n, WRONG))


@dataclass(frozen=True)
class World:
    """A command, a benchmark and a model server."""

    command: Command
    data: str
    url: str
    benchmark: str = "humaneval+"

    def evaluate(self, out: str, *options: str) -> Done:
        return self.command(*self.arguments(out, *options), timeout=300)

    def arguments(self, out: str, *options: str) -> list[str]:
        model = f"openai:tiny@{self.url}"
        about = ["--benchmark", self.benchmark, "--data", self.data, "--model", model]
        return ["evaluate", *about, "--out", str(self.command.home / out), *options]

    def results(self, out: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.command.home / out / "results.json").read_text())
        return found


def world(home: Path, url: str, tasks: int = TASKS) -> World:
    cache = {"XDG_CACHE_HOME": str(home / "cache")}
    data = write_lines(home / "data.jsonl", [line(n) for n in range(tasks)])
    return World(Command(home, warm, cache), data, url)


ALL = "none,execution,simulated,oracle,resample"


def arm(results: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in results["arms"] if each["name"] == name)
    return dict(found)


def values(intervals: list[dict[str, float]]) -> list[float]:
    return [each["value"] for each in intervals]
