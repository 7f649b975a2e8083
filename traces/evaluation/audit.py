"""The audit of an evaluation: it checks whether any scoring test reached a prompt."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.tools.benchmarks.calls import as_texts
from opencodeinterpreter.tools.benchmarks.tasks import InputTask, OwnTask, Task
from opencodeinterpreter.tools.benchmarks.truth import Truth
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.grading.tests import CallCase, PythonTests, StdinCase, Tests

LONG = 20
"""The shortest text, in characters, that is listed if a prompt and a scoring input share it."""


class Coincidence(Frozen):
    """A scoring input, or a text in it, that also occurs in a prompt of its task."""

    task: str
    run: str
    text: str


class Audit(Frozen):
    """What the audit looked at and found."""

    prompts: int = 0
    """Distinct messages that were sent to a model."""
    canary: bool = False
    """Whether unique texts were planted in the scoring tests and searched for in the prompts."""
    coincidences: tuple[Coincidence, ...] = ()
    """Texts of at least 20 characters that occur both in a prompt and in a scoring input."""


def new_canary() -> str:
    """Return a unique text."""
    return f"canary-{secrets.token_hex(12)}"


def planted(task: Task, canary: str) -> Task:
    """Return a task with a unique text in its scoring tests.

    The loop's task is made from it; it is not used for grading.
    """
    text = f"{canary}-{task.task_id}"
    if isinstance(task, InputTask):
        return task.model_copy(update={"plus_input": [*task.plus_input, [text]]})
    if isinstance(task, OwnTask):
        return task.model_copy(update={"scoring": _planted_tests(task.scoring, text)})
    return task.model_copy(update={"tests": f"{task.tests}\n# {text}"})


def _planted_tests(tests: Tests | None, text: str) -> Tests:
    held = tests or PythonTests(source="")
    if isinstance(held, PythonTests):
        return held.model_copy(update={"source": f"{held.source}\n# {text}"})
    case = (
        StdinCase(stdin=text, stdout=text) if held.of_stdin else CallCase(args=(text,), expected="")
    )
    return held.model_copy(update={"cases": (*held.cases, case)})


def planted_truth(truth: Truth, task: Task) -> Truth:
    """Return a truth that includes the planted input of its task, and as its output the same."""
    assert isinstance(task, InputTask)
    planted_input = task.plus_input[-1]
    plus = replace(
        truth.plus,
        inputs=[*truth.plus.inputs, *as_texts([planted_input])],
        outputs=[*truth.plus.outputs, wire.Writer().text(planted_input[0])],
        seconds=[*truth.plus.seconds, 0.0],
        certain=[*truth.plus.certain, True],
        floats=[*truth.plus.floats, False],
    )
    return replace(truth, plus=plus)


def check_canary(text: str, canary: str, where: str) -> None:
    """Raise InputError if `text`, which a model was or will be sent, contains the planted one."""
    if canary and canary in text:
        raise InputError(
            f"{where} contains {canary}, a text that was planted in the scoring tests: "
            "they leaked, so this evaluation is void"
        )


def prompts_of(record: Record) -> Iterator[str]:
    """Yield every message that was sent to a model, except models' own answers."""
    for message in record.texts.values():
        if message.role != "assistant":
            yield message.content


def coincidences(task: InputTask, prompts: Mapping[str, Iterable[str]]) -> Iterator[Coincidence]:
    """Yield texts of at least LONG characters that scoring inputs share with prompts, by run.

    Texts of the task's own prompt or its base inputs do not count.
    """
    known = "\n".join([task.prompt, *as_texts(task.base_input), repr(task.base_input)])
    wanted = [text for text in _long_texts(task.plus_input) if text not in known]
    for run, texts in prompts.items():
        whole = "\n".join(texts)
        for text in wanted:
            if text in whole:
                yield Coincidence(task=task.task_id, run=run, text=text)


def _long_texts(inputs: Iterable[Any]) -> list[str]:
    """Return the long texts of inputs: arguments, and strings in them."""
    found: dict[str, None] = {}
    for arguments in inputs:
        for value in _values(arguments):
            text = value if isinstance(value, str) else repr(value)
            if len(text) >= LONG:
                found[text] = None
    return list(found)


def _values(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        for both in value.items():
            for each in both:
                yield from _values(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _values(each)
