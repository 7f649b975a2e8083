"""Who answers beside the pupil: users who simulate a person, and a teacher who repairs.

The users are models of the graph's critic and see what it shows them: the task, the code and the
failing example; the oracle also the reference. They name readings in words, never code.
"""

import random
import re
from collections.abc import Iterable, Sequence

from learn.language import (
    CLAUSES,
    Step,
    Steps,
    Task,
    clauses_of,
    differing,
    lines_of,
    result,
)
from opencodeinterpreter.tools.models.protocol import Model, Request, Response

QUESTION = "$task\n#\n$code\n#\n$result"
REFERENCE = "\n#\n$reference"
"""The critic's prompts, which its models read."""

_EXAMPLE = re.compile(r"f\(\[(.*?)\]\).*expected \[(.*?)\]$", re.DOTALL)
_NOTHING = "Read the statement again."


def fenced(code: str) -> str:
    """Return code as an answer has it."""
    return f"```python\n{code}\n```"


def named(steps: Iterable[Step]) -> str:
    """Return what steps mean, in words."""
    return "; ".join(step.words for step in steps)


class Users:
    """The simulated user, and the oracle where the question holds the reference.

    The user names one clause: the first other reading of it, in random order, that explains the
    example. The oracle names every clause whose line is not the reference's. Either has only a
    general remark where it finds none.
    """

    spec = "scripted:users"

    async def complete(self, request: Request) -> Response:
        """Answer the graph's question to its critic."""
        prompt, code, shown, *reference = request.messages[-1].content.split("\n#\n")
        if reference:
            wrong = differing(_steps(prompt, reference[0]), code)
        else:
            wrong = _explaining(prompt, code, shown, random.Random(request.digest))
        return Response(text=named(wrong) or _NOTHING, model=self.spec)


class Taught:
    """The pupil drafts, and a teacher who knows the reference repairs, as in the paper's data.

    The teacher says first which readings change: a pupil that learns code alone copies its draft.
    """

    spec = "scripted:taught"

    def __init__(self, pupil: Model) -> None:
        """Take who drafts."""
        self._pupil = pupil
        self.task: Task | None = None
        """What is being solved; the graph does not show the reference to its coder."""

    async def complete(self, request: Request) -> Response:
        """Answer the first turn as the pupil, a later one as the teacher."""
        if request.at.turn == 1 or self.task is None:
            return await self._pupil.complete(request)
        draft = request.messages[-2].content.removeprefix("```python\n").partition("\n```")[0]
        changed = named(differing(self.task.steps, draft))
        return Response(text=f"{changed}\n{fenced(self.task.code)}", model="teacher")


def _explaining(prompt: str, code: str, shown: str, rng: random.Random) -> Steps:
    example = _EXAMPLE.search(shown)
    if example is None:
        return ()
    xs, want = (_digits(text) for text in example.groups())
    now = _steps(prompt, code)
    others = [
        (at, Step(step.clause, number))
        for at, step in enumerate(now)
        for number in range(len(CLAUSES[step.clause]))
        if number != step.number
    ]
    rng.shuffle(others)
    for at, other in others:
        if result((*now[:at], other, *now[at + 1 :]), xs) == want:
            return (other,)
    return ()


def _digits(text: str) -> list[int]:
    return [int(digit) for digit in text.split(", ") if digit]


def _steps(prompt: str, code: str) -> Steps:
    """Return the readings that a draft took; the usual one where a line is none."""
    lines = lines_of(code)
    clauses = clauses_of(prompt)
    return tuple(
        _step(clause, lines[at] if at < len(lines) else "") for at, clause in enumerate(clauses)
    )


def _step(clause: str, line: str) -> Step:
    taken: Sequence[Step] = [Step(clause, number) for number in range(len(CLAUSES[clause]))]
    return next((step for step in taken if step.line == line), taken[0])
