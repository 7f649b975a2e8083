"""What stays out of a file of dialogues: short ones, a benchmark's tasks, near-duplicates."""

import json
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.traces.dialogues.benchmarks import benchmark_texts
from opencodeinterpreter.traces.dialogues.filters import (
    Contamination,
    NearDuplicates,
    TooShort,
    report_of,
    sifted,
)
from opencodeinterpreter.traces.dialogues.format import Dialogue, Dropped, Provenance

OFFICIAL = Path(__file__).parent.parent.parent / "shared" / "data"
STUB = '''def slow_geese(flock, days):
    """Every goose of the flock lags behind the leader by its age in days.
    Return the names of those that arrive after the last day.
    >>> slow_geese({"Ada": 3}, 2)
    ["Ada"]
    """
'''
BENCHMARK: list[dict[str, Any]] = [
    {
        "task_id": "Pond/0",
        "prompt": STUB,
        "canonical_solution": "    late = {name for name, age in flock.items() if age > days}\n"
        "    return sorted(late, key=flock.get, reverse=True)\n",
        "test": "def check(candidate):\n"
        "    crowd = dict(Bea=4, Cleo=9, Dora=1, Emma=7, Fay=2)\n"
        "    assert candidate(crowd, 3) == ['Cleo', 'Emma', 'Bea']\n",
    },
    {
        "task_id": 7,
        "text": "Count the ponds of a park.",
        "code": "ponds = len",
        "plus_input": [[float("-inf")]],
    },
]


def dialogue(*contents: str, origin: str = "a run") -> Dialogue:
    roles = ("user", "assistant") * len(contents)
    messages = [
        Message.model_validate({"role": role, "content": content})
        for role, content in zip(roles, contents, strict=False)
    ]
    made = Provenance(way="interaction", origin=origin)
    return Dialogue(messages=tuple(messages), provenance=made)


def written(path: Path) -> str:
    path.write_text("".join(f"{json.dumps(task)}\n" for task in BENCHMARK), "utf-8")
    return str(path)


@pytest.fixture
def contamination(tmp_path: Path) -> Contamination:
    return Contamination(benchmark_texts(written(tmp_path / "pond.jsonl")))


SOLUTION, TEST = BENCHMARK[0]["canonical_solution"], BENCHMARK[0]["test"]
WHOLE = "Please, count the ponds of a park!"


@pytest.mark.parametrize(
    ("contents", "task"),
    [
        ((f"Complete this.\n\n{STUB}", "Done."), "Pond/0"),
        (("Write slow_geese.", f"```python\ndef g(flock, days):\n{SOLUTION}```"), "Pond/0"),
        (("Write slow_geese.", "No.", f"It fails:\n{TEST}", "Yes."), "Pond/0"),
        (("every goose of the FLOCK lags\nbehind the leader, by its age", "Done."), "Pond/0"),
        ((WHOLE, "Done."), "7"),
    ],
    ids=["prompt", "solution", "test", "laid out otherwise", "short prompt"],
)
def test_what_repeats_a_benchmark_s_task_is_named(
    contamination: Contamination, contents: tuple[str, ...], task: str
) -> None:
    found = contamination.problem(dialogue(*contents))
    assert found is not None
    assert found.startswith(f"{task}: ")


@pytest.mark.parametrize(
    "text",
    [
        "Write slow_geese(flock, days) for a flock of geese.",
        "for i in range(n):\n    for j in range(i + 1, n):\n        if a[i] > a[j]: swap(i, j)",
        f"{list(range(200))}",
    ],
)
def test_what_shares_only_common_words_or_numbers_stays(
    contamination: Contamination, text: str
) -> None:
    assert contamination.problem(dialogue(text, f"```python\n{text}\n```")) is None


def test_words_of_two_messages_are_not_read_as_one_text(contamination: Contamination) -> None:
    words = WHOLE.split()
    assert contamination.problem(dialogue(" ".join(words[:4]), " ".join(words[4:]))) is None


@pytest.mark.parametrize(
    "name", ["HumanEval.jsonl.xz", "mbpp.jsonl.xz", "MbppPlus-v0.2.0.jsonl.xz"]
)
def test_every_task_of_the_official_file_is_recognised_by_its_prompt(name: str) -> None:
    path = OFFICIAL / name
    if not path.exists():
        pytest.skip(f"the official file {name} is not here")
    texts = benchmark_texts(str(path))
    contamination = Contamination(texts)
    first = {text.task: text for text in reversed(texts)}
    missed = [
        task for task, text in first.items() if not contamination.problem(dialogue(text.text, "x"))
    ]
    assert missed == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: a task is a JSON object, not list"),
        ('{"task_id": "a"}', "no task with one of the fields prompt, text"),
        ("", "no task"),
    ],
)
def test_a_file_that_is_no_benchmark_is_named(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match=problem):
        benchmark_texts(str(path))


def test_the_first_of_near_duplicates_stays_and_the_report_names_it() -> None:
    story = " ".join(f"word{number}" for number in range(200))
    first = dialogue(story, "An answer.", origin="first")
    near = dialogue(f"{story} and more", "An answer.", origin="near")
    other = dialogue(f"other{story.replace('word', 'x')}", "An answer.", origin="other")
    again = dialogue(story, "An answer.", origin="again")
    lost = Dropped(origin="lost", reason="not solved")
    found = sifted([first, lost, near, other, again], [TooShort(1), NearDuplicates(0.8)])
    assert [each.provenance.origin for each in found.kept] == ["first", "other"]
    assert [(each.origin, each.reason) for each in found.dropped] == [
        ("lost", "not solved"),
        ("near", "near-duplicate"),
        ("again", "near-duplicate"),
    ]
    assert found.dropped[2].detail == "1.00 of first"
    report = report_of(found, {"pond.jsonl": 2})
    assert (report.read, report.kept) == (5, 2)
    assert report.reasons == {"near-duplicate": 2, "not solved": 1}
    assert report.ways == {"interaction": 2}


def test_a_dialogue_with_too_few_answers_is_dropped() -> None:
    assert TooShort(2).problem(dialogue("A task.", "An answer.")) == "1"
    assert TooShort(2).problem(dialogue("A task.", "No.", "It fails.", "Yes.")) is None
